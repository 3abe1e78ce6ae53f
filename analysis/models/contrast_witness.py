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
NUMBER = ("real", "var_a", "var_b", "y")
WORDS = ("real", "known", "var_a", "var_b", "log_n_factor")
POINT = (*WORDS, "value", "z", "two_points", "in_z", "edge", "edge_scale")
ONE_SIDED = (*WORDS, "sign", "bound")
TWO_SIDED = (*WORDS, "z_low", "z_high")
BLOCKS = {"number": NUMBER, "point": POINT, "one_sided": ONE_SIDED, "two_sided": TWO_SIDED}
"""Kinds of rows and what is kept of each: numbers with a spread; values and exact p-values whose SD
may have to be learnt; results in words bounded on one side or on both."""
TEACHER = ("real", "var_a", "var_b", "error")


@dataclass(frozen=True)
class Sizes(Packed):
    """Rows a compiled witness has room for, by kind of row; teachers and covariates."""

    rows: dict[str, int]
    teachers: int
    covariates: int

    @classmethod
    def of(cls, tasks: Iterable[Task]) -> Sizes:
        """Room for every one of these tasks, and for one row of each kind at least."""
        rows, teachers, covariates = dict.fromkeys(BLOCKS, 1), 1, 0
        for task in tasks:
            for name, chosen in kinds_of(task).items():
                rows[name] = max(rows[name], int(chosen.sum()))
            teachers = max(teachers, len(task.teachers))
            covariates = max(covariates, len(task.rows.names))
        return cls(rows, teachers, covariates)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        q = self.covariates
        shapes = {"head": (len(HEAD),), "coefficient": (2, q)}
        for name, columns in BLOCKS.items():
            shapes[name] = (len(columns), self.rows[name])
            shapes[f"{name}_x"] = (q, self.rows[name])
        return {**shapes, "teacher": (len(TEACHER), self.teachers)}


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
    rows = task.rows.rows(kinds_of(task)["number"])
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


def kinds_of(task: Task) -> dict[str, np.ndarray]:
    """Which rows are of each of `BLOCKS`; an interval without ends is of none."""
    rows = task.rows
    number = rows.has_spread & (rows.kind == "numeric")
    interval = rows.kind == "interval"
    open_ends = np.isneginf(rows.z_low).astype(int) + np.isposinf(rows.z_high)
    return {
        "number": number,
        "point": ~number & ~interval,
        "one_sided": interval & (open_ends == 1),
        "two_sided": interval & (open_ends == 0),
    }


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
    for name, chosen in kinds_of(task).items():
        block = rows.rows(chosen)
        columns = _columns(block)
        parts[name] = np.array([columns[one] for one in BLOCKS[name]]).reshape(
            len(BLOCKS[name]), len(block)
        )
        parts[f"{name}_x"] = block.covariates.T
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
        columns = (BLOCKS | {"teacher": TEACHER}).get(name, ())
        for harmless in {"var_a", "z_high"} & set(columns):
            room[columns.index(harmless)] = 1.0
        room[tuple(slice(0, n) for n in part.shape)] = part
        vector[start : start + room.size] = room.ravel()
    return vector


