"""New rows from csv files: a folder with tables named as those of `data/raw`, or single files.

A single file is known by its name (`outcomes.csv`, `outcomes_new.csv`), else by its header: the
table whose columns it has. Columns may be left out and stand in any order. Nothing is raised for a
wrong file: what is wrong is told, with the line, in the words of `check`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from analysis import evidence
from analysis.newstudy.form import FILES, Mistake, Rows, Submission, completed, section

FEWEST_COLUMNS = 2
"""Columns may be left out; so many of their names, or half of a row of fewer, make a header."""


def read(paths: Sequence[Path]) -> Submission:
    """The rows of csv files, and what is wrong with their form.

    Parameters
    ----------
    paths : csv files, or folders with some of the tables in them.
    """
    source = ", ".join(path.name for path in paths)
    rows: Rows = {name: [] for name in FILES}
    numbers: dict[str, list[int]] = {name: [] for name in FILES}
    mistakes: list[Mistake] = []
    lines: dict[tuple[str, int], int] = {}
    for path in paths:
        for file in _files(path, mistakes):
            _take(file, rows, numbers, lines, mistakes)
    if not mistakes and not any(rows.values()):
        mistakes.append(Mistake(source, "(no row is filled)", "at least one filled row"))
    return Submission(completed(rows), numbers, source, tuple(mistakes), lines)


def _files(path: Path, mistakes: list[Mistake]) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = [path / name for name in FILES if (path / name).exists()]
    if not found:
        mistakes.append(Mistake(str(path), "(no table)", "a folder with " + ", ".join(FILES)))
    return found


def _take(
    path: Path,
    rows: Rows,
    numbers: dict[str, list[int]],
    lines: dict[tuple[str, int], int],
    mistakes: list[Mistake],
) -> None:
    """Take the rows of one file, or say why not."""

    def wrong(line: int, value: str, allowed: str) -> None:
        where = f"{path.name}, line {line}" if line else path.name
        mistakes.append(Mistake(where, value[:80], allowed))

    try:
        data = path.read_bytes()
    except OSError as error:
        return wrong(0, error.strerror or "", "a file that can be read")
    text, fault = evidence.text_of(path.name, data)
    if fault:
        return wrong(fault.line, fault.value, fault.allowed)
    found, broken = evidence.records(path.name, text)
    records = [(line, [cell.strip() for cell in cells]) for line, cells in found
               if any(map(evidence.cleaned, cells))]  # fmt: skip
    header = [evidence.cleaned(cell) for cell in records[0][1]] if records else []
    name = _table(path, header)
    enough = min(FEWEST_COLUMNS, max(1, len(list(filter(None, header))) // 2))
    for table in (name,) if name else FILES:
        fault = evidence.layout_fault(table, text, found, enough)
        if fault and (name or fault.column == "(file)"):
            return wrong(fault.line, fault.value, fault.allowed)
    if broken:
        return wrong(broken[0].line, broken[0].value, broken[0].allowed)
    if name is None:
        return wrong(1, ",".join(header), "the columns of one of " + ", ".join(FILES))
    known, before = evidence.TABLES[name], len(mistakes)
    for position, column in enumerate(header):
        if column and column in header[:position]:
            wrong(records[0][0], column, "each column once")
        elif column and column not in known:
            near = evidence.word_meant(column, [c for c in known if c not in header])
            allowed = f"write {near}" if near else "a column of " + section(name) + ": "
            wrong(records[0][0], column, allowed if near else allowed + ", ".join(known))
    if len(mistakes) > before:
        return None
    for line, record in records[1:]:
        if any(record[len(header) :]):
            wrong(line, f"{len(record)} cells", f"{len(header)} cells, as in the header")
            continue
        cells = dict(zip(header, record, strict=False))
        cells.pop("", None)
        number = len(lines) + 1  # unique over files; shown is the line
        rows[name].append({column: cells[column] for column in cells if column in known})
        numbers[name].append(number)
        lines[name, number] = line
    return None


def _table(path: Path, header: list[str]) -> str | None:
    """The table a file is of: by its name, else the one whose columns it has, if only one."""
    for name in FILES:
        if path.stem == section(name) or path.stem.startswith(section(name) + "_"):
            return name
    columns = {column for column in header if column}
    fits = [name for name in FILES if columns <= set(evidence.TABLES[name])]
    return fits[0] if columns and len(fits) == 1 else None
