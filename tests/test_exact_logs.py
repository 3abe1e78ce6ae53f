"""Sums of what is known by its logarithm, and polynomials at even steps, beside those of scipy."""

import numpy as np
import pytest
from scipy import special
from scipy.interpolate import CubicSpline

from analysis.exact.grid import EvenPolynomials
from analysis.exact.logs import log1mexp, log1p_exp, log_difference, log_sum_exp


def test_one_more_than_an_exponential_keeps_its_log_from_far_below_to_far_above_one():
    x = np.array([-800.0, -40.0, -1.0, 0.0, 1.0, 40.0, 800.0])
    assert log1p_exp(x) == pytest.approx(np.logaddexp(0.0, x), rel=1e-15, abs=3e-16)


def test_a_log_sum_is_that_of_scipy_over_all_and_along_an_axis():
    x = np.random.default_rng(5).normal(0.0, 300.0, (4, 7))
    assert log_sum_exp(x) == pytest.approx(special.logsumexp(x), rel=1e-14)
    for axis in (0, 1):
        assert log_sum_exp(x, axis) == pytest.approx(special.logsumexp(x, axis=axis), rel=1e-14)


def test_a_difference_of_what_is_known_by_its_log_neither_cancels_nor_vanishes():
    assert log_difference(0.0, -1e-12) == pytest.approx(np.log(1e-12), rel=1e-9)
    assert log1mexp(np.array([50.0])) == pytest.approx(-np.exp(-50.0), rel=1e-12)


def test_polynomials_at_even_steps_are_those_of_scipy_and_stay_at_their_ends_beyond():
    at = np.linspace(-2.0, 3.0, 11)
    spline = CubicSpline(at, np.sin(at))
    read = EvenPolynomials(-2.0, 0.5, spline.c)
    x = np.linspace(-2.0, 3.0, 997)
    assert read(x) == pytest.approx(spline(x), abs=1e-13)
    assert read(np.array([-9.0, 9.0])) == pytest.approx(np.sin([-2.0, 3.0]), abs=1e-13)
