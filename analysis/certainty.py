"""How sure the evidence behind a headline is: certainty, step by step, each step with its reason.

The rules follow GRADE (Guyatt et al. 2011, J Clin Epidemiol 64:383) as the protocol fixes them.
Certainty starts high for randomised contrasts and low for everything else; it goes down for risk
of bias, inconsistency, imprecision, selective reporting and indirectness, and up for an effect too
large to be bias and for what cannot happen by itself. It says nothing of how likely a claim is.
Pure functions: what they are told is all they know.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEVELS = ("very low", "low", "moderate", "high")
"""Certainty from worst to best."""

HIGH_RISK = ("high", "serious", "critical", "not judged")
"""Overall judgements that count as high; a cohort without a settled judgement is one of them."""

DOMAINS = ("start", "risk_of_bias", "inconsistency", "imprecision", "selective_reporting",
           "indirectness", "large_effect", "cannot_happen_by_itself")  # fmt: skip
FEW_PATIENTS = 400
LARGE_RISK_RATIO = 5.0
MOST = 0.5


@dataclass(frozen=True)
class Body:
    """What stands behind one headline.

    Attributes
    ----------
    randomised : whether the row judged is of randomised contrasts alone.
    weights : weight of each study in the estimate; need not sum to one.
    judgements : overall risk of bias of each study, in the same order; unknown is "not judged".
    n_patients : patients, controls included.
    ci_low, ci_high : 95 % interval, on the scale readers see.
    pred_low, pred_high : 95 % prediction interval, on that scale; NaN where there is none.
    neutral : the number that means no effect on that scale (0, or 1 for a ratio); NaN for a share
        or rate that is compared with nothing.
    harm : the number from which a result is a harm of the important size; NaN where none is agreed.
    good : +1 where more is better, -1 where less is.
    share_in_words : share of the patients whose results are known in words only.
    share_unregistered : share of the patients in trials for which no registration was found.
    indirect : what about population or comparator is other than asked, "" where nothing.
    risk_ratio : risk ratio against controls, for outcomes counted in both arms; else NaN.
    by_itself : whether what was seen could happen without the treatment, or nothing was seen.
    share_silent : share of the patients of finished registered trials whose results are untold;
        one step where it is more than half.
    """

    randomised: bool
    weights: tuple[float, ...]
    judgements: tuple[str, ...]
    n_patients: float
    ci_low: float = np.nan
    ci_high: float = np.nan
    pred_low: float = np.nan
    pred_high: float = np.nan
    neutral: float = 0.0
    harm: float = np.nan
    good: int = 1
    share_in_words: float = 0.0
    share_unregistered: float = 0.0
    indirect: str = ""
    risk_ratio: float = np.nan
    by_itself: bool = True
    share_silent: float = 0.0


@dataclass(frozen=True)
class Step:
    """One step of a judgement: the domain, how many levels (negative: down), and the reason."""

    domain: str
    levels: int
    reason: str


def judge(body: Body) -> tuple[str, tuple[Step, ...]]:
    """Certainty of a body of evidence and the steps that lead to it, every domain once.

    Raises
    ------
    ValueError : weights and judgements of different lengths, or no study at all.
    """
    if len(body.weights) != len(body.judgements):
        raise ValueError("one judgement of risk of bias for each weight")
    if not body.weights:
        raise ValueError("no study to judge")
    steps = (
        _start(body),
        _risk_of_bias(body),
        _inconsistency(body),
        _imprecision(body),
        _selective_reporting(body),
        _indirectness(body),
        _large_effect(body),
        _by_itself(body),
    )
    level = sum(step.levels for step in steps)
    return LEVELS[min(max(level, 0), len(LEVELS) - 1)], steps


def at_least(level: str, wanted: str) -> bool:
    """Whether a certainty is `wanted` or better."""
    return LEVELS.index(level) >= LEVELS.index(wanted)


def harm_of(important: float, neutral: float) -> float:
    """The harm as large as an important benefit, on the scale readers see.

    Differences are mirrored at zero, ratios at one (1.25 becomes 0.8).
    """
    return 1 / important if neutral == 1 else -important


def _start(body: Body) -> Step:
    if body.randomised:
        return Step("start", LEVELS.index("high"), "randomised contrasts: starts high")
    return Step("start", LEVELS.index("low"), "not randomised contrasts alone: starts low")


def _risk_of_bias(body: Body) -> Step:
    weights = np.asarray(body.weights, dtype=float)
    high = np.array([word in HIGH_RISK for word in body.judgements])
    share = float(weights[high].sum() / weights.sum()) if weights.sum() > 0 else float(high.mean())
    low = all(word == "low" for word in body.judgements)
    if high.all():
        return Step("risk_of_bias", -2, "all of the weight is at high, serious or critical risk")
    if share > 0:
        return Step("risk_of_bias", -1, f"{100 * share:.0f} % of the weight is at high, serious or "
                    "critical risk")  # fmt: skip
    if low:
        return Step("risk_of_bias", 0, "all of the weight is at low risk")
    return Step("risk_of_bias", 0, "no study is at high, serious or critical risk")


def _inconsistency(body: Body) -> Step:
    worst = body.pred_low if body.good > 0 else body.pred_high
    if not (np.isfinite(worst) and np.isfinite(body.harm)):
        return Step("inconsistency", 0, "no prediction interval against an important harm")
    reaches = worst <= body.harm if body.good > 0 else worst >= body.harm
    what = "reaches" if reaches else "does not reach"
    return Step("inconsistency", -int(reaches),
                f"the 95 % prediction interval {what} a harm of the important size")  # fmt: skip


def _imprecision(body: Body) -> Step:
    few = body.n_patients < FEW_PATIENTS
    spans = bool(np.isfinite(body.neutral) and body.ci_low <= body.neutral <= body.ci_high)
    if not few:
        return Step("imprecision", 0, f"{body.n_patients:.0f} patients")
    words = f"{body.n_patients:.0f} patients, fewer than {FEW_PATIENTS}"
    if spans:
        return Step("imprecision", -2, f"{words}, and the interval includes no effect")
    return Step("imprecision", -1, words)


def _selective_reporting(body: Body) -> Step:
    reasons = [
        words
        for share, words in (
            (body.share_in_words, "of the patients' results are known in words only"),
            (body.share_unregistered, "of the patients were in trials without a registration"),
            (body.share_silent, "of the patients of finished registered trials are untold"),
        )
        if share > MOST
        for words in [f"{100 * share:.0f} % {words}"]
    ]
    if reasons:
        return Step("selective_reporting", -1, "; ".join(reasons))
    return Step("selective_reporting", 0,
                "at most half of the patients in words only or in unregistered trials")  # fmt: skip


def _indirectness(body: Body) -> Step:
    if body.indirect:
        return Step("indirectness", -1, body.indirect)
    return Step("indirectness", 0, "the population and comparator asked about")


def _large_effect(body: Body) -> Step:
    large = np.isfinite(body.risk_ratio) and body.risk_ratio >= LARGE_RISK_RATIO
    if large:
        return Step("large_effect", 1, f"risk ratio {body.risk_ratio:.1f} against controls")
    return Step("large_effect", 0, f"no risk ratio of {LARGE_RISK_RATIO:.0f} or more")


def _by_itself(body: Body) -> Step:
    if body.by_itself:
        why = "could happen without the treatment, or was not seen"
        return Step("cannot_happen_by_itself", 0, why)
    return Step("cannot_happen_by_itself", 2, "cannot happen without the treatment")
