"""What posteriors on an even grid of (mu, tau) share: levels until they settle, and the SD tau."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from analysis.exact.grid import GridDistribution, Scale
from analysis.exact.quadrature import Map


def settle(
    levels: Sequence[tuple[float, ...]],
    evaluate: Callable[..., None],
    figures: Callable[[], tuple[np.ndarray, np.ndarray]],
    tolerance: float,
    unsettled: str,
) -> int:
    """Evaluate a posterior level by level until its figures no longer move.

    Every machine stops at the same level; the true error is then orders of magnitude smaller.

    Parameters
    ----------
    levels : numbers of nodes, coarse to fine.
    evaluate : called with the numbers of a level.
    figures : of the level just evaluated: (n,) values, and (n,) how much each may move at the most,
        in units of `tolerance`.
    unsettled : what is said where not even the finest level settles.

    Returns
    -------
    int
        How many levels were needed, from 1.

    Raises
    ------
    ValueError : the figures still move at the finest level.
    """
    before = None
    for number, sizes in enumerate(levels, start=1):
        evaluate(*sizes)
        now, scales = figures()
        if before is not None and np.all(np.abs(now - before) <= tolerance * scales):
            return number
        before = now
    raise ValueError(unsettled)


def distribution_of_tau(change: Map, v: np.ndarray, weight: np.ndarray) -> GridDistribution:
    """The SD between studies from its weights at even steps of v.

    Parameters
    ----------
    change : tau as a function of v, one row (see `quadrature`).
    v, weight : (t,) the nodes and their weights.
    """
    scale = Scale(
        lambda x: change.tau(np.atleast_1d(x)[None])[0][0],
        lambda y: change.inverse(np.maximum(np.atleast_1d(y), 1e-300)[None])[0],
        lambda x: np.exp(change.tau(np.atleast_1d(x)[None])[1][0]),
    )
    return GridDistribution(v[0], v[1] - v[0], weight, scale)
