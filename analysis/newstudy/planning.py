"""What an addition would do: every fault and oddity of old and new rows together, the new files.

Nothing is written here. `plan` appends the rows to a copy of the evidence and lets
`evidence.check` judge all of it, so that every fault is named at once, in the words of the file
the person filled. With the tables change what is kept in step with them: the bibliography, the row
counts of the data dictionary, and one line of the change log for each row.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

from analysis import evidence
from analysis.newstudy import likeness
from analysis.newstudy.form import FILES, Mistake, Rows, Submission, section
from analysis.newstudy.templates import DICTIONARY

CHANGES = "CHANGES.csv"
BIBLIOGRAPHY = "references.bib"
ADDED = "(row added)"


@dataclass(frozen=True)
class Plan:
    """What an addition would do.

    Attributes
    ----------
    raw : the folder of the evidence.
    rows : the rows to add.
    mistakes : every fault of the file, the rows and the evidence with them; empty when sound.
    before, after : the bytes of each file that changes, as read and as it would be written;
        `after` is empty where there are mistakes.
    oddities : what is strange about the new rows, but stops nothing.
    """

    raw: Path
    rows: Rows
    mistakes: tuple[Mistake, ...] = ()
    before: dict[str, bytes] = field(default_factory=dict)
    after: dict[str, bytes] = field(default_factory=dict)
    oddities: tuple[Mistake, ...] = ()


def plan(given: Submission, raw: Path = evidence.RAW) -> Plan:
    """What adding the rows would do; every fault of form, of old and of new rows together.

    Parameters
    ----------
    given : the rows to add.
    raw : the folder of the evidence; it is only read.
    """
    raw = Path(raw)
    mistakes = list(given.mistakes)
    before: dict[str, bytes] = {}
    after: dict[str, bytes] = {}
    places: dict[tuple[str, int], int] = {}
    for name in (name for name in FILES if given.rows.get(name)):
        try:
            before[name] = (raw / name).read_bytes()
        except OSError as error:
            mistakes.append(Mistake(str(raw / name), error.strerror or "", "a file to add to"))
            continue
        rows, numbers = given.rows[name], given.numbers[name]
        header = evidence.header_of(name, before[name])
        mistakes += [
            Mistake(given.place(name, number, column), value, f"blank: {name} has no such column",
                    name, number, column)
            for number, row in zip(numbers, rows, strict=True)
            for column, value in row.items()
            if value and column not in header
        ]  # fmt: skip
        after[name], first = _appended(before[name], name, rows)
        places |= {(name, first + i): number for i, number in enumerate(numbers)}

    def told(fault: evidence.Fault) -> Mistake:
        number = places.get((fault.file, fault.line), 0)
        column = fault.column if fault.column in evidence.TABLES.get(fault.file, {}) else ""
        if not number:
            where = f"{raw / fault.file}:{fault.line}:{fault.column}"
            return Mistake(where, fault.value, fault.allowed)
        where = given.place(fault.file, number, fault.column)
        return Mistake(where, fault.value, fault.allowed, fault.file, number, column)

    with tempfile.TemporaryDirectory(prefix="isletmeta-") as folder:
        copy = _copy_with(raw, after, Path(folder))
        try:
            loaded = evidence.load(copy)
        except evidence.EvidenceError as error:
            mistakes += [told(fault) for fault in error.faults]
    if mistakes:
        return Plan(raw, given.rows, tuple(dict.fromkeys(mistakes)), before)
    found = [told(fault) for fault in (*evidence.warnings(loaded), *_of_effects(loaded, given))]
    oddities = [mistake for mistake in found if mistake.number]
    oddities += likeness.oddities(given, raw)
    for name, data in _in_step(raw, given.rows, loaded).items():
        before[name], after[name] = (raw / name).read_bytes(), data
    return Plan(raw, given.rows, (), before, after, tuple(dict.fromkeys(oddities)))


def _of_effects(loaded: evidence.Evidence, given: Submission) -> list[evidence.Fault]:
    """Oddities of the effects that the studies of the new rows give."""
    from analysis import effects  # not needed where the rows have faults

    names = {row.get("study_id") for rows in given.rows.values() for row in rows}
    own = {
        name: table[table["study_id"].isin(names)]
        for name in ("studies", "outcomes", "directions")
        for table in [getattr(loaded, name)]
    }
    return effects.oddities(replace(loaded, **own))


def _appended(old: bytes, name: str, rows: list[dict[str, str]]) -> tuple[bytes, int]:
    """The file with the rows at its end, in the order of its header; the line of the first."""
    complete = [
        {column: _printed(name, row, column) for column in evidence.TABLES[name]} for row in rows
    ]
    new = evidence.appended(name, old, complete)
    end = evidence.line_end(old).encode()
    return new, new.count(end) - len(rows) + 1


def _copy_with(raw: Path, files: dict[str, bytes], folder: Path) -> Path:
    for name in evidence.TABLES:
        if name in files:
            (folder / name).write_bytes(files[name])
        elif (raw / name).exists():
            shutil.copyfile(raw / name, folder / name)
    return folder


def _in_step(raw: Path, rows: Rows, loaded: evidence.Evidence) -> dict[str, bytes]:
    """The files that are kept in step with the tables, each only where the folder has it.

    `loaded` is the evidence with the new rows.
    """
    files: dict[str, bytes] = {}
    if (raw / CHANGES).exists():
        log = [_log_line(name, row) for name in FILES for row in rows.get(name, ())]
        files[CHANGES], _ = _appended((raw / CHANGES).read_bytes(), CHANGES, log)
    if (raw / BIBLIOGRAPHY).exists():
        files[BIBLIOGRAPHY] = evidence.bibliography(loaded.studies).encode("utf-8")
    if (raw / DICTIONARY).exists():
        text = (raw / DICTIONARY).read_bytes().decode("utf-8")
        for name in FILES:
            count = len(getattr(loaded, section(name)))
            text = re.sub(rf"(?m)^## {re.escape(name)} \(\d+ rows\)(\r?)$",
                          rf"## {name} ({count} rows)\1", text)  # fmt: skip
        files[DICTIONARY] = text.encode("utf-8")
    return {name: data for name, data in files.items() if data != (raw / name).read_bytes()}


def _log_line(name: str, row: dict[str, str]) -> dict[str, str]:
    """The line of the change log for an added row."""
    return {
        "file": name,
        "row_key": "|".join(_printed(name, row, column) for column in evidence.KEYS[name]),
        "column": ADDED,
        "new": ADDED,
        "reason": f"new evidence: study {row.get('study_id', '')}",
        "source": row.get("source_url", ""),
    }


def _printed(name: str, row: dict[str, str], column: str) -> str:
    """The cell as it is written: a blank one holds the default of its column."""
    spec = evidence.TABLES[name].get(column)
    return row.get(column) or (spec.default if spec else "")
