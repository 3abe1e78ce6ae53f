"""From probability and certainty to one word: the scale of verdicts, its caps, its monotony.

Rules of the protocol, fixed before the results were looked at. `verdict` gives the word for one
claim by its kind; `monotone` sees to it that a claim is never called better than what it implies.
Pure functions; the claims themselves are in `claims`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from analysis import certainty as sure

SHOWN, WELL_SUPPORTED, SUPPORTED = "shown", "well supported", "supported"
SUGGESTED, UNCERTAIN, DOUBTFUL = "suggested", "uncertain", "doubtful"
CONTRADICTED, NOT_KNOWN = "contradicted", "not known"
KNOWN_ELSEWHERE, OUTSIDE = "known from other fields", "outside these data"
SCALE = (SHOWN, WELL_SUPPORTED, SUPPORTED, SUGGESTED, UNCERTAIN, DOUBTFUL, CONTRADICTED)
"""Words from best to worst. "Not known" ranks with "uncertain"; the two others with nothing."""
WORDS = (*SCALE, NOT_KNOWN, KNOWN_ELSEWHERE, OUTSIDE)

EFFECT, OCCURRENCE, DURATION = "effect", "occurrence", "duration"
NO_HARM, KNOWN_HARM, DESCRIPTION, BEYOND = "no_harm", "known_harm", "description", "outside"
KINDS = (EFFECT, OCCURRENCE, DURATION, NO_HARM, KNOWN_HARM, DESCRIPTION, BEYOND)

WELL, GOOD, SOME, LOW, LEAST = 0.975, 0.90, 0.75, 0.25, 0.025
ENOUGH_RANDOMISED, ENOUGH_STUDIES, ENOUGH_NUMBERS, ENOUGH_PATIENTS = 2, 3, 2, 3


@dataclass(frozen=True)
class Grounds:
    """What a verdict rests on; parts that do not concern its kind stay at their defaults.

    Attributes
    ----------
    probability : that the claim is true, from quadrature or draws; NaN where there is none.
    certainty : a level of `certainty.LEVELS`, "" where nothing can be judged.
    k_randomised, k_studies, k_numbers : randomised contrasts, studies, results that are numbers.
    most_in_a_cohort, n_counted : occurrence: patients in whom it was seen in one cohort, and all
        patients looked at.
    month, last_month : duration: the time spoken of, and the last month that the follow-up bears.
    bound, threshold : absence of harm: upper 97.5 % bound from the data alone, and the rate meant.
    true_of_most : description: whether the count says so; None where it cannot be counted.
    """

    probability: float = np.nan
    certainty: str = ""
    k_randomised: float = 0
    k_studies: float = 0
    k_numbers: float = 0
    most_in_a_cohort: float = 0
    n_counted: float = 0
    month: float = np.nan
    last_month: float = np.nan
    bound: float = np.nan
    threshold: float = np.nan
    true_of_most: bool | None = None


def verdict(kind: str, on: Grounds) -> tuple[str, str]:
    """The word for a claim of this kind, and what capped or decided it ("" where nothing did).

    Raises
    ------
    ValueError : an unknown kind, or a probability outside 0 to 1.
    """
    if kind not in KINDS:
        raise ValueError(f"no such kind of claim: {kind}; known: {', '.join(KINDS)}")
    if np.isfinite(on.probability) and not 0 <= on.probability <= 1:
        raise ValueError(f"a probability lies between 0 and 1, not {on.probability}")
    rule = {EFFECT: _effect, OCCURRENCE: _occurrence, DURATION: _duration, NO_HARM: _no_harm,
            KNOWN_HARM: _known_harm, DESCRIPTION: _description, BEYOND: _beyond}  # fmt: skip
    return rule[kind](on)


def ladder(probability: float, certainty: str) -> str:
    """The word for a probability and a certainty, before any cap."""
    if not np.isfinite(probability):
        return NOT_KNOWN
    if probability >= WELL and certainty and sure.at_least(certainty, "moderate"):
        return WELL_SUPPORTED
    if probability >= GOOD and certainty and sure.at_least(certainty, "low"):
        return SUPPORTED
    if probability >= SOME:
        return SUGGESTED
    if probability >= LOW:
        return UNCERTAIN
    if probability <= LEAST and certainty and sure.at_least(certainty, "low"):
        return CONTRADICTED
    return DOUBTFUL


def rank(word: str) -> int:
    """Place of a word on the scale, 0 the best; "not known" ranks with "uncertain"."""
    return SCALE.index(UNCERTAIN if word == NOT_KNOWN else word)


def monotone(words: Mapping[str, str], implies: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Verdicts by claim such that no claim has a better word than what it implies.

    Where a claim is doubtful or contradicted, all that imply it are so too, even beyond follow-up:
    what cannot last five years cannot last ten. A capped word of the implied claim ("suggested"
    for want of randomised contrasts) caps the stronger claim alike.

    Parameters
    ----------
    words : verdict by claim.
    implies : pairs (stronger claim, what it implies); pairs with an unknown claim are passed over.
    """
    found = dict(words)
    pairs = [(a, b) for a, b in implies if found.get(a) in (*SCALE, NOT_KNOWN)
             and found.get(b) in (*SCALE, NOT_KNOWN)]  # fmt: skip
    for _ in range(len(pairs)):
        for stronger, implied in pairs:
            if rank(found[stronger]) < rank(found[implied]):
                found[stronger] = found[implied]
    return found


def _effect(on: Grounds) -> tuple[str, str]:
    if not np.isfinite(on.probability):
        return NOT_KNOWN, "no estimate against control groups"
    word = ladder(on.probability, on.certainty)
    short = []
    if on.k_randomised < ENOUGH_RANDOMISED:
        short.append("fewer than two randomised contrasts")
    if on.k_studies < ENOUGH_STUDIES:
        short.append("fewer than three studies")
    if on.k_numbers < ENOUGH_NUMBERS:
        short.append("fewer than two results in numbers")
    if short and rank(word) < rank(SUGGESTED):
        return SUGGESTED, "; ".join(short)
    if word == SUGGESTED and on.probability >= GOOD:
        return word, "; ".join([f"certainty {on.certainty or 'not judged'}", *short])
    return word, ""


def _occurrence(on: Grounds) -> tuple[str, str]:
    if on.most_in_a_cohort >= ENOUGH_PATIENTS:
        return SHOWN, ""
    if on.most_in_a_cohort > 0:
        return SUGGESTED, "seen in fewer than three patients of any cohort"
    if on.n_counted > 0:
        return UNCERTAIN, "looked for and not seen"
    return NOT_KNOWN, "nobody counts it"


def _duration(on: Grounds) -> tuple[str, str]:
    if not np.isfinite(on.last_month) or on.month > on.last_month:
        return NOT_KNOWN, "beyond the follow-up"
    return ladder(on.probability, on.certainty), ""


def _no_harm(on: Grounds) -> tuple[str, str]:
    if np.isfinite(on.bound) and on.bound < on.threshold:
        return SUPPORTED, ""
    return NOT_KNOWN, "the data alone do not rule out a rate above the threshold"


def _known_harm(on: Grounds) -> tuple[str, str]:
    return KNOWN_ELSEWHERE, ""


def _description(on: Grounds) -> tuple[str, str]:
    if on.true_of_most is None:
        return NOT_KNOWN, "cannot be counted"
    return (SHOWN, "") if on.true_of_most else (CONTRADICTED, "the count says otherwise")


def _beyond(on: Grounds) -> tuple[str, str]:
    return OUTSIDE, ""
