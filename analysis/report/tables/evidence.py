"""Tables of the evidence as extracted: studies, facts with their links, earlier reviews."""

from __future__ import annotations

from urllib.parse import urlsplit

import numpy as np
import pandas as pd

from analysis import vocabulary
from analysis.evidence.references import reference
from analysis.records import records
from analysis.report import glossary, readings
from analysis.report.results import Results
from analysis.report.tables.base import Table, grid, link, made_from
from analysis.report.words import (
    GROUP_WORDS,
    MEASURES,
    SHARES,
    base,
    count,
    interval,
    known,
    number,
    review,
    reviewed,
    short,
    some,
    study,
)

FACT_COLUMNS = {
    "outcomes": ["study_id", "arm", "outcome", "months", "n", "statistic", "value", "spread",
                 "unit", "scale"],
    "directions": ["study_id", "contrast", "outcome", "months", "direction", "significant",
                   "p_relation", "p_value"],
    "responders": ["study_id", "arm", "outcome", "criterion", "months", "n_responders", "n_total"],
    "independence": ["study_id", "arm", "fact", "k", "n_total", "bound", "months", "value",
                     "status"],
    "safety": ["study_id", "arm", "event_category", "n_patients", "n_at_risk", "relation",
               "bound"],
}  # fmt: skip
HEADERS = {
    "study_id": "Study", "arm": "Arm", "outcome": "Outcome", "months": "Month", "n": "Patients",
    "statistic": "As", "value": "Value", "spread": "Spread", "unit": "Unit", "scale": "Scale",
    "contrast": "Contrast", "direction": "Direction", "significant": "Significant",
    "p_relation": "P", "p_value": "P value", "criterion": "Criterion",
    "n_responders": "Responders", "n_total": "Of", "fact": "Fact", "k": "Patients",
    "bound": "Bound",
    "status": "Status", "event_category": "Event", "n_patients": "With event",
    "n_at_risk": "At risk", "relation": "Related",
}  # fmt: skip


def study_table(results: Results) -> Table:
    """Every eligible report with what it was and where it was read."""
    labels = glossary.labels(results.evidence)
    studies = results.evidence.studies
    studies = studies[studies["include"] == "yes"].sort_values(
        ["cell_class", "year", "study_id"], kind="stable"
    )
    rows = [
        {
            "Study": link(row.source_url, labels[row.study_id]),
            "Cells": short(row.cell_class),
            "Type": GROUP_WORDS.get(row.diabetes_type, row.diabetes_type),
            "Design": vocabulary.DESIGNS[row.design],
            "Treated": count(row.n_treated),
            "Control": count(row.n_control),
            "Months": number(row.followup_months, 0),
            "Country": row.country,
            "Read in": vocabulary.SEEN_IN[row.seen_in],
            "DOI, else PubMed or registry number, else site": _number_of(row),
        }
        for row in studies.itertuples()
    ]
    ids = list(studies["study_id"])
    return grid(pd.DataFrame(rows), ("Treated", "Control", "Months"), ids=ids,
                steps=[results.steps(name) for name in ids], tools=True)  # fmt: skip


def _number_of(row) -> str:
    """By what a report is found on paper: DOI, else number of PubMed or registry, else its site."""
    site = urlsplit(row.source_url).hostname or "–"
    return next(filter(None, (str(row.doi), str(row.pmid), str(row.registry_id), site)))


def case_reports(results: Results) -> Table:
    """Reports shown and never pooled: single patients, donor islets, press releases."""
    studies = results.evidence.studies
    labels = glossary.labels(results.evidence)
    studies = studies[studies["include"] == "context"].sort_values(["year", "study_id"])
    rows = [
        {
            "Report": link(row.source_url, labels[row.study_id]),
            "Cells": short(row.cell_class),
            "Type": GROUP_WORDS.get(row.diabetes_type, row.diabetes_type),
            "Treated": count(row.n_treated),
            "Why it is not pooled": glossary.named(row.exclusion_reason, labels),
        }
        for row in studies.itertuples()
    ]  # fmt: skip
    return grid(pd.DataFrame(rows), ("Treated",))


def published(results: Results) -> Table:
    """Earlier pooled results, as printed."""
    rows = []
    for row in records(results.evidence.published):
        signed = [row[f"{name}_signed"] for name in POOLED]
        printed = [row[name] for name in POOLED]
        shown = signed if known(signed[0]) else printed
        turned = [number(value) for value in shown] != [number(value) for value in printed]
        rows.append({
            "Review": link(row["source_url"], review(row)),
            "Patients with": reviewed(row["population"]).replace(*BOTH),
            "Comparison": reviewed(row["comparison"]),
            "Outcome": reviewed(row["outcome"]),
            "Behind it": base(row["k_studies"], row["n_patients"])
            if known(row["k_studies"]) else "–",
            "Measure": _measure(row),
            "Pooled": number(shown[0]),
            "95 % interval": interval(*shown[1:]),
            "As printed": f"{number(printed[0])} ({interval(*printed[1:])})" if turned else "–",
        })  # fmt: skip
    return grid(pd.DataFrame(rows), ("Pooled",), under="Review")


POOLED = ("estimate", "ci_low", "ci_high")
BOTH = ("type 1 and type 2 diabetes", "both types")


PERCENT = {"quality of life": "points of a scale, printed with %"}
"""What % means where the outcome is no share."""


