"""The template of a new study: plain text, one `column: value` a line.

    studies:
      - study_id: zang2022
        title: Efficacy and safety: a phase II trial
    outcomes:
      - arm: treated
        value: 9.02

What is typed after `column: ` is the text of the cell, whatever characters it has. A name alone
with a colon begins a table, a dash begins a row, and a line that begins with # is a comment.
Blanks at both ends go. Quotation marks around a whole cell are part of the text in columns of free
text; in the others (words, numbers, units, addresses), where none can stand, they go, as in files
that were filled as YAML. A line that is indented further and names no column continues the cell
above it.
"""

from __future__ import annotations

import difflib
import re
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

from analysis import evidence
from analysis.newstudy.form import (
    FILES,
    FROM_STUDY,
    SECTIONS,
    Mistake,
    Rows,
    Submission,
    closed,
    completed,
    section,
)

DICTIONARY = "README.md"

_SECTION = re.compile(r"(\w+):[ \t]*(\[\])?[ \t]*")
_CELL = re.compile(r"(?P<indent>[ \t]*)(?P<dash>[-–—•*][ \t]+)?(?P<column>\w+):(?P<text>.*)")
_BLOCK_MARKS = (">", "|", ">-", "|-")


# --- writing -----------------------------------------------------------------------------------


def template(raw: Path = evidence.RAW) -> str:
    """A file to fill: every table and column, with what it means and what it may hold.

    The meanings are those of the data dictionary of `raw`; without one, what a cell may hold.
    """
    meanings = dictionary(Path(raw))
    lines = [
        "# A new study. Fill in what the source prints, in the source's own units; leave the rest",
        "# blank. Only a number that was seen, never one derived or recalled.",
        "# What stands after `column: ` is the text of the cell: no quotation marks are needed.",
        "# One row (from the dash on) is one fact: copy it for each further fact; rows that stay",
        "# empty are passed over, and empty columns may be deleted.",
        f"# In the facts study_id, {', '.join(FROM_STUDY)} may be left blank: they are then those",
        "# of the study. A blank cohort is the study itself, as its primary report.",
    ]
    for name in FILES:
        lines += ["", f"# ---- {section(name)} ----"]
        for column, spec in evidence.TABLES[name].items():
            meaning = meanings.get(name, {}).get(column) or spec.describe()
            lines += textwrap.wrap(
                f"{column}: {'(needed) ' if spec.needed else ''}{meaning}",
                96,
                initial_indent="# ",
                subsequent_indent="#     ",
                break_on_hyphens=False,
            )
        lines.append(f"{section(name)}:")
        for position, column in enumerate(evidence.TABLES[name]):
            lines.append(f"  {'- ' if position == 0 else '  '}{column}:")
    return "\n".join(lines) + "\n"


def text_of(rows: Rows) -> str:
    """The rows as a filled template; `read` gives the same rows back.

    Raises
    ------
    ValueError : a cell holds a line break, which one line cannot say.
    """
    lines = []
    for name in FILES:
        if not rows.get(name):
            continue
        lines.append(f"{section(name)}:")
        for row in rows[name]:
            cells = [(column, value) for column, value in row.items() if value]
            for position, (column, value) in enumerate(cells):
                if re.search(r"[\r\n]", value):
                    raise ValueError(f"{section(name)}, {column}: {value!r}: text without a line "
                                     "break")  # fmt: skip
                lines.append(f"  {'- ' if position == 0 else '  '}{column}: {value}")
    return "\n".join(lines) + "\n"


def dictionary(raw: Path) -> dict[str, dict[str, str]]:
    """File -> column -> meaning, from the tables of the data dictionary; empty without one."""
    path = raw / DICTIONARY
    if not path.exists():
        return {}
    found: dict[str, dict[str, str]] = {}
    name = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if heading := re.match(r"## (\S+\.csv)", line):
            name = heading[1]
        elif name and (row := re.match(r"\| `(\w+)` \| (.+) \|$", line)):
            found.setdefault(name, {})[row[1]] = row[2].replace("`", "")
    return found


# --- reading -----------------------------------------------------------------------------------


@dataclass
class _Row:
    """A row as it is read: its cells, where it begins, how far its columns are indented."""

    line: int
    cells: dict[str, str] = field(default_factory=dict)
    indent: int = 0
    last: str = ""


