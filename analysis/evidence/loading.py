"""From the folder of tables to an `Evidence`: `check` lists the faults, `load` raises them."""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.evidence import rules
from analysis.evidence.contradictions import contradictions
from analysis.evidence.faults import EvidenceError, Fault
from analysis.evidence.reading import Table, read_table
from analysis.evidence.schema import KEYS, TABLES, Row, blank, number_of
from analysis.records import records

RAW = Path("data/raw")
NO_AUTHOR = ("", "not shown")
"""What stands for the first author where no page that was read names one."""


@dataclass(frozen=True)
class Evidence:
    """The evidence tables, valid. One row of a table is one fact.

    Rows stand in the order of the cells that name them, whatever their order in the file, so that
    nothing computed from them depends on it. Every table has an int column `line`, the line of the
    row in its csv file. Numbers are float64 with NaN for blank; words and text are str with "" for
    blank. `directions` has a computed bool column `has_numbers`, repeated as a word in its
    `caveats`. `digests` maps file name to SHA-256; `rows_said` to the number of rows that the data
    dictionary says it has.
    """

    studies: pd.DataFrame
    outcomes: pd.DataFrame
    directions: pd.DataFrame
    responders: pd.DataFrame
    independence: pd.DataFrame
    safety: pd.DataFrame
    published: pd.DataFrame
    risk_of_bias: pd.DataFrame
    trial_conduct: pd.DataFrame
    registered_trials: pd.DataFrame
    publication_search: pd.DataFrame
    changes: pd.DataFrame
    digests: dict[str, str] = field(default_factory=dict)
    rows_said: dict[str, int] = field(default_factory=dict)

    def table(self, name: str) -> pd.DataFrame:
        """The table of a file, `outcomes.csv`."""
        return getattr(self, _ATTRIBUTES.get(name, name.removesuffix(".csv")))

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The rows of the table of a file, made once for all who read them: nobody changes them."""
        if name not in self._rows:
            self._rows[name] = records(self.table(name))
        return self._rows[name]

    @cached_property
    def _rows(self) -> dict[str, list[dict[str, Any]]]:
        return {}


_ATTRIBUTES = {"published_meta_analyses.csv": "published", "CHANGES.csv": "changes"}


def _rows_said(raw: Path) -> dict[str, int]:
    """How many rows the data dictionary of a folder says each table has; {} without one."""
    try:
        text = (raw / "README.md").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    said = re.findall(r"^## (\S+\.csv) \((\d+) rows\)", text, re.MULTILINE)
    return {name: int(count) for name, count in said if name in TABLES}


def read(raw: Path) -> tuple[dict[str, Table], list[Fault]]:
    tables: dict[str, Table] = {}
    faults: list[Fault] = []
    for name in TABLES:
        tables[name], found = read_table(raw, name)
        faults += found
    named = {(fault.file, fault.line, fault.column) for fault in faults}
    faults += [
        fault
        for fault in (*rules.faults_of(tables), *contradictions(tables))
        if (fault.file, fault.line, fault.column) not in named
        and fault.line not in tables[fault.file].unread
    ]
    order = {name: position for position, name in enumerate(TABLES)}
    unique = dict.fromkeys(faults)
    return tables, sorted(unique, key=lambda f: (order[f.file], f.line))


def _same_time(row: Row, fact: Row) -> bool:
    """Whether a follow-up row of outcomes speaks for the time of a row of directions."""
    if blank(fact["months"]):
        return blank(row["months"])
    low = number_of(fact, "months" if blank(fact["months_from"]) else "months_from")
    high = number_of(fact, "months" if blank(fact["months_to"]) else "months_to")
    months = number_of(row, "months")
    return months > 0 and low - 0.05 <= months <= high + 0.05


def has_numbers(fact: Row, rows: Sequence[Row]) -> bool:
    """Whether outcomes.csv holds numbers for the very contrast that `fact` gives in words.

    Against baseline: a change, or a level with its baseline, of the same arm. Against control: a
    difference between arms, or a change or level of both arms. `rows` are the rows of the study.
    """
    if fact["subgroup"] or fact["contrast"] == "baseline_balance":
        return False
    numbers = [r for r in rows if r["outcome"] == fact["outcome"] and not blank(r["value"])]
    based = {r["arm"] for r in numbers if r["scale"] == "level" and r["months"] == 0}
    later = [r for r in numbers if r["months"] != 0 and _same_time(r, fact)]

    def relative(arm: str) -> bool:
        return any(r["arm"] == arm and (r["scale"] != "level" or arm in based) for r in later)

    if fact["contrast"] == "treated_vs_control":
        if any(r["scale"] == "between_arm_difference" for r in later):
            return True
        arms = {r["arm"] for r in later}
        return fact["arm"] in arms and any(str(arm).startswith("control") for arm in arms)
    return relative(str(fact["arm"]))


def by_study(rows: Iterable[Row]) -> dict[str, list[Row]]:
    grouped: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[str(row["study_id"])].append(row)
    return grouped


def in_order(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table by the cells that name one (`KEYS`), then by all others.

    What is asked of the first of several, and every tie, is thereby decided by content, never by
    where a row stands in its file. CHANGES.csv is a diary and stays as it was written.
    """
    if name not in KEYS:
        return frame
    keys = _cells(frame, KEYS[name])
    if len(set(keys)) < len(keys):
        others = [column for column in frame if column not in KEYS[name] and column != "line"]
        keys = list(zip(keys, _cells(frame, others), strict=True))
    order = sorted(range(len(keys)), key=keys.__getitem__)
    return frame.take(order).reset_index(drop=True)


