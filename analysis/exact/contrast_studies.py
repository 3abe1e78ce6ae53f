"""What each contrast says by itself within the pool: its true effect, its SE, its weight.

Given the mean, tau and the standard error a study's true effect theta_i is normal around a weighted
mean of eta_i and its value; where the value is known in words only it is first integrated over
the interval. Here these normals are weighed by the joint posterior of everything else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from analysis.central import HIGH, LOW
from analysis.exact import mixture
from analysis.exact.contrast_grid import Evaluation

FAINT = 1e-7  # components below this share of the largest are left out
INNER = 8  # nodes of the value of a study that is known in words only


@dataclass
class _Components:
    """Normal components of one study's effect, gathered chunk by chunk."""

    weight: list[np.ndarray]
    mean: list[np.ndarray]
    sd: list[np.ndarray]

    def add(self, weight: np.ndarray, mean: np.ndarray, sd: np.ndarray) -> None:
        weight, mean, sd = (a.ravel() for a in np.broadcast_arrays(weight, mean, sd))
        live = weight > FAINT * max(weight.max(initial=0.0), 1e-300)
        self.weight.append(weight[live])
        self.mean.append(mean[live])
        self.sd.append(sd[live])

    def joined(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        weight, mean, sd = (np.concatenate(a) for a in (self.weight, self.mean, self.sd))
        live = weight > FAINT * weight.max()
        weight = weight[live] / weight[live].sum()
        return weight[None], mean[live][None], np.maximum(sd[live], 1e-300)[None]


def study_table(evaluation: Evaluation) -> pd.DataFrame:
    """True effects of the rows, in the order given.

    Parameters
    ----------
    evaluation : the joint posterior on some grid.

    Returns
    -------
    DataFrame, one row a study: mean, sd, ci_low, ci_high (95 %, central) of the true effect; se,
    the posterior median of the SE; weight, the share of the study in what is known of the mean: the
    curvature of its log likelihood in mu over that of all studies and the prior, averaged over the
    posterior (for printed numbers w_i / sum of w, as in `ExactPosterior.shrinkage`).
    """
    task, like = evaluation.task, evaluation.likelihood
    k = len(task.rows)
    top = evaluation.log_p.max()
    parts = [_Components([], [], []) for _ in range(k)]
    log_se: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in range(k)]
    weights = np.zeros(k)
    total = 0.0
    spread = np.ptp(evaluation.beta[:, 0]) / 1000
    for _, points, log_scale, value in evaluation.pieces():
        share = np.exp(log_scale - top)
        mass = share * value.sum(axis=1)
        live = mass > FAINT * np.exp(evaluation.log_p - top).max()
        if not live.any():
            continue
        eta, tau = points.eta[live], points.tau[live]
        joint = share[live, None] * value[live]
        total += joint.sum()
        known, by_r, learnt = _factors(like, eta, tau, joint)
        information = np.zeros((k, tau.size))
        for i in range(k):
            here = eta[:, i if eta.shape[1] > 1 else 0]
            if i in known:
                se = like.log_se_known[np.searchsorted(like.known, i)]
                _effects(parts[i], like, i, here, tau, se, by_r)
                log_se[i].append((se, by_r.sum(axis=0)))
            else:
                table, per_sd = learnt[i]
                at = like.nodes.x + 0.5 * np.log(task.rows.n_factor[i])
                weight = table * (per_sd @ like.kernel.T)
                _effects(parts[i], like, i, here, tau, at, np.maximum(weight, 0.0))
                log_se[i].append((at, weight.sum(axis=0)))
            information[i] = _curvature(like, i, here, tau, by_r, joint, spread)
        information = np.maximum(information, 0.0) * task.design[:, :1] ** 2
        prior = task.prior_sd[0] ** -2.0
        weights += (information / (information.sum(axis=0) + prior)) @ joint.sum(axis=1)
    records = []
    for i in range(k):
        weight, mean, sd = parts[i].joined()
        centre, deviation = mixture.moments(weight, mean, sd)
        low, high = (mixture.quantile(weight, mean, sd, np.array([p]))[0] for p in (LOW, HIGH))
        records.append(
            {
                "mean": centre[0],
                "sd": deviation[0],
                "ci_low": low,
                "ci_high": high,
                "se": np.exp(_median(log_se[i])),
                "weight": weights[i] / total,
            }
        )
    return pd.DataFrame(records, index=pd.Index(task.rows.labels))


