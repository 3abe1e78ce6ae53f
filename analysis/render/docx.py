"""What pandoc's and Quarto's writers leave open in a Word document.

The contents are filled; figures get their descriptions; what Quarto frames in tables of one cell,
call-outs and captioned tables and figures, becomes paragraphs and tables of the text, which break
over pages. How the document looks (type, tables, call-outs, margins, running head) stands in the
styles of `report/reference.docx`, which pandoc and Quarto copy; `scripts/reference_docx.py` makes
that file.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing"
W = f"{{{WORD}}}"
HOLDERS = tuple(f"{W}{name}" for name in ("body", "tbl", "tr", "tc", "sdt", "sdtContent"))
"""What may hold a table."""
CONTENTS = 'TOC \\o "1-2" \\h \\z \\n \\u'
"""Headings of two levels, linked, without page numbers: only a word processor knows those."""


def finish(path: Path, alternatives: Sequence[str] = ()) -> None:
    """Fill the table of contents, and describe the figures that have no alternative text.

    Parameters
    ----------
    path : the .docx, which is replaced.
    alternatives : the alternative texts of its figures, in order; only figures without one take
        theirs (Quarto's writer loses them).
    """
    with zipfile.ZipFile(path) as package:
        parts = {name: package.read(name) for name in package.namelist()}
    body = parse(parts["word/document.xml"])
    unframe(body)
    describe(body, alternatives)
    keep_rows_whole(body)
    keep_ends_together(body)
    fill_lines(body)
    fill_contents(body)
    parts["word/document.xml"] = written(body)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        for name, data in parts.items():
            package.writestr(name, data)


def parse(xml: bytes) -> Element:
    """The tree of a part of the package; its prefixes are kept for `written`."""
    for _, (prefix, address) in ElementTree.iterparse(io.BytesIO(xml), ["start-ns"]):
        if not re.fullmatch(r"ns\d+", prefix):
            ElementTree.register_namespace(prefix, address)
    return ElementTree.fromstring(xml)


def written(tree: Element) -> bytes:
    """The part as bytes."""
    return ElementTree.tostring(tree, encoding="UTF-8", xml_declaration=True)


def unframe(holder: Element) -> None:
    """Take call-outs, tables and figures out of the tables of one cell that Quarto puts them in.

    A call-out (a thick line at the left of such a table) of words alone becomes bordered
    paragraphs under a bold title; one that holds tables or figures, a title and what it holds.
    """
    place = 0
    while place < len(holder):
        block = holder[place]
        if block.tag == f"{W}tbl" and _is_frame(block):
            holder.remove(block)
            for step, freed in enumerate(_framed(block)):
                holder.insert(place + step, freed)
            continue
        if block.tag in HOLDERS:
            unframe(block)
        place += 1


def _is_callout(table: Element) -> bool:
    line = table.find(f"{W}tblPr/{W}tblBorders/{W}left")
    return line is not None and line.get(f"{W}sz") == "24"


def _is_frame(table: Element) -> bool:
    rows = table.findall(f"{W}tr")
    if not rows or any(len(row.findall(f"{W}tc")) != 1 for row in rows):
        return False
    return _is_callout(table) or any(map(_holds_more_than_words, rows))


def _holds_more_than_words(block: Element) -> bool:
    """Whether there is a table or a figure in it."""
    return any(next(block.iter(tag), None) is not None for tag in (f"{W}tbl", f"{W}drawing"))


def _framed(table: Element) -> list[Element]:
    """The blocks in the cells of a frame, as they stand in the text."""
    cells = [
        [block for block in row.find(f"{W}tc") if block.tag != f"{W}tcPr" and not _is_empty(block)]
        for row in table.findall(f"{W}tr")
    ]
    if not _is_callout(table):
        return [block for cell in cells for block in cell]
    title, *rest = cells
    held = [block for cell in rest for block in cell]
    boxed = not any(map(_holds_more_than_words, held))
    for paragraph in title:
        for run in [run for run in paragraph if run.find(f"{W}drawing") is not None]:
            paragraph.remove(run)  # the icon
        _set_style(paragraph, "Callout" if boxed else "FoldedTitle")
        for run in paragraph.iter(f"{W}r"):
            properties = run.find(f"{W}rPr")
            if properties is None:
                properties = Element(f"{W}rPr")
                run.insert(0, properties)
            SubElement(properties, f"{W}b")
    if boxed:
        for paragraph in held:
            _set_style(paragraph, "Callout")
    return title + held


def _is_empty(block: Element) -> bool:
    return (
        block.tag == f"{W}p"
        and not _text(block).strip()
        and next(block.iter(f"{W}drawing"), None) is None
    )


def _set_style(paragraph: Element, style: str) -> None:
    properties = paragraph.find(f"{W}pPr")
    if properties is None:
        properties = Element(f"{W}pPr")
        paragraph.insert(0, properties)
    for name in ("pStyle", "spacing", "textAlignment"):
        for old in properties.findall(f"{W}{name}"):
            properties.remove(old)
    first = Element(f"{W}pStyle")
    first.set(f"{W}val", style)
    properties.insert(0, first)


def describe(body: Element, alternatives: Sequence[str]) -> None:
    """Give each figure without a description the text of its place in `alternatives`."""
    figures = list(body.iter(f"{{{DRAWING}}}docPr"))
    if len(figures) == len(alternatives):
        for figure, text in zip(figures, alternatives, strict=True):
            if not figure.get("descr"):
                figure.set("descr", text)


def keep_rows_whole(body: Element) -> None:
    """No row of a table breaks over two pages, but for one that holds a table of its own."""
    for row in body.iter(f"{W}tr"):
        if next(row.iter(f"{W}tbl"), None) is not None:
            continue
        properties = row.find(f"{W}trPr")
        if properties is None:
            properties = Element(f"{W}trPr")
            row.insert(0, properties)
        if properties.find(f"{W}cantSplit") is None:
            properties.insert(0, Element(f"{W}cantSplit"))


OPENING, CLOSING = 3, 3
"""Rows of a table that stay on one page: its head with the first, and the last."""


def keep_ends_together(body: Element) -> None:
    """No page begins or ends with one or two rows of a table, or with the head of others."""
    for table in body.iter(f"{W}tbl"):
        rows = table.findall(f"{W}tr")
        if len(list(table.iter(f"{W}tbl"))) > 1:
            continue
        for place, row in enumerate(rows[:-1]):
            if place < OPENING or place >= len(rows) - CLOSING or _heads(row):
                for paragraph in row.iter(f"{W}p"):
                    _keep_with_next(paragraph)


def _heads(row: Element) -> bool:
    """Whether a row heads those under it: words in its first cell alone."""
    told = ["".join(map(_text, cell.iter(f"{W}p"))).strip("\u200b ")
            for cell in row.findall(f"{W}tc")]  # fmt: skip
    return len(told) > 1 and bool(told[0]) and not any(told[1:])


def _keep_with_next(paragraph: Element) -> None:
    properties = paragraph.find(f"{W}pPr")
    if properties is None:
        properties = Element(f"{W}pPr")
        paragraph.insert(0, properties)
    if properties.find(f"{W}keepNext") is None:
        styled = properties.find(f"{W}pStyle") is not None
        properties.insert(1 if styled else 0, Element(f"{W}keepNext"))


def fill_lines(body: Element) -> None:
    """Columns of tables as wide as a line in all; pandoc counts on other margins than ours."""
    section = body.find(f".//{W}sectPr")
    size, margins = section.find(f"{W}pgSz"), section.find(f"{W}pgMar")
    if size is None or margins is None:
        return
    edges = sum(int(margins.get(f"{W}{side}")) for side in ("left", "right"))
    line = int(size.get(f"{W}w")) - edges
    for table in body.iter(f"{W}tbl"):
        width = table.find(f"{W}tblPr/{W}tblW")
        if width is None or width.get(f"{W}type") != "pct":
            continue
        columns = table.findall(f"{W}tblGrid/{W}gridCol")
        whole = sum(int(column.get(f"{W}w")) for column in columns)
        for column in columns:
            column.set(f"{W}w", str(int(column.get(f"{W}w")) * line // whole))


def headings(body: Element, deepest: int = 2) -> list[tuple[int, str, str]]:
    """Level, text and bookmark ("" where none) of each heading."""
    found = []
    bookmark = ""
    for element in body.iter():
        if element.tag == f"{W}bookmarkStart":
            bookmark = element.get(f"{W}name", "")
        elif element.tag == f"{W}p":
            style = element.find(f"{W}pPr/{W}pStyle")
            match = (
                re.fullmatch(r"Heading(\d)", style.get(f"{W}val", ""))
                if style is not None
                else None
            )
            if match and int(match[1]) <= deepest:
                own = element.find(f"{W}bookmarkStart")
                name = own.get(f"{W}name", "") if own is not None else bookmark
                found.append((int(match[1]), _text(element), name))
            if _text(element).strip():
                bookmark = ""
    return found


def _text(paragraph: Element) -> str:
    words = {f"{W}t": lambda e: e.text or "", f"{W}tab": lambda e: "  "}
    return "".join(words[e.tag](e) for e in paragraph.iter() if e.tag in words)


def fill_contents(body: Element) -> None:
    """Write the headings into the table of contents, each a link to its place.

    The field stays, so that a word processor can bring it up to date; it is no longer marked as
    stale, so that none asks to.
    """
    for block in body.iter(f"{W}sdt"):
        gallery = block.find(f"{W}sdtPr/{W}docPartObj/{W}docPartGallery")
        if gallery is None or gallery.get(f"{W}val") != "Table of Contents":
            continue
        content = block.find(f"{W}sdtContent")
        for paragraph in content.findall(f"{W}p"):
            if paragraph.find(f".//{W}instrText") is not None:
                content.remove(paragraph)
        entries = headings(body)
        for number, (level, text, name) in enumerate(entries):
            first, last = number == 0, number == len(entries) - 1
            content.append(_entry(level, text, name, first=first, last=last))


def _entry(level: int, text: str, bookmark: str, *, first: bool, last: bool) -> Element:
    paragraph = Element(f"{W}p")
    SubElement(SubElement(paragraph, f"{W}pPr"), f"{W}pStyle").set(f"{W}val", f"TOC{level}")
    if first:
        _field(paragraph, "begin")
        run = SubElement(paragraph, f"{W}r")
        code = SubElement(run, f"{W}instrText")
        code.set("{http://www.w3.org/XML/1998/namespace}space", "preserve")
        code.text = f" {CONTENTS} "
        _field(paragraph, "separate")
    holder = paragraph
    if bookmark:
        holder = SubElement(paragraph, f"{W}hyperlink")
        holder.set(f"{W}anchor", bookmark)
    shown = SubElement(SubElement(holder, f"{W}r"), f"{W}t")
    shown.set("{http://www.w3.org/XML/1998/namespace}space", "preserve")
    shown.text = text
    if last:
        _field(paragraph, "end")
    return paragraph


def _field(paragraph: Element, kind: str) -> None:
    SubElement(SubElement(paragraph, f"{W}r"), f"{W}fldChar").set(f"{W}fldCharType", kind)
