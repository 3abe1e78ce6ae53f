"""Results in words that no estimate has: told beside the headline, never pooled."""

from types import SimpleNamespace

import pandas as pd
import pytest

from analysis import outcomes
from analysis import results as contract
from analysis.report import readings, tables


@pytest.fixture(scope="module")
def bare(evidence):
    """The tracked evidence with a run that has no estimate at all."""

    def table(name):
        return contract.TABLES[name].empty()

    return SimpleNamespace(
        evidence=evidence, table=table, rows=lambda name, **parts: table(name),
        steps=lambda name: (), has=lambda name: False,
    )  # fmt: skip


@pytest.mark.parametrize("outcome", outcomes.HEADLINES)
@pytest.mark.parametrize("approach", ["islet_replacement", "immune_reset", "cell_infusion"])
def test_not_compared_is_said_only_where_no_eligible_report_compares(bare, outcome, approach):
    rows = readings.in_words(bare, outcome, approach, "t1d", "treated_vs_control")
    reading = readings.effect(bare, outcome, approach, "t1d")
    assert (reading.short == "not compared with controls") is rows.empty
    for _, row in rows.iterrows():
        assert readings.in_words_told(row, outcome) in reading.value
    if len(rows):
        assert f"compared in {rows['study_id'].nunique()} report" in reading.short


def test_an_immune_reset_was_compared_on_c_peptide_but_not_tested_near_a_year(bare):
    """Wang 2013 tested it at 24 months; Ye 2017 and Gu 2018 print no test."""
    reading = readings.effect(bare, "c_peptide_ratio", "immune_reset", "t1d")
    assert "none tested at the visit nearest 12 months" in reading.short
    assert "Wang 2013, 24 months, 22 against 22: on the good side (P < 0.05)" in reading.value


@pytest.mark.parametrize(
    ("outcome", "direction", "significant", "side"),
    [
        ("hba1c", "decrease", "yes", "on the good side (significant)"),
        ("hba1c", "increase", "unstated", "on the bad side (untested)"),
        ("c_peptide_ratio", "increase", "no", "on the good side (not significant)"),
        ("c_peptide_ratio", "no_difference", "no", "no difference (not significant)"),
    ],
)
def test_a_result_in_words_is_told_by_its_side_people_month_and_test(
    outcome, direction, significant, side
):
    row = pd.Series({
        "label": "Invented 2025", "months": float("nan"), "n_treated": 17.0,
        "n_control": float("nan"), "direction": direction, "significant": significant,
        "p_value": float("nan"), "p_relation": "",
    })  # fmt: skip
    told = readings.in_words_told(row, outcome)
    assert told == f"Invented 2025, no month printed, 17 patients: {side}"


def test_nulls_without_a_month_stand_beside_the_favourable_changes(bare):
    """Shapiro 2021 prints no difference of HbA1c, insulin dose and time in range, and no month."""
    text = tables.told(bare, "islet_replacement", "t1d").text
    assert text.count("Shapiro 2021, no month printed, 17 patients: no difference") == 3
