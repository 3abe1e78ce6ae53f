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

_TINY = 1e-290
_NEVER = -1e9
_MEAN_NODES = 24


@dataclass(frozen=True)
class Arrays:
    """The facts as numbers.

    `data` maps each `pm.Data` name to its value; `owners` says of the arrays that weigh facts which
    study each entry belongs to, so that a study can be left out by setting its entries to zero.
    """

    studies: tuple[str, ...]
    classes: tuple[str, ...]
    size: int
    data: dict[str, np.ndarray]
    owners: dict[str, list[int]]

    def without(self, study: str) -> dict[str, np.ndarray]:
        """The data with the facts of one study weighing nothing."""
        left_out = self.studies.index(study)
        values = dict(self.data)
        for name, owner in self.owners.items():
            if owner:
                keep = np.array([i != left_out for i in owner], float)
                values[name] = values[name] * keep
        return values


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

    All probabilities are linear in the values S of the survival curves at a list of points:
    p = constant + weights @ S. A point is a time of one study; a time from treatment is several
    points, one for each onset.

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
    points = _Points()
    mass, density, top, mean = _Rows(points), _Rows(points), [_Rows(points), _Rows(points)], []
    gone = {}
    through_count = np.zeros(size)
    for fact in facts.to_dict("records"):
        s, origin = position[fact["study_id"]], fact["time_origin"] == "treatment"
        kind, low, high, count = fact["kind"], fact["low"], fact["high"], fact["count"]
        if fact["through_ever"] and kind != "unresolved":
            through_count[s] += count
        if kind in ("right_censored", "interval", "landmark", "order_between"):
            mass.add(s, origin, low, np.inf if kind == "right_censored" else high, count)
        elif kind in ("exact", "order_statistic"):
            density.add(s, origin, low, np.inf, count)
        elif kind == "order_top":
            top[0].add(s, origin, low, np.inf, count)
            top[1].add(s, origin, high, np.inf, count)
        elif kind == "mean":
            nodes, weights = _legendre(high)
            at = [points.of(s, False, t)[0] for t in nodes]
            mean.append((s, at, low, count, nodes, weights))
        elif kind == "unresolved":
            if s in gone:
                raise ValueError(f"{fact['study_id']}: unresolved patients stated twice")
            gone[s] = (points.of(s, origin, high), int(count), int(fact["min_ever"]))
        else:
            raise ValueError(f"unknown kind of fact: {kind}")
    points.of(0, False, 1.0)
    prior = _ever_prior()
    logits = [(ever_logit or {}).get(study, prior) for study in studies]
    logits += [prior] * (size - len(studies))
    index = [CLASSES.index(class_of[study]) for study in studies] + [0] * (size - len(studies))
    n = len(points.log_t)
    in_study = np.eye(size)[points.study]
    data = {
        "log_t": np.array(points.log_t),
        "in_study": in_study,
        "in_class": in_study @ np.eye(len(CLASSES))[index],
        **_named("mass", *mass.matrix(n)),
        **_named("density", *density.matrix(n, constant=0.0)),
        **_named("top_all", *top[0].matrix(n)),
        **_named("top_one", *top[1].matrix(n)[:2]),
        **_mean_data(mean, n),
        **_unresolved_data(gone, size, n),
        "through_count": through_count,
        "ever_mean": np.array([m for m, _ in logits], float),
        "ever_sd": np.array([sd for _, sd in logits], float),
    }
    owners = {
        "mass_count": mass.study,
        "density_count": density.study,
        "top_all_count": top[0].study,
        "mean_on": [m[0] for m in mean],
        "unresolved_on": list(range(size)),
        "through_count": list(range(size)),
    }
    return Arrays(studies, tuple(class_of[study] for study in studies), size, data, owners)


class _Points:
    """The distinct points (log time, study) at which survival curves are needed."""

    def __init__(self):
        self.log_t: list[float] = []
        self.study: list[int] = []
        self._known: dict[tuple[float, int], int] = {}

    def of(self, study: int, origin: bool, t: float) -> list[int]:
        """The points of one time: one, or one for each onset when time counts from treatment."""
        since = t - onset_nodes() if origin else np.array([t])
        return [self._index(float(np.log(max(x, SHORTEST))), study) for x in since]

    def _index(self, log_t: float, study: int) -> int:
        key = (log_t, study)
        if key not in self._known:
            self._known[key] = len(self.log_t)
            self.log_t.append(log_t)
            self.study.append(study)
        return self._known[key]


