"""Rows of independence.csv for counts and durations: who may speak, which arm, which clock."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import pandas as pd

from analysis.cohorts import patient_groups
from analysis.evidence import Evidence, label_of
from analysis.records import records

LESSER_ROLES = ("earlier_report", "subset", "duplicate")

RESUMED_SUFFIXES = ("_relapsed", "_resumed")

EXCLUSION_COLUMNS = ["table", "line", "study_id", "arm", "fact", "stage", "reason"]


def studies_of(evidence: Evidence, overlaps: str = "declared") -> dict[str, dict]:
    """Each study by its id, with its label and its group of patients (`cohorts.patient_groups`)."""
    groups = patient_groups(evidence.studies, overlaps)
    return {
        s["study_id"]: {**s, "patients": groups[s["study_id"]], "label": label_of(s)}
        for s in records(evidence.studies)
    }


def ineligible(study: dict) -> str:
    """Why a study may not enter a model; empty when it may."""
    if study["include"] != "yes":
        return f"study kept as {study['include']}, not pooled"
    if study["design"] == "case_report":
        return "case report, never pooled"
    if study.get("retracted", "") == "yes":
        return "retracted"
    return ""


def speaking(
    rows: pd.DataFrame, studies: dict[str, dict], notes: dict[int, str]
) -> Iterator[tuple[dict, list[dict]]]:
    """Each study that may enter a model, with its usable rows.

    Parameters
    ----------
    rows : of independence.csv.
    studies : from `studies_of`.
    notes : is given, by line, why a row or the whole study says nothing.
    """
    for study_id, group in rows.groupby("study_id", sort=False):
        study = studies[str(study_id)]
        refusal = ineligible(study)
        if refusal:
            notes |= dict.fromkeys(group["line"], refusal)
            continue
        usable, dropped = usable_rows(group)
        notes |= dropped
        yield study, usable


def usable_rows(group: pd.DataFrame) -> tuple[list[dict], dict[int, str]]:
    """Rows on treated patients that are neither selected nor a control arm's."""
    usable, dropped = [], {}
    for r in records(group):
        if r["arm"].startswith("control"):
            dropped[r["line"]] = "control arm: for the comparison of arms only"
        elif r["bound"] == "selected":
            dropped[r["line"]] = "selected patients: not a rate"
        else:
            usable.append(r)
    return usable, dropped


def main_arm(rows: list[dict]) -> str:
    """`treated` where it is an arm, else the arm with most patients."""
    sizes: dict[str, float] = {}
    for r in rows:
        size = r["n_total"] if not math.isnan(r["n_total"]) else 0.0
        sizes[r["arm"]] = max(sizes.get(r["arm"], 0.0), size)
    return "treated" if "treated" in sizes else max(sizes, key=sizes.__getitem__)


def of_resumed(arm: str) -> bool:
    """Whether an arm is of those who resumed insulin."""
    return arm.endswith(RESUMED_SUFFIXES)


def time_origin(row: dict) -> str:
    """When the clock of a row starts, `treatment` or `independence` (insulin stopped): as its
    column time_origin says, else by its fact."""
    stated = row.get("time_origin", "")
    if stated in ("treatment", "independence"):
        return stated
    return "treatment" if row["fact"] == "at_time" else "independence"


def number(value: object) -> float:
    """The number in a cell; NaN where it is blank."""
    return float(value) if value not in ("", None) else math.nan  # type: ignore[arg-type]


def references(lines: Iterable[int]) -> str:
    """References to rows of independence.csv, separated by `;`."""
    return ";".join(f"independence:{line}" for line in sorted(set(lines)))


def used_lines(facts: pd.DataFrame) -> set[int]:
    """The line numbers of independence.csv behind a table of facts or counts."""
    return lines_of(facts["source_rows"])


def lines_of(references: Iterable[str]) -> set[int]:
    """The line numbers named by references to rows of independence.csv."""
    return {
        int(part.split(":")[1])
        for text in references
        for part in text.split(";")
        if part.startswith("independence:")
    }


def exclusion_table(
    rows: pd.DataFrame, used: set[int], notes: dict[int, str], stage: str
) -> pd.DataFrame:
    """Each row not used, with its reason."""
    left = [r for r in records(rows) if r["line"] not in used]
    return pd.DataFrame(
        [
            {
                "table": "independence",
                "line": r["line"],
                "study_id": r["study_id"],
                "arm": r["arm"],
                "fact": r["fact"],
                "stage": stage,
                "reason": notes.get(r["line"], "no count or no denominator printed"),
            }
            for r in left
        ],
        columns=EXCLUSION_COLUMNS,
    )
