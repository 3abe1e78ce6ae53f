"""An export of the registry against `registered_trials.csv`: what is new, what changed, the write.

Status, sizes, dates and posted results of a record that is newer than the row take the row's place.
Title, product, design, masking, primary outcome, sponsor, country, type of diabetes and further
numbers were settled by people: they fill a blank or a `not_stated`, and where both say something
else the table stays and the difference is shown. Nothing is ever blanked. Writing goes through
`evidence.check` on a copy and one journal, so that all files change or none.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from analysis import evidence
from analysis import vocabulary as v
from analysis.registry.export import STUDY_PAGE, Export, Record

TABLE = "registered_trials.csv"
CHANGES = "CHANGES.csv"
DICTIONARY = "README.md"

FACTS = ("status", "last_known_status", "status_basis", "n_planned", "n_actual", "start",
         "primary_completion", "primary_completion_kind", "study_completion",
         "results")  # fmt: skip
"""Columns in which the registry's newest word stands."""

FILLED = ("title", "product", "design", "masked", "diabetes_type", "primary_outcome", "sponsor",
          "country", "other_ids")  # fmt: skip
"""Columns that a record fills where the table says nothing."""

DATES = ("start", "primary_completion", "study_completion")

API = "https://clinicaltrials.gov/api/v2/studies"

SEARCH = "stem+cell+OR+stromal+cell+OR+progenitor+OR+cord+blood+OR+islet"

RESULTS_RANK = ("none_found", "press", "posted", "published")
"""From nothing to a report; a record never takes a result back."""

Row = dict[str, str]


@dataclass(frozen=True)
class CellChange:
    """One cell: what stands in the table and what the record says."""

    registry_id: str
    column: str
    old: str
    new: str


@dataclass(frozen=True)
class Comparison:
    """An export against the table.

    Attributes
    ----------
    new : records of trials of diabetes that the table does not have.
    changes : cells that the record brings up to date or fills.
    kept : cells in which record and table differ and the table stays.
    same : numbers of trials that say nothing new.
    passed : number -> why a record is not used.
    """

    new: tuple[Record, ...] = ()
    changes: tuple[CellChange, ...] = ()
    kept: tuple[CellChange, ...] = ()
    same: tuple[str, ...] = ()
    passed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """What writing would do.

    Attributes
    ----------
    raw : the folder of the evidence.
    mistakes : every fault, as lines; empty when sound.
    before, after : bytes of each file that changes.
    """

    raw: Path
    mistakes: tuple[str, ...] = ()
    before: Mapping[str, bytes] = field(default_factory=dict)
    after: Mapping[str, bytes] = field(default_factory=dict)


def rows_of(raw: Path) -> list[Row]:
    """The rows of the table as printed."""
    text = (Path(raw) / TABLE).read_bytes().decode("utf-8-sig")
    return [dict(row) for row in csv.DictReader(io.StringIO(text, newline=""))]


def queries(rows: list[Row]) -> tuple[str, str]:
    """Addresses to send to the registry: all numbers of the table, and a search for new trials.

    References
    ----------
    https://clinicaltrials.gov/data-api/api (studies: filter.ids, query.cond, query.intr).
    """
    numbers = [
        number
        for row in rows
        for number in (row["registry_id"], *row["other_ids"].split())
        if number.startswith("NCT")
    ]
    known = ",".join(dict.fromkeys(numbers))
    return (
        f"{API}?filter.ids={known}&pageSize=1000&format=json",
        f"{API}?query.cond=diabetes&query.intr={SEARCH}&pageSize=1000&format=json",
    )


