"""NUTS beside quadrature for shares, rates and durations: one likelihood, one posterior."""

import functools

import numpy as np
import pandas as pd
import pytest
from conftest import every
from scipy import special

from analysis import exact
from analysis.exact import counts, duration_likelihood, survival
from analysis.exact.duration_likelihood import FactReading
from analysis.exact.families import FAMILIES
from analysis.exact.priors import HalfCauchy, HalfNormal, Normal
from analysis.models import count_witness, survival_witness
from analysis.models.compare import require_agreement
from analysis.models.geometry import standardised

SHARE = {"mu_prior": Normal(0.0, 1.5), "tau_prior": HalfNormal(1.0)}
RATE = {"mu_prior": Normal(-3.5, 2.0), "tau_prior": HalfNormal(0.7)}
KINDS = ("shares", "shares of which the most is known", "rates", "events")


@functools.cache
def posteriors() -> dict:
    """A posterior of each kind of count."""
    made = (
        exact.fit_shares([0, 7, 5, 71], [14, 9, 12, 128], at_least=[0, 0, 1, 1], **SHARE),
        exact.fit_shares([0, 10, 5], [12, 14, 9], at_least=[1, 1, 0], most=[3, 12, 9], **SHARE),
        exact.fit_rates([2, 0, 1], [57.5, 20.0, 104.0], patients=[23, 10, 24], **RATE),
        exact.fit_rates([2, 0], [57.5, 20.0], **RATE),
    )
    return dict(zip(KINDS, made, strict=True))


FACTS = pd.DataFrame(
    [
        ("a", "unresolved", 0.0, 28.5, 57, "treatment", True, 0),
        ("a", "landmark", 28.5, np.inf, 71, "treatment", True, 0),
        ("b", "unresolved", 0.0, 6.0, 4, "treatment", True, 2),
        ("b", "order_top", 48.0, 63.0, 3, "treatment", True, 0),
        ("c", "order_statistic", 6.0, 6.0, 1, "independence", False, 0),
        ("c", "order_between", 6.0, 43.0, 9, "independence", False, 0),
        ("c", "order_longest", 43.0, 100.0, 10, "independence", False, 0),
        ("d", "order_ended", 4.0, 30.0, 3, "independence", False, 0),
        ("d", "exact", 12.0, np.inf, 2, "independence", False, 0),
        ("d", "right_censored", 30.0, np.inf, 1, "independence", False, 0),
        ("d", "interval", 0.0, 15.0, 2, "treatment", False, 0),
    ],
    columns=["study_id", "kind", "low", "high", "count", "time_origin", "through_ever", "min_ever"],
)
READING = FactReading(onset=(0.3, 1.0, 3.2))
OTHERS = [family for family in FAMILIES if family not in ("exponential", "weibull")]


@functools.cache
def compiled(model):
    """The potentials of a graph as a function of its parameters, in their order."""
    import pytensor

    inputs = [model.rvs_to_values[variable] for variable in model.free_RVs]
    outputs = model.replace_rvs_by_values(model.potentials)
    return pytensor.function(inputs, outputs, on_unused_input="ignore", mode="FAST_COMPILE")


def potentials(model, packed, values):
    """The graph's potentials, summed, at values of its parameters by name."""
    model["packed"].set_value(packed)
    found = compiled(model)(*(values[variable.name] for variable in model.free_RVs))
    return sum(float(part) for part in found)


@pytest.fixture(scope="module")
def counted():
    return count_witness.compile_witness(posteriors().values())


@pytest.mark.parametrize("name", KINDS)
def test_the_graph_of_counts_is_the_likelihood_of_the_quadrature(counted, name):
    posterior, witness = posteriors()[name], counted
    for mu_z, log_tau_z, seed in ((0.2, -1.5, 0), (-0.5, 0.0, 1), (0.4, 0.6, 2)):
        u = np.random.default_rng(seed).standard_normal(witness.sizes.bound)
        found = potentials(
            witness.sampler.model, count_witness.packed(posterior, witness.sizes),
            {"mu_z": mu_z, "tau_z": log_tau_z, "u": u},
        )  # fmt: skip
        mu = posterior.mu_prior.mean + posterior.mu_prior.sd * mu_z
        tau = posterior.tau_prior.scale * np.exp(log_tau_z)
        known, bounds = 0.0, 0
        wide = np.linspace(-9, 9, 20_001)
        for study in posterior.studies:
            if isinstance(study, count_witness.BOUNDS):
                known += study.value(np.array(mu + tau * u[bounds]))
                bounds += 1
                continue
            log_phi = -0.5 * wide**2 - 0.5 * np.log(2 * np.pi) + np.log(wide[1] - wide[0])
            # The graph leaves out what does not depend on the parameters.
            constant = study._constant
            if isinstance(study, counts.Events):
                constant = -special.gammaln(study.events + 1)
            known += special.logsumexp(study.value(mu + tau * wide) + log_phi) - constant
        assert found == pytest.approx(known, abs=2e-4)


