"""Who speaks for a cohort: groups of patients, the order of reports, populations and approaches."""

import numpy as np
import pandas as pd
import pytest

from analysis import cohorts, vocabulary


def studies(*rows):
    base = {"include": "yes", "overlaps_with": "", "overlap_kind": "", "cohort_role": "primary"}
    return pd.DataFrame([{**base, **row} for row in rows])


CHAIN = studies(
    {"study_id": "a1", "cohort": "a", "overlaps_with": "b", "overlap_kind": "possible"},
    {"study_id": "b1", "cohort": "b", "overlaps_with": "c", "overlap_kind": "shared_patients"},
    {"study_id": "b2", "cohort": "b"},
    {"study_id": "c1", "cohort": "c"},
    {"study_id": "d1", "cohort": "d", "overlaps_with": "a", "overlap_kind": "separate_patients"},
)


def test_overlapping_cohorts_are_one_group_named_after_the_first():
    assert cohorts.patient_groups(CHAIN) == {"a1": "a", "b1": "a", "b2": "a", "c1": "a", "d1": "d"}


def test_possible_overlap_can_be_left_apart():
    groups = cohorts.patient_groups(CHAIN, "shared")
    assert groups == {"a1": "a", "b1": "b", "b2": "b", "c1": "b", "d1": "d"}


def test_groups_do_not_depend_on_the_order_of_rows():
    for seed in range(5):
        shuffled = CHAIN.sample(frac=1, random_state=seed)
        assert cohorts.patient_groups(shuffled) == cohorts.patient_groups(CHAIN)


def test_a_study_that_is_not_eligible_joins_no_cohorts():
    barred = CHAIN.assign(include=["context", "yes", "yes", "yes", "yes"])
    assert cohorts.patient_groups(barred)["a1"] == "a"
    assert cohorts.patient_groups(barred)["b1"] == "b"


def test_an_unknown_kind_of_overlap_is_refused():
    with pytest.raises(ValueError, match="declared, shared"):
        cohorts.patient_groups(CHAIN, "none")


def ranked(cohort, n_patients, question=None):
    question = [0] * len(cohort) if question is None else question
    return list(cohorts.largest_first(*map(np.array, (question, cohort, n_patients))))


def test_the_largest_cohort_with_a_count_is_heard_first():
    assert ranked([0, 1, 1, 2], [10.0, 8.0, 12.0, float("nan")]) == [1, 0, 0, 2]


def test_cohorts_of_one_size_are_heard_by_name():
    assert ranked([1, 0], [10.0, 10.0]) == [1, 0]


def test_cohorts_are_compared_within_a_question_alone():
    assert ranked([0, 1, 0, 1], [9.0, 5.0, 3.0, 5.0], question=[0, 0, 1, 1]) == [0, 1, 1, 0]
    assert ranked([], [], []) == []


def test_roles_in_their_order_and_unknown_ones_last():
    ranks = cohorts.role_rank(pd.Series(["primary", "subset", "someone", "follow_up"]))
    assert list(ranks) == [0, 4, 6, 2]
    assert set(cohorts.ROLE_ORDER) == set(vocabulary.COHORT_ROLES)


@pytest.mark.parametrize(
    ("diabetes_type", "onset", "expected"),
    [("T1D", "new_onset", "t1d_new_onset"), ("T1D", "established", "t1d_established"),
     ("T1D", "mixed", "t1d"), ("T1D", "not_stated", "t1d"), ("T1D", "", "t1d"), ("T2D", "", "t2d")],
)  # fmt: skip
def test_the_finest_population_of_a_study(diabetes_type, onset, expected):
    assert cohorts.population(diabetes_type, onset) == expected


def test_populations_take_in_their_parts_and_nothing_else():
    finest = pd.Series(["t1d_new_onset", "t1d_established", "t1d", "t2d"])
    assert list(cohorts.in_population(finest, "t1d")) == [True, True, True, False]
    assert list(cohorts.in_population(finest, "all")) == [True] * 4
    assert list(cohorts.in_population(finest, "t1d_new_onset")) == [True, False, False, False]
    assert set(cohorts.POPULATION_PARTS) == set(vocabulary.POPULATIONS)
    with pytest.raises(KeyError, match="t1d_new_onset"):
        cohorts.in_population(finest, "children")


def test_every_real_study_has_a_stratum(evidence):
    table = cohorts.strata(evidence.studies)
    assert table["population"].isin(vocabulary.POPULATIONS).all()
    donor = evidence.studies["cell_class"].eq("donor_islet")
    assert table.loc[~donor, "approach"].isin(vocabulary.APPROACHES).all()
    assert table.loc[donor, "approach"].eq("").all()
