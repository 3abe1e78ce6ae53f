"""The questions that get a headline: an outcome, a stratum and a design, and what answers them.

`Body` holds the effects of one body of evidence under any rules; `Body.rows` are the results that
stand in a question, one a group of patients, and `posterior_of` is their posterior by quadrature,
words, unknown SDs and correlation included. Headlines, their variants, leave-one-out, the
multiverse and `diff` all ask here, so that a robustness analysis speaks of the headline itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis import effects as effects_room
from analysis import outcomes, risk_of_bias, vocabulary
from analysis.central import HIGH
from analysis.effects import EffectsResult, Rules
from analysis.effects.rules import SELECTING
from analysis.effects.select import Candidates
from analysis.effects.strata import in_stratum
from analysis.evidence import Evidence
from analysis.risk_of_bias import NOT_JUDGED

if TYPE_CHECKING:
    from analysis.exact.contrasts import ContrastPosterior

APPROACHES = tuple(vocabulary.APPROACHES)
POPULATIONS = tuple(word for word in vocabulary.POPULATIONS if word != "all")
STRATA = tuple((approach, people) for approach in APPROACHES for people in POPULATIONS)
REVIEW_STRATA = (("cell_infusion", "all"), ("all", "t1d"), ("all", "t2d"), ("all", "all"))
"""Rows over both types or all approaches: only to stand beside earlier reviews that pooled so."""
DESIGNS = vocabulary.CONTRASTED
REGISTERED = ("prospective", "retrospective", "timing_not_seen", "none_found")
"""How a trial was registered, best first."""
SIGNIFICANT = NormalDist().inv_cdf(HIGH)
WORDS_SE = (0.5, 0.75, 1.5)
"""Factors of the standard errors of results in words."""
MEAN, STUDY, WORDS, NONE = "mean", "study", "words", "none"


@dataclass(frozen=True)
class Question:
    """One headline asked for: an outcome, a stratum and a design."""

    outcome: str
    approach: str
    population: str
    design: str

    @property
    def parts(self) -> dict[str, str]:
        return {"outcome": self.outcome, "approach": self.approach, "population": self.population,
                "design": self.design}  # fmt: skip


class Body:
    """The effects of one body of evidence under any rules, and the rows of any question.

    Parameters
    ----------
    evidence : the validated tables.
    rules : the choices of the headline.
    """

    def __init__(self, evidence: Evidence, rules: Rules | None = None):
        self.evidence, self.rules = evidence, rules or Rules()
        self._facts = effects_room.Facts.of(evidence)
        self._built = lru_cache(maxsize=None)(self._build)
        self._candidates = lru_cache(maxsize=None)(self._candidates_of)
        self._taught = lru_cache(maxsize=None)(self._teachers)
        self._member = lru_cache(maxsize=None)(self._is_member)
        self._speaking = lru_cache(maxsize=4096)(self._speakers)
        self._chosen = lru_cache(maxsize=4096)(self._rows)

    def _build(self, rules: Rules) -> EffectsResult:
        return effects_room.build(self._facts, rules)

    def _candidates_of(self, outcome: str, reading: Rules) -> Candidates:
        table = self._built(reading).effects
        own = table[table["outcome"] == outcome]
        return Candidates(own.sort_values("effect_id", ignore_index=True))

    def _is_member(self, question: Question, reading: Rules) -> np.ndarray:
        table = self._candidates(question.outcome, reading).effects
        return in_stratum(table, question.approach, question.population, question.design)

    def _speakers(self, outcome: str, rules: Rules) -> dict[str, np.ndarray]:
        return self._candidates(outcome, self.reading(rules)).speakers(rules)

    def reading(self, rules: Rules | None = None) -> Rules:
        """Rules that read the facts in the same way: one table of effects serves all of them."""
        chosen = {name: getattr(self.rules, name) for name in SELECTING}
        return replace(rules or self.rules, **chosen)

    def built(self, rules: Rules | None = None) -> EffectsResult:
        """Effects and exclusions as these rules read the facts; built once for each reading."""
        return self._built(self.reading(rules))

    def of_outcome(self, outcome: str, rules: Rules | None = None) -> pd.DataFrame:
        """The effects of one outcome, sorted by id: what `positions` point to."""
        return self._candidates(outcome, self.reading(rules)).effects

    def positions(self, question: Question, rules: Rules | None = None) -> np.ndarray:
        """Where the rows of a question stand in `of_outcome`, in its order."""
        side = "uncontrolled" if question.design == "uncontrolled" else "controlled"
        speaking = self._speaking(question.outcome, rules or self.rules)[side]
        return np.flatnonzero(speaking & self._member(question, self.reading(rules)))

    def rows(self, question: Question, rules: Rules | None = None) -> pd.DataFrame:
        """The effects that stand in a question, one a group of patients, sorted by id."""
        return self._chosen(question, rules or self.rules).copy(deep=False)

    def _rows(self, question: Question, rules: Rules) -> pd.DataFrame:
        found = self.of_outcome(question.outcome, rules).iloc[self.positions(question, rules)]
        return found.reset_index(drop=True)

    def teachers(self, question: Question, rules: Rules | None = None) -> pd.DataFrame:
        """The contrasts that teach the SDs of a question: the controlled ones of its outcome."""
        return self._taught(question.outcome, self.reading(rules)).copy(deep=False)

    def _teachers(self, outcome: str, reading: Rules) -> pd.DataFrame:
        return effects_room.teachers(self._built(reading).effects, outcome)

    @cached_property
    def registration(self) -> pd.Series:
        """How each cohort's trial was registered, by report: the best word any report has."""
        conduct = self.evidence.trial_conduct.set_index("study_id")["registered"]
        cohort = self.evidence.studies.set_index("study_id")["cohort"]
        known = conduct.map({word: place for place, word in enumerate(REGISTERED)})
        best = cohort.map(known.groupby(cohort.reindex(known.index)).min())
        return best.map(dict(enumerate(REGISTERED))).fillna("not_seen")


