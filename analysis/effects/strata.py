"""The effects behind one answer: one stratum, one design; and those that teach a spread."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from analysis import cohorts, outcomes, vocabulary
from analysis.effects import select
from analysis.effects.rules import Rules
from analysis.evidence import Evidence

DESIGNS = ("controlled", "randomised", "uncontrolled")
ALL = "all"
NOT_OF_ALL = "outcome_defined_group|responder_share"
"""Caveats of results in words that are not of all patients of an arm, or are shares."""


def for_stratum(
    effects: pd.DataFrame,
    outcome: str,
    approach: str = ALL,
    population: str = ALL,
    design: str = "controlled",
    rules: Rules | None = None,
    *,
    cell_class: str = ALL,
) -> pd.DataFrame:
    """The effects of one stratum and design, one row a group of patients.

    Parameters
    ----------
    effects : the effects table as it was built.
    outcome : a continuous outcome.
    approach : a word of `vocabulary.APPROACHES`, or "all".
    population : "t1d" is all type 1; "t1d_new_onset", "t1d_established", "t2d", "all".
    design : "controlled"; "randomised", those of the controlled rows that rest on randomised arms;
        "uncontrolled", changes within the treated, those within arms of trials included.
    rules : choices of `rules.SELECTING` under which the speaking effects are chosen anew; None
        takes the marks of the table. Choices about how facts are read need a table built so.
    cell_class : a cell class, or "all".

    Returns
    -------
    Rows of the effects table (all columns), by year and study.

    Raises
    ------
    KeyError : a word that is not known.
    """
    _require("outcome", outcome, outcomes.of_kind(outcomes.CONTINUOUS))
    _require("approach", approach, (*vocabulary.APPROACHES, ALL))
    _require("design", design, DESIGNS)
    _require("cell class", cell_class, (*vocabulary.CELL_CLASSES, ALL))
    table = effects if rules is None else select.mark(effects, rules)
    side = "uncontrolled" if design == "uncontrolled" else "controlled"
    chosen = table["outcome"].eq(outcome) & table[f"headline_{side}"]
    if cell_class != ALL:
        chosen &= table["cell_class"].eq(cell_class)
    chosen = table[chosen & in_stratum(table, approach, population, design)]
    return chosen.sort_values(["year", "study_id", "effect_id"]).reset_index(drop=True)


def in_stratum(
    effects: pd.DataFrame, approach: str, population: str, design: str
) -> np.ndarray:  # fmt: skip
    """Whether each effect belongs to a stratum and, where randomised are asked, to those.

    Parameters
    ----------
    effects : an effects table.
    approach, population : of the stratum; `all` is every one.
    design : controlled, randomised or uncontrolled.

    Returns
    -------
    (len(effects),) booleans.
    """
    chosen = cohorts.in_population(effects["population"], population)
    if approach != ALL:
        chosen = chosen & effects["approach"].eq(approach).to_numpy()
    if design == "randomised":
        chosen = chosen & effects["randomised"].to_numpy(dtype=bool)
    return chosen


def teachers(effects: pd.DataFrame, outcome: str, rules: Rules | None = None) -> pd.DataFrame:
    """Every controlled contrast of an outcome that prints a spread, whatever its stratum.

    They teach the standard deviation where none is printed. One row a group of patients, the
    nearest to the horizon, at any time after treatment; only studies that may be pooled. `var_a`
    and `var_b` are those of the printed spreads, also where the effect itself takes its standard
    error from a p-value; `teaches_sd` is True in every row.

    Parameters
    ----------
    effects : an effects table.
    outcome : a continuous outcome.
    rules : the choices; those of the headline by default.

    Raises
    ------
    KeyError : a word that is not known.
    """
    _require("outcome", outcome, outcomes.of_kind(outcomes.CONTINUOUS))
    rules = rules or Rules()
    chosen = (
        effects["outcome"].eq(outcome)
        & effects["controlled"]
        & effects["pool"]
        & effects["kind"].eq("numeric")
        & np.isfinite(effects["spread_var_a"].astype(float))
    )
    rows = effects[chosen]
    rows = rows.assign(
        var_a=rows["spread_var_a"], var_b=rows["spread_var_b"], teaches_sd=True
    )  # fmt: skip
    ordered = rows.iloc[np.argsort(select.order_of(select.preference(rows, rules)))]
    group = "patients" if rules.overlaps == "declared" else "patients_sure"
    once = ordered.drop_duplicates(group)
    return once.sort_values(["year", "study_id", "effect_id"]).reset_index(drop=True)


def told_in_words(
    evidence: Evidence, outcome: str, approach: str, population: str, contrast: str
) -> pd.DataFrame:
    """Results in words of eligible reports of a stratum, whether or not any estimate has them.

    Parameters
    ----------
    evidence : the validated tables.
    outcome, approach, population : of the stratum.
    contrast : a word of `vocabulary.CONTRASTS`.

    Returns
    -------
    Rows of `directions.csv`.
    """
    table = evidence.directions
    table = table[
        table["contrast"].eq(contrast) & table["outcome"].isin(outcomes.get(outcome).raw)
    ]  # fmt: skip
    if table.empty:
        return table
    studies = evidence.studies
    strata = cohorts.strata(studies)
    own = studies[
        studies["include"].eq("yes").to_numpy() & strata["approach"].eq(approach).to_numpy()
        & strata["population"].str.startswith(population).to_numpy()
    ]  # fmt: skip
    return table[
        ~table["caveats"].astype(str).str.contains(NOT_OF_ALL)
        & table["study_id"].isin(own["study_id"])
    ]


def known_nulls(effects: pd.DataFrame) -> pd.DataFrame:
    """Known nulls that lack a group, an arm size, a time or a journal, with the reason in `note`.

    They stay out of every headline; `Rules(all_nulls=True)` lets them in.
    """
    return effects[effects["known_null"].astype(bool)].reset_index(drop=True)


def _require(what: str, word: str, allowed: Iterable[str]) -> None:
    if word not in allowed:
        raise KeyError(f"no such {what}: {word}; known: {', '.join(allowed)}")
