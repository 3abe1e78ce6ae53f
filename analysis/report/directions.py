"""Words that lean one way: each is made here, from the estimate it speaks of.

No other room of the report types a word such as higher, lower, up, down or towards benefit for a
result; it asks for it here with the number that decides. So a sentence cannot say the opposite of
the table it quotes, whatever a run finds.
"""

from __future__ import annotations

import numpy as np

from analysis import outcomes
from analysis.report import words

SAME = "not clearly different"
HARDLY = 0.1
"""Results in words that move a mean by less than this share of its SD hardly move it."""
LEAST = 0.005
"""An interval that changes by less than this share of its width stays as wide as it is."""


def side(outcome: str, shown: float) -> int:
    """On which side of no effect a number (as readers see it) lies: 1, -1, or 0 for neither."""
    return int(np.sign(shown - outcomes.get(outcome).neutral)) if words.known(shown) else 0


def compared(direction: float) -> str:
    """The word for a side of no effect: `higher`, `lower`, or `not clearly different`."""
    return {1: "higher", -1: "lower"}.get(direction, SAME)


def better(outcome: str) -> str:
    """What an outcome is where it is better: `lower` of HbA1c."""
    return compared(outcomes.get(outcome).good)


def good_side(outcome: str, printed: str) -> str:
    """The side of a result in words (`vocabulary.DIRECTIONS`): `on the good side`, or neither."""
    way = {"increase": 1, "decrease": -1}.get(printed, 0) * outcomes.get(outcome).good
    return {1: "on the good side", 0: "no difference", -1: "on the bad side"}[way]


def worse(outcome: str) -> str:
    """What an outcome is where it is worse."""
    return compared(-outcomes.get(outcome).good)


def mostly(outcome: str, k_better: float, k_worse: float) -> tuple[str, float]:
    """The side on which more results clearly lie (the better one where as many do), how many."""
    return (worse(outcome), k_worse) if k_worse > k_better else (better(outcome), k_better)


def moved(shift: float) -> str:
    """Which way a number moved: `up`, `down`, or `not at all`."""
    return {1: "up", -1: "down"}.get(int(np.sign(shift)), "not at all")


def benefit(outcome: str, shift: float, sd: float) -> str:
    """What a shift of a mean (model's scale) with this SD does to the benefit it tells of."""
    if abs(shift) < HARDLY * sd:
        return "hardly move it"
    way = "towards" if shift * outcomes.get(outcome).good > 0 else "away from"
    return f"move it {way} benefit"


def interval_moved(whole: tuple[float, float], alone: tuple[float, float]) -> str:
    """What results in words do to an interval, first of all whether it includes no effect.

    Parameters
    ----------
    whole, alone : the ends with results in words, and of numbers alone, on the model's scale,
        where no effect is zero.
    """
    clear, before = (low > 0 or high < 0 for low, high in (whole, alone))
    if clear and not before:
        return "take the interval off no effect"
    if before and not clear:
        return "bring the interval back over no effect"
    change = (whole[1] - whole[0]) / (alone[1] - alone[0]) - 1
    told = width(change)
    return "leave the interval as wide" if told.startswith("as") else f"make the interval {told}"


def others_find(outcome: str, headline: float, low: float, high: float) -> str:
    """Whether most other analyses find `less` or `more` benefit than a headline.

    "" where the headline lies within nine of ten of them, from `low` to `high`.
    """
    low, high = sorted((low, high))
    if low <= headline <= high:
        return ""
    return "less" if (headline > high) == (outcomes.get(outcome).good > 0) else "more"


def beyond(outcome: str, headline: float, low: float, high: float) -> str:
    """The same as a sentence; "" where the headline lies within nine of ten."""
    found = others_find(outcome, headline, low, high)
    return f"most other defensible analyses find {found} benefit" if found else ""


def step(levels: float) -> str:
    """Which way certainty steps: `down two`."""
    number = {1: "one", 2: "two"}.get(abs(int(levels)), str(abs(int(levels))))
    return f"{moved(levels)} {number}"


def width(change: float) -> str:
    """How the width of an interval changes, by which share: `12 % narrower`, `1 % wider`."""
    if abs(change) < LEAST:
        return "as wide as now"
    return f"{words.percent(abs(change))} {'wider' if change > 0 else 'narrower'}"
