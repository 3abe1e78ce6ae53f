"""Safety facts: nobody counted twice, no silence read as zero, every row accounted for."""

from pathlib import Path

import pytest

from analysis import evidence, harms

RAW = Path(__file__).parent.parent / "data" / "raw"


@pytest.fixture(scope="module")
def real():
    return evidence.load(RAW)


@pytest.fixture(scope="module")
def counted(real):
    return harms.table(real)


def test_every_raw_row_is_counted_or_excluded_with_a_reason(real, counted):
    used = {int(text.split(":")[1]) for text in counted.rows["source_rows"]}
    left = set(counted.exclusions["line"])
    assert used | left == set(real.safety["line"])
    assert not used & left
    assert (counted.exclusions["reason"] != "").all()


def test_no_cohort_is_counted_twice_for_an_event(counted):
    key = ["cohort", "arm", "event_category", "relation"]
    assert not counted.rows.duplicated(key).any()


def test_only_eligible_studies_and_stated_relations_are_counted(real, counted):
    include = real.studies.set_index("study_id")["include"]
    assert (counted.rows["study_id"].map(include) == "yes").all()
    assert set(counted.rows["relation"]) <= {"any", "treatment_related"}


def test_events_never_exceed_patients(counted):
    assert (counted.rows["events"] <= counted.rows["n_at_risk"]).all()


def test_silence_is_counted_as_silence(real, counted):
    quiet = harms.silent(real, counted.rows)
    treated = counted.rows[counted.rows["arm"] == "treated"]
    spoke = treated.groupby(["event_category", "relation"])["cohort"].nunique()
    eligible = real.studies[
        (real.studies["include"] == "yes") & (real.studies["design"] != "case_report")
    ]["cohort"].nunique()
    for row in quiet.itertuples():
        assert row.k_silent >= eligible - spoke[(row.event_category, row.relation)]
        assert row.k_silent < eligible


@pytest.mark.parametrize(
    ("word", "group"),
    [
        ("conditioning_ablation", "conditioning"),
        ("encapsulation_plus_immunosuppression", "immunosuppression"),
        ("encapsulation", "neither"),
        ("none", "neither"),
    ],
)
def test_immune_strategies_are_grouped_by_their_burden(word, group):
    assert harms.strategy(word) == group
