"""Tables of the methods: priors, versions, choices, refits, publication bias, witnesses."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from analysis import outcomes, priors, risk_of_bias, vocabulary
from analysis.records import records
from analysis.report import glossary, style
from analysis.report.figures.robustness import funnel, headlines, name
from analysis.report.results import Results
from analysis.report.tables.base import Table, grid, made_from
from analysis.report.words import choice, count, factor, interval, known, number, percent, some


def prior_table() -> Table:
    """Every prior with its reason; models that share parameter and reason stand together."""
    rows = []
    for (parameter, reason, source), part in priors.table().groupby(
        ["parameter", "reason", "source"], sort=False
    ):
        part = part.assign(model=part["model"].map(glossary.model))
        same = part.groupby(["prior", "unit"], sort=False)["model"].agg(", ".join)
        told = [f"{models}: {prior} {unit}" for (prior, unit), models in same.items()]  # fmt: skip
        rows.append({"Parameter": glossary.parameter(parameter), "Prior": "; ".join(told),
                     "Reason": reason, "Source": source})  # fmt: skip
    return grid(pd.DataFrame(rows), tools=True)


def versions(results: Results) -> Table:
    """What the numbers were made with, and from which evidence."""
    manifest = results.manifest
    rows = [{"What": "isletmeta", "Version or digest": manifest.get("isletmeta", "")}]
    rows += [{"What": "Python", "Version or digest": manifest.get("python", "")}]
    rows += [{"What": package, "Version or digest": version}
             for package, version in manifest.get("packages", {}).items()]  # fmt: skip
    return grid(pd.DataFrame(rows))


@made_from("standing")
def standing(results: Results) -> Table:
    """Where each headline stands among all analyses."""
    rows = []
    for one in headlines(results):
        about = outcomes.get(one["outcome"])
        row = results.rows("standing", **one).iloc[0]
        rows.append({
            "Headline": name(one), "Analyses": count(row["n_usable"]),
            "Middle": number(about.shown(row["median"]), about.digits),
            "90 of 100 lie in": interval(about.shown(row["low"]), about.shown(row["high"]),
                                         about.digits),
            "As good or better": percent(row["share_as_favourable"]),
            "Clearly better": percent(row["share_good_clear"]),
            "Clearly worse": percent(row["share_harm_clear"]),
            "Clearly better, silent trials as nulls": percent(row["share_clear_with_nulls"]),
            "Moves it most": choice(row["strongest_choice"]),
        })  # fmt: skip
    return grid(pd.DataFrame(rows), ("Analyses", "Middle", "As good or better"))


@made_from("multiverse_levels")
def choices(results: Results) -> Table:
    """What each level of each choice does to each headline: one row a level."""
    levels = results.table("multiverse_levels")
    levels = levels[levels["offered"] & ~levels["default"]]
    titles = {name(one): one for one in headlines(results)}
    rows = {meaning: {"Choice": meaning} | dict.fromkeys(titles, "–")
            for meaning in levels["meaning"].unique()}  # fmt: skip
    for title, one in titles.items():
        about = outcomes.get(one["outcome"])
        own = levels[(levels[list(one)] == pd.Series(one)).all(axis=1)]
        for row in records(own):
            middle = number(about.shown(row["median_mean"]), about.digits)
            rows[row["meaning"]][title] = (
                f"{middle}; {percent(row['share_good_clear'])} of {count(row['n'])}"
            )
    return grid(pd.DataFrame(list(rows.values())), tools=True)


@made_from("bias_summary")
def publication(results: Results) -> Table:
    """The average over models of publication bias, and the classical tests."""
    rows = []
    for one in headlines(results):
        about = outcomes.get(one["outcome"])
        found = results.rows("bias_summary", **one)
        if found.empty:
            continue
        row = found.iloc[0]
        rows.append({
            "Headline": name(one), "Numbers": count(row["k_studies"]),
            "Left out": count(row["k_left_out"]),
            "Mean, bias averaged": number(about.shown(row["mean"]), about.digits),
            "95 % interval": interval(about.shown(row["ci_low"]), about.shown(row["ci_high"]),
                                      about.digits),
            "Bayes factor for bias": factor(row["bf_bias"]), "What it is worth": row["statement"],
        })  # fmt: skip
    return grid(pd.DataFrame(rows), ("Numbers", "Left out", "Mean, bias averaged"))


ENOUGH = 10
"""Studies below which a test of asymmetry has hardly any power (Sterne et al 2011)."""


def asymmetric(results: Results) -> tuple[int, int]:
    """The fewest and the most printed numbers that a headline has for a test of asymmetry."""
    table = results.table("small_study")
    return (int(table["k_studies"].min()), int(table["k_studies"].max())) if len(table) else (0, 0)


@dataclass(frozen=True)
class Asymmetry:
    """Funnels (on a screen) and classical tests; nothing where no headline has the studies."""

    tests: Table | None = None
    funnels: Figure | None = None

    def _repr_html_(self) -> str:
        if self.tests is None or self.funnels is None:
            return ""
        drawn = style.as_svg(self.funnels)
        label = "Funnel plots of the printed numbers of each headline."
        return (f'<figure role="img" aria-label="{label}">{drawn[drawn.index("<svg") :]}</figure>'
                f"\n{self.tests._repr_html_()}")  # fmt: skip

    def _repr_markdown_(self) -> str:
        return "" if self.tests is None else self.tests._repr_markdown_()


def small_study(results: Results) -> Asymmetry:
    """Funnels and classical tests, where a headline has the studies that they need."""
    if asymmetric(results)[1] < ENOUGH:
        return Asymmetry()
    return Asymmetry(_small_study(results), funnel(results))


def _small_study(results: Results) -> Table:
    """Classical tests of asymmetry, each with what it is worth; those that cannot answer at once.

    What trim and fill prints as p is of its mean and no test of asymmetry: its studies are told.
    """
    names = {"egger": "Egger", "begg": "Begg", "trim_and_fill": "trim and fill"}
    rows = []
    for one in headlines(results):
        alike: dict[tuple[str, str, str], list[str]] = {}
        for row in records(results.rows("small_study", **one)):
            fills = row["test"] == "trim_and_fill"
            note = row["note"]
            if fills and known(row["k_filled"]):
                note = re.sub("^studies ", f"{some(row['k_filled'], 'study')} ", note)
            told = (count(row["k_studies"]), "–" if fills else number(row["p_value"], 2), note)
            alike.setdefault(told, []).append(names.get(row["test"], row["test"]))
        rows += [
            {"Headline": name(one), "Test": ", ".join(tests), "Studies": k, "P": p, "Note": note}
            for (k, p, note), tests in alike.items()
        ]
    return grid(pd.DataFrame(rows), ("Studies", "P"),
                caption="Classical tests of small-study effects.")  # fmt: skip


@made_from("bias_to_nullify")
def nullify(results: Results) -> Table:
    """The bias, the same in every study, that would take each headline away."""
    rows = []
    for one in headlines(results):
        about = outcomes.get(one["outcome"])
        row = results.rows("bias_to_nullify", **one).iloc[0]
        mean = results.one(**{**one, "design": "controlled"},
                           scale="ratio" if about.is_ratio else about.scale)  # fmt: skip
        rows.append({
            "Headline": name(one), "Mean": number(mean["mean"], about.digits),
            "Takes the mean away": number(about.shown(row["bias_for_mean"]), about.digits),
            "Lets the interval include no effect": "none needed"
            if row["bias_for_interval"] == 0
            else number(about.shown(row["bias_for_interval"]), about.digits),
            "In SDs of change": number(row["mean_in_change_sds"]),
            "E-value": number(row["e_value_mean"], 1),
        })  # fmt: skip
    right = ("Mean", "Takes the mean away", "In SDs of change", "E-value")
    return grid(pd.DataFrame(rows), right)


@made_from("power_scaling")
def power(results: Results) -> Table:
    """How sensitive each headline is to the strength of the prior and of the data."""
    table = results.table("power_scaling").drop_duplicates(["outcome", "population", "component"])
    rows = []
    for one in headlines(results):
        own = table[(table["outcome"] == one["outcome"])
                    & (table["population"] == one["population"])]  # fmt: skip
        sense = dict(zip(own["component"], own["psense"], strict=True))
        rows.append({"Headline": name(one), "Prior": number(sense.get("prior", float("nan"))),
                     "Data": number(sense.get("likelihood", float("nan")))})  # fmt: skip
    return grid(pd.DataFrame(rows), ("Prior", "Data"))


@made_from("witness")
def witnesses(results: Results) -> Table:
    """Each headline by quadrature beside its sampled witness."""
    rows = [
        {
            "Fit": glossary.spoken(row["fit"]),
            "Quantity": glossary.parameter(row["quantity"]),
            "Mean, quadrature": number(row["mean_exact"], 3),
            "Mean, sampled": number(row["mean_nuts"], 3),
            "95 % interval, quadrature": interval(row["q025_exact"], row["q975_exact"], 3),
            "95 % interval, sampled": interval(row["q025_nuts"], row["q975_nuts"], 3),
            "Worst gap, of what is allowed": number(row["worst_gap"]), "Not sampled": row["silent"],
        }
        for row in records(results.table("witness"))
    ]  # fmt: skip
    shown = pd.DataFrame(rows)
    if results.table("witness")["silent"].eq("").all():
        shown = shown.drop(columns="Not sampled")
    return grid(shown, ("Mean, quadrature", "Mean, sampled",
                                     "Worst gap, of what is allowed"), tools=True,
                under="Fit")  # fmt: skip


def judgements(results: Results) -> Table:
    """Eligible cohorts without a settled judgement of risk of bias: they count as high."""
    table = risk_of_bias.not_judged(results.evidence)
    if table.empty:
        return grid(pd.DataFrame())
    table = table.assign(
        cohort=[glossary.cohort(word, results.evidence) for word in table["cohort"]],
        outcome_family=table["outcome_family"].map(vocabulary.RISK_FAMILIES.get),
    )
    table = table.groupby("cohort")["outcome_family"].agg(", ".join).reset_index()
    return grid(table.set_axis(["Cohort", "Not judged for"], axis=1))


def corrections(results: Results) -> Table:
    """Corrections of the evidence, counted by table."""
    table = results.evidence.changes
    named = table["file"].map(lambda name: glossary.FILES.get(name, name))
    counted = table.groupby(named, sort=False).size().reset_index(name="cells")
    return grid(counted.set_axis(["Table", "Cells changed"], axis=1), ("Cells changed",))