def _factors(like, eta, tau, joint):
    """Posterior weights at some points, split for each row.

    Returns
    -------
    known : rows of known variance.      by_r : (points, R) joint weights of points and r.
    learnt : for each row without a spread its table (points, n) and the weights (points, Q) of
        everything else.
    """
    known = set(like.known.tolist())
    log_known = np.zeros((tau.size, like.nodes.r.size))
    for i in like.known:
        log_known += like.known_row(i, eta[:, i if eta.shape[1] > 1 else 0], tau)
    ratio = np.exp(log_known - log_known.max(axis=1)[:, None])
    over_r = np.maximum(ratio @ like.teach, 1e-300)
    by_r = ratio * ((joint / over_r) @ like.teach.T)
    learnt = {}
    for i in like.learnt:
        table, _ = like.learnt_table(i, eta[:, i if eta.shape[1] > 1 else 0], tau)
        learnt[i] = table, joint / like.average(table)
    return known, by_r, learnt


def _effects(components, like, i, eta, tau, log_se, weight) -> None:
    """Normals of theta_i given each point (rows) and standard error (columns)."""
    rows = like.rows
    kind, z_low, z_high = rows.kind[i], rows.z_low[i], rows.z_high[i]
    eta, se = eta[:, None], np.exp(log_se)[None, :]
    live = weight > FAINT * weight.max()
    at, column = np.nonzero(live)
    weight, eta, se = weight[live], eta[at, 0], se[0, column]
    tau2 = tau[at] ** 2
    density = [
        like.log_row(i, np.log(se), eta, scale * tau2) + np.log(share)
        for scale, share in zip(like.scale, like.scale_weight, strict=True)
    ]
    whole = special.logsumexp(density, axis=0)
    for scale, one in zip(like.scale, density, strict=True):
        part = weight * np.exp(one - whole)
        own2 = scale * tau2
        total2 = own2 + se**2
        pull, sd = own2 / total2, np.sqrt(own2 * se**2 / total2)

        def put(share, value, pull=pull, sd=sd):
            components.add(share, eta + pull * (value - eta), sd)

        if kind == "numeric":
            put(part, rows.y[i])
        elif kind == "exact_p":
            put(part, z_high * se)
        elif kind == "two_points":
            first, second = (-0.5 * (z * se - eta) ** 2 / total2 for z in (z_high, -z_high))
            upper = special.expit(first - second)
            put(part * upper, z_high * se)
            put(part * (1 - upper), -z_high * se)
        else:
            node, node_weight = np.polynomial.legendre.leggauss(INNER)
            sd_total = np.sqrt(total2)
            low, high = (z_low * se - eta) / sd_total, (z_high * se - eta) / sd_total
            for p, share in zip(0.5 * (node + 1), 0.5 * node_weight, strict=True):
                put(part * share, eta + sd_total * _between(low, high, p))


def _between(low: np.ndarray, high: np.ndarray, p: float) -> np.ndarray:
    """Quantile at p of a standard normal between two bounds, taken in the accurate tail."""
    flip = low + high > 0
    a, b = np.where(flip, -high, low), np.where(flip, -low, high)
    share = np.where(flip, 1 - p, p)
    log_cdf = np.logaddexp(
        special.log_ndtr(a) + np.log1p(-share), special.log_ndtr(b) + np.log(share)
    )
    cut = np.clip(special.ndtri_exp(np.minimum(log_cdf, -1e-300)), a, b)
    return np.where(flip, -cut, cut)


def _curvature(like, i, eta, tau, by_r, joint, step) -> np.ndarray:
    """-d^2/d eta^2 of the log likelihood of a row, averaged over r or the SDs, (points,)."""

    def log_value(shift):
        if i in like.known:
            return like.known_row(i, eta + shift, tau)
        value, top = like.learnt_row(i, eta + shift, tau)
        return np.log(value) + top[:, None]

    weight = by_r if i in like.known else joint
    second = (log_value(-step) - 2 * log_value(0.0) + log_value(step)) / step**2
    second = np.broadcast_to(second, weight.shape)
    return -(second * weight).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-300)


def _median(parts: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """Median of a quantity from nodes and weights, interpolated."""
    node = parts[0][0]
    weight = np.maximum(sum(w for _, w in parts), 0.0)
    order = np.argsort(node)
    node, weight = node[order], weight[order]
    cumulative = (np.cumsum(weight) - 0.5 * weight) / weight.sum()
    return float(np.interp(0.5, cumulative, node))
