"""Counts of patients: who became free of insulin, who made C-peptide, who reached a goal.

One count a group of patients and outcome, none twice. The denominator is always all treated: where
a source counts fewer (those seen at a visit), its count is a lower bound among all treated, and the
most it can be is that count and all whom the source did not count.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis import cohorts, outcomes, vocabulary
from analysis.counting import ever_free
from analysis.evidence import Evidence, label_of
from analysis.evidence.references import reference
from analysis.records import records

UNDER_SEVEN = r"HbA1c\s*<\s*7(\.0)?\s*%?(\s+maintained)?"
NO_HYPOGLYCAEMIA = r"free of severe hypoglyc"
EVER = "ever_insulin_free"
ANY_TIME = ("free_of_severe_hypoglycaemia", "c_peptide_detectable")
"""Shares that are read at any time, not at the visit nearest to the horizon."""
COLUMNS = [
    "outcome",
    "study_id",
    "patients",
    "cohort",
    "label",
    "year",
    "cell_class",
    "approach",
    "population",
    "criterion",
    "month",
    "k",
    "n",
    "bound",
    "undetectable_at_entry",
    "k_control",
    "n_control",
    "randomised",
    "source_rows",
    "not_counted",
    "n_seen",
    "bound_seen",
    "seen_in",
]
"""One count; `not_counted` treated patients may be more of it (blank where k is exact, or where the
source's own count is a lower bound: then all may be), `n_seen` of them were counted, `bound_seen`
says what k is among those, `seen_in` where the number was read."""


@dataclass(frozen=True)
class Counted:
    """Counts that may be pooled (`COLUMNS`), and rows left out with their reasons."""

    facts: pd.DataFrame
    exclusions: pd.DataFrame


@dataclass(frozen=True)
class Reading:
    """How counts are chosen; as they stand, the protocol's way.

    Attributes
    ----------
    window : months within which a visit counts, for outcomes read at a visit.
    tolerance : months by which a visit may lie outside of it.
    any_time : whether outcomes that are read at any time are; else at a visit of the window.
    horizon : the month to which the visit of such an outcome lies nearest, where `any_time` is
        False; all others are read nearest to 12 months.
    overlaps : which declared overlaps make cohorts one group (`cohorts.OVERLAPS`).
    """

    window: tuple[float, float] = outcomes.WINDOW
    tolerance: float = outcomes.TOLERANCE
    any_time: bool = True
    horizon: float = outcomes.HORIZON
    overlaps: str = "declared"


PROTOCOL = Reading()


def most_of(fact: Mapping[str, Any]) -> float:
    """The most patients that a count can be, of its k, n, bound and not_counted; see `most`."""
    if fact["bound"] != "at_least":
        return fact["k"]
    return fact["n"] if np.isnan(fact["not_counted"]) else fact["k"] + fact["not_counted"]


def most(facts: pd.DataFrame) -> np.ndarray:
    """The most patients that each count can be: k where it is exact, else k and those not counted.

    Parameters
    ----------
    facts : counts (`COLUMNS`).

    Returns
    -------
    (facts,) numbers of patients; all treated where a lower bound does not say whom it left out.
    """
    read = facts[["k", "n", "bound", "not_counted"]]
    return np.array([most_of(fact) for fact in records(read)], dtype=float)


def table(evidence: Evidence, reading: Reading = PROTOCOL) -> Counted:
    """Every count of the shares of `analysis.outcomes`, one row a group of patients and outcome.

    Parameters
    ----------
    evidence : the validated tables.
    reading : how counts are chosen.

    Returns
    -------
    Counted: facts with k of n patients (`bound` exact or at_least), their criterion and month;
    exclusions with source_row, study_id and reason, for rows of independence.csv (ever, at_time)
    and responders.csv.
    """
    offered = Offered(evidence, reading.overlaps)
    facts: list[dict] = []
    left: list[dict] = []
    for outcome in (EVER, *offered.rows):
        found, notes = offered.counts(outcome, reading)
        facts, left = facts + found, left + notes
    frame = pd.DataFrame(facts, columns=COLUMNS)
    frame = frame.sort_values(["outcome", "study_id"], ignore_index=True)
    left += offered.of_no_share()
    return Counted(frame, pd.DataFrame(left, columns=["source_row", "study_id", "reason"]))


class Offered:
    """The rows that may speak for each share, and which of them do under a reading.

    Parameters
    ----------
    evidence : the validated tables.
    overlaps : which declared overlaps make cohorts one group (`cohorts.OVERLAPS`).
    """

    def __init__(self, evidence: Evidence, overlaps: str = "declared"):
        self._evidence, self._overlaps = evidence, overlaps
        self._studies = _studies(evidence, overlaps)
        responders = records(evidence.responders)
        visits = [
            {**row, "n_responders": row["k"], "criterion": "free of insulin at the visit"}
            for row in records(evidence.independence)
            if row["fact"] == "at_time"
        ]
        self.rows: dict[str, list[dict]] = {"insulin_free_12": visits}
        for outcome, wanted in _goals(self._studies).items():
            self.rows[outcome] = [row for row in responders if wanted(row)]
        self._responders = responders

    def counts(self, outcome: str, reading: Reading = PROTOCOL) -> tuple[list[dict], list[dict]]:
        """Facts (`COLUMNS`) of an outcome, and the rows left out with their reasons."""
        if outcome == EVER:
            ever, left = ever_free.ever_counts(self._evidence, self._overlaps)
            facts = [_from_ever(row, self._studies) for row in records(ever)]
            notes = [{"source_row": f"independence:{row['line']}", "study_id": row["study_id"],
                      "reason": row["reason"]} for row in records(left)]  # fmt: skip
            return facts, notes
        name = "independence" if outcome == "insulin_free_12" else "responders"
        any_time = outcome in ANY_TIME and reading.any_time
        return _best(self.rows[outcome], outcome, self._studies, name, reading, any_time)

    def of_no_share(self) -> list[dict]:
        """Rows of responders.csv whose criterion is none of the shares, with that reason."""
        used = {row["line"] for outcome, rows in self.rows.items() if outcome != "insulin_free_12"
                for row in rows}  # fmt: skip
        return [
            {"source_row": f"responders:{row['line']}", "study_id": row["study_id"],
             "reason": "shown beside: its criterion is none of the shares that are pooled"}
            for row in self._responders if row["line"] not in used
        ]  # fmt: skip


def _goals(studies: dict[str, dict]) -> dict[str, Callable[[dict], bool]]:
    """Which rows of responders.csv speak for which share."""
    return {
        "hba1c_below_7": lambda row: row["outcome"] == "hba1c" and _says(row, UNDER_SEVEN),
        "free_of_severe_hypoglycaemia": lambda row: (
            row["outcome"] == "severe_hypoglycaemia" and _says(row, NO_HYPOGLYCAEMIA)
        ),
        "c_peptide_detectable": lambda row: (
            (row["outcome"] == "engraftment" or row["outcome"] in vocabulary.C_PEPTIDE_MEASURES)
            and studies[row["study_id"]]["c_peptide_at_entry"] == "undetectable"
        ),
    }


def _says(row: dict, pattern: str) -> bool:
    return re.match(pattern, row["criterion"], re.IGNORECASE) is not None


def _studies(evidence: Evidence, overlaps: str) -> dict[str, dict]:
    groups = cohorts.patient_groups(evidence.studies, overlaps)
    found = {}
    for row, own in zip(
        records(evidence.studies), records(cohorts.strata(evidence.studies)), strict=True
    ):
        found[row["study_id"]] = {**row, "patients": groups[row["study_id"]],
                                  "approach": own["approach"],
                                  "population": own["population"]}  # fmt: skip
    return found


def _common(study: dict, outcome: str) -> dict:
    state = study["c_peptide_at_entry"]
    return {
        "outcome": outcome, "study_id": study["study_id"], "patients": study["patients"],
        "cohort": study["cohort"], "label": label_of(study), "year": study["year"],
        "cell_class": study["cell_class"], "approach": study["approach"],
        "population": study["population"], "randomised": study["design"] == "rct",
        "undetectable_at_entry": {"undetectable": "yes", "detectable": "no"}.get(
            state, "not_stated"
        ),
    }  # fmt: skip


def _from_ever(row: dict, studies: dict[str, dict]) -> dict:
    study = studies[row["study_id"]]
    return {**_common(study, EVER), "criterion": "ever free of insulin", "month": np.nan,
            **_of_all_treated(row["k"], row["n"], row["bound"], study),
            "k_control": row["k_control"], "n_control": row["n_control"],
            "source_rows": row["source_rows"], "seen_in": row["seen_in"]}  # fmt: skip


def _of_all_treated(k: float, seen: float, bound: str, study: dict) -> dict:
    """The count among all treated: a lower bound where the source counts fewer than that."""
    bound_seen = "at_least" if bound == "at_least" else "exact"
    fewer = study["n_treated"] > seen
    return {"k": k, "n": study["n_treated"] if fewer else seen,
            "bound": "at_least" if fewer else bound_seen,
            "not_counted": study["n_treated"] - seen if fewer and bound_seen == "exact" else np.nan,
            "n_seen": seen, "bound_seen": bound_seen}  # fmt: skip


def _best(
    rows: list[dict], outcome: str, studies: dict, name: str, reading: Reading, any_time: bool
) -> tuple[list[dict], list[dict]]:
    """The one count that speaks for each group of patients, and the reasons of the others.

    Of several: within the window nearest to its horizon (or at any time), then the largest group,
    then an exact count, then the most patients who reached it (the lowest bar).
    """
    first, last = reading.window
    slack = reading.tolerance + 1e-9
    notes: list[dict] = []
    offered: dict[str, list[tuple[tuple, dict]]] = {}

    def left(row: dict, reason: str) -> None:
        notes.append({"source_row": f"{name}:{row['line']}", "study_id": row["study_id"],
                      "reason": reason})  # fmt: skip

    for row in rows:
        study = studies[row["study_id"]]
        months, k = row["months"], row["n_responders"]
        if study["include"] != "yes":
            left(row, "the study is not eligible")
        elif study["approach"] not in vocabulary.APPROACHES:
            left(row, "belongs to no approach")
        elif not row["arm"].startswith("treated"):
            left(row, "not an arm of treated patients")
        elif "responder" in row["arm"]:
            left(row, "a group defined by its outcome")
        elif not (k >= 0 and row["n_total"] > 0):
            left(row, "no number of patients is printed")
        elif not any_time and not first - slack <= months <= last + slack:
            left(row, f"no visit between {first:g} and {last:g} months")
        else:
            horizon = reading.horizon if outcome in ANY_TIME else outcomes.HORIZON
            distance = abs(months - horizon) if months >= 0 else np.inf
            rank = (0.0 if any_time else -distance, row["n_total"], k, reference(name, row))
            offered.setdefault(study["patients"], []).append((rank, row))
    facts = []
    for counts in offered.values():
        best = max(counts, key=lambda count: count[0])[1]
        facts.append(_fact(best, outcome, studies[best["study_id"]], rows, name))
        for _, row in counts:
            if row is not best:
                left(row, f"the same patients as {best['study_id']}, whose count is used")
    return facts, notes


def _fact(row: dict, outcome: str, study: dict, rows: list[dict], name: str) -> dict:
    control = [
        other
        for other in rows
        if other["study_id"] == row["study_id"]
        and other["arm"].startswith("control")
        and other["criterion"] == row["criterion"]
        and (other["months"] == row["months"] or pd.isna([other["months"], row["months"]]).all())
        and other["n_responders"] >= 0
        and other["n_total"] > 0
    ]
    lines = [row["line"], *(other["line"] for other in control)]
    return {
        **_common(study, outcome), "criterion": row["criterion"], "month": row["months"],
        **_of_all_treated(row["n_responders"], row["n_total"], "exact", study),
        "k_control": sum(other["n_responders"] for other in control) if control else np.nan,
        "n_control": sum(other["n_total"] for other in control) if control else np.nan,
        "source_rows": ";".join(f"{name}:{line}" for line in lines), "seen_in": row["seen_in"],
    }  # fmt: skip
