"""The safety model: zeros kept, closed-form checks beside it, sensible in the extremes."""

import numpy as np
import pandas as pd
import pytest

from analysis.models import safety
from analysis.models.sampling import compile_model

SIZE = 8


def cohorts(events, patients=20, months=12.0, classes=None) -> pd.DataFrame:
    k = len(events)
    return pd.DataFrame(
        {
            "events": events,
            "n_at_risk": np.broadcast_to(patients, k),
            "months": np.broadcast_to(months, k),
            "cell_class": classes or ["ahsct"] * k,
        }
    )


@pytest.fixture(scope="module")
def fit():
    sampler = compile_model(safety.build(SIZE), "safety test")

    def one(rows, seed=1):
        data = safety.design_arrays(rows, SIZE)
        return sampler.fit("test", seed=seed, data=data, tune=1000, draws=1000, target_accept=0.99)

    return one


def upper(fit) -> float:
    return float(np.quantile(safety.pooled_rate(fit), 0.95))


def test_zero_events_give_a_bound_that_falls_with_more_patients(fit):
    few, many = fit(cohorts([0.0])), fit(cohorts([0.0] * 8, patients=60))
    assert 0 < upper(many) < upper(few) < 100


def test_all_patients_with_the_event_is_a_high_rate(fit):
    rate = safety.pooled_rate(fit(cohorts([20.0] * 4)))
    assert np.quantile(rate, 0.05) > 30


def test_a_known_rate_is_recovered(fit):
    rng = np.random.default_rng(4)
    truth = 10.0
    events = rng.binomial(150, 1 - np.exp(-truth / 100), size=8).astype(float)
    rate = safety.pooled_rate(fit(cohorts(list(events), patients=150)))
    assert np.quantile(rate, 0.025) < truth < np.quantile(rate, 0.975)


def test_the_same_seed_gives_the_same_draws(fit):
    first, second = fit(cohorts([1.0, 0.0])), fit(cohorts([1.0, 0.0]))
    assert np.array_equal(first.draws("mu"), second.draws("mu"))


def test_more_cohorts_than_the_model_was_built_for_is_an_error():
    with pytest.raises(ValueError, match="9 cohorts; the model was built for 8"):
        safety.design_arrays(cohorts([0.0] * 9), SIZE)


def test_the_rule_of_three_is_near_the_exact_bound():
    assert safety.rule_of_three(0, 100) == 0.03
    assert np.isnan(safety.rule_of_three(1, 100))
    # 1 - 0.05^(1/n) is the exact one-sided bound for no event in n (Clopper and Pearson 1934).
    assert safety.clopper_pearson_upper(0, 100) == pytest.approx(1 - 0.05 ** (1 / 100))
    assert safety.clopper_pearson_upper(5, 5) == 1.0


def test_the_conjugate_posterior_in_closed_form():
    gamma = safety.conjugate_rate(events=3, years=50)
    assert gamma.mean() == pytest.approx(100 * 3.5 / 50)


def test_strategies_are_compared_only_where_two_are_known():
    rows = cohorts([0.0, 1.0, 0.0]).assign(
        event_category=["death", "death", "neutropenia"],
        relation="any",
        strategy=["conditioning", "neither", "neither"],
        patient_years=20.0,
    )
    table = safety.by_strategy(rows)
    assert set(table["event_category"]) == {"death"}
    assert table["events"].sum() == 1
