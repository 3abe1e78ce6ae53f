"""Sentences of the chapters: each made from the results, with k and n, directions computed.

A sentence says what was estimated, from how many studies and patients, how uncertain it is, and
what the data cannot tell. Where there is no estimate it says so.
"""

from __future__ import annotations

import math

import pandas as pd

from analysis import __version__, coverage, exchange, outcomes, risk_of_bias, vocabulary
from analysis.cohorts import patient_groups
from analysis.evidence import label_of
from analysis.records import records
from analysis.report import directions, harms, readings, style, visits
from analysis.report.figures.evidence import map_counts, rows_out
from analysis.report.figures.robustness import headlines, name
from analysis.report.registered_text import date
from analysis.report.results import Results
from analysis.report.tables.checks import ENOUGH, asymmetric
from analysis.report.text import said, verbatim
from analysis.report.words import (
    base,
    chance,
    count,
    interval,
    known,
    listed,
    none_or,
    number,
    of,
    percent,
    percent_interval,
    some,
    studies,
    study,
    verb,
)
from analysis.vocabulary import ISLETS

DESIGNS = {"controlled": "Against control groups", "randomised": "In randomised trials alone",
           "uncontrolled": "Without a control group"}  # fmt: skip
PEOPLE = {"t1d": "type 1 diabetes", "t2d": "type 2 diabetes",
          "t1d_new_onset": "new type 1 diabetes",
          "t1d_established": "established type 1 diabetes"}  # fmt: skip


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
    stratum = {key: headline[key] for key in ("outcome", "approach", "population", "design")}
    if headline["told"] == "mean":
        row = mean_of(results, **stratum)
        ends = interval(row["ci_low"], row["ci_high"], about.digits)
        return f"{number(row['mean'], about.digits)}{about.suffix} ({ends})"
    if headline["told"] == "study":
        row = results.rows("study_estimates", **stratum).iloc[0]
        return f"{study(row['label'])}: {_own(row, about)}"
    return "too few numbers for a mean"


def _own(row: pd.Series, about: outcomes.Outcome) -> str:
    """One study as itself: its number with the interval it prints, or its words."""
    if not known(row["y"]):
        return f"{directions.compared(row['direction'])}, told in words"
    shown = f"{number(about.shown(row['y']), about.digits)}{about.suffix}"
    if not known(row["ci_low"]):
        return f"{shown}, no spread printed"
    ends = interval(about.shown(row["ci_low"]), about.shown(row["ci_high"]), about.digits)
    return f"{shown} ({ends})"


@said
def result(results: Results, outcome: str, approach: str, population: str) -> str:
    """What an outcome came to against control groups, how likely it is, and how sure."""
    about = outcomes.get(outcome)
    stratum = {"outcome": outcome, "approach": approach, "population": population,
               "design": "controlled"}  # fmt: skip
    found = results.rows("headlines", **stratum)
    if found.empty or found["told"].iloc[0] == "none":
        return f"Against control groups: no result of {about.noun}."
    row = found.iloc[0]
    if row["told"] != "mean":
        return _without_mean(results, row, about)
    mean = mean_of(results, **stratum)
    what = (f"{number(mean['mean'], about.digits)} times that of controls" if about.is_ratio
            else f"{number(mean['mean'], about.digits)}{about.suffix}")  # fmt: skip
    compared = about.noun if about.is_ratio else f"the difference in {about.noun}"
    text = (
        f"Against control groups {compared} came to **{what}** (95 % interval "
        f"{interval(mean['ci_low'], mean['ci_high'], about.digits)}; "
        f"{base(row['k_studies'], row['n_patients'])}); a new study may find "
        f"{interval(mean['pred_low'], mean['pred_high'], about.digits)}"
    )
    chances = [
        f"{chance(one['mean'])} that it is {what}"
        for limit, what in (
            (about.neutral, directions.better(outcome)),
            *((limit, f"{number(limit, 2)}{about.suffix} or better") for limit in about.important),
        )
        if (one := results.get(**stratum, quantity="probability", threshold=limit)) is not None
    ]
    if chances:
        text += f". The chance is {listed(chances)}"
    out = readings.out_of_reach(results, outcome, approach, population)
    if out is not None:
        size = readings.figure(outcome, out[0])
        text += f". So an effect of the important size, {size}, is nearly ruled out"
    sure = _certainty(results, outcome, approach, population)
    return " ".join(filter(None, [f"{text}.", sure, _edge(results, outcome, approach, population)]))


