"""Makes analysis/report/reference.docx, whose styles pandoc and Quarto copy into the Word report.

It is pandoc's own reference document with other type sizes and margins, lines in tables, a style
for the text of tables and one for call-outs (a bordered paragraph), a running head and page
numbers. Run it after changing a style here: `python scripts/reference_docx.py`.
"""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pypandoc

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from analysis.render.docx import WORD, W, parse, written

TARGET = Path(__file__).resolve().parent.parent / "analysis" / "report" / "reference.docx"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
GREY, LINE = "55606A", "C8CDD2"
FONT = "Arial"
"""On every machine, or replaced by one of the same widths."""

BOX = "".join(
    f'<w:{side} w:val="single" w:sz="{size}" w:space="6" w:color="{colour}"/>'
    for side, size, colour in (
        ("top", 4, "E8D9B5"),
        ("left", 24, "E69F00"),
        ("bottom", 4, "E8D9B5"),
        ("right", 4, "E8D9B5"),
    )
)  # fmt: skip
NEW_STYLES = f"""<w:styles xmlns:w="{WORD}">
<w:style w:type="paragraph" w:customStyle="1" w:styleId="TableText"><w:name w:val="Table Text"/>
<w:basedOn w:val="Normal"/><w:qFormat/><w:pPr><w:spacing w:before="20" w:after="20"/></w:pPr>
<w:rPr><w:sz w:val="13"/><w:szCs w:val="13"/></w:rPr></w:style>
<w:style w:type="paragraph" w:customStyle="1" w:styleId="Callout"><w:name w:val="Callout"/>
<w:basedOn w:val="BodyText"/><w:qFormat/><w:pPr><w:keepLines/><w:pBdr>{BOX}</w:pBdr>
<w:shd w:val="clear" w:color="auto" w:fill="FFF9EC"/><w:spacing w:before="60" w:after="60"/>
<w:ind w:left="170" w:right="170"/></w:pPr></w:style>
<w:style w:type="paragraph" w:customStyle="1" w:styleId="FoldedTitle"><w:name w:val="Folded Title"/>
<w:basedOn w:val="BodyText"/><w:qFormat/><w:pPr><w:keepNext/><w:spacing w:before="280"/></w:pPr>
<w:rPr><w:b/></w:rPr></w:style>
<w:style w:type="paragraph" w:styleId="TOC1"><w:name w:val="toc 1"/><w:basedOn w:val="Normal"/>
<w:uiPriority w:val="39"/><w:pPr><w:spacing w:before="60" w:after="0"/></w:pPr></w:style>
<w:style w:type="paragraph" w:styleId="TOC2"><w:name w:val="toc 2"/><w:basedOn w:val="Normal"/>
<w:uiPriority w:val="39"/><w:pPr><w:spacing w:before="0" w:after="0"/><w:ind w:left="340"/></w:pPr>
</w:style>
<w:style w:type="paragraph" w:styleId="Header"><w:name w:val="header"/><w:basedOn w:val="Normal"/>
<w:pPr><w:tabs><w:tab w:val="right" w:pos="9900"/></w:tabs><w:spacing w:after="0"/></w:pPr>
<w:rPr><w:color w:val="{GREY}"/><w:sz w:val="16"/><w:szCs w:val="16"/></w:rPr></w:style>
<w:style w:type="paragraph" w:styleId="Footer"><w:name w:val="footer"/><w:basedOn w:val="Header"/>
</w:style>
</w:styles>"""
CELLS = '<w:tblCellMar xmlns:w="{}">{}</w:tblCellMar>'.format(
    WORD,
    "".join(
        f'<w:{side} w:w="{width}" w:type="dxa"/>'
        for side, width in (("top", 15), ("left", 50), ("bottom", 15), ("right", 50))
    ),
)
BORDERS = '<w:tblBorders xmlns:w="{}">{}</w:tblBorders>'.format(
    WORD,
    "".join(
        f'<w:{side} w:val="single" w:sz="4" w:space="0" w:color="{LINE}"/>'
        for side in ("top", "bottom", "insideH")
    ),
)
FIRST_ROW = f"""<w:tblStylePr xmlns:w="{WORD}" w:type="firstRow"><w:rPr><w:b/></w:rPr><w:tcPr>
<w:tcBorders><w:bottom w:val="single" w:sz="8" w:space="0" w:color="{GREY}"/></w:tcBorders>
<w:vAlign w:val="bottom"/></w:tcPr></w:tblStylePr>"""
FIELD = """<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText xml:space="preserve"> {0}
</w:instrText></w:r><w:r><w:fldChar w:fldCharType="separate"/></w:r><w:r><w:t>{1}</w:t></w:r><w:r>
<w:fldChar w:fldCharType="end"/></w:r>"""
TITLE = "Can stem cells restore insulin in people with diabetes?"
"""The running head: the title of report.qmd (tested)."""
HEADER = f"""<?xml version="1.0" encoding="UTF-8"?>
<w:hdr xmlns:w="{WORD}"><w:p><w:pPr><w:pStyle w:val="Header"/></w:pPr>
<w:r><w:t>isletmeta</w:t></w:r>
<w:r><w:tab/><w:t>{TITLE}</w:t></w:r></w:p></w:hdr>"""
FOOTER = f"""<?xml version="1.0" encoding="UTF-8"?>
<w:ftr xmlns:w="{WORD}"><w:p><w:pPr><w:pStyle w:val="Footer"/></w:pPr><w:r><w:tab/></w:r>
{FIELD.format("PAGE", "1")}<w:r><w:t xml:space="preserve"> / </w:t></w:r>
{FIELD.format("NUMPAGES", "1")}</w:p></w:ftr>"""
SECTION = f"""<w:sectPr xmlns:w="{WORD}" xmlns:r="{RELATIONS}">
<w:headerReference w:type="default" r:id="rId91"/><w:footerReference w:type="default" r:id="rId92"/>
<w:pgSz w:w="11906" w:h="16838"/>
<w:pgMar w:top="1100" w:bottom="1000" w:left="1000" w:right="1000" w:header="500" w:footer="450"
 w:gutter="0"/></w:sectPr>"""
