"""Units: printed factors, round trips, refusals."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import units

AMOUNTS = st.floats(min_value=0.01, max_value=1000)


def test_c_peptide_factor():
    assert units.c_peptide_to_nmol_per_l(1, "ng/mL") == pytest.approx(0.331, abs=5e-4)
    assert units.c_peptide_to_nmol_per_l(1274, "pmol/L") == pytest.approx(1.274)
    assert units.c_peptide_to_nmol_per_l(0.5, "pmol/mL") == pytest.approx(0.5)


def test_area_is_divided_by_its_duration():
    # 96 nmol/L x 120 min over two hours is a mean of 0.8 nmol/L.
    assert units.c_peptide_to_nmol_per_l(96, "nmol/L*120min") == pytest.approx(0.8)
    assert units.c_peptide_to_nmol_per_l(225, "ng/mL*120min") == pytest.approx(
        225 / 120 / 3.02, rel=1e-3
    )


def test_area_without_duration_supports_ratios_only():
    assert not units.c_peptide_scale("ng/mL*min").absolute
    assert math.isnan(units.c_peptide_to_nmol_per_l(211.2, "ng/mL*min"))
    assert not units.insulin_scale("IU/day").absolute


def test_hba1c_known_pairs():
    # 6.5 % is 48 mmol/mol and 7.0 % is 53 mmol/mol, rounded as both scales are reported.
    assert round(units.ngsp_to_ifcc(6.5)) == 48
    assert round(units.ngsp_to_ifcc(7.0)) == 53
    assert units.hba1c_scale("mmol/mol").level(53) == pytest.approx(7.0, abs=0.01)


def test_a_difference_of_hba1c_has_no_intercept():
    scale = units.hba1c_scale("mmol/mol")
    assert scale.difference(11) == pytest.approx(scale.level(64) - scale.level(53))


def test_glucose_known_pair():
    assert units.glucose_to_mg_per_dl(5.55) == pytest.approx(100, abs=0.1)


@given(AMOUNTS)
def test_round_trips(value):
    assert units.ifcc_to_ngsp(units.ngsp_to_ifcc(value)) == pytest.approx(value)
    assert units.glucose_to_mg_per_dl(units.glucose_to_mmol_per_l(value)) == pytest.approx(value)


@given(AMOUNTS, AMOUNTS, st.sampled_from([*units.NMOL_PER_L, "ng/mL*90min", "pmol/L*min"]))
def test_ratios_do_not_depend_on_the_unit(before, after, unit):
    scale = units.c_peptide_scale(unit)
    assert scale.level(after) / scale.level(before) == pytest.approx(after / before)


@pytest.mark.parametrize(
    ("outcome", "unit"),
    [
        ("c_peptide_auc", "mg/dL"),
        ("c_peptide_auc", "ng/mL*0min"),
        ("hba1c", "g/dL"),
        ("insulin_dose", "%"),
        ("time_in_range", "hours"),
        ("fasting_glucose", "mg/dL"),
    ],
)
def test_unknown_units_are_refused(outcome, unit):
    with pytest.raises(units.UnitError):
        units.scale(outcome, unit)
