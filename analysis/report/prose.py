"""The sentences of the report that hold numbers: each made from the fits, with k and n.

A sentence says what was estimated, from how many studies and patients, how uncertain it is, and
what the data cannot tell. Where there is no estimate it says so.
"""

from __future__ import annotations

import numpy as np

from analysis.report.figures import evidence_map_counts, short
from analysis.report.results import Results
from analysis.report.tables import count, interval, number

UNITS = {"hba1c": " percentage points", "c_peptide_gain": " nmol/L"}


def base(row) -> str:
    """`k studies, n patients`, in words for one study."""
    studies = "1 study" if row["k_studies"] == 1 else f"{count(row['k_studies'])} studies"
    return f"{studies}, {count(row['n_patients'])} patients"


def percent(value: float) -> str:
    """A probability as a percentage without decimals, never a false 0 or 100."""
    if not np.isfinite(value):
        return "unknown"
    if value < 0.01:
        return "under 1 %"
    if value > 0.99:
        return "over 99 %"
    return f"{100 * value:.0f} %"


def percent_interval(row, low: str = "ci_low", high: str = "ci_high") -> str:
    """The interval of a probability in per cent."""
    return f"{100 * row[low]:.0f} to {100 * row[high]:.0f} %"


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
    """The pooled mean of an outcome among controlled or uncontrolled studies."""
    name = "mean_controlled" if controlled else "mean_uncontrolled"
    where = "against control groups" if controlled else "without a control group"
    scale = {"scale": "ratio"} if outcome in ("c_peptide_ratio", "insulin_dose") else {}
    row = results.get(outcome, name, **scale)
    if row is None or not np.isfinite(row["mean"]):
        return f"No study measured this {where}."
    if outcome in ("c_peptide_ratio", "insulin_dose"):
        change = f"{number(row['mean'])} times the comparison"
        unit = " times"
    else:
        change = f"{number(row['mean'])}{UNITS[outcome]}"
        unit = ""
    text = (
        f"Studied {where} ({base(row)}), the pooled mean is {change} "
        f"(95 % credible interval {interval(row['ci_low'], row['ci_high'])}{unit})"
    )
    if np.isfinite(row["pred_low"]):
        text += f"; a new study may find {interval(row['pred_low'], row['pred_high'])}{unit}"
    return text + "."


def ever_independent(results: Results) -> str:
    """The share of patients ever free of insulin, all classes and the most studied one."""
    row = results.get("ever_independent", "probability")
    if row is None:
        return "No study reported how many patients were ever free of insulin."
    text = (
        f"Averaged over all cell classes, {percent(row['mean'])} of treated patients "
        f"(95 % credible interval {percent_interval(row)}; {base(row)}) were at some time free of "
        f"insulin; in a new study it may be {percent_interval(row, 'pred_low', 'pred_high')}."
    )
    classes = results.find("ever_independent", "probability", group_kind="cell_class")
    classes = classes.sort_values("k_studies", ascending=False, kind="stable").head(1)
    for one in classes.to_dict("records"):
        text += (
            f" The most studied class is {short(one['group'])}: {percent(one['mean'])} "
            f"({percent_interval(one)}; {base(one)})."
        )
    return text


def still_free(results: Results, months: int, group: str = "all") -> str:
    """Of those once free of insulin, the share still free after so many months."""
    row = results.get("independence_survival", f"s_{months}", group=group)
    if row is None:
        return "not estimable"
    return f"{percent(row['mean'])} (95 % credible interval {percent_interval(row)})"


def durability(results: Results) -> str:
    """How long independence lasts, and where the data end."""
    row = results.get("independence_survival", "s_60")
    if row is None:
        return "No study reported how long independence from insulin lasted."
    return (
        "Of the people who became free of insulin, an estimated "
        f"{still_free(results, 12)} were still free after one year, {still_free(results, 24)} "
        f"after two and {still_free(results, 60)} after five ({base(row)} with usable facts)."
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
