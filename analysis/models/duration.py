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

    `data` maps each `pm.Data` name to its value; `owner` says to which study each row of the
    weights belongs, so that a study can be left out by giving its rows no weight.
    """

    studies: tuple[str, ...]
    classes: tuple[str, ...]
    size: int
    data: dict[str, np.ndarray]
    owner: np.ndarray

    def without(self, study: str) -> dict[str, np.ndarray]:
        """The data with the facts of one study weighing nothing."""
        s = self.studies.index(study)
        table = self.data["study"].copy()
        table[s, _COUNTS] = 0.0
        count = np.where(self.owner == s, 0.0, self.data["count"])
        return self.data | {"study": table, "count": count}


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
    rows = _Rows(size)
    for fact in facts.to_dict("records"):
        rows.add(fact, position[fact["study_id"]])
    prior = _ever_prior()
    for i, study in enumerate([*studies, *[""] * (size - len(studies))]):
        rows.study[i, EVER_MEAN], rows.study[i, EVER_SD] = (ever_logit or {}).get(study, prior)
    classes = tuple(class_of[study] for study in studies)
    index = [CLASSES.index(c) for c in classes] + [0] * (size - len(studies))
    data = {
        "points": rows.points.matrix(size, index),
        "weights": rows.matrix(),
        "count": np.array(rows.count),
        "study": rows.study,
        "log_choose": rows.log_choose_matrix(),
    }
    return Arrays(studies, classes, size, data, np.array(rows.owner))


class _Points:
    """The distinct points (log time, study) at which survival curves are needed."""

    def __init__(self):
        self._known: dict[tuple[float, int], int] = {(0.0, 0): 0}

    def of(self, study: int, origin: bool, t: float) -> list[int]:
        """The points of one time: one, or one for each onset when time counts from treatment."""
        since = t - onset_nodes() if origin else np.array([t])
        keys = [(float(np.log(max(x, SHORTEST))), study) for x in since]
        return [self._known.setdefault(key, len(self._known)) for key in keys]

    def __len__(self) -> int:
        return len(self._known)

    def matrix(self, size: int, class_index: list[int]) -> np.ndarray:
        """Columns: log time, one for the class, one for the study; one row a point."""
        log_t, study = (np.array(x) for x in zip(*self._known, strict=True))
        in_study = np.eye(size)[study]
        return np.column_stack([log_t, in_study @ np.eye(len(CLASSES))[class_index], in_study])


# Columns of the table of studies in the graph.
TOP, MEAN_ON, MEAN_VALUE, MEAN_SIZE, UNRESOLVED, THROUGH, EVER_MEAN, EVER_SD = range(8)
_COUNTS = [TOP, MEAN_ON, UNRESOLVED, THROUGH]
"""The columns that weigh facts: zero leaves them out."""

# Blocks of `size` rows that come first in the weights: one row a study.
GONE, EVERY, LONGEST, FIRST, SECOND = range(5)
_BLOCKS = 5


class _Rows:
    """The facts as rows of weights on a constant, the survivals and the densities of points."""

    def __init__(self, size: int):
        self.size = size
        self.points = _Points()
        self.rows: list[tuple[float, dict[int, float], dict[int, float]]] = [
            (1.0, {}, {}) for _ in range(_BLOCKS * size)
        ]
        self.count = [0.0] * (_BLOCKS * size)
        self.owner = list(range(size)) * _BLOCKS
        self.study = np.zeros((size, 8))
        self.study[:, [MEAN_VALUE, MEAN_SIZE]] = 1.0
        self.log_choose: dict[int, tuple[int, int]] = {}

    def add(self, fact: dict, s: int) -> None:
        """Enter one fact of study number `s`."""
        kind, low, high, count = fact["kind"], fact["low"], fact["high"], float(fact["count"])
        origin = fact["time_origin"] == "treatment"
        if fact["through_ever"] and kind != "unresolved":
            self.study[s, THROUGH] += count
        if kind in ("right_censored", "interval", "landmark", "order_between"):
            upper = np.inf if kind == "right_censored" else high
            self._append(s, self._between(s, origin, low, upper), count)
        elif kind in ("exact", "order_statistic"):
            self._append(s, (0.0, {}, _equal(self.points.of(s, origin, low))), count)
        elif kind == "order_top":
            self._once(fact, s, TOP, count)
            self._set(EVERY, s, self._between(s, origin, low, np.inf))
            self._set(LONGEST, s, self._between(s, origin, high, np.inf))
            self.count[EVERY * self.size + s] = count
        elif kind == "mean":
            self._once(fact, s, MEAN_ON, 1.0)
            self.study[s, [MEAN_VALUE, MEAN_SIZE]] = low, count
            nodes, weights = _legendre(high)
            at = [self.points.of(s, False, t)[0] for t in nodes]
            self._set(FIRST, s, (0.0, dict(zip(at, weights, strict=True)), {}))
            self._set(SECOND, s, (0.0, dict(zip(at, weights * nodes, strict=True)), {}))
        elif kind == "unresolved":
            self._once(fact, s, UNRESOLVED, count)
            self._set(GONE, s, self._between(s, origin, 0.0, high))
            self.log_choose[s] = (int(count), int(fact["min_ever"]))
        else:
            raise ValueError(f"unknown kind of fact: {kind}")

    def _once(self, fact: dict, s: int, column: int, value: float) -> None:
        if self.study[s, column]:
            raise ValueError(f"{fact['study_id']}: {fact['kind']} stated twice")
        self.study[s, column] = value

    def _between(self, s: int, origin: bool, low: float, high: float):
        """S(low) - S(high), with S(0) = 1 and S(infinity) = 0."""
        weights = _equal(self.points.of(s, origin, low)) if low > 0 else {}
        if np.isfinite(high):
            for i, w in _equal(self.points.of(s, origin, high)).items():
                weights[i] = weights.get(i, 0.0) - w
        return float(low <= 0), weights, {}

    def _append(self, s: int, row, count: float) -> None:
        self.rows.append(row)
        self.count.append(count)
        self.owner.append(s)

    def _set(self, block: int, s: int, row) -> None:
        self.rows[block * self.size + s] = row

    def matrix(self) -> np.ndarray:
        """Rows of weights; columns: the constant, the survivals, the densities."""
        n = len(self.points)
        values = np.zeros((len(self.rows), 1 + 2 * n))
        for row, (constant, survivals, densities) in zip(values, self.rows, strict=True):
            row[0] = constant
            for i, w in survivals.items():
                row[1 + i] = w
            for i, w in densities.items():
                row[1 + n + i] = w
        return values

    def log_choose_matrix(self) -> np.ndarray:
        """By study, log of the ways that fewer of the unresolved were free than is known."""
        width = max([least for _, least in self.log_choose.values()], default=0) + 1
        table = np.full((self.size, width), _NEVER)
        for s, (r, least) in self.log_choose.items():
            table[s] = _log_choose(r, np.arange(width), least)
        return table


def _equal(indices: list[int]) -> dict[int, float]:
    """Equal weights on points; a point named twice counts twice."""
    weights: dict[int, float] = {}
    for i in indices:
        weights[i] = weights.get(i, 0.0) + 1.0 / len(indices)
    return weights


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
    blank = arrays(_neutral_facts(size)).data | {"family": family_data("weibull")}
    with pm.Model() as graph:
        d = {name: pm.Data(name, value) for name, value in blank.items()}
        mu = pm.Normal("mu", *priors.get("duration", "mu").params)
        tau = pm.HalfNormal("tau", priors.get("duration", "tau").scale)
        tau_class = pm.HalfNormal("tau_class", priors.get("duration", "tau_class").scale)
        theta = pm.Normal("theta", *priors.get("duration", "log_shape").params)
        logit_cure = pm.Normal("logit_cure", *priors.get("duration", "logit_cure").params)
        cure = pm.Deterministic("cure", pm.math.sigmoid(logit_cure))
        class_z = pm.Normal("class_z", 0, 1, shape=len(CLASSES))
        study_z = pm.Normal("study_z", 0, 1, shape=size)
        ever_z = pm.Normal("ever_z", 0, 1, shape=size)

        # survival and density at every point, of the family asked for
        effects = pt.concatenate([pt.ones(1), -tau_class * class_z, -tau * study_z])
        y = d["points"] @ effects - mu
        shape, share = theta * d["family"][-2], cure * d["family"][-1]
        forms = [_FAMILY[family](y, shape, share, xp) for family in _FORMS]
        log_s = sum(d["family"][i] * form[0] for i, form in enumerate(forms))
        log_f = sum(d["family"][i] * form[1] for i, form in enumerate(forms)) - d["points"][:, 0]
        p = d["weights"] @ pt.concatenate([pt.ones(1), pt.exp(log_s), pt.exp(log_f)])
        p = pt.maximum(p, _TINY)
        total = (d["count"] * pt.log(p)).sum()

        def block(number):
            return p[number * size : (number + 1) * size]

        def column(number):
            return d["study"][:, number]

        # the longest of k: P(all last a, one lasts b) = S(a)^k - (S(a) - S(b))^k; the first
        # factor S(a)^k is counted above
        k = pt.maximum(column(TOP), 1)
        short = pt.log1p(-pt.minimum(block(LONGEST) / block(EVERY), 1 - 1e-12))
        total += (pt.minimum(column(TOP), 1) * pt.log(-pt.expm1(k * short))).sum()

        # a mean: normal on the log scale around the restricted mean
        restricted = block(FIRST)
        variance = 2 * block(SECOND) - restricted**2
        reading = priors.get("duration", "mean_reading").scale
        spread = pt.maximum(variance, 1e-6) / restricted**2 / column(MEAN_SIZE) + reading**2
        off = pt.log(column(MEAN_VALUE) / restricted)
        total += (column(MEAN_ON) * (-0.5 * off**2 / spread - 0.5 * pt.log(spread))).sum()

        # patients whose ever becoming free is not known: never free (b) or free no longer (a)
        ever = pm.math.sigmoid(column(EVER_MEAN) + column(EVER_SD) * ever_z)
        a = pt.maximum(ever * block(GONE), _TINY)
        b = pt.maximum(1 - ever, _TINY)
        r, steps = column(UNRESOLVED), pt.arange(d["log_choose"].shape[1])[None, :]
        fewer = pt.exp(
            d["log_choose"]
            + steps * pt.log(a / (a + b))[:, None]
            + pt.maximum(r[:, None] - steps, 0) * pt.log(b / (a + b))[:, None]
        ).sum(axis=1)
        fewer = pt.minimum(r, 1) * pt.log1p(-pt.minimum(fewer, 1 - 1e-12))
        total += (r * pt.log(a + b) + fewer).sum()
        total += (column(THROUGH) * pt.log(pt.maximum(ever, _TINY))).sum()
        pm.Potential("facts", total)
    return graph


def _log1mexp(gap, xp):
    """log(1 - e^-gap) for gap > 0, stable at both ends (Maechler 2012)."""
    gap = xp.maximum(gap, 1e-10)
    small = xp.log(-xp.expm1(-xp.minimum(gap, 1.0)))
    large = xp.log1p(-xp.exp(-xp.maximum(gap, 0.5)))
    return xp.where(gap < 0.69, small, large)


def _neutral_facts(size: int) -> pd.DataFrame:
    """Facts of no content on `size` studies, to give every array a shape."""
    return pd.DataFrame(
        {
            "study_id": [f"none {i}" for i in range(size)], "cell_class": CLASSES[0],
            "kind": "right_censored", "low": SHORTEST, "high": np.inf, "count": 0.0,
            "time_origin": "independence", "through_ever": False, "min_ever": 0,
        }
    )  # fmt: skip


_FORMS = ("cure", "lognormal", "loglogistic", "gompertz")
"""What the graph computes: exponential and Weibull are the cure form without shape or share."""


def family_data(family: str) -> np.ndarray:
    """What chooses a family: one for its form, whether it has a shape, whether a cured share."""
    form = "cure" if family in ("exponential", "weibull") else family
    return np.array(
        [*(float(name == form) for name in _FORMS), family != "exponential", family == "cure"],
        float,
    )


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
    values = data.without(without) if without else data.data
    values = values | {"family": family_data(family)}
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
        mean, sd = data.data["study"][i, [EVER_MEAN, EVER_SD]]
        logit = mean + sd * x[None, None, :]
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
