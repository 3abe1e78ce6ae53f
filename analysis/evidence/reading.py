"""One file of the evidence as people save it: bytes to rows, a fault for what is unreadable."""

import csv
import hashlib
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from analysis.evidence.faults import Fault
from analysis.evidence.schema import OPTIONAL_FILES, TABLES, Column, Row, number


@dataclass
class Table:
    """One file as read: the cells as printed and as parsed, whether it could be read at all."""

    name: str
    rows: list[Row] = field(default_factory=list)
    printed: list[dict[str, str]] = field(default_factory=list)
    readable: bool = True
    digest: str = ""

    def fault(self, row: Row, column: str, allowed: str) -> Fault:
        value = row.get(column, "")
        if isinstance(value, float):
            value = "" if math.isnan(value) else f"{value:.12g}"
        return Fault(self.name, int(row["line"]), column, str(value), allowed)


def _read_bytes(path: Path) -> tuple[bytes | None, Fault | None]:
    name = path.name
    try:
        return path.read_bytes(), None
    except FileNotFoundError:
        return None, Fault(name, 1, "(file)", "(missing file)", "this file is needed")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return None, Fault(name, 1, "(file)", reason, "a file that can be read")


def _records(name: str, data: bytes) -> tuple[list[tuple[int, list[str]]], list[Fault]]:
    """The records of a csv file with the line each begins on, and what kept it from being read."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        value = data[error.start : error.start + 1].hex()
        return [], [Fault(name, line, "(encoding)", f"byte 0x{value}", "text in UTF-8")]
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        return [], [Fault(name, line, "(text)", "NUL byte", "text without NUL bytes")]
    if not text.strip():
        return [], [Fault(name, 1, "(file)", "(empty file)", "a header and one fact a line")]
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    records: list[tuple[int, list[str]]] = []
    begin = 1
    while True:
        try:
            record = next(reader)
        except StopIteration:
            return records, []
        except csv.Error as error:
            allowed = "csv with commas between cells and balanced double quotes"
            return records, [Fault(name, begin, "(csv)", str(error), allowed)]
        records.append((begin, record))
        begin = reader.line_num + 1


def _header_faults(name: str, header: list[str], columns: Mapping[str, Column]) -> list[Fault]:
    faults = []
    for column, spec in columns.items():
        if column not in header and not spec.optional:
            faults.append(Fault(name, 1, column, "(missing column)", "this column is needed"))
    for position, column in enumerate(header):
        if column in header[:position]:
            faults.append(Fault(name, 1, column, "(duplicate column)", "each column once"))
        elif column not in columns:
            allowed = "only the columns " + ", ".join(columns)
            faults.append(Fault(name, 1, column or "(no name)", "(extra column)", allowed))
    return faults


def read_table(raw: Path, name: str) -> tuple[Table, list[Fault]]:
    table, columns = Table(name), TABLES[name]
    data, fault = _read_bytes(raw / name)
    if data is None:
        table.readable = False
        missing = fault.value == "(missing file)"
        return table, [] if missing and name in OPTIONAL_FILES else [fault]
    table.digest = hashlib.sha256(data).hexdigest()
    records, faults = _records(name, data)
    if not records:
        table.readable = False
        return table, faults
    header = [cell.strip() for cell in records[0][1]]
    wrong_header = _header_faults(name, header, columns)
    faults += wrong_header
    if wrong_header or faults:
        table.readable = False
    for line, record in records[1:]:
        if not record:  # an empty line says nothing
            continue
        if len(record) != len(header):
            allowed = f"{len(header)} cells, as in the header"
            faults.append(Fault(name, line, "(row)", f"{len(record)} cells", allowed))
            table.readable = False
            continue
        cells = dict(zip(header, record, strict=True))
        if name == "outcomes.csv" and "p_text" not in cells:
            cells["p_text"] = cells.pop("p_value", "")
        printed = {
            column: cells.get(column, "" if column in cells else spec.default)
            for column, spec in columns.items()
        }
        row: Row = {"line": line}
        for column, spec in columns.items():
            text = printed[column]
            if text != text.strip():
                faults.append(Fault(name, line, column, repr(text), "no space at either end"))
                text = text.strip()
            if column in header and (allowed := spec.fault(text)) is not None:
                faults.append(Fault(name, line, column, text, allowed))
            row[column] = number(text) if spec.numeric else text
        table.rows.append(row)
        table.printed.append(printed)
    return table, faults
