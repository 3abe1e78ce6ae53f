"""Harms as the report tells them: every death and grave infection named, counts, bounds, silence.

What a source named is shown in its words, with the denominator, how it was judged and by whom;
exact counts and lower bounds stand side by side; bounds come from the data alone and say which they
are; groups that said nothing of a harm are named, because silence is not a zero.
"""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis import cohorts, vocabulary
from analysis.central import HIGH
from analysis.claims.sources import OTHER_FIELDS, UNCOUNTED
from analysis.report import glossary, style, words
from analysis.report.figures import base
from analysis.report.tables.base import Table, grid, made_from
from analysis.report.text import said, verbatim

SHOWN = (*vocabulary.GRAVE_EVENTS, "serious_adverse_event")
EVENTS = {
    "death": "death",
    "severe_infection": "severe infection",
    "malignancy_or_tumour": "cancer or tumour",
    "serious_adverse_event": "serious adverse event",
}
JUDGED = {
    "treatment_related": "related to the treatment",
    "unrelated": "not related",
    "any": "not stated",
    "unclear": "unclear",
}
ORDER = tuple(vocabulary.APPROACHES)


def event(word: str, k: float = 1) -> str:
    """A harm in words, in the plural where there is not exactly one."""
    shown = EVENTS.get(word, words.event(word))
    if k == 1 or word not in EVENTS:
        return shown
    return "cancers or tumours" if word == "malignancy_or_tumour" else f"{shown}s"


def _events(results) -> pd.DataFrame:
    """The named events, each under the name its report has for readers."""
    table = results.table("harm_events")
    names = glossary.labels(results.evidence)
    return table.assign(
        label=[
            names.get(study_id, label)
            for study_id, label in zip(table["study_id"], table["label"], strict=True)
        ]
    )


def named(results, **parts: object) -> pd.DataFrame:
    """The named events of eligible groups, by approach, deaths first."""
    table = _events(results)
    table = table[table["eligible"] == "yes"]
    for name, value in parts.items():
        table = table[table[name] == value]
    place = table["approach"].map(ORDER.index) * 10 + table["event"].map(
        vocabulary.GRAVE_EVENTS.index
    )
    return table.assign(place=place, least=_bounded_below(results, table)).sort_values(
        ["place", "label"], ignore_index=True, kind="stable"
    )


def _bounded_below(results, table: pd.DataFrame) -> pd.Series:
    """Whether what is known of an event, from any cause, is a lower bound in its cohort."""
    facts = results.rows("harm_facts", relation="any", arm="treated", bound="at_least")
    known = set(zip(facts["cohort"], facts["event"], strict=True))
    pairs = zip(table["cohort"], table["event"], strict=True)
    return pd.Series([pair in known for pair in pairs], index=table.index, dtype=bool)


OF_CELLS = ("serious_adverse_event", "death", "severe_infection")
"""Harms whose relation the sources of islet replacement judge as far as the cells go."""
SIDE_EFFECT = "any_adverse_event"


def cause(relation: str, approach: str, event_word: str) -> str:
    """Of which cause a harm was counted: sources of islets judge the cells, not the drugs."""
    if relation == "any":
        return "any cause"
    of_cells = approach == vocabulary.ISLETS and event_word in OF_CELLS
    what = "cells" if of_cells else "treatment"
    return f"judged related to the {what}"


def how_many(row) -> str:
    """The patients of a named event, of how many: `2 of 14`, `at least 1 of 17`."""
    least = "at least " if row["least"] else ""
    return f"{least}{words.count(row['k'])} of {words.count(row['n'])}"


def stated(results, event_word: str, approach: str, population: str = "") -> str:
    """Who had a harm, of any cause, of all who speak of it: zeros, counts and lower bounds.

    `0 of 28 counted in full, at least 1 of 24 elsewhere`; "" where nobody speaks of it. A
    population takes the finer ones in.
    """
    facts = results.rows(
        "harm_facts", event=event_word, relation="any", approach=approach, arm="treated"
    )
    facts = facts[facts["population"].str.startswith(population)]
    least = facts["bound"].eq("at_least")
    sums = [facts.loc[own, ["k", "n"]].sum() for own in (~least, least)]
    return _exact_and_least(*(value for own in sums for value in (own["k"], own["n"])))


def _exact_and_least(k: float, n: float, k_least: float, n_least: float) -> str:
    """Counts and lower bounds of a harm, told apart: each patient is in one of the two."""
    parts = []
    if n:
        parts.append(f"{k:.0f} of {n:.0f}" + (" counted in full" if n_least else ""))
    if n_least:
        parts.append(f"at least {k_least:.0f} of {n_least:.0f}" + (" elsewhere" if n else ""))
    return ", ".join(parts)


