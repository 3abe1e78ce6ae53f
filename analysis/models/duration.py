"""How long insulin independence lasts: one likelihood over every kind of published fact.

`arrays` turns the facts of `durations.layer` into numbers, `model` builds the one graph in which
data, family, class effects and study weights are all `pm.Data`, so that six families and all
leave-one-out refits share one compilation. `study_log_likelihood` is the same likelihood in numpy,
for the study-level predictive density (study and class effects integrated out) and for tests.

A study's log median duration is eta = mu + class effect + study effect. A fact "between a and b"
contributes log(S(a) - S(b)), an order statistic log f(t), "the longest of k at least b, all at
least a" log(S(a)^k - (S(a) - S(b))^k), a mean a normal density around the restricted mean. Where
the number ever independent is unknown, a patient counts through the probability of becoming free.
Times from treatment are averaged over the onset of independence.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy import special

from analysis import priors, vocabulary
from analysis.models.families import FAMILIES, NUMPY, _FAMILY, log_survival, pytensor_ops

CLASSES = tuple(vocabulary.CELL_CLASSES)
"""Class effects are laid out in the order of the vocabulary; a class without facts is prior."""

SHORTEST = 0.05
"""Months; times are not taken below this."""

_FAR = 1e3
_NEVER = -1e9
_MEAN_NODES = 24


@dataclass(frozen=True)
class Arrays:
    """The facts as numbers. `data` maps each `pm.Data` name to its value."""

    studies: tuple[str, ...]
    classes: tuple[str, ...]
    size: int
    data: dict[str, np.ndarray]


def onset_nodes(n: int = 3) -> np.ndarray:
    """`n` equally likely onsets, months: the mid-quantiles of the onset distribution."""
    mean, sd = priors.get("duration", "onset").params
    return np.exp(mean + sd * special.ndtri((np.arange(n) + 0.5) / n))


def padded(n: int, smallest: int = 16) -> int:
    """The size a dimension of `n` is padded to: a power of two times `smallest`."""
    size = smallest
    while size < n:
        size *= 2
    return size


def arrays(facts: pd.DataFrame, ever_logit: dict[str, tuple[float, float]] | None = None) -> Arrays:
    """The facts as arrays for the graph.

    Parameters
    ----------
    facts : table of `durations.layer`.
    ever_logit : for studies with `through_ever` facts, mean and SD of the logit of the probability
        of ever becoming free; the prior of the ever model where a study is missing.
    """
    studies = tuple(dict.fromkeys(facts["study_id"]))
    size = padded(max(len(studies), 1))
    position = {study: i for i, study in enumerate(studies)}
    class_of = dict(zip(facts["study_id"], facts["cell_class"], strict=True))
    book = _Points()
    mass, density, top, mean, unresolved = [], [], [], [], []
    through_count = np.zeros(size)
    for fact in facts.to_dict("records"):
        s = position[fact["study_id"]]
        origin = fact["time_origin"] == "treatment"
        low, high, count = fact["low"], fact["high"], fact["count"]
        at = lambda t, s=s, origin=origin: book.index(t, s, origin)  # noqa: E731
        kind = fact["kind"]
        if fact["through_ever"] and kind != "unresolved":
            through_count[s] += count
        if kind == "right_censored":
            mass.append((at(low), at(low), low <= 0, True, count, s))
        elif kind in ("interval", "landmark", "order_between"):
            far = not np.isfinite(high)
            mass.append((at(low), at(low if far else high), low <= 0, far, count, s))
        elif kind in ("exact", "order_statistic"):
            density.append((at(low), count, s))
        elif kind == "order_top":
            top.append((at(low), at(high), low <= 0, count, s))
        elif kind == "mean":
            nodes, weights = _legendre(high)
            mean.append(([at(t) for t in nodes], nodes, weights, low, count, s))
        elif kind == "unresolved":
            unresolved.append((at(high), int(count), int(fact["min_ever"]), s))
        else:
            raise ValueError(f"unknown kind of fact: {kind}")
    prior = _ever_prior()
    chosen = [(ever_logit or {}).get(study, prior) for study in studies]
    chosen += [prior] * (size - len(studies))
    class_index = [CLASSES.index(class_of[study]) for study in studies]
    book.index(1.0, 0, False)
    data = {
        **book.data(),
        **_mass_data(mass),
        **_density_data(density),
        **_top_data(top),
        **_mean_data(mean),
        **_unresolved_data(unresolved),
        "through_count": through_count,
        "ever_mean": np.array([m for m, _ in chosen], float),
        "ever_sd": np.array([sd for _, sd in chosen], float),
        "study_class": np.array(class_index + [0] * (size - len(studies)), np.int64),
        "study_weight": np.ones(size),
    }
    return Arrays(studies, tuple(class_of[study] for study in studies), size, data)


class _Points:
    """The distinct times (with study and origin) at which a survival curve is needed."""

    def __init__(self):
        self._known: dict[tuple[float, int, bool], int] = {}

    def index(self, t: float, study: int, origin: bool) -> int:
        return self._known.setdefault((float(t), study, bool(origin)), len(self._known))

    def data(self) -> dict[str, np.ndarray]:
        keys = list(self._known)
        t = np.array([k[0] for k in keys])
        origin = np.array([k[2] for k in keys], float)
        since = t[:, None] - origin[:, None] * onset_nodes()[None, :]
        return {
            "point_log_t": np.log(np.maximum(since, SHORTEST)),
            "point_study": np.array([k[1] for k in keys], np.int64),
        }


def _column(rows, i, kind=np.int64, empty=0):
    """Column `i` of a list of tuples; one neutral entry when the list is empty."""
    return np.array([row[i] for row in rows] or [empty], kind)


def _mass_data(rows):
    return {
        "mass_a": _column(rows, 0),
        "mass_b": _column(rows, 1),
        "mass_zero": _column(rows, 2, float, 1.0),
        "mass_far": _column(rows, 3, float, 1.0),
        "mass_count": _column(rows, 4, float, 0.0),
        "mass_study": _column(rows, 5),
    }


def _density_data(rows):
    return {
        "density_at": _column(rows, 0),
        "density_count": _column(rows, 1, float, 0.0),
        "density_study": _column(rows, 2),
    }


def _top_data(rows):
    return {
        "top_a": _column(rows, 0),
        "top_b": _column(rows, 1),
        "top_zero": _column(rows, 2, float, 1.0),
        "top_size": _column(rows, 3, float, 1.0),
        "top_on": np.array([1.0] * len(rows) or [0.0]),
        "top_study": _column(rows, 4),
    }


def _mean_data(rows):
    blank = np.zeros((1, _MEAN_NODES))
    return {
        "mean_at": np.array([r[0] for r in rows] or blank, np.int64),
        "mean_t": np.array([r[1] for r in rows] or blank + 1.0, float),
        "mean_node": np.array([r[2] for r in rows] or blank + 1.0 / _MEAN_NODES, float),
        "mean_value": _column(rows, 3, float, 1.0),
        "mean_size": _column(rows, 4, float, 1.0),
        "mean_on": np.array([1.0] * len(rows) or [0.0]),
        "mean_study": _column(rows, 5),
    }


def _unresolved_data(rows):
    width = max([row[1] for row in rows], default=0) + 1
    steps = np.arange(width)
    coefficients = [_log_choose(r, least, steps) for _, r, least, _ in rows]
    return {
        "unresolved_at": _column(rows, 0),
        "unresolved_size": _column(rows, 1, float, 0.0),
        "unresolved_log_choose": np.array(coefficients or [np.zeros(width)], float),
        "unresolved_on": np.array([1.0] * len(rows) or [0.0]),
        "unresolved_study": _column(rows, 3),
    }


def _log_choose(r: int, least: int, steps: np.ndarray) -> np.ndarray:
    """log of r choose j for j from `least` to r; elsewhere impossible."""
    with np.errstate(all="ignore"):
        value = special.gammaln(r + 1) - special.gammaln(steps + 1) - special.gammaln(r - steps + 1)
    return np.where((steps >= least) & (steps <= r), value, _NEVER)


def _legendre(limit: float) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes and weights on 0 to `limit` months."""
    x, w = np.polynomial.legendre.leggauss(_MEAN_NODES)
    return 0.5 * limit * (x + 1.0), 0.5 * limit * w


