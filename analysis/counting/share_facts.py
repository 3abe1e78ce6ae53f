"""Counts of patients: who became free of insulin, who made C-peptide, who reached a goal.

One count a group of patients and outcome, none twice. The denominator is always all treated: where
a source counts fewer (those seen at a visit), its count is a lower bound among all treated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis import cohorts, vocabulary
from analysis.counting import duration_facts
from analysis.evidence import Evidence, label_of
from analysis.evidence.references import reference
from analysis.records import records

HORIZON, FIRST, LAST, TOLERANCE = 12.0, 6.0, 18.0, 0.5
"""Months: the visit nearest to the horizon within the window, with its tolerance at both ends."""
UNDER_SEVEN = r"HbA1c\s*<\s*7(\.0)?\s*%?(\s+maintained)?"
NO_HYPOGLYCAEMIA = r"free of severe hypoglyc"
COLUMNS = ["outcome", "study_id", "patients", "cohort", "label", "year", "cell_class", "approach",
           "population", "criterion", "month", "k", "n", "bound", "undetectable_at_entry",
           "k_control", "n_control", "randomised", "source_rows"]  # fmt: skip


@dataclass(frozen=True)
class Counted:
    """Counts that may be pooled (`COLUMNS`), and rows left out with their reasons."""

    facts: pd.DataFrame
    exclusions: pd.DataFrame


def table(evidence: Evidence) -> Counted:
    """Every count of the shares of `analysis.outcomes`, one row a group of patients and outcome.

    Parameters
    ----------
    evidence : the validated tables.

    Returns
    -------
    Counted: facts with k of n patients (`bound` exact or at_least), their criterion and month;
    exclusions with source_row, study_id and reason, for rows of independence.csv (ever, at_time)
    and responders.csv.
    """
    studies = _studies(evidence)
    ever, ever_out = duration_facts.ever_counts(evidence)
    facts = [_from_ever(row, studies) for row in records(ever)]
    out = [{"source_row": f"independence:{row['line']}", "study_id": row["study_id"],
            "reason": row["reason"]} for row in records(ever_out)]  # fmt: skip
    at_time = evidence.independence[evidence.independence["fact"] == "at_time"]
    visits = at_time.rename(columns={"k": "n_responders"}).assign(
        criterion="free of insulin at the visit", outcome="insulin_free_12"
    )
    found, left = _best(visits, "insulin_free_12", studies, "independence", lambda row: True)
    facts, out = facts + found, out + left
    goals: dict[str, Callable[[dict], bool]] = {
        "hba1c_below_7": lambda row: row["outcome"] == "hba1c" and _says(row, UNDER_SEVEN),
        "free_of_severe_hypoglycaemia": lambda row: (
            row["outcome"] == "severe_hypoglycaemia" and _says(row, NO_HYPOGLYCAEMIA)
        ),
        "c_peptide_detectable": lambda row: (
            (row["outcome"] == "engraftment" or row["outcome"] in vocabulary.C_PEPTIDE_MEASURES)
            and studies[row["study_id"]]["c_peptide_at_entry"] == "undetectable"
        ),
    }
    used: set[int] = set()
    left_out: list[dict] = []
    for outcome, wanted in goals.items():
        mine = [row for row in records(evidence.responders) if wanted(row)]
        rows = pd.DataFrame(mine, columns=evidence.responders.columns)
        found, left = _best(rows, outcome, studies, "responders", lambda row: True,
                            any_time=outcome != "hba1c_below_7")  # fmt: skip
        facts, left_out = facts + found, left_out + left
        used |= {int(row["line"]) for row in mine}
    others = evidence.responders[~evidence.responders["line"].isin(used)]
    left_out += [
        {"source_row": f"responders:{row['line']}", "study_id": row["study_id"],
         "reason": "shown beside: its criterion is none of the shares that are pooled"}
        for row in records(others)
    ]  # fmt: skip
    frame = pd.DataFrame(facts, columns=COLUMNS)
    frame = frame.sort_values(["outcome", "study_id"], ignore_index=True)
    return Counted(frame, pd.DataFrame(out + left_out, columns=["source_row", "study_id",
                                                                "reason"]))  # fmt: skip


def _says(row: dict, pattern: str) -> bool:
    return bool(pd.Series([row["criterion"]]).str.match(pattern, case=False).iloc[0])


def _studies(evidence: Evidence) -> dict[str, dict]:
    groups = cohorts.patient_groups(evidence.studies)
    strata = cohorts.strata(evidence.studies).set_index(evidence.studies["study_id"].to_numpy())
    found = {}
    for row in records(evidence.studies):
        own = strata.loc[row["study_id"]]
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
    k, n, bound = _of_all_treated(row["k"], row["n"], row["bound"], study)
    return {**_common(study, "ever_insulin_free"), "criterion": "ever free of insulin",
            "month": np.nan, "k": k, "n": n, "bound": bound, "k_control": row["k_control"],
            "n_control": row["n_control"], "source_rows": row["source_rows"]}  # fmt: skip


def _of_all_treated(k: float, n: float, bound: str, study: dict) -> tuple[float, float, str]:
    """The count among all treated: a lower bound where the source counts fewer than that."""
    treated = study["n_treated"]
    if treated > n:
        return k, treated, "at_least"
    return k, n, "at_least" if bound == "at_least" else "exact"


def _best(
    rows: pd.DataFrame, outcome: str, studies: dict, name: str, wanted, *, any_time: bool = False
) -> tuple[list[dict], list[dict]]:
    """The one count that speaks for each group of patients, and the reasons of the others.

    Of several: within the window nearest to the horizon (or at any time), then the largest group,
    then an exact count, then the most patients who reached it (the lowest bar).
    """
    notes: list[dict] = []
    offered: dict[str, list[tuple[tuple, dict]]] = {}

    def left(row: dict, reason: str) -> None:
        notes.append({"source_row": f"{name}:{row['line']}", "study_id": row["study_id"],
                      "reason": reason})  # fmt: skip

    for row in records(rows):
        study = studies[row["study_id"]]
        months, k = row["months"], row["n_responders"]
        slack = TOLERANCE + 1e-9
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
        elif not any_time and not FIRST - slack <= months <= LAST + slack:
            left(row, "no visit between 6 and 18 months")
        else:
            distance = abs(months - HORIZON) if months >= 0 else np.inf
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


def _fact(row: dict, outcome: str, study: dict, rows: pd.DataFrame, name: str) -> dict:
    control = rows[
        rows["study_id"].eq(row["study_id"])
        & rows["arm"].str.startswith("control")
        & rows["criterion"].eq(row["criterion"])
        & (rows["months"].eq(row["months"]) | (rows["months"].isna() & pd.isna(row["months"])))
        & rows["n_responders"].notna()
        & rows["n_total"].gt(0)
    ]
    lines = [row["line"], *control["line"]]
    k, n, bound = _of_all_treated(row["n_responders"], row["n_total"], "exact", study)
    return {
        **_common(study, outcome), "criterion": row["criterion"], "month": row["months"],
        "k": k, "n": n, "bound": bound,
        "k_control": control["n_responders"].sum() if len(control) else np.nan,
        "n_control": control["n_total"].sum() if len(control) else np.nan,
        "source_rows": ";".join(f"{name}:{line}" for line in lines),
    }  # fmt: skip
