"""Sentences about registered trials: when we will know, what is coming, what was never told.

Each takes `Results` and is made of the tables of the stage `registered` alone; every number and
every direction is computed, and so is the day on which the registry was read.
"""

from __future__ import annotations

import datetime as dt

import pandas as pd

from analysis import certainty, outcomes, registered, vocabulary
from analysis.report import directions
from analysis.report.results import Results
from analysis.report.text import said, verbatim
from analysis.report.words import (
    count,
    known,
    listed,
    none_or,
    percent,
    percent_interval,
    plural,
    some,
    study,
    verb,
)

ALL = registered.ALL
NOTHING = "No list of registered trials was given."


def date(text: str) -> str:
    """A printed date in words: May 2027, 28 November 2026, 2027."""
    parts = [int(part) for part in text.split("-")] if text else []
    if len(parts) < 2:
        return text
    day = dt.date(parts[0], parts[1], 1)
    month = f"{day:%B} {day.year}"
    return f"{parts[2]} {month}" if len(parts) > 2 else month


def read_on(results: Results) -> str:
    """The day the registry was read, in words; "" without a list."""
    table = results.table("registered_coming")
    return date(table["read_on"].iloc[0]) if len(table) else ""


@said
def when(results: Results) -> str:
    """When will we know: the controlled trials to come, their dates and their size."""
    trials = results.table("registered_ongoing")
    if trials.empty:
        return _none_ongoing(results)
    controlled = trials[trials["controlled"] == "yes"]
    day = read_on(results)
    if controlled.empty:
        return (
            f"No answer is in sight: {some(len(trials), 'trial')} registered as under way or "
            f"planned, none with a control group stated (registry read on {day})."
        )
    dates = _dates_ahead(controlled)
    told = f"the next is due in {date(dates[0])}" if dates else "none of them has a date ahead"
    if len(dates) > 1:
        told += f" and the last in {date(dates[-1])}"
    late = int(controlled["overdue"].sum())
    if late:
        told += f"; {late} {verb(late, 'are', 'is')} past the date"
    most = controlled["n_patients"].max()
    size = f"The largest has {some(most, 'patient')}" if known(most) else "None states a size"
    if most < certainty.FEW_PATIENTS:
        size += f", fewer than the {certainty.FEW_PATIENTS} that count as enough"
    without = [vocabulary.APPROACHES[name] for name in vocabulary.APPROACHES
               if name not in set(controlled["approach"])]  # fmt: skip
    bare = f" No trial of {' or '.join(without)} states one." if without else ""
    return (f"Of the {some(len(trials), 'trial')} registered as under way or planned, "
            f"{len(controlled)} {verb(len(controlled), 'state', 'states')} a control group: "
            f"{told}.{bare} {size}. The registry was read on {day}.")  # fmt: skip


def _dates_ahead(controlled: pd.DataFrame) -> list[str]:
    """Expected primary completions that are not past, the next first."""
    ahead = controlled[~controlled["overdue"] & (controlled["expected"] != "")]
    return sorted(ahead["expected"], key=registered.last_day)


@said
def in_short(results: Results) -> str:
    """The plain sentence of page one: how many trials that can answer are under way, and when."""
    trials = results.table("registered_ongoing")
    if trials.empty:
        return _none_ongoing(results)
    controlled = trials[trials["controlled"] == "yes"]
    dates = _dates_ahead(controlled)
    due = f"; the next should have its main result in {date(dates[0])}" if dates else ""
    several = "one has" if len(controlled) == 1 else f"{len(controlled) or 'none'} have"
    few = int((controlled["n_patients"] >= certainty.FEW_PATIENTS).sum())
    size = "none of these" if not few else "one of these" if few == 1 else f"{few} of these"
    large = (f" By plan {size} will hold {certainty.FEW_PATIENTS} patients, which count as enough."
             if len(controlled) else "")  # fmt: skip
    return (
        f"**When will we know?** Of {some(len(trials), 'trial')} registered as under way or "
        f"planned, {several} a control group{due}.{large} The registry was read on "
        f"{read_on(results)}."
    )


def _none_ongoing(results: Results) -> str:
    day = read_on(results)
    return f"No trial was registered as under way on {day}." if day else NOTHING


@said
def coming(results: Results) -> str:
    """What is coming, approach by approach: trials, patients, control groups, masking."""
    table = results.table("registered_coming")
    table = table[(table["population"] == ALL) & (table["approach"] != ALL)]
    if table.empty:
        return NOTHING
    told = []
    for name, words in vocabulary.APPROACHES.items():
        row = table[table["approach"] == name].iloc[0]
        if row["n_trials"] == 0:
            told.append(f"{words}: no trial")
            continue
        told.append(
            f"{words}: {some(row['n_trials'], 'trial')} with {some(row['n_patients'], 'patient')}, "
            f"{none_or(row['n_controlled'])} with a control group, "
            f"{none_or(row['n_masked'])} masked"
        )
    return f"By approach: {'; '.join(told)}."