def _ever_prior() -> tuple[float, float]:
    """Mean and SD of the logit of ever becoming free for a new study, a priori."""
    mean, sd = priors.get("ever_independent", "mu").params
    spreads = [priors.get("ever_independent", name).scale for name in ("tau", "tau_class")]
    return mean, float(np.sqrt(sd**2 + sum(x**2 for x in spreads)))


# --- the graph --------------------------------------------------------------------------------


@lru_cache(maxsize=4)
def sampler(size: int):
    """The compiled graph for up to `size` studies, kept in the process."""
    from analysis.models import sampling

    return sampling.compile_model(model(size), "duration of independence")


def model(size: int):
    """The PyMC model for up to `size` studies, with neutral data in every `pm.Data`."""
    import pymc as pm
    import pytensor.tensor as pt

    xp = pytensor_ops()
    blank = arrays(_neutral_facts())
    with pm.Model() as graph:
        d = {
            name: pm.Data(name, _resize(name, value, size)) for name, value in blank.data.items()
        }
        indicator = pm.Data("family", family_indicator("weibull"))
        mu = pm.Normal("mu", *priors.get("duration", "mu").params)
        tau = pm.HalfNormal("tau", priors.get("duration", "tau").scale)
        tau_class = pm.HalfNormal("tau_class", priors.get("duration", "tau_class").scale)
        theta = pm.Normal("theta", *priors.get("duration", "log_shape").params)
        logit_cure = pm.Normal("logit_cure", *priors.get("duration", "logit_cure").params)
        cure = pm.Deterministic("cure", pm.math.sigmoid(logit_cure))
        class_z = pm.Normal("class_z", 0, 1, shape=len(CLASSES))
        study_z = pm.Normal("study_z", 0, 1, shape=size)
        ever_z = pm.Normal("ever_z", 0, 1, shape=size)

        eta = mu + tau_class * class_z[d["study_class"]] + tau * study_z
        logit_ever = d["ever_mean"] + d["ever_sd"] * ever_z
        log_ever, log_never = -pt.softplus(-logit_ever), -pt.softplus(logit_ever)

        log_t = d["point_log_t"]
        y = log_t - eta[d["point_study"]][:, None]
        both = [_FAMILY[family](y, theta, cure, xp) for family in FAMILIES]
        survival = sum(indicator[i] * b[0] for i, b in enumerate(both))
        slope = sum(indicator[i] * b[1] for i, b in enumerate(both)) - log_t
        log_nodes = float(np.log(onset_nodes().size))
        log_s = pt.logsumexp(survival, axis=1) - log_nodes
        log_f = pt.logsumexp(slope, axis=1) - log_nodes

        w = d["study_weight"]
        a = (1 - d["mass_zero"]) * log_s[d["mass_a"]]
        gap = _FAR * d["mass_far"] + (1 - d["mass_far"]) * (a - log_s[d["mass_b"]])
        mass = d["mass_count"] * (a + _log1mexp(gap, xp)) * w[d["mass_study"]]

        density = d["density_count"] * log_f[d["density_at"]] * w[d["density_study"]]

        a = (1 - d["top_zero"]) * log_s[d["top_a"]]
        short = _log1mexp(a - log_s[d["top_b"]], xp)
        top = d["top_size"] * a + _log1mexp(-d["top_size"] * short, xp)
        top = d["top_on"] * top * w[d["top_study"]]

        s = pt.exp(log_s[d["mean_at"]]) * d["mean_node"]
        restricted = s.sum(axis=1)
        variance = 2.0 * (s * d["mean_t"]).sum(axis=1) - restricted**2
        reading = priors.get("duration", "mean_reading").scale
        spread2 = pt.maximum(variance, 1e-6) / restricted**2 / d["mean_size"] + reading**2
        off = pt.log(d["mean_value"]) - pt.log(restricted)
        mean = -0.5 * off**2 / spread2 - 0.5 * pt.log(spread2)
        mean = d["mean_on"] * mean * w[d["mean_study"]]

        at = d["unresolved_study"]
        gone = _log1mexp(-log_s[d["unresolved_at"]], xp)
        steps = pt.arange(d["unresolved_log_choose"].shape[1])[None, :]
        left = pt.maximum(d["unresolved_size"][:, None] - steps, 0)
        ways = (
            d["unresolved_log_choose"]
            + steps * (log_ever[at] + gone)[:, None]
            + left * log_never[at][:, None]
        )
        unresolved = d["unresolved_on"] * pt.logsumexp(ways, axis=1) * w[at]
        through = d["through_count"] * log_ever * w
        pm.Potential(
            "facts",
            mass.sum() + density.sum() + top.sum() + mean.sum() + unresolved.sum() + through.sum(),
        )
    return graph


