"""Which effect stands for a cohort in each question: the headline marks and the trajectory.

Two questions are asked of every group of patients, outcome by outcome: what cells did against
controls, and what happened within the treated. In each, one effect stands for the group: of several
cohorts that may overlap, the largest speaks; then the effect nearest to the horizon; then the
report with more patients; then numbers before words; then the C-peptide measure (area under the
curve, peak, fasting, not stated); then a spread before none and an exact p-value before a bound;
then the role of the report. Time comes before size and kind, so an early number never displaces a
later "no difference" of the same patients. What is left is settled by the content of the effect,
never by the order of rows.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis import cohorts
from analysis.effects.rules import Rules

MEASURE_ORDER = {"auc": 0, "stimulated": 1, "fasting": 2, "unstated": 3, "": 0}
KIND_ORDER = {"numeric": 0, "exact_p": 1, "two_points": 2, "interval": 3}
MARKS = ("headline", "headline_controlled", "headline_uncontrolled", "trajectory")
NEEDED = ("effect_id", "cohort", "patients", "patients_sure", "role", "outcome", "approach", "kind",
          "controlled", "measure", "months", "var_a", "z_low", "z_high", "n_patients", "pool",
          "apart", "known_null", "tested", "visit_open")  # fmt: skip


def preference(effects: pd.DataFrame, rules: Rules) -> pd.DataFrame:
    """Sort keys of every effect, smaller is preferred; sort by all columns in their order.

    The columns leave out which cohort of a group speaks (see `mark`). `order` makes the keys a
    strict order that depends on the content of the effects alone.
    """
    known = effects["n_patients"].astype(float).fillna(0)
    most = known.groupby(
        [effects["study_id"], effects["outcome"], effects["controlled"]]
    ).transform("max")  # fmt: skip
    strength = effects[["z_low", "z_high"]].astype(float).abs().min(axis=1).fillna(0)
    controlled = effects["controlled"].astype(bool) & rules.controlled_first
    by_name = effects["effect_id"].astype(str).rank(method="first")
    return pd.DataFrame(
        {
            "null": effects["known_null"].astype(int),
            "distance": (effects["months"] - rules.horizon).abs().round(9),
            "uncontrolled": (~controlled).astype(int),
            "few": -most,
            "words": effects["kind"].ne("numeric").astype(int),
            "measure": effects["measure"].map(MEASURE_ORDER),
            "no_spread": effects["var_a"].isna().astype(int),
            "kind": effects["kind"].map(KIND_ORDER),
            "role": cohorts.role_rank(effects["role"]),
            "n": -known,
            "strength": strength,
            "order": by_name,
        },
        index=effects.index,
    )


def eligible(effects: pd.DataFrame, rules: Rules) -> np.ndarray:
    """Whether each effect may stand for its patients under these rules, at whatever time.

    Words without a test only where `rules.untested`; claims of a whole follow-up only where
    `rules.visit_open` is "in"; known nulls that lack a group, an arm size or a journal only where
    `rules.all_nulls`.
    """
    pool, null = effects["pool"].astype(bool), effects["known_null"].astype(bool)
    allowed = pool & (effects["tested"].astype(bool) | rules.untested)
    if rules.all_nulls:
        allowed |= null
    if rules.visit_open == "out":
        allowed &= ~effects["visit_open"].astype(bool)
    if rules.unstated_measure == "out":
        allowed &= effects["measure"].ne("unstated")
    return allowed.to_numpy()


def in_window(effects: pd.DataFrame, rules: Rules) -> np.ndarray:
    """Whether the month of each effect lies in the window, with its tolerance at both ends."""
    low, high = rules.window
    slack = rules.tolerance + 1e-9
    return effects["months"].between(low - slack, high + slack).to_numpy()


def mark(effects: pd.DataFrame, rules: Rules) -> pd.DataFrame:
    """Fill the columns `headline_controlled`, `headline_uncontrolled`, `headline`, `trajectory`.

    The first two mark the one effect that stands for a group of patients, an outcome and an
    approach, against controls and within the treated. `headline` marks the better of both (the
    controlled one where `rules.controlled_first`), and beside it one among the effects set `apart`,
    which are never pooled. `trajectory` marks the best effect of each month.

    Parameters
    ----------
    effects : an effects table; see `NEEDED` for the columns that are read.
    rules : the choices; those about the reading of printed facts are of no consequence here.
    """
    effects = effects.copy()
    for name in MARKS:
        effects[name] = False
    if effects.empty:
        return effects
    group = "patients" if rules.overlaps == "declared" else "patients_sure"
    work = effects.assign(_group=effects[group])
    ranks = preference(effects, rules)
    usable = eligible(effects, rules)
    window = in_window(effects, rules)
    question = ["_group", "outcome", "approach"]
    for name, part in (("controlled", work["controlled"]), ("uncontrolled", ~work["controlled"])):
        rows = work[usable & window & part.astype(bool)]
        effects.loc[_spokesmen(rows, ranks, question, rules), f"headline_{name}"] = True
    both = work[effects["headline_controlled"] | effects["headline_uncontrolled"]]
    for _, index in both.groupby(question).groups.items():
        effects.loc[_first(ranks.loc[index]), "headline"] = True
    diagnosed = work["apart"].astype(bool) & work["outcome"].eq("hba1c") & window
    effects.loc[_spokesmen(work[diagnosed], ranks, question, rules), "headline"] = True
    timed = work[usable]
    for _, index in timed.groupby([*question, "months"]).groups.items():
        effects.loc[_first(ranks.loc[index]), "trajectory"] = True
    return effects


def _spokesmen(rows: pd.DataFrame, ranks: pd.DataFrame, question: list[str], rules: Rules) -> list:
    """Index of the one row that stands for each group of `question`."""
    if rows.empty:
        return []
    place = cohorts.largest_first(rows, question)
    chosen = []
    for _, index in rows.groupby(question).groups.items():
        of_cohort = index[place.loc[index].eq(place.loc[index].min()).to_numpy()]
        ranked = ranks.loc[of_cohort].sort_values(list(ranks.columns))
        if not rules.words:
            # Only numbers, but none that is farther from the horizon than what words say.
            nearest = ranked["distance"].eq(ranked["distance"].min())
            ranked = ranked[nearest & ranked["words"].eq(0)]
        if len(ranked):
            chosen.append(ranked.index[0])
    return chosen


def _first(ranks: pd.DataFrame):
    return ranks.sort_values(list(ranks.columns)).index[0]