def _measure(row: dict) -> str:
    """What was pooled, with its unit where it has one: `mean difference, %`."""
    if not known(row["estimate"]):
        return "no number seen"
    named = MEASURES.get(row["measure"], row["measure"])
    if row["measure"] in SHARES:
        return f"{named}, %"
    if row["measure"].startswith("MD"):
        percent = PERCENT.get(row["outcome"], "percentage points")
        unit = percent if row["unit"] == "%" else row["unit"]
        return f"{named}, {unit or 'unit not printed'}"
    return named


def facts(results: Results, name: str) -> Table:
    """Every extracted fact of a table, in the source's own units, with its link."""
    table = getattr(results.evidence, name)
    chosen = FACT_COLUMNS[name]
    rows = records(table)
    if name == "outcomes":
        table = table.assign(spread=[_spread(row) for row in rows])
    if name == "independence":
        table = table.assign(value=[_months_free(row) for row in rows])
    labels = glossary.labels(results.evidence)
    cells = {
        column: [glossary.named(glossary.told(column, cell), labels) for cell in table[column]]
        for column in chosen
    }
    if name == "directions":
        cells["months"] = [_visits(row) for row in rows]
    elif name != "safety":
        cells["months"] = [_month(value) for value in table["months"]]
    cells["study_id"] = [labels[study] for study in table["study_id"]]
    shown = pd.DataFrame(cells).set_axis([HEADERS[column] for column in chosen], axis=1)
    shown["Source"] = [link(url, f"line {line}") for url, line in
                       zip(table["source_url"], table["line"], strict=True)]  # fmt: skip
    return grid(shown, ids=[reference(name, row) for row in rows],
                steps=[results.went(name, row) for row in rows], tools=True,
                under="Study")  # fmt: skip


WEEKS = 12 * 7 / 365.25
"""Months of a week."""


def _month(value: float) -> str:
    """A visit in months; one that was printed in weeks says so: `5.5 (24 weeks)`."""
    if not known(value) or value == int(value):
        return count(value)
    weeks = value / WEEKS
    whole = round(weeks)
    return f"{number(value, 1)} ({whole} weeks)" if abs(weeks - whole) < 0.05 else f"{value:g}"


SPREADS = {"unstated": "±", "none": "", "sd": "SD", "se": "SE", "iqr": "IQR", "range": "range",
           "ci95": "95 % interval"}  # fmt: skip


def _spread(row: dict) -> str:
    """A printed spread with its kind: `SD 1.2`, `iqr 3 to 5`."""
    kind = SPREADS[row["spread_kind"]]
    if row["spread_kind"] == "unstated" and not np.isfinite(row["spread"]):
        kind = ""  # two ends are no ±
    if np.isfinite(row["spread"]):
        return f"{kind} {row['spread']:g}".strip()
    if np.isfinite(row["spread_low"]) and np.isfinite(row["spread_high"]):
        return f"{kind} {row['spread_low']:g} to {row['spread_high']:g}".strip()
    return ""


def _visits(row: dict) -> str:
    """The visit of a statement in words, or all visits that it is made for: `12`, `3 to 36`."""
    if np.isfinite([row["months_from"], row["months_to"]]).all() and (
        row["months_from"] < row["months_to"]
    ):
        return f"{row['months_from']:g} to {row['months_to']:g}"
    return _month(row["months"])


def _months_free(row: dict) -> str:
    """Months free of insulin as printed: `median 43 (6 to 100)`, `13`."""
    told = []
    if np.isfinite(row["value"]):
        told.append(f"{row['duration_statistic']} {row['value']:g}".strip())
    if np.isfinite([row["low"], row["high"]]).all():
        ends = f"{row['low']:g} to {row['high']:g}"
        told.append(f"({ends})" if told else ends)
    return " ".join(told)


@made_from("exclusions")
def exclusions(results: Results) -> Table:
    """Why rows of evidence did not enter a pooled estimate, counted by reason."""
    table = results.table("exclusions").groupby(["table", "reason"]).size()
    table = table.reset_index(name="rows").sort_values("rows", ascending=False, kind="stable")
    table["table"] = table["table"].map(glossary.FILES.get)
    table["reason"] = table["reason"].map(glossary.reason)
    table.columns = ["Table", "Reason", "Rows"]
    return grid(table, ("Rows",))


def levels(results: Results) -> Table:
    """C-peptide made again after islet replacement: limits, counts and levels, study by study."""
    facts = readings.counted(results, "c_peptide_detectable", vocabulary.ISLETS, "t1d")
    counts = [(row, "yes") for row in records(facts.sort_values("label"))]
    counts += [(row, "no") for row in readings.other_limits(results, facts)]
    rows = []
    for word, name in readings.CLASS_WORDS.items():
        rows += [
            {"Cells": name, "Study": study(row["label"]), "Counted or measured": row["criterion"],
             "Month": count(row["month"]), "Result": f"{count(row['k'])} of {count(row['n'])}",
             "Of this report's count": summed}
            for row, summed in counts if row["cell_class"] == word
        ]  # fmt: skip
        rows += [
            {"Cells": name, "Study": study(level.label),
             "Counted or measured": "level after a stimulus, at the last visit with a number"
             + (", read second-hand" if level.second_hand else ""),
             "Month": count(level.month), "Of this report's count": "–",
             "Result": f"{level.ends} nmol/L in "
             f"{some(level.n, 'single patient' if level.alone else 'patient')}"}
            for level in readings.levels(results, word)
        ]  # fmt: skip
    return grid(pd.DataFrame(rows), ("Month",), under="Cells")
