"""From safety rows to countable facts: one row per cohort, arm, event category and relation.

An event nobody mentioned is not a zero: only explicit statements are counted. "None related to
the treatment" and "none at all" are different facts and are never joined. Of several reports on
the same patients (one cohort, or cohorts with a declared overlap) the one with the longest
follow-up that names the category speaks; when another counted more patients with the event, the
larger number stands as a lower bound, so that no stated event is erased by a later silence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis import vocabulary
from analysis.cohorts import patient_groups
from analysis.evidence import Evidence

STRATEGIES = {
    "conditioning_ablation": "conditioning",
    "systemic_immunosuppression": "immunosuppression",
    "encapsulation_plus_immunosuppression": "immunosuppression",
}
EXPOSURE_SHARE = {"longest": 0.5, "unstated": 0.5, "": 0.5}
"""Share of the printed follow-up kept in the cautious exposure: patients who enter at an even pace
have on average half the longest follow-up. Mean, median and minimum follow-ups are kept whole."""
SAME_PATIENTS = "the same patients and event in a fuller report or row"
NOT_COUNTED = ("procedure_tolerated", "other", "any_adverse_event")
COLUMNS = ["study_id", "cohort", "cell_class", "diabetes_type", "strategy", "arm",
           "event_category", "relation", "bound", "events", "n_at_risk", "months", "exposure",
           "patient_years", "patient_years_low", "implied", "source_rows"]  # fmt: skip


@dataclass(frozen=True)
class Harms:
    """Countable facts, and every row left out with its reason."""

    rows: pd.DataFrame
    exclusions: pd.DataFrame


def strategy(immune_strategy: str) -> str:
    """The immune strategy as it bears on safety; `unstated` when the study gives none."""
    return STRATEGIES.get(immune_strategy, "neither") if immune_strategy else "unstated"


def table(evidence: Evidence) -> Harms:
    """Facts that may be counted, each patient once per category and relation.

    Follow-up is the row's own, else the study's; months of a `longest` follow-up overstate the
    exposure, so rates built on them are, if anything, too low. `patient_years_low` is the cautious
    variant (`EXPOSURE_SHARE`). The word `exposure` says what kind of follow-up it was, `row` for
    one printed with the event and unlike the study's.
    """
    studies = evidence.studies.set_index("study_id")
    patients = patient_groups(evidence.studies)
    merged = evidence.safety.join(
        studies[["cohort", "cell_class", "diabetes_type", "immune_strategy", "include", "design"]],
        on="study_id",
    )
    of_study = merged["study_id"].map(studies["followup_months"]).astype(float)
    merged["months"] = merged["followup_months"].fillna(of_study)
    merged["exposure"] = merged["study_id"].map(studies["followup_kind"])
    merged.loc[(merged["months"] - of_study).abs() > 0.05, "exposure"] = "row"
    merged["patients"] = merged["study_id"].map(patients)
    merged["implied"] = False
    reasons = pd.Series(
        [_reason(row) for _, row in merged.iterrows()], index=merged.index, dtype=object
    )
    kept = merged[reasons == ""].copy()
    kept["arm"] = np.where(kept["arm"].str.startswith("control"), "control", "treated")
    kept["strategy"] = kept["immune_strategy"].map(strategy)
    kept["events"] = kept["n_patients"].astype(float)
    kept["patient_years"] = kept["n_at_risk"] * kept["months"] / 12
    share = kept["exposure"].map(lambda word: EXPOSURE_SHARE.get(word, 1.0)).astype(float)
    kept["patient_years_low"] = kept["patient_years"] * share
    kept["source_rows"] = "safety:" + kept["line"].astype(str)
    kept = kept.sort_values(
        ["patients", "arm", "event_category", "relation", "months", "n_at_risk", "events"],
        ascending=[True, True, True, True, False, False, False],
        na_position="last",
        kind="stable",
    )
    key = ["patients", "arm", "event_category", "relation"]
    repeated = kept.duplicated(key, keep="first")
    left = merged[reasons != ""].assign(reason=reasons[reasons != ""])
    again = kept[repeated].assign(reason=SAME_PATIENTS)
    raised = _raise_contradicted(kept, repeated, key).loc[~repeated, COLUMNS]
    used = set(";".join(raised["source_rows"]).split(";"))
    again = again[~("safety:" + again["line"].astype(str)).isin(used)]
    exclusions = pd.concat([left, again])[
        ["line", "study_id", "arm", "event_category", "relation", "reason"]
    ].sort_values("line")
    exclusions.insert(0, "table", "safety")
    rows = raised.sort_values(["event_category", "relation", "arm", "cohort"], kind="stable")
    return Harms(rows.reset_index(drop=True), exclusions.reset_index(drop=True))


def _raise_contradicted(kept: pd.DataFrame, repeated: pd.Series, key: list[str]) -> pd.DataFrame:
    """Where a report set aside counted more patients with the event, a lower bound of that many.

    They were counted among the patients of either report, so the larger group is at risk.
    """
    kept = kept.copy()
    most = kept.groupby(key)["events"].transform("max")
    for index in kept.index[~repeated & (most > kept["events"])]:
        same = (kept[key] == kept.loc[index, key]).all(axis=1)
        witness = kept[same & (kept["events"] == most[index])].index[0]
        grown = max(1.0, kept.loc[witness, "n_at_risk"] / kept.loc[index, "n_at_risk"])
        kept.loc[index, ["n_at_risk", "patient_years", "patient_years_low"]] *= grown
        kept.loc[index, "events"] = most[index]
        kept.loc[index, "bound"] = "at_least"
        kept.loc[index, "source_rows"] += ";" + kept.loc[witness, "source_rows"]
    return kept


def implied(evidence: Evidence, rows: pd.DataFrame) -> pd.DataFrame:
    """Lower bounds of events of any cause that follow from events whose cause was judged.

    A death judged unrelated, or related, is a death. Where treated patients have no statement of
    any cause for a category, one report's events judged related and unrelated give the least number
    of any cause: their sum for deaths, the larger of the two for what may befall a patient twice.
    These rows are `at_least`, marked `implied`; they serve a sensitivity analysis only, since the
    headline keeps to what was stated.
    """
    studies = evidence.studies.set_index("study_id")
    patients = patient_groups(evidence.studies)
    known = rows[(rows["arm"] == "treated") & (rows["relation"] == "any")]
    stated = set(zip(known["study_id"].map(patients), known["event_category"], strict=True))
    judged = evidence.safety[evidence.safety["relation"].isin(["treatment_related", "unrelated"])]
    judged = judged[
        judged["arm"].str.startswith("treated")
        & ~judged["event_category"].isin(NOT_COUNTED)
        & judged["n_patients"].gt(0)
        & judged["n_at_risk"].notna()
        & judged["study_id"].map(studies["include"]).eq("yes")
        & judged["study_id"].map(studies["design"]).ne("case_report")
    ]
    found = []
    for (study_id, category), part in judged.groupby(["study_id", "event_category"]):
        if (patients[study_id], category) in stated:
            continue
        study = studies.loc[study_id]
        n_at_risk = part["n_at_risk"].max()
        of_cause = part.groupby("relation")["n_patients"].max()
        events = of_cause.sum() if category == "death" else of_cause.max()
        own = part["followup_months"].max()
        months = study["followup_months"] if np.isnan(own) else own
        apart = np.isfinite(months) and abs(months - study["followup_months"]) > 0.05
        exposure = "row" if apart else study["followup_kind"]
        years = n_at_risk * months / 12
        found.append(
            {
                "study_id": study_id,
                "cohort": study["cohort"],
                "cell_class": study["cell_class"],
                "diabetes_type": study["diabetes_type"],
                "strategy": strategy(study["immune_strategy"]),
                "arm": "treated",
                "event_category": category,
                "relation": "any",
                "bound": "at_least",
                "events": min(events, n_at_risk),
                "n_at_risk": n_at_risk,
                "months": months,
                "exposure": exposure,
                "patient_years": years,
                "patient_years_low": years * EXPOSURE_SHARE.get(exposure, 1.0),
                "implied": True,
                "source_rows": ";".join("safety:" + part["line"].astype(str)),
                "patients": patients[study_id],
            }
        )
    if not found:
        return pd.DataFrame(columns=COLUMNS)
    ordered = pd.DataFrame(found).sort_values(
        ["event_category", "patients", "events", "months", "study_id"],
        ascending=[True, True, False, False, True],
        kind="stable",
    )
    single = ordered.drop_duplicates(["event_category", "patients"])
    return single[COLUMNS].reset_index(drop=True)


def serious(evidence: Evidence, rows: pd.DataFrame) -> pd.DataFrame:
    """Lower bounds of serious adverse events that follow from deaths and severe infections.

    Where a group of treated patients has such an event and says nothing of serious adverse events
    of any cause, as many patients had one; the larger of the two, since one may befall the other.

    Parameters
    ----------
    rows : facts as `table` counts them, with those of `implied`.

    Returns
    -------
    Rows of the same columns, `at_least` and marked `implied`, one a group at most.
    """
    treated = rows[(rows["arm"] == "treated") & (rows["relation"] == "any")]
    groups = treated["study_id"].map(patient_groups(evidence.studies))
    stated = set(groups[treated["event_category"] == "serious_adverse_event"])
    had = (
        treated["event_category"].isin(vocabulary.SERIOUS_EVENTS)
        & treated["events"].gt(0)
        & ~groups.isin(stated)
    )
    most = treated[had].assign(patients=groups[had]).sort_values(
        ["patients", "events", "study_id"], ascending=[True, False, True], kind="stable"
    )  # fmt: skip
    single = most.drop_duplicates("patients")[COLUMNS]
    return single.assign(event_category="serious_adverse_event", bound="at_least", implied=True)


def patient_table(evidence: Evidence) -> pd.DataFrame:
    """Eligible groups of treated patients, one row each, by `patients` (the name of the group).

    A group is a cohort with those of declared overlap. Columns: n_at_risk, the largest treated arm;
    months, the longest follow-up printed; and cohort, cell_class, diabetes_type and strategy of the
    report with the largest arm. n_at_risk and months are NaN where nobody printed them.
    """
    studies = evidence.studies
    eligible = studies[(studies["include"] == "yes") & (studies["design"] != "case_report")].copy()
    eligible["patients"] = eligible["study_id"].map(patient_groups(studies))
    eligible["strategy"] = eligible["immune_strategy"].map(strategy)
    eligible = eligible.sort_values("n_treated", ascending=False, kind="stable")
    grouped = eligible.groupby("patients")
    first = grouped[["cohort", "cell_class", "diabetes_type", "strategy"]].first()
    return first.assign(
        n_at_risk=grouped["n_treated"].max(), months=grouped["followup_months"].max()
    )


def _spoke(evidence: Evidence, rows: pd.DataFrame, category: str, relation: str) -> set[str]:
    """Groups of treated patients with a counted statement of the category and relation."""
    stated = rows[
        (rows["arm"] == "treated")
        & (rows["event_category"] == category)
        & (rows["relation"] == relation)
    ]
    return set(stated["study_id"].map(patient_groups(evidence.studies)))


def silent_groups(
    evidence: Evidence, rows: pd.DataFrame, category: str, relation: str
) -> pd.DataFrame:
    """The silent groups as if each had stated a zero: for a sensitivity analysis only.

    Groups of unknown size are left out (`never_stated` counts them); an unknown follow-up is set to
    the median of the others.
    """
    groups = patient_table(evidence)
    quiet = groups[~groups.index.isin(_spoke(evidence, rows, category, relation))]
    quiet = quiet[quiet["n_at_risk"].gt(0)]
    months = quiet["months"].fillna(groups["months"].median())
    return quiet.assign(
        event_category=category,
        relation=relation,
        bound="exact",
        events=0.0,
        months=months,
        patient_years=quiet["n_at_risk"] * months / 12,
    ).reset_index(drop=True)


def never_stated(evidence: Evidence, rows: pd.DataFrame) -> pd.DataFrame:
    """For each harm and cell class: eligible groups of patients nobody said anything about.

    One row per event category, relation and cell class (and `all`), also for harms and classes
    nobody wrote about. What was never stated is unknown, not zero.
    """
    groups = patient_table(evidence)
    counted = []
    for category in (c for c in vocabulary.EVENT_CATEGORIES if c not in NOT_COUNTED):
        for relation in ("any", "treatment_related"):
            spoke = groups.index.isin(_spoke(evidence, rows, category, relation))
            for name in ("all", *sorted(groups["cell_class"].unique())):
                own = np.full(len(groups), True) if name == "all" else groups["cell_class"] == name
                quiet = groups[own & ~spoke]
                counted.append(
                    {
                        "event_category": category,
                        "relation": relation,
                        "cell_class": name,
                        "k_stated": int((own & spoke).sum()),
                        "k_silent": len(quiet),
                        "n_silent": float(quiet["n_at_risk"].sum()),
                        "k_size_unknown": int(quiet["n_at_risk"].isna().sum()),
                    }
                )
    return pd.DataFrame(counted)


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
