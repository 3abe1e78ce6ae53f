"""Numbers of an outcome in a stratum: the headline and everything that stands beside it."""

from __future__ import annotations

import pandas as pd

from analysis import outcomes, vocabulary
from analysis.records import records
from analysis.report import readings
from analysis.report.readings import question
from analysis.report.results import Results
from analysis.report.tables.base import Table, grid
from analysis.report.words import chance, count, interval, number
from analysis.results import ALL, METHODS, VARIANTS

DESIGNS = {"controlled": "against controls", "randomised": "randomised alone",
           "uncontrolled": "no control group"}  # fmt: skip
ORDER = ("headline", "numbers_only", "all_nulls", "low_risk", "strict_window", "visit_open_out",
         "stated_measure", "with_untested", "words_se_0.5", "words_se_0.75", "words_se_1.5",
         "robust", "classes", "joint", "bias_average", "registered_nulls")  # fmt: skip


def numbers(results: Results, outcome: str, approach: str, population: str) -> Table:
    """The headline of an outcome in a stratum and every analysis beside it, one a row."""
    about = outcomes.get(outcome)
    scale = "ratio" if about.is_ratio else about.scale
    parts = {"outcome": outcome, "approach": approach, "population": population}
    table = results.find(**parts, quantity="mean", scale=scale)
    place = {word: i for i, word in enumerate(ORDER)}
    designs = {word: i for i, word in enumerate(DESIGNS)}
    table = table[table["design"].isin(DESIGNS)]
    table = table.assign(
        _d=table["design"].map(designs), _v=table["variant"].map(place).fillna(99),
        _m=table["method"].ne("exact"),
    ).sort_values(["_d", "_v", "_m", "method", "cell_class"], kind="stable")  # fmt: skip
    rows, ids = [], []
    for row in records(table):
        good = results.get(**parts, design=row["design"], quantity="probability",
                           threshold=about.neutral, variant=row["variant"],
                           cell_class=row["cell_class"],
                           method=row["method"])  # fmt: skip
        what = VARIANTS[row["variant"]]
        if row["variant"] == "headline" and "no headline" in row["note"]:
            what = "the same model, a sensitivity: too few numbers for a headline"
        if row["cell_class"] != ALL:
            what = f"of these, {vocabulary.CELL_CLASSES[row['cell_class']]}"
        if row["method"] != "exact":
            what = f"{what}: {METHODS[row['method']]}"
        rows.append({
            "Analysis": what, "Compared": DESIGNS[row["design"]],
            "Mean": number(row["mean"], about.digits),
            "95 % interval": interval(row["ci_low"], row["ci_high"], about.digits),
            "New study": interval(row["pred_low"], row["pred_high"], about.digits),
            "Better": "–" if good is None else chance(good["mean"]),
            "Studies": count(row["k_studies"]),
            "Patients": count(row["n_patients"]), "Note": row["note"],
        })  # fmt: skip
        ids.append(row["id"])
    return grid(pd.DataFrame(rows), ("Mean", "Studies", "Patients", "Better"), ids=ids,
                under="Compared")  # fmt: skip


def told(results: Results, approach: str, population: str) -> Table:
    """How every outcome of a stratum is told, by design: results, directions, and the mean."""
    from analysis.report.chapters import value_words

    rows, ids = [], []
    for name in outcomes.of_kind(outcomes.CONTINUOUS):
        for design, words in DESIGNS.items():
            found = results.rows("headlines", outcome=name, approach=approach,
                                 population=population, design=design)  # fmt: skip
            if found.empty or found["told"].iloc[0] == "none":
                continue
            row = found.iloc[0]
            ids.append(question(row))
            counted = {"better": row["k_better"], "no clear difference": row["k_null"],
                       "worse": row["k_worse"], "untested": row["k_untested"]}  # fmt: skip
            rows.append({
                "Outcome": outcomes.get(name).title, "Compared": words,
                "Result": value_words(results, row.to_dict()),
                "Directions": ", ".join(f"{count(k)} {word}" for word, k in counted.items() if k),
                "Studies": count(row["k_studies"]), "Patients": count(row["n_patients"]),
            })  # fmt: skip
    told_of: set[str] = set()  # what two scales share is told once
    for name in outcomes.of_kind(outcomes.CONTINUOUS):
        found = _without_month(results, name, approach, population)
        found = found[~found["outcome"].isin(told_of)]
        told_of |= set(found["outcome"])
        if len(found):
            ids.append("")
            rows.append({
                "Outcome": outcomes.get(name).title,
                "Compared": f"{DESIGNS['uncontrolled']}; no month printed, in no mean",
                "Result": "; ".join(readings.in_words_told(row, name) for _, row in
                                    found.iterrows()),
                "Directions": "in words alone",
                "Studies": count(found["study_id"].nunique()),
                "Patients": count(found.groupby("study_id")["n_treated"].max().sum(min_count=1)),
            })  # fmt: skip
    return grid(pd.DataFrame(rows), ("Studies", "Patients"), ids=ids,
                steps=[results.steps(name) for name in ids])  # fmt: skip


def _without_month(results: Results, outcome: str, approach: str, population: str) -> pd.DataFrame:
    """Tested results in words against before treatment whose month is not printed."""
    found = readings.in_words(results, outcome, approach, population, "treated_vs_baseline")
    return found[found["months"].isna() & found["significant"].ne("unstated")]
