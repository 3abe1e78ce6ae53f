"""A cell of the evidence on its way out: one function for each language it may end up in.

Whatever stands in a cell, whoever typed it, is text: it never becomes a tag, a formula, a command
or a reference of the document that shows it. Rooms that write such a document call the function of
its language at the place where the cell is put in, and nowhere before.
"""

from __future__ import annotations

import re
import string

import pandas as pd

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\u202a-\u202e\u2066-\u2069]")
_SPACE = re.compile(r"[ \t\r\n\x0b\x0c\u2028\u2029]+")

_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})
_MARKDOWN = str.maketrans(
    {mark: f"\\{mark}" for mark in string.punctuation if mark not in ",;/?%()"}
)
_TYPST = str.maketrans({mark: f"\\{mark}" for mark in "\\#$*_`<>@[]{}~-+=/'\"."})
_BIBTEX = str.maketrans(
    {mark: f"\\{mark}" for mark in "&%$#_"}
    | {
        "\\": "{\\textbackslash}",
        "{": "{\\textbraceleft}",
        "}": "{\\textbraceright}",
        "~": "{\\textasciitilde}",
        "^": "{\\textasciicircum}",
        '"': "{\\textquotedbl}",
    }
)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_UNSAFE = r"\s\"'<>\\`^{|}"
URL = rf"https?://[^/$.?#,{_UNSAFE}][^,{_UNSAFE}]*\.[^{_UNSAFE}]+"
"""What an address must look like: http or https; no quotes, spaces, tags, braces, backslashes."""
_IN_MARKUP = str.maketrans({"(": "%28", ")": "%29", "[": "%5B", "]": "%5D"})


def line(text: object) -> str:
    """`text` on one line: every run of white space a single space, control characters gone.

    A no-break space stays. Marks that turn the direction of writing go too, because they can make
    a cell read as what it is not.
    """
    return _CONTROL.sub("", _SPACE.sub(" ", str(text)))


def html(text: object) -> str:
    """`text` as it is put between tags or into a quoted attribute of HTML or SVG."""
    return line(text).translate(_HTML)


def markdown(text: object) -> str:
    """`text` as words of Pandoc's and Quarto's Markdown, in a paragraph or a cell of a table.

    Every mark that can begin markup, a reference, mathematics, an entity, a list or a smart quote
    is preceded by a backslash.
    """
    return line(text).translate(_MARKDOWN)


def typst(text: object) -> str:
    """`text` as words of Typst's markup."""
    return line(text).translate(_TYPST)


def bibtex(text: object) -> str:
    """`text` as the value of a BibTeX field: braces balanced, no command, no mathematics."""
    return line(text).strip().translate(_BIBTEX)


def csv_formula(text: str) -> str:
    """`text` as a cell of a CSV file that spreadsheets show instead of computing.

    A cell that begins with =, +, -, @ or a tab is a formula to them; it gets an apostrophe in
    front, the sign by which they know text. Numbers stay numbers.

    References
    ----------
    OWASP, CSV Injection.
    """
    if text[:1] in tuple("=+-@\t\r") and text != "-" and not _NUMBER.fullmatch(text):
        return f"'{text}"
    return text


def csv_table(frame: pd.DataFrame) -> pd.DataFrame:
    """A table as it is written to a CSV file: each text through `csv_formula`."""
    return frame.map(lambda cell: csv_formula(cell) if isinstance(cell, str) else cell)


def url(address: object) -> str:
    """The address, where it is one that may be linked to; else an empty text.

    Brackets that Markdown would read are percent-encoded, which leads to the same page.
    """
    text = str(address).strip()
    return text.translate(_IN_MARKUP) if is_url(text) else ""


def is_url(address: object) -> bool:
    """Whether a text is an http or https address that can be linked to without harm (`URL`)."""
    return bool(re.fullmatch(URL, str(address))) and not _CONTROL.search(str(address))