def _log1mexp(gap, xp):
    """log(1 - e^-gap) for gap > 0, stable at both ends (Maechler 2012)."""
    gap = xp.maximum(gap, 1e-10)
    small = xp.log(-xp.expm1(-xp.minimum(gap, 1.0)))
    large = xp.log1p(-xp.exp(-xp.maximum(gap, 0.5)))
    return xp.where(gap < 0.69, small, large)


def _neutral_facts() -> pd.DataFrame:
    """One fact of no content, to give every array a shape."""
    return pd.DataFrame(
        {
            "study_id": ["none"], "cell_class": [CLASSES[0]], "kind": ["right_censored"],
            "low": [SHORTEST], "high": [np.inf], "count": [0.0], "time_origin": ["independence"],
            "through_ever": [False], "min_ever": [0],
        }
    )  # fmt: skip


_PER_STUDY = ("through_count", "ever_mean", "ever_sd", "study_class", "study_weight")


def _resize(name, value, size):
    return np.resize(value, size) if name in _PER_STUDY else value


def family_indicator(family: str) -> np.ndarray:
    """One for the family, zero for the others, in the order of `FAMILIES`."""
    return np.array([float(name == family) for name in FAMILIES])


def fit(
    data: Arrays,
    family: str,
    *,
    seed: int,
    without: str = "",
    draws: int = 1000,
    tune: int = 1000,
    gate: bool = True,
    name: str = "",
):
    """Sample the posterior of one family; `without` leaves one study out.

    Raises `sampling.DiagnosticError` when the fit fails the gate.
    """
    values = {**data.data, "family": family_indicator(family)}
    if without:
        weight = values["study_weight"].copy()
        weight[data.studies.index(without)] = 0.0
        values["study_weight"] = weight
    label = name or f"duration {family}" + (f" without {without}" if without else "")
    return sampler(data.size).fit(
        label, seed=seed, data=values, draws=draws, tune=tune, gate=gate, target_accept=0.95
    )