def _cells(frame: pd.DataFrame, columns: Sequence[str]) -> list[tuple]:
    """The cells of each row in these columns, as they sort: blank numbers after all others."""
    chosen = [frame[column] for column in columns]
    lists = [(cells.fillna(math.inf) if cells.dtype.kind == "f" else cells).tolist()
             for cells in chosen]  # fmt: skip
    return list(zip(*lists, strict=True))


def check(raw: Path = RAW) -> list[Fault]:
    """Every fault of the tables in the folder `raw`, in the order of files and lines.

    An empty list means that `load` will succeed. Nothing in the folder is changed.
    """
    return read(Path(raw))[1]


def label_of(study: Mapping) -> str:
    """Surname of the first author and year, for figures and tables; the journal where no page that
    was read names an author, and `authors not seen` where it names no journal either.

    Initials and remarks in brackets go: `de Koning E` is `de Koning`.
    """
    year = "" if math.isnan(study["year"]) else f"{study['year']:.0f}"
    author = str(study["first_author"])
    if author in NO_AUTHOR:
        name = re.sub(rf"(\s*{year})?([;:].*)?$", "", study["journal"]) or "authors not seen"
    else:
        name = re.sub(r"\s*\(.*?\)", "", author).strip()
        name = re.sub(r"( [A-Z]{1,3}| [A-Z]-[A-Z])$", "", name)
    return " ".join(filter(None, [name, year]))


def load(raw: Path = RAW) -> Evidence:
    """Read and validate the tables in the folder `raw`.

    A study marked as retracted is kept in `studies` with include = no, so that it enters no model.

    Raises
    ------
    EvidenceError
        With every fault found, when there is any.
    """
    tables, faults = read(Path(raw))
    if faults:
        raise EvidenceError(faults)
    frames = {name: table.frame.copy(deep=False) for name, table in tables.items()}
    studies, directions = frames["studies.csv"], frames["directions.csv"]
    retracted = studies["retracted"] == "yes"
    studies.loc[retracted, "include"] = "no"
    studies.loc[retracted, "exclusion_reason"] = "retracted"

    numbers = by_study(tables["outcomes.csv"].rows)
    flags = [
        has_numbers(row, numbers.get(str(row["study_id"]), ()))
        for row in tables["directions.csv"].rows
    ]
    directions["has_numbers"] = pd.Series(flags, dtype=bool)
    directions["caveats"] = pd.Series(
        [
            f"{words} has_numbers".strip() if flag else words
            for words, flag in zip(directions["caveats"], flags, strict=True)
        ],
        dtype="str",
    )
    frames = {name: in_order(name, frame) for name, frame in frames.items()}
    return Evidence(
        studies=frames["studies.csv"],
        outcomes=frames["outcomes.csv"],
        directions=frames["directions.csv"],
        responders=frames["responders.csv"],
        independence=frames["independence.csv"],
        safety=frames["safety.csv"],
        published=frames["published_meta_analyses.csv"],
        risk_of_bias=frames["risk_of_bias.csv"],
        trial_conduct=frames["trial_conduct.csv"],
        registered_trials=frames["registered_trials.csv"],
        publication_search=frames["publication_search.csv"],
        changes=frames["CHANGES.csv"],
        digests={name: table.digest for name, table in tables.items() if table.digest},
        rows_said=_rows_said(Path(raw)),
    )
