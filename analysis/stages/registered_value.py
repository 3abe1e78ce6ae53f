"""What an ongoing trial would change: each headline refitted with every result it may bring.

A trial's result is what the headline predicts: the effect of a new study, and the chance of its own
patients. Each possible result, weighed by its probability, is added to the headline posterior
(`exact.outlook`), and width, probability, verdict and certainty are taken again by the rules of the
report. Results lie on a fixed grid, those of several trials together on a fixed sequence of points:
nothing is drawn with a seed. Assumed of the trial: two equal arms of its enrolled or planned size,
the SD of change at its posterior mean, the outcome reported in numbers, no high risk of bias; r and
the SDs of the studies at hand learn nothing from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.interpolate import CubicSpline

from analysis import certainty, cohorts, outcomes, priors, questions, registered, risk_of_bias
from analysis import verdicts as words_of
from analysis.exact.contrasts import ContrastPosterior
from analysis.exact.outlook import After, Outlook
from analysis.questions import Body, Question, overall_risk, posterior_of, told_as
from analysis.stages.headlines import headline_row
from analysis.stages.result import Tell
from analysis.stages.robustness import FEWEST_PATIENTS
from analysis.stages.synthesis import ENOUGH, body_of_effect

FINE = 4001
"""Points between the results looked at, at which verdict and certainty are taken."""
SOUND = "some_concerns"
"""Risk of bias that a trial to come is taken to have: not high."""
CUTOFFS = (words_of.LEAST, words_of.LOW, words_of.SOME, words_of.GOOD, words_of.WELL)
NO_CONTROLS = "no control group, or none stated"
NO_SIZE = "its size is not stated"
NO_MEAN = "its stratum has no mean against control groups"
IN_THE_MEAN = "its patients are in the mean already"


@dataclass(frozen=True)
class Side:
    """One design of a headline: its results, its posterior ready for more, what is known of it."""

    rows: pd.DataFrame
    posterior: ContrastPosterior
    outlook: Outlook
    row: dict
    judgements: tuple[str, ...]


@dataclass(frozen=True)
class Judged:
    """What is concluded after each of J sets of results.

    p_good, clear : (J,) probability of the good direction; whether the interval excludes no effect.
    case, cases : (J,) row of the table of those conclusions that differ: band, word, certainty,
        imprecision, steps of certainty by domain.
    """

    p_good: np.ndarray
    clear: np.ndarray
    case: np.ndarray
    cases: pd.DataFrame


@dataclass(frozen=True)
class Headline:
    """One controlled mean, and its randomised contrasts where there are any."""

    question: Question
    controlled: Side
    randomised: Side | None
    sd: float
    share_silent: float


def values(
    body: Body,
    trials: pd.DataFrame,
    share_silent: Mapping[tuple[str, str], float],
    tell: Tell = lambda part: None,
) -> tuple[list[dict], dict[str, str]]:
    """What each ongoing trial may change, and why nothing is said of the others.

    Parameters
    ----------
    body : the effects.
    trials : as of `registered.ongoing`.
    share_silent : approach, population -> share of the patients of finished trials untold.
    tell : called with the name of each headline before its turn.

    Returns
    -------
    rows : of the declared table `registered_value`.
    reasons : registry id -> why there is no row, for each trial that has none.
    """
    groups = cohorts.patient_groups(body.evidence.studies)
    reasons = {
        trial["registry_id"]: _unfit(trial) or NO_MEAN for trial in trials.to_dict("records")
    }
    fit_trials = trials[[reasons[name] == NO_MEAN for name in trials["registry_id"]]]
    judged = risk_of_bias.overalls(body.evidence.risk_of_bias)
    rows: list[dict] = []
    for question in questions.headlines(body):
        if question.outcome not in outcomes.HEADLINES:
            continue
        own = registered.of_stratum(fit_trials, question.approach, question.population)
        patients = set(body.rows(question)["patients"])
        new = [not (_patients(trial, groups) & patients) for trial in own["study_ids"]]
        for name in own.loc[np.logical_not(new), "registry_id"]:
            reasons[name] = IN_THE_MEAN if reasons.get(name) == NO_MEAN else reasons.get(name, "")
        own = own[new]
        if own.empty:
            continue
        tell(f"{question.outcome}, {question.population}")
        silent = share_silent.get((question.approach, question.population), 0.0)
        randomised = bool(own["design"].eq("rct").any())
        headline = _headline(body, question, judged, silent, randomised)
        found = own.to_dict("records")
        rows += [_value(headline, [trial]) for trial in found]
        if len(found) > 1:
            rows.append(_value(headline, found))
        for trial in found:
            reasons[trial["registry_id"]] = ""
    return rows, reasons


def _unfit(trial: Mapping) -> str:
    if trial["controlled"] != "yes":
        return NO_CONTROLS
    return "" if trial["n"] >= FEWEST_PATIENTS else NO_SIZE


def _patients(study_ids: str, groups: Mapping[str, str]) -> set[str]:
    return {groups[study] for study in str(study_ids).split() if study in groups}


def _headline(
    body: Body, question: Question, judged: pd.DataFrame, silent: float, randomised: bool
) -> Headline:
    controlled = _side(body, question, body.rows(question), judged)
    beside = replace(question, design="randomised")
    rows = body.rows(beside)
    needed = len(rows) and (randomised or len(rows) >= ENOUGH)
    other = _side(body, beside, rows, judged) if needed else None
    sd = typical_sd(controlled.posterior, question.outcome)
    return Headline(question, controlled, other, sd, silent)


def _side(body: Body, question: Question, rows: pd.DataFrame, judged: pd.DataFrame) -> Side:
    """What is known of the results of a question, of which there is at least one."""
    posterior = posterior_of(body, question)
    row = headline_row(question, rows, told_as(question.outcome, rows), body.registration)
    risk = tuple(overall_risk(rows, question.outcome, judged))
    return Side(rows, posterior, Outlook(posterior), row, risk)


def typical_sd(posterior: ContrastPosterior, outcome: str) -> float:
    """The SD of change that a further study is expected to have.

    The centre of the SDs that the headline learns from every printed one of its outcome; where none
    is printed anywhere, the centre of the prior.
    """
    table = posterior.nuisance["mean"]
    centre = priors.get(outcome, "log_sd").params[0]
    return float(np.exp(table.get("log_sd", centre)))


def _value(headline: Headline, trials: Sequence[Mapping]) -> dict:
    """One row of `registered_value`: these trials added together."""
    about = outcomes.get(headline.question.outcome)
    side = headline.controlled
    n = np.array([float(trial["n"]) for trial in trials])
    se = headline.sd * np.sqrt(4.0 / n)
    is_random = np.array([trial["design"] == "rct" for trial in trials])
    other = headline.randomised
    if len(trials) == 1:
        y, probability = side.outlook.results(float(se[0]))
        results = y[:, None]
    else:
        results = side.outlook.draws(se)
        probability = np.full(len(results), 1 / len(results))
    after = side.outlook.given(results, se)
    after_random = None
    if other is not None and is_random.any():
        after_random = other.outlook.given(results[:, is_random], se[is_random])
    width = float(probability @ (after.high - after.low))
    if len(trials) == 1:
        fine = np.linspace(y[0], y[-1], FINE)
        chance = np.clip(CubicSpline(y, probability)(fine), 0, None)
        probability = chance / chance.sum()
        after = _between(after, y, fine)
        after_random = None if after_random is None else _between(after_random, y, fine)
    now, now_random = side.outlook.now, other.outlook.now if other is not None else None
    judged_now = _judged(headline, about, now, now_random, n[:0], is_random[:0])
    then = _judged(headline, about, after, after_random or now_random, n, is_random)
    before, cases = judged_now.cases.iloc[0], then.cases
    chance = np.bincount(then.case, probability)
    other_than = {name: float(chance @ (cases[name] != before[name])) for name in
                  ("band", "word", "certainty", "imprecision")}  # fmt: skip
    rank = cases["word"].map(words_of.rank) - words_of.rank(before["word"])
    level = cases["certainty"].map(certainty.LEVELS.index)
    level = level - certainty.LEVELS.index(before["certainty"])
    return {
        **{k: v for k, v in headline.question.parts.items() if k != "design"},
        "registry_id": trials[0]["registry_id"] if len(trials) == 1 else registered.ALL,
        "n_trials": len(trials), "n_patients": n.sum(), "n_randomised": int(is_random.sum()),
        "se": float(se[0]) if len(trials) == 1 else np.nan,
        "width_now": float(now.high[0] - now.low[0]), "width_after": width,
        "p_good_now": judged_now.p_good[0], "p_other_band": other_than["band"],
        "p_clear_now": float(judged_now.clear[0]), "p_clear_after": float(probability @ then.clear),
        "verdict_now": before["word"], "p_verdict_changes": other_than["word"],
        "p_verdict_better": float(chance @ (rank < 0)),
        "p_verdict_worse": float(chance @ (rank > 0)),
        "certainty_now": before["certainty"], "p_certainty_changes": other_than["certainty"],
        "p_certainty_better": float(chance @ (level > 0)),
        "moved_by": " ".join(_moved_by(before, cases, chance)),
        "imprecision_now": before["imprecision"],
        "p_imprecision_changes": other_than["imprecision"],
        "read_on": trials[0]["read_on"],
    }  # fmt: skip


def _moved_by(before: pd.Series, cases: pd.DataFrame, chance: np.ndarray) -> list[str]:
    """Domains of certainty with another step in most of the results in which certainty changes."""
    changes = chance * (cases["certainty"] != before["certainty"]).to_numpy()
    return [
        domain
        for domain, now in before["steps"].items()
        if changes @ [steps[domain] != now for steps in cases["steps"]]
        > certainty.MOST * changes.sum()
    ]


def _between(after: After, y: np.ndarray, fine: np.ndarray) -> After:
    """What follows from results between those looked at: smooth, so that a spline gives it."""
    return After(*(CubicSpline(y, getattr(after, name))(fine) for name in After.__annotations__))


def _judged(
    headline: Headline,
    about: outcomes.Outcome,
    after: After,
    after_random: After | None,
    n: np.ndarray,
    is_random: np.ndarray,
) -> Judged:
    """Probability, clearness, band, word, certainty and imprecision after each set of results.

    Certainty is judged on the randomised contrasts where those have a mean of two results, as the
    report does, else on the controlled ones. It depends on the figures only by whether the interval
    includes no effect and the prediction interval an important harm, and on the weights of the
    studies only by their being there; the word by the band of the probability: each combination is
    a case, and judged once.
    """
    side, other = headline.controlled, headline.randomised
    judged, figures, new = side, after, n
    if other is not None and after_random is not None:
        numbers = other.row["k_numbers"] + is_random.sum()
        k = len(other.rows) + is_random.sum()
        if k >= ENOUGH and numbers >= about.min_results:
            judged, figures, new = other, after_random, n[is_random]
    good = np.clip((1 - after.below) if about.good > 0 else after.below, 0, 1)
    reach = figures.pred_low if about.good > 0 else figures.pred_high
    harm = np.nan
    if about.important:
        harm = about.modelled(certainty.harm_of(about.important[0], about.neutral))
    band = np.searchsorted(CUTOFFS, good, side="right")
    spans = np.broadcast_to((figures.low <= 0) & (figures.high >= 0), good.size)
    harmful = np.broadcast_to(about.good * (reach - harm) <= 0, good.size)
    alike = np.column_stack([band, spans, harmful])
    _, first, case = np.unique(alike, axis=0, return_index=True, return_inverse=True)
    row = {**judged.row, "n_patients": judged.row["n_patients"] + new.sum()}
    risk = (*judged.judgements, *(SOUND for _ in new))
    cases = []
    for place in first:
        at = place if figures.low.size > 1 else 0
        shown = {name: about.shown(float(getattr(figures, attribute)[at])) for name, attribute in
                 (("ci_low", "low"), ("ci_high", "high"), ("pred_low", "pred_low"),
                  ("pred_high", "pred_high"))}  # fmt: skip
        level, taken = certainty.judge(
            body_of_effect(about, row, shown, (1.0,) * len(risk), risk, headline.share_silent)
        )
        grounds = words_of.Grounds(
            probability=float(good[place]), certainty=level,
            k_randomised=side.row["k_randomised"] + is_random.sum(),
            k_studies=side.row["k_studies"] + n.size, k_numbers=side.row["k_numbers"] + n.size,
        )  # fmt: skip
        cases.append({
            "band": band[place], "certainty": level,
            "word": words_of.verdict(words_of.EFFECT, grounds)[0],
            "imprecision": next(step.levels for step in taken if step.domain == "imprecision"),
            "steps": {step.domain: step.levels for step in taken},
        })  # fmt: skip
    clear = (after.low > 0) | (after.high < 0)
    return Judged(good, clear, case, pd.DataFrame(cases))


__all__ = ["Headline", "Side", "typical_sd", "values"]