@pytest.mark.parametrize("family", every("exponential", "weibull", *OTHERS, fast=2))
def test_the_graph_of_durations_is_the_likelihood_of_the_facts(family):
    posterior = survival.fit(FACTS, family, ever=(0.2, 1.7), reading=READING)
    witness = survival_witness.compile_witness([posterior])
    place, precision = posterior.own_medians()
    rng = np.random.default_rng(3)
    for _ in range(2):
        values = {name: rng.normal(0, 0.6) for name in ("mu_z", "tau_z", "shape_z", "cure_z")}
        values |= {name: rng.normal(0, 0.6, 4) for name in ("ever_z", "study_z")}
        found = potentials(
            witness.sampler.model, survival_witness.packed(posterior, witness.sizes), values
        )
        mu, tau = 3.2 + values["mu_z"], 0.5 * np.exp(values["tau_z"])
        u, log_density = standardised(values["study_z"], mu, tau, place, precision)
        known = (log_density - 0.5 * np.log1p(precision * tau**2)).sum()
        cure = special.expit(-1.5 + values["cure_z"])
        for i, own in enumerate(posterior.facts):
            parts = duration_likelihood.split_log_likelihood(
                duration_likelihood.statements(own),
                family,
                mu + tau * u[i],
                0.4 * values["shape_z"],
                cure,
                READING,
            )
            known += parts.given(0.2 + 1.7 * values["ever_z"][i])
        assert found == pytest.approx(float(known), abs=1e-6)


@pytest.mark.slow  # of each graph the tests above ask more: that it is the likelihood
@pytest.mark.parametrize("family", sorted(survival_witness.HOLD_EXPONENTIAL))
def test_an_exponential_posterior_is_sampled_by_the_graph_of_a_family_that_holds_it(family):
    own = {"ever": (0.2, 1.7), "reading": READING}
    posterior = survival.fit(FACTS, "exponential", **own)
    alone = survival_witness.compile_witness([posterior])
    beside = survival_witness.compile_witness([posterior, survival.fit(FACTS, family, **own)])
    rng = np.random.default_rng(5)
    gaps = []
    for _ in range(3):
        values = {name: rng.normal(0, 0.6) for name in ("mu_z", "tau_z", "shape_z", "cure_z")}
        values |= {name: rng.normal(0, 0.6, 4) for name in ("ever_z", "study_z")}
        first, second = (
            potentials(one.sampler.model, survival_witness.packed(posterior, one.sizes), values)
            for one in (beside, alone)
        )
        gaps.append(first - second)
    assert np.ptp(gaps) < 1e-4 and abs(gaps[0]) < 1e-4


def test_what_is_not_sampled_says_why_and_is_no_error(counted):
    witness = counted
    heavy = exact.fit_shares([3], [9], mu_prior=Normal(0, 1.5), tau_prior=HalfCauchy(0.5))
    found = witness.hear("heavy", heavy, seed=1)
    assert found.silent == "only a half-normal prior of tau is sampled"
    assert found.comparisons == () and found.table().empty
    bound = exact.fit_rates([2], [9.0], at_least=[True], **RATE)
    assert "Poisson" in witness.hear("bound", bound, seed=1).silent
    mean = pd.DataFrame([{"study_id": "a", "kind": "mean", "low": 12.0, "high": 40.0, "count": 5}])
    posterior = survival.fit(mean, "exponential")
    witness = survival_witness.compile_witness([posterior])
    found = witness.hear("mean", posterior, seed=1)
    assert found.silent == "a printed mean is not sampled"


def test_more_than_the_graph_has_room_for_is_refused():
    sizes = count_witness.compile_witness([posteriors()["events"]]).sizes
    with pytest.raises(ValueError, match="room for 2"):
        count_witness.packed(exact.fit_rates([0, 1, 0], [9.0, 8.0, 5.0], **RATE), sizes)
    with pytest.raises(ValueError, match="fewer or smaller lower bounds"):
        count_witness.packed(posteriors()["shares"], sizes)
    with pytest.raises(ValueError, match="no one graph"):
        survival_witness.compile_witness(
            [survival.fit(FACTS, name, ever=(0.2, 1.7)) for name in ("lognormal", "weibull")]
        )


@pytest.mark.slow
def test_the_sampler_agrees_on_counts_and_passes_its_gate_at_the_first_try(counted):
    silent = []
    for name, posterior in posteriors().items():
        for seed in range(7):
            found = counted.hear_once(name, posterior, seed=seed)
            silent += [found.silent] if found.silent else []
            require_agreement(found.comparisons)
    assert len(silent) <= 1, silent


@pytest.mark.slow
@pytest.mark.parametrize("family", ["weibull", "exponential"])
def test_the_sampler_agrees_on_durations_and_passes_its_gate_at_the_first_try(family):
    posterior = survival.fit(FACTS, family, ever=(0.2, 1.7), reading=READING)
    witness = survival_witness.compile_witness([posterior])
    silent = []
    for seed in range(10):
        found = witness.hear_once(family, posterior, seed=seed)
        silent += [found.silent] if found.silent else []
        require_agreement(found.comparisons)
    assert len(silent) <= 1, silent
