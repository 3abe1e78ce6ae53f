"""The likelihood of published durations: closed forms, order statistics, families."""

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, special

from analysis import priors
from analysis.exact import duration_likelihood as published
from analysis.exact.duration_likelihood import FactReading
from analysis.exact.families import FAMILIES, log_density, log_survival

ETA = np.array([2.0, 3.0, 4.0])
CURE = 0.2
LOG2 = np.log(2)
READING = FactReading(onset=(0.31, 1.0, 3.19))


def fact(kind, low, high=np.inf, count=1.0, origin="independence", through=False, least=0):
    return {
        "study_id": "one", "kind": kind, "low": low, "high": high, "count": count,
        "time_origin": origin, "through_ever": through, "min_ever": least,
    }  # fmt: skip


def value(*facts, family="exponential", eta=ETA, theta=0.0, logit_ever=0.0):
    rows = published.statements(pd.DataFrame(facts))
    parts = published.split_log_likelihood(rows, family, eta, theta, CURE, READING)
    return parts.given(logit_ever)


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


def test_facts_are_read_with_the_onset_and_the_spread_of_the_table_of_priors():
    mean, sd = priors.get("duration", "onset").params
    nodes = np.exp(mean + sd * special.ndtri(np.array([1, 3, 5]) / 6))
    assert FactReading().onset == pytest.approx(nodes, rel=1e-3)
    assert FactReading().mean_spread == priors.get("duration", "mean_reading").scale


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
    onsets = np.array(READING.onset)
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
