"""Verdicts: the scale, its caps, and that what is implied never has the worse word."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import certainty, verdicts
from analysis.verdicts import Grounds, verdict

STRONG = {"certainty": "high", "k_randomised": 5, "k_studies": 6, "k_numbers": 6}


@pytest.mark.parametrize(
    ("probability", "level", "word"),
    [
        (0.98, "moderate", "well supported"),
        (0.98, "low", "supported"),
        (0.98, "very low", "suggested"),
        (0.90, "low", "supported"),
        (0.89, "high", "suggested"),
        (0.75, "high", "suggested"),
        (0.74, "high", "uncertain"),
        (0.25, "high", "uncertain"),
        (0.24, "high", "doubtful"),
        (0.025, "low", "contradicted"),
        (0.025, "very low", "doubtful"),
    ],
)
def test_the_scale_is_that_of_the_protocol(probability, level, word):
    assert verdict("effect", Grounds(probability, **{**STRONG, "certainty": level}))[0] == word


@pytest.mark.parametrize("short", [{"k_randomised": 1}, {"k_studies": 2}, {"k_numbers": 1}])
def test_thin_evidence_of_an_effect_cannot_exceed_suggested(short):
    word, why = verdict("effect", Grounds(0.999, **{**STRONG, **short}))
    assert word == "suggested" and why


def test_an_effect_without_an_estimate_is_not_known():
    assert verdict("effect", Grounds(**STRONG))[0] == "not known"


def test_fourteen_of_fourteen_is_shown_without_a_control_group():
    assert verdict("occurrence", Grounds(most_in_a_cohort=14, n_counted=14))[0] == "shown"


def test_two_patients_are_not_enough_and_none_is_no_proof_of_never():
    assert verdict("occurrence", Grounds(most_in_a_cohort=2, n_counted=9))[0] == "suggested"
    assert verdict("occurrence", Grounds(n_counted=9))[0] == "uncertain"
    assert verdict("occurrence", Grounds())[0] == "not known"


def test_beyond_the_follow_up_nothing_is_known_whatever_the_curve_says():
    beyond = Grounds(0.0001, certainty="high", month=120, last_month=60)
    assert verdict("duration", beyond)[0] == "not known"
    within = Grounds(0.0001, certainty="low", month=60, last_month=60)
    assert verdict("duration", within)[0] == "contradicted"
    assert verdict("duration", Grounds(0.5, month=12))[0] == "not known"


def test_absence_of_harm_is_never_suggested():
    for bound in (0.2, 0.99, 1.0, 4.4, np.nan):
        word = verdict("no_harm", Grounds(0.9, bound=bound, threshold=1.0))[0]
        assert word == ("supported" if bound < 1 else "not known")


def test_a_harm_known_from_elsewhere_gets_no_probability_word():
    assert verdict("known_harm", Grounds(0.5))[0] == "known from other fields"


def test_a_description_is_what_the_count_says():
    assert verdict("description", Grounds(true_of_most=True))[0] == "shown"
    assert verdict("description", Grounds(true_of_most=False))[0] == "contradicted"
    assert verdict("description", Grounds())[0] == "not known"


def test_what_cannot_last_five_years_cannot_last_ten():
    words = {"ten": "not known", "five": "contradicted", "one": "supported"}
    found = verdicts.monotone(words, [("ten", "five"), ("five", "one")])
    assert found == {"ten": "contradicted", "five": "contradicted", "one": "supported"}


def test_an_unknown_kind_or_an_impossible_probability_is_refused():
    with pytest.raises(ValueError, match="no such kind"):
        verdict("hope", Grounds())
    with pytest.raises(ValueError, match="between 0 and 1"):
        verdict("effect", Grounds(1.2))


ANY = st.builds(
    Grounds, st.floats(0, 1), st.sampled_from(certainty.LEVELS), st.integers(0, 5),
    st.integers(0, 9), st.integers(0, 9), month=st.sampled_from([12.0, 60.0, 120.0]),
    last_month=st.sampled_from([24.0, 60.0, 96.0]),
)  # fmt: skip


@given(st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.sampled_from(["effect", "duration"]),
       ANY), min_size=2), st.lists(st.tuples(st.sampled_from("abcdef"),
       st.sampled_from("abcdef")), max_size=12))  # fmt: skip
def test_an_implied_claim_never_has_the_worse_word(claims, implies):
    words = {name: verdict(kind, grounds)[0] for name, (kind, grounds) in claims.items()}
    found = verdicts.monotone(words, implies)
    for stronger, implied in implies:
        if stronger in found and implied in found:
            assert verdicts.rank(found[implied]) <= verdicts.rank(found[stronger])


@given(ANY, st.floats(0, 1))
def test_a_likelier_effect_never_has_the_worse_word(grounds, more):
    likelier = Grounds(**{**grounds.__dict__, "probability": max(grounds.probability, more)})
    before, after = (verdicts.rank(verdict("effect", g)[0]) for g in (grounds, likelier))
    assert after <= before
