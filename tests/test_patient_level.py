"""Simulated studies told as papers tell them, and what their summaries cost."""

import numpy as np
import pandas as pd
import pytest

from analysis import durations, patient_level
from analysis.patient_level import MIXTURE, PUBLISHED, STYLES, Curve, Trial, evidence_told, told

TRIAL = Trial("one", 12, np.array([4.04, 90.0, 10.0, 20.0, 70.0]), 47.0)


def kinds(evidence, style) -> list[tuple]:
    facts, _ = durations.layer(evidence_told(evidence, [TRIAL], style))
    return list(facts[["kind", "low", "high", "count"]].itertuples(index=False, name=None))


def test_every_style_gives_facts_that_the_layer_can_read(evidence):
    for style in STYLES:
        assert kinds(evidence, style), style
    facts, _ = durations.layer(evidence_told(evidence, [TRIAL], PUBLISHED))
    assert len(facts)


def test_all_patients_are_told_with_those_still_free_censored_at_the_end(evidence):
    assert kinds(evidence, "patients") == [
        ("exact", 4.0, np.inf, 1.0),
        ("exact", 10.0, np.inf, 1.0),
        ("exact", 20.0, np.inf, 1.0),
        ("right_censored", 47.0, np.inf, 1.0),
        ("right_censored", 47.0, np.inf, 1.0),
    ]


def test_a_median_with_a_range_at_the_end_of_follow_up_leaves_the_longest_open(evidence):
    assert kinds(evidence, "median_range") == [
        ("order_statistic", 4.0, 4.0, 1.0),
        ("order_statistic", 20.0, 20.0, 1.0),
        ("order_between", 4.0, 20.0, 1.0),
        ("order_top", 20.0, 47.0, 2.0),
    ]


def test_landmarks_count_from_treatment(evidence):
    assert kinds(evidence, "landmarks") == [
        ("interval", 0.0, 12.0, 2.0),
        ("landmark", 12.0, 24.0, 1.0),
        ("landmark", 48.0, np.inf, 2.0),
    ]


def test_nobody_free_is_a_count_alone():
    rows = [told(Trial("one", 12, np.array([]), 47.0), style) for style in STYLES]
    assert all(len(r) == 1 and r[0]["fact"] == "ever" and r[0]["k"] == 0 for r in rows)


def test_an_unknown_style_names_those_known():
    with pytest.raises(ValueError, match="no such style: rumour; known: patients, landmarks"):
        told(TRIAL, "rumour")


def test_published_takes_every_style():
    assert set(MIXTURE) == set(STYLES)


def test_trials_follow_the_curve_they_come_from():
    curve = Curve(log_median=3.0, tau=0.0, shape=1.5)
    trials = patient_level.simulate(np.random.default_rng(1), curve, studies=400)
    lasted = np.concatenate([t.lasted for t in trials])
    for t in (12.0, 24.0):
        assert np.mean(lasted > t) == pytest.approx(float(curve.survival(t)), abs=0.02)
    assert all(t.n >= 10 and 11 <= t.end <= 95 for t in trials)
    assert curve.survival(np.exp(3.0)) == pytest.approx(0.5)


def test_the_price_is_measured_against_every_patient():
    found = pd.DataFrame(
        {
            "replicate": [0, 1, 0, 1], "telling": ["patients"] * 2 + ["range"] * 2, "months": 12,
            "truth": 0.5, "mean": [0.5, 0.6, 0.4, 0.4], "low": [0.4, 0.55, 0.1, 0.1],
            "high": [0.6, 0.65, 0.7, 0.45],
        }
    )  # fmt: skip
    table = patient_level.summarised(found).set_index("telling")
    assert list(table["coverage_95"]) == [0.5, 0.5]
    assert list(table["bias"]) == pytest.approx([0.05, -0.1])
    assert list(table["width"]) == pytest.approx([0.15, 0.475])
    assert table.loc["range", "width_ratio"] == pytest.approx(0.475 / 0.15)
    assert table.loc["range", "rmse_ratio"] == pytest.approx(0.1 / np.sqrt(0.005))


def test_the_tracked_table_is_of_this_study():
    table = pd.read_csv(patient_level.OUT)
    assert list(table.columns) == patient_level.COLUMNS
    assert set(table["telling"]) == {*STYLES, PUBLISHED}
    assert (table["n_replicates"] >= 200).all()
    both = table.set_index(["telling", "months"])
    assert (both.loc[PUBLISHED, "width_ratio"] > 1).all()
    assert both.loc[["patients", PUBLISHED], "coverage_95"].between(0.90, 0.99).all()
