"""Tables of registered trials: what is coming, what it may change, what was never told."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd

from analysis import outcomes, registered, vocabulary
from analysis.records import records
from analysis.report import directions, glossary, registered_text
from analysis.report.registered_text import date
from analysis.report.results import Results
from analysis.report.tables.base import Table, grid, link, made_from
from analysis.report.text import Link
from analysis.report.words import chance, count, listed, percent, percent_interval, short

POPULATIONS = {**vocabulary.POPULATIONS, "": "not stated"}
NOT_FOUND = "none_found"
NOT_STATED = {"yes": "yes", "no": "no", "not_stated": "not stated"}


def _trial(row: dict) -> Link:
    return link(row["source_url"], row["registry_id"])


@made_from("registered_ongoing")
def ongoing(results: Results) -> Table:
    """Every trial under way or planned, the next due first, the undated last."""
    table = results.table("registered_ongoing")
    order = table["expected"].where(table["expected"] != "", "9999")
    table = table.assign(order=order).sort_values(["order", "registry_id"])
    shown = [
        {
            "Trial": _trial(row),
            "What": f"{row['title']} ({short(row['cell_class'])})",
            "Approach": vocabulary.APPROACHES.get(row["approach"], ""),
            "Patients with": POPULATIONS[row["population"]],
            "Control group": NOT_STATED[row["controlled"]]
            + ("; masked" if row["masked"] == "yes" else ""),
            "Patients": count(row["n_patients"]),
            "Told so far": _told_so_far(results, row),
            "Due": date(row["expected"]) + (" (past)" if row["overdue"] else "") or "not stated",
            "Primary outcome": row["primary_outcome"],
            "Sponsor": row["sponsor"],
        }
        for row in records(table)
    ]
    return grid(pd.DataFrame(shown), ("Patients",), tools=True, under="Approach")


def _told_so_far(results: Results, row: dict) -> str:
    """What a trial under way has already told, and in which reports."""
    if row["results"] == "none_found":
        return "nothing found"
    labels = glossary.labels(results.evidence)
    named = [labels[study] for study in row["study_ids"].split() if study in labels]
    first = vocabulary.TRIAL_RESULTS[row["results"]]
    if row["results"] == "published":
        first = "first results published"
    return f"{first}: {listed(named)}" if named else first


@made_from("registered_value")
def value(results: Results) -> Table:
    """What each trial may change of each headline it speaks for."""
    table = results.table("registered_value")
    order = list(outcomes.of_kind(outcomes.CONTINUOUS))
    table = table.assign(
        place=table["outcome"].map(order.index), last=table["registry_id"] == registered.ALL
    ).sort_values(["approach", "population", "place", "last", "n_patients"])
    shown = [
        {
            "Headline": f"{outcomes.get(row.outcome).title}, {POPULATIONS[row.population]}",
            "Trial": f"all {count(row.n_trials)} together" if row.last else row.registry_id,
            "Patients": count(row.n_patients),
            "Interval": directions.width(row.width_after / row.width_now - 1),
            "Excludes no effect": f"{'yes' if row.p_clear_now else 'no'}; then "
            f"{chance(row.p_clear_after)}",
            "Word now": row.verdict_now,
            "Better word": chance(row.p_verdict_better),
            "Worse word": chance(row.p_verdict_worse),
            "Certainty changes": chance(row.p_certainty_changes),
            "By": registered_text.moved_by(row.moved_by) or "–",
        }
        for row in table.itertuples()
    ]
    return grid(pd.DataFrame(shown), ("Patients", "Interval"))


@made_from("registered_silence")
def silence(results: Results) -> Table:
    """Trials that ended two years ago or more, told and untold, by approach and population."""
    table = results.table("registered_silence")
    own = table[(table["told"] == registered.UNTOLD) & (table["n_trials"] > 0)]
    own = own[own["population"].isin(["t1d", "t2d"]) & (own["approach"] != registered.ALL)]
    whole = table[(table["approach"] == registered.ALL) & (table["population"] == registered.ALL)]
    whole = whole.set_index("told").loc[list(registered.PUBLISHED_BY)].reset_index()
    shown = [_silence(row, _stratum(row), "a report, certain or probable")
             for row in own.itertuples()]  # fmt: skip
    shown += _of_both_types(table[table["told"] == registered.UNTOLD])
    shown += [_silence(row, "all", TOLD[row.told]) for row in whole.itertuples()]
    return grid(pd.DataFrame(shown), ("Ended", "No report", "Found by topic", "Of these untold"))


ADDED_UP = ["n_trials", "n_silent", "n_searched", "n_searched_silent", "n_searched_patients",
            "n_searched_patients_silent"]  # fmt: skip
"""Counts of ended trials that add up over approaches and populations."""


def _of_both_types(table: pd.DataFrame) -> list[dict]:
    """Trials of people of both types, one row an approach: so that the rows add up to all."""
    made = []
    for approach, name in vocabulary.APPROACHES.items():
        own = table[table["approach"] == approach].set_index("population")[ADDED_UP]
        if not {"all", "t1d", "t2d"} <= set(own.index):
            continue
        rest = own.loc["all"] - own.loc["t1d"] - own.loc["t2d"]
        if rest["n_trials"] > 0:
            k, n = int(rest["n_searched_silent"]), int(rest["n_searched"])
            low, high = registered.wilson(k, n)
            rest = rest.to_dict() | {"share_silent": k / n if n else math.nan, "ci_low": low,
                                     "ci_high": high}  # fmt: skip
            made.append(_silence(SimpleNamespace(**rest), f"{name}, people of both types",
                                 "a report, certain or probable"))  # fmt: skip
    return made


TOLD = {
    "firm": "a certain report",
    "firm_or_probable": "a report, certain or probable",
    "any_public_result": "a report, posted results or press",
}


def _stratum(row) -> str:
    return f"{vocabulary.APPROACHES[row.approach]}, {vocabulary.POPULATIONS[row.population]}"


def _silence(row, name: str, told: str) -> dict:
    share = "–"
    if row.n_searched:
        share = f"{percent(row.share_silent)} ({percent_interval(row.ci_low, row.ci_high)})"
    return {
        "Trials of": name, "Told is": told, "Ended": count(row.n_trials),
        "No report": count(row.n_silent), "Found by topic": count(row.n_searched),
        "Of these untold": count(row.n_searched_silent), "Share (95 % interval)": share,
        "Their patients": f"{count(row.n_searched_patients_silent)} of "
        f"{count(row.n_searched_patients)}",
    }  # fmt: skip


@made_from("registered_silent_trials")
def silent_trials(results: Results) -> Table:
    """Every ended trial without a certain report, the largest first."""
    table = results.table("registered_silent_trials").sort_values(
        ["n_patients", "registry_id"], ascending=[False, True]
    )
    shown = [
        {
            "Trial": _trial(row),
            "What": f"{row['title']} ({short(row['cell_class'])})",
            "Patients with": POPULATIONS[row["population"]],
            "Control group": NOT_STATED[row["controlled"]],
            "Patients": count(row["n_patients"])
            + (" planned" if row["n_kind"] == "planned" else ""),
            "Ended": date(row["end"]) or "not stated",
            "The end is": row["ended"],
            "Known of it": _known(row),
        }
        for row in records(table)
    ]
    return grid(pd.DataFrame(shown), tools=True)


def _known(row: dict) -> str:
    if row["told_firm_or_probable"]:
        return vocabulary.SEARCH_VERDICTS["probably_published"]
    return vocabulary.TRIAL_RESULTS[row["results"]]


@made_from("outcome_switching")
def switching(results: Results) -> Table:
    """Registered against reported primary outcome: another first, then the same, then unclear.

    Reports of which no registration was found are named in a sentence (`registered_text`).
    """
    table = results.table("outcome_switching")
    table = table[table["registered"] != NOT_FOUND]
    order = {"no": 0, "yes": 1, "unclear": 2}
    table = table.assign(order=table["matches"].map(order)).sort_values(["order", "study_id"])
    shown = [
        {
            "Report": link(row["source_url"], row["label"]),
            "Registered": vocabulary.REGISTERED[row["registered"]],
            "Number": row["registry_id"].replace(" ", ", "),
            "Registered primary outcome": row["registered_primary"] or "not seen",
            "Reported primary outcome": vocabulary.PRIMARY_MATCHES[row["matches"]],
        }
        for row in records(table)
    ]
    return grid(pd.DataFrame(shown), tools=True)


@made_from("registered_coming")
def coming(results: Results) -> Table:
    """Trials to come by approach and population, approaches without one included."""
    table = results.table("registered_coming")
    table = table[table["population"].isin(["t1d", "t2d", "all"])]
    places = [*vocabulary.APPROACHES, registered.ALL]
    people = ["t1d", "t2d", "all"]
    table = table.assign(
        a=table["approach"].map(places.index), p=table["population"].map(people.index)
    ).sort_values(["a", "p"])
    shown = [
        {
            "Approach": vocabulary.APPROACHES.get(row.approach, "all"),
            "Patients with": "any type" if row.population == "all" else POPULATIONS[row.population],
            "Trials": count(row.n_trials),
            "With a control group": count(row.n_controlled),
            "Masked": count(row.n_masked),
            "Patients": count(row.n_patients if row.n_trials else np.nan),
            "First due": date(row.first_expected) or "–",
            "Last due": date(row.last_expected) or "–",
        }
        for row in table.itertuples()
        if row.n_trials or row.population == "all"
    ]
    return grid(pd.DataFrame(shown), ("Trials", "With a control group", "Masked", "Patients"))
