"""The likelihood of published durations: closed forms, order statistics, tables as read back."""

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, special

from analysis import durations
from analysis.exact.families import FAMILIES, log_density, log_survival
from analysis.models import duration, tabulated
from analysis.patient_level import evidence_of

ETA = np.array([2.0, 3.0, 4.0])
CURE = 0.2
LOG2 = np.log(2)


def fact(kind, low, high=np.inf, count=1.0, origin="independence", through=False, least=0):
    return {
        "study_id": "one", "cell_class": "ahsct", "kind": kind, "low": low, "high": high,
        "count": count, "time_origin": origin, "through_ever": through, "min_ever": least,
    }  # fmt: skip


def value(*facts, family="exponential", eta=ETA, theta=0.0, logit_ever=0.0):
    return duration.study_log_likelihood(pd.DataFrame(facts), family, eta, theta, CURE, logit_ever)


# --- families -----------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("theta", [-0.6, 0.0, 0.6])
def test_the_density_integrates_to_what_the_survival_loses(family, theta):
    def density(t):
        return np.exp(log_density(family, np.log(t) - 3.0, np.log(t), theta, CURE))

    lost = -np.expm1(log_survival(family, np.log(50.0) - 3.0, theta, CURE))
    area, _ = integrate.quad(density, 1e-9, 50.0, limit=200)
    assert area == pytest.approx(float(lost), rel=1e-4)


@pytest.mark.parametrize("family", [f for f in FAMILIES if f != "cure"])
def test_half_resume_by_the_median(family):
    assert np.exp(log_survival(family, 0.0, 0.4, CURE)) == pytest.approx(0.5)


def test_a_cured_share_never_resumes_and_the_others_halve_by_their_median():
    survival = np.exp(log_survival("cure", np.array([0.0, 50.0]), 0.0, CURE))
    assert survival == pytest.approx([CURE + (1 - CURE) / 2, CURE])


def test_a_gompertz_without_slope_is_exponential():
    y = np.linspace(-3, 2, 7)
    assert log_survival("gompertz", y, 0.0, CURE) == pytest.approx(
        log_survival("exponential", y, 0.0, CURE), rel=1e-4
    )


# --- pieces of the likelihood, exponential in closed form -----------------------------------------


def test_exact_censored_and_between_in_closed_form():
    rate = LOG2 / np.exp(ETA)
    assert value(fact("exact", 7.0)) == pytest.approx(np.log(rate) - 7 * rate)
    assert value(fact("right_censored", 9.0, count=3)) == pytest.approx(-27 * rate)
    between = np.log(np.exp(-5 * rate) - np.exp(-11 * rate))
    for kind in ("landmark", "interval", "order_between"):
        assert value(fact(kind, 5.0, 11.0, 2)) == pytest.approx(2 * between)


def test_equal_patients_count_as_often_as_they_are_listed():
    many = [fact("exact", 7.0)] * 5 + [fact("exact", 9.0)]
    once = 5 * value(fact("exact", 7.0)) + value(fact("exact", 9.0))
    assert value(*many) == pytest.approx(once)


def test_the_longest_of_several_in_closed_form():
    s = np.exp(-LOG2 / np.exp(ETA) * np.array([[10.0], [30.0]]))
    expected = np.log(s[0] ** 4 - (s[0] - s[1]) ** 4)
    assert value(fact("order_top", 10.0, 30.0, 4)) == pytest.approx(expected)


def test_the_longest_ended_is_a_density_that_adds_up_to_all_outlasting_the_least():
    def density(b):
        return np.exp(float(value(fact("order_ended", 10.0, b, 4), eta=3.0)[()])) / b

    area, _ = integrate.quad(density, 10.5, 400.0, limit=400)
    assert area == pytest.approx(np.exp(-4 * 10 * LOG2 / np.exp(3.0)), rel=1e-3)


def test_the_longest_of_which_nothing_is_known_has_ended_or_not():
    ways = [value(fact(kind, 10.0, 30.0, 4)) for kind in ("order_top", "order_ended")]
    assert value(fact("order_longest", 10.0, 30.0, 4)) == pytest.approx(np.logaddexp(*ways))