def died(results) -> pd.DataFrame:
    """The deaths of each group; a fatal infection is one also where its source counts no deaths."""
    counted = named(results, event="death")
    fatal = named(results, event="severe_infection", fatal="yes")
    only = fatal[~fatal["cohort"].isin(counted["cohort"])]
    only = only.assign(k=only.groupby("cohort")["k"].transform("sum"), least=True).drop_duplicates(
        "cohort"
    )
    table = pd.concat([counted, only]) if len(only) else counted
    return table.sort_values(["place", "label"], ignore_index=True, kind="stable")


def deaths(results) -> tuple[int, int]:
    """Treated patients known to have died, and how many groups name them."""
    table = died(results)
    return int(table["k"].sum()), len(table)


def fatal_infections(results) -> int:
    """Treated patients who died of an infection."""
    return int(named(results, event="severe_infection", fatal="yes")["k"].sum())


def silent(results, event_word: str, approach: str | None = None) -> tuple[int, int, int]:
    """Groups that say nothing of a harm from any cause, all groups, and the silent's patients."""
    table = results.table("harm_summary")
    table = table[(table["event"] == event_word) & (table["relation"] == "any")]
    if approach:
        table = table[table["approach"] == approach]
    quiet = table["k_silent"].sum()
    every = quiet + table[["k_other", "k_cohorts", "k_at_least"]].sum().sum()
    return int(quiet), int(every), int(table["n_silent"].sum())


def only_related(results, event_word: str, approach: str | None = None) -> int:
    """Groups that say only that no such event was related to the treatment."""
    table = results.table("harm_summary")
    table = table[(table["event"] == event_word) & (table["relation"] == "any")]
    if approach:
        table = table[table["approach"] == approach]
    return int(table["k_other"].sum())


@said
def denominators(results) -> str:
    """From reports to the groups whose patients are counted, in one sentence."""
    studies = results.evidence.studies
    eligible = studies[studies["include"] == "yes"]
    groups = eligible["study_id"].map(cohorts.patient_groups(studies))
    _, every, _ = silent(results, vocabulary.GRAVE_EVENTS[0])
    k_cohorts, k_groups = eligible["cohort"].nunique(), groups.nunique()
    single = (
        f"; {k_groups - every} are reports of single patients and counted in no rate"
        if k_groups > every
        else ""
    )
    if not every:
        return "No table of harms was made in this run."
    return (
        f"Of {len(studies)} reports {len(eligible)} are eligible; they are on {k_cohorts} cohorts, "
        f"which make {k_groups} groups, because cohorts that share patients count once{single}. "
        f"Harms are counted by group: {words.none_or(every)} of them, each with its largest "
        "treated arm; an outcome may be told of some of them, so that totals differ."
    )


def judged(row) -> str:
    """How the relation of an event to the treatment was judged, and by whom."""
    word = JUDGED.get(row["relation"], words.relation(row["relation"]))
    by = str(row["judged_by"]).strip()
    return f"{word} ({by})" if by and word not in ("not stated",) else word


BENIGN, GRAFT = "benign_or_preexisting_tumour", "graft_growth"
OF_THE_GRAFT = (GRAFT, "graft_loss")
"""Harms that only a treatment with a graft can have."""


def sentence_of(row) -> str:
    """One named event as a sentence in Markdown."""
    who = vocabulary.APPROACHES[row["approach"]]
    what = verbatim(str(row["what"]).rstrip("."))
    relation = JUDGED.get(row["relation"], row["relation"])
    by = f", by {row['judged_by']}" if str(row["judged_by"]).strip() else ""
    told = (
        "The source does not say whether it was related to the treatment."
        if relation == "not stated"
        else f"Judged {relation}{verbatim(by)}."
    )
    study = verbatim(words.study(row["label"]))
    return f"{how_many(row)} patients treated by {who} ({study}): {what}. {told}"


@said
def events_told(results) -> str:
    """Every death, severe infection and tumour that a source names, as a list."""
    table = named(results)
    if table.empty:
        return "No source names a death, a severe infection or a tumour."
    parts = []
    for word in vocabulary.GRAVE_EVENTS:
        rows = table[table["event"] == word]
        if rows.empty:
            outside = " ".join(_in_no_count(results, word))
            where = "none is named in a group that is counted" if outside else "none is named"
            parts.append(f"**{event(word, 2).capitalize()}**: {where}. {outside}".rstrip())
            continue
        least = "at least " if rows["least"].any() else ""
        parts.append(
            f"**{event(word, 2).capitalize()}**: {least}"
            f"{words.some(rows['k'].sum(), 'patient')}.\n\n"
            + "\n".join(f"- {sentence_of(row)}" for _, row in rows.iterrows())
        )
    return "\n\n".join([*parts, *_looked_for(results), *_of_the_graft(results), *_benign(results)])


