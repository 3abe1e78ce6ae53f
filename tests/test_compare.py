"""The comparison of a witness with quadrature: what passes, what stops a run."""

import numpy as np
import pytest

from analysis.models.compare import (
    AGAIN,
    DisagreementError,
    compare,
    confirmed,
    require_agreement,
)
from analysis.models.compare import Testimony as Said

STANDARD = {"mean": 0.0, "sd": 1.0, "q025": -1.959964, "q975": 1.959964}


def draws(seed, shift=0.0, scale=1.0):
    return shift + scale * np.random.default_rng(seed).standard_normal((4, 1000))


def test_draws_of_the_same_posterior_agree_over_many_seeds():
    worst = [compare(STANDARD, draws(seed)).worst for seed in range(100)]
    assert sum(w > 1 for w in worst) == 0
    assert np.mean(worst) > 0.1  # the allowance is not so wide that nothing could fail


@pytest.mark.parametrize("fault", [{"shift": 0.12}, {"scale": 1.1}, {"shift": -0.12}])
def test_a_shifted_or_wider_posterior_is_a_disagreement_that_names_quantity_and_figure(fault):
    found = compare(STANDARD, draws(1, **fault), "rate")
    assert not found.agrees
    with pytest.raises(DisagreementError, match=r"rate: (mean|sd)"):
        require_agreement([found])


def test_a_nan_is_never_an_agreement():
    found = compare(STANDARD | {"q975": np.nan}, draws(1), "rate")
    assert not found.agrees
    with pytest.raises(DisagreementError, match="q975"):
        require_agreement([found])


def test_slow_mixing_widens_what_is_allowed():
    rng = np.random.default_rng(3)
    slow = np.repeat(rng.standard_normal((4, 50)), 20, axis=1)
    assert compare(STANDARD, slow).mcse["mean"] > 3 * compare(STANDARD, draws(3)).mcse["mean"]


def test_chains_must_be_kept_apart_and_every_figure_given():
    with pytest.raises(ValueError, match="chains"):
        compare(STANDARD, np.zeros(10), "rate")
    with pytest.raises(ValueError, match="lacks q975"):
        compare({"mean": 0, "sd": 1, "q025": -2}, draws(0), "rate")


def test_the_record_is_one_flat_row():
    row = compare(STANDARD, draws(0), "rate").record()
    assert row["quantity"] == "rate" and row["agrees"] is True and row["sd_exact"] == 1.0


def witness_of(*shifts, silent_at=None):
    """A witness that is off by these shifts, one a hearing; and how it was asked."""
    asked = []

    def testify(*, seed, draws):
        hearing = len(asked)
        asked.append((seed, draws))
        if hearing == silent_at:
            return Said("rate", "R-hat")
        values = shifts[hearing] + np.random.default_rng(seed).standard_normal((4, draws))
        return Said("rate", "", (compare(STANDARD, values, "rate"),))

    return testify, asked


def test_a_witness_that_agrees_is_heard_once():
    testify, asked = witness_of(0.0)
    assert confirmed(testify, seed=1, draws=1000).comparisons[0].agrees
    assert asked == [(1, 1000)]


def test_a_chance_disagreement_is_settled_by_more_draws_from_another_seed():
    testify, asked = witness_of(0.2, 0.0)
    assert confirmed(testify, seed=1, draws=1000).comparisons[0].agrees
    (first, few), (second, many) = asked
    assert second != first and many == AGAIN * few


@pytest.mark.parametrize("silent_at", [None, 1])
def test_a_disagreement_that_stays_or_falls_silent_is_an_error(silent_at):
    testify, _ = witness_of(0.2, 0.2, silent_at=silent_at)
    with pytest.raises(DisagreementError, match="rate"):
        confirmed(testify, seed=1, draws=1000)
