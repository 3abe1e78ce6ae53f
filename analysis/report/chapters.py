"""Sentences of the chapters: each made from the results, with k and n, directions computed.

A sentence says what was estimated, from how many studies and patients, how uncertain it is, and
what the data cannot tell. Where there is no estimate it says so.
"""

from __future__ import annotations

import math

import pandas as pd

from analysis import __version__, outcomes, risk_of_bias
from analysis.report import style
from analysis.report.figures.evidence import map_counts
from analysis.report.figures.robustness import headlines, name
from analysis.report.results import Results
from analysis.report.text import said, verbatim
from analysis.report.words import (
    base,
    chance,
    count,
    interval,
    known,
    listed,
    number,
    percent,
    percent_interval,
    studies,
    study,
)

DESIGNS = {"controlled": "Against control groups", "randomised": "In randomised trials alone",
           "uncontrolled": "Without a control group"}  # fmt: skip
PEOPLE = {"t1d": "type 1 diabetes", "t2d": "type 2 diabetes",
          "t1d_new_onset": "new type 1 diabetes",
          "t1d_established": "established type 1 diabetes"}  # fmt: skip
BETTER = {1: "higher", -1: "lower"}


def value(row: pd.Series | dict, about: outcomes.Outcome) -> str:
    """`−0.76 percentage points (95 % credible interval −1.38 to −0.29)`."""
    ends = interval(row["ci_low"], row["ci_high"], about.digits)
    return f"{number(row['mean'], about.digits)}{about.suffix} (95 % credible interval {ends})"


def mean_of(results: Results, outcome: str, approach: str, population: str, design: str,
            variant: str = "headline") -> pd.Series | None:  # fmt: skip
    """The mean of a stratum and design on the scale readers see, or None."""
    about = outcomes.get(outcome)
    scale = "ratio" if about.is_ratio else about.scale
    return results.get(outcome=outcome, approach=approach, population=population, design=design,
                       variant=variant, scale=scale)  # fmt: skip


def value_words(results: Results, headline: dict) -> str:
    """How a headline is told, in few words: a mean, a study's own result, or directions."""
    about = outcomes.get(headline["outcome"])
    stratum = {name: headline[name] for name in ("outcome", "approach", "population", "design")}
    if headline["told"] == "mean":
        row = mean_of(results, **stratum)
        ends = interval(row["ci_low"], row["ci_high"], about.digits)
        return f"{number(row['mean'], about.digits)} ({ends})"
    if headline["told"] == "study":
        row = results.rows("study_estimates", **stratum).iloc[0]
        return f"{study(row['label'])}: {_own(row, about)}"
    return "directions only: too few numbers for a mean"


def _own(row: pd.Series, about: outcomes.Outcome) -> str:
    """One study as itself: its number with the interval it prints, or its words."""
    if not known(row["y"]):
        return {1: "higher, in words", -1: "lower, in words", 0: "no clear difference"}[
            int(row["direction"])
        ]
    shown = number(about.shown(row["y"]), about.digits)
    if not known(row["ci_low"]):
        return f"{shown}, no spread printed"
    ends = interval(about.shown(row["ci_low"]), about.shown(row["ci_high"]), about.digits)
    return f"{shown} ({ends})"


@said
def result(results: Results, outcome: str, approach: str, population: str) -> str:
    """What an outcome of a stratum came to: controlled, randomised, uncontrolled."""
    parts = [
        _told(results, outcome, approach, population, design)
        for design in ("controlled", "randomised", "uncontrolled")
    ]
    return " ".join(filter(None, parts))