# --- the same likelihood in numpy ---------------------------------------------------------------


def study_log_likelihood(facts, family: str, eta, theta, cure, logit_ever=0.0) -> np.ndarray:
    """Log likelihood of the facts of one study.

    Parameters
    ----------
    facts : rows of `durations.layer` of one study.
    eta, theta, cure, logit_ever : arrays that broadcast against each other.

    Returns
    -------
    Array of their common shape. Constants that no parameter touches are left out, as in the graph.
    """
    eta, theta, cure, logit_ever = np.broadcast_arrays(eta, theta, cure, logit_ever)
    onset = onset_nodes()
    log_ever, log_never = -np.logaddexp(0, -logit_ever), -np.logaddexp(0, logit_ever)
    total = np.zeros(eta.shape)

    def curves(t: float, origin: bool) -> tuple[np.ndarray, np.ndarray]:
        since = np.maximum(t - onset, SHORTEST) if origin else np.array([max(t, SHORTEST)])
        log_t = np.log(since)
        s, f = _FAMILY[family](log_t - eta[..., None], theta[..., None], cure[..., None], NUMPY)
        size = np.log(since.size)
        return special.logsumexp(s, axis=-1) - size, special.logsumexp(f - log_t, axis=-1) - size

    for fact in facts.to_dict("records"):
        kind, low, high, count = fact["kind"], fact["low"], fact["high"], fact["count"]
        origin = fact["time_origin"] == "treatment"
        if fact["through_ever"] and kind != "unresolved":
            total = total + count * log_ever
        if kind in ("right_censored", "interval", "landmark", "order_between"):
            a = curves(low, origin)[0] if low > 0 else np.zeros(eta.shape)
            far = kind == "right_censored" or not np.isfinite(high)
            total = total + count * (a if far else a + _log1mexp(a - curves(high, origin)[0], NUMPY))
        elif kind in ("exact", "order_statistic"):
            total = total + count * curves(low, origin)[1]
        elif kind == "order_top":
            a = curves(low, origin)[0] if low > 0 else np.zeros(eta.shape)
            short = _log1mexp(a - curves(high, origin)[0], NUMPY)
            total = total + count * a + _log1mexp(-count * short, NUMPY)
        elif kind == "mean":
            nodes, weights = _legendre(high)
            s = np.exp(np.stack([curves(t, origin)[0] for t in nodes], axis=-1)) * weights
            restricted = s.sum(axis=-1)
            variance = 2.0 * (s * nodes).sum(axis=-1) - restricted**2
            reading = priors.get("duration", "mean_reading").scale
            spread2 = np.maximum(variance, 1e-6) / restricted**2 / count + reading**2
            off = np.log(low) - np.log(restricted)
            total = total - 0.5 * off**2 / spread2 - 0.5 * np.log(spread2)
        elif kind == "unresolved":
            gone = _log1mexp(-curves(high, origin)[0], NUMPY)
            r = int(count)
            steps = np.arange(r + 1)
            ways = (
                _log_choose(r, int(fact["min_ever"]), steps)
                + steps * (log_ever + gone)[..., None]
                + (r - steps) * log_never[..., None]
            )
            total = total + special.logsumexp(ways, axis=-1)
        else:
            raise ValueError(f"unknown kind of fact: {kind}")
    return total