def compare(export: Export, rows: list[Row]) -> Comparison:
    """What an export says that the table does not.

    Parameters
    ----------
    export : an export; its problems are not looked at here.
    rows : the rows of the table as printed (`rows_of`).
    """
    by_number = {row["registry_id"]: row for row in rows}
    elsewhere = {number: row["registry_id"] for row in rows for number in row["other_ids"].split()}
    new: list[Record] = []
    changes: list[CellChange] = []
    kept: list[CellChange] = []
    same: list[str] = []
    passed: dict[str, str] = {}
    for record in export.records:
        number = record.registry_id
        row = by_number.get(number)
        if row is None:
            if number in elsewhere:
                passed[number] = f"stands in the table as {elsewhere[number]}"
            elif not record.is_trial:
                passed[number] = "expanded access, not a trial"
            elif not record.about_diabetes:
                passed[number] = "names no diabetes"
            else:
                new.append(record)
        elif _older(record.seen_on, row["status_seen_on"]):
            passed[number] = f"older ({record.seen_on}) than the row ({row['status_seen_on']})"
        else:
            found, differing = _differences(record, row)
            changes += found
            kept += differing
            if not found:
                same.append(number)
    return Comparison(tuple(new), tuple(changes), tuple(kept), tuple(same), passed)


def _older(one: str, other: str) -> bool:
    known = min(len(one), len(other))
    return known > 0 and one[:known] < other[:known]


def _differences(record: Record, row: Row) -> tuple[list[CellChange], list[CellChange]]:
    cells, number = dict(record.cells), record.registry_id
    if "status" in cells:
        cells.setdefault("last_known_status", "")
    changes: list[CellChange] = []
    kept: list[CellChange] = []
    for column in FACTS:
        old, new = row[column], cells.get(column)
        if new is None or new == old or (column in DATES and _same_date(old, new)):
            continue
        if column == "results" and RESULTS_RANK.index(new) < RESULTS_RANK.index(old):
            continue
        if new == "" and column != "last_known_status":
            continue
        changes.append(CellChange(number, column, old, new))
    for column in FILLED:
        old, new = row[column], cells.get(column, "")
        if not new or new == "not_stated" or _plain(new) == _plain(old):
            continue
        known = old not in ("", "not_stated")
        (kept if known else changes).append(CellChange(number, column, old, new))
    return changes, kept


def _same_date(old: str, new: str) -> bool:
    """A date that is only more or less exact is no news."""
    known = min(len(old), len(new))
    return known > 0 and old[:known] == new[:known]


def _plain(text: str) -> str:
    return re.sub(r"\W+", " ", text).strip().lower()


def plan(
    export: Export,
    raw: Path = evidence.RAW,
    classes: Mapping[str, tuple[str, str]] | None = None,
    read_on: str = "",
) -> Plan:
    """Every file that changes, or every reason why nothing can be written.

    Parameters
    ----------
    export : the export.
    raw : the folder of the evidence.
    classes : number of a new trial -> its cell class and onset group ("" for type 2, not_stated
        where not known); new trials without one are not written.
    read_on : the day the export was made, 2026-11-28; "" is the day of the registry's data where
        the export says it, else today.
    """
    raw, classes = Path(raw), dict(classes or {})
    if export.problems:
        return Plan(raw, tuple(str(problem) for problem in export.problems))
    found = compare(export, rows_of(raw))
    mistakes = [
        f"{number}: not a new trial of {export.source}"
        for number in classes
        if number not in {record.registry_id for record in found.new}
    ]
    for number, (cell_class, onset) in classes.items():
        if cell_class not in v.CELL_CLASSES:
            mistakes.append(f"{number}: cell_class: {cell_class}: one of "
                            + ", ".join(v.CELL_CLASSES))  # fmt: skip
        if onset and onset not in v.TRIAL_ONSETS:
            mistakes.append(f"{number}: onset_group: {onset}: one of " + ", ".join(v.TRIAL_ONSETS))
    if mistakes:
        return Plan(raw, tuple(mistakes))
    added = [record for record in found.new if record.registry_id in classes]
    if not found.changes and not added:
        return Plan(raw)
    return _planned(export, found, added, classes, raw, read_on)


