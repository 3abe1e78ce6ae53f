"""One file of the evidence as people save it: bytes to rows, a fault for what is unreadable.

Spreadsheets leave traces: byte order marks, line ends of three kinds, rows and columns of nothing;
these say nothing. What cannot be read for certain (semicolons, tabs, a title above the header,
another encoding) is one fault that says what is wrong with the file and how to save it. A cell that
may not stand so is one fault with a hint (`hints`).
"""

import csv
import hashlib
import io
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.evidence import hints
from analysis.evidence.faults import Fault
from analysis.evidence.schema import OPTIONAL_FILES, TABLES, Column, Row, number

Record = tuple[int, list[str]]
"""The line on which a record of a csv file begins, and its cells."""

HOW_TO_SAVE = (
    "save it as csv in UTF-8 with commas between the cells and a decimal point (in Excel: Save As, "
    "'CSV UTF-8 (Comma delimited)'; in LibreOffice: Save As, 'Text CSV', UTF-8, field delimiter ,)"
)
_LINES_ABOVE = 20
"""So many records are searched for the header."""

_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "bars"}


@dataclass
class Table:
    """One file as read: the cells as printed and as parsed, whether it could be read at all.

    `unread` holds the lines with a cell of which nothing certain is known: rules that would only
    repeat that fault in other words pass them over. A table is shared by all who read the same
    bytes: nobody changes it.
    """

    name: str
    rows: list[Row] = field(default_factory=list)
    printed: list[dict[str, str]] = field(default_factory=list)
    unread: set[int] = field(default_factory=set)
    readable: bool = True
    digest: str = ""

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The rows with their lines: float64 for numbers, str for all else."""
        kinds = {column: "float64" if spec.numeric else "str"
                 for column, spec in TABLES[self.name].items()}  # fmt: skip
        kinds["line"] = "int64"
        return pd.DataFrame(
            {
                column: pd.array([row[column] for row in self.rows], dtype="str")
                if kind == "str"
                else np.array([row[column] for row in self.rows], dtype=kind)
                for column, kind in kinds.items()
            }
        )

    def fault(self, row: Row, column: str, allowed: str) -> Fault:
        value = row.get(column, "")
        if isinstance(value, float):
            value = "" if math.isnan(value) else f"{value:.12g}"
        return Fault(self.name, int(row["line"]), column, str(value), allowed)


# --- bytes to text ---------------------------------------------------------------------------

_NO_TEXT = (
    (b"PK\x03\x04", "a workbook (xlsx or ods)"),
    (b"\xd0\xcf\x11\xe0", "a workbook (xls)"),
    (b"%PDF", "a PDF"),
    (b"\x1f\x8b", "a compressed file"),
    (b"{\\rtf", "a text with formats (rtf)"),
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"),
    (b"<?xml", "an XML file"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file"),
)


def _read_bytes(path: Path) -> bytes | Fault:
    """The bytes of a file, or what kept it from being read."""
    name = path.name
    try:
        return path.read_bytes()
    except FileNotFoundError:
        like = [p.name for p in _siblings(path) if _resembles(p.name, name)]
        allowed = "this file is needed" + (f"; is it {like[0]}?" if like else "")
        return Fault(name, 1, "(file)", "(missing file)", allowed)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return Fault(name, 1, "(file)", reason, "a file that can be read")


def _siblings(path: Path) -> list[Path]:
    try:
        return sorted(path.parent.iterdir())
    except OSError:
        return []


def _resembles(found: str, wanted: str) -> bool:
    stem = wanted.removesuffix(".csv").lower()
    plain = re.sub(r"[\W_]*(\(?\d*\)?|copy)?\.\w+$", "", found.lower())
    return found != wanted and plain.removesuffix(".csv") == stem


def text_of(name: str, data: bytes) -> tuple[str, Fault | None]:
    """The text of a file, and what kept it from being one."""
    for start, what in _NO_TEXT:
        if data.lstrip()[: len(start)].lower() == start.lower():
            return "", Fault(name, 1, "(file)", what, HOW_TO_SAVE)
    if wide := _wide(data):
        return "", Fault(name, 1, "(encoding)", wide, HOW_TO_SAVE)
    try:
        text = data.decode("utf-8").lstrip("\ufeff")
    except UnicodeDecodeError as error:
        before = data[: error.start].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        byte = data[error.start : error.start + 1]
        meant = byte.decode("cp1252", errors="ignore")
        value = f"byte 0x{byte.hex()}" + (f" ({meant} in Windows-1252)" if meant else "")
        return "", Fault(name, before.count(b"\n") + 1, "(encoding)", value, HOW_TO_SAVE)
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        return "", Fault(name, line, "(text)", "NUL byte", f"text without NUL bytes: {HOW_TO_SAVE}")
    if not text.strip():
        return "", Fault(name, 1, "(file)", "(empty file)", "a header and one fact a line")
    return text, None


def _wide(data: bytes) -> str:
    """The encoding of more than one byte a letter that the bytes are in, "" where they are not.

    Without a mark it is told by its NUL bytes: every second one in a text of Latin letters.
    """
    for mark, encoding in ((b"\xff\xfe\0\0", "UTF-32"), (b"\0\0\xfe\xff", "UTF-32"),
                           (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16")):  # fmt: skip
        if data.startswith(mark):
            return encoding
    head = data[:200]
    return "UTF-16" if max(head[::2].count(0), head[1::2].count(0)) > len(head) / 3 else ""


# --- text to records -------------------------------------------------------------------------


def records(name: str, text: str, delimiter: str = ",") -> tuple[list[Record], list[Fault]]:
    """The records of a csv text, and what kept it from being read to its end."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
    found: list[Record] = []
    begin = 1
    while True:
        try:
            record = next(reader)
        except StopIteration:
            return found, []
        except csv.Error as error:
            allowed = "csv with commas between cells and balanced double quotes"
            return found, [Fault(name, begin, "(csv)", str(error), allowed)]
        found.append((begin, record))
        begin = reader.line_num + 1