def predictive_log_likelihood(
    facts: pd.DataFrame, data: Arrays, family: str, draws: dict[str, np.ndarray], study: str
) -> np.ndarray:
    """Log likelihood of a study for each draw, its study effect integrated out.

    The class effect is integrated out too where the study is the only one of its class, and the
    probability of ever becoming free where it enters. Normal quadrature on equally likely nodes.

    Parameters
    ----------
    draws : mu, tau, tau_class, theta, cure of shape (n,), class_z of shape (n, classes).
    """
    i = data.studies.index(study)
    rows = facts[facts["study_id"] == study]
    alone = data.classes.count(data.classes[i]) == 1
    centre, spread = draws["mu"], draws["tau"]
    if alone:
        spread = np.hypot(spread, draws["tau_class"])
    else:
        centre = centre + draws["tau_class"] * draws["class_z"][:, CLASSES.index(data.classes[i])]
    through = bool(rows["through_ever"].any())
    z, log_z = _normal_nodes(15 if through else 31)
    eta = centre[:, None, None] + spread[:, None, None] * z[None, :, None]
    theta, cure = draws["theta"][:, None, None], draws["cure"][:, None, None]
    if through:
        x, log_x = _normal_nodes(9)
        logit = data.data["ever_mean"][i] + data.data["ever_sd"][i] * x[None, None, :]
    else:
        logit, log_x = np.zeros((1, 1, 1)), np.zeros(1)
    value = study_log_likelihood(rows, family, eta, theta, cure, logit)
    return special.logsumexp(value + log_z[None, :, None] + log_x[None, None, :], axis=(1, 2))


def _normal_nodes(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Evenly spaced nodes over +-3.5 SD and their log weights under a standard normal."""
    x = np.linspace(-3.5, 3.5, n)
    log_w = -0.5 * x * x
    return x, log_w - special.logsumexp(log_w)


# --- curves -------------------------------------------------------------------------------------


def curve(family: str, eta, theta, cure, months) -> np.ndarray:
    """S(t) for each draw: shape (draws, months). Arguments of shape (draws,) and (months,)."""
    months = np.asarray(months, float)
    y = np.log(np.maximum(months, 1e-6))[None, :] - np.asarray(eta)[:, None]
    values = np.exp(
        log_survival(family, y, np.asarray(theta)[:, None], np.asarray(cure)[:, None])
    )
    return np.where(months[None, :] <= 0, 1.0, values)