@said
def worth(results: Results) -> str:
    """What the controlled trials to come would change of the headlines, alone and together."""
    table = results.table("registered_value")
    if table.empty:
        return "No ongoing trial with a control group speaks for a headline that has a mean."
    table = table.assign(change=table["width_after"] / table["width_now"] - 1)
    alone = table[table["registry_id"] != ALL]
    best = alone.sort_values(["change", "registry_id"]).iloc[0]
    told = [
        f"Alone, the trial of which most is expected makes a 95 % interval "
        f"{directions.width(best['change'])} ({verbatim(best['registry_id'])}, {_of(best)})"
    ]
    together = table[table["registry_id"] == ALL]
    for (approach, population), own in together.groupby(["approach", "population"], sort=True):
        least, most = (directions.width(change) for change in
                       (own["change"].max(), own["change"].min()))  # fmt: skip
        ends = most if least == most else f"between {least} and {most}"
        told.append(
            f"All trials of {vocabulary.APPROACHES[approach]} in "
            f"{vocabulary.POPULATIONS[population]} together are expected to make it {ends}"
        )
    return ". ".join(told) + "."


STEPS = {"start": "start, randomised results alone"}


def moved_by(domains: str) -> str:
    """Steps of certainty in words: `risk of bias and imprecision`."""
    return listed([STEPS.get(word, word.replace("_", " ")) for word in domains.split()])


def _of(row: pd.Series) -> str:
    about = outcomes.get(row["outcome"])
    return f"{about.noun}, {vocabulary.POPULATIONS[row['population']]}"


@said
def never_told(results: Results) -> str:
    """Of the trials that ended two years ago or more, how many have no report."""
    table = results.table("registered_silence")
    table = table[(table["population"] == ALL)].set_index(["approach", "told"])
    if table.empty or table.loc[(ALL, registered.UNTOLD), "n_searched"] == 0:
        return NOTHING
    whole = table.loc[(ALL, registered.UNTOLD)]
    strict, wide = (table.loc[(ALL, word)] for word in ("firm", "any_public_result"))
    told = [
        f"Of {some(whole['n_searched'], 'trial')} found by topic that ended "
        f"{registered.SILENT_YEARS} years or more before {read_on(results)}, "
        f"{count(whole['n_searched_silent'])} have no report that is certainly or probably theirs "
        f"({percent(whole['share_silent'])}, 95 % interval "
        f"{percent_interval(whole['ci_low'], whole['ci_high'])}), with "
        f"{count(whole['n_searched_patients_silent'])} of {count(whole['n_searched_patients'])} "
        f"{plural(whole['n_searched_patients'], 'patient')}",
        f"Counting certain reports alone it is {count(strict['n_searched_silent'])}; counting "
        f"results posted in the registry or told in the press as told, "
        f"{count(wide['n_searched_silent'])}",
    ]
    if whole["largest_silent"]:
        told.append(f"One untold trial, {verbatim(whole['largest_silent'])}, holds "
                    f"{count(whole['largest_silent_patients'])} of those patients")  # fmt: skip
    parts = []
    for name, words in vocabulary.APPROACHES.items():
        row = table.loc[(name, registered.UNTOLD)]
        if row["n_searched"]:
            parts.append(f"{words}: {count(row['n_searched_silent'])} of "
                         f"{count(row['n_searched'])}")  # fmt: skip
    told.append(f"By approach: {'; '.join(parts)}")
    return ". ".join(told) + "."


@said
def selective(results: Results) -> str:
    """Where untold patients take a step of certainty away, and where not."""
    table = results.table("registered_silence")
    own = (table["told"] == registered.UNTOLD) & table["share_patients_silent"].notna()
    own &= (table["approach"] != ALL) & table["population"].isin(["t1d", "t2d"])
    table = table[own]
    if table.empty:
        return NOTHING
    told = [
        f"{vocabulary.APPROACHES[row.approach]} in {vocabulary.POPULATIONS[row.population]} "
        f"{percent(row.share_patients_silent)}"
        for row in table.itertuples()
    ]
    most = table[table["share_patients_silent"] > certainty.MOST]
    steps = [f"{vocabulary.APPROACHES[row.approach]} in {vocabulary.POPULATIONS[row.population]}"
             for row in most.itertuples()]  # fmt: skip
    return (
        f"Of the patients of such trials, untold are: {listed(told)}. More than half "
        f"counts for a step of certainty: so it is for {listed(steps) or 'none'}."
    )


@said
def switching(results: Results) -> str:
    """Registered against reported primary outcomes."""
    table = results.table("outcome_switching")
    if table.empty:
        return "No report was compared with its registration."
    by = table["matches"].value_counts()
    same, other = int(by.get("yes", 0)), int(by.get("no", 0))
    bare = table[table["registered"] == "none_found"]["label"].sort_values()
    told = (
        f"Of {some(len(table), 'report')} judged, {none_or(same + other)} could be compared with a "
        f"registered primary outcome: {none_or(same)} {verb(same, 'report', 'reports')} the same "
        f"one and {none_or(other)} another"
    )
    named = f": {verbatim(', '.join(map(study, bare)))}" if len(bare) else ""
    return f"{told}. For {some(len(bare), 'report')} no registration was found{named}."
