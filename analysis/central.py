"""The central 95 % interval: its ends, and the one way to read it off a posterior or draws."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

LOW, HIGH = 0.025, 0.975
"""The ends of a central 95 % interval, as probabilities."""
LEVELS = (LOW, 0.5, HIGH)


class Central(NamedTuple):
    """A central 95 % interval with the median between its ends."""

    low: float
    median: float
    high: float


def central(distribution: Any) -> Central:
    """The median and the central 95 % interval of a distribution.

    Parameters
    ----------
    distribution : whatever has `quantile(p)` for an array of probabilities.
    """
    low, median, high = distribution.quantile(np.array(LEVELS))
    return Central(float(low), float(median), float(high))


def central_of_draws(draws: Any) -> Central:
    """The median and the central 95 % interval of draws, all of equal weight.

    Parameters
    ----------
    draws : array of any shape.
    """
    low, median, high = np.quantile(np.ravel(draws), np.array(LEVELS))
    return Central(float(low), float(median), float(high))
