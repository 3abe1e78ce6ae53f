"""One hierarchical model for studies whose likelihoods are tabulated, compiled once for all fits.

The facts of study i speak of one number eta_i (a log median duration, or a log odds) and, in some
families, of a shape and a cured share that all studies have in common. So the log likelihood of
each study is computed once in numpy on a grid of these three and the sampler reads it by cubic
B-splines (Unser 1999, IEEE Signal Process Mag 16(6):22): facts of any kind cost the same, and
outcomes, families and left-out studies differ only in data. The hierarchy is

    eta_i = m_class[i] + x_i beta + tau u_i      m_c = mu + tau_class v_c      u_i, v_c ~ N(0, 1)

sampled in coordinates in which u and v are nearly standard normal whether the data say much or
little: with e and p the location and precision a likelihood gives on its own, u is an affine map of
z, its approximate conditional posterior (`standardised`); no funnel remains to diverge in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from scipy import ndimage, special

from analysis import priors, vocabulary

CLASSES = tuple(vocabulary.CELL_CLASSES)
"""Class effects are laid out in the order of the vocabulary; a class without facts is prior."""

MODERATORS = 6
"""Columns of the design matrix; those of zeros leave their coefficient at its prior."""

THETA = np.linspace(-1.7, 1.7, 35)
LOGIT_CURE = np.linspace(-6.0, 3.0, 19)
NO_CURE = np.arange(4.0)
"""Grids of the shape (log scale) and the cured share (log odds; the last where there is none)."""

DEEP = 60.0
"""Log-likelihood units under a study's best value beyond which its table only creeps on falling."""

LOCAL = 0.5
"""Log-likelihood units: the largest correction by which a coefficient differs from a value."""


@dataclass(frozen=True)
class Table:
    """Log likelihoods of studies on a grid.

    Attributes
    ----------
    studies, classes : id and cell class of each study.
    eta, cure : evenly spaced grids; the shape's grid is `THETA`.
    values : shape (studies, eta, theta, cure). The cure axis of a family without a cured share is
        a constant of length 4.
    """

    studies: tuple[str, ...]
    classes: tuple[str, ...]
    eta: np.ndarray
    cure: np.ndarray
    values: np.ndarray

    def without(self, study: str) -> Table:
        """The table with the facts of one study saying nothing."""
        values = self.values.copy()
        values[self.studies.index(study)] = 0.0
        return Table(self.studies, self.classes, self.eta, self.cure, values)


def coefficients(values: np.ndarray) -> np.ndarray:
    """Spline coefficients of `Table.values`, each study's best value set to zero.

    The local formula c_j = f_j - (f_j-1 - 2 f_j + f_j+1) / 6 along each axis (de Boor 2001, A
    Practical Guide to Splines, ch. XII: exact for cubics), its correction limited to `LOCAL`: an
    interpolating spline would ring beside the cliffs that some families have.
    """
    if not len(values):
        return values
    flat = values - values.max(axis=(1, 2, 3), keepdims=True)
    deep = np.maximum(-flat - DEEP, 0.0)
    flat = np.where(deep > 0, -DEEP - DEEP * np.log1p(deep / DEEP), flat)
    for axis in (1, 2, 3):
        second = ndimage.correlate1d(flat, [1.0, -2.0, 1.0], axis=axis, mode="nearest")
        flat = flat - np.clip(second / 6.0, -LOCAL, LOCAL)
    return flat


def standardised(z, centre, tau, location, precision):
    """A standard-normal effect u, and the log density of z it leaves.

    Of eta = centre + tau u, u ~ N(0, 1), a likelihood N(location, 1/precision) alone would make the
    posterior normal; z is u standardised by that posterior. Everything stays finite as tau -> 0.
    Works on numpy and symbolic arrays.
    """
    scale = 1 + precision * tau**2
    u = precision * tau * (location - centre) / scale + z / scale**0.5
    return u, u**2 / -2


def summaries(table: Table) -> tuple[np.ndarray, np.ndarray]:
    """Location and precision of each study's likelihood over the grid (shape at its prior).

    A likelihood that says nothing, or only "at least", gets a precision near zero or small.
    """
    log_prior = -0.5 * (THETA / priors.get("duration", "log_shape").scale) ** 2
    location = np.zeros(len(table.studies))
    precision = np.zeros(len(table.studies))
    flat_spread = np.ptp(table.eta) / np.sqrt(12)
    for i, values in enumerate(table.values):
        weight = values + log_prior[None, :, None]
        weight = np.exp(weight - weight.max()).sum(axis=(1, 2))
        weight /= weight.sum()
        location[i] = weight @ table.eta
        variance = max(weight @ (table.eta - location[i]) ** 2, np.diff(table.eta)[0] ** 2 / 12)
        precision[i] = max(1 / variance - 1 / flat_spread**2, 0.0)
    return location, precision


def padded(n: int) -> int:
    """The number of studies a graph for `n` is built for: 32, 64, 128, ..."""
    size = 32
    while size < n:
        size *= 2
    return size


