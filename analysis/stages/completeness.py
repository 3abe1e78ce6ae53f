"""Which estimates a run must hold, told from its tables of facts: no line may vanish unseen.

Readers meet estimates in sets: the mean on every scale, its probabilities, the spread between
studies; a share and its bounds; a curve at every month. `expected` says from the declared tables
(which questions are told by a mean, which counts, harms and durations there are) which sets belong
to the run and what each holds; `faults` names what is absent and what nobody asked for. A quantity
that a stage renames, drops or moves thus stops the run. Two estimates of the same parts are refused
by the contract itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from analysis import outcomes
from analysis.cohorts import in_population
from analysis.effects import Rules
from analysis.exact.families import FAMILIES
from analysis.questions import APPROACHES, MEAN, REVIEW_STRATA, STRATA, WORDS, WORDS_SE
from analysis.results import ALL
from analysis.risk_of_bias import HIGH
from analysis.sensitivity import duration_multiverse, share_multiverse
from analysis.stages import durations, effects, harms, headlines, shares

Key = tuple[str, str, str, str, str, str, str]
"""Outcome, approach, population, class of cells, design, variant and method."""
Member = tuple[str, float, float, str]
"""Quantity, month and threshold (-1: none), scale."""
CLASSICAL = ("dl", "pm", "hksj")
MAY_BE = ("with_untested", "all_nulls", "strict_window", "visit_open_out", "stated_measure",
          "joint")  # fmt: skip
"""Variants that the tables do not rule out: where they are, they are complete. Of some of them the
tables also say when they must be (`_variants`)."""
KEY = ["outcome", "approach", "population", "cell_class", "design", "variant", "method"]
NONE = -1.0
Tables = Mapping[str, pd.DataFrame]


def faults(estimates: pd.DataFrame, tables: Tables) -> list[str]:
    """What a run lacks or has too much, one line each; nothing where it is whole.

    Parameters
    ----------
    estimates : all estimates of a run (`results.ESTIMATES`).
    tables : its declared tables by name. Kinds of outcomes whose table of facts is not among them
        are not judged: the stage that makes them was not run.
    """
    kinds = {kind for kind, name in FACTS.items() if name in tables}
    own = estimates["outcome"].map(lambda name: outcomes.get(name).kind in kinds).astype(bool)
    return compared(estimates[own], expected(tables)) + without_standing(tables)


def without_standing(tables: Tables) -> list[str]:
    """Headline shares and durations whose place among all analyses is not told, one line each."""
    found = []
    if "share_standing" in tables:
        facts = tables["share_facts"]
        asked = {tuple(each.values()) for each in share_multiverse.strata(facts)}
        told = tables["share_standing"][["outcome", "approach", "population", "cell_class"]]
        found += _apart("share_standing", asked, set(told.itertuples(index=False, name=None)))
    if "duration_standing" in tables:
        borne = tables["duration_follow_up"].dropna(subset="last_month")
        modelled = set(zip(tables["duration_families"]["approach"],
                           tables["duration_families"]["population"], strict=True))  # fmt: skip
        asked = {(*who, quantity, _shown_month(month))
                 for who in zip(borne["approach"], borne["population"], strict=True)
                 if who in modelled
                 for quantity, month in duration_multiverse.QUANTITIES}  # fmt: skip
        told = tables["duration_standing"]
        told = told[["approach", "population", "quantity", "month"]]
        found += _apart("duration_standing", asked, {(*row[:3], _shown_month(row[3]))
                        for row in told.itertuples(index=False, name=None)})  # fmt: skip
    return found


def _shown_month(month: float) -> str:
    return "" if np.isnan(month) else f"{month:g}"


def _apart(table: str, asked: set[tuple], told: set[tuple]) -> list[str]:
    return [f"{table}: {':'.join(each)}: {'absent' if each in asked else 'nobody asked for it'}"
            for each in sorted(asked ^ told)]  # fmt: skip


def compared(estimates: pd.DataFrame, wanted: Mapping[Key, set[Member]]) -> list[str]:
    """What estimates lack or have too much of these sets, one line each."""
    there: dict[Key, list[dict]] = defaultdict(list)
    for row in estimates.to_dict("records"):
        outcome, approach, population, cell_class, design, variant, method = (
            str(row[name]) for name in KEY
        )
        key = (outcome, approach, population, cell_class, design, variant, method)
        there[key].append(row)
    found: list[str] = []
    for key in sorted({*wanted, *there}):
        name, rows = ":".join(key), there.get(key, [])
        if not rows:
            found.append(f"{name}: absent")
        elif key not in wanted and key[5] not in MAY_BE:
            found.append(f"{name}: nobody asked for it")
        elif not _is_blank(rows):
            asked = wanted.get(key) or _of_mean(key[0], key[5])
            held = {_member(row) for row in rows}
            found += [f"{name}: no {_shown(member)}" for member in sorted(asked - held)]
            found += [f"{name}: {_shown(m)}, nobody asked for it" for m in sorted(held - asked)]
    return found


def expected(tables: Tables) -> dict[Key, set[Member]]:
    """The sets of estimates that belong to a run with these tables, and what each holds."""
    ways = {outcomes.CONTINUOUS: _continuous, outcomes.COUNT: _counts, outcomes.HARM: _harms,
            outcomes.DURATION: _durations}  # fmt: skip
    return {
        key: members
        for kind, name in FACTS.items()
        if name in tables
        for key, members in ways[kind](tables)
    }


FACTS = {outcomes.CONTINUOUS: "headlines", outcomes.COUNT: "share_facts",
         outcomes.HARM: "harm_facts", outcomes.DURATION: "duration_families"}  # fmt: skip
"""Kind of outcome -> the table that tells which of its estimates there are."""


def _shown(member: Member) -> str:
    quantity, month, threshold, scale = member
    at = "" if month == NONE else f" at month {month:g}"
    limit = "" if threshold == NONE else f" beyond {threshold:g}"
    return f"{quantity}{at}{limit} ({scale})"


def _member(row: Mapping) -> Member:
    month, threshold = (NONE if np.isnan(row[n]) else round(row[n], 6)
                        for n in ("month", "threshold"))  # fmt: skip
    return row["quantity"], month, threshold, row["scale"]


def _is_blank(rows: list[dict]) -> bool:
    """A variant of which fewer than two results are left: one mean without a figure says so."""
    only = rows[0]
    beside = only["variant"] != "headline" and only["quantity"] == "mean"
    return len(rows) == 1 and beside and bool(np.isnan(only["mean"]))


def _stratum(row: Mapping) -> tuple[str, str, str]:
    return row["outcome"], row["approach"], row["population"]


# --- means ---------------------------------------------------------------------------------------


def _of_mean(outcome: str, variant: str, method: str = "exact") -> set[Member]:
    """What is told of one fit of a continuous outcome."""
    about = outcomes.get(outcome)
    scales = [about.scale, "ratio", "percent"] if about.is_ratio else [about.scale]
    if method in CLASSICAL or variant == "bias_average":
        return {("mean", NONE, NONE, scale) for scale in scales if scale != "percent"}
    made = {("mean", NONE, NONE, scale) for scale in scales}
    for limit in about.thresholds:
        at = round(about.shown(limit), 6)
        made |= {(name, NONE, at, "probability") for name in ("probability",
                                                              "new_study_probability")}  # fmt: skip
    if variant == "headline":
        made |= {("tau", NONE, NONE, about.scale), ("i_squared", NONE, NONE, "share")}
    return made


def _continuous(tables: Tables) -> Iterator[tuple[Key, set[Member]]]:
    for row in tables["headlines"].to_dict("records"):
        told, design = row["told"], row["design"]
        place = (*_stratum(row), ALL, design)
        rows = _rows(tables["study_estimates"], {**row, "design": design})
        if told == MEAN or (told == WORDS and design == "controlled"):
            yield (*place, "headline", "exact"), _of_mean(row["outcome"], "headline")
        if (row["approach"], row["population"]) in REVIEW_STRATA:
            continue
        known = rows["kind"].eq("numeric") & rows["ci_low"].lt(rows["ci_high"])
        if "effects" in tables and known.sum() >= effects.FEWEST:
            for method in CLASSICAL:
                yield (
                    (*place, "numbers_only", method),
                    _of_mean(row["outcome"], "numbers_only", method),
                )
        if told == MEAN and design == "controlled":
            yield from _by_class(place, row["outcome"], rows)
            for variant in _variants(tables, row, rows):
                yield (*place, variant, "exact"), _of_mean(row["outcome"], variant)


def _by_class(place: Sequence[str], outcome: str, rows: pd.DataFrame) -> Iterator:
    """The means of cell classes, where two of them have two results."""
    if not headlines.has_classes(rows):
        return
    about, whole = outcomes.get(outcome), _of_mean(outcome, "classes")
    yield (*place, "classes", "exact"), whole | {("tau_class", NONE, NONE, about.scale)}
    means = {member for member in whole if member[0] == "mean"}
    for word, own in rows.groupby("cell_class"):
        if own["kind"].eq("numeric").sum() >= about.min_results:
            yield (*place[:3], str(word), place[4], "classes", "exact"), means


def _rows(table: pd.DataFrame, parts: Mapping) -> pd.DataFrame:
    for name in ("outcome", "approach", "population", "design"):
        table = table[table[name] == parts[name]]
    return table


def _variants(tables: Tables, row: Mapping, rows: pd.DataFrame) -> Iterator[str]:
    """The analyses that stand beside a controlled mean, as its results alone decide them."""
    yield "robust"
    numbers = int(rows["kind"].eq("numeric").sum())
    if 0 < numbers < len(rows):
        yield "numbers_only"
        yield from (f"words_se_{factor:g}" for factor in WORDS_SE)
    if rows["risk_of_bias"].isin(HIGH).any():
        yield "low_risk"
    low, high = Rules().window
    if not rows["months"].between(low - 1e-9, high + 1e-9).all():
        yield "strict_window"
    if "bias_summary" in tables:
        summary = tables["bias_summary"]
        own = [summary[name] == row[name] for name in ("outcome", "approach", "population")]
        if summary.loc[np.logical_and.reduce(own), "mean"].notna().any():
            yield "bias_average"
    if "multiverse_levels" in tables:
        levels = tables["multiverse_levels"]
        entered = levels["choice"].eq("silent_trials") & levels["level"].eq("entered")
        own = [levels[name] == row[name] for name in ("outcome", "approach", "population")]
        if levels.loc[np.logical_and.reduce([*own, entered]), "offered"].any():
            yield "registered_nulls"
    if "effects" not in tables:
        return
    known = tables["effects"].set_index("effect_id")
    behind = known.loc[rows["effect_id"]]
    if behind["visit_open"].any():
        yield "visit_open_out"
    if behind["measure"].eq("unstated").any():
        yield "stated_measure"
    beside = _rows(tables["study_estimates"], {**row, "design": "uncontrolled"})["effect_id"]
    if not known.loc[beside, "patients"].isin(behind["patients"]).all():
        yield "joint"


# --- counts, harms, durations --------------------------------------------------------------------


def _counts(tables: Tables) -> Iterator[tuple[Key, set[Member]]]:
    pooled: set[Member] = {("pooled_share", NONE, NONE, "share")}
    model: set[Member] = {("share", NONE, NONE, "share")}
    model |= {("share_above", NONE, limit, "probability") for limit in shares.THRESHOLDS}
    facts = tables["share_facts"]
    for outcome in outcomes.of_kind(outcomes.COUNT):
        for approach, population in STRATA:
            own = facts[facts["outcome"].eq(outcome) & facts["approach"].eq(approach)]
            own = own[in_population(own["population"], population)]
            place = (outcome, approach, population)
            last = (ALL, "headline", "exact")
            if len(own):
                yield (*place, ALL, *last), pooled | (model if len(own) >= shares.FEWEST else set())
            classes = sorted(set(own["cell_class"]))
            if len(classes) > 1 and population in ("t1d", "t2d"):
                for cell_class in classes:
                    yield (*place, cell_class, *last), pooled


def _harms(tables: Tables) -> Iterator[tuple[Key, set[Member]]]:
    table = tables["harm_facts"]
    table = table[table["arm"].eq("treated") & table["patient_years"].gt(0)]
    alone: set[Member] = {("pooled_rate", NONE, NONE, outcomes.RATE)}
    alone |= {("rate_bound", NONE, level, outcomes.RATE) for level in harms.LEVELS}
    for (event, relation, approach), facts in table.groupby(["event", "relation", "approach"]):
        if relation not in harms.RELATIONS or approach not in APPROACHES:
            continue
        model: set[Member] = {("rate", NONE, NONE, outcomes.RATE)}
        if event in harms.THRESHOLDS:
            model.add(("rate_below", NONE, harms.THRESHOLDS[event], "probability"))
        exact = int(facts["bound"].eq("exact").sum())
        modelled = event not in harms.NO_RATE
        place = (f"{outcomes.HARM}_{event}", approach, ALL, ALL, ALL)
        own = (alone if exact else set()) | (
            model if modelled and exact >= harms.FEWEST else set()
        )  # fmt: skip
        if own:
            yield (*place, "headline" if relation == "any" else "related", "exact"), own
        if modelled and relation == "any" and max(exact + 1, harms.FEWEST) <= len(facts):
            yield (*place, "with_bounds", "exact"), model


def _durations(tables: Tables) -> Iterator[tuple[Key, set[Member]]]:
    told: set[Member] = {("median_duration", NONE, NONE, "months")}
    told |= {("survival", month, NONE, "share") for month in durations.MONTHS}
    told |= {("survival_above", month, durations.MOST, "probability") for month in durations.MONTHS}
    strata = tables["duration_families"][["approach", "population"]].drop_duplicates()
    for row in strata.itertuples():
        for family in (*FAMILIES, "stacked"):
            place = ("insulin_free_duration", row.approach, row.population, ALL, ALL)
            yield (*place, family, "exact"), told