def in_no_count(results, event_word: str) -> pd.DataFrame:
    """Events of a kind that are named of people who are in no count, such as of context studies."""
    table = _events(results)
    return table[(table["event"] == event_word) & (table["eligible"] != "yes")]


def _in_no_count(results, event_word: str) -> list[str]:
    """Each of these in one sentence."""
    return [
        f"In no count: {words.count(row['k'])} of {words.count(row['n'])} people of a study of "
        f"{vocabulary.APPROACHES.get(row['approach'], 'several approaches')} "
        f"({verbatim(words.study(row['label']))}): {verbatim(str(row['what']).rstrip('.'))}; "
        f"relation to the treatment {JUDGED.get(row['relation'], row['relation'])}."
        for _, row in in_no_count(results, event_word).iterrows()
    ]


def benign(results) -> pd.DataFrame:
    """Benign and pre-existing tumours of treated patients, one row a cohort that names some."""
    facts = results.rows("harm_facts", event=BENIGN, relation="any", arm="treated")
    return facts[facts["k"] > 0]


def side_effects(results) -> pd.DataFrame:
    """Side effects of any kind, of treated patients: k and n by group, with approach and bound.

    They stand in no rate, because what counts as one differs from report to report.
    """
    studies = results.evidence.studies.drop_duplicates("study_id").set_index("study_id")
    rows = results.evidence.safety
    rows = rows[
        rows["event_category"].eq(SIDE_EFFECT)
        & rows["arm"].str.startswith("treated")
        & rows["n_patients"].notna()
        & rows["n_at_risk"].notna()
        & rows["study_id"].map(studies["include"]).eq("yes")
    ]
    rows = rows.assign(
        k=rows["n_patients"],
        n=rows["n_at_risk"],
        approach=rows["study_id"].map(studies["cell_class"]).map(vocabulary.APPROACH_OF_CLASS.get),
        patients=rows["study_id"].map(cohorts.patient_groups(results.evidence.studies)),
    )
    return rows.sort_values("n").drop_duplicates(["patients", "relation"], keep="last")


def _benign(results) -> list[str]:
    """Benign and pre-existing tumours, counted apart: who, how many, what the source says."""
    head = "**Benign or pre-existing tumours**, counted apart from cancers:"
    return _listed(results, benign(results), head)


def _looked_for(results) -> list[str]:
    """Who says that it found no cancer of its patients; or that nobody says so."""
    facts = results.rows("harm_facts", event="malignancy_or_tumour", relation="any", arm="treated")
    _, every, _ = silent(results, "malignancy_or_tumour")
    if facts.empty and every:
        return [f"No group of {every} says that it looked for cancer of its patients."]
    return _listed(
        results, facts[facts["k"] == 0], "No cancer or tumour, as the sources that count say it:"
    )


def _of_the_graft(results) -> list[str]:
    """What is said of unwanted growth of the cells given: of the graft, not of the patient."""
    facts = results.rows("harm_facts", event=GRAFT, relation="any", arm="treated")
    return _listed(
        results,
        facts,
        "**Unwanted growth of the graft** is said of the cells given, not of the patient, so it "
        "is in no count of cancer:",
    )


def _listed(results, facts: pd.DataFrame, head: str) -> list[str]:
    """Counts of treated patients, one line a group, with what its source says."""
    lines = []
    for row in facts.itertuples():
        least = "at least " if row.bound == "at_least" else ""
        lines.append(
            f"- {least}{words.count(row.k)} of {words.count(row.n)} patients treated by "
            f"{vocabulary.APPROACHES[row.approach]} ({verbatim(words.study(row.label))})"
            f"{_as_told(results, row)}."
        )
    return [f"{head}\n\n" + "\n".join(lines)] if lines else []


def _as_told(results, row) -> str:
    """What the sources say of an event in a cohort's report, after a colon; "" where nothing."""
    safety = results.evidence.safety
    own = safety[
        safety["study_id"].eq(row.study_id) & safety["event_category"].eq(row.event)
        & ~safety["arm"].str.startswith("control")
    ]  # fmt: skip
    what = "; ".join(dict.fromkeys(str(told).rstrip(".") for told in own["event_detail"] if told))
    return f": {verbatim(what)}" if what else ""