@lru_cache(maxsize=4)
def sampler(size: int):
    """The compiled graph for up to `size` studies, kept in the process."""
    from analysis.models import sampling

    return sampling.compile_model(partial(model, size), "independence")


def model(size: int):
    """The PyMC model for up to `size` studies, with neutral data in every `pm.Data`."""
    import pymc as pm
    import pytensor.tensor as pt

    empty = Table((), (), np.arange(8.0), NO_CURE, np.zeros((0, 8, THETA.size, 4)))
    with pm.Model() as graph:
        d = {k: pm.Data(k, v) for k, v in data(empty, "duration", size).items()}
        mu = pm.Normal("mu", d["prior"][0], d["prior"][1])
        tau = pm.HalfNormal("tau", d["prior"][2])
        tau_class = pm.HalfNormal("tau_class", d["prior"][3])
        beta = pm.Normal("beta", 0, d["prior"][4], shape=MODERATORS)
        theta = pm.Normal("theta", *priors.get("duration", "log_shape").params)
        logit_cure = pm.Normal("logit_cure", *priors.get("duration", "logit_cure").params)

        def effect(name, centre, spread, location, precision, count):
            z = pm.Flat(name, shape=count)
            u, log_density = standardised(z, centre, spread, location, precision)
            scale = 1 + precision * spread**2
            pm.Potential(f"{name}_prior", (log_density - 0.5 * pt.log(scale)).sum())
            return centre + spread * u

        by_class = effect(
            "class_z", mu, tau_class, d["class_location"], d["class_precision"], len(CLASSES)
        )
        by_class = pm.Deterministic("class_mean", by_class)
        centre = by_class[d["class_index"]] + d["design"] @ beta
        eta = effect("study_z", centre, tau, d["location"], d["precision"], size)
        eta = pm.Deterministic("eta", eta)

        # where eta, the shape and the cured share lie on their grids, and the cubic B-spline
        # weights of the four nodes around each: (max(2 - |d|, 0)^3 - 4 max(1 - |d|, 0)^3) / 6
        at = pt.concatenate([eta, theta[None], logit_cure[None]])
        x = pt.clip((at - d["start"]) / d["step"], 1.0, d["last"])
        nodes = pt.floor(x)[:, None] + np.arange(-1.0, 3.0)
        distance = pt.abs(x[:, None] - nodes)
        weight = (pt.maximum(2 - distance, 0) ** 3 - 4 * pt.maximum(1 - distance, 0) ** 3) / 6
        place = pt.cast(nodes * d["stride"][:, None], "int64")
        first = d["first"][:, None, None, None] + place[:size, :, None, None]
        index = first + place[size][:, None] + place[size + 1][None, :]
        near = pt.take(d["table"], index.flatten()).reshape((size, 4, 4, 4))
        facts = near * weight[:size, :, None, None] * weight[size][:, None] * weight[size + 1]
        pm.Potential("facts", facts.sum())
    return graph


