"""NUTS as the witness of `exact.counts`: the same posterior of a share or a rate, sampled by PyMC.

The own effect of a study with an exact count is integrated out inside the graph over even nodes of
its standardised deviation: no funnel, and padding carries no parameter. "At least k of n" is the
sum of the probabilities of k, ..., n (or of the most it can be); it is flat on one side and steep
on the other, which such nodes would miss, so the effects of these few studies are sampled,
non-centred. All data are one vector, sliced inside the graph, which is compiled once for many
posteriors.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import special

from analysis.exact.counts import (
    AtLeast,
    Between,
    CountPosterior,
    Events,
    Nothing,
    PatientsWithEvent,
    Share,
)
from analysis.exact.priors import HalfNormal
from analysis.models.compare import figures_of
from analysis.models.geometry import Packed, standardised
from analysis.models.sampling import compile_model
from analysis.models.witnesses import Quantities, Witness

NODES = np.linspace(-6.5, 6.5, 27)
HEAD = ("mu_mean", "mu_sd", "tau_scale")
COLUMNS = ("copies", "share", "poisson", "events", "total", "log_time", "centre", "precision")
IMPOSSIBLE = -1e30
BOUNDS = (AtLeast, Between)


@dataclass(frozen=True)
class Sizes(Packed):
    """Rows a compiled graph has room for: exact counts, lower bounds, terms of a bound."""

    exact: int
    bound: int
    terms: int

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {
            "head": (len(HEAD),),
            "exact": (len(COLUMNS), self.exact),
            "bound": (len(COLUMNS), self.bound),
            "more": (self.bound, self.terms),
            "log_ways": (self.bound, self.terms),
        }


def compile_witness(posteriors: Iterable[CountPosterior]) -> Witness:
    """One compiled graph with room for all of these posteriors.

    Parameters
    ----------
    posteriors : of shares and rates, by quadrature.
    """
    exact, bound, terms = 1, 1, 1
    for posterior in posteriors:
        exact = max(exact, sum(not isinstance(s, BOUNDS) for s in posterior.studies))
        bounds = [s for s in posterior.studies if isinstance(s, BOUNDS)]
        bound = max(bound, len(bounds))
        terms = max([terms, *(_ways(s).size for s in bounds)])
    sizes = Sizes(exact, bound, terms)
    sampler = compile_model(partial(build, exact, bound, terms), "counts")
    return Witness(sampler, sizes, packed, _cannot, _quantities)


def _quantities(
    posterior: CountPosterior, drawn: dict[str, np.ndarray], rng: np.random.Generator
) -> Quantities:
    prior = posterior.mu_prior
    mu = float(prior.mean) + float(prior.sd) * drawn["mu_z"]
    tau = float(posterior.tau_prior.scale) * drawn["tau_z"]
    new = mu + tau * rng.standard_normal(mu.shape)
    return {
        "mu": (figures_of(posterior.mu), mu),
        "tau": (figures_of(posterior.tau), tau),
        "new study": (figures_of(posterior.new_theta), new),
    }


def _cannot(posterior: CountPosterior) -> str:
    """Why a posterior has no witness here, or ""."""
    if not isinstance(posterior.tau_prior, HalfNormal):
        return "only a half-normal prior of tau is sampled"
    bounds = [isinstance(study, BOUNDS) for study in posterior.studies]
    if any(posterior.copies[bounds] != 1):
        return "lower bounds that stand for several studies are not sampled"
    if any(isinstance(s.count, Events) for s in posterior.studies if isinstance(s, AtLeast)):
        return "lower bounds of Poisson events are not sampled"
    return ""


def _total(count: Share | Events | PatientsWithEvent) -> float:
    if isinstance(count, Share):
        return count.total
    return count.patients if isinstance(count, PatientsWithEvent) else 0.0


def _ways(study: AtLeast | Between) -> np.ndarray:
    """The numbers of patients that a lower bound leaves open."""
    most = study.most if isinstance(study, Between) else _total(study.count)
    return np.arange(study.count.events, most + 1)


def _columns(count: Share | Events | PatientsWithEvent | Nothing, copies: float) -> list[float]:
    """The values of `COLUMNS` for one count; one that says nothing counts no copies."""
    if isinstance(count, Nothing):
        return [0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]
    poisson = isinstance(count, Events)
    log_time = 0.0
    if poisson:
        log_time = count.log_exposure
    elif isinstance(count, PatientsWithEvent):
        log_time = count.log_years
    # With no event, or all, the likelihood is flat on one side: no pull towards its centre.
    flat = count.events == 0 or count.events == _total(count)
    return [
        copies, float(isinstance(count, Share)), float(poisson), count.events,
        _total(count), log_time, count.centre, 0.0 if flat else count.precision,
    ]  # fmt: skip


def packed(posterior: CountPosterior, sizes: Sizes) -> np.ndarray:
    """The posterior's data as one vector; padding counts no copies.

    Parameters
    ----------
    posterior : by quadrature; its counts and priors are packed.
    sizes : of the compiled graph.

    Raises
    ------
    ValueError : more studies than the compiled graph has room for.
    """
    prior = posterior.mu_prior
    rows: dict[str, list[list[float]]] = {"exact": [], "bound": []}
    more = np.zeros((sizes.bound, sizes.terms))
    log_ways = np.full((sizes.bound, sizes.terms), IMPOSSIBLE)
    for study, copies in zip(posterior.studies, posterior.copies, strict=True):
        if not isinstance(study, BOUNDS):
            rows["exact"].append(_columns(study, copies))
            continue
        i, n = len(rows["bound"]), _total(study.count)
        events = _ways(study)
        if i >= sizes.bound or events.size > sizes.terms:
            raise ValueError("the witness was compiled for fewer or smaller lower bounds")
        more[i, : events.size] = events
        log_ways[i, : events.size] = (
            special.gammaln(n + 1) - special.gammaln(events + 1) - special.gammaln(n - events + 1)
        )
        rows["bound"].append(_columns(study.count, copies))
    parts: dict[str, np.ndarray] = {
        "head": np.array([prior.mean, prior.sd, posterior.tau_prior.scale], dtype=float),
        "more": more,
        "log_ways": log_ways,
    }
    for name, found in rows.items():
        room = getattr(sizes, name)
        if len(found) > room:
            raise ValueError(f"{len(found)} {name} counts; the witness has room for {room}")
        block = np.tile(np.array(_columns(Nothing(), 0.0))[:, None], room)
        if found:
            block[:, : len(found)] = np.array(found).T
        parts[name] = block
    # The terms of a padded bound must not all be impossible.
    log_ways[len(rows["bound"]) :, 0] = 0.0
    return np.concatenate([parts[name].ravel() for name in sizes.layout()])


def build(exact: int, bound: int, terms: int):
    """The PyMC model; its only data is the vector "packed" (`packed`).

    Parameters
    ----------
    exact, bound, terms : room for exact counts, for lower bounds, and for the terms of one bound.
    """
    import pymc as pm
    import pytensor.tensor as pt

    sizes = Sizes(exact, bound, terms)
    log_weight = np.log(NODES[1] - NODES[0]) - 0.5 * np.log(2 * np.pi)
    with pm.Model() as model:
        vector = pm.Data("packed", np.ones(sizes.length))
        head = sizes.columns(vector, "head", HEAD)
        mu = head["mu_mean"] + head["mu_sd"] * pm.Normal("mu_z", 0, 1)
        tau = head["tau_scale"] * pm.HalfNormal("tau_z", 1)

        def log_risks(share, log_time, theta):
            """The hazard, and the logs of the risk of an event and of having none."""
            hazard = pt.exp(pt.clip(theta + log_time, -200.0, 50.0))
            log_p = pt.switch(share > 0.5, -pt.softplus(-theta), pt.log1mexp(-hazard))
            return hazard, log_p, pt.switch(share > 0.5, -pt.softplus(theta), -hazard)

        c = {
            name: column[:, None]
            for name, column in sizes.columns(vector, "exact", COLUMNS).items()
        }
        u, log_density = standardised(NODES[None, :], mu, tau, c["centre"], c["precision"])
        log_density = log_density - 0.5 * pt.log(1 + c["precision"] * tau**2) + log_weight
        hazard, log_p, log_q = log_risks(c["share"], c["log_time"], mu + tau * u)
        binomial = c["events"] * log_p + (c["total"] - c["events"]) * log_q
        poisson = c["events"] * pt.log(hazard) - hazard
        value = pt.switch(c["poisson"] > 0.5, poisson, binomial)
        by_study = pt.logsumexp(value + log_density, axis=1)
        pm.Potential("exact", (c["copies"][:, 0] * by_study).sum())

        c = sizes.columns(vector, "bound", COLUMNS)
        theta = mu + tau * pm.Normal("u", 0, 1, shape=bound)
        _, log_p, log_q = log_risks(c["share"], c["log_time"], theta)
        more = sizes.part(vector, "more")
        rest = pt.maximum(c["total"][:, None] - more, 0.0)
        ways = sizes.part(vector, "log_ways") + more * log_p[:, None] + rest * log_q[:, None]
        pm.Potential("bound", (c["copies"] * pt.logsumexp(ways, axis=1)).sum())
    return model