@made_from("harm_events")
def events(results) -> Table:
    """Every named death, severe infection and tumour: one row an event."""
    table = _events(results)
    place = table["approach"].map(ORDER.index) * 10 + table["event"].map(
        vocabulary.GRAVE_EVENTS.index
    )
    table = table.assign(place=place).sort_values(["place", "label"], kind="stable")
    shown = pd.DataFrame(
        {
            "Event": [event(word).capitalize() for word in table["event"]],
            "Patients": [
                how_many(row)
                for _, row in table.assign(least=_bounded_below(results, table)).iterrows()
            ],
            "What the source says": table["what"],
            "Fatal": table["fatal"],
            "Related, as judged": [judged(row) for _, row in table.iterrows()],
            "Approach": [vocabulary.APPROACHES[word] for word in table["approach"]],
            "Study": [words.study(label) for label in table["label"]],
            "Counted": ["yes" if word == "yes" else "no, shown only" for word in table["eligible"]],
        }
    )
    ids = list(table["source_rows"])
    return grid(shown, ids=ids, steps=[results.steps(name) for name in ids])


@made_from("harm_summary")
def counts(results) -> Table:
    """Harms counted: exact, lower bounds, silence, and the bounds from the data alone."""
    table = results.table("harm_summary")
    told = table[(table["k_cohorts"] > 0) | (table["k_at_least"] > 0)]
    told = told.assign(place=told["event"].map(_place), way=told["approach"].map(ORDER.index))
    told = told.sort_values(["way", "place", "relation"], kind="stable")
    rows = [
        {
            "Harm": f"{event(row.event, 2).capitalize()}, "
            + cause(row.relation, row.approach, row.event),
            "Approach": vocabulary.APPROACHES[row.approach],
            "Exact": f"{row.events:.0f} of {row.n_patients:.0f}" if row.k_cohorts else "–",
            "At least": f"{row.events_at_least:.0f} of {row.n_at_least:.0f}"
            if row.k_at_least
            else "–",
            "Patient-years": words.number(row.patient_years, 0) if row.k_cohorts else "–",
            "One-sided 95 % bound": words.number(row.upper_95, 1),
            "Upper end, two-sided 95 %": words.number(row.upper_975, 1),
            "Silent groups": f"{row.k_silent:.0f} ({words.some(row.n_silent, 'patient')})",
            "Other cause only": f"{row.k_other:.0f} ({words.some(row.n_other, 'patient')})"
            if row.k_other
            else "–",
        }
        for row in told.itertuples()
    ]
    rows += _side_effect_rows(results)
    numbers = [
        "Exact",
        "At least",
        "Patient-years",
        "One-sided 95 % bound",
        "Upper end, two-sided 95 %",
    ]
    return grid(pd.DataFrame(rows), right=numbers)


def _side_effect_rows(results) -> list[dict[str, str]]:
    """Side effects of any kind by approach: no rate, as what counts as one differs by report."""
    every = side_effects(results)
    found = []
    for approach, relation in itertools.product(ORDER, ("any", "treatment_related")):
        own = every[every["approach"].eq(approach) & every["relation"].eq(relation)]
        if len(own):
            least = own["bound"].eq("at_least").any()
            told = f"{own['k'].sum():.0f} of {own['n'].sum():.0f}"
            found.append(
                {
                    "Harm": f"Any side effect, {cause(relation, approach, SIDE_EFFECT)}",
                    "Approach": vocabulary.APPROACHES[approach],
                    "Exact": "–" if least else told,
                    "At least": told if least else "–",
                    **dict.fromkeys(
                        (
                            "Patient-years",
                            "One-sided 95 % bound",
                            "Upper end, two-sided 95 %",
                            "Silent groups",
                            "Other cause only",
                        ),
                        "–",
                    ),
                }
            )
    return found


def _place(word: str) -> int:
    return SHOWN.index(word) if word in SHOWN else len(SHOWN)


def also_counted(results, approach: str) -> dict[str, str]:
    """Of each other harm, of any cause: how many of how many; "" where nobody counts it.

    Groups that count exactly and groups that give a lower bound are told apart.
    """
    table = results.rows("harm_summary", relation="any", approach=approach).set_index("event")
    found = {}
    for word in vocabulary.COUNTED_HARMS:
        columns = ["events", "n_patients", "events_at_least", "n_at_least"]
        told = _exact_and_least(*table.loc[word, columns]) if word in table.index else ""
        found[word] = told + of_men(results, word, approach) if told else ""
    return found