def test_a_time_from_treatment_is_averaged_over_onset():
    onsets = duration.onset_nodes()
    survival = np.exp(-LOG2 / np.exp(ETA) * (24 - onsets)[:, None]).mean(axis=0)
    assert value(fact("right_censored", 24.0, origin="treatment")) == pytest.approx(
        np.log(survival)
    )


def test_unresolved_patients_were_never_free_or_are_free_no_longer():
    gone = -np.expm1(-LOG2 / np.exp(ETA) * 20)
    facts = [
        fact("unresolved", 0, 20.0, 5, through=True),
        fact("landmark", 20.0, np.inf, 3, through=True),
    ]
    p = special.expit(0.7)
    expected = 5 * np.log(1 - p + p * gone) + 3 * (np.log(p) + np.log(1 - gone))
    assert value(*facts, logit_ever=0.7) == pytest.approx(expected)


def test_a_known_least_number_ever_free_rules_out_fewer():
    gone, p = -np.expm1(-LOG2 / np.exp(ETA) * 20), special.expit(0.7)
    weights = [special.comb(3, j) * (p * gone) ** j * (1 - p) ** (3 - j) for j in (2, 3)]
    found = value(fact("unresolved", 0, 20.0, 3, through=True, least=2), logit_ever=0.7)
    assert found == pytest.approx(np.log(sum(weights)))


def test_a_printed_mean_is_likeliest_near_the_restricted_mean():
    eta = np.linspace(1.0, 5.0, 400)
    best = eta[value(fact("mean", 12.0, 60.0, 400), eta=eta).argmax()]
    rate = LOG2 / np.exp(best)
    assert -np.expm1(-60 * rate) / rate == pytest.approx(12.0, rel=0.1)


def test_a_median_with_a_range_has_the_density_of_order_statistics(evidence):
    # Brute force: how often five exponential durations have shortest, median and a longest beyond
    # the printed ones, near one pair of values and near another; the likelihood ratio must agree.
    rng = np.random.default_rng(3)
    drawn = np.sort(rng.exponential(np.exp(3.0) / LOG2, (1_500_000, 5)), axis=1)

    def likelihood(shortest, median, longest):
        row = {"study_id": "one", "fact": "duration_summary", "k": 5.0, "low": shortest,
               "high": longest, "value": median, "duration_statistic": "median"}  # fmt: skip
        followed = {"one": {"followup_months": longest, "followup_kind": "longest"}}
        facts, _ = durations.layer(evidence_of(evidence, [row], followed))
        return duration.study_log_likelihood(facts, "exponential", 3.0, 0.0, CURE)

    def share(shortest, median, longest):
        inside = np.abs(drawn[:, 0] - shortest) < 1.0
        inside &= np.abs(drawn[:, 2] - median) < 1.0
        return np.mean(inside & (drawn[:, 4] >= longest))

    a, b = (6.0, 20.0, 40.0), (2.0, 30.0, 60.0)
    ratio = np.log(share(*a) / share(*b))
    assert float(likelihood(*a) - likelihood(*b)) == pytest.approx(ratio, abs=0.1)


def test_an_unknown_kind_is_an_error():
    with pytest.raises(ValueError, match="unknown kind of fact: rumour"):
        value(fact("rumour", 1.0))


# --- tables -------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_tables_read_back_what_the_likelihood_says(evidence, family):
    facts, _ = durations.layer(evidence)
    facts = facts[~facts["through_ever"].astype(bool)]
    table = duration.likelihoods(facts, family)
    spline = tabulated.coefficients(table.values)
    rng = np.random.default_rng(2)
    eta, theta, logit = rng.normal(3.2, 0.5, 300), rng.normal(0, 0.3, 300), rng.normal(-1.5, 1, 300)
    for i, study in enumerate(table.studies):
        direct = duration.study_log_likelihood(
            facts[facts["study_id"] == study], family, eta, theta, special.expit(logit)
        )
        direct = direct - table.values[i].max()
        near = direct > -8
        assert near.sum() > 20
        read = tabulated.read(spline[i], table, eta, theta, logit)
        assert read[near] == pytest.approx(direct[near], abs=0.05)


