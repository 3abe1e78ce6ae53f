"""NUTS as the witness of `exact.survival`: one family's posterior, sampled by PyMC.

The likelihood of every published fact is written out in the graph, not read from the tables of the
quadrature, so that the two programs share nothing but the facts and the priors. Studies' medians
are sampled as standard normal deviations, standardised by what each study's facts say on their own;
the log odds of ever becoming free are sampled for the studies that need them. All data are one
vector, sliced inside the graph, which is compiled once for all posteriors of a family and for the
exponential ones beside them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np

from analysis.exact.duration_likelihood import ROUNDING, SHORTEST
from analysis.exact.priors import HalfNormal
from analysis.exact.survival import SurvivalPosterior
from analysis.models.compare import figures_of
from analysis.models.geometry import Packed, standardised
from analysis.models.sampling import compile_model
from analysis.models.witnesses import Quantities, Witness

MONTHS = (12.0, 60.0)
"""Months at which S(t) of the mean study is compared."""
HEAD = ("mu_mean", "mu_sd", "tau_scale", "shape_mean", "shape_sd", "cure_mean", "cure_sd")
STUDY = ("centre", "precision", "ever_mean", "ever_sd")
FACT = ("study", "count", "through", "start", "open", "between", "exact", "top", "ended",
        "unresolved", "log_high")  # fmt: skip
"""Of each fact: its study, its patients, whether they count through ever becoming free, whether
`low` is the start, indicators of its kind, and the log of its second time."""
FEWEST = 4
"""A least number ever free among unresolved patients is sampled below this."""
SETTINGS = {"tune": 1000, "target_accept": 0.99}
HOLD_EXPONENTIAL = frozenset({"weibull", "gompertz", "cure"})
"""Families that are the exponential at shape zero (and, of the cure model, with nobody cured)."""
NOBODY = -50.0  # log odds
LOG_FALLEN = -60.0
SMALLEST = 1e-12
LOG_2 = float(np.log(2.0))


@dataclass(frozen=True)
class Sizes(Packed):
    """A graph: its family, and room for studies, facts, onsets of a time from treatment."""

    family: str
    studies: int
    facts: int
    onsets: int

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {
            "head": (len(HEAD),),
            "study": (len(STUDY), self.studies),
            "fact": (len(FACT), self.facts),
            "low": (self.facts, self.onsets),
            "high": (self.facts, self.onsets),
        }


def compile_witness(posteriors: Iterable[SurvivalPosterior]) -> Witness:
    """One compiled graph with room for all of these posteriors.

    They are of one family; exponential ones may stand beside a family that holds the exponential
    (`HOLD_EXPONENTIAL`), and are sampled as that family with its shape fixed there.

    Parameters
    ----------
    posteriors : of durations, by quadrature.

    Raises
    ------
    ValueError : posteriors of families that no one graph holds.
    """
    every = list(posteriors)
    families = {posterior.family for posterior in every}
    if len(families) > 1 and families - {"exponential"} <= HOLD_EXPONENTIAL:
        families -= {"exponential"}
    if len(families) != 1:
        raise ValueError(f"no one graph is of the families {sorted(families)}")
    family = families.pop()
    sizes = Sizes(
        family,
        max(len(posterior.studies) for posterior in every),
        max(sum(len(own) for own in posterior.facts) for posterior in every),
        max(len(posterior.reading.onset) for posterior in every),
    )
    made = partial(build, family, sizes.studies, sizes.facts, sizes.onsets)
    sampler = compile_model(made, f"duration {family}")
    return Witness(sampler, sizes, packed, _cannot, _quantities, SETTINGS)


def _quantities(
    posterior: SurvivalPosterior, drawn: dict[str, np.ndarray], rng: np.random.Generator
) -> Quantities:
    prior = posterior.priors
    mu = float(prior.mu.mean) + float(prior.mu.sd) * drawn["mu_z"]
    found = {
        "mu": (figures_of(posterior.mu), mu),
        "tau": (figures_of(posterior.tau), prior.tau.scale * drawn["tau_z"]),
    }
    if posterior.theta is not None:
        shape = float(prior.log_shape.mean) + float(prior.log_shape.sd) * drawn["shape_z"]
        found["shape"] = figures_of(posterior.theta), shape
    if posterior.logit_cure is not None:
        cure = float(prior.logit_cure.mean) + float(prior.logit_cure.sd) * drawn["cure_z"]
        found["cured share"] = figures_of(posterior.logit_cure), cure
    for i, row in enumerate(posterior.survival(MONTHS).to_dict("records")):
        exact = {"mean": row["mean"], "sd": row["sd"], "q025": row["ci_low"],
                 "q975": row["ci_high"]}  # fmt: skip
        found[f"S({row['months']:g})"] = exact, drawn["curve"][..., i]
    return found


def _cannot(posterior: SurvivalPosterior) -> str:
    """Why a posterior has no witness here, or ""."""
    if not isinstance(posterior.priors.tau, HalfNormal):
        return "only a half-normal prior of tau is sampled"
    for own in posterior.facts:
        if own["kind"].eq("mean").any():
            return "a printed mean is not sampled"
        if own["min_ever"].ge(FEWEST).any():
            return f"a least number ever free of {FEWEST} or more is not sampled"
    return ""


def packed(posterior: SurvivalPosterior, sizes: Sizes) -> np.ndarray:
    """The posterior's data as one vector; padded facts count no patients.

    Parameters
    ----------
    posterior : by quadrature; its facts and priors are packed.
    sizes : of the compiled graph.

    Raises
    ------
    ValueError : more studies or facts than the compiled graph has room for, or another family.
    """
    if posterior.family not in (sizes.family, "exponential"):
        raise ValueError(f"the witness was compiled for {sizes.family}, not {posterior.family}")
    prior = posterior.priors
    rows = [(i, fact) for i, own in enumerate(posterior.facts) for fact in own.to_dict("records")]
    if len(rows) > sizes.facts or len(posterior.studies) > sizes.studies:
        raise ValueError("the witness was compiled for fewer studies or facts")
    study = np.zeros((len(STUDY), sizes.studies))
    study[STUDY.index("ever_sd")] = 1.0
    fact = np.zeros((len(FACT), sizes.facts))
    low = np.zeros((sizes.facts, sizes.onsets))
    high = np.full_like(low, 1.0)
    place, precision = posterior.own_medians()
    for i in range(len(posterior.studies)):
        study[:, i] = (place[i], precision[i], *posterior.ever[i])
    onset = np.resize(np.asarray(posterior.reading.onset, dtype=float), sizes.onsets)
    for j, (i, row) in enumerate(rows):
        kind, end = row["kind"], max(row["high"], row["low"] + ROUNDING)
        between = kind in ("interval", "landmark", "order_between")
        values = {
            "study": i,
            "count": row["count"],
            "through": float(row["through_ever"] and kind != "unresolved"),
            "start": float(row["low"] <= 0),
            "open": float(kind == "right_censored" or (between and np.isinf(end))),
            "between": float(between and np.isfinite(end)),
            "exact": float(kind in ("exact", "order_statistic")),
            "top": float(kind in ("order_top", "order_longest")),
            "ended": float(kind in ("order_ended", "order_longest")),
            "unresolved": float(kind == "unresolved") * (1.0 + row["min_ever"]),
            "log_high": np.log(end) if np.isfinite(end) else 0.0,
        }
        fact[:, j] = [values[column] for column in FACT]
        delay = onset if row["time_origin"] == "treatment" else np.zeros(sizes.onsets)
        low[j] = np.log(np.maximum(row["low"] - delay, SHORTEST))
        high[j] = np.log(np.maximum((end if np.isfinite(end) else 1e4) - delay, SHORTEST))
    shape = [prior.log_shape.mean, prior.log_shape.sd, prior.logit_cure.mean, prior.logit_cure.sd]
    if posterior.family == "exponential":
        shape = [0.0, 0.0, NOBODY, 0.0]
    head = [prior.mu.mean, prior.mu.sd, prior.tau.scale, *shape]
    parts = {"head": np.array(head, dtype=float), "study": study, "fact": fact, "low": low,
             "high": high}  # fmt: skip
    return np.concatenate([parts[name].ravel() for name in sizes.layout()])


def build(family: str, studies: int, facts: int, onsets: int):
    """The PyMC model of one family; its only data is the vector "packed" (`packed`).

    Parameters
    ----------
    family : of curves.
    studies, facts, onsets : room for so many.
    """
    import pymc as pm
    import pytensor.tensor as pt

    sizes = Sizes(family, studies, facts, onsets)
    with pm.Model() as model:
        vector = pm.Data("packed", np.ones(sizes.length))
        head, study, fact = (
            sizes.columns(vector, name, names)
            for name, names in (("head", HEAD), ("study", STUDY), ("fact", FACT))
        )
        mu = head["mu_mean"] + head["mu_sd"] * pm.Normal("mu_z", 0, 1)
        tau = head["tau_scale"] * pm.HalfNormal("tau_z", 1)
        theta = head["shape_mean"] + head["shape_sd"] * pm.Normal("shape_z", 0, 1)
        logit_cure = head["cure_mean"] + head["cure_sd"] * pm.Normal("cure_z", 0, 1)
        logit_ever = study["ever_mean"] + study["ever_sd"] * pm.Normal(
            "ever_z", 0, 1, shape=studies
        )

        z = pm.Flat("study_z", shape=studies)
        u, log_density = standardised(z, mu, tau, study["centre"], study["precision"])
        log_density = log_density - 0.5 * pt.log(1 + study["precision"] * tau**2)
        pm.Potential("studies", log_density.sum())
        of = pt.cast(fact["study"], "int64")
        eta = (mu + tau * u)[of]
        logit_ever = logit_ever[of]

        log_times = pt.concatenate([sizes.part(vector, "low"), sizes.part(vector, "high")])
        both = pt.concatenate([eta, eta])[:, None]
        log_s, slope = _family(family, log_times - both, theta, logit_cure)
        log_s = pt.logsumexp(log_s, axis=1) - np.log(onsets)
        log_f = pt.logsumexp(slope - log_times, axis=1) - np.log(onsets)

        # Where a term is not wanted it is given harmless values: no infinity behind a switch.
        count = fact["count"]
        top, end, unresolved = (fact[name] > 0.5 for name in ("top", "ended", "unresolved"))
        a = pt.switch(fact["start"] > 0.5, 0.0, log_s[:facts])
        wanted = top | end | (fact["between"] > 0.5)
        drop = pt.minimum(pt.switch(wanted, log_s[facts:] - a, -1.0), -SMALLEST)
        lost = a + pt.log1mexp(drop)
        gone = pt.log1mexp(pt.minimum(pt.switch(unresolved, log_s[facts:], -1.0), -SMALLEST))
        log_ever, log_never = -pt.softplus(-logit_ever), -pt.softplus(logit_ever)
        least_one = pt.maximum(count, 1.0)
        none_longer = pt.minimum(least_one * pt.log1mexp(drop), -SMALLEST)
        outlasted = least_one * a + pt.log1mexp(none_longer)
        ended = pt.log(least_one) + fact["log_high"] + log_f[facts:] + (least_one - 1) * lost
        longest = pt.switch(
            top & end, pt.logaddexp(outlasted, ended), pt.switch(top, outlasted, ended)
        )
        value = fact["through"] * count * log_ever
        value += pt.switch(fact["open"] > 0.5, count * a, 0.0)
        value += pt.switch(fact["between"] > 0.5, count * lost, 0.0)
        value += pt.switch(fact["exact"] > 0.5, count * log_f[:facts], 0.0)
        value += pt.switch(top | end, longest, 0.0)
        value += pt.switch(
            unresolved,
            _unresolved(count, fact["unresolved"] - 1.0, log_ever, log_never, gone),
            0.0,
        )
        pm.Potential("facts", value.sum())
        at = np.log(np.array(MONTHS))
        pm.Deterministic("curve", pt.exp(_family(family, at - mu, theta, logit_cure)[0]))
    return model


def _unresolved(count, least, log_ever, log_never, gone):
    """log P(each was never free or is free no longer, at least `least` once free), least < FEWEST.

    One less the probability that fewer were once free, term by term of the binomial.
    """
    import pytensor.tensor as pt

    every = count * pt.logaddexp(log_ever + gone, log_never)
    ways, log_fewer = 0.0, -1e30
    for j in range(FEWEST):
        term = ways + j * (log_ever + gone) + (count - j) * log_never
        log_fewer = pt.switch((least > j) & (count >= j), pt.logaddexp(log_fewer, term), log_fewer)
        ways = ways + pt.log(pt.maximum(count - j, 1.0) / (j + 1.0))
    rest = every + pt.log1mexp(pt.minimum(log_fewer - every, -SMALLEST))
    return pt.switch(least > 0.5, rest, every)


def _family(family: str, y, theta, logit_cure):
    """log S and log(-dS/dy) at y = log t - eta, of `families`, as symbolic expressions."""
    import pytensor.tensor as pt

    def of_weibull(x, log_k):
        x = pt.clip(x, LOG_FALLEN, 12.0)
        cumulative = LOG_2 * pt.exp(x)
        return -cumulative, np.log(LOG_2) + log_k + x - cumulative

    if family == "exponential":
        return of_weibull(y, 0.0)
    if family == "weibull":
        return of_weibull(pt.exp(theta) * y, theta)
    if family == "lognormal":
        x = pt.exp(theta) * y
        log_s = pt.log(0.5 * pt.erfc(pt.clip(x, -30.0, 30.0) / np.sqrt(2.0)))
        return log_s, theta - 0.5 * np.log(2 * np.pi) - 0.5 * x * x
    if family == "loglogistic":
        log_k = theta + np.log(1.7)
        x = pt.exp(log_k) * y
        return -pt.softplus(x), log_k + x - 2.0 * pt.softplus(x)
    if family == "gompertz":
        g = 1.5 * theta
        g = pt.switch(pt.abs(g) < 1e-6, 1e-6, g)
        x = pt.exp(pt.clip(y, LOG_FALLEN, 12.0))
        gx = pt.minimum(g * x, 40.0)
        cumulative = pt.maximum(LOG_2 * pt.expm1(gx) / pt.expm1(g), 1e-30)
        slope = np.log(LOG_2) + pt.log(g / pt.expm1(g)) + pt.log(x) + gx
        return -cumulative, slope - cumulative
    if family == "cure":
        log_s, slope = of_weibull(pt.exp(theta) * y, theta)
        stay, resume = -pt.softplus(-logit_cure), -pt.softplus(logit_cure)
        return pt.logaddexp(stay, resume + log_s), resume + slope
    raise ValueError(f"no family {family!r}")