def known_elsewhere(approach: str, event_word: str) -> str:
    """That a harm nobody counts after an approach is known from other fields, with the source."""
    key = UNCOUNTED.get((approach, event_word))
    sources = {source.key: source for source in OTHER_FIELDS}
    if not key:
        return ""
    own = sources[key]
    named = ", doi ".join(filter(None, [own.citation.split(",")[0], own.doi]))
    return f" (known from other fields: {named})"


SPERM = re.compile(r"\bsperm", re.IGNORECASE)


def of_men(results, event_word: str, approach: str) -> str:
    """Of whom a harm that men alone can have was counted; "" for any other.

    Its denominator is all who were treated: how many are men, or were tested, no source prints.
    """
    facts = results.rows(
        "harm_facts", event=event_word, relation="any", approach=approach, arm="treated"
    )
    facts = facts[facts["k"] > 0]
    if event_word != "impaired_fertility" or facts.empty:
        return ""
    safety = results.evidence.safety
    own = safety[
        safety["study_id"].isin(facts["study_id"]) & safety["event_category"].eq(event_word)
    ]
    if not own["event_detail"].str.contains(SPERM).all():
        return ""
    what = words.listed(list(dict.fromkeys(own["event_detail"])))
    return f" ({what}; of all treated, how many are men, or were tested, is not told)"


def also_named(results, approach: str) -> list[str]:
    """What the sources say of the harms of `also_counted` that were seen, study by study."""
    facts = results.rows("harm_facts", relation="any", approach=approach, arm="treated")
    facts = facts[facts["event"].isin(vocabulary.COUNTED_HARMS) & (facts["k"] > 0)]
    return [
        f"{event(row.event)}, {words.study(row.label)}: "
        f"{'at least ' if row.bound == 'at_least' else ''}{row.k:.0f} of {row.n:.0f}"
        for row in facts.itertuples()
    ]


@made_from("harm_summary")
def silence(results) -> Table:
    """Every group once, those that say the same together: what they say of the gravest harms."""
    table = results.table("harm_summary")
    table = table[table["event"].isin(vocabulary.GRAVE_EVENTS) & (table["relation"] == "any")]
    said_of: dict[tuple[str, str], dict[str, str]] = {}
    for row in table.itertuples():
        for word, names in (("silent", row.silent), ("only that none was related", row.other)):
            for name in filter(None, names.split(";")):
                said_of.setdefault((row.approach, name), {})[row.event] = word
    alike: dict[tuple[str, ...], list[str]] = {}
    for (approach, name), told in sorted(
        said_of.items(), key=lambda item: (ORDER.index(item[0][0]), item[0][1])
    ):
        says = tuple(told.get(word, "counted") for word in vocabulary.GRAVE_EVENTS)
        alike.setdefault((approach, *says), []).append(words.study(name))
    rows = [
        {
            "Approach": vocabulary.APPROACHES[approach],
            **{
                event(word, 2).capitalize(): one
                for word, one in zip(vocabulary.GRAVE_EVENTS, says, strict=True)
            },
            "Groups": words.count(len(names)),
            "Which": ", ".join(names),
        }
        for (approach, *says), names in alike.items()
    ]
    return grid(pd.DataFrame(rows), ("Groups",))


@said
def silence_in_short(results) -> str:
    """How many groups say nothing of each of the gravest harms."""
    parts = []
    for word in vocabulary.GRAVE_EVENTS:
        quiet, every, _ = silent(results, word)
        if every:
            related = only_related(results, word)
            also = f" ({related} say only that none was related)" if related else ""
            parts.append(f"{quiet} of {every} of {event(word, 2)}{also}")
    if not parts:
        return ""
    return f"Silence is not a zero. Groups that say nothing, from any cause: {words.listed(parts)}."


CEILING = ("longest", "unstated")
"""Kinds of follow-up that nobody, or not everybody, had in full."""


@said
def exposure(results) -> str:
    """In how many exact counts the patient-years are a ceiling, and their bounds a floor."""
    facts = results.rows("harm_facts", arm="treated", bound="exact")
    facts = facts[facts["patient_years"] > 0]
    if facts.empty:
        return ""
    studies = results.evidence.studies.set_index("study_id").loc[facts["study_id"]]
    of_study = (facts["months"] - studies["followup_months"].to_numpy()).abs() <= 0.05
    ceiling = int((of_study & studies["followup_kind"].isin(CEILING).to_numpy()).sum())
    told = "Patient-years are the treated times the follow-up that is printed."
    if not ceiling:
        return told
    return (
        f"{told} In {words.of(ceiling, len(facts), 'exact count')} that is the longest of any "
        "patient, or of a kind that is not told: there the patient-years are a ceiling, and a "
        "bound that rests on them is a floor."
    )


