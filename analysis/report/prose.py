"""The sentences of the report that hold numbers: each made from the fits, with k and n.

A sentence says what was estimated, from how many studies and patients, how uncertain it is, and
what the data cannot tell. Where there is no estimate it says so.
"""

from __future__ import annotations

import numpy as np

from analysis.report.figures import RATIO_OUTCOMES, evidence_map_counts, study_effects
from analysis.report.results import Results
from analysis.report.tables import count, interval, number

UNITS = {"hba1c": " percentage points", "c_peptide_gain": " nmol/L"}


def base(row) -> str:
    """`k studies, n patients`, in words for one study."""
    studies = "1 study" if row["k_studies"] == 1 else f"{count(row['k_studies'])} studies"
    return f"{studies}, {count(row['n_patients'])} patients"


def overview(results: Results) -> str:
    """How much evidence there is, and of which kind."""
    studies = results.evidence.studies
    eligible = studies[studies["include"] == "yes"]
    rct = (eligible["design"] == "rct").sum()
    return (
        f"The extract holds {len(studies)} publications and reports, of which {len(eligible)} are "
        f"eligible; they describe {eligible['cohort'].nunique()} separate groups of patients, "
        f"because several reports often follow the same people. "
        f"{rct} of the eligible reports are of randomised trials; the median number of treated "
        f"patients is {eligible['n_treated'].median():.0f}."
    )


def gaps(results: Results) -> str:
    """The empty cells of the evidence map."""
    counts = evidence_map_counts(results)
    empty = int((counts == 0).to_numpy().sum())
    return (
        f"Of the {counts.size} combinations of cell class and outcome, {empty} have no study at "
        "all: there the honest answer is that nobody knows."
    )


def mean_effect(results: Results, outcome: str, controlled: bool) -> str:
    """The pooled mean of an outcome in one kind of design, or why there is none."""
    where = "against control groups" if controlled else "without a control group"
    studies = study_effects(results, outcome)
    studies = studies[studies["controlled"] == controlled]
    if studies.empty:
        return f"No study measured this {where}."
    words = int((studies["kind"] != "numeric").sum())
    counted = f"{len(studies)} studies, {count(studies['n_patients'].sum())} patients"
    told = f"; {words} of them in words only" if words else ""
    row = results.pooled(outcome, controlled)
    if row is None:
        return f"Studied {where} ({counted}{told}), too few print numbers with a spread to pool."
    show = np.exp if outcome in RATIO_OUTCOMES else np.asarray
    unit = " times" if outcome in RATIO_OUTCOMES else UNITS[outcome]
    low, high = show(row["ci_low"]), show(row["ci_high"])
    text = (
        f"Studied {where} ({counted}{told}), the mean of the {base(row)} that print a spread is "
        f"{number(float(show(row['mean'])))}{unit} "
        f"(95 % confidence interval {interval(low, high)})"
    )
    if np.isfinite(row["pred_low"]):
        ends = interval(show(row["pred_low"]), show(row["pred_high"]))
        text += f"; a new study may find {ends}"
    return text + "."


def ever_independent(results: Results) -> str:
    """How many eligible reports say how many patients were ever free of insulin."""
    facts = results.evidence.independence
    studies = results.evidence.studies.set_index("study_id")
    ever = facts[(facts["fact"] == "ever") & (facts["study_id"].map(studies["include"]) == "yes")]
    cohorts = ever["study_id"].map(studies["cohort"]).nunique()
    none = int((ever["k"] == 0).sum())
    return (
        f"{ever['study_id'].nunique()} eligible reports on {cohorts} groups of patients say how "
        f"many were ever free of insulin; in {none} of these statements it was nobody."
    )


def worst_reporting(results: Results) -> str:
    """How many studies said nothing about each of the gravest harms."""
    table = results.table("safety_summary")
    table = table[(table["relation"] == "any") & (table["k_stated"] > 0)]
    parts = []
    for category, words in (("death", "deaths"), ("malignancy_or_tumour", "tumours")):
        row = table[table["event_category"] == category]
        if len(row):
            one = row.iloc[0]
            parts.append(
                f"{words} were stated, whatever the number, for {count(one['k_stated'])} cohorts "
                f"({count(one['n_stated'])} patients), and {count(one['k_silent'])} cohorts say "
                "nothing"
            )
    return ("; ".join(parts) + ".").capitalize() if parts else "No harm was stated explicitly."