def _told(results: Results, outcome: str, approach: str, population: str, design: str) -> str:
    about = outcomes.get(outcome)
    stratum = {"outcome": outcome, "approach": approach, "population": population,
               "design": design}  # fmt: skip
    found = results.rows("headlines", **stratum)
    opening = DESIGNS[design]
    if found.empty or found["told"].iloc[0] == "none":
        return f"{opening}: no result of {about.noun}." if design == "controlled" else ""
    row = found.iloc[0]
    counted = base(row["k_studies"], row["n_patients"])
    if row["told"] == "study":
        own = results.rows("study_estimates", **stratum).iloc[0]
        return f"{opening} there is one study ({verbatim(study(own['label']))}, n " \
               f"{count(own['n_patients'])}): {_own(own, about)}."  # fmt: skip
    if row["told"] == "words":
        better = BETTER[about.good]
        return (
            f"{opening} ({counted}) too few results are numbers for a mean: "
            f"{count(row['k_better'])} clearly {better}, {count(row['k_null'])} without a clear "
            f"difference, {count(row['k_worse'])} clearly {BETTER[-about.good]}."
        )
    mean = mean_of(results, **stratum)
    whose = "that of the controls" if design != "uncontrolled" else "that before treatment"
    what = f"{about.noun} was {number(mean['mean'], about.digits)} times {whose}" \
        if about.is_ratio else f"the difference is {number(mean['mean'], about.digits)}" \
        f"{about.suffix}"  # fmt: skip
    text = (
        f"{opening} ({counted}), {what} (95 % credible interval "
        f"{interval(mean['ci_low'], mean['ci_high'], about.digits)}); a new study may find "
        f"{interval(mean['pred_low'], mean['pred_high'], about.digits)}"
    )
    good = results.get(**stratum, quantity="probability", threshold=about.neutral)
    if good is not None and design != "uncontrolled":
        text += f". The chance that the mean is {BETTER[about.good]} is {chance(good['mean'])}"
        beyond = [
            (limit, results.get(**stratum, quantity="probability", threshold=limit))
            for limit in about.important
        ]
        further = [
            f"{chance(found['mean'])} for {number(limit, 2)}{about.suffix} or better"
            for limit, found in beyond if found is not None
        ]  # fmt: skip
        if further:
            text += f", and {listed(further)}"
    return text + "."


@said
def words(results: Results, outcome: str, approach: str, population: str) -> str:
    """What results in words do to the controlled mean: the direction is computed."""
    about = outcomes.get(outcome)
    whole = mean_of(results, outcome, approach, population, "controlled")
    alone = mean_of(results, outcome, approach, population, "controlled", "numbers_only")
    if whole is None:
        return ""
    if alone is None or not known(alone["mean"]):
        return "All results behind this mean are numbers." if alone is None else ""
    moved = about.modelled(whole["mean"]) - about.modelled(alone["mean"])
    towards = "up" if moved > 0 else "down"
    by = abs(whole["mean"] - alone["mean"])
    return (
        f"With printed numbers alone ({base(alone['k_studies'], alone['n_patients'])}) the mean is "
        f"{value(alone, about)}; results told only in words move it {towards} by "
        f"{number(by, about.digits)}."
    )


@said
def beside(results: Results, outcome: str, approach: str, population: str) -> str:
    """The headline with every known null, without high risk of bias, with a strict window."""
    about = outcomes.get(outcome)
    names = {
        "all_nulls": "with every known null",
        "low_risk": "without high, serious or critical risk of bias",
        "strict_window": "without the half month of tolerance",
        "registered_nulls": "with unreported registered trials as nulls, a bound",
    }
    parts = []
    for variant, what in names.items():
        row = mean_of(results, outcome, approach, population, "controlled", variant)
        if row is None:
            continue
        if not known(row["mean"]):
            parts.append(f"{what}: fewer than two results are left")
            continue
        ends = interval(row["ci_low"], row["ci_high"], about.digits)
        parts.append(f"{what} {number(row['mean'], about.digits)} ({ends})")
    return f"Beside it: {'; '.join(parts)}." if parts else ""


@said
def heterogeneity(results: Results, outcome: str, approach: str, population: str) -> str:
    """How much the studies differ: tau and I² with its interval."""
    stratum = {"outcome": outcome, "approach": approach, "population": population,
               "design": "controlled"}  # fmt: skip
    tau = results.get(**stratum, quantity="tau", scale=outcomes.get(outcome).scale)
    share = results.get(**stratum, quantity="i_squared", scale="share")
    if tau is None or share is None:
        return ""
    unit = " on the log scale" if outcomes.get(outcome).is_ratio else outcomes.get(outcome).suffix
    return (
        f"Studies differ by a standard deviation (tau) of {number(tau['median'])}{unit} (95 % "
        f"credible interval {interval(tau['ci_low'], tau['ci_high'])}); "
        f"{percent(share['median'])} of the variation lies between studies (I², "
        f"{percent_interval(share['ci_low'], share['ci_high'])})."
    )


