"""What results to come do to a posterior: against closed forms, and against the refit itself."""

import numpy as np
import pytest
from scipy import stats

from analysis.exact import Fixed, HalfNormal, Normal
from analysis.exact.contrasts import ContrastPriors, Contrasts, fit
from analysis.exact.outlook import Outlook


def rows(y, se, **more) -> Contrasts:
    """Numbers with known standard errors, and results in words where `kind` says so."""
    var = np.asarray(se, dtype=float) ** 2
    return Contrasts.of(
        y=np.asarray(y, dtype=float), var_a=var, n_factor=0.1, n_patients=40, **more
    )


WORDS = {
    "kind": np.array(["numeric", "numeric", "interval", "two_points"], dtype=object),
    "z_low": np.array([np.nan, np.nan, 1.96, np.nan]),
    "z_high": np.array([np.nan, np.nan, np.inf, 1.2]),
}
PRIOR = ContrastPriors(mu=Normal(0.0, 1.0), tau=HalfNormal(0.4))


def mixed(*y: float, se: float = 0.3) -> Contrasts:
    """Two numbers and two results in words, and further numbers."""
    kinds = np.concatenate([WORDS["kind"], np.full(len(y), "numeric", dtype=object)])
    pad = np.full(len(y), np.nan)
    return rows(
        [0.4, -0.1, np.nan, np.nan, *y], [0.2, 0.3, 0.25, 0.4, *np.full(len(y), se)], kind=kinds,
        z_low=np.concatenate([WORDS["z_low"], pad]), z_high=np.concatenate([WORDS["z_high"], pad]),
    )  # fmt: skip


def test_without_heterogeneity_a_result_adds_its_precision():
    prior = ContrastPriors(mu=Normal(0.0, 2.0), tau=Fixed(0.0))
    outlook = Outlook(fit(rows([0.3], [0.5]), prior, r=0.0))
    after = outlook.given(np.array([[1.0]]), np.array([0.25]))
    precision = 1 / 2.0**2 + 1 / 0.5**2 + 1 / 0.25**2
    known = stats.norm((0.3 / 0.5**2 + 1.0 / 0.25**2) / precision, precision**-0.5)
    assert after.mean[0] == pytest.approx(known.mean(), abs=2e-4)
    assert (after.low[0], after.high[0]) == pytest.approx(known.interval(0.95), abs=2e-3)
    assert after.below[0] == pytest.approx(known.cdf(0.0), abs=2e-3)


def test_without_heterogeneity_the_prediction_of_a_result_is_normal():
    prior = ContrastPriors(mu=Normal(0.0, 2.0), tau=Fixed(0.0))
    y, probability = Outlook(fit(rows([0.3], [0.5]), prior, r=0.0)).results(0.25)
    precision = 1 / 2.0**2 + 1 / 0.5**2
    spread = np.hypot(precision**-0.5, 0.25)
    assert probability.sum() == pytest.approx(1)
    assert probability @ y == pytest.approx(0.3 / 0.5**2 / precision, abs=1e-3)
    assert probability @ (y - probability @ y) ** 2 == pytest.approx(spread**2, rel=2e-3)


@pytest.mark.parametrize("y", [-0.6, 0.2, 1.3])
def test_a_result_added_on_the_grid_is_the_refit_with_it(y):
    before = fit(mixed(), PRIOR, r=0.4)
    after = Outlook(before).given(np.array([[y]]), np.array([0.3]))
    refit = fit(mixed(y), PRIOR, r=0.4)
    low, high = refit.mu.interval()
    scale = refit.mu.sd
    assert after.mean[0] == pytest.approx(refit.mu.mean, abs=0.005 * scale)
    assert after.low[0] == pytest.approx(low, abs=0.01 * scale)
    assert after.high[0] == pytest.approx(high, abs=0.01 * scale)
    assert after.below[0] == pytest.approx(float(refit.mu.cdf(0.0)), abs=2e-3)
    ends = refit.predictive.interval()
    assert (after.pred_low[0], after.pred_high[0]) == pytest.approx(ends, abs=0.02 * scale)


def test_two_results_added_together_are_the_refit_with_both():
    after = Outlook(fit(mixed(), PRIOR, r=0.4)).given(np.array([[0.5, -0.2]]), np.full(2, 0.3))
    refit = fit(mixed(0.5, -0.2), PRIOR, r=0.4)
    assert after.mean[0] == pytest.approx(refit.mu.mean, abs=0.005 * refit.mu.sd)
    assert after.low[0] == pytest.approx(refit.mu.interval()[0], abs=0.01 * refit.mu.sd)


def test_nothing_added_leaves_the_posterior_as_it_is():
    posterior = fit(mixed(), PRIOR, r=0.4)
    now = Outlook(posterior).now
    assert (now.low[0], now.high[0]) == pytest.approx(posterior.mu.interval(), abs=2e-3)
    assert now.below[0] == pytest.approx(float(posterior.mu.cdf(0.0)), abs=1e-3)
    assert now.pred_low[0] == pytest.approx(posterior.predictive.interval()[0], abs=5e-3)


@pytest.mark.parametrize("se", [0.05, 0.3, 2.0])
def test_on_average_over_its_prediction_a_result_moves_no_probability(se):
    outlook = Outlook(fit(mixed(), PRIOR, r=0.4))
    y, probability = outlook.results(se)
    after = outlook.given(y[:, None], np.array([se]))
    assert probability @ after.below == pytest.approx(outlook.now.below[0], abs=2e-3)
    assert probability @ after.mean == pytest.approx(outlook.now.mean[0], abs=2e-3)


def test_the_larger_the_trial_the_narrower_the_expected_interval():
    outlook = Outlook(fit(mixed(), PRIOR, r=0.4))
    widths = []
    for se in (5.0, 0.5, 0.2, 0.05):
        y, probability = outlook.results(se)
        after = outlook.given(y[:, None], np.array([se]))
        widths.append(probability @ (after.high - after.low))
    assert widths == sorted(widths, reverse=True)
    assert widths[0] == pytest.approx(outlook.now.high[0] - outlook.now.low[0], rel=0.02)


def test_points_of_several_trials_are_the_same_each_time_and_have_the_predicted_spread():
    outlook = Outlook(fit(mixed(), PRIOR, r=0.4))
    se = np.array([0.2, 0.6])
    first, second = outlook.draws(se, 512), outlook.draws(se, 512)
    assert np.array_equal(first, second) and np.isfinite(first).all()
    for column, s in enumerate(se):
        y, probability = outlook.results(s)
        spread = np.sqrt(probability @ (y - probability @ y) ** 2)
        assert first[:, column].mean() == pytest.approx(probability @ y, abs=0.05 * spread)
        assert first[:, column].std() == pytest.approx(spread, rel=0.06)
    assert np.corrcoef(first.T)[0, 1] > 0.1


def test_only_a_posterior_of_mu_and_tau_alone_can_take_results():
    data = mixed()
    with pytest.raises(ValueError, match="normal effects"):
        Outlook(fit(data, PRIOR, r=0.4, robust=True))
