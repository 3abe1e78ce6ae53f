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
QUESTION = ["group", "outcome", "approach"]
NEEDED = ("effect_id", "cohort", "patients", "patients_sure", "role", "outcome", "approach", "kind",
          "controlled", "measure", "months", "var_a", "z_low", "z_high", "n_patients", "pool",
          "apart", "known_null", "tested", "visit_open")  # fmt: skip


def preference(effects: pd.DataFrame, rules: Rules) -> pd.DataFrame:
    """Sort keys of every effect, smaller is preferred; sort by all columns in their order.

    The columns leave out which cohort of a group speaks (see `mark`). `order` makes the keys a
    strict order that depends on the content of the effects alone.

    Parameters
    ----------
    effects : an effects table.
    rules : the choices.
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

    Parameters
    ----------
    effects : an effects table.
    rules : the choices.

    Returns
    -------
    (len(effects),) booleans.
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
    """Whether the month of each effect lies in the window, with its tolerance at both ends.

    Parameters
    ----------
    effects : an effects table.
    rules : the window and its tolerance.

    Returns
    -------
    (len(effects),) booleans.
    """
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

    Raises
    ------
    KeyError : a column of `NEEDED` is missing.
    """
    missing = [name for name in NEEDED if name not in effects]
    if missing:
        raise KeyError(f"not an effects table, without {', '.join(missing)}")
    effects = effects.copy()
    for name in MARKS:
        effects[name] = False
    if effects.empty:
        return effects
    candidates = Candidates(effects)
    work, window = candidates.ranked(rules), in_window(effects, rules)
    usable = eligible(effects, rules)
    for name, chosen in candidates.speakers(rules).items():
        effects.loc[effects.index[chosen], f"headline_{name}"] = True
    both = work[(effects["headline_controlled"] | effects["headline_uncontrolled"]).to_numpy()]
    diagnosed = effects["apart"].to_numpy(dtype=bool) & effects["outcome"].eq("hba1c").to_numpy()
    apart = _spokesmen(work[diagnosed & window], rules)
    effects.loc[effects.index[np.union1d(_first(both, QUESTION), apart)], "headline"] = True
    visits = _first(work[usable], [*QUESTION, "months"])
    effects.loc[effects.index[visits], "trajectory"] = True
    return effects


class Candidates:
    """Effects among which spokesmen are chosen, under many rules.

    Parameters
    ----------
    effects : an effects table; see `NEEDED` for the columns that are read.
    """

    def __init__(self, effects: pd.DataFrame):
        self.effects = effects
        self._ranked: dict[tuple, pd.DataFrame] = {}

    def speakers(self, rules: Rules) -> dict[str, np.ndarray]:
        """Which effects stand for their patients: those `mark` marks `headline_controlled`, ...

        Returns
        -------
        "controlled" and "uncontrolled", each with positions in the table.
        """
        work = self.ranked(rules)[eligible(self.effects, rules) & in_window(self.effects, rules)]
        controlled = work["controlled"]
        return {"controlled": _spokesmen(work[controlled], rules),
                "uncontrolled": _spokesmen(work[~controlled], rules)}  # fmt: skip

    def ranked(self, rules: Rules) -> pd.DataFrame:
        """What choosing reads, indexed by position; words as places in the alphabet."""
        group = "patients" if rules.overlaps == "declared" else "patients_sure"
        key = (group, rules.horizon, rules.controlled_first)
        if key not in self._ranked:
            effects, ranks = self.effects, preference(self.effects, rules)
            words = {"group": group, "outcome": "outcome", "approach": "approach",
                     "cohort": "cohort"}  # fmt: skip
            self._ranked[key] = pd.DataFrame({
                **{name: pd.factorize(effects[column], sort=True)[0]
                   for name, column in words.items()},
                "controlled": effects["controlled"].to_numpy(dtype=bool),
                "n_patients": effects["n_patients"].to_numpy(dtype=float, na_value=np.nan),
                "months": effects["months"].to_numpy(dtype=float), "place": order_of(ranks),
                "distance": ranks["distance"].to_numpy(), "words": ranks["words"].to_numpy(),
            })  # fmt: skip
        return self._ranked[key]


def order_of(ranks: pd.DataFrame) -> np.ndarray:
    """Position of each effect in the order of `preference`, 0 first."""
    keys = [ranks[name].to_numpy() for name in reversed(ranks.columns)]
    positions = np.empty(len(ranks), dtype=int)
    positions[np.lexsort(keys)] = np.arange(len(ranks))
    return positions


def _spokesmen(rows: pd.DataFrame, rules: Rules) -> np.ndarray:
    """Positions of the one row that stands for each group of patients in a question."""
    if rows.empty:
        return np.empty(0, dtype=int)
    rows = rows[cohorts.largest_first(rows, QUESTION).eq(0)]
    if not rules.words:
        # Only numbers, but none that is farther from the horizon than what words say.
        nearest = rows.groupby(QUESTION)["distance"].transform("min")
        rows = rows[rows["distance"].eq(nearest) & rows["words"].eq(0)]
    return _first(rows, QUESTION)


def _first(rows: pd.DataFrame, keys: list[str]) -> np.ndarray:
    """Positions of the preferred row of each group."""
    return rows.sort_values("place").drop_duplicates(keys).index.to_numpy(dtype=int)