SIZES = {"Title": 36, "Subtitle": 24, "Heading1": 32, "Heading2": 26, "Heading3": 22, "Caption": 17,
         "TOCHeading": 26}  # fmt: skip


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        default = Path(folder) / "default.docx"
        with default.open("wb") as file:
            subprocess.run(
                [pypandoc.get_pandoc_path(), "--print-default-data-file", "reference.docx"],
                stdout=file, check=True,
            )  # fmt: skip
        with zipfile.ZipFile(default) as package:
            parts = {name: package.read(name) for name in package.namelist()}
    parts["word/styles.xml"] = styles(parts["word/styles.xml"])
    parts["word/document.xml"] = document(parts["word/document.xml"])
    parts["word/header1.xml"], parts["word/footer1.xml"] = HEADER.encode(), FOOTER.encode()
    parts["word/_rels/document.xml.rels"] = relations(parts["word/_rels/document.xml.rels"])
    parts["[Content_Types].xml"] = content_types(parts["[Content_Types].xml"])
    with zipfile.ZipFile(TARGET, "w", zipfile.ZIP_DEFLATED) as package:
        for name, data in parts.items():
            package.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data,
                             zipfile.ZIP_DEFLATED)  # fmt: skip


def styles(xml: bytes) -> bytes:
    """Type sizes, lines of tables and the new styles."""
    tree = parse(xml)
    for fonts in tree.iter(f"{W}rFonts"):
        for name in [name for name in fonts.attrib if name.endswith("Theme")]:
            del fonts.attrib[name]
        fonts.attrib.update({f"{W}{name}": FONT for name in ("ascii", "hAnsi", "cs")})
    for name in ("sz", "szCs"):
        tree.find(f"{W}docDefaults/{W}rPrDefault/{W}rPr/{W}{name}").set(f"{W}val", "20")
    known = {style.get(f"{W}styleId"): style for style in tree.findall(f"{W}style")}
    for style, size in SIZES.items():
        words = _child(known[style], "rPr")
        for name in ("sz", "szCs"):
            _child(words, name).set(f"{W}val", str(size))
    _child(_child(known["TableCaption"], "pPr"), "spacing").set(f"{W}before", "240")
    _child(_child(known["Figure"], "pPr"), "spacing").set(f"{W}before", "160")
    caption = known["Caption"].find(f"{W}rPr")
    caption.remove(caption.find(f"{W}i"))
    _child(caption, "color").set(f"{W}val", GREY)
    grid = known["Table"].find(f"{W}tblPr")
    grid.remove(grid.find(f"{W}tblCellMar"))
    grid.append(ElementTree.fromstring(BORDERS))
    grid.append(ElementTree.fromstring(CELLS))
    known["Table"].remove(known["Table"].find(f"{W}tblStylePr"))
    known["Table"].append(ElementTree.fromstring(FIRST_ROW))
    for style in ElementTree.fromstring(NEW_STYLES):
        if style.get(f"{W}styleId") in known:
            tree.remove(known[style.get(f"{W}styleId")])
        tree.append(style)
    return written(tree)


def _child(parent: Element, name: str) -> Element:
    found = parent.find(f"{W}{name}")
    return found if found is not None else ElementTree.SubElement(parent, f"{W}{name}")


def document(xml: bytes) -> bytes:
    """The section: margins, running head, foot."""
    tree = parse(xml)
    body = tree.find(f"{W}body")
    old = body.find(f"{W}sectPr")
    if old is not None:
        body.remove(old)
    body.append(ElementTree.fromstring(SECTION))
    return written(tree)


def relations(xml: bytes) -> bytes:
    """The head and foot as parts of the document."""
    tree = ElementTree.fromstring(xml)
    for number, kind in ((91, "header"), (92, "footer")):
        ElementTree.SubElement(tree, f"{{{PACKAGE}/relationships}}Relationship", {
            "Id": f"rId{number}", "Type": f"{RELATIONS}/{kind}", "Target": f"{kind}1.xml",
        })  # fmt: skip
    ElementTree.register_namespace("", f"{PACKAGE}/relationships")
    return ElementTree.tostring(tree, encoding="UTF-8", xml_declaration=True)


def content_types(xml: bytes) -> bytes:
    """The head and foot as kinds of content."""
    tree = ElementTree.fromstring(xml)
    for kind in ("header", "footer"):
        ElementTree.SubElement(tree, f"{{{PACKAGE}/content-types}}Override", {
            "PartName": f"/word/{kind}1.xml",
            "ContentType":
                f"application/vnd.openxmlformats-officedocument.wordprocessingml.{kind}+xml",
        })  # fmt: skip
    ElementTree.register_namespace("", f"{PACKAGE}/content-types")
    return ElementTree.tostring(tree, encoding="UTF-8", xml_declaration=True)


if __name__ == "__main__":
    main()
