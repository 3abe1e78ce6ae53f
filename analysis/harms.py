"""From safety rows to countable facts: one row per cohort, arm, event category and relation.

An event nobody mentioned is not a zero: only explicit statements are counted. "None related to
the treatment" and "none at all" are different facts and are never joined. Of several reports on
the same patients the one with the longest follow-up that names the category speaks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.evidence import Evidence

STRATEGIES = {
    "conditioning_ablation": "conditioning",
    "systemic_immunosuppression": "immunosuppression",
    "encapsulation_plus_immunosuppression": "immunosuppression",
}
NOT_COUNTED = ("procedure_tolerated", "other", "any_adverse_event")
COLUMNS = ["study_id", "cohort", "cell_class", "diabetes_type", "strategy", "arm",
           "event_category", "relation", "bound", "events", "n_at_risk", "months", "patient_years",
           "source_rows"]  # fmt: skip


@dataclass(frozen=True)
class Harms:
    """Countable facts, and every row left out with its reason."""

    rows: pd.DataFrame
    exclusions: pd.DataFrame


def strategy(immune_strategy: str) -> str:
    """The immune strategy as it bears on safety: conditioning, immunosuppression or neither."""
    return STRATEGIES.get(immune_strategy, "neither")


def table(evidence: Evidence) -> Harms:
    """Facts that may be counted, each patient once per category and relation.

    Follow-up is the row's own, else the study's; months of a `longest` follow-up overstate the
    exposure, so rates built on them are, if anything, too low.
    """
    studies = evidence.studies.set_index("study_id")
    merged = evidence.safety.join(
        studies[["cohort", "cell_class", "diabetes_type", "immune_strategy", "include", "design"]],
        on="study_id",
    )
    merged["months"] = merged["followup_months"].fillna(
        merged["study_id"].map(studies["followup_months"])
    )
    reasons = merged.apply(_reason, axis=1)
    kept = merged[reasons == ""].copy()
    kept["arm"] = np.where(kept["arm"].str.startswith("control"), "control", "treated")
    kept["strategy"] = kept["immune_strategy"].map(strategy)
    kept["events"] = kept["n_patients"].astype(float)
    kept["patient_years"] = kept["n_at_risk"] * kept["months"] / 12
    kept["source_rows"] = "safety:" + kept["line"].astype(str)
    kept = kept.sort_values(
        ["cohort", "arm", "event_category", "relation", "months", "n_at_risk", "events", "line"],
        ascending=[True, True, True, True, False, False, False, True],
        na_position="last",
        kind="stable",
    )
    key = ["cohort", "arm", "event_category", "relation"]
    repeated = kept.duplicated(key, keep="first")
    left = merged[reasons != ""].assign(reason=reasons[reasons != ""])
    again = kept[repeated].assign(reason="the same patients and event in a fuller report or row")
    exclusions = pd.concat([left, again])[
        ["line", "study_id", "arm", "event_category", "relation", "reason"]
    ].sort_values("line")
    exclusions.insert(0, "table", "safety")
    rows = kept.loc[~repeated, COLUMNS].sort_values(
        ["event_category", "relation", "arm", "cohort"], kind="stable"
    )
    return Harms(rows.reset_index(drop=True), exclusions.reset_index(drop=True))


def _reason(row: pd.Series) -> str:
    """Why a safety row is not counted; empty when it is."""
    if row["include"] != "yes":
        return "the study is not eligible"
    if row["design"] == "case_report":
        return "case report"
    if row["arm"].startswith(("all", "patient")):
        return "arms not told apart"
    if row["event_category"] in NOT_COUNTED:
        return "not a harm that can be counted across studies"
    if row["relation"] not in ("any", "treatment_related"):
        return f"relation is {row['relation'] or 'not stated'}"
    if not (np.isfinite(row["n_patients"]) and np.isfinite(row["n_at_risk"])):
        return "no number of patients"
    return ""


def silent(evidence: Evidence, rows: pd.DataFrame) -> pd.DataFrame:
    """Per category and relation: eligible treated cohorts, and their patients, that say nothing."""
    studies = evidence.studies
    eligible = studies[(studies["include"] == "yes") & (studies["design"] != "case_report")]
    sizes = eligible.groupby("cohort")["n_treated"].max()
    treated = rows[rows["arm"] == "treated"]
    counted = []
    for (category, relation), part in treated.groupby(["event_category", "relation"]):
        quiet = sizes.drop(part["cohort"].unique(), errors="ignore")
        counted.append(
            {
                "event_category": category,
                "relation": relation,
                "k_silent": len(quiet),
                "n_silent": float(quiet.sum()),
            }
        )
    return pd.DataFrame(counted, columns=["event_category", "relation", "k_silent", "n_silent"])