@said
def reconciled(results) -> str:
    """Why more events may be related to the treatment than there are of any cause; "" if not."""
    table = results.table("harm_summary").set_index(["event", "relation", "approach"])["events"]
    more = [
        (word, approach)
        for word, relation, approach in table.index
        if relation == "treatment_related"
        and (word, "any", approach) in table.index
        and table[(word, relation, approach)] > table[(word, "any", approach)]
    ]
    if not more:
        return ""
    return (
        "Counts of related events and of events of any cause come from different groups, "
        "since few sources print both; a related event is an event of any cause, so where "
        "the first number is the larger the second is incomplete."
    )


# --- evidence needed ---------------------------------------------------------------------------


TWO_SIDED, ONE_SIDED = HIGH, 0.95
"""Levels of a bound: the upper end of a two-sided 95 % interval, and a one-sided 95 % bound."""


def _so_many(cancers: float) -> str:
    """`no cancer or tumour`, `2 cancers or tumours`."""
    word = "malignancy_or_tumour"
    return f"{cancers:.0f} {event(word, cancers)}" if cancers else f"no {event(word)}"


def _needed_alone(results) -> pd.DataFrame:
    """What is needed by the data alone, no prior, for a two-sided 95 % interval."""
    return results.rows("evidence_needed", basis="data_alone", level=TWO_SIDED)


@made_from("evidence_needed")
def needed(results) -> Table:
    """Patient-years without a further event until the bound falls under the threshold."""
    table = results.rows("evidence_needed", basis="data_alone")
    rows = []
    for _, own in table.groupby(["event", "approach", "threshold"], sort=False):
        both = own[own["level"] == TWO_SIDED]
        one = own[own["level"] == ONE_SIDED]
        row = (both if len(both) else own).iloc[0]
        rows.append(
            {
                "Harm": event(row["event"], 2).capitalize(),
                "Approach": vocabulary.APPROACHES[row["approach"]],
                "To rule out, per 100": f"{row['threshold']:g}",
                "Events counted exactly": words.count(row["events"]),
                "Known besides": _known_besides(results, row) or "–",
                "Patient-years of these counts": words.number(row["patient_years"], 0),
                "Bound now, two-sided": _first(both, "bound_now", 1),
                "Still needed, two-sided": _first(both, "needed_more", 0),
                "Bound now, one-sided": _first(one, "bound_now", 1),
                "Still needed, one-sided": _first(one, "needed_more", 0),
            }
        )
    return grid(pd.DataFrame(rows), right=list(rows[0])[2:] if rows else ())


def _known_besides(results, row) -> str:
    """Events known as a lower bound alone, which are in no rate: `at least 1 of 24`."""
    own = results.rows(
        "harm_summary", event=row["event"], relation="any", approach=row["approach"]
    )  # fmt: skip
    k, n = own["events_at_least"].sum(), own["n_at_least"].sum()
    return f"at least {k:.0f} of {n:.0f}" if k else ""


def _first(table: pd.DataFrame, column: str, digits: int) -> str:
    return words.number(table[column].iloc[0], digits) if len(table) else "–"


@said
def needed_told(results) -> str:
    """How far the data are from ruling a rate of cancer out."""
    table = _needed_alone(results)
    table = table[table["event"] == "malignancy_or_tumour"]
    none = table[table["patient_years"] == 0]
    table = table[table["patient_years"] > 0]
    if table.empty and none.empty:
        return "No approach has patient-years in which cancers were counted exactly."
    parts = [
        f"For {vocabulary.APPROACHES[row.approach]}, "
        f"{words.some(round(row.patient_years), 'patient-year')} with "
        f"{_so_many(row.events)} {words.verb(round(row.patient_years), 'leave', 'leaves')} room "
        "for as many as "
        f"{words.number(row.bound_now, 1)} per 100 patient-years (upper end of the two-sided 95 % "
        f"interval, data alone); {row.needed_more:.0f} further ones without a case would bring it "
        f"under {row.threshold:g}."
        for row in table.itertuples()
    ]
    if len(none):
        row = none.iloc[0]
        who = words.listed([vocabulary.APPROACHES[word] for word in none["approach"]])
        parts.append(
            f"After {who} nobody counted cancers of the patients, so the data alone bound nothing: "
            f"{row['needed_in_all']:.0f} patient-years without one would bring the upper end of "
            f"the two-sided 95 % interval under {row['threshold']:g} per 100 patient-years."
        )
    return " ".join(parts)


# --- figures -----------------------------------------------------------------------------------


def bounds_finding(results) -> str:
    """What the figure of bounds shows, as a title."""
    table = _bounded(results)
    low = table[table["upper_975"] < 1]
    if low.empty:
        return "No grave harm is ruled out below 1 per 100 patient-years"
    return f"{len(low)} of {len(table)} bounds lie below 1 per 100 patient-years"


