"""The plane of mu and tau for counts: many analyses of one share at once.

A study's likelihood is binomial (or the chance of what its count can be) in its log odds, which are
normal around mu with SD tau. It is tabulated once on a common grid of mu and tau; an analysis is
then a sum of such tables and of the log priors, and hundreds take a second. Deterministic; medians
and ends of intervals are those of `exact.fit_shares` to three digits and more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import special

from analysis.central import LEVELS
from analysis.exact.counts import censored_share
from analysis.exact.grid import cumulative, denser
from analysis.exact.priors import Normal, TauPrior

STEP = 0.125
"""Of the log odds."""
REACH, BEYOND = 15.0, 60.0
"""Log odds on each side of 0 that the grids of mu and of the studies' own log odds cover."""
TAU_NODES, TAU_END = 32, 10.0
"""Gauss-Legendre nodes in the square root of tau, and where they end: five SDs of the widest."""
SMALLEST = 1e-280

Count = tuple[float, float, float]
"""k of n patients, and the most it can be: k where exact, n where only the fewest is known."""


class CountPlane:
    """Values of mu and tau, and the likelihood of every count there."""

    def __init__(self) -> None:
        at = round(REACH / STEP)
        self.mu = STEP * np.arange(-at, at + 1)
        beyond = round(BEYOND / STEP)
        self._theta = STEP * np.arange(-beyond, beyond + 1)
        u, weight = np.polynomial.legendre.leggauss(TAU_NODES)
        u = 0.5 * (u + 1)
        self.tau = TAU_END * u**2
        self.tau_weight = weight * TAU_END * u
        self._tables: dict[Count, np.ndarray] = {}

    def add(self, counts: Iterable[Count]) -> None:
        """Tabulate counts (once each): log likelihood (mu, tau)."""
        new = [count for count in dict.fromkeys(counts) if count not in self._tables]
        if not new:
            return
        likelihood = np.exp([censored_share(*count).value(self._theta) for count in new]).T
        # How far log odds lie from a mu; of the next mu the window begins one step earlier.
        reach = round((BEYOND + REACH) / STEP)
        offset = STEP * np.abs(np.arange(-reach, reach + 1))
        found = np.empty((len(new), self.mu.size, self.tau.size))
        for place, tau in enumerate(self.tau):
            weight = np.exp(-0.5 * np.minimum(offset / tau, 40.0) ** 2)
            kernel = sliding_window_view(weight, self._theta.size)[::-1]
            share = (kernel @ likelihood) / weight.sum()
            found[:, :, place] = np.log(np.maximum(share, SMALLEST)).T
        self._tables |= dict(zip(new, found, strict=True))

    def shares(
        self, counts: Sequence[Sequence[Count]], priors: Sequence[tuple[Normal, TauPrior]]
    ) -> np.ndarray:
        """Median and 95 % interval of the share of a typical study (theta = mu).

        Parameters
        ----------
        counts : of each analysis, one a study.
        priors : of each analysis, of mu and of tau, on log odds.

        Returns
        -------
        (analyses, 3) ci_low, median, ci_high.
        """
        self.add(count for each in counts for count in each)
        density = np.empty((len(counts), self.mu.size))
        for place, (each, (mu, tau)) in enumerate(zip(counts, priors, strict=True)):
            mean, scale = mu.one
            z = (self.mu - mean) / scale
            total = -0.5 * z[:, None] ** 2 + tau.logpdf(self.tau[None])[0]
            for count in each:
                total = total + self._tables[count]
            density[place] = np.exp(total - total.max()) @ self.tau_weight
        fine, dense = denser(self.mu, density)
        below = cumulative(dense)
        below = np.maximum.accumulate(below / below[:, -1:], axis=1)
        found = [np.interp(LEVELS, row, fine) for row in below]
        return special.expit(np.array(found).reshape(-1, len(LEVELS)))