@said
def certainty(results: Results, outcome: str, approach: str, population: str) -> str:
    """The certainty of a headline with the reasons of each step."""
    found = results.rows("certainty", outcome=outcome, approach=approach, population=population)
    if found.empty:
        return ""
    row = found.iloc[0]
    why = f" ({row['reasons']})" if row["reasons"] else ""
    return f"Certainty: **{row['level']}**{why}."


@said
def overview(results: Results) -> str:
    """How much evidence there is, and of which kind."""
    table = results.evidence.studies
    eligible = table[table["include"] == "yes"]
    kinds = eligible["diabetes_type"].value_counts()
    rct = int((eligible["design"] == "rct").sum())
    return (
        f"The extract holds {len(table)} publications and reports, of which {len(eligible)} are "
        f"eligible ({kinds.get('T1D', 0)} on type 1, {kinds.get('T2D', 0)} on type 2 diabetes). "
        f"They describe {eligible['cohort'].nunique()} cohorts, because several reports often "
        f"follow the same people. {rct} of the eligible reports are of randomised trials; the "
        f"median number of treated patients is {eligible['n_treated'].median():.0f}."
    )


@said
def extraction(results: Results) -> str:
    """How the facts were read: by whom, and where."""
    facts = results.evidence.outcomes
    both = (facts["extraction"] == "double").mean()
    full = (facts["seen_in"] == "full_text").mean()
    second = (facts["seen_in"] == "secondary").mean()
    return (
        f"Of the {len(facts)} numbers of continuous outcomes, {percent(both)} were read by two "
        f"extractors independently; {percent(full)} come from full texts and {percent(second)} "
        f"from a secondary source, the rest from abstracts and registries. A further "
        f"{len(results.evidence.directions)} results were printed only in words or as p-values."
    )


@said
def gaps(results: Results) -> str:
    """The empty cells of the evidence map."""
    counts = map_counts(results)
    empty = int((counts == 0).to_numpy().sum())
    return (
        f"Of the {counts.size} combinations of cell class and outcome, {empty} have no study at "
        "all: there the honest answer is that nobody knows."
    )


@said
def bias(results: Results) -> str:
    """How many judged cohorts are at high risk, and which are not judged."""
    table = risk_of_bias.overalls(results.evidence.risk_of_bias)
    own = table[table["outcome_family"] == "objective"]
    high = int(own["high"].sum())
    low = int((own["overall"] == "low").sum())
    missing = risk_of_bias.not_judged(results.evidence)["cohort"].nunique()
    return (
        f"For objective outcomes {high} of {len(own)} judged cohorts are at high, serious or "
        f"critical risk of bias, {low} at low risk. {missing} eligible cohorts lack a settled "
        "judgement for some outcome; they count as high."
    )


@said
def standing(results: Results) -> str:
    """Where the headlines stand among all defensible analyses."""
    parts = []
    for one in headlines(results):
        row = results.rows("standing", **one).iloc[0]
        parts.append(
            f"{name(one)}: {percent(row['share_as_favourable'])} of "
            f"{count(row['n_usable'])} analyses are as favourable as the headline or more so, "
            f"{percent(row['share_good_clear'])} exclude no effect on the good side"
        )
    return "; ".join(parts) + "." if parts else "No headline has a mean."


@said
def left_out(results: Results, outcome: str, approach: str, population: str) -> str:
    """Which single study moves a headline most."""
    table = results.rows("influence", outcome=outcome, approach=approach, population=population)
    if table.empty:
        return ""
    about = outcomes.get(outcome)
    most = table.loc[table["shift_in_sd"].abs().idxmax()]
    row = results.rows("leave_one_out", outcome=outcome, approach=approach,
                       population=population, left_out=most["study_id"]).iloc[0]  # fmt: skip
    ends = interval(about.shown(row["ci_low"]), about.shown(row["ci_high"]), about.digits)
    return (
        f"{name({'outcome': outcome, 'population': population})}: leaving out "
        f"{verbatim(study(most['label']))} moves the mean most, to "
        f"{number(about.shown(row['mean']), about.digits)} ({ends})."
    )


