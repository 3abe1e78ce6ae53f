"""Safety facts: nobody counted twice, no silence read as zero, every row accounted for."""

import dataclasses
from pathlib import Path

import pytest

from analysis import evidence, harms
from analysis.effects.rules import Rules
from analysis.effects.select import patient_groups

RAW = Path(__file__).parent.parent / "data" / "raw"


@pytest.fixture(scope="module")
def real():
    return evidence.load(RAW)


@pytest.fixture(scope="module")
def counted(real):
    return harms.table(real)


def test_every_raw_row_is_counted_or_excluded_with_a_reason(real, counted):
    references = ";".join(counted.rows["source_rows"]).split(";")
    used = {int(reference.removeprefix("safety:")) for reference in references}
    assert len(used) == len(references)
    left = set(counted.exclusions["line"])
    assert used | left == set(real.safety["line"])
    assert not used & left
    assert (counted.exclusions["reason"] != "").all()


def test_no_cohort_is_counted_twice_for_an_event(counted):
    key = ["cohort", "arm", "event_category", "relation"]
    assert not counted.rows.duplicated(key).any()


def test_no_group_of_patients_with_a_declared_overlap_is_counted_twice(real, counted):
    patients = counted.rows["study_id"].map(patient_groups(real.studies, Rules()))
    key = [patients, *(counted.rows[c] for c in ("arm", "event_category", "relation"))]
    assert counted.rows.groupby(key).size().max() == 1


def replaced(real, index: list[int], **columns):
    """The evidence with some columns of safety rows set to other values."""
    rows = real.safety.copy()
    for name, value in columns.items():
        rows.loc[index, name] = value
    return dataclasses.replace(real, safety=rows)


def report_pair(real) -> tuple[int, int]:
    """Index of a counted zero and of a row set aside for it: reports on the same patients."""
    rows = harms.table(real).rows
    cohort = real.studies.set_index("study_id")["cohort"]
    zeros = rows[(rows["events"] == 0) & (rows["bound"] == "exact") & (rows["arm"] == "treated")]
    key = ["event_category", "relation", "arm"]
    for row in zeros.to_dict("records"):
        same = real.safety[
            (real.safety[key] == [row[c] for c in key]).all(axis=1)
            & real.safety["study_id"].map(cohort).eq(row["cohort"])
            & real.safety["study_id"].ne(row["study_id"])
            & real.safety["n_patients"].eq(0)
        ]
        if len(same):
            chosen = real.safety["line"] == int(row["source_rows"].removeprefix("safety:"))
            return real.safety.index[chosen][0], same.index[0]
    raise AssertionError("the evidence holds no such pair")


def test_a_stated_event_is_not_erased_by_a_fuller_report_of_the_same_patients(real):
    chosen, other = report_pair(real)
    changed = harms.table(replaced(real, [other], n_patients=1.0))
    line = real.safety.loc[chosen, "line"]
    row = changed.rows[
        changed.rows["source_rows"].str.split(";").map(lambda r: f"safety:{line}" in r)
    ]
    assert row["bound"].tolist() == ["at_least"]
    assert row["events"].tolist() == [1.0]
    assert real.safety.loc[other, "line"] not in set(changed.exclusions["line"])


def test_an_event_judged_related_or_not_is_an_event_of_any_cause(real, counted):
    lower = harms.implied(real, counted.rows)
    assert len(lower)
    assert (lower["bound"] == "at_least").all() and lower["implied"].all()
    assert (lower["relation"] == "any").all() and (lower["events"] > 0).all()
    stated = counted.rows[(counted.rows["relation"] == "any") & (counted.rows["arm"] == "treated")]
    pairs = set(zip(stated["cohort"], stated["event_category"], strict=True))
    assert not pairs & set(zip(lower["cohort"], lower["event_category"], strict=True))
    assert not counted.rows["implied"].any()


def test_causes_judged_apart_add_up_to_the_least_number_of_any_cause(real):
    lower = harms.implied(real, harms.table(real).rows)
    deaths = lower[lower["event_category"] == "death"]
    for row in deaths.to_dict("records"):
        own = real.safety[
            (real.safety["study_id"] == row["study_id"])
            & (real.safety["event_category"] == "death")
            & real.safety["relation"].isin(["treatment_related", "unrelated"])
        ]
        assert row["events"] == own.groupby("relation")["n_patients"].max().sum()


def test_the_cautious_exposure_halves_a_longest_follow_up_and_keeps_a_mean(counted):
    known = counted.rows[counted.rows["patient_years"].notna()]
    share = known["patient_years_low"] / known["patient_years"]
    assert (share[known["exposure"] == "longest"] == 0.5).all()
    assert (share[known["exposure"].isin(["mean", "median", "minimum", "row"])] == 1).all()
    assert {"longest", "mean"} <= set(known["exposure"])


def test_what_nobody_wrote_about_is_listed_as_unknown(real, counted):
    table = harms.never_stated(real, counted.rows)
    everyone = table[table["cell_class"] == "all"]
    eligible = real.studies[
        (real.studies["include"] == "yes") & (real.studies["design"] != "case_report")
    ]["cohort"].nunique()
    assert (everyone["k_stated"] + everyone["k_silent"] == eligible).all()
    assert (everyone["k_stated"] == 0).any()
    by_class = table[table["cell_class"] != "all"].groupby(["event_category", "relation"])
    total = everyone.set_index(["event_category", "relation"])["k_silent"]
    assert by_class["k_silent"].sum().to_dict() == total.to_dict()


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
        ("", "unstated"),
    ],
)
def test_immune_strategies_are_grouped_by_their_burden(word, group):
    assert harms.strategy(word) == group