def _bounded(results) -> pd.DataFrame:
    table = results.table("harm_summary")
    table = table[
        table["event"].isin(SHOWN) & (table["k_cohorts"] > 0) & table["upper_975"].notna()
    ]
    table = table.assign(place=table["event"].map(_place), way=table["approach"].map(ORDER.index))
    return table.sort_values(["way", "place", "relation"], ignore_index=True, kind="stable")


@dataclass(frozen=True)
class Bound:
    """A row of the figure of bounds: so many events of so many patients, and the rate of them.

    `ends` are the one-sided bound and the upper end of the two-sided interval; a lower bound of
    the events has none.
    """

    approach: str
    name: str
    k: float
    n: float
    silent: float
    rate: float
    ends: tuple[float, ...] = ()

    @property
    def label(self) -> str:
        least = "" if self.ends else "at least "
        return (f"{self.name}\n{least}{self.k:.0f} of {self.n:.0f}; "
                f"{words.some(self.silent, 'group')} silent")  # fmt: skip


def _drawn_bounds(results) -> list[Bound]:
    """Rows of the figure of bounds: what is counted exactly, and what is known as a lower bound.

    Grave harms stand there where they were counted at all, others where somebody had them.
    """
    every = (*SHOWN, *(word for word in vocabulary.COUNTED_HARMS if word not in SHOWN))
    table = results.table("harm_summary")
    table = table[table["event"].isin(every)]
    table = table.assign(place=table["event"].map(every.index),
                         way=table["approach"].map(ORDER.index))  # fmt: skip
    table = table.sort_values(["way", "place", "relation"], kind="stable")
    facts = results.rows("harm_facts", relation="any", arm="treated", bound="at_least")
    facts = facts[facts["k"] > 0]
    years = facts.groupby(["event", "approach"])["patient_years"].sum()
    found = []
    for row in table.itertuples():
        name = event(row.event, 2) + ("" if row.relation == "any" else ", judged related")
        bounded = row.k_cohorts > 0 and words.known(row.upper_975)
        if bounded and (row.event in SHOWN or row.events):
            rate = 100 * row.events / row.patient_years if row.patient_years else 0.0
            found.append(Bound(row.approach, name, row.events, row.n_patients, row.k_silent, rate,
                               (row.upper_95, row.upper_975)))  # fmt: skip
        over = years.get((row.event, row.approach), 0.0) if row.relation == "any" else 0.0
        if row.events_at_least and over:
            found.append(Bound(row.approach, name, row.events_at_least, row.n_at_least,
                               row.k_silent, 100 * row.events_at_least / over))  # fmt: skip
    return found


LOWEST, HIGHEST = 0.1, 500.0
"""Ends of the axis of rates, events per 100 patient-years."""


@base.drawn_from("harm_summary")
def bounds(results) -> Figure:
    """Rates observed and bounds from the data alone, by approach and harm; lower bounds open."""
    rows = _drawn_bounds(results)
    if not rows:
        return base.in_words("No group counts a grave harm.")
    labels, places, heads, y = [], [], [], -1.0
    for place, row in enumerate(rows):
        if not place or row.approach != rows[place - 1].approach:
            y += 1
            heads.append((y, vocabulary.APPROACHES[row.approach].capitalize()))
        y += 1
        places.append(y)
        labels.append(row.label)
    figure, axes = base.new(0.9 + 0.31 * (y + 1))
    axes.set_xscale("log")
    axes.set_xlim(LOWEST, HIGHEST)
    ticks = (0.1, 1, 10, 100)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.xaxis.minorticks_off()
    axes.axvline(1, color=style.GREY, linewidth=0.8, zorder=0)
    for row, place in zip(rows, places, strict=True):
        _draw_bound(axes, row, place)
    axes.set_yticks(places, labels, fontsize=style.SMALL)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(y + 0.7, -0.6)
    for place, text in heads:
        axes.text(-0.02, place, text, transform=axes.get_yaxis_transform(), fontweight="bold",
                  ha="right", va="center", fontsize=style.SMALL)  # fmt: skip
    axes.set_xlabel("events per 100 patient-years (log scale)", loc="right")
    return base.title(figure, bounds_finding(results))


