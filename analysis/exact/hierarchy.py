"""Random effects on a log odds or log rate, by quadrature in two dimensions and one inside.

    theta_i | mu, tau ~ N(mu, tau^2)        log p(y_i | theta) concave in theta, known exactly

Counts have no closed form given tau, so A_i(mu, tau) = integral of p(y_i | theta) N(theta; mu,
tau^2) is taken for every study at every (mu, tau). The integrand is log-concave: its mode is found
by safeguarded Newton steps, its two ends by a few secant steps, and between them the trapezoidal
rule in z, theta = mode + width sinh(z), converges exponentially (Trefethen & Weideman 2014, SIAM
Review 56:385). mu is laid evenly where the posterior lives, tau through the change of variable of
`quadrature`. All node numbers come from `LEVELS`: the first level whose means, SDs and interval
ends differ by less than `TOLERANCE` SD from the level before is kept, so that every machine stops
at the same one; the true error is then orders of magnitude smaller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import fft, special
from scipy.special import logsumexp

from analysis.central import central
from analysis.exact.grid import GridDistribution, Scale
from analysis.exact.logs import log_sum_exp
from analysis.exact.priors import Fixed, Normal, TauPrior
from analysis.exact.quadrature import Map
from analysis.exact.settling import distribution_of_tau, settle

DEPTH = 26.0
"""Where the integrand of a study has fallen by exp(-26) from its peak, the integral ends."""
OUTER_DEPTH = 23.0
"""The same for the posterior of (mu, tau)."""
LEVELS = ((65, 27, 20), (129, 53, 32), (257, 105, 48), (513, 209, 72), (1025, 417, 96))
"""Nodes of mu, of tau and of each study's own effect, level by level."""
TOLERANCE = 2e-3
COARSE = (25, 17, 12)
ZOOM_ROUNDS = 14
NEWTON_STEPS = 200
END_STEPS = 10
ENOUGH = 2.0
"""An end beyond which the integrand has fallen by DEPTH to ENOUGH times DEPTH is near enough."""
NEAR = 0.1
"""A mode found to a tenth of its width is near enough to lay nodes around."""
SETTLED = 10.0
"""Log units by which the integrand of a moment must have fallen at the largest tau."""
BEYOND = 1e-9
"""Share of a new study's distribution that may lie beyond the grid."""
FAR = 1 << 13
"""Most steps by which the grid of a new study reaches beyond that of mu, on either side."""
EFFECT_POINTS = 201
BLOCK = 50_000
"""Nodes worked on at once: arrays of so many stay in a processor's cache."""