def _columns(rows: Contrasts) -> dict[str, np.ndarray]:
    """Every column of `BLOCKS` for some rows."""
    known, kind = rows.has_spread, rows.kind
    at_z = (kind == "exact_p") | (kind == "two_points")
    low_open = np.isneginf(rows.z_low)
    low, high, width = rows.log_se_bounds()
    columns = {
        "real": np.ones(len(rows)),
        "known": known,
        "var_a": np.where(known, rows.var_a, 1.0),
        "var_b": np.where(known, rows.var_b, 0.0),
        "log_n_factor": np.log(np.where(known, 1.0, rows.n_factor)),
        "y": rows.y,
        "value": np.where(at_z, 0.0, rows.y),
        "z": np.where(at_z, rows.z_high, 0.0),
        "two_points": kind == "two_points",
        "in_z": at_z,
        "sign": np.where(low_open, 1.0, -1.0),
        "bound": np.where(low_open, rows.z_high, rows.z_low),
        "z_low": rows.z_low,
        "z_high": rows.z_high,
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

    layout = sizes.layout()
    q = sizes.covariates
    with pm.Model() as model:
        # A placeholder: every variance and prior scale is one.
        vector = pm.Data("packed", np.ones(sizes.length))

        def part(name: str):
            start, shape = layout[name]
            return vector[start : start + int(np.prod(shape))].reshape(shape)

        def columns(name: str, names: tuple[str, ...]) -> dict:
            block = part(name)
            return {one: block[i] for i, one in enumerate(names)}

        head = columns("head", HEAD)
        rows = {name: columns(name, names) for name, names in BLOCKS.items()}
        teachers = columns("teacher", TEACHER)

        # Scaled outside of PyMC's named quantities: what is not drawn need not be compiled twice.
        tau = head["tau_scale"] * pm.HalfNormal("tau_z", 1)
        m = head["log_sd_mean"] + head["log_sd_sd"] * pm.Normal("log_sd_z", 0, 1)
        s = head["log_sd_spread"] * pm.HalfNormal("log_sd_spread_z", 1)
        free = pm.TruncatedNormal("r", head["r_mean"], head["r_sd"], lower=-R_LIMIT, upper=R_LIMIT)
        r = head["r_fixed"] * head["r_value"] + (1 - head["r_fixed"]) * free
        shift = dict.fromkeys(BLOCKS, 0.0)
        if q:
            mean, sd = part("coefficient")[0], part("coefficient")[1]
            beta = mean + sd * pm.Normal("beta_z", 0, 1, shape=q)
            shift = {name: pt.dot(beta, part(f"{name}_x")) for name in BLOCKS}

        numbers = rows["number"]
        total2 = numbers["var_a"] - r * numbers["var_b"] + tau**2
        y = numbers["y"] - shift["number"]
        mean, sd = head["mu_mean"], head["mu_sd"]
        centre, precision = given_numbers(y, total2, numbers["real"], mean, sd)
        mu_z = pm.Normal("mu_z", 0, 1)
        mu = centre + mu_z / pt.sqrt(precision)
        eta = {name: mu + shift[name] for name in BLOCKS}
        value = -0.5 * ((y - mu) ** 2 / total2 + pt.log(total2))
        # The density of mu is its prior's: that of the deviate out, the change of variables in.
        density = 0.5 * mu_z**2 - 0.5 * ((mu - mean) / sd) ** 2 - 0.5 * pt.log(precision)
        pm.Potential("numbers", (numbers["real"] * value).sum() + density)
        pm.Potential("learnt", _learnt(rows, eta, tau, r, m, s))
        width2 = s**2 + teachers["error"] + (1 - teachers["real"])
        seen = 0.5 * pt.log(teachers["var_a"] - r * teachers["var_b"])
        learnt = -0.5 * ((seen - m) ** 2 / width2 + pt.log(width2))
        pm.Potential("teachers", (teachers["real"] * learnt).sum())
    return model


def _learnt(rows: dict, eta: dict, tau, r, m, s):
    """Log likelihood of rows whose SE has an SD to be learnt (or is known), summed."""
    import pytensor.tensor as pt

    kinds = ("point", "one_sided", "two_sided")
    shared = {name: pt.concatenate([rows[kind][name] for kind in kinds])[:, None] for name in WORDS}
    log_known = 0.5 * pt.log(shared["var_a"] - r * shared["var_b"])
    log_learnt = m + s * NODES[None, :] + 0.5 * shared["log_n_factor"]
    log_se = shared["known"] * log_known + (1 - shared["known"]) * log_learnt
    se = pt.exp(log_se)
    total2 = se**2 + tau**2

    sizes = [rows[kind]["real"].type.shape[0] for kind in kinds]
    first, second = sizes[0], sizes[0] + sizes[1]
    part = {"point": slice(0, first), "one_sided": slice(first, second),
            "two_sided": slice(second, None)}  # fmt: skip
    mean = {kind: eta[kind][:, None] if eta[kind].ndim else eta[kind] for kind in kinds}

    def z(kind: str, column: str):
        """A bound on z as a standard normal deviate of y."""
        at = part[kind]
        bound = rows[kind][column][:, None] * se[at]
        return (bound - mean[kind]) / pt.sqrt(total2[at])

    sign = rows["one_sided"]["sign"][:, None]
    low, high = z("two_sided", "z_low"), z("two_sided", "z_high")
    flip = low + high > 0
    edge, scale = (rows["point"][name][:, None] for name in ("edge", "edge_scale"))
    deviates = [sign * z("one_sided", "bound"), pt.switch(flip, -low, high),
                pt.switch(flip, -high, low), scale * (edge - log_se[:first])]  # fmt: skip
    log_cdf = _log_normal_cdf(pt.concatenate(deviates))
    n, k = sizes[1], sizes[2]
    upper, lower, bound = log_cdf[n : n + k], log_cdf[n + k : n + 2 * k], log_cdf[n + 2 * k :]
    log_row = [
        _log_point(rows["point"], log_se[:first], total2[:first], mean["point"]) + bound,
        log_cdf[:n],
        upper + pt.log1mexp(lower - upper),
    ]
    weight = np.exp(-0.5 * NODES**2)
    log_weight = np.log(weight / weight.sum())[None, :]
    by_row = pt.logsumexp(pt.concatenate(log_row) + log_weight, axis=1)
    return (shared["real"][:, 0] * by_row).sum()


def _log_point(rows: dict, log_se, total2, eta):
    """A value, or z times the standard error; of two points the mean of both, by log cosh."""
    import pytensor.tensor as pt

    rows = {name: column[:, None] for name, column in rows.items()}
    value = rows["value"] + rows["z"] * pt.exp(log_se)
    cross = value * eta / total2
    both = pt.softplus(2 * cross) - cross - np.log(2.0)
    cross = (1 - rows["two_points"]) * cross + rows["two_points"] * both
    square = -0.5 * ((value**2 + eta**2) / total2 + pt.log(total2))
    return cross + square + rows["in_z"] * log_se
