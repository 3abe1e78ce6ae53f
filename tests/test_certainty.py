"""Certainty: each rule of the protocol on invented evidence."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import certainty
from analysis.certainty import Body
from analysis.stages import synthesis

SOUND = Body(
    randomised=True, weights=(1.0, 1.0, 1.0), judgements=("low", "low", "some_concerns"),
    n_patients=900, ci_low=-0.9, ci_high=-0.5, pred_low=-1.2, pred_high=-0.1, harm=0.3, good=-1,
)  # fmt: skip


def _step(body: Body, domain: str) -> int:
    return next(step.levels for step in certainty.judge(body)[1] if step.domain == domain)


def test_sound_randomised_evidence_is_of_high_certainty():
    assert certainty.judge(SOUND)[0] == "high"


def test_evidence_that_is_not_randomised_starts_low():
    assert certainty.judge(replace(SOUND, randomised=False))[0] == "low"


@pytest.mark.parametrize("word", certainty.HIGH_RISK)
def test_some_weight_at_high_risk_costs_one_level_and_all_of_it_two(word):
    assert _step(replace(SOUND, judgements=("low", word, "low")), "risk_of_bias") == -1
    assert _step(replace(SOUND, judgements=(word,) * 3), "risk_of_bias") == -2


def test_a_cohort_nobody_judged_counts_as_high():
    assert "not judged" in certainty.HIGH_RISK


def test_a_prediction_interval_that_reaches_an_important_harm_costs_a_level():
    assert _step(SOUND, "inconsistency") == 0
    assert _step(replace(SOUND, pred_high=0.2999), "inconsistency") == 0
    assert _step(replace(SOUND, pred_high=0.3), "inconsistency") == -1


def test_for_a_ratio_where_more_is_better_harm_lies_below_the_mirror_of_the_important_gain():
    harm = certainty.harm_of(1.25, neutral=1.0)
    assert harm == pytest.approx(0.8)
    ratio = replace(SOUND, good=1, neutral=1.0, harm=harm, ci_low=1.1, ci_high=2.0, pred_high=4.0)
    assert _step(replace(ratio, pred_low=0.81), "inconsistency") == 0
    assert _step(replace(ratio, pred_low=0.79), "inconsistency") == -1


def test_few_patients_cost_a_level_and_two_where_no_effect_is_included():
    assert _step(replace(SOUND, n_patients=400), "imprecision") == 0
    assert _step(replace(SOUND, n_patients=399), "imprecision") == -1
    assert _step(replace(SOUND, n_patients=399, ci_high=0.01), "imprecision") == -2


def test_what_is_known_in_words_or_unregistered_costs_a_level_once():
    assert _step(replace(SOUND, share_in_words=0.5), "selective_reporting") == 0
    assert _step(replace(SOUND, share_in_words=0.51), "selective_reporting") == -1
    both = replace(SOUND, share_in_words=0.9, share_unregistered=0.9, share_silent=0.9)
    assert _step(both, "selective_reporting") == -1


def test_another_population_than_asked_costs_a_level():
    assert _step(replace(SOUND, indirect="new onset only"), "indirectness") == -1


def test_a_risk_ratio_of_five_adds_one_and_what_cannot_happen_by_itself_two():
    weak = replace(SOUND, randomised=False, n_patients=50)
    assert certainty.judge(weak)[0] == "very low"
    assert certainty.judge(replace(weak, risk_ratio=5.0))[0] == "low"
    assert certainty.judge(replace(weak, risk_ratio=4.9))[0] == "very low"
    assert certainty.judge(replace(weak, by_itself=False))[0] == "moderate"


@pytest.mark.parametrize(
    ("k", "undetectable", "outcome", "seen"),
    [
        ([10, 0], ["yes", "yes"], "ever_insulin_free", True),
        ([0], ["yes"], "ever_insulin_free", False),
        ([10], ["no"], "ever_insulin_free", False),
        ([10], ["yes"], "hba1c_below_7", False),
    ],
)
def test_what_cannot_happen_by_itself_counts_only_where_somebody_had_it(
    k, undetectable, outcome, seen
):
    facts = pd.DataFrame({"k": k, "undetectable_at_entry": undetectable})
    assert synthesis.seen_against_nature(facts, outcome) is seen


def test_every_domain_is_named_once_with_a_reason():
    steps = certainty.judge(SOUND)[1]
    assert tuple(step.domain for step in steps) == certainty.DOMAINS
    assert all(step.reason for step in steps)


def test_no_study_cannot_be_judged():
    with pytest.raises(ValueError, match="no study"):
        certainty.judge(replace(SOUND, weights=(), judgements=()))


@given(
    st.lists(st.sampled_from(["low", "some_concerns", "high", "serious"]), min_size=1, max_size=6),
    st.floats(1, 2000), st.floats(0, 1), st.floats(0, 1), st.booleans(), st.booleans(),
)  # fmt: skip
def test_certainty_never_falls_below_very_low_and_more_doubt_never_raises_it(
    judgements, n, words, unregistered, randomised, spans
):
    body = Body(randomised, (1.0,) * len(judgements), tuple(judgements), n,
                ci_low=-1, ci_high=1.0 if spans else -0.5, share_in_words=words,
                share_unregistered=unregistered, good=-1)  # fmt: skip
    level, _ = certainty.judge(body)
    assert level in certainty.LEVELS
    worse, _ = certainty.judge(replace(body, judgements=("high",) * len(judgements), indirect="x"))
    assert certainty.LEVELS.index(worse) <= certainty.LEVELS.index(level)


def test_without_a_neutral_number_an_interval_spans_nothing():
    assert _step(replace(SOUND, neutral=np.nan, n_patients=10), "imprecision") == -1
