"""The bias that takes an effect away: closed forms, and the headline posterior fitted again."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from analysis import exact, outcomes, priors, questions
from analysis.exact.contrasts import ContrastPriors
from analysis.sensitivity.nullify import Moved, bias_to_nullify, e_value, nullifying


@dataclass(frozen=True)
class NormalPosterior(exact.Distribution):
    """A normal posterior, for which all is known in closed form."""

    mean: float
    sd: float

    def _quantile(self, p):
        return stats.norm(self.mean, self.sd).ppf(p)

    def _pdf(self, x):
        return stats.norm(self.mean, self.sd).pdf(x)


@given(st.floats(-1, 1), st.floats(0.05, 0.4), st.floats(1.0, 3.0))
def test_of_a_normal_posterior_the_bias_is_the_mean_over_what_the_prior_leaves(mean, sd, prior):
    """Moving a N(0, s²) prior by b moves a N(m, v) posterior by v b / s², so b = m / (1 - v/s²)."""
    moved = Moved.of(NormalPosterior(mean, sd), prior)
    keeps = 1 - (sd / prior) ** 2
    assert nullifying(moved.mean, mean, sd) == pytest.approx(mean / keeps, abs=2e-4 * sd)
    low = mean - 1.959964 * sd
    assume(low > 0)
    found = nullifying(lambda bias: moved.quantile(bias, 0.025), low, sd)
    assert found == pytest.approx(low / keeps, abs=2e-3 * sd)


def test_the_e_value_of_no_effect_is_one_and_is_the_same_for_a_ratio_and_its_inverse():
    assert e_value(1.0) == 1.0
    assert e_value(2.0) == pytest.approx(2 + math.sqrt(2)) == e_value(0.5)


@pytest.mark.parametrize("population", ["t1d", "t2d"])
def test_a_headline_fitted_again_with_its_prior_moved_by_the_bias_has_that_bias_left(
    evidence, population
):
    """All of the headline is fitted: results in words, unknown r and SDs; nothing is plugged in."""
    body = questions.Body(evidence)
    question = next(each for each in questions.headlines(body)
                    if (each.outcome, each.population) == ("hba1c", population))  # fmt: skip
    whole = questions.posterior_of(body, question)
    row = bias_to_nullify(question, whole)
    own = priors.get("hba1c", "mu")
    prior = exact.Normal(own.params[0] + row["bias_for_mean"], own.scale)
    again = questions.posterior_of(body, question, prior=ContrastPriors.of("hba1c").with_(mu=prior))
    assert again.mu.mean == pytest.approx(row["bias_for_mean"], abs=1e-4 * whole.mu.sd)
    assert np.sign(row["bias_for_mean"]) == np.sign(whole.mu.mean)
    assert abs(row["bias_for_mean"]) >= abs(whole.mu.mean)
    assert outcomes.get("hba1c").is_ratio or np.isnan(row["e_value_mean"])
