"""What results to come would do to a posterior: the prediction of a result, the posterior after it.

A posterior of `contrasts.fit` is laid on an even grid of mu for each node of tau, with r and the
SDs of the studies at hand integrated out. A result y with a known standard error s multiplies it
by N(y; mu, tau² + s²): that is the refit with this result added, to the accuracy of the grid, and
thousands take a second. How likely each y is, the same grid says. Nothing is drawn at random.

    outlook = Outlook(posterior)
    y, probability = outlook.results(se)
    after = outlook.given(y[:, None], np.array([se]))
    (probability * (after.high - after.low)).sum()        # the expected width

References
----------
Sutton et al. 2007, Statistics in Medicine 26:2479, for planning a trial by the meta-analysis that
it will update; Raiffa and Schlaifer 1961, Applied Statistical Decision Theory, for preposterior.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import ndtr, ndtri

from analysis.central import HIGH, LOW
from analysis.exact.contrasts import ContrastPosterior

POINTS = 241
TAIL = 1e-6
"""The grid of mu reaches from this quantile to its mirror image."""
REACH = 5.5
"""SDs of the prediction, on each side, in which results are looked at."""
BLOCK = 4_000_000  # results times nodes of tau and mu at once


@dataclass(frozen=True)
class After:
    """The posterior after each of J possible results, all on the model's scale.

    mean, low, high : (J,) of the mean effect, ends of its 95 % interval.
    below : (J,) P(mean effect < threshold).
    pred_low, pred_high : (J,) ends of the 95 % prediction interval of a further study.
    """

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    below: np.ndarray
    pred_low: np.ndarray
    pred_high: np.ndarray


class Outlook:
    """A posterior on a grid of mu and tau, ready to take further results.

    Parameters
    ----------
    posterior : of normal effects without covariates.

    Raises
    ------
    ValueError : effects are Student t, or there are covariates.
    """

    def __init__(self, posterior: ContrastPosterior):
        slices, tau = posterior.plane()
        live = slices.weight.sum(axis=1) > 1e-9
        slices, self.tau = slices.rows(live), tau[live]
        low, high = posterior.mu.quantile(np.array([TAIL, 1 - TAIL]))
        self.mu = np.linspace(low, high, POINTS)
        mass = np.array([slices.rows(np.array([i])).pdf(self.mu) for i in range(self.tau.size)])
        self.mass = mass / mass.sum()

    def results(self, se: float, points: int = 161) -> tuple[np.ndarray, np.ndarray]:
        """Possible results of a new study with this standard error, and their probabilities.

        Returns
        -------
        y : (points,) even between `REACH` SDs of the prediction on either side of its mean.
        probability : (points,), summing to one.
        """
        variance = self.tau**2 + se**2
        by_tau = self.mass.sum(axis=1)
        mean = float(self.mass.sum(axis=0) @ self.mu)
        spread = float(np.sqrt(self.mass.sum(axis=0) @ (self.mu - mean) ** 2 + by_tau @ variance))
        y = np.linspace(mean - REACH * spread, mean + REACH * spread, points)
        density = np.zeros(points)
        for mass, v in zip(self.mass, variance, strict=True):
            density += np.exp(-0.5 * (y[:, None] - self.mu) ** 2 / v) @ mass / np.sqrt(v)
        return y, density / density.sum()

    def draws(self, se: np.ndarray, n: int = 256) -> np.ndarray:
        """n equally likely sets of results of several new studies, (n, studies).

        Points of the unscrambled Sobol sequence, moved off its corner: no seed, the same on every
        machine. n is a power of two.
        """
        from scipy.stats import qmc  # slow to load, and needed here only

        u = qmc.Sobol(2 + se.size, scramble=False).random(n) + 0.5 / n
        by_tau = np.cumsum(self.mass.sum(axis=1))
        row = np.minimum(np.searchsorted(by_tau / by_tau[-1], u[:, 0]), self.tau.size - 1)
        within = np.cumsum(self.mass, axis=1) - 0.5 * self.mass
        mu = np.array([np.interp(p, within[i] / self.mass[i].sum(), self.mu)
                       for p, i in zip(u[:, 1], row, strict=True)])  # fmt: skip
        spread = np.sqrt(self.tau[row, None] ** 2 + se**2)
        return mu[:, None] + spread * ndtri(u[:, 2:])

    def given(self, y: np.ndarray, se: np.ndarray, threshold: float = 0.0) -> After:
        """The posterior after each set of results.

        Parameters
        ----------
        y : (J, studies) results; without studies, the posterior as it is.
        se : (studies,) their standard errors.
        threshold : of `After.below`.
        """
        size = max(1, BLOCK // self.mass.size)
        parts = [self._given(y[i : i + size], se, threshold) for i in range(0, len(y), size)]
        return After(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    @cached_property
    def now(self) -> After:
        """The posterior as it is, with J = 1 and a threshold of zero."""
        return self.given(np.empty((1, 0)), np.empty(0))

    def _given(self, y: np.ndarray, se: np.ndarray, threshold: float) -> tuple[np.ndarray, ...]:
        precision = 1.0 / (self.tau[:, None] ** 2 + se**2)
        # The log likelihood of the results of a set is a quadratic in mu for each node of tau.
        square = -0.5 * precision.sum(axis=1)[:, None] * self.mu**2
        constant = 0.5 * (np.log(precision).sum(axis=1) - y**2 @ precision.T)
        weight = (y @ precision.T)[:, :, None] * self.mu
        weight += square
        constant -= (weight.max(axis=2) + constant).max(axis=1, keepdims=True)
        weight += constant[:, :, None]
        np.exp(weight, out=weight)
        weight *= self.mass
        of_mu = weight.sum(axis=1)
        whole = of_mu.sum(axis=1, keepdims=True)
        of_mu /= whole
        mean = of_mu @ self.mu
        cdf = np.cumsum(of_mu, axis=1) - 0.5 * of_mu
        low, high = self._quantiles(self.mu, cdf, (LOW, HIGH))
        below = self._at(self.mu, cdf, threshold)
        x, kernel = self._new_study
        predicted = weight.reshape(len(y), -1) @ kernel / whole
        pred_low, pred_high = self._quantiles(x, predicted, (LOW, HIGH))
        return mean, low, high, below, pred_low, pred_high

    @cached_property
    def _new_study(self) -> tuple[np.ndarray, np.ndarray]:
        """Points (X,), and P(a further study's effect <= point) from each node, (nodes, X)."""
        by_tau = np.cumsum(self.mass.sum(axis=1))
        furthest = min(int(np.searchsorted(by_tau, HIGH)), self.tau.size - 1)
        reach = 6.0 * self.tau[furthest]
        x = np.linspace(self.mu[0] - reach, self.mu[-1] + reach, POINTS)
        own = np.hypot(self.tau, 0.3 * (self.mu[1] - self.mu[0]))
        kernel = ndtr((x - self.mu[None, :, None]) / own[:, None, None])
        return x, kernel.reshape(-1, x.size)

    @staticmethod
    def _quantiles(x: np.ndarray, cdf: np.ndarray, levels: tuple[float, ...]) -> list[np.ndarray]:
        """Quantiles of J distributions, between nodes straight in probits."""
        z = ndtri(np.clip(cdf, 1e-12, 1 - 1e-12))
        found = []
        for level in ndtri(np.array(levels)):
            right = np.clip((z < level).sum(axis=1), 1, x.size - 1)
            rows = np.arange(len(z))
            z0, z1 = z[rows, right - 1], z[rows, right]
            share = np.where(z1 > z0, (level - z0) / np.where(z1 > z0, z1 - z0, 1.0), 0.5)
            found.append(x[right - 1] + np.clip(share, 0, 1) * (x[1] - x[0]))
        return found

    @staticmethod
    def _at(x: np.ndarray, cdf: np.ndarray, threshold: float) -> np.ndarray:
        """J distribution functions at one point, between nodes straight in probits."""
        z = ndtri(np.clip(cdf, 1e-12, 1 - 1e-12))
        return ndtr(np.array([np.interp(threshold, x, row) for row in z]))