def line_end(data: bytes) -> str:
    """The line end that a file uses: CR LF, LF, or CR alone (old Macs)."""
    if b"\r\n" in data:
        return "\r\n"
    return "\r" if b"\r" in data and b"\n" not in data else "\n"


def header_of(name: str, data: bytes) -> list[str]:
    """The columns of a file in its own order, as `check` reads them; [] if it cannot be read.

    A column of nothing is "".
    """
    text, fault = text_of(name, data)
    if fault:
        return []
    found, _ = records(name, text)
    return next((_header(cells) for _, cells in found if any(map(hints.cleaned, cells))), [])


def appended(name: str, data: bytes, rows: list[dict[str, str]]) -> bytes:
    """The file with rows at its end, in the order of its own header and with its own line end."""
    end = line_end(data)
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator=end)
    header = header_of(name, data)
    writer.writerows([row.get(column, "") for column in header] for row in rows)
    joint = b"" if not data or data.endswith((b"\n", b"\r")) else end.encode()
    return data + joint + buffer.getvalue().encode("utf-8")


def _header(cells: list[str]) -> list[str]:
    return [hints.cleaned(cell).lstrip("\ufeff") for cell in cells]


def _known(cells: list[str], columns: Mapping[str, Column]) -> int:
    return len(set(_header(cells)) & set(columns))


def _needed(columns: Mapping[str, Column]) -> list[str]:
    return [column for column, spec in columns.items() if not spec.optional]