def data(table: Table, outcome: str, size: int, design: np.ndarray | None = None) -> dict:
    """Values for every `pm.Data` of `model(size)`.

    Parameters
    ----------
    table : likelihoods; studies beyond `size` raise ValueError.
    outcome : "duration" or "ever_independent": whose priors hold.
    design : moderators, shape (studies, at most `MODERATORS`).
    """
    k = len(table.studies)
    if k > size:
        raise ValueError(f"{k} studies; the model was built for {size}")
    location, precision = np.zeros(size), np.zeros(size)
    location[:k], precision[:k] = summaries(table)
    index = np.zeros(size, dtype=np.int64)
    index[:k] = [CLASSES.index(c) for c in table.classes]
    spread = priors.get(outcome, "tau").scale
    of_mean = precision / (1 + precision * (0.5 * spread) ** 2)
    class_precision, class_location = np.zeros(len(CLASSES)), np.zeros(len(CLASSES))
    np.add.at(class_precision, index[:k], of_mean[:k])
    np.add.at(class_location, index[:k], (of_mean * location)[:k])
    class_location /= np.maximum(class_precision, 1e-12)
    x = np.zeros((size, MODERATORS))
    if design is not None:
        x[:k, : design.shape[1]] = design
    values = np.zeros((size, *table.values.shape[1:]))
    values[:k] = coefficients(table.values)
    grids = (table.eta, THETA, table.cure)
    strides = [s // values.itemsize for s in values.strides]

    def per_value(three):
        """Of the three axes: the first for each study's eta, then one for each shared value."""
        return np.concatenate([np.full(size, three[0]), three[1:]])

    mean, sd = priors.get(outcome, "mu").params
    scales = [priors.get(outcome, name).scale for name in ("tau", "tau_class")]
    return {
        "prior": np.array([mean, sd, *scales, priors.get("ever_independent", "moderator").scale]),
        "location": location,
        "precision": precision,
        "class_location": class_location,
        "class_precision": class_precision,
        "class_index": index,
        "design": x,
        "start": per_value([g[0] for g in grids]),
        "step": per_value([g[1] - g[0] for g in grids]),
        "last": per_value([g.size - 2.0 - 1e-6 for g in grids]),
        "stride": per_value([float(s) for s in strides[1:]]),
        "first": np.arange(size) * strides[0],
        "table": values.ravel(),
    }


def read(values: np.ndarray, table: Table, eta, theta, logit_cure) -> np.ndarray:
    """One study's log likelihood between the nodes of its grid, as the graph reads it.

    Parameters
    ----------
    values : `coefficients` of the study, shape (eta, theta, cure).
    eta, theta, logit_cure : arrays that broadcast against each other.
    """
    where = []
    for value, grid in zip((eta, theta, logit_cure), (table.eta, THETA, table.cure), strict=True):
        x = (np.asarray(value, float) - grid[0]) / (grid[1] - grid[0])
        where.append(np.clip(x, 1.0, grid.size - 2.0 - 1e-6))
    where = np.broadcast_arrays(*where)
    return ndimage.map_coordinates(values, where, order=3, prefilter=False, mode="mirror")


# --- leave one study out ----------------------------------------------------------------------


def predictive(
    table: Table, draws: Mapping[str, np.ndarray], shift: np.ndarray | float = 0.0
) -> np.ndarray:
    """Log likelihood of each study for each draw, its study effect integrated out.

    The class effect is integrated out too where the study is the only one of its class: what
    leaving the study out would leave of it is the prior.

    Parameters
    ----------
    draws : mu, tau, tau_class, theta, logit_cure of shape (n,), class_mean of shape (n, classes).
    shift : the moderators' part of eta, shape (n, studies).

    Returns
    -------
    Array of shape (n, studies), up to a constant for each study.
    """
    location, precision = summaries(table)
    values = coefficients(table.values)
    x = np.linspace(-5.0, 5.0, 41)
    log_w = np.log(x[1] - x[0]) - 0.5 * np.log(2 * np.pi)
    theta, logit_cure = draws["theta"][:, None], draws["logit_cure"][:, None]
    shift = np.broadcast_to(shift, (len(theta), len(table.studies)))
    found = []
    for i, cell_class in enumerate(table.classes):
        if table.classes.count(cell_class) == 1:
            centre, spread = draws["mu"], np.hypot(draws["tau"], draws["tau_class"])
        else:
            centre, spread = draws["class_mean"][:, CLASSES.index(cell_class)], draws["tau"]
        centre, spread = (centre + shift[:, i])[:, None], spread[:, None]
        u, log_prior = standardised(x, centre, spread, location[i], precision[i])
        log_prior = log_prior - 0.5 * np.log(1 + precision[i] * spread**2)
        value = read(values[i], table, centre + spread * u, theta, logit_cure)
        peak = table.values[i].max()
        found.append(special.logsumexp(value + log_prior + log_w, axis=1) + peak)
    return np.column_stack(found) if found else np.zeros((len(theta), 0))


def leave_one_out(log_likelihood: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Expected log predictive density of each study left out, by Pareto-smoothed weights.

    Vehtari, Gelman and Gabry 2017, Stat Comput 27:1413.

    Parameters
    ----------
    log_likelihood : (draws, studies), from `predictive`.

    Returns
    -------
    elpd, pareto_k : each of shape (studies,).
    """
    from arviz_stats.base import array_stats

    if not log_likelihood.shape[1]:
        return np.zeros(0), np.zeros(0)
    log_weights, k = array_stats.psislw(log_likelihood.T, axis=-1)  # it changes the sign itself
    elpd = special.logsumexp(log_weights + log_likelihood.T, axis=1)
    return elpd, np.asarray(k, float)


def stacking(elpd: np.ndarray, draws: int = 20_000, seed: int = 0) -> np.ndarray:
    """Weights of the families by Bayesian stacking.

    The posterior mean of the weights w under a flat prior on the simplex and the score
    sum_i log sum_k w_k exp(elpd_ik) (Yao, Vehtari, Simpson and Gelman 2018, Bayesian Anal 13:917;
    the prior as in Yao et al. 2022, Bayesian Anal 17:1043). With many studies it is the stacking
    optimum; with one or two it stays near equal weights, where the optimum would jump to a corner.

    Parameters
    ----------
    elpd : (studies, families).
    """
    families = elpd.shape[1]
    if not len(elpd):
        return np.full(families, 1 / families)
    w = np.random.default_rng(seed).dirichlet(np.ones(families), draws)
    density = np.exp(elpd - elpd.max(axis=1, keepdims=True))
    score = np.log(w @ density.T).sum(axis=1)
    weight = np.exp(score - score.max())
    return weight @ w / weight.sum()


def stacking_optimum(elpd: np.ndarray) -> np.ndarray:
    """The weights that maximise the score of `stacking`, by expectation-maximisation."""
    families = elpd.shape[1]
    w = np.full(families, 1 / families)
    if not len(elpd):
        return w
    density = np.exp(elpd - elpd.max(axis=1, keepdims=True))
    for _ in range(2000):
        part = w * density
        w = (part / part.sum(axis=1, keepdims=True)).mean(axis=0)
    return w