@dataclass
class _Reading:
    """The state of reading a template line by line."""

    source: str
    name: str = "studies.csv"  # a file without section names holds one study
    rows: dict[str, list[_Row]] = field(default_factory=lambda: {name: [] for name in FILES})
    mistakes: list[Mistake] = field(default_factory=list)
    skipping: bool = False

    def wrong(self, line: int, value: str, allowed: str) -> None:
        self.mistakes.append(Mistake(f"{self.source}, line {line}", value[:80], allowed))

    def take(self, number: int, line: str) -> None:
        """Take one line into the rows, or say what is wrong with it."""
        if not line.strip() or line.lstrip().startswith("#"):
            return
        bare = line.lstrip()  # blanks before it, of whatever kind, are spaces
        line = " " * (len(line) - len(bare)) + bare
        heading = _SECTION.fullmatch(line.strip())
        if heading and f"{heading[1]}.csv" in FILES:
            self.name, self.skipping = f"{heading[1]}.csv", False
        elif heading and line[0] not in " \t-" and not self._column(heading[1]):
            self.skipping = True
            near = evidence.word_meant(heading[1], map(section, FILES))
            said = f"; write {near}" if near else ""
            self.wrong(number, heading[1], f"only the sections {SECTIONS}{said}")
        elif self.skipping:
            return
        elif line.strip() == "-":
            self.rows[self.name].append(_Row(number))
        elif cell := _CELL.fullmatch(line):
            self._cell(number, line, cell)
        else:
            self._more_text(number, line)

    def _column(self, word: str) -> bool:
        return word in evidence.TABLES[self.name]

    def _cell(self, number: int, line: str, cell: re.Match) -> None:
        column, text = cell["column"], cell["text"]
        if not self._column(column):
            if text[:1] not in ("", " ", "\t"):  # an address, or a time of the day
                self._more_text(number, line)
                return
            allowed = f"a column of {section(self.name)}: " + ", ".join(evidence.TABLES[self.name])
            near = difflib.get_close_matches(column, evidence.TABLES[self.name], 1)
            self.wrong(number, column, f"{allowed}{f' ({near[0]}?)' if near else ''}")
            return
        rows = self.rows[self.name]
        if cell["dash"] or not rows:
            rows.append(_Row(number))
        row = rows[-1]
        if column in row.cells:
            self.wrong(number, f"{column} stands twice", "each column once in a row; a new row "
                       "begins with a dash")  # fmt: skip
            return
        row.cells[column] = _unquoted(text.strip(), self.name, column)
        row.last, row.indent = column, len(cell["indent"]) + len(cell["dash"] or "")

    def _more_text(self, number: int, line: str) -> None:
        row = self.rows[self.name][-1] if self.rows[self.name] else None
        deeper = row is not None and len(line) - len(line.lstrip()) > row.indent
        if row is None or not row.last or not deeper:
            self.wrong(number, line.strip(), "`column: value`, a table's name with a colon, or a "
                       "line that begins with #")  # fmt: skip
            return
        above = row.cells[row.last]
        above = "" if above in _BLOCK_MARKS else above
        text = f"{above} {line.strip()}".strip()
        row.cells[row.last] = _unquoted(text, self.name, row.last)


def _unquoted(text: str, name: str, column: str) -> str:
    """Without the quotation marks around the whole, in a column where none can stand."""
    quoted = len(text) > 1 and text[0] in "\"'" and text[-1] == text[0]
    return text[1:-1].strip() if quoted and closed(name, column) else text


FORM = "one `column: value` a line, as `isletmeta add --template FILE` writes it"
OR_TABLES = "a table as FILE.csv: " + evidence.HOW_TO_SAVE


def _is_a_table(name: str, text: str) -> bool:
    """Whether a text is a table of cells: its first line names columns, whatever parts them."""
    first = next((line for line in re.split(r"[\r\n]+", text) if line.strip()), "")
    names = {cell.strip().strip('"') for cell in re.split(r"[,;\t|]", first)}
    return any(len(names & set(evidence.TABLES[file])) > 1 for file in FILES)


def read(path: Path) -> Submission:
    """The rows of a filled template, and what is wrong with its form.

    A row without any value is no fact and is passed over; what a fact leaves out and its study has
    is taken from the study (`completed`). Nothing is raised for a wrong file.
    """
    path = Path(path)

    def nothing(value: str, allowed: str) -> Submission:
        return Submission({}, {}, path.name, (Mistake(path.name, value, allowed),))

    try:
        data = path.read_bytes()
    except OSError as error:
        return nothing(error.strerror or "", "a file that can be read")
    text, fault = evidence.text_of(path.name, data)
    if fault:
        return nothing(fault.value, f"plain text in UTF-8, {FORM}; {OR_TABLES}")
    if _is_a_table(path.name, text):
        return nothing("(cells in columns)", f"{FORM}; {OR_TABLES}")
    reading = _Reading(path.name)
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), start=1):
        reading.take(number, line)
    rows: Rows = {name: [] for name in FILES}
    numbers: dict[str, list[int]] = {name: [] for name in FILES}
    lines: dict[tuple[str, int], int] = {}
    for name, members in reading.rows.items():
        for number, row in enumerate(members, start=1):
            lines[name, number] = row.line
            if any(row.cells.values()):
                rows[name].append(row.cells)
                numbers[name].append(number)
    if not reading.mistakes and not any(rows.values()):
        return nothing("(no row is filled)", "at least one filled row")
    return Submission(completed(rows), numbers, path.name, tuple(reading.mistakes), lines)