def _planned(
    export: Export, found: Comparison, added: list[Record], classes: Mapping[str, tuple[str, str]],
    raw: Path, read_on: str,
) -> Plan:  # fmt: skip
    header = list(evidence.TABLES[TABLE])
    rows = rows_of(raw)
    by_number = {row["registry_id"]: row for row in rows}
    seen = {record.registry_id: record.seen_on for record in export.records}
    today = dt.date.today().isoformat()
    log: list[Row] = []
    touched = list(dict.fromkeys(change.registry_id for change in found.changes))
    extra = []
    for number in touched:
        row = by_number[number]
        day = read_on or seen[number] or today
        for column, new in (
            ("source_url", STUDY_PAGE + number),
            ("status_seen_on", seen[number] or row["status_seen_on"]),
            ("read_on", day),
        ):
            if row[column] != new:
                extra.append(CellChange(number, column, row[column], new))
    reason = f"registry export {export.source}"
    for change in sorted((*found.changes, *extra), key=lambda c: touched.index(c.registry_id)):
        by_number[change.registry_id][change.column] = change.new
        log.append(_line(change.registry_id, change.column, change.old, change.new, reason))
    for record in added:
        number = record.registry_id
        cell_class, onset = classes[number]
        row = dict.fromkeys(header, "") | {
            column: cell for column, cell in record.cells.items() if column in header
        }
        row |= {
            "registry_id": number, "cell_class": cell_class, "onset_group": onset,
            "scope": "main", "source_url": STUDY_PAGE + number, "status_seen_on": record.seen_on,
            "read_on": read_on or record.seen_on or today, "extraction": "single",
            "found_by": "registry_dump",
        }  # fmt: skip
        if row["diabetes_type"] != "T2D" and not onset:
            row["onset_group"] = "not_stated"
        row["status_basis"] = row["status_basis"] or "not_seen"
        row["status"] = row["status"] or "unknown"
        rows.append(row)
        log.append(_line(number, "(row added)", "", number, reason))
    before = {name: (raw / name).read_bytes() for name in (TABLE, CHANGES, DICTIONARY)
              if (raw / name).exists()}  # fmt: skip
    after = {TABLE: _csv(header, rows)}
    if CHANGES in before:
        columns = list(evidence.TABLES[CHANGES])
        text = before[CHANGES].decode("utf-8-sig")
        known = [dict(row) for row in csv.DictReader(io.StringIO(text, newline=""))]
        after[CHANGES] = _csv(columns, [*known, *log])
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in evidence.TABLES:
            if name in after:
                (copy / name).write_bytes(after[name])
            elif (raw / name).exists():
                shutil.copyfile(raw / name, copy / name)
        faults = evidence.check(copy)
    if faults:
        return Plan(raw, tuple(_told(fault, rows) for fault in faults))
    if DICTIONARY in before:
        text = before[DICTIONARY].decode("utf-8")
        for name, count in ((TABLE, len(rows)), (CHANGES, len(known) + len(log))):
            text = re.sub(rf"(?m)^## {re.escape(name)} \(\d+ rows\)(\r?)$",
                          rf"## {name} ({count} rows)\1", text)  # fmt: skip
        after[DICTIONARY] = text.encode("utf-8")
    return Plan(raw, (), {name: before[name] for name in after}, after)


def _line(number: str, column: str, old: str, new: str, reason: str) -> Row:
    return {"file": TABLE, "row_key": number, "column": column, "old": old, "new": new,
            "reason": reason, "source": STUDY_PAGE + number}  # fmt: skip


def _csv(header: list[str], rows: list[Row]) -> bytes:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, header, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue().encode("utf-8")


def _told(fault: evidence.Fault, rows: list[Row]) -> str:
    """A fault of the table in the words of the export: the trial instead of the line."""
    if fault.file == TABLE and 2 <= fault.line < len(rows) + 2:
        return f"{rows[fault.line - 2]['registry_id']}: {fault.column}: {fault.value}: " + (
            fault.allowed
        )
    return str(fault)
