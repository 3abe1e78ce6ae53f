"""What pandoc's writer leaves open in a Word document: the contents, and figures' descriptions.

How the document looks (type, tables, call-outs, margins, running head) stands in the styles of
`report/reference.docx`, which pandoc and Quarto copy; `scripts/reference_docx.py` makes that file.
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
    describe(body, alternatives)
    keep_rows_whole(body)
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


def describe(body: Element, alternatives: Sequence[str]) -> None:
    """Give each figure without a description the text of its place in `alternatives`."""
    figures = list(body.iter(f"{{{DRAWING}}}docPr"))
    if len(figures) == len(alternatives):
        for figure, text in zip(figures, alternatives, strict=True):
            if not figure.get("descr"):
                figure.set("descr", text)


def keep_rows_whole(body: Element) -> None:
    """No row of a table breaks over two pages."""
    for row in body.iter(f"{W}tr"):
        properties = row.find(f"{W}trPr")
        if properties is None:
            properties = Element(f"{W}trPr")
            row.insert(0, properties)
        if properties.find(f"{W}cantSplit") is None:
            properties.insert(0, Element(f"{W}cantSplit"))


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
