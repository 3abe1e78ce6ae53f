"""Conversion formulas against published tables and closed forms."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from analysis.effects import conversions as conv

# Wan et al. 2014, BMC Med Res Methodol 14:135, Table 1: xi(n), the expected range of n standard
# normal values; Table 2: eta(n), their expected interquartile range at n = 4 Q + 1.
WAN_XI = {10: 3.078, 20: 3.735, 30: 4.086, 40: 4.322, 50: 4.498}
WAN_ETA = {21: 1.260, 41: 1.303, 81: 1.326, 121: 1.333, 201: 1.340}


@pytest.mark.parametrize(("n", "xi"), WAN_XI.items())
def test_range_agrees_with_the_table_of_wan(n, xi):
    # Equation (9) approximates the exact table; Wan reports close agreement.
    assert 1 / conv.sd_from_range(0, 1, n) == pytest.approx(xi, rel=0.01)


@pytest.mark.parametrize(("n", "eta"), WAN_ETA.items())
def test_quartiles_agree_with_the_table_of_wan(n, eta):
    assert 1 / conv.sd_from_iqr(0, 1, n) == pytest.approx(eta, rel=0.01)


def test_sd_from_quartiles_tends_to_the_textbook_factor():
    assert conv.sd_from_iqr(0, 1.349, 1e6) == pytest.approx(1, abs=1e-3)


@given(
    st.integers(5, 500),
    st.floats(-5, 5),
    st.floats(0.1, 5),
)
def test_symmetric_summaries_give_their_centre(n, centre, half):
    assert conv.mean_from_iqr(centre - half, centre, centre + half, n) == pytest.approx(
        centre, abs=1e-9
    )
    assert conv.mean_from_range(centre - half, centre, centre + half, n) == pytest.approx(
        centre, abs=1e-9
    )
    five = (centre - 2 * half, centre - half, centre, centre + half, centre + 2 * half)
    assert conv.mean_from_five(*five, n) == pytest.approx(centre, abs=1e-9)


def test_luo_by_hand():
    # n = 22, 1.16 (0.70 to 1.71): weight 0.7 + 0.39 / 22 on the mid-quartile.
    weight = 0.7 + 0.39 / 22
    assert conv.mean_from_iqr(0.70, 1.16, 1.71, 22) == pytest.approx(
        weight * 1.205 + (1 - weight) * 1.16
    )
    # n = 16: n^0.75 = 8, so the mid-range has weight 4 / 12.
    assert conv.mean_from_range(0, 3, 12, 16) == pytest.approx(6 / 3 + 3 * 2 / 3)


def test_five_numbers_of_a_large_normal_sample():
    # Expected order statistics of a standard normal sample give back an SD of one.
    n = 201
    xi, eta = 2 * conv._extreme_score(n), 2 * conv._quartile_score(n)
    assert conv.sd_from_five(-xi / 2, -eta / 2, eta / 2, xi / 2, n) == pytest.approx(1, abs=0.01)


def test_confidence_interval_by_students_t():
    # t(0.975, 24) = 2.064: the half width 2.064 of 25 patients is an SD of 5.
    assert conv.sd_from_ci(10 - 2.064, 10 + 2.064, 25) == pytest.approx(5, rel=1e-3)
    assert conv.sd_from_se(0.18, 7) == pytest.approx(0.18 * math.sqrt(7))


def test_standard_error_from_p():
    # t(20) = 2.086 at p = .05.
    assert conv.se_from_p(2.086, 0.05, 20) == pytest.approx(1, rel=1e-3)
    assert conv.z_from_p(0.05) == pytest.approx(1.959964, abs=1e-6)


def test_change_variance_by_hand():
    # Cai 2016, HbA1c, treated: 0.81 and 1.0 at n = 21.
    a, b = conv.change_variance(0.81, 21, 1.0, 21)
    assert a - 0.4 * b == pytest.approx((0.81**2 + 1 - 2 * 0.4 * 0.81) / 21)


def test_log_ratio_variance_by_hand():
    a, b = conv.log_ratio_variance(10, 2, 16, 20, 5, 16)
    assert a == pytest.approx((0.2**2 + 0.25**2) / 16)
    assert b == pytest.approx(2 * 0.2 * 0.25 / 16)
    correction, extra = conv.log_ratio_correction(10, 2, 16, 20, 5, 16)
    assert correction == pytest.approx(0.5 * (0.0625 - 0.04) / 16)
    assert extra == pytest.approx(0.5 * (0.0625**2 + 0.04**2) / 16**2)


SPREADS = st.floats(0.01, 10)
SIZES = st.integers(2, 200)


@given(SPREADS, SIZES, SPREADS, SIZES, st.floats(-0.99, 0.99))
def test_variance_is_positive_for_every_correlation(s0, n0, s1, n1, r):
    a, b = conv.change_variance(s0, n0, s1, n1)
    assert a - r * b > 0


@given(st.floats(0.1, 10), SPREADS, st.floats(0.1, 10), SPREADS, SIZES, st.floats(0.01, 1000))
def test_ratio_variance_does_not_depend_on_the_unit(m0, s0, m1, s1, n, factor):
    one = conv.log_ratio_variance(m0, s0, n, m1, s1, n)
    other = conv.log_ratio_variance(m0 * factor, s0 * factor, n, m1 * factor, s1 * factor, n)
    assert one == pytest.approx(other)


@pytest.mark.parametrize(
    "call",
    [
        lambda: conv.sd_from_iqr(2, 1, 20),
        lambda: conv.sd_from_range(2, 1, 20),
        lambda: conv.sd_from_range(1, 2, 2),
        lambda: conv.sd_from_five(0, 3, 2, 5, 20),
        lambda: conv.mean_from_iqr(1, 5, 2, 20),
        lambda: conv.mean_from_range(1, 5, 2, 20),
        lambda: conv.mean_from_five(1, 0, 2, 3, 4, 20),
        lambda: conv.sd_from_ci(2, 1, 20),
        lambda: conv.sd_from_ci(1, 2, 1),
        lambda: conv.sd_from_se(1, 1),
        lambda: conv.se_from_p(1, 0, 10),
        lambda: conv.se_from_p(1, 0.05, 0),
        lambda: conv.z_from_p(0),
        lambda: conv.log_ratio_variance(0, 1, 10, 1, 1, 10),
    ],
)
def test_impossible_summaries_are_refused(call):
    with pytest.raises(ValueError, match=r"\w"):
        call()


@given(
    st.floats(1e-12, 1, exclude_max=True).filter(lambda p: abs(p - 0.5) > 1e-4),
    st.floats(1, 500),
)
def test_quantiles_of_t_are_those_of_scipy(probability, df):
    wanted = special.stdtrit(df, probability)
    assert conv.t_quantile(probability, df) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("df", [1, 3, 58, 1e4])
def test_quantiles_of_t_turn_over_at_the_middle_and_reach_far(df):
    assert conv.t_quantile(0.5, df) == 0
    assert conv.t_quantile(0.975, df) == pytest.approx(-conv.t_quantile(0.025, df), rel=1e-12)
    assert math.isfinite(conv.t_quantile(1e-300, df))


def test_the_quantile_of_one_degree_of_freedom_is_that_of_cauchy():
    for p in (1e-6, 0.025, 0.3, 0.9):
        assert conv.t_quantile(p, 1) == pytest.approx(math.tan(math.pi * (p - 0.5)), rel=1e-10)


@pytest.mark.parametrize(("probability", "df"), [(0, 5), (1, 5), (math.nan, 5), (0.1, 0.5)])
def test_no_quantile_of_t_outside_its_range(probability, df):
    with pytest.raises(ValueError, match=r"probability between|degree of freedom"):
        conv.t_quantile(probability, df)
