"""Looks at what was made, whichever renderer made it, and names what is wrong with it."""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

UNSEEN = frozenset({"style", "script", "title", "template"})
MATHS = frozenset({"math", "code", "pre"})
PRINTED = "(steps)"
"""Stands among the open tags where a page opens the steps to facts as they are printed."""
TOLD = frozenset({"table", PRINTED})
"""Where words stand that a source printed."""
VOID = ("img", "br", "hr", "link", "meta", "input", "col", "source", "wbr", "area", "base", "embed",
        "param", "track")  # fmt: skip
NO_NUMBER = re.compile(r"(?<![\w-])(nan|NaN|undefined)(?![\w-])")
NO_VALUE = re.compile(r"(?<![\w-])(None|inf)(?![\w-]| [a-z])")
ESCAPE = re.compile(r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|[nt](?![a-z]))")
MARKUP = re.compile(
    r"\{=\w+\}|\[@[\w-]+|#(?:figure|link|table|strong|image|block)[(\[]|"
    r"</?(?:td|tr|th|span|div|strong|small|br|p)\b[^>]*>|&(?:nbsp|lt|gt|amp|quot|#\d+);|"
    r"\*\*\w|\]\(#|\{[#.][\w-]+"
)
"""Markup of Pandoc, Typst or HTML that stands as words, because nothing read it."""
UNRESOLVED = re.compile(r"\?@[\w-]+|(?<![\w.@\\])@(?:fig|tbl|sec)-[\w-]+")


class _Reader(HTMLParser):
    """Visible text, ids, images, tables and outward resources of a page."""

    def __init__(self):
        super().__init__()
        self.text: list[str] = []
        self.cells: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.faults: list[str] = []
        self.mains = 0
        self._open: list[str] = []

    def handle_starttag(self, tag, attributes):
        known = dict(attributes)
        if tag == "details" and "chain" in (known.get("class") or "").split():
            self._open.append(PRINTED)
        if tag not in VOID:
            self._open.append(tag)
        if "id" in known and not {"svg", "math"} & set(self._open):
            self.ids.append(known["id"])
        if tag == "main" or known.get("role") == "main":
            self.mains += 1
        if tag == "img" and not known.get("alt"):
            self.faults.append("a figure has no alternative text")
        if tag == "th" and not known.get("scope"):
            self.faults.append("a table's header cell has no scope")
        source = known.get("src") or (known.get("href") if tag == "link" else "") or ""
        if source.startswith(("http:", "https:", "//")):
            self.faults.append(f"the page loads {source}")
        target = known.get("href") or ""
        if tag == "a" and target.startswith("#"):
            self.links.append(target[1:])
        elif tag == "a" and re.match(r"\s*(javascript|data|vbscript):", target, re.I):
            self.faults.append(f"a link runs {target[:40]}")
        handlers = [
            name
            for name in known
            if name.startswith("on") and "quarto" not in str(known[name]).lower()
        ]  # its own switches
        if handlers:
            self.faults.append(f"<{tag}> carries {handlers[0]}")

    def handle_endtag(self, tag):
        if tag in self._open:
            while self._open.pop() != tag:
                pass
            if self._open[-1:] == [PRINTED]:
                self._open.pop()

    def handle_data(self, data):
        if UNSEEN.isdisjoint(self._open):
            words = data if MATHS.isdisjoint(self._open) else " "
            (self.text if TOLD.isdisjoint(self._open) else self.cells).append(words)


def audit_html(page: str) -> list[str]:
    """What is wrong with a rendered page, in words; empty when nothing is.

    Missing alternative texts and scopes, numbers that are none, references that lead nowhere,
    escapes and source code left over, ids that stand twice, resources from outside.
    """
    reader = _Reader()
    reader.feed(page)
    reader.close()
    known = set(reader.ids)
    faults = list(dict.fromkeys(reader.faults))
    if reader.mains > 1:
        faults.append(f"{reader.mains} parts of the page say they are the main one")
    faults += audit_text(" ".join(reader.text), " ".join(reader.cells))
    dead = dict.fromkeys(name for name in reader.links if name and name not in known)
    faults += [f"a link leads to #{name}, which is not there" for name in dead]
    doubled = sorted(name for name, times in Counter(reader.ids).items() if times > 1)
    return faults + [f"the id {name} stands twice" for name in doubled]


def audit_text(text: str, cells: str = "") -> list[str]:
    """What is wrong with the words of a document in any format.

    `cells` are the words of its tables: they may hold what a source printed, so that only numbers
    that are none are faults there.
    """
    faults = []
    for pattern in (NO_NUMBER, NO_VALUE):
        words = dict.fromkeys(found[1] for found in pattern.finditer(f"{text}\n{cells}"))
        faults += [f"the page says {word!r}" for word in words]
    if "{python}" in text or "```" in text or ":::" in text:
        faults.append("source code is left on the page")
    if "\x1b[" in text:
        faults.append("codes of terminal colours are left on the page")
    seen = list(dict.fromkeys(found[0] for found in ESCAPE.finditer(text)))
    faults += [f"the escape {word} is left on the page" for word in seen[:3]]
    left = list(dict.fromkeys(found[0] for found in MARKUP.finditer(text)))
    faults += [f"the markup {word} is left on the page" for word in left[:3]]
    lost = dict.fromkeys(found[0] for found in UNRESOLVED.finditer(text))
    return faults + [f"the reference {word} was not resolved" for word in lost]


def audit_pdf(path: Path) -> list[str]:
    """What is wrong with the words of a PDF: as `audit_text`, and pages without any.

    The words of tables cannot be told from others there, so that all count as text.
    """
    import pypdfium2

    with pypdfium2.PdfDocument(path) as document:
        pages = [page.get_textpage().get_text_range() for page in document]
    bare = [str(number) for number, text in enumerate(pages, 1) if not text.strip()]
    faults = [f"without any word: page {', '.join(bare)}"] if bare else []
    return faults + audit_text(" ".join(" ".join(pages).split()))


_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_DRAWN = "{http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing}docPr"


def audit_docx(path: Path) -> list[str]:
    """What is wrong with a Word document: as `audit_text`, and figures without a description."""
    with zipfile.ZipFile(path) as package:
        body = ElementTree.fromstring(package.read("word/document.xml"))
    faults = []
    if any(not drawing.get("descr") for drawing in body.iter(_DRAWN)):
        faults.append("a figure has no alternative text")
    cells = [_words(table) for table in body.iter(f"{_W}tbl")]
    for parent in list(body.iter()):
        for table in parent.findall(f"{_W}tbl"):
            parent.remove(table)
    return faults + audit_text(_words(body), "\n".join(cells))


def _words(part: ElementTree.Element) -> str:
    lines = ("".join(run.text or "" for run in paragraph.iter(f"{_W}t"))
             for paragraph in part.iter(f"{_W}p"))  # fmt: skip
    return "\n".join(lines)
