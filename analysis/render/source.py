"""The Quarto source as the embedded renderer and the audit read it: header, text, cells, labels."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml

CELL = re.compile(r"^```\{python\}\n(.*?)^```\s*$", re.M | re.S)
INLINE = re.compile(r"(?<!`)`\{python\}[ \t]+([^`]+)`")
REFERENCE = re.compile(r"(?<![\\\w])@((?:fig|tbl|sec)-[\w-]*\w)")
HEADING_LABEL = re.compile(r"^#{1,6} .*\{[^}\n]*#([\w-]+)[^}\n]*\}\s*$", re.M)


class RenderError(RuntimeError):
    """The report could not be made; the message says where and why. Nothing was written."""


@dataclass
class Cell:
    """A code cell: its source, its options, and the line of the .qmd on which it begins."""

    source: str
    options: dict = field(default_factory=dict)
    line: int = 0
    first: int = 0
    """The line of the .qmd that holds the first line of `source`."""

    @property
    def label(self) -> str:
        return str(self.options.get("label", ""))


class Text(str):
    """Markdown between the cells; `line` is the line of the .qmd on which it begins."""

    line: int = 0


def read(path: Path) -> tuple[dict, list[Text | Cell]]:
    """The header and the parts of a .qmd file. Raises RenderError for one that cannot be read."""
    path = Path(path)
    if not path.is_file():
        raise RenderError(f"{path}: no such file")
    try:
        return split(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise RenderError(f"{path}: not UTF-8: {error}") from None
    except ValueError as error:
        raise RenderError(f"{path}:{error}") from None


def split(text: str) -> tuple[dict, list[Text | Cell]]:
    """The YAML header and the parts of a .qmd in order: Markdown as `Text`, code as `Cell`.

    Raises
    ------
    ValueError : `LINE: what is wrong` for a header or options that are no YAML.
    """
    header: dict = {}
    offset = 0
    if text.startswith("---\n"):
        end = text.find("\n---\n", 3)
        if end < 0:
            raise ValueError("1: the header that begins with --- does not end")
        header = _yaml(text[4:end], 1)
        offset = text[: end + 5].count("\n")
        text = text[end + 5 :]
    parts: list[Text | Cell] = []
    position = 0

    def add_text(upto: int) -> None:
        if upto > position:
            part = Text(text[position:upto])
            part.line = offset + text[:position].count("\n") + 1
            parts.append(part)

    for match in CELL.finditer(text):
        add_text(match.start())
        line = offset + text[: match.start()].count("\n") + 1
        lines = match[1].splitlines(keepends=True)
        head = 0
        while head < len(lines) and lines[head].startswith("#|"):
            head += 1
        options = _yaml("".join(entry[2:].removeprefix(" ") for entry in lines[:head]), line)
        parts.append(Cell("".join(lines[head:]), options, line, line + 1 + head))
        position = match.end()
    add_text(len(text))
    return header, parts


def _yaml(text: str, line: int) -> dict:
    try:
        found = yaml.safe_load(text.rstrip("\n")) or {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        at = line + 1 + (mark.line if mark else 0)
        raise ValueError(f"{at}: not YAML: {getattr(error, 'problem', error)}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{line}: expected `name: value` lines, found {text.strip()[:60]!r}")
    return found


def inline(part: Text) -> list[tuple[str, int]]:
    """The inline expressions of a text, each with its line of the .qmd."""
    return [(found[1], part.line + part[: found.start()].count("\n"))
            for found in INLINE.finditer(part)]  # fmt: skip


def labels(parts: list[Text | Cell]) -> list[tuple[str, int]]:
    """Every label of cells and headings with its line, in order."""
    found = []
    for part in parts:
        if isinstance(part, Cell):
            if part.label:
                found.append((part.label, part.line))
        else:
            found += [(match[1], part.line + part[: match.start()].count("\n"))
                      for match in HEADING_LABEL.finditer(part)]  # fmt: skip
    return found


def check(parts: list[Text | Cell], name: str) -> None:
    """Refuse labels that stand twice and references that lead nowhere, all at once.

    Raises
    ------
    RenderError : one line a fault, `FILE:LINE: what`.
    """
    first: dict[str, int] = {}
    faults = []
    for label, line in labels(parts):
        if label in first:
            faults.append(f"{name}:{line}: the label {label} stands in line {first[label]} already")
        first.setdefault(label, line)
    for part in parts:
        if isinstance(part, Cell):
            asked = "\n".join(str(part.options.get(key, "")) for key in ("fig-cap", "tbl-cap"))
            lines = [(match[1], part.line) for match in REFERENCE.finditer(asked)]
        else:
            bare = INLINE.sub(lambda found: "\n" * found[0].count("\n"), part)
            lines = [(match[1], part.line + bare[: match.start()].count("\n"))
                     for match in REFERENCE.finditer(bare)]  # fmt: skip
        faults += [f"{name}:{line}: @{label} refers to nothing" for label, line in lines
                   if label not in first]  # fmt: skip
    if faults:
        raise RenderError("\n".join(faults))