def _draw_bound(axes, row: Bound, place: float) -> None:
    """A rate with the ends of what the data leave room for, or with none where it is the least."""
    colour, marker = (
        style.APPROACH_COLOURS[row.approach],
        style.APPROACH_MARKERS[row.approach],
    )
    rate = min(row.rate, HIGHEST)
    if not row.ends:
        axes.plot([rate, HIGHEST], [place, place], color=colour, linewidth=1.2,
                  linestyle=(0, (3, 2)))  # fmt: skip
        axes.plot(HIGHEST, place, ">", color=colour, ms=5, clip_on=False)
        axes.plot(rate, place, marker, color=colour, mfc=style.WHITE, ms=5)
        return
    one_sided, two_sided = (min(end, HIGHEST) for end in row.ends)
    axes.plot([LOWEST, two_sided], [place, place], color=colour, linewidth=1.6)
    axes.plot(two_sided, place, "|", color=colour, ms=9, mew=1.6)
    axes.plot(one_sided, place, "o", mfc=style.WHITE, mec=colour, ms=4.5)
    if rate > 0:
        axes.plot(rate, place, marker, color=colour, ms=5)


@base.drawn_from("evidence_needed")
def evidence(results) -> Figure:
    """Patient-years there are, and those needed, by approach and harm."""
    table = _needed_alone(results)
    table = table.sort_values(["approach", "event"], ignore_index=True, kind="stable")
    figure, axes = base.new(1.0 + 0.5 * len(table))
    for place, row in enumerate(table.itertuples()):
        colour = style.APPROACH_COLOURS[row.approach]
        known = _known_besides(results, row._asdict())
        axes.barh(place, row.needed_in_all, height=0.55, color=style.PALE,
                  hatch="////" if known else None, edgecolor=style.WHITE, lw=0)  # fmt: skip
        axes.barh(place, row.patient_years, height=0.55, color=colour)
        axes.annotate(f"{'at least ' if known else ''}{row.needed_more:.0f} more",
                      (row.needed_in_all, place), xytext=(5, 0), textcoords="offset points",
                      va="center", fontsize=style.SMALL, color=style.INK)  # fmt: skip
    base.label_rows(
        axes,
        [
            f"{event(row['event'], 2)}, under {row['threshold']:g}\n"
            f"{vocabulary.APPROACHES[row['approach']]}" + (f"; {known}" if known else "")
            for _, row in table.iterrows()
            for known in [_known_besides(results, row)]
        ],
    )
    axes.set_xlim(0, 1.55 * table["needed_in_all"].max())
    axes.set_xlabel("patient-years", loc="right")
    axes.xaxis.set_major_locator(MaxNLocator(4))
    return base.title(figure, needed_finding(results))


def needed_finding(results) -> str:
    """What the figure of evidence needed shows, as a title."""
    table = _needed_alone(results)
    done = int((table["needed_more"] <= 0).sum())
    if done:
        return f"Enough patient-years for {done} of {len(table)} questions"
    most = (table["patient_years"] / table["needed_in_all"]).max()
    return f"At most {math.floor(100 * most)} of 100 patient-years that are needed exist"


@made_from("harm_controls")
def controls(results) -> Table:
    """Harms counted in both arms of one study."""
    table = results.table("harm_controls")
    rows = [
        {
            "Study": words.study(row.label),
            "Harm": event(row.event, 2).capitalize()
            + ("" if row.relation == "any" else ", judged related"),
            "Treated": f"{row.k:.0f} of {row.n:.0f}",
            "Controls": f"{row.k_control:.0f} of {row.n_control:.0f}",
            "Difference, of 100": "none can be read" if nobody else
            words.number(100 * row.risk_difference, 1),
            "95 % interval": "–" if nobody else
            words.interval(100 * row.rd_low, 100 * row.rd_high, 0),
        }
        for row in table.itertuples()
        for nobody in [row.k == row.k_control == 0]
    ]  # fmt: skip
    right = ["Treated", "Controls", "Difference, of 100", "95 % interval"]
    shown = pd.DataFrame(rows)
    if (table["k"].eq(0) & table["k_control"].eq(0)).all():
        shown, right = shown.drop(columns=right[2:]), right[:2]
    return grid(shown, right)


@said
def none_counted(results) -> str:
    """Which harms nobody counted, by approach."""
    table = results.table("harm_summary")
    if table.empty:
        return ""
    parts = []
    for approach in ORDER:
        own = table[table["approach"] == approach]
        told = own.groupby("event")[["k_cohorts", "k_at_least"]].sum().sum(axis=1)
        never = [
            event(word, 2)
            for word in told.index[told == 0]
            if approach == vocabulary.ISLETS or word not in OF_THE_GRAFT
        ]
        if never:
            parts.append(f"{vocabulary.APPROACHES[approach]}: {words.listed(never)}")
    return f"No group counts, after {'; after '.join(parts)}." if parts else ""
