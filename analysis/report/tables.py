"""The tables of the report, as Markdown that Quarto, pandoc and a plain reader all understand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis import priors as prior_table
from analysis import vocabulary
from analysis.report.figures import short
from analysis.report.results import Results

GROUP_WORDS = {
    "all": "all",
    "T1D": "type 1",
    "T2D": "type 2",
    "controlled": "with a control group",
    "uncontrolled": "without a control group",
}


@dataclass(frozen=True)
class Markdown:
    """A Markdown text that notebooks show as such."""

    text: str

    def _repr_markdown_(self) -> str:
        return self.text


def number(value: float, digits: int = 2) -> str:
    """A number for people: fixed digits, a true minus sign, an en dash for what is not known."""
    if value is None or not np.isfinite(value):
        return "–"
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", "−")


def interval(low: float, high: float, digits: int = 2) -> str:
    """`low to high`, or an en dash when there is none."""
    if low is None or not (np.isfinite(low) and np.isfinite(high)):
        return "–"
    return f"{number(low, digits)} to {number(high, digits)}"


def count(value: float) -> str:
    """A whole number, or an en dash."""
    return "–" if value is None or not np.isfinite(value) else f"{value:.0f}"


def markdown(table: pd.DataFrame, right: tuple[str, ...] = ()) -> Markdown:
    """A pipe table; columns named in `right` are aligned to the right."""
    header = "| " + " | ".join(table.columns) + " |"
    rule = "|" + "|".join("---:" if name in right else ":---" for name in table.columns) + "|"
    rows = [
        "| " + " | ".join(_cell(value) for value in row) + " |"
        for row in table.itertuples(index=False)
    ]
    return Markdown("\n".join([header, rule, *rows]))


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def link(url: str, text: str) -> str:
    """A Markdown link."""
    return f"[{text}](<{url}>)"


def group_label(kind: str, group: str) -> str:
    """A group of estimates in words."""
    return short(group) if kind == "cell_class" else GROUP_WORDS.get(group, group)


def methods_side_by_side(results: Results) -> Markdown:
    """The shared question answered three ways: NUTS, quadrature and frequentist."""
    names = {"nuts": "NUTS", "exact": "quadrature", "dl": "DerSimonian–Laird",
             "pm": "Paule–Mandel", "hksj": "HKSJ interval"}  # fmt: skip
    table = results.estimates
    table = table[(table["group_kind"] == "design") & table["method"].isin(names)]
    table = table[table["outcome"].isin(["c_peptide_ratio", "c_peptide_gain", "hba1c",
                                         "insulin_dose"])]  # fmt: skip
    table = table[~table["estimand"].str.startswith("p_") & (table["scale"] != "ratio")]
    rows = [
        {
            "Outcome": row.outcome.replace("_", " "),
            "Studies compared with": GROUP_WORDS.get(row.group, row.group),
            "Method": names[row.method],
            "k": count(row.k_studies),
            "n": count(row.n_patients),
            "Mean": number(row.mean, 3),
            "95 % interval": interval(row.ci_low, row.ci_high, 3),
            "τ": number(row.tau, 3),
        }
        for row in table.sort_values(["outcome", "group"], kind="stable").itertuples()
    ]
    return markdown(pd.DataFrame(rows), ("k", "n", "Mean", "τ"))


def study_table(results: Results) -> Markdown:
    """Every eligible report with what it was and where it was read."""
    studies = results.evidence.studies
    studies = studies[studies["include"] == "yes"].sort_values(
        ["cell_class", "year", "study_id"], kind="stable"
    )
    rows = [
        {
            "Study": link(row.source_url, f"{row.first_author} {row.year:.0f}".replace(" nan", "")),
            "Cells": short(row.cell_class),
            "Type": row.diabetes_type,
            "Design": vocabulary.DESIGNS[row.design],
            "Treated": count(row.n_treated),
            "Control": count(row.n_control),
            "Follow-up, months": number(row.followup_months, 0),
            "Country": row.country,
            "Read in": vocabulary.SEEN_IN[row.seen_in],
        }
        for row in studies.itertuples()
    ]
    return markdown(pd.DataFrame(rows), ("Treated", "Control", "Follow-up, months"))


def safety(results: Results) -> Markdown:
    """Each harm: who said something, what they counted, and how large a rate is still possible."""
    rows = [
        {
            "Event": vocabulary.EVENT_CATEGORIES.get(row.event_category, row.event_category),
            "As": vocabulary.RELATIONS.get(row.relation, row.relation),
            "Studies that say": count(row.k_stated),
            "Patients": count(row.n_stated),
            "Studies silent": count(row.k_silent),
            "With event": count(row.events),
            "Per 100 patient-years": number(row.rate_mean, 1),
            "95 % interval": interval(row.rate_ci_low, row.rate_ci_high, 1),
            "Rule of three, %": number(100 * row.rule_of_three, 1),
        }
        for row in results.table("safety_summary").itertuples()
    ]
    numbers = ("Studies that say", "Patients", "Studies silent", "With event",
               "Per 100 patient-years", "Rule of three, %")  # fmt: skip
    return markdown(pd.DataFrame(rows), numbers)


def published(results: Results) -> Markdown:
    """Earlier pooled results, as printed."""
    rows = [
        {
            "Review": link(row.source_url, f"{row.first_author or row.study_id} "
                           f"{count(row.year)}"),
            "Patients with": row.population,
            "Comparison": row.comparison,
            "Outcome": row.outcome,
            "k": count(row.k_studies),
            "Measure": row.measure,
            "Pooled": number(row.estimate),
            "95 % interval": interval(row.ci_low, row.ci_high),
        }
        for row in results.evidence.published.itertuples()
    ]  # fmt: skip
    return markdown(pd.DataFrame(rows), ("k", "Pooled"))


def priors() -> Markdown:
    """Every prior with its reason."""
    table = prior_table.table().map(lambda value: str(value).replace("_", " "))
    table.columns = [name.capitalize() for name in table.columns]
    return markdown(table)


def diagnostics(results: Results) -> Markdown:
    """Every fit and the worst of its diagnostics."""
    rows = [
        {
            "Fit": name,
            "R-hat": number(figures["max_rhat"], 3),
            "Bulk ESS": count(figures["min_ess_bulk"]),
            "Tail ESS": count(figures["min_ess_tail"]),
            "Divergences": count(figures["divergences"]),
        }
        for stage in results.manifest["stages"].values()
        for name, figures in stage["fits"].items()
    ]
    return markdown(pd.DataFrame(rows), ("R-hat", "Bulk ESS", "Tail ESS", "Divergences"))


def versions(results: Results) -> Markdown:
    """What the numbers were made with."""
    manifest = results.manifest
    rows = {
        "isletmeta": manifest["isletmeta"],
        "Python": manifest["python"],
        **manifest["packages"],
        "seed": manifest["seed"],
        "code digest": manifest["code"],
        "lock digest": manifest["lock"],
        **{f"data/raw/{name}": digest[:16] for name, digest in manifest["data"].items()},
    }
    return markdown(pd.DataFrame({"What": list(rows), "Value": [str(v) for v in rows.values()]}))


def exclusions(results: Results) -> Markdown:
    """Why rows of evidence did not enter a pooled estimate, counted by reason."""
    table = results.table("exclusions").groupby(["table", "reason"]).size()
    table = table.reset_index(name="rows").sort_values("rows", ascending=False, kind="stable")
    table.columns = ["Table", "Reason", "Rows"]
    return markdown(table, ("Rows",))


def facts(results: Results, name: str) -> Markdown:
    """Every extracted fact of a table, in the source's own units, with its link."""
    table = getattr(results.evidence, name)
    chosen = {
        "outcomes": ["study_id", "arm", "outcome", "months", "n", "statistic", "value", "unit",
                     "scale"],
        "directions": ["study_id", "contrast", "outcome", "months", "direction", "significant",
                       "p_relation", "p_value"],
        "independence": ["study_id", "arm", "fact", "k", "n_total", "months", "value", "low",
                         "high", "status"],
        "safety": ["study_id", "arm", "event_category", "n_patients", "n_at_risk", "relation",
                   "bound"],
    }[name]  # fmt: skip
    shown = table[chosen].map(_plain)
    shown.columns = [column.replace("_", " ") for column in chosen]
    shown["source"] = [link(url, f"line {line}") for url, line in
                       zip(table["source_url"], table["line"], strict=True)]  # fmt: skip
    return markdown(shown)


def _plain(value: object) -> str:
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:g}"
    return str(value).replace("_", " ")