def headlines(body: Body, *, design: str = "controlled") -> list[Question]:
    """Every question of a stratum and this design that is told by a mean, in a fixed order."""
    asked = [
        Question(outcome, approach, population, design)
        for outcome in outcomes.of_kind(outcomes.CONTINUOUS)
        for approach, population in STRATA
    ]
    answered = [question for question in asked if len(body.positions(question))]
    return [q for q in answered if told_as(q.outcome, body.rows(q)) == MEAN]


def told_as(outcome: str, rows: pd.DataFrame) -> str:
    """How a headline is told: mean, study, words or none (see `results.tables.headlines.TOLD`).

    A number counts where its standard error is known or can be learnt.
    """
    if rows.empty:
        return NONE
    if len(rows) == 1:
        return STUDY
    enough = int(is_number(rows).sum()) >= outcomes.get(outcome).min_results
    return MEAN if enough else WORDS


def is_number(rows: pd.DataFrame) -> pd.Series:
    """Whether each result is a number whose standard error is known or can be learnt."""
    known = np.isfinite(rows["var_a"].astype(float)) | np.isfinite(rows["n_factor"].astype(float))
    return rows["kind"].eq("numeric") & known


def posterior_of(
    body: Body, question: Question, *, rules: Rules | None = None, rows: pd.DataFrame | None = None,
    **choices: Any,
) -> ContrastPosterior:  # fmt: skip
    """The posterior of a question; `choices` go to `exact.contrasts.fit`."""
    from analysis.exact.contrasts import ContrastPriors, fit  # rows are asked for without a fit

    chosen = body.rows(question, rules) if rows is None else rows
    prior = choices.pop("prior", None) or ContrastPriors.of(question.outcome)
    return fit(chosen, prior, teachers=body.teachers(question, rules), **choices)


def variants(
    body: Body, question: Question, judged: pd.DataFrame
) -> Iterator[tuple[str, pd.DataFrame, Rules, dict]]:
    """The analyses that stand beside a controlled mean: name, rows, rules, choices.

    Those that leave the rows and the choices as they are, are not named.
    """
    rules, rows = body.rules, body.rows(question)
    numbers = rows[rows["kind"].eq("numeric")]
    if 0 < len(numbers) < len(rows):
        yield "numbers_only", numbers.reset_index(drop=True), rules, {}
        for factor in WORDS_SE:
            yield f"words_se_{factor:g}", rows, rules, {"words_se": factor}
    yield "robust", rows, rules, {"robust": True}
    other_rules: dict[str, dict[str, Any]] = {
        "strict_window": {"tolerance": 0.0},
        "visit_open_out": {"visit_open": "out"},
        "stated_measure": {"unstated_measure": "out"},
        "with_untested": {"untested": True},
        "all_nulls": {"all_nulls": True},
    }
    for name, change in other_rules.items():
        changed = replace(rules, **change)
        found = body.rows(question, changed)
        if list(found["effect_id"]) != list(rows["effect_id"]):
            yield name, found, changed, {}
    sound = rows[~overall_risk(rows, question.outcome, judged).isin(risk_of_bias.HIGH)]
    if len(sound) < len(rows):
        yield "low_risk", sound.reset_index(drop=True), rules, {}


def direction(rows: pd.DataFrame) -> np.ndarray:
    """1 clearly more, -1 clearly less, 0 neither, NaN untested: by each result's own test.

    A number by the exact p-value that its source prints, else by its interval at the centre of r,
    else by the bound on its p-value, else by nothing (NaN); an exact p-value by its size; words by
    whether their bounds on z lie beyond the 5 % point.
    """
    y = rows["y"].to_numpy(dtype=float)
    numbers = rows["kind"].eq("numeric").to_numpy()
    with np.errstate(invalid="ignore", divide="ignore"):
        z = np.where(numbers, y / effects_room.se(rows), np.nan)
    printed = numbers & rows["p_exact"].notna().to_numpy()
    p = rows["p_exact"].to_numpy(dtype=float)[printed]
    z[printed] = np.where(p <= 2 * (1 - HIGH) + 1e-12, np.copysign(np.inf, y[printed]), 0.0)
    low = np.where(np.isnan(z), rows["z_low"].to_numpy(dtype=float), z)
    high = np.where(np.isnan(z), rows["z_high"].to_numpy(dtype=float), z)
    edge = SIGNIFICANT - 1e-9
    found = np.select([low >= edge, high <= -edge], [1.0, -1.0], 0.0)
    return np.where(np.isnan(low) & np.isnan(high), np.nan, found)


def overall_risk(rows: pd.DataFrame, outcome: str, judged: pd.DataFrame) -> pd.Series:
    """Settled overall risk of bias of each row's cohort for an outcome; else "not judged"."""
    family = outcomes.get(outcome).family
    own = judged[judged["outcome_family"].eq(family)].set_index("cohort")["overall"]
    return rows["cohort"].map(own).fillna(NOT_JUDGED)