MOST_CHOICES = 3
"""Choices of the analyst that are named where a headline stands at the edge of its analyses."""


def _edge(results: Results, outcome: str, approach: str, population: str) -> str:
    """Which choices put a headline outside nine of ten of its analyses; "" where it is within."""
    place = readings.standing(results, outcome, approach, population)
    if place is None or not place.apart:
        return ""
    about = outcomes.get(outcome)
    stratum = {"outcome": outcome, "approach": approach, "population": population}
    levels = results.rows("multiverse_levels", **stratum)
    levels = levels[levels["offered"] & levels["choice"].ne("silent_trials")]
    names = list(levels["choice"].unique())
    specs = results.rows("multiverse", **stratum)
    differ = specs[names].ne(specs.loc[specs["spec"] == 0, names].iloc[0], axis=1)
    alone = specs[differ.sum(axis=1).eq(1) & specs["mean"].notna()]
    meaning = levels.set_index(["choice", "level"])["meaning"]
    told = []
    for index in (about.good * alone["mean"]).sort_values(kind="stable").index[:MOST_CHOICES]:
        choice = differ.columns[differ.loc[index]][0]
        mean = number(about.shown(alone.loc[index, "mean"]), about.digits)
        told.append(f"{meaning[(choice, alone.loc[index, choice])]} ({mean})")
    asked = levels.groupby("choice").filter(lambda own: len(own) > 1)
    best = asked.loc[(about.good * asked["median_mean"]).groupby(asked["choice"]).idxmax()]
    one = f"{percent(place.as_favourable)} of its {some(place.n, 'analysis')}"
    text = f"This headline stands at an edge: {one} are at least as favourable; {place.apart}."
    if told:
        text += (
            f" Of the choices changed alone these count most: {listed(told)}; in "
            f"{of(best['default'].sum(), len(best), 'choice')} the headline's own option has the "
            "best middle."
        )
    return text


def _without_mean(results: Results, row: pd.Series, about: outcomes.Outcome) -> str:
    """A stratum told as its one study, or by counting directions."""
    stratum = {key: row[key] for key in ("outcome", "approach", "population", "design")}
    opening = DESIGNS[row["design"]]
    if row["told"] == "study":
        own = results.rows("study_estimates", **stratum).iloc[0]
        return (f"{opening} there is one study ({verbatim(study(own['label']))}, "
                f"{some(own['n_patients'], 'patient')}): {_own(own, about)}.")  # fmt: skip
    better, worse = directions.better(about.name), directions.worse(about.name)
    return (
        f"{opening} ({base(row['k_studies'], row['n_patients'])}) too few results are numbers for "
        f"a mean: {none_or(row['k_better'])} clearly {better}, {none_or(row['k_null'])} without a "
        f"clear difference, {none_or(row['k_worse'])} clearly {worse}"
        f"{_untested(row['k_untested'])}."
    )


def _untested(k: float) -> str:
    """How many results were told without a test; "" where none was."""
    return f", {count(k)} untested" if k > 0 else ""


