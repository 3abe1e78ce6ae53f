"""NUTS as the witness of `exact.contrasts`: the same posterior, sampled by PyMC.

The numbers of the report come from quadrature. Here the same task (rows, teachers, priors, choices)
is sampled and compared by `models.compare`: a difference beyond Monte-Carlo error stops the run, a
fit that fails its gate is a witness that did not testify.

Studies' own effects are integrated out in closed form, and the log SD of a study without a spread
over even nodes of its normal, so that a posterior has five parameters whatever the number of
studies: mu, tau, the pre-post correlation r, and m and s of the log SDs (and one for each
covariate). mu is sampled as its distance from what the printed numbers say of it given tau and r
(`given_numbers`), in units of that conditional SD: one very precise study beside a vague one would
otherwise make a funnel of mu and tau. No term has a kink or a clip, and padding carries no
parameter. All data are one vector, sliced inside the graph, which is compiled once for many
posteriors.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np

from analysis.exact.contrast_data import R_LIMIT, Contrasts
from analysis.exact.contrast_grid import Task
from analysis.exact.contrasts import ContrastPosterior
from analysis.exact.priors import HalfNormal
from analysis.models.compare import figures_of
from analysis.models.geometry import Packed
from analysis.models.sampling import compile_model
from analysis.models.witnesses import Quantities, Witness

NODES = 0.7 * np.arange(-6, 7)  # of a standard normal log SD: beyond 4.2 SDs lie three in 1e5
HEAD = ("mu_mean", "mu_sd", "tau_scale", "r_mean", "r_sd", "r_fixed", "r_value", "log_sd_mean",
        "log_sd_sd", "log_sd_spread")  # fmt: skip
ROW = ("real", "number", "known", "var_a", "var_b", "log_n_factor", "value", "z", "two_points",
       "in_z", "interval", "z_low", "z_high", "open_low", "open_high", "edge",
       "edge_scale")  # fmt: skip
"""What is kept of each row. All rows go through one formula, in which what a row does not have
counts nothing: a graph of few steps compiles in half of the time of one with a branch a kind."""
TEACHER = ("real", "var_a", "var_b", "error")
LOG_WEIGHTS = -0.5 * NODES**2 - np.log(np.exp(-0.5 * NODES**2).sum())
HARMLESS = {"row": ("var_a", "open_low"), "teacher": ("var_a",)}
"""Columns in which padding holds a one, so that its formula is finite before it counts nothing."""
FAR = 40.0  # standard deviations beyond the other end: the end of an interval that is open


@dataclass(frozen=True)
class Sizes(Packed):
    """Rows a compiled witness has room for; teachers and covariates."""

    rows: int
    teachers: int
    covariates: int

    @classmethod
    def of(cls, tasks: Iterable[Task]) -> Sizes:
        """Room for every one of these tasks, and for one row at least."""
        rows, teachers, covariates = 1, 1, 0
        for task in tasks:
            rows = max(rows, len(task.rows))
            teachers = max(teachers, len(task.teachers))
            covariates = max(covariates, len(task.rows.names))
        return cls(rows, teachers, covariates)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        q = self.covariates
        return {
            "head": (len(HEAD),),
            "coefficient": (2, q),
            "row": (len(ROW), 1, self.rows),  # beside a column of nodes
            "x": (q, self.rows),
            "teacher": (len(TEACHER), self.teachers),
        }


def compile_witness(posteriors: Iterable[ContrastPosterior]) -> Witness:
    """One compiled graph that has room for all of these posteriors.

    Parameters
    ----------
    posteriors : of contrasts, by quadrature.
    """
    sizes = Sizes.of(posterior.task for posterior in posteriors)
    sampler = compile_model(partial(build, sizes), "witness")

    def pack(posterior: ContrastPosterior, room: Sizes) -> np.ndarray:
        return packed(posterior.task, room)

    return Witness(sampler, sizes, pack, _cannot, _quantities)


def _quantities(
    posterior: ContrastPosterior, drawn: dict[str, np.ndarray], rng: np.random.Generator
) -> Quantities:
    tau = float(posterior.task.prior.tau.scale) * drawn["tau_z"]
    mu = _mean_effect(posterior.task, drawn, tau)
    new = mu + tau * rng.standard_normal(mu.shape)
    return {
        "mu": (figures_of(posterior.mu), mu),
        "tau": (figures_of(posterior.tau), tau),
        "predictive": (figures_of(posterior.predictive), new),
    }


def given_numbers(y, total2, real, mean, sd):
    """Centre and precision of mu given the numbers, whose total variances are known.

    The normal that the prior N(mean, sd^2) and the values y ~ N(mu, total2) make; `real` is zero
    for padding. Rows are the last axis; NumPy arrays or symbolic expressions.

    Parameters
    ----------
    y, total2, real : (..., k) values, their total variances, and 1 (0 for padding).
    mean, sd : of the normal prior.

    Returns
    -------
    centre, precision : (...).
    """
    weight = real / total2
    precision = 1 / sd**2 + weight.sum(axis=-1)
    return (mean / sd**2 + (weight * y).sum(axis=-1)) / precision, precision


def _mean_effect(task: Task, drawn: dict[str, np.ndarray], tau: np.ndarray) -> np.ndarray:
    """mu of every draw, from the standard deviate that was sampled (`given_numbers`)."""
    assert task.prior.mu is not None
    rows = task.rows.rows(numbers_of(task.rows))
    r = drawn["r"] if task.r is None else np.full(tau.shape, task.r)
    y = np.broadcast_to(rows.y, (*tau.shape, len(rows)))
    if rows.names:
        own = [task.prior.coefficients[name] for name in rows.names]
        beta = [float(one.mean) for one in own] + [float(one.sd) for one in own] * drawn["beta_z"]
        y = y - beta @ rows.covariates.T
    total2 = rows.var_a - r[..., None] * rows.var_b + tau[..., None] ** 2
    mean, sd = float(task.prior.mu.mean), float(task.prior.mu.sd)
    centre, precision = given_numbers(y, total2, 1.0, mean, sd)
    return centre + drawn["mu_z"] / np.sqrt(precision)


def _cannot(posterior: ContrastPosterior) -> str:
    """Why a posterior has no witness here, or ""."""
    task = posterior.task
    if task.robust:
        return "heavy-tailed effects are not sampled"
    if not isinstance(task.prior.tau, HalfNormal):
        return "only a half-normal prior of tau is sampled"
    low, high, _ = task.rows.log_se_bounds()
    if (np.isfinite(low) & np.isfinite(high)).any():
        return "a number whose p-value is bounded on both sides is not sampled"
    if task.prior.mu is None:
        return "a flat prior of the mean is not sampled"
    return ""


def numbers_of(rows: Contrasts) -> np.ndarray:
    """Which rows are numbers with a spread, (k,)."""
    return rows.has_spread & (rows.kind == "numeric")


def packed(task: Task, sizes: Sizes) -> np.ndarray:
    """The task as one vector; padding has `real` = 0 and harmless values.

    Parameters
    ----------
    task : what the quadrature solves.
    sizes : of the compiled graph.

    Raises
    ------
    ValueError : the task has more rows than the compiled graph has room for.
    """
    prior, rows = task.prior, task.rows
    assert isinstance(prior.tau, HalfNormal) and prior.mu is not None
    q = len(rows.names)
    head = dict(zip(HEAD, (
        float(prior.mu.mean), float(prior.mu.sd), float(prior.tau.scale), *prior.r,
        float(task.r is not None), 0.0 if task.r is None else task.r,
        float(prior.log_sd.mean), float(prior.log_sd.sd), prior.log_sd_spread,
    ), strict=True))  # fmt: skip
    own = {name: prior.coefficients[name] for name in rows.names}
    parts = {
        "head": np.array(list(head.values())),
        "coefficient": np.array(
            [[float(one.mean) for one in own.values()], [float(one.sd) for one in own.values()]]
        ).reshape(2, q),
    }
    columns = _columns(rows)
    parts["row"] = np.array([columns[name] for name in ROW])[:, None]
    parts["x"] = rows.covariates.T
    teach = task.teachers
    parts["teacher"] = np.array(
        [np.ones(len(teach)), teach.var_a / teach.n_factor, teach.var_b / teach.n_factor,
         teach.seen_log_sd(np.zeros(1))[1]]
    )  # fmt: skip
    layout = sizes.layout()
    vector = np.zeros(sizes.length)
    for name, (start, shape) in layout.items():
        part = parts[name]
        if any(have > room for have, room in zip(part.shape, shape, strict=True)):
            raise ValueError(
                f"the witness has room for {shape[-1]} of {name}, not {part.shape[-1]}"
            )
        room = np.zeros(shape)
        for column in HARMLESS.get(name, ()):
            room[(ROW if name == "row" else TEACHER).index(column)] = 1.0
        room[tuple(slice(0, n) for n in part.shape)] = part
        vector[start : start + room.size] = room.ravel()
    return vector


def _columns(rows: Contrasts) -> dict[str, np.ndarray]:
    """Every column of `ROW` for some rows; an interval without ends counts nothing."""
    known, kind = rows.has_spread, rows.kind
    at_z = (kind == "exact_p") | (kind == "two_points")
    interval = kind == "interval"
    low_open, high_open = np.isneginf(rows.z_low), np.isposinf(rows.z_high)
    low, high, width = rows.log_se_bounds()
    columns = {
        "real": ~(interval & low_open & high_open),
        "number": numbers_of(rows),
        "known": known,
        "var_a": np.where(known, rows.var_a, 1.0),
        "var_b": np.where(known, rows.var_b, 0.0),
        "log_n_factor": np.log(np.where(known, 1.0, rows.n_factor)),
        "value": np.where(at_z | interval, 0.0, rows.y),
        "z": np.where(at_z, rows.z_high, 0.0),
        "two_points": kind == "two_points",
        "in_z": at_z,
        "interval": interval,
        "z_low": np.where(interval & ~low_open, rows.z_low, 0.0),
        "z_high": np.where(interval & ~high_open, rows.z_high, 0.0),
        "open_low": ~interval | low_open,
        "open_high": high_open,
        # Phi(edge_scale (edge - log SE)) is the probability of a bound on p; one half: no bound.
        "edge": np.where(np.isfinite(high), high, np.where(np.isfinite(low), low, 0.0)),
        "edge_scale": (np.isfinite(high).astype(float) - np.isfinite(low)) / width,
    }
    return {name: np.asarray(column, dtype=float) for name, column in columns.items()}


def _log_normal_cdf(x):
    """log Phi(x) as a symbolic expression of functions that compile to fast native code.

    Above -12 by the complementary error function; below by the asymptotic series of Mills' ratio
    (Abramowitz and Stegun 26.2.12), whose relative error there is under 2e-8.
    """
    import pytensor.tensor as pt

    near, far = pt.maximum(x, -12.0), pt.minimum(x, -12.0)
    inverse = 1 / far**2
    series = inverse * (-1 + inverse * (3 + inverse * (-15 + inverse * 105)))
    tail = -0.5 * far**2 - pt.log(-far) - 0.5 * np.log(2 * np.pi) + pt.log1p(series)
    return pt.switch(x > -12.0, pt.log(0.5 * pt.erfc(-near / np.sqrt(2))), tail)


def build(sizes: Sizes):
    """The PyMC model; its only data is the vector "packed" (`packed`)."""
    import pymc as pm
    import pytensor.tensor as pt

    q = sizes.covariates
    with pm.Model() as model:
        # A placeholder: every variance and prior scale is one.
        vector = pm.Data("packed", np.ones(sizes.length))

        head = sizes.columns(vector, "head", HEAD)
        rows = sizes.columns(vector, "row", ROW)
        teachers = sizes.columns(vector, "teacher", TEACHER)

        # Scaled outside of PyMC's named quantities: what is not drawn need not be compiled twice.
        tau = head["tau_scale"] * pm.HalfNormal("tau_z", 1)
        m = head["log_sd_mean"] + head["log_sd_sd"] * pm.Normal("log_sd_z", 0, 1)
        s = head["log_sd_spread"] * pm.HalfNormal("log_sd_spread_z", 1)
        free = pm.TruncatedNormal("r", head["r_mean"], head["r_sd"], lower=-R_LIMIT, upper=R_LIMIT)
        r = head["r_fixed"] * head["r_value"] + (1 - head["r_fixed"]) * free
        shift = 0.0
        if q:
            mean, sd = sizes.columns(vector, "coefficient", ("mean", "sd")).values()
            beta = mean + sd * pm.Normal("beta_z", 0, 1, shape=q)
            shift = pt.dot(beta, sizes.part(vector, "x"))

        known2 = rows["var_a"] - r * rows["var_b"]
        mean, sd = head["mu_mean"], head["mu_sd"]
        centre, precision = given_numbers(
            rows["value"] - shift, known2 + tau**2, rows["number"], mean, sd
        )
        mu_z = pm.Normal("mu_z", 0, 1)
        mu = centre + mu_z / pt.sqrt(precision)
        # The density of mu is its prior's: that of the deviate out, the change of variables in.
        density = 0.5 * mu_z**2 - 0.5 * ((mu - mean) / sd) ** 2 - 0.5 * pt.log(precision)
        log_learnt = m + s * NODES[:, None] + 0.5 * rows["log_n_factor"]
        log_se = pt.switch(rows["known"] > 0.5, 0.5 * pt.log(known2), log_learnt)
        by_node = _log_row(rows, mu + shift, log_se, tau) + LOG_WEIGHTS[:, None]
        by_row = pt.logsumexp(by_node, axis=0)
        pm.Potential("rows", (rows["real"][0] * by_row).sum() + density.sum())

        width2 = s**2 + teachers["error"] + (1 - teachers["real"])
        seen = 0.5 * pt.log(teachers["var_a"] - r * teachers["var_b"])
        learnt = -0.5 * ((seen - m) ** 2 / width2 + pt.log(width2))
        pm.Potential("teachers", (teachers["real"] * learnt).sum())
    return model


def _log_row(rows: dict, eta, log_se, tau):
    """Log likelihood of each row at each node of its log SE, (nodes, rows).

    A value, or z times the standard error (of two points the mean of both, by log cosh), and the
    bound on its SE; or the probability of an interval of z. With Phi(h) - Phi(l) both ends are
    turned to the lower tail, where it is precise; a bound is an interval with one end open.
    """
    import pytensor.tensor as pt

    se = pt.exp(log_se)
    total2 = se**2 + tau**2
    value = rows["value"] + rows["z"] * se
    cross = value * eta / total2
    both = pt.softplus(2 * cross) - cross - np.log(2.0)
    cross = (1 - rows["two_points"]) * cross + rows["two_points"] * both
    square = -0.5 * ((value**2 + eta**2) / total2 + pt.log(total2))
    point = (1 - rows["interval"]) * (cross + square + rows["in_z"] * log_se)

    total = pt.sqrt(total2)
    low = (1 - rows["open_low"]) * (rows["z_low"] * se - eta) / total
    high = (1 - rows["open_high"]) * (rows["z_high"] * se - eta) / total
    high = high + rows["open_high"] * (FAR + pt.maximum(low, 0.0))
    bound = rows["edge_scale"] * (rows["edge"] - log_se)
    high = rows["interval"] * high + (1 - rows["interval"]) * bound
    low = low - rows["open_low"] * (FAR - pt.minimum(high, 0.0))
    flip = high + low > 0
    upper = _log_normal_cdf(pt.switch(flip, -low, high))
    lower = _log_normal_cdf(pt.switch(flip, -high, low))
    return point + upper + pt.log1mexp(lower - upper)
