"""The NUTS witness of the exact posterior of contrasts."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis import exact
from analysis.exact import contrasts
from analysis.exact.contrast_likelihood import Likelihood, Nuisance, Points
from analysis.exact.contrasts import ContrastPriors
from analysis.models import contrast_witness as room
from analysis.models.compare import DisagreementError
from analysis.models.witnesses import Witness

NAN = np.nan
PRIOR = ContrastPriors(
    mu=exact.Normal(0.0, 2.0), tau=exact.HalfNormal(0.75), log_sd=exact.Normal(0.2, 0.7),
    coefficients={"bias": exact.Normal(0.0, 0.5)},
)  # fmt: skip
ROWS = pd.DataFrame(
    {
        "kind": ["numeric", "numeric", "interval", "interval", "exact_p", "numeric",
                 "two_points", "interval", "exact_p"],
        "y": [-0.2, -1.2, NAN, NAN, NAN, -0.5, NAN, NAN, NAN],
        "var_a": [0.17, 0.16, NAN, NAN, NAN, NAN, NAN, NAN, 0.3],
        "var_b": [0.16, 0.15, NAN, NAN, NAN, NAN, NAN, NAN, 0.2],
        "n_factor": [0.19, 0.095, 0.22, 0.1, 0.15, 0.2, 0.15, 0.2, 0.2],
        "z_low": [NAN, NAN, -1.96, -np.inf, -2.2, NAN, -1.1, 0.3, -1.5],
        "z_high": [NAN, NAN, 1.96, -1.96, -2.2, NAN, 1.1, np.inf, -1.5],
        "n_patients": [21, 42, 18, 40, 30, 20, 24, 20, 20],
    }
)  # fmt: skip


def test_a_row_that_says_nothing_counts_nothing_and_numbers_are_those_with_a_spread():
    nothing = pd.DataFrame([{**ROWS.iloc[2], "z_low": -np.inf, "z_high": np.inf}])
    task = contrasts.prepare(pd.concat([ROWS, nothing], ignore_index=True), PRIOR)
    sizes = room.Sizes.of([task])
    vector = room.packed(task, sizes)
    assert vector.size == sizes.length
    rows = dict(zip(room.ROW, sizes.part(vector, "row")[:, 0], strict=True))
    assert rows["real"].tolist() == [1.0] * 9 + [0.0]
    assert rows["number"].tolist() == [1.0, 1.0] + [0.0] * 8


def test_more_rows_than_there_is_room_for_are_refused():
    small = room.Sizes.of([contrasts.prepare(ROWS.iloc[:1], PRIOR)])
    with pytest.raises(ValueError, match="room for 1 of row, not 2"):
        room.packed(contrasts.prepare(ROWS.iloc[:2], PRIOR), small)


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"robust": True}, "heavy-tailed"),
        ({"prior": PRIOR.with_(tau=exact.HalfCauchy(0.5))}, "half-normal prior"),
    ],
)
def test_what_cannot_be_sampled_is_silent_with_its_reason(choices, words):
    prior = choices.pop("prior", PRIOR)
    posterior = contrasts.fit(ROWS.iloc[:2], prior, r=0.4, **choices)
    silent = Witness(None, None, None, room._cannot, None).hear("a", posterior, seed=1)
    assert words in silent.silent
    assert silent.comparisons == ()


@pytest.fixture(scope="module")
def compiled():
    posterior = contrasts.fit(ROWS, PRIOR)
    return posterior, room.compile_witness([posterior])


def test_the_graph_is_the_likelihood_of_the_quadrature():
    """Log densities differ between two points by as much as the exact ones do."""
    rows = ROWS.assign(bias=[0, 1, 0, 1, 0, 0, 1, 0, 0])
    task = contrasts.prepare(rows, PRIOR, covariates=("bias",))
    sizes = room.Sizes.of([task])
    model = room.build(sizes)
    model.set_data("packed", room.packed(task, sizes))
    log_p = model.compile_logp(jacobian=False)

    def graph(mu, beta, tau, r, m, s):
        # mu is sampled as its distance from what the two numbers say given tau and r.
        y = np.array([-0.2, -1.2]) - beta * np.array([0.0, 1.0])
        total2 = np.array([0.17, 0.16]) - r * np.array([0.16, 0.15]) + tau**2
        centre, precision = room.given_numbers(y, total2, np.ones(2), 0.0, 2.0)
        value = {"mu_z": (mu - centre) * np.sqrt(precision), "tau_z_log__": np.log(tau / 0.75),
                 "log_sd_z": (m - 0.2) / 0.7, "log_sd_spread_z_log__": np.log(s / 0.5),
                 "beta_z": np.array([beta / 0.5]),
                 "r_interval__": np.log((r + 0.95) / (0.95 - r))}  # fmt: skip
        return float(log_p(value)) + 0.5 * np.log(precision)  # a density of mu, not of the deviate

    def quadrature(mu, beta, tau, r, m, s):
        one, x = np.ones(1), np.arange(-9.0, 9.0, 0.05)
        nodes = Nuisance(r * one, one, m * one, s * one, one, x)
        likelihood = Likelihood(task.rows, task.teachers, nodes, False)
        eta = (mu + beta * rows["bias"].to_numpy(dtype=float))[None]
        log_scale, value = likelihood.joint(Points(np.array([tau]), eta))
        prior = stats.norm.logpdf(mu / 2) + stats.norm.logpdf(beta / 0.5)
        prior += -0.5 * (tau / 0.75) ** 2 - 0.5 * (s / 0.5) ** 2 - 0.5 * ((m - 0.2) / 0.7) ** 2
        return float(log_scale[0] + np.log(value[0, 0]) + prior - 0.5 * ((r - 0.4) / 0.3) ** 2)

    first = (-0.6, 0.2, 0.4, 0.3, 0.1, 0.3)
    for other in [(-1.4, -0.3, 0.1, 0.6, -0.2, 0.1), (0.5, 0.1, 1.5, -0.4, 0.6, 0.5),
                  (-0.7, 0.4, 0.02, 0.1, 0.2, 0.02)]:  # fmt: skip
        expected = quadrature(*other) - quadrature(*first)
        assert graph(*other) - graph(*first) == pytest.approx(expected, abs=1e-3)


@pytest.mark.slow
def test_the_witness_agrees_with_quadrature(compiled):
    posterior, witness = compiled
    testified = witness.hear("mixed", posterior, seed=3)
    assert testified.silent == ""
    assert testified.attempts == 1
    table = testified.table()
    assert table["quantity"].tolist() == ["mixed: mu", "mixed: tau", "mixed: predictive"]
    assert table["agrees"].all()


@pytest.mark.slow
def test_a_compiled_witness_serves_other_rows_and_choices(compiled):
    _, witness = compiled
    fewer = contrasts.fit(ROWS.iloc[[0, 3, 4]], PRIOR, teachers=ROWS.iloc[:2], r=0.3)
    assert witness.hear("fewer", fewer, seed=4).silent == ""


@pytest.mark.slow
def test_another_posterior_is_a_disagreement(compiled):
    posterior, witness = compiled
    other = contrasts.fit(ROWS.assign(y=ROWS["y"] - 0.3), PRIOR)
    other.task = dataclasses.replace(posterior.task)
    with pytest.raises(DisagreementError, match="by quadrature and"):
        witness.hear("moved", other, seed=5)


@pytest.mark.slow
def test_the_gate_is_passed_at_the_first_try_whatever_the_seed(compiled):
    posterior, witness = compiled
    for seed in range(6):
        assert witness.hear_once("mixed", posterior, seed=seed).silent == ""