@said
def by_onset(results: Results, outcome: str, approach: str) -> str:
    """The two finer strata of type 1 diabetes: treated soon after diagnosis, and later.

    A mean only where at least two results are numbers, else counted directions or the one study.
    """
    told = []
    for population in ("t1d_new_onset", "t1d_established"):
        text = result(results, outcome, approach, population)
        told.append(f"**{PEOPLE[population].capitalize()}.** {text}")
    rows = results.rows("study_estimates", outcome=outcome, approach=approach, population="t1d",
                        design="controlled")  # fmt: skip
    finer = pd.concat(results.rows("study_estimates", outcome=outcome, approach=approach,
                                   population=one, design="controlled")["effect_id"]
                      for one in ("t1d_new_onset", "t1d_established"))  # fmt: skip
    neither = rows[~rows["effect_id"].isin(finer)]
    if len(neither):
        names = listed([verbatim(study(label)) for label in neither["label"]])
        told.append(f"{names} ({some(neither['n_patients'].sum(), 'patient')}) "
                    f"{verb(len(neither), 'stand', 'stands')} in neither: people of both kinds, or "
                    "not told which.")  # fmt: skip
    return "\n\n".join(told)


@said
def by_insulin(results: Results, outcome: str, approach: str) -> str:
    """Type 2 diabetes by insulin at entry: results counted by the side on which they lie."""
    rows = results.rows("study_estimates", outcome=outcome, approach=approach, population="t2d",
                        design="controlled")  # fmt: skip
    if rows.empty:
        return ""
    studies_ = results.evidence.studies.drop_duplicates("study_id").set_index("study_id")
    entry = rows["study_id"].map(studies_["insulin_at_entry"]).fillna("not_stated")
    good, about = outcomes.get(outcome).good, outcomes.get(outcome)
    told = []
    for word, meaning in vocabulary.INSULIN_AT_ENTRY.items():
        own = rows[entry == word]
        if own.empty:
            continue
        if len(own) == 1:
            row = own.iloc[0]
            told.append(f"{meaning}: one study ({verbatim(study(row['label']))}, "
                        f"{some(row['n_patients'], 'patient')}): {_own(row, about)}")  # fmt: skip
            continue
        sides = good * own["direction"]
        told.append(
            f"{meaning}: {none_or((sides > 0).sum())} clearly {directions.better(outcome)}, "
            f"{none_or((sides == 0).sum())} without a clear difference, "
            f"{none_or((sides < 0).sum())} clearly {directions.worse(outcome)}"
            f"{_untested(sides.isna().sum())} ({base(len(own), own['n_patients'].sum())})"
        )
    if len(told) == 1:
        told.append("no other group of people can be told apart")
    return f"By insulin at entry: {'; '.join(told)}."


BESIDE = {
    "numbers_only": "with printed numbers alone",
    "registered_nulls": "with unreported registered trials as nulls, a bound,",
}


SENSITIVITY = "a sensitivity, no headline"
"""How the note of an estimate says that too few of its results are numbers."""


@said
def beside(results: Results, outcome: str, approach: str, population: str) -> str:
    """What stands beside a headline: randomised alone, numbers alone, silent trials as nulls.

    The direction in which results in words move the mean is computed.
    """
    about = outcomes.get(outcome)
    parts = (results, outcome, approach, population)
    whole = mean_of(*parts, "controlled")
    randomised = _randomised_alone(*parts)
    told = [randomised] if randomised else []
    for variant, what in BESIDE.items() if whole is not None else ():
        row = mean_of(*parts, "controlled", variant)
        if row is None:
            continue
        if not known(row["mean"]):
            told.append(f"{what} fewer than two results are left")
            continue
        ends = interval(row["ci_low"], row["ci_high"], about.digits)
        moved = _moved(whole, row, about) if variant == "numbers_only" else ""
        no_headline = "; no headline" if SENSITIVITY in row["note"] else ""
        told.append(f"{what} {number(row['mean'], about.digits)} ({ends}{moved}{no_headline})")
    text = f"Beside it: {'; '.join(told)}." if told else ""
    own = _own_tests(results, outcome, approach, population)
    return " ".join(part for part in (text, own) if part)