@pytest.mark.parametrize("family", FAMILIES)
def test_no_table_has_a_mode_that_the_likelihood_has_not(evidence, family):
    facts, _ = durations.layer(evidence)
    table = duration.likelihoods(facts, family)
    spline = tabulated.coefficients(table.values)
    eta = np.linspace(table.eta[1], table.eta[-2], 500)[:, None]
    theta = np.linspace(tabulated.THETA[1], tabulated.THETA[-2], 90)[None, :]
    for values in spline:
        assert tabulated.read(values, table, eta, theta, table.cure[1]).max() < 0.2


def test_the_standardised_effect_is_the_exact_conditional_posterior_of_a_normal():
    # eta ~ N(1, 0.5^2), likelihood N(2, 1/4): posterior mean 1.5, SD sqrt(1 / (4 + 4)).
    z = np.random.default_rng(1).standard_normal(200_000)
    u, _ = tabulated.standardised(z, 1.0, 0.5, 2.0, 4.0)
    eta = 1.0 + 0.5 * u
    assert eta.mean() == pytest.approx(1.5, abs=0.005)
    assert eta.std() == pytest.approx(np.sqrt(1 / 8), abs=0.005)


def test_the_predictive_density_integrates_the_study_effect_out():
    # A normal likelihood of eta: the marginal is normal with the variances added.
    eta = duration.ETA
    values = -0.5 * ((eta - 3.0) / 0.4) ** 2
    values = np.tile(values[None, :, None, None], (2, 1, tabulated.THETA.size, 4))
    table = tabulated.Table(("a", "b"), ("ahsct", "ahsct"), eta, tabulated.NO_CURE, values)
    shared = {"mu": 9.0, "tau": 0.3, "tau_class": 5.0, "theta": 0.1, "logit_cure": 1.0}
    draws = {name: np.full(1, x) for name, x in shared.items()}
    draws["class_mean"] = np.full((1, len(tabulated.CLASSES)), 2.5)
    found = tabulated.predictive(table, draws)
    expected = -0.5 * 0.25 / (0.16 + 0.09) + np.log(0.4 / 0.5)
    assert found == pytest.approx(np.full((1, 2), expected), abs=0.01)


# --- weights ------------------------------------------------------------------------------------


def test_without_studies_or_with_equal_scores_the_families_weigh_the_same():
    assert tabulated.stacking(np.zeros((0, 6))) == pytest.approx(np.full(6, 1 / 6))
    assert tabulated.stacking(np.full((9, 3), -4.0)) == pytest.approx(np.full(3, 1 / 3), abs=0.01)


def test_a_family_that_predicts_better_weighs_more_and_most_with_many_studies():
    few, many = (np.tile([-2.0, -4.0], (n, 1)) for n in (2, 60))
    assert 0.5 < tabulated.stacking(few)[0] < 0.8
    assert tabulated.stacking(many)[0] > 0.95
    assert tabulated.stacking_optimum(few) == pytest.approx([1.0, 0.0], abs=1e-6)


def test_leave_one_out_of_a_conjugate_normal():
    # y_i ~ N(mu, 1), flat prior on mu: the density of y_i given the others is N(mean, 1 + 1/9).
    rng = np.random.default_rng(0)
    y = rng.normal(0, 1, 10)
    mu = rng.normal(y.mean(), np.sqrt(1 / 10), 20_000)
    log_likelihood = -0.5 * (y[None, :] - mu[:, None]) ** 2 - 0.5 * np.log(2 * np.pi)
    elpd, k = tabulated.leave_one_out(log_likelihood)
    others = (y.sum() - y) / 9
    variance = 1 + 1 / 9
    exact = -0.5 * (y - others) ** 2 / variance - 0.5 * np.log(2 * np.pi * variance)
    assert elpd == pytest.approx(exact, abs=0.02)
    assert (k < 0.7).all()