class StudyLikelihood(Protocol):
    """The log likelihood of one study, a concave function of its own theta.

    centre, precision : of a normal curve near it, from which the search for modes starts.
    """

    centre: float
    precision: float

    def value(self, theta: np.ndarray) -> np.ndarray:
        """Log likelihood at theta, of any shape."""
        ...

    def slopes(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First and second derivative at theta."""
        ...


def inner(
    study: StudyLikelihood, mu: np.ndarray, tau: np.ndarray, nodes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One study's effect integrated out.

    Parameters
    ----------
    mu, tau : (n,) pairs; tau not negative.
    nodes : of the trapezoidal rule.

    Returns
    -------
    log_a : (n,) log of A(mu, tau).
    theta, weight : (nodes, n), the study's effect at the nodes and its conditional weights, which
        sum to one over the nodes.
    """
    mode, width = _mode(study, mu, tau)
    peak = study.value(mu + tau * mode) - 0.5 * mode**2
    left = _end(study, mu, tau, mode, width, peak, -1.0)
    right = _end(study, mu, tau, mode, width, peak, 1.0)
    # u = mode + width sinh(z): steps of the mode's own width there, ever wider further out.
    low, high = np.arcsinh(left / width), np.arcsinh(right / width)
    z = -low + (low + high) * np.linspace(0.0, 1.0, nodes)[:, None]
    u = mode + width * np.sinh(z)
    theta = mu + tau * u
    log_value = study.value(theta) - 0.5 * u * u
    top = log_value.max(axis=0)
    weight = np.exp(log_value - top) * np.cosh(z)
    total = weight.sum(axis=0)
    log_step = np.log(width * (low + high) / (nodes - 1)) - 0.5 * np.log(2 * np.pi)
    return top + np.log(total) + log_step, theta, weight / total


def _mode(study: StudyLikelihood, mu: np.ndarray, tau: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mode of p(y | mu + tau u) phi(u) in u, and the SD its curvature implies there.

    The slope tau l'(mu + tau u) - u falls in u, so its root lies between 0 and its value at 0.
    """
    reach = np.clip(tau * study.slopes(mu)[0], -1e6, 1e6)
    low, high = np.minimum(reach, 0.0), np.maximum(reach, 0.0)
    pull = study.precision * tau
    u = np.clip(pull * (study.centre - mu) / (1.0 + pull * tau), low, high)
    mode, width = u.copy(), np.ones_like(u)
    live = np.arange(u.size)
    for _ in range(NEWTON_STEPS):
        spread = tau[live]
        first, second = study.slopes(mu[live] + spread * u)
        gap, curvature = spread * first - u, 1.0 - spread**2 * second
        low, high = np.where(gap > 0, u, low), np.where(gap > 0, high, u)
        step = u + gap / curvature
        new = np.where((step > low) & (step < high), step, 0.5 * (low + high))
        mode[live], width[live] = new, 1.0 / np.sqrt(curvature)
        rest = np.abs(new - u) * np.sqrt(curvature) > NEAR
        if not rest.any():
            break
        live, u, low, high = live[rest], new[rest], low[rest], high[rest]
    return mode, width


def _end(
    study: StudyLikelihood,
    mu: np.ndarray,
    tau: np.ndarray,
    mode: np.ndarray,
    width: np.ndarray,
    peak: np.ndarray,
    side: float,
) -> np.ndarray:
    """How far from its mode, in u, the integrand has fallen to exp(-DEPTH) of its peak, or a little
    below: secant steps on the square root of the fall, kept inside a shrinking bracket."""
    most = np.sqrt(2.0 * DEPTH)  # the normal factor alone has fallen so far
    end = np.full_like(mode, most)
    far = np.minimum(1.1 * width, 1.0) * most
    near = np.zeros_like(far)
    live = np.arange(far.size)
    for _ in range(END_STEPS):
        u = mode[live] + side * far
        drop = peak[live] - (study.value(mu[live] + tau[live] * u) - 0.5 * u * u)
        beyond = drop >= DEPTH
        end[live] = np.where(beyond, far, end[live])
        near = np.where(beyond, near, far)
        open_ = (drop < DEPTH) | (drop > ENOUGH * DEPTH)
        open_ &= near < most * (1.0 - 1e-9)
        if not open_.any():
            break
        live, far, near, drop = live[open_], far[open_], near[open_], drop[open_]
        aim = far * np.sqrt(1.3 * DEPTH / np.maximum(drop, 1e-3))
        inside = (aim > near) & (aim < end[live])
        far = np.where(inside, aim, 0.5 * (near + end[live]))
    return end


Range = tuple[float, float]


@dataclass(frozen=True)
class Nodes:
    """Where the posterior of (mu, tau) is evaluated.

    mu : (m,) evenly spaced.   tau : (t,), at even steps of v; slope : (t,) log d tau / d v.
    """

    mu: np.ndarray
    v: np.ndarray
    tau: np.ndarray
    slope: np.ndarray


class Hierarchy:
    """The posterior of one hierarchical model; see the module.

    Parameters
    ----------
    studies : the likelihoods.
    copies : (k,) how often each study counts (like studies as one row).
    mu_prior, tau_prior : priors of the mean and of the SD between studies, on the scale of theta.
    power : moments of exp(theta) up to this power are wanted; 0 where none is.

    Attributes
    ----------
    log_marginal : log p(y).
    mu, new : distributions of the mean study's theta and of a new study's, on the scale of theta.
    tau : distribution of the SD between studies; None where it is fixed.
    level : how many levels of nodes were needed, from 1.
    """

    def __init__(
        self,
        studies: Sequence[StudyLikelihood],
        copies: np.ndarray,
        mu_prior: Normal,
        tau_prior: TauPrior,
        power: float = 0.0,
    ):
        self.power = power
        self.studies, self.copies = studies, copies
        self.mu_prior, self.tau_prior = mu_prior, tau_prior
        self.fixed_tau = isinstance(tau_prior, Fixed)
        self._map, self._mu_range, self._v_range = self._lay()
        self.level = settle(
            LEVELS, self._evaluate, self._figures, TOLERANCE,
            "the posterior did not settle at the finest grid: the studies contradict one another "
            "more than the priors allow, or counts differ by too many orders of magnitude",
        )  # fmt: skip

    # --- where the nodes go ---------------------------------------------------------------------

    def _lay(self) -> tuple[Map | None, tuple[float, float], tuple[float, float]]:
        """The change of variable of tau, and the ranges of mu and v that carry the posterior."""
        mean, sd = self.mu_prior.one
        mu_range = (mean - 9.0 * sd, mean + 9.0 * sd)
        if self.fixed_tau:
            mu_range, _ = self._zoom(None, mu_range, (0.0, 0.0))
            return None, mu_range, (0.0, 0.0)
        prior = self.tau_prior
        low, high = (float(np.ravel(x)[0]) for x in prior.span())
        upper = float(np.ravel(prior.end)[0])
        floor, ceiling = 1e-3 * min(low, upper), min(10.0 * high, upper)
        # 1. An even grid of log tau finds the scale of tau and the range of mu.
        log_map = _LogMap()
        log_range = (np.log(floor), np.log(ceiling))
        mu_range, _ = self._zoom(log_map, mu_range, log_range, hold_v=True)
        nodes = self._nodes(log_map, mu_range, log_range, COARSE[0], 2 * COARSE[1])
        mass = self._log_density(nodes, COARSE[2])[0]
        by_tau = np.exp(logsumexp(mass, axis=0) - logsumexp(mass))
        scale = float(nodes.tau[int((np.cumsum(by_tau) < 0.25).sum())])
        scale = min(scale, 0.5 * upper)
        # 2. In v, double-exponential at both ends (see `quadrature`), keep what carries weight.
        bounded, power = np.isfinite(upper), np.isfinite(float(np.ravel(prior.tail)[0]))
        top = upper if bounded else max(ceiling, scale) if power else np.inf
        change = Map(np.array([scale]), np.array([upper]), np.array([scale / top]))
        end = np.log(OUTER_DEPTH + 8.0) + np.log(top / scale) if bounded or power else np.inf
        end = min(end, np.log(ceiling / scale) + 3.0) if not (bounded or power) else end
        mu_range, v_range = self._zoom(change, mu_range, (-4.8, max(float(end), 1.0)))
        return change, mu_range, v_range

    def _zoom(
        self, change: Map | _LogMap | None, mu_range: Range, v_range: Range, hold_v: bool = False
    ) -> tuple[Range, Range]:
        """Narrow (or widen) the ranges to where the posterior is within exp(-DEPTH) of its peak."""
        for _ in range(ZOOM_ROUNDS):
            t = 1 if change is None else COARSE[1]
            nodes = self._nodes(change, mu_range, v_range, COARSE[0], t)
            density = self._log_density(nodes, COARSE[2])[0]
            mu_range, full_mu = _kept(nodes.mu, density.max(axis=1), self.power)
            full_v = True
            if change is not None and not hold_v:
                v_range, full_v = _kept(nodes.v, density.max(axis=0), 0.0)
            if full_mu and full_v:
                break
        return mu_range, v_range

    def _nodes(
        self, change: Map | _LogMap | None, mu_range: Range, v_range: Range, m: int, t: int
    ) -> Nodes:
        mu = np.linspace(mu_range[0], mu_range[1], m)
        if change is None:
            value = float(np.ravel(self.tau_prior.span()[0])[0])
            return Nodes(mu, np.zeros(1), np.array([value]), np.zeros(1))
        v = np.linspace(v_range[0], v_range[1], t)
        tau, slope = change.tau(v[None])
        return Nodes(mu, v, tau[0], slope[0])

    def _log_density(self, nodes: Nodes, inner_nodes: int) -> tuple[np.ndarray, np.ndarray]:
        """Log of the joint density of (mu, v) and y at the nodes (m, t), and log A (k, m, t)."""
        m, t = nodes.mu.size, nodes.tau.size
        mu, tau = np.repeat(nodes.mu, t), np.tile(nodes.tau, m)
        by_pair = np.empty((len(self.studies), m * t))
        per = BLOCK // inner_nodes
        for i, study in enumerate(self.studies):
            for start in range(0, m * t, per):
                some = slice(start, start + per)
                by_pair[i, some] = inner(study, mu[some], tau[some], inner_nodes)[0]
        log_a = by_pair.reshape(-1, m, t)
        mean, sd = self.mu_prior.one
        z = (nodes.mu - mean) / sd
        log_mu = -0.5 * z * z - np.log(sd) - 0.5 * np.log(2 * np.pi)
        log_tau = np.zeros(1) if self.fixed_tau else self.tau_prior.logpdf(nodes.tau[None])[0]
        density = np.einsum("i,imt->mt", self.copies, log_a)
        return density + log_mu[:, None] + (log_tau + nodes.slope)[None, :], log_a

    # --- the posterior on the nodes -------------------------------------------------------------

    def _evaluate(self, m: int, t: int, n: int) -> None:
        nodes = self._nodes(self._map, self._mu_range, self._v_range, m, t)
        log_density, log_a = self._log_density(nodes, n)
        self.nodes, self._inner_nodes, self.log_a = nodes, n, log_a
        h = nodes.mu[1] - nodes.mu[0]
        step = h if self.fixed_tau else h * (nodes.v[1] - nodes.v[0])
        total = logsumexp(log_density)
        self.log_marginal = float(total + np.log(step))
        self.weight = np.exp(log_density - total)
        """(m, t) posterior weights of the nodes, summing to one."""
        self.mu = GridDistribution(nodes.mu[0], h, self.weight.sum(axis=1))
        self.new = self._new_study(h)
        self.tau = None
        if self._map is not None:
            self.tau = distribution_of_tau(self._map, nodes.v, self.weight.sum(axis=0))

    def _new_study(self, h: float) -> GridDistribution:
        """theta of a new study: each tau's slice of mu smoothed by N(0, tau^2), exactly.

        The slices are band-limited, so smoothing multiplies their Fourier transform by
        exp(-omega^2 tau^2 / 2); this holds for tau far below the step as well.
        """
        tau, share = self.nodes.tau, self.weight.sum(axis=0)
        keep = share > 1e-12
        reach = 8.0 * self.mu.sd
        while share @ special.erfc(reach / np.maximum(tau, 1e-300)) > BEYOND and reach < FAR * h:
            reach *= 1.2
        wide = int(np.ceil(min(reach, FAR * h) / h))
        size = fft.next_fast_len(self.nodes.mu.size + 2 * wide, real=True)
        padded = np.zeros((size, int(keep.sum())))
        padded[wide : wide + self.nodes.mu.size] = self.weight[:, keep]
        omega = 2 * np.pi * np.fft.rfftfreq(size, d=h)
        smooth = np.exp(-0.5 * np.square(omega[:, None] * tau[keep]))
        density = fft.irfft((fft.rfft(padded, axis=0) * smooth).sum(axis=1), size)
        return GridDistribution(self.nodes.mu[0] - wide * h, h, np.maximum(density, 0.0))

    def moments_of_exp(self, per: float) -> tuple[float, float]:
        """Mean and SD of per * exp(theta) of a new study; inf where the integral diverges."""
        found = []
        for r in (1.0, 2.0):
            log_term = r * self.nodes.mu[:, None] + 0.5 * np.square(r * self.nodes.tau)
            with np.errstate(divide="ignore", over="ignore"):
                by_tau = logsumexp(np.log(self.weight) + log_term, axis=0)
                at_end = by_tau[-1] > by_tau.max() - SETTLED and not self.fixed_tau
                found.append(np.inf if at_end else float(np.exp(logsumexp(by_tau))))
        mean, square = found
        if not np.isfinite(square):
            return per * mean, float("inf")
        return per * mean, per * float(np.sqrt(max(square - mean**2, 0.0)))

    def _figures(self) -> tuple[np.ndarray, np.ndarray]:
        """What must settle from level to level, and the SDs it is judged by."""
        low, high = self.mu.interval()
        found = [self.mu.mean, self.mu.sd, low, high]
        sds = [self.mu.sd] * 4
        for part in (self.new, self.tau):
            if part is not None:  # moments need not exist where tau has a heavy tail
                low, middle, high = central(part)
                found += [low, middle, high]
                sds += [(high - low) / 3.92] * 3
        return np.array(found), np.array(sds)

    def effect(self, i: int, scale: Scale) -> GridDistribution:
        """Study i's own theta given all data, on `scale`.

        Its density is p(y_i | theta) times the sum over (mu, tau) of the posterior weight divided
        by A_i(mu, tau), times N(theta; mu, tau^2). A tau below the step of mu is raised to it, or
        the sum would be a comb.
        """
        study, h = self.studies[i], self.mu.step
        rows, cols = np.nonzero(self.weight > 1e-9)
        mu, tau, weight = self.nodes.mu[rows], self.nodes.tau[cols], self.weight[rows, cols]
        log_a, theta, share = inner(study, mu, tau, self._inner_nodes)
        share = share * (weight / weight.sum())
        value = scale.forward(theta)
        mean = float((share * value).sum())
        sd = float(np.sqrt((share * (value - mean) ** 2).sum()))

        seen = theta[share > 1e-12]
        points = np.linspace(seen.min() - h, seen.max() + h, EFFECT_POINTS)
        spread = np.maximum(tau, h)
        share = np.log(weight) - log_a - np.log(spread)
        log_prior = [log_sum_exp(share - 0.5 * ((point - mu) / spread) ** 2) for point in points]
        log_density = study.value(points) + log_prior
        density = np.exp(log_density - log_density.max())
        found = GridDistribution(points[0], points[1] - points[0], density, scale)
        found.mean, found.sd = mean, sd
        return found


class _LogMap:
    """tau = exp(v), for the first look."""

    @staticmethod
    def tau(v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.exp(v), v


def _kept(
    points: np.ndarray, log_density: np.ndarray, power: float
) -> tuple[tuple[float, float], bool]:
    """The range that carries the density and its product with exp(power x), a step wider, and
    whether it filled the old one."""
    tilted = log_density + power * points
    seen = log_density > log_density.max() - OUTER_DEPTH
    seen |= tilted > tilted.max() - OUTER_DEPTH
    at = np.flatnonzero(seen)
    first, last = max(at[0] - 1, 0), min(at[-1] + 1, points.size - 1)
    return (points[first], points[last]), bool(last - first >= 0.55 * (points.size - 1))