def _own_tests(results: Results, outcome: str, approach: str, population: str) -> str:
    """The numbers whose own p-value and whose interval, drawn from spreads, do not agree."""
    rows = results.rows("study_estimates", outcome=outcome, approach=approach,
                        population=population, design="controlled")  # fmt: skip
    neutral = outcomes.get(outcome).modelled(outcomes.get(outcome).neutral)
    clear = (rows["ci_low"] > neutral) | (rows["ci_high"] < neutral)
    differ = rows[rows["p_exact"].notna() & (clear != (rows["direction"] != 0))]
    return " ".join(
        f"{verbatim(study(row['label']))} counts by the test that its source prints "
        f"(P = {number(row['p_exact'])}: {'a clear' if row['direction'] else 'no clear'} "
        f"difference), not by the interval drawn here."
        for row in records(differ)
    )


def _moved(whole: pd.Series, alone: pd.Series, about: outcomes.Outcome) -> str:
    """Where results in words move the mean."""
    by = abs(whole["mean"] - alone["mean"])
    way = directions.moved(about.modelled(whole["mean"]) - about.modelled(alone["mean"]))
    ends = [(about.modelled(row["ci_low"]), about.modelled(row["ci_high"]))
            for row in (whole, alone)]  # fmt: skip
    return (f"; results in words move the mean {way} by {number(by, about.digits)} and "
            f"{directions.interval_moved(*ends)}")  # fmt: skip


def _randomised_alone(results: Results, outcome: str, approach: str, population: str) -> str:
    """Randomised trials alone in a few words; empty where they have no result."""
    found = results.rows("headlines", outcome=outcome, approach=approach, population=population,
                         design="randomised")  # fmt: skip
    if found.empty or found["told"].iloc[0] == "none":
        return ""
    row = found.iloc[0]
    if row["told"] == "words":
        word, k = directions.mostly(outcome, row["k_better"], row["k_worse"])
        return (f"in randomised trials alone too few numbers for a mean in "
                f"{studies(row['k_studies'])} ({count(k)} clearly {word})")  # fmt: skip
    told = verbatim(value_words(results, row.to_dict()))
    return f"in randomised trials alone {told} in {studies(row['k_studies'])}"


def _certainty(results: Results, outcome: str, approach: str, population: str) -> str:
    """The certainty of a headline with the reasons of each step."""
    found = results.rows("certainty", outcome=outcome, approach=approach, population=population)
    if found.empty:
        return ""
    row = found.iloc[0]
    why = f" ({readings.why_so_sure(row)})" if row["reasons"] else ""
    return f"Certainty: **{row['level']}**{why}."


@said
def overview(results: Results) -> str:
    """How much evidence there is, and of which kind."""
    table = results.evidence.studies
    eligible = table[table["include"] == "yes"]
    kinds = eligible["diabetes_type"].value_counts()
    rct = int((eligible["design"] == "rct").sum())
    groups = eligible["study_id"].map(patient_groups(table)).nunique()
    return (
        f"The extract holds {len(table)} publications and reports, of which {len(eligible)} are "
        f"eligible ({kinds.get('T1D', 0)} on type 1, {kinds.get('T2D', 0)} on type 2 diabetes). "
        f"They describe {some(eligible['cohort'].nunique(), 'cohort')}, because several reports "
        f"often follow the same people, and {some(groups, 'group')} of people, because cohorts "
        f"that may share people count once. Of the eligible reports {rct} "
        f"{verb(rct, 'are of randomised trials', 'is of a randomised trial')}; the "
        f"median number of treated patients is {eligible['n_treated'].median():.0f}."
    )