class _Rows:
    """Probabilities S(low) - S(high) of `count` patients, as rows of weights on the points."""

    def __init__(self, points: _Points):
        self.points = points
        self.rows: list[tuple[float, list[int], list[int]]] = []
        self.count: list[float] = []
        self.study: list[int] = []

    def add(self, study: int, origin: bool, low: float, high: float, count: float) -> None:
        from_start = low <= 0
        plus = [] if from_start else self.points.of(study, origin, low)
        minus = self.points.of(study, origin, high) if np.isfinite(high) else []
        self.rows.append((float(from_start), plus, minus))
        self.count.append(float(count))
        self.study.append(study)

    def matrix(self, n: int, constant: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Constants, weights (rows by points) and counts; one row of no content when empty."""
        if not self.rows:
            return np.ones(1), np.zeros((1, n)), np.zeros(1)
        weights = np.zeros((len(self.rows), n))
        for weight, (_, plus, minus) in zip(weights, self.rows, strict=True):
            for indices, sign in ((plus, 1.0), (minus, -1.0)):
                for i in indices:
                    weight[i] += sign / len(indices)
        constants = np.array([row[0] for row in self.rows]) * constant
        return constants, weights, np.array(self.count)


def _named(name, *values):
    return {f"{name}_{part}": v for part, v in zip(("constant", "weights", "count"), values, strict=False)}


def _mean_data(rows, n):
    """Restricted mean and half the second moment as weights on the points (Gauss-Legendre)."""
    size = max(len(rows), 1)
    first, second = np.zeros((size, n)), np.zeros((size, n))
    for i, (_, indices, _, _, nodes, weights) in enumerate(rows):
        first[i, indices] = weights
        second[i, indices] = weights * nodes
    return {
        "mean_first": first,
        "mean_second": second,
        "mean_value": np.array([r[2] for r in rows] or [1.0]),
        "mean_size": np.array([r[3] for r in rows] or [1.0]),
        "mean_on": np.array([1.0] * len(rows) or [0.0]),
    }


def _unresolved_data(gone, size, n):
    """Of `size` studies: patients never free, or resumed (weights), at least so many of them."""
    width = max([least for _, _, least in gone.values()], default=0) + 1
    weights, patients, on = np.zeros((size, n)), np.zeros(size), np.zeros(size)
    log_choose = np.full((size, width), _NEVER)
    for s, (indices, r, least) in gone.items():
        weights[s, indices] = 1.0 / len(indices)
        patients[s], on[s] = r, 1.0
        log_choose[s] = _log_choose(r, np.arange(width), least)
    return {
        "unresolved_weights": weights,
        "unresolved_size": patients,
        "unresolved_log_choose": log_choose,
        "unresolved_on": on,
    }


def _log_choose(r: int, steps: np.ndarray, below: int) -> np.ndarray:
    """log of r choose j for j under `below` (and at most r); elsewhere impossible."""
    with np.errstate(all="ignore"):
        value = special.gammaln(r + 1) - special.gammaln(steps + 1) - special.gammaln(r - steps + 1)
    return np.where((steps < below) & (steps <= r), value, _NEVER)


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
    blank = arrays(_neutral_facts()).data
    with pm.Model() as graph:
        d = {name: pm.Data(name, _resize(name, value, size)) for name, value in blank.items()}
        form = {name: pm.Data(name, value) for name, value in family_data("weibull").items()}
        mu = pm.Normal("mu", *priors.get("duration", "mu").params)
        tau = pm.HalfNormal("tau", priors.get("duration", "tau").scale)
        tau_class = pm.HalfNormal("tau_class", priors.get("duration", "tau_class").scale)
        theta = pm.Normal("theta", *priors.get("duration", "log_shape").params)
        logit_cure = pm.Normal("logit_cure", *priors.get("duration", "logit_cure").params)
        cure = pm.Deterministic("cure", pm.math.sigmoid(logit_cure))
        class_z = pm.Normal("class_z", 0, 1, shape=len(CLASSES))
        study_z = pm.Normal("study_z", 0, 1, shape=size)
        ever_z = pm.Normal("ever_z", 0, 1, shape=size)

        # survival and density of every point, of the family asked for
        y = d["log_t"] - mu - tau_class * (d["in_class"] @ class_z) - tau * (d["in_study"] @ study_z)
        shape, share = theta * form["has_shape"], cure * form["has_cure"]
        forms = [_FAMILY[family](y, shape, share, xp) for family in _FORMS]
        s = pt.exp(sum(form["form"][i] * f[0] for i, f in enumerate(forms)))
        f = pt.exp(sum(form["form"][i] * f[1] for i, f in enumerate(forms)) - d["log_t"])

        def probability(name):
            return pt.maximum(d[f"{name}_constant"] + d[f"{name}_weights"] @ s, _TINY)

        total = pt.dot(d["mass_count"], pt.log(probability("mass")))
        density = pt.maximum(d["density_constant"] + d["density_weights"] @ f, _TINY)
        total += pt.dot(d["density_count"], pt.log(density))

        # the longest of k: P(all last a, one lasts b) = S(a)^k - (S(a) - S(b))^k
        every, one = probability("top_all"), probability("top_one")
        k = pt.maximum(d["top_all_count"], 1)
        short = pt.log1p(-pt.minimum(one / every, 1 - 1e-12))
        top = k * pt.log(every) + pt.log(-pt.expm1(k * short))
        total += pt.dot(d["top_all_count"] / k, top)

        # a mean: normal on the log scale around the restricted mean
        restricted = d["mean_first"] @ s + (1 - d["mean_on"])
        variance = 2 * (d["mean_second"] @ s) - restricted**2
        reading = priors.get("duration", "mean_reading").scale
        spread = pt.maximum(variance, 1e-6) / restricted**2 / d["mean_size"] + reading**2
        off = pt.log(d["mean_value"] / restricted)
        total += pt.dot(d["mean_on"], -0.5 * off**2 / spread - 0.5 * pt.log(spread))

        # patients whose ever becoming free is not known: never free (b) or resumed (a)
        ever = pm.math.sigmoid(d["ever_mean"] + d["ever_sd"] * ever_z)
        a = pt.maximum(ever * (1 - d["unresolved_weights"] @ s), _TINY)
        b = pt.maximum(1 - ever, _TINY)
        r, steps = d["unresolved_size"], pt.arange(d["unresolved_log_choose"].shape[1])[None, :]
        fewer = pt.exp(
            d["unresolved_log_choose"]
            + steps * pt.log(a / (a + b))[:, None]
            + pt.maximum(r[:, None] - steps, 0) * pt.log(b / (a + b))[:, None]
        ).sum(axis=1)
        unresolved = r * pt.log(a + b) + pt.log1p(-pt.minimum(fewer, 1 - 1e-12))
        total += pt.dot(d["unresolved_on"], unresolved)
        total += pt.dot(d["through_count"], pt.log(pt.maximum(ever, _TINY)))
        pm.Potential("facts", total)
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


_PER_STUDY = (
    "through_count", "ever_mean", "ever_sd", "unresolved_weights", "unresolved_size",
    "unresolved_log_choose", "unresolved_on",
)  # fmt: skip


def _resize(name, value, size):
    """The neutral value of a `pm.Data`, for `size` studies."""
    if name == "in_study":
        return np.zeros((value.shape[0], size))
    if name in _PER_STUDY:
        return np.resize(value, (size, *value.shape[1:]))
    return value


_FORMS = ("cure", "lognormal", "loglogistic", "gompertz")
"""What the graph computes: exponential and Weibull are the cure form without shape or share."""


def family_data(family: str) -> dict[str, np.ndarray]:
    """The `pm.Data` values that choose a family."""
    form = "cure" if family in ("exponential", "weibull") else family
    return {
        "form": np.array([float(name == form) for name in _FORMS]),
        "has_shape": np.array(float(family != "exponential")),
        "has_cure": np.array(float(family == "cure")),
    }


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
    values = (data.without(without) if without else data.data) | family_data(family)
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
            steps = np.arange(int(fact["min_ever"]), r + 1)
            ways = (
                _log_choose(r, steps, r + 1)
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
