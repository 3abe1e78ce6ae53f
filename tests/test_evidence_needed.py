"""Evidence still needed: closed forms, what is already settled, and what never will be."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.models import evidence_needed as needed
from analysis.models.result import estimates_table


def points(distribution, n: int = 4000) -> np.ndarray:
    """A distribution as equally likely points, ascending."""
    return distribution.ppf((np.arange(n) + 0.5) / n)


def gamma(events: float, years: float):
    return stats.gamma(events, scale=1 / years)


TWO = np.repeat([0.001, 0.1], [80, 20])
"""A rate of 0.1 or 10 per 100 patient-years, with probabilities 0.8 and 0.2."""


def table(rates, category="death", group="all", k=3, n=60) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "event_category": category,
            "relation": "any",
            "group": group,
            "k_studies": k,
            "n_patients": n,
            "rate_per_year": rates,
        }
    )


def summary_of(rates, category="death") -> pd.Series:
    result = needed.from_estimates(estimates_table([]), table(rates, category))
    lines = result["evidence_needed_summary"].set_index("harm")
    return lines.loc[category]


# ------------------------------------------------------------------------------------- harms


@pytest.mark.parametrize(("events", "years"), [(0, 10), (2, 50), (5, 300)])
def test_a_gamma_rate_is_updated_to_a_gamma_rate(events, years):
    bound = needed.updated_bound(points(gamma(1.5, 30)), events, years)[0]
    exact = gamma(1.5 + events, 30 + years).ppf(0.95)
    assert bound == pytest.approx(exact, rel=0.01)


def test_the_bound_rises_with_events_and_falls_with_years():
    rates = points(gamma(1.0, 20))
    assert (np.diff(needed.updated_bound(rates, np.arange(30), 100.0)) >= 0).all()
    falling = [needed.updated_bound(rates, 2, years)[0] for years in (1, 10, 100, 1000)]
    assert falling == sorted(falling, reverse=True)


@pytest.mark.parametrize("years", [25, 100, 400, 1600])
def test_assurance_of_a_gamma_rate_is_a_negative_binomial_probability(years):
    a, b, threshold = 1.0, 60.0, 0.03
    counts = np.arange(200)
    allowed = counts[gamma(a + counts, b + years).ppf(0.95) < threshold]
    exact = stats.nbinom(a, b / (b + years)).cdf(allowed.max()) if allowed.size else 0.0
    found = needed.assurance_rate(points(gamma(a, b)), years, threshold)
    assert found == pytest.approx(exact, abs=0.005)


def test_two_possible_rates_in_closed_form():
    low, high = 0.001, 0.1
    odds = 0.2 / 0.8  # of the high rate; the bound is the low one while they are at most 1 / 19
    years = 200.0
    allowed = int((np.log(1 / 19 / odds) + (high - low) * years) / np.log(high / low))
    assert needed.largest_count(TWO, years, 0.01) == allowed
    exact = 0.8 * stats.poisson(low * years).cdf(allowed) + 0.2 * stats.poisson(high * years).cdf(
        allowed
    )
    assert needed.assurance_rate(TWO, years, 0.01) == pytest.approx(exact)
    clean = np.log(19 * odds) / (high - low)
    assert needed.years_with_events(TWO, 0, 0.01) == pytest.approx(clean, rel=0.002)


def test_one_possible_rate_needs_nothing_or_never_comes_under():
    rates = np.full(100, 0.02)
    assert needed.updated_bound(rates, [0, 5], 10.0).tolist() == [0.02, 0.02]
    assert needed.assurance_rate(rates, 50, 0.03) == 1.0
    assert needed.years_needed(rates, 0.03) == needed.years_with_events(rates, 0, 0.03) == 0.0
    assert needed.assurance_rate(rates, 50, 0.02) == 0.0
    assert needed.years_needed(rates, 0.02) == needed.years_with_events(rates, 0, 0.02) == np.inf


def test_the_years_needed_are_the_fewest_that_suffice():
    rates, threshold = points(gamma(0.5, 60), 400), 0.01
    years = needed.years_needed(rates, threshold, wanted=0.5)
    assert needed.assurance_rate(rates, years, threshold) >= 0.5
    fewer = np.linspace(0, 0.998 * years, 200)
    assert max(needed.assurance_rate(rates, y, threshold) for y in fewer) < 0.5
    assert needed.years_needed(rates, threshold, wanted=0.6) > years


@pytest.mark.parametrize("shape", [0.5, 1.0, 3.0])
def test_assurance_never_passes_the_probability_of_the_aim_by_more_than_the_error_allows(shape):
    rates, threshold = points(gamma(shape, 80), 400), 0.02
    today = np.mean(rates < threshold)
    found = [needed.assurance_rate(rates, years, threshold) for years in np.geomspace(1, 1e5, 60)]
    assert max(found) <= today / 0.95 + 1e-12
    assert found[-1] == pytest.approx(today, abs=0.02)


def test_a_study_may_reach_an_assurance_a_little_above_the_probability_of_the_aim():
    """0.8 of the points are under the threshold; a study of the right length has more."""
    years = needed.years_needed(TWO, 0.01, wanted=0.805)
    assert np.mean(TWO < 0.01) < 0.805
    assert np.isfinite(years)
    assert needed.assurance_rate(TWO, years, 0.01) >= 0.805


def test_more_patients_give_more_assurance():
    result = needed.from_estimates(estimates_table([]), table(points(gamma(1.0, 100), 400)))
    curve = result["evidence_needed"]
    assert list(curve.columns) == needed.CURVE_COLUMNS
    assert len(curve) == len(needed.PATIENTS) * len(needed.YEARS)
    assert (curve["patient_years"] == curve["patients"] * curve["years"]).all()
    for _, part in curve.groupby("years"):
        # Counts are whole: assurance rises in small saw teeth.
        assert (np.diff(part.sort_values("patients")["assurance"]) > -0.05).all()
    ends = curve.groupby("patient_years")["assurance"].mean()
    assert ends.iloc[0] < 0.1 and ends.iloc[-1] == ends.max() > 0.5


def test_a_harm_already_under_its_threshold():
    line = summary_of(points(gamma(2.0, 2000), 400))
    assert line["verdict"] == "already reached"
    assert line["needed"] == line["needed_if_no_event"] == 0.0
    assert line["bound_now"] < line["threshold"] == 1.0
    assert (line["k_studies"], line["n_patients"]) == (3, 60)


def test_a_harm_that_more_follow_up_can_settle():
    line = summary_of(points(gamma(0.5, 120), 400))
    assert line["verdict"] == "reachable"
    assert line["bound_now"] == pytest.approx(100 * gamma(0.5, 120).ppf(0.95), rel=0.02)
    assert 0 < line["needed_if_no_event"] <= line["needed"]


def test_a_harm_no_follow_up_of_one_study_settles():
    line = summary_of(points(gamma(3.0, 30), 400))
    assert line["verdict"].startswith("never")
    assert np.isnan(line["needed"])
    assert line["probability_under_threshold"] < 0.76
    # Years without any event would still do it, and are given.
    assert line["needed_if_no_event"] > 0


def test_a_rate_above_its_threshold_has_no_number_at_all():
    line = summary_of(np.linspace(0.5, 2.0, 50), "severe_infection")
    assert line["verdict"].startswith("never")
    assert np.isnan(line["needed"]) and np.isnan(line["needed_if_no_event"])


def test_harms_without_a_threshold_are_left_out():
    result = needed.from_estimates(estimates_table([]), table([0.1, 0.2], "organ_toxicity"))
    assert result["evidence_needed"].empty
    assert set(result["evidence_needed_summary"]["harm"]) == {needed.LOSS}


# -------------------------------------------------------------------------------- durability


def durable(mean=0.4, sd=0.1, **cells) -> dict:
    row = {
        "outcome": "independence_survival", "estimand": "s_60", "group_kind": "all",
        "group": "all", "scale": "probability", "unit": "", "method": "nuts", "k_studies": 5,
        "n_patients": 90, "mean": mean, "sd": sd, "ci_low": 0.22, "ci_high": 0.6,
    }  # fmt: skip
    return row | cells


def test_the_matched_beta_has_the_mean_and_spread():
    beta = stats.beta(*needed.matched_beta(0.3, 0.12))
    assert (beta.mean(), beta.std()) == (pytest.approx(0.3), pytest.approx(0.12))


@pytest.mark.parametrize(("mean", "sd"), [(0.0, 0.1), (1.0, 0.1), (0.5, 0.5), (0.5, 0.0)])
def test_no_beta_has_an_impossible_spread(mean, sd):
    with pytest.raises(ValueError, match="no Beta distribution"):
        needed.matched_beta(mean, sd)


def test_assurance_of_a_width_is_that_of_simulated_studies():
    a, b, n = 4.0, 6.0, 60
    rng = np.random.default_rng(3)
    k = rng.binomial(n, rng.beta(a, b, size=4000))
    after = stats.beta(a + k, b + n - k)
    share = np.mean(after.ppf(0.975) - after.ppf(0.025) < 0.22)
    assert needed.assurance_width(a, b, n, 0.22) == pytest.approx(share, abs=0.03)
    assert 0 < share < 1


def test_the_fewest_patients_that_suffice():
    a, b = needed.matched_beta(0.4, 0.1)
    fewest = int(needed.patients_needed(a, b))
    assert needed.assurance_width(a, b, fewest) >= 0.8 > needed.assurance_width(a, b, fewest - 1)
    # From a narrower start fewer are needed; from one narrow enough, none.
    assert needed.patients_needed(*needed.matched_beta(0.4, 0.07)) < fewest
    assert needed.patients_needed(*needed.matched_beta(0.4, 0.02)) == 0.0


def test_durability_has_a_curve_and_a_line():
    rows = [durable(), durable(group_kind="cell_class", group="ahsct", sd=0.02),
            durable(method="exact"), durable(estimand="s_12")]  # fmt: skip
    result = needed.from_estimates(estimates_table(rows))
    lines = result["evidence_needed_summary"].set_index("group")
    assert set(lines.index) == {"all", "ahsct"}
    assert lines.loc["all", "verdict"] == "reachable"
    assert lines.loc["ahsct", "verdict"] == "already reached"
    assert lines.loc["all", "bound_now"] == pytest.approx(0.38)
    curve = result["evidence_needed"].query("group == 'all'")
    assert curve["patients"].tolist() == list(needed.PATIENTS)
    assert (np.diff(curve["assurance"]) >= -1e-9).all()
    assert curve["assurance"].iloc[-1] == pytest.approx(1.0)


def test_a_share_no_beta_fits_says_so_and_has_no_curve():
    result = needed.from_estimates(estimates_table([durable(sd=0.6)]))
    assert result["evidence_needed"].empty
    line = result["evidence_needed_summary"].iloc[0]
    assert line["verdict"].startswith("no Beta distribution") and np.isnan(line["needed"])


# ----------------------------------------------------------------------- the next trial's value


def class_mean(group="ahsct", sd=0.4, tau=0.3, **cells) -> dict:
    row = {
        "outcome": "hba1c", "estimand": "mean_controlled", "group_kind": "cell_class",
        "group": group, "scale": "difference", "unit": "percentage points", "method": "nuts",
        "k_studies": 2, "n_patients": 40, "mean": -0.5, "sd": sd, "tau": tau,
    }  # fmt: skip
    return row | cells


def test_the_value_of_a_trial_in_closed_form():
    value = needed.next_trial_value(estimates_table([class_mean()]), {"hba1c": 0.2}).iloc[0]
    z = 2 * stats.norm.ppf(0.975)
    after = 1 / np.sqrt(1 / 0.4**2 + 1 / (0.3**2 + 0.2**2))
    perfect = 1 / np.sqrt(1 / 0.4**2 + 1 / 0.3**2)
    assert value["width_now"] == pytest.approx(z * 0.4)
    assert value["width_after"] == pytest.approx(z * after)
    assert value["reduction"] == pytest.approx(z * (0.4 - after))
    assert value["reduction_of_perfect_trial"] == pytest.approx(z * (0.4 - perfect))
    assert 0 < value["reduction"] < value["reduction_of_perfect_trial"]


def test_the_extremes_of_a_trial():
    assert needed.updated_sd(0.4, 0.0, 0.0) == 0.0
    assert needed.updated_sd(0.4, 0.0, 1e6) == pytest.approx(0.4)
    assert needed.updated_sd(0.4, 1e6, 0.1) == pytest.approx(0.4)


def test_without_a_typical_error_only_the_perfect_trial_is_given():
    value = needed.next_trial_value(estimates_table([class_mean()])).iloc[0]
    assert np.isnan(value["width_after"]) and np.isnan(value["reduction"])
    assert value["reduction_of_perfect_trial"] > 0


def test_only_sampled_class_means_on_the_modelled_scale_are_valued():
    rows = [
        class_mean("ahsct", sd=0.3),
        class_mean("psc_islet", sd=0.9),
        class_mean("other", method="exact"),
        class_mean("other", scale="ratio"),
        class_mean("other", outcome="insulin_dose"),
        class_mean("other", group_kind="all"),
        class_mean("other", estimand="upper"),
        class_mean("other", tau=np.nan),
    ]
    value = needed.next_trial_value(estimates_table(rows))
    assert value["group"].tolist() == ["psc_islet", "ahsct"]  # the most to be learnt comes first


def test_the_typical_error_is_the_median_of_the_pooled_numbers(evidence):
    from analysis import effects

    everything = effects.build(evidence).effects
    typical = needed.typical_errors(everything)
    pooled = everything["pool"] & everything["headline"] & everything["kind"].eq("numeric")
    for outcome, value in typical.items():
        own = everything[pooled & everything["outcome"].eq(outcome)]
        assert value == np.nanmedian(effects.se(own)) > 0
    assert "hba1c" in typical


# ---------------------------------------------------------------------------- nothing to go on


@pytest.mark.parametrize("rates", [None, pd.DataFrame()])
def test_missing_tables_give_empty_ones_with_their_columns(rates):
    result = needed.from_estimates(estimates_table([]), rates)
    assert set(result) == {"evidence_needed", "evidence_needed_summary", "next_trial_value"}
    assert result["evidence_needed"].empty
    assert list(result["evidence_needed"].columns) == needed.CURVE_COLUMNS
    assert result["next_trial_value"].empty
    assert list(result["next_trial_value"].columns) == needed.VALUE_COLUMNS
    lines = result["evidence_needed_summary"]
    assert list(lines.columns) == needed.SUMMARY_COLUMNS
    assert lines["verdict"].tolist() == ["no estimate of independence at five years"]


def test_every_threshold_names_a_harm_of_the_vocabulary():
    from analysis import vocabulary

    assert set(needed.THRESHOLDS) <= set(vocabulary.EVENT_CATEGORIES)