@said
def flow(results: Results) -> str:
    """Why rows of the evidence are in no effect, and why most effects do not speak."""
    told = [f"{n} {what.removesuffix(' left out')} (most often: {verbatim(why)})"
            for what, n, why in rows_out(results)]  # fmt: skip
    if not told:
        return ""
    return (
        f"Left out of every effect are {listed(told)}. Of the effects, one speaks for each group "
        "of patients, outcome and comparison: the others are other visits, measures or reports of "
        "the same patients, changes without controls soon after diagnosis (shown apart), "
        "subgroups, single patients, and nulls that stand outside the headline: none of them is in "
        "a headline."
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
def retractions(results: Results) -> str:
    """For how many reports a retraction was looked for, when, and how many were found."""
    studies = results.evidence.studies
    checked, every, _, last = coverage.retractions(results.evidence)
    if not checked:
        return "Retractions were not looked for."
    found = int((studies["retracted"] == "yes").sum())
    left = f"; the other {count(every - checked)} were not looked for" if checked < every else ""
    return (
        f"Retractions were looked for last on {date(last)}, by DOI in the Retraction Watch "
        f"database, for {of(checked, every, 'report')}: {none_or(found)} "
        f"{verb(max(found, 1), 'are', 'is')} retracted{left}. {_concerns(results)}"
    )


def _concerns(results: Results) -> str:
    """For how many reports an expression of concern was looked for, as of when, and who has one."""
    checked, every, first, _ = coverage.retractions(results.evidence, "concern_as_of")
    if not checked:
        return "Expressions of concern were not looked for."
    studies = results.evidence.studies
    found = [label_of(row) for row in
             studies[studies["retracted"] == "concern"].to_dict("records")]  # fmt: skip
    return (
        f"Expressions of concern were looked for in that database as it stood on {date(first)}, "
        f"for {of(checked, every, 'report')}: {listed(found) or 'there is none'}."
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
        f"critical risk of bias, {none_or(low)} at low risk. {_why_high(own)} For "
        f"{some(missing, 'eligible cohort')} no judgement is settled for some outcome; that "
        "counts as high."
    )


def _why_high(overall: pd.DataFrame) -> str:
    """Which of the high judgements of randomised cohorts a domain makes, and which many concerns.

    Parameters
    ----------
    overall : judgements of one family (`risk_of_bias.overalls`).
    """
    trials = overall[(overall["tool"] == "rob2") & overall["high"]]
    domain = int(trials["by_domain"].sum())
    return (
        f"Of the {some(len(trials), 'randomised cohort')} among them {none_or(domain)} "
        f"{verb(max(domain, 1), 'are', 'is')} high by a domain; "
        f"{none_or(len(trials) - domain)} by at least {risk_of_bias.MANY_CONCERNS} domains with "
        "some concerns alone."
        if len(trials) else "No randomised cohort is among them."
    )  # fmt: skip


@said
def standing(results: Results) -> str:
    """How far the conclusion of the headlines hangs on choices, in one sentence."""
    table = [results.rows("standing", **one).iloc[0] for one in headlines(results)]
    if not table:
        return "No headline has a mean."
    clear_ = [row["share_good_clear"] for row in table]
    k = sorted({row["n_usable"] for row in table})
    analyses = f"{count(k[0])} to {some(k[-1], 'analysis')}" if k[1:] else some(k[0], "analysis")
    return (f"A clear benefit is found in {percent(min(clear_))} to {percent(max(clear_))} of the "
            f"{analyses} of a headline.")  # fmt: skip


@said
def duration(results: Results, approach: str) -> str:
    """How long freedom from insulin lasts, within the follow-up of an approach."""
    reach = results.rows("duration_follow_up", approach=approach)
    if reach.empty:
        return "How long freedom from insulin lasts was not estimated: too few durations."
    row = reach.iloc[0]
    cohorts_ = studies(row["k_cohorts"], "cohort")
    people = some(row["n_ever_free"], "person")
    text = f"How long they stayed free of insulin is told of {people} ever free, in {cohorts_}"
    if known(row["last_month"]):
        text += (
            f": nothing can be said beyond month {count(row['last_month'])}, the last with at "
            "least ten of them observed in at least two cohorts"
        )
    else:
        text += ": too few were followed for a statement at any month"
    if known(row["longest"]):
        text += (f". The longest time of a single person is {count(row['longest'])} months "
                 f"({verbatim(study(row['longest_study']))})")  # fmt: skip
    alone = readings.longest_alone(results, approach)
    if alone is not None and not alone.months <= row["longest"]:
        text += (f"; one person with type {alone.kind} diabetes, told alone and in no count, "
                 f"{count(alone.months)} months ({verbatim(study(alone.label))})")  # fmt: skip
    parts = []
    for month in (12, 60):
        found = results.get(outcome="insulin_free_duration", approach=approach,
                            population=row["population"], quantity="survival", month=month,
                            variant="stacked", scale="share")  # fmt: skip
        if found is not None and known(row["last_month"]) and month <= row["last_month"]:
            ends = percent_interval(found["ci_low"], found["ci_high"])
            parts.append(f"{percent(found['median'])} ({ends}) after {month} months")
    if parts:
        text += f". Of the people ever free of insulin, the share still free is {listed(parts)}"
    return text + "."


@said
def duration_left_out(results: Results, approach: str) -> str:
    """What leaving out each study does to the duration, within the follow-up of an approach."""
    table = results.rows("duration_leave_one_out", approach=approach)
    reach = results.rows("duration_follow_up", approach=approach)
    without = table[table["left_out"] != "none"]
    if without.empty or reach.empty or not known(reach["last_month"].iloc[0]):
        return ""
    parts = []
    for month, own in without[without["quantity"] == "survival"].groupby("month"):
        if month <= reach["last_month"].iloc[0]:
            least, most = own["median"].min(), own["median"].max()
            parts.append(f"{percent(least)} to {percent(most)} after {count(month)} months")
    halves = without[without["quantity"] == "median_duration"]
    text = "Without each study in turn"
    if parts:
        text += f", the share still free is {listed(parts)}"
    halves = halves[halves["median"].notna() & halves["moved"].notna()]
    if halves.empty:
        return f"{text}." if parts else ""
    most = halves.loc[halves["moved"].abs().idxmax()]
    least, longest = halves["median"].min(), halves["median"].max()
    return (
        f"{text}{', and' if parts else ','} half have resumed insulin after {count(least)} to "
        f"{count(longest)} months; leaving out {verbatim(study(most['label']))} moves that most, "
        f"to {count(most['median'])} months ({_span(most['ci_low'], most['ci_high'])})."
    )


def _span(low: float, high: float) -> str:
    """Ends of a time in months; without a known upper end it is beyond a century."""
    return f"{count(low)} to {count(high)}" if known(high) else f"{count(low)} to over 1200"


CLEARLY = 2
"""Standard errors by which a family must predict better for its cured share to be believed."""


@said
def never_resuming(results: Results, approach: str) -> str:
    """Whether the studies can tell that some never need insulin again."""
    families = results.rows("duration_families", approach=approach, family="cure")
    scores = results.rows("duration_predictive", approach=approach)
    scores = scores.pivot_table(index="study_id", columns="family", values="elpd")
    if families.empty or not {"cure", "weibull"} <= set(scores.columns):
        return ""
    row, gain = families.iloc[0], scores["cure"] - scores["weibull"]
    error = math.sqrt(len(gain) * gain.var(ddof=0))
    share = f"{percent(row['never'])} ({percent_interval(row['never_low'], row['never_high'])})"
    compared = (f"difference of log predictive densities {number(gain.sum(), 1)}, standard error "
                f"{number(error, 1)}")  # fmt: skip
    if gain.sum() > CLEARLY * error:
        return (f"A curve on which some never need insulin again predicts the studies better than "
                f"the same curve without them ({compared}): {share} would not.")  # fmt: skip
    if gain.sum() < -CLEARLY * error:
        return (f"A curve on which some never need insulin again predicts the studies worse than "
                f"the same curve without them ({compared}); so nothing here says that some do. "
                f"With it, the share is {share}.")  # fmt: skip
    before = percent_interval(row["never_prior_low"], row["never_prior_high"])
    return (
        "Whether some never need insulin again cannot be told from these studies: a curve with "
        f"such a share does not predict them clearly better than the same curve without "
        f"({compared}). With it, the share is {share}; its prior alone says {before}."
    )


@said
def landmarks(results: Results, approach: str) -> str:
    """Which published counts at a month cannot stand on the curve of the ever free, and why."""
    table = results.rows("duration_landmarks", approach=approach)
    if table.empty:
        return ""
    on = table["denominator"].eq("ever_free") & table["clock"].eq("independence")
    if on.all():
        return ""
    why = "another denominator, or a clock that starts at treatment"
    if not on.any():
        return (f"None of the {count(len(table))} published counts at a month is drawn on the "
                f"curve of the people ever free: {why}.")  # fmt: skip
    return (f"Of the {count(len(table))} published counts at a month, {count(on.sum())} "
            f"{'is' if on.sum() == 1 else 'are'} drawn on the curve of the people ever free; the "
            f"other {count((~on).sum())}: {why}.")  # fmt: skip


@said
def shares(results: Results, approach: str, population: str, *names: str) -> str:
    """Shares of patients in a stratum, counted and modelled, their denominators named."""
    told = [_classes(results, outcome, approach, population) for outcome in names]
    counted = [text for texts in told for text in texts]
    missing = [
        outcomes.get(outcome).noun for outcome, text in zip(names, told, strict=True) if not text
    ]
    text = "".join(f"\n- {words}" for words in counted)
    if missing:
        text += f"\n\nNobody counts patients {listed(missing, 'or')}."
    modelled = any("; typical study " in words for words in counted)
    head = "Of all treated, with exact 95 % intervals"
    head += "; a typical and a new study are estimated from all of them:" if modelled else ":"
    return f"{head}\n{text}" if counted else text.strip()


@said
def against_controls(results: Results, outcome: str, approach: str, population: str) -> str:
    """Counts of a share in treated and controls of the same study; "" where no study has both."""
    table = results.rows("share_contrasts", outcome=outcome, approach=approach)
    told = [
        f"{count(row.k)} of {count(row.n)} treated against {none_or(row.k_control)} of "
        f"{count(row.n_control)} controls ({verbatim(study(row.label))}, "
        f"{'' if row.randomised == 'yes' else 'not '}randomised)"
        for row in table[table["population"].str.startswith(population)].itertuples()
    ]
    if not told:
        return ""
    return f"Counted in the controls of the same study as well: {'; '.join(told)}."


def _classes(results: Results, outcome: str, approach: str, population: str) -> list[str]:
    """A share; after islet replacement each class of cells apart, never joined."""
    stratum = (outcome, approach, population)
    classes = sorted(set(readings.counted(results, *stratum)["cell_class"]))
    if approach != ISLETS or not classes:
        text = _share(results, *stratum)
        return [text] if text else []
    return [text for word in classes if (text := _share(results, *stratum, word))]


def _share(results: Results, outcome: str, approach: str, population: str,
           cell_class: str = "all") -> str:  # fmt: skip
    """`24 of 41 with detectable C-peptide … (42 % to 74 %; 3 studies)`, or nothing."""
    about = outcomes.get(outcome)
    stratum = {"outcome": outcome, "approach": approach, "population": population,
               "scale": "share"}  # fmt: skip
    facts = readings.counted(results, outcome, approach, population, cell_class)
    alone = cell_class != "all" and not facts.empty
    row = results.get(**stratum, quantity="pooled_share", cell_class=cell_class)
    if row is None and alone:  # the only class of the approach that is counted
        cell_class = "all"
        row = results.get(**stratum, quantity="pooled_share")
    if row is None:
        return ""
    seen = math.floor(row["mean"] * row["n_patients"] + 0.5)
    at_least = facts["bound"].eq("at_least").any()
    ends = (f"{percent(row['ci_low'])} or more" if at_least and row["ci_high"] >= 1
            else percent_interval(row["ci_low"], row["ci_high"]))  # fmt: skip
    text = (f"**{'at least ' if at_least else ''}{seen} of {count(row['n_patients'])}** "
            f"{visits.named(about.noun, outcome, facts)} ({ends}; "
            f"{studies(row['k_studies'])}")  # fmt: skip
    missed = readings.at_most(results, facts) if at_least else ""
    text += f"; {missed}" if missed else ""
    model = results.get(**stratum, quantity="share", cell_class=cell_class)
    if model is not None:
        text += (f"; typical study {percent(model['median'])}, "
                 f"{percent_interval(model['ci_low'], model['ci_high'])}; a new one "
                 f"{percent_interval(model['pred_low'], model['pred_high'])}")  # fmt: skip
    given = readings.CLASS_WORDS.get(facts["cell_class"].iloc[0], "") if alone else ""
    text = f"{text})" + (f", given {given}" if given else "")
    if outcome == "free_of_severe_hypoglycaemia":
        had = harms.stated(results, "severe_hypoglycaemia", approach, population)
        text += f"; severe hypoglycaemia, where told: {had}" if had else ""
    return text


@said
def levels_reached(results: Results) -> str:
    """What the table of C-peptide made again holds, and which gain counts as important."""
    about = outcomes.get("c_peptide_gain")
    matters = f"{number(about.important[0], about.digits)}{about.suffix}"
    if not any(readings.levels(results, word) for word in readings.CLASS_WORDS):
        return "No source prints the level of C-peptide that was reached."
    return f"A gain of {matters} counts as important here."


@said
def amended(results: Results) -> str:
    """What the amendment of the window did: each mean without its half month of tolerance."""
    told = []
    for one in headlines(results):
        whole, strict = (mean_of(results, **one, design="controlled", variant=variant)
                         for variant in ("headline", "strict_window"))  # fmt: skip
        if whole is None or strict is None or not known(strict["mean"]):
            continue
        about = outcomes.get(one["outcome"])
        ends = interval(strict["ci_low"], strict["ci_high"], about.digits)
        told.append(f"{name(one)}, {number(whole['mean'], about.digits)} with it and "
                    f"{number(strict['mean'], about.digits)} ({ends}) without it")  # fmt: skip
    return f"Means on which it bears: {'; '.join(told)}." if told else "It bears on no mean."


@said
def asymmetry(results: Results) -> str:
    """Whether a test of publication bias by asymmetry can answer at all."""
    least, most = asymmetric(results)
    ends = " to ".join(dict.fromkeys(map(str, (least, most))))
    can = "can answer for none" if most < ENOUGH else "can answer for some"
    return (f"The headlines rest on {ends} printed numbers each; funnel plots and their tests need "
            f"{ENOUGH} and {can}.")  # fmt: skip


@said
def withheld(results: Results) -> str:
    """Fits whose sampler did not converge, where there are any."""
    found = results.manifest.get("withheld", [])
    if not found:
        return "Every sampled fit converged."
    names = listed([f"{entry['fit']} ({entry['reason']})" for entry in found])
    whose = verb(len(found), "their samplers did not converge",
                 "its sampler did not converge")  # fmt: skip
    return f"Withheld, because {whose}: {some(len(found), 'sampled fit')}: {verbatim(names)}."


@said
def stale(results: Results) -> str:
    """A warning where the results do not belong to the evidence."""
    return f"**Attention:** {verbatim(results.stale)}" if results.stale else ""


@said
def footer(results: Results) -> str:
    """How to cite this page, and by which program, code and renderer it was made."""
    manifest = results.manifest
    made = f" with code {manifest['code']}" if manifest.get("code") else ""
    known = exchange.citation()
    year = known["date"][:4]
    names = ", ".join(known["authors"])
    cite = f"Cite as: {names} ({year}). {known['title']} Version {known['version']}."
    return (f"{verbatim(cite) if names else ''} Made by isletmeta {__version__}{made}. "
            f"Rendered by {verbatim(style.renderer())}.").strip()  # fmt: skip


@said
def day(results: Results) -> str:
    """The day of this version, and of the reading of the registry."""
    from analysis import registered

    read = registered.read_on(results.evidence)
    told = [f"version of {date(exchange.citation()['date'])}"]
    if read:
        told.append(f"registered trials read on {date(read)}")
    text = "; ".join(told)
    return f"{text[:1].upper()}{text[1:]}."