@said
def duration(results: Results, approach: str) -> str:
    """How long freedom from insulin lasts, within the follow-up of an approach."""
    reach = results.rows("follow_up", approach=approach)
    if reach.empty:
        return "How long freedom from insulin lasts was not estimated: too few durations."
    row = reach.iloc[0]
    text = (
        f"{count(row['n_ever_free'])} people ever free of insulin in {count(row['k_cohorts'])} "
        "cohorts tell for how long"
    )
    if known(row["last_month"]):
        text += (
            f"; the follow-up bears statements up to month {count(row['last_month'])} (the last "
            "month with at least ten of them observed in at least two cohorts)"
        )
    else:
        text += "; too few were followed for a statement at any month"
    if known(row["longest"]):
        text += (f". The longest time of a single person is {count(row['longest'])} months "
                 f"({verbatim(study(row['longest_study']))})")  # fmt: skip
    parts = []
    for month, words_ in ((12, "one year"), (60, "five years")):
        found = results.get(outcome="insulin_free_duration", approach=approach,
                            population=row["population"], quantity="survival", month=month,
                            variant="stacked", scale="share")  # fmt: skip
        if found is not None and known(row["last_month"]) and month <= row["last_month"]:
            ends = percent_interval(found["ci_low"], found["ci_high"])
            parts.append(f"{percent(found['median'])} ({ends}) after {words_}")
    if parts:
        text += f". Of the people ever free of insulin, the share still free is {listed(parts)}"
    return text + "."


@said
def share(results: Results, outcome: str, approach: str, population: str) -> str:
    """A share of patients in a stratum, counted and modelled, its denominator named."""
    about = outcomes.get(outcome)
    stratum = {"outcome": outcome, "approach": approach, "population": population,
               "scale": "share"}  # fmt: skip
    row = results.get(**stratum, quantity="pooled_share")
    if row is None:
        return f"Nobody counts patients {about.noun}."
    seen = math.floor(row["mean"] * row["n_patients"] + 0.5)
    at_least = row["ci_high"] >= 1 and row["mean"] < 1
    sign = "at least " if at_least else ""
    text = (f"{sign}{seen} of {count(row['n_patients'])} treated people ({percent(row['mean'])}; "
            f"95 % interval {percent_interval(row['ci_low'], row['ci_high'])}; "
            f"{studies(row['k_studies'])}) were {about.noun}")  # fmt: skip
    model = results.get(**stratum, quantity="share")
    if model is not None:
        text += (f"; in a typical study {percent(model['median'])} "
                 f"({percent_interval(model['ci_low'], model['ci_high'])}), in a new one "
                 f"{percent_interval(model['pred_low'], model['pred_high'])}")  # fmt: skip
    return text[:1].upper() + text[1:] + "."


@said
def withheld(results: Results) -> str:
    """Fits whose sampler did not pass its gate, where there are any."""
    found = results.manifest.get("withheld", [])
    if not found:
        return "Every sampled fit passed its gate."
    names = listed([f"{entry['fit']} ({entry['reason']})" for entry in found])
    return f"{len(found)} sampled fits did not pass their gate and are withheld: {verbatim(names)}."


@said
def stale(results: Results) -> str:
    """A warning where the results do not belong to the evidence."""
    return f"**Attention:** {verbatim(results.stale)}" if results.stale else ""


@said
def footer(results: Results) -> str:
    """Program, version, code and renderer of this page."""
    manifest = results.manifest
    made = f" with code {manifest['code']}" if manifest.get("code") else ""
    return f"Made by isletmeta {__version__}{made}. Rendered by {verbatim(style.renderer())}."


@said
def day(results: Results) -> str:
    """When the evidence was last changed and the registry read."""
    from analysis import registered

    return f"Registered trials were read on {registered.read_on(results.evidence)}."