def _enough(columns: Mapping[str, Column]) -> int:
    """So many known names make a header."""
    return max(2, len(_needed(columns)) // 2)


def _delimited(name: str, text: str, enough: int) -> Fault | None:
    """That something else than commas stands between the cells, if it does."""
    columns = TABLES[name]
    head = "\n".join(re.split(r"\r\n|\r|\n", text)[:_LINES_ABOVE])
    for delimiter, called in _DELIMITERS.items():
        found = [(line, cells) for line, cells in records(name, head, delimiter)[0]
                 if any(map(hints.cleaned, cells))]  # fmt: skip
        if any(_known(cells, columns) >= enough for _, cells in found):
            return Fault(name, found[0][0], "(file)", f"{called} between the cells", HOW_TO_SAVE)
    return None


def layout_fault(
    name: str, text: str, found: list[Record], enough: int | None = None
) -> Fault | None:
    """What is wrong with the file as a whole, in one fault: delimiter, title, header.

    Parameters
    ----------
    name : a key of `TABLES`, of which the file should be.
    text, found : the file and its records, as `records` gives them.
    enough : so many names of columns make a header; by default half of those that are needed.
    """
    columns = TABLES[name]
    enough = _enough(columns) if enough is None else enough
    filled = [(line, cells) for line, cells in found if any(map(hints.cleaned, cells))]
    if not filled:
        return Fault(name, 1, "(file)", "(empty file)", "a header and one fact a line")
    line, first = filled[0]
    if _known(first, columns) >= enough:
        return None
    if delimited := _delimited(name, text, enough):
        return delimited
    for below, cells in filled[1:_LINES_ABOVE]:
        if _known(cells, columns) >= enough:
            allowed = f"the header in the first line: delete what stands above line {below}"
            return Fault(name, line, "(file)", ", ".join(filter(None, first)), allowed)
    for other, theirs in TABLES.items():
        if other != name and _known(first, theirs) >= 0.8 * len(_needed(theirs)):
            allowed = f"the header of {name}; this is that of {other}"
            return Fault(name, line, "(header)", ",".join(first), allowed)
    if _known([cell.strip().lower().replace(" ", "_") for cell in first], columns) >= enough:
        allowed = "the names of the columns in small letters, words joined by _: "
        return Fault(name, line, "(header)", ",".join(first), allowed + ",".join(columns))
    if _known([cell.strip().strip("'‘’“”`") for cell in first], columns) >= enough:
        value = 'quotation marks other than " around the cells'
        return Fault(name, line, "(file)", value, HOW_TO_SAVE)
    allowed = "a header: the first line names the columns " + ",".join(columns)
    return Fault(name, line, "(header)", ",".join(first), allowed)


def _spaced(name: str, found: list[Record]) -> Fault | None:
    """That a space follows every comma, told once and not at each cell."""
    inner = [cell for _, cells in found[:_LINES_ABOVE] for cell in cells[1:] if cell]
    if len(inner) > 2 and all(cell.startswith(" ") for cell in inner):
        allowed = "commas alone between the cells: replace each comma and space by a comma"
        return Fault(name, found[0][0], "(file)", "a space after each comma", allowed)
    return None


def _header_faults(
    name: str, line: int, header: list[str], columns: Mapping[str, Column]
) -> list[Fault]:
    faults = []
    missing = [column for column in columns if column not in header]
    for position, column in enumerate(header):
        if column in header[:position]:
            faults.append(Fault(name, line, column, "(duplicate column)", "each column once"))
        elif column not in columns:
            near = hints.word_meant(column, missing) if missing else ""
            if near:
                missing.remove(near)
                allowed = f"write {near}"
            else:
                allowed = "only the columns " + ", ".join(columns)
            faults.append(Fault(name, line, column or "(no name)", "(extra column)", allowed))
    for column in missing:
        if not columns[column].optional:
            faults.append(Fault(name, line, column, "(missing column)", "this column is needed"))
    return faults


# --- records to rows -------------------------------------------------------------------------


def _without_blank_columns(header: list[str], rows: list[Record]) -> tuple[list[str], list[Record]]:
    """Columns that have neither a name nor a cell are none."""
    blank = {
        at
        for at, column in enumerate(header)
        if not column and not any(at < len(cells) and cells[at].strip() for _, cells in rows)
    }
    width = len(header)

    def kept(cells: list[str]) -> list[str]:
        while len(cells) > width and not cells[-1].strip():
            cells = cells[:-1]
        return [cell for at, cell in enumerate(cells) if at not in blank] if blank else cells

    return kept(header), [(line, kept(cells)) for line, cells in rows]


def _no_fact(cells: list[str], header: list[str], columns: Mapping[str, Column]) -> str:
    """What stands in a row that is no fact, "" where it is one: a note, a heading, totals.

    Such a row has a single cell, or few of which the first is no study while others that are needed
    are blank.
    """
    if len(cells) - cells.count("") > _FEW:
        return ""
    given = [cell.strip() for cell in cells if cell.strip()]
    if len(given) == 1:
        return given[0]
    first = columns.get(header[0])
    if first is None or not cells[0].strip() or not first.fault(cells[0]):
        return ""
    blank = [spec for name, cell in zip(header, cells, strict=False)
             if not cell.strip() and (spec := columns.get(name)) and spec.needed]  # fmt: skip
    return ", ".join(given) if len(blank) > 1 else ""


_FEW = 4
"""Most cells in a row of totals."""


def _cell(name: str, line: int, column: str, text: str, spec: Column) -> tuple[str, Fault | None]:
    """The cell as it is meant ("" where that is not certain), and its one fault."""
    if not text and not spec.needed:  # most cells
        return text, None
    hidden = hints.invisible(text)
    plain = hints.cleaned(text) if hidden else text.strip()
    said = []
    if hidden:
        said.append("no invisible characters, there is " + ", ".join(hidden))
    elif plain != text:
        said.append("no space at either end")
    elif plain.upper() in hints.SPREADSHEET_ERRORS and not spec.numeric:
        said.append("what is printed; this is an error of the spreadsheet")
    meant = plain
    if (allowed := spec.fault(plain)) is not None:
        meant, how = hints.advice(plain, spec)
        said.append("; ".join(filter(None, (allowed, how))))
    if not said:
        return plain, None
    return meant, Fault(name, line, column, text, "; ".join(said))


def read_table(raw: Path, name: str) -> tuple[Table, list[Fault]]:
    """One table of the folder `raw`, and every fault of its form and of its single cells.

    Parameters
    ----------
    raw : the folder of the evidence; it is only read.
    name : a key of `TABLES`.
    """
    data = _read_bytes(raw / name)
    if isinstance(data, Fault):
        missing = data.value == "(missing file)"
        return Table(name, readable=False), [] if missing and name in OPTIONAL_FILES else [data]
    table, faults = _table(name, data)
    return table, list(faults)


@lru_cache(maxsize=2 * len(TABLES))
def _table(name: str, data: bytes) -> tuple[Table, list[Fault]]:
    """The table in the bytes of a file; files as they were a moment ago are not read again."""
    table, columns = Table(name), TABLES[name]
    table.digest = hashlib.sha256(data).hexdigest()
    text, fault = text_of(name, data)
    if fault is None:
        found, faults = records(name, text)
        if found:
            fault = layout_fault(name, text, found) or _spaced(name, found)
        else:
            fault = _delimited(name, text, _enough(columns)) or faults[0]
    if fault is not None:
        table.readable = False
        return table, [fault]
    table.readable = not faults
    filled = [(line, cells) for line, cells in found if any(map(hints.cleaned, cells))]
    header, rows = _without_blank_columns(_header(filled[0][1]), filled[1:])
    wrong_header = _header_faults(name, filled[0][0], header, columns)
    faults += wrong_header
    if wrong_header:
        table.readable = False
    once = [at for at, column in enumerate(header) if header.count(column) == 1]
    sound: dict[str, dict[str, str | float]] = {column: {} for column in columns}
    for line, cells in rows:
        if cells[:1] == header[:1] and _header(cells) == header:
            faults.append(Fault(name, line, "(row)", "(the header again)", "the header once"))
        elif len(header) > 2 and (no_fact := _no_fact(cells, header, columns)):
            allowed = "rows of facts alone: delete a row of totals, a note or a heading"
            faults.append(Fault(name, line, "(row)", no_fact, allowed))
            table.readable = False
        elif len(cells) != len(header):
            comma = any(re.fullmatch(r"[+-]?\d+", cell.strip()) for cell in cells)
            allowed = f"{len(header)} cells, as in the header"
            if len(cells) > len(header):
                allowed += "; a comma within a cell needs double quotes around the cell"
                allowed += ", a number a decimal point" if comma else ""
            faults.append(Fault(name, line, "(row)", f"{len(cells)} cells", allowed))
            table.readable = False
        else:
            faults += _add_row(table, line, {header[at]: cells[at] for at in once}, columns, sound)
    return table, faults


def _add_row(
    table: Table,
    line: int,
    cells: dict[str, str],
    columns: Mapping[str, Column],
    sound: Mapping[str, dict[str, str | float]],
) -> list[Fault]:
    """Put one row into the table; the faults of its cells.

    `sound` keeps what the texts without a fault mean, by column: most stand in many rows.
    """
    faults: list[Fault] = []
    if table.name == "outcomes.csv" and "p_text" not in cells:
        cells["p_text"] = cells.pop("p_value", "")
    row: Row = {"line": line}
    printed = {}
    for column, spec in columns.items():
        cell = printed[column] = cells.get(column, spec.default)
        known = sound[column]
        if cell in known:
            row[column] = known[cell]
            continue
        text, fault = _cell(table.name, line, column, cell, spec)
        row[column] = number(text) if spec.numeric else text
        if fault is None:
            known[cell] = row[column]
        elif column in cells:
            faults.append(fault)
            if cell and not text:
                table.unread.add(line)
    table.rows.append(row)
    table.printed.append(printed)
    return faults
