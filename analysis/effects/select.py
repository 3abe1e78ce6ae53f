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

from functools import lru_cache

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

    Parameters
    ----------
    effects : an effects table.
    rules : the choices.
    """
    known = np.nan_to_num(effects["n_patients"].to_numpy(dtype=float))
    controlled = effects["controlled"].to_numpy(dtype=bool)
    report = _pairs(_alphabetical(effects["study_id"]), _alphabetical(effects["outcome"]))
    report = _pairs(report, controlled.astype(int))
    most = np.zeros(report.max(initial=-1) + 1)
    np.maximum.at(most, report, known)
    bounds = (effects[name].abs().to_numpy(dtype=float) for name in ("z_low", "z_high"))
    return pd.DataFrame(
        {
            "null": effects["known_null"].to_numpy(dtype=int),
            "distance": (effects["months"] - rules.horizon).abs().round(9),
            "uncontrolled": (~(controlled & rules.controlled_first)).astype(int),
            "few": -most[report],
            "words": effects["kind"].ne("numeric").astype(int),
            "measure": effects["measure"].map(MEASURE_ORDER),
            "no_spread": effects["var_a"].isna().astype(int),
            "kind": effects["kind"].map(KIND_ORDER),
            "role": cohorts.role_rank(effects["role"]),
            "n": -known,
            "strength": np.nan_to_num(np.fmin(*bounds), posinf=np.inf),
            "order": effects["effect_id"].rank(method="first"),
        },
        index=effects.index,
    )


def in_window(months: pd.Series | np.ndarray, rules: Rules) -> np.ndarray:
    """Whether each month lies in the window, with its tolerance at both ends.

    Parameters
    ----------
    months : of each effect.
    rules : the window and its tolerance.

    Returns
    -------
    (len(months),) booleans.
    """
    at, (low, high) = np.asarray(months, dtype=float), rules.window
    slack = rules.tolerance + 1e-9
    return (low - slack <= at) & (at <= high + slack)


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
    candidates = Candidates(effects)
    spoken = candidates.speakers(rules)
    for name, chosen in spoken.items():
        effects[f"headline_{name}"] = chosen
    diagnosed = effects["apart"].to_numpy(dtype=bool) & effects["outcome"].eq("hba1c").to_numpy()
    apart = candidates.spokesmen(diagnosed & in_window(effects["months"], rules), rules)
    both = spoken["controlled"] | spoken["uncontrolled"]
    effects["headline"] = candidates.best(both, rules) | apart
    effects["trajectory"] = candidates.best(candidates.eligible(rules), rules, each_month=True)
    return effects


class Candidates:
    """Effects among which spokesmen are chosen, under many rules.

    What choosing reads is held as arrays, words as places in the alphabet. Every answer is one
    boolean an effect, in the order of the table.

    Parameters
    ----------
    effects : an effects table; see `NEEDED` for the columns that are read.
    """

    def __init__(self, effects: pd.DataFrame):
        self.effects = effects
        self.cohort = _alphabetical(effects["cohort"])
        self.n_patients = effects["n_patients"].to_numpy(dtype=float)
        self.months = effects["months"].to_numpy(dtype=float)
        self.in_words = effects["kind"].ne("numeric").to_numpy()
        self.unstated = effects["measure"].eq("unstated").to_numpy()
        self.controlled, self.pool, self.tested, self.known_null, self.visit_open = (
            effects[name].to_numpy(dtype=bool)
            for name in ("controlled", "pool", "tested", "known_null", "visit_open")
        )
        topic = _pairs(_alphabetical(effects["outcome"]), _alphabetical(effects["approach"]))
        self._question = {
            overlaps: _pairs(_alphabetical(effects[column]), topic)
            for overlaps, column in (("declared", "patients"), ("shared", "patients_sure"))
        }
        self._place = lru_cache(maxsize=None)(self._places)

    def _places(self, horizon: float, controlled_first: bool) -> np.ndarray:
        rules = Rules(horizon=horizon, controlled_first=controlled_first)
        return order_of(preference(self.effects, rules))

    def place(self, rules: Rules) -> np.ndarray:
        """Place of each effect in the order of `preference`, 0 first."""
        return self._place(rules.horizon, rules.controlled_first)

    def eligible(self, rules: Rules) -> np.ndarray:
        """Whether each effect may stand for its patients under these rules, at whatever time.

        Words without a test only where `rules.untested`; claims of a whole follow-up only where
        `rules.visit_open` is "in"; known nulls that lack a group, an arm size or a journal only
        where `rules.all_nulls`.
        """
        allowed = self.pool & (self.tested | rules.untested)
        if rules.all_nulls:
            allowed = allowed | self.known_null
        if rules.visit_open == "out":
            allowed = allowed & ~self.visit_open
        if rules.unstated_measure == "out":
            allowed = allowed & ~self.unstated
        return allowed

    def speakers(self, rules: Rules) -> dict[str, np.ndarray]:
        """Which effects stand for their patients: those `mark` marks `headline_controlled`, ...

        Returns
        -------
        "controlled" and "uncontrolled".
        """
        able = self.eligible(rules) & in_window(self.months, rules)
        return {"controlled": self.spokesmen(able & self.controlled, rules),
                "uncontrolled": self.spokesmen(able & ~self.controlled, rules)}  # fmt: skip

    def spokesmen(self, among: np.ndarray, rules: Rules) -> np.ndarray:
        """The one of these effects that stands for each group of patients in a question."""
        question, rows = self._question[rules.overlaps], np.flatnonzero(among)
        ranks = cohorts.largest_first(question[rows], self.cohort[rows], self.n_patients[rows])
        rows = rows[ranks == 0]
        if not rules.words:
            # Only numbers, but none that is farther from the horizon than what words say.
            distance = np.abs(self.months - rules.horizon).round(9)
            nearest = np.full(question.max(initial=-1) + 1, np.inf)
            np.minimum.at(nearest, question[rows], distance[rows])
            rows = rows[(distance[rows] == nearest[question[rows]]) & ~self.in_words[rows]]
        return self.best(_mask(rows, among.size), rules)

    def best(self, among: np.ndarray, rules: Rules, *, each_month: bool = False) -> np.ndarray:
        """The preferred of these effects in each question, or in each month of a question."""
        question, rows = self._question[rules.overlaps], np.flatnonzero(among)
        if each_month:
            question = _pairs(question, np.unique(self.months, return_inverse=True)[1])
        rows = rows[np.argsort(self.place(rules)[rows])]
        _, first = np.unique(question[rows], return_index=True)
        return _mask(rows[first], among.size)


def _alphabetical(words: pd.Series) -> np.ndarray:
    """The place of each word in the alphabet of a column."""
    return pd.factorize(words, sort=True)[0]


def _pairs(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """One whole number for each pair of whole numbers from 0."""
    return first * (second.max(initial=0) + 1) + second


def _mask(places: np.ndarray, n: int) -> np.ndarray:
    chosen = np.zeros(n, dtype=bool)
    chosen[places] = True
    return chosen


def order_of(ranks: pd.DataFrame) -> np.ndarray:
    """Position of each effect in the order of `preference`, 0 first."""
    keys = [ranks[name].to_numpy() for name in reversed(ranks.columns)]
    positions = np.empty(len(ranks), dtype=int)
    positions[np.lexsort(keys)] = np.arange(len(ranks))
    return positions
