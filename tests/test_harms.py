"""Safety facts: nobody counted twice, no silence read as zero, every row accounted for."""

import dataclasses
import math
from pathlib import Path

import pandas as pd
import pytest

from analysis import evidence
from analysis.cohorts import patient_groups
from analysis.counting import harm_facts
from analysis.stages.harms import FATAL

RAW = Path(__file__).parent.parent / "data" / "raw"


@pytest.fixture(scope="module")
def real():
    return evidence.load(RAW)


@pytest.fixture(scope="module")
def counted(real):
    return harm_facts.table(real)


def fact(study, category, events, relation="any", arm="treated", n_at_risk=20.0, **cells) -> dict:
    """A row of safety.csv; `months` is its follow-up."""
    months = cells.pop("months", math.nan)
    return {
        "study_id": study, "event_category": category, "relation": relation, "arm": arm,
        "n_patients": float(events), "bound": "exact", "n_at_risk": n_at_risk,
        "followup_months": months, **cells,
    }  # fmt: skip


def told(real, rows: list[dict], studies: dict[str, dict] | None = None):
    """An Evidence of these safety rows only, on eligible studies of 20 patients over two years.

    `studies` changes cells of studies.csv by study_id, or adds studies that say nothing.
    """
    given = studies or {}
    spoke = list(dict.fromkeys(row["study_id"] for row in rows))
    made = []
    for name in [*spoke, *(other for other in given if other not in spoke)]:
        time = {"followup_months": 24.0, "followup_kind": "mean"} if name in spoke else {}
        made.append(
            {
                "study_id": name, "cohort": name, "cohort_role": "primary", "include": "yes",
                "design": "single_arm", "diabetes_type": "T1D", "cell_class": "ahsct",
                "immune_strategy": "conditioning_ablation", "n_treated": 20.0, **time,
                **given.get(name, {}),
            }
        )  # fmt: skip
    return dataclasses.replace(
        real, safety=filled(real.safety, rows), studies=filled(real.studies, made)
    )


def filled(template: pd.DataFrame, rows: list[dict]) -> pd.DataFrame:
    """A table with the columns and types of `template`, blank where a row gives nothing."""
    numbers = set(template.select_dtypes("number").columns)
    blank = {name: math.nan if name in numbers else "" for name in template.columns}
    cells = [{**blank, "line": line, **row} for line, row in enumerate(rows, start=2)]
    return pd.DataFrame(cells, columns=template.columns).astype(template.dtypes)


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
    patients = counted.rows["study_id"].map(patient_groups(real.studies))
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
    rows = harm_facts.table(real).rows
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
    changed = harm_facts.table(replaced(real, [other], n_patients=1.0))
    line = real.safety.loc[chosen, "line"]
    row = changed.rows[
        changed.rows["source_rows"].str.split(";").map(lambda r: f"safety:{line}" in r)
    ]
    assert row["bound"].tolist() == ["at_least"]
    assert row["events"].tolist() == [1.0]
    assert real.safety.loc[other, "line"] not in set(changed.exclusions["line"])


def test_an_event_judged_related_or_not_is_an_event_of_any_cause(real, counted):
    lower = harm_facts.implied(real, counted.rows)
    assert len(lower)
    assert (lower["bound"] == "at_least").all() and lower["implied"].all()
    assert (lower["relation"] == "any").all() and (lower["events"] > 0).all()
    stated = counted.rows[(counted.rows["relation"] == "any") & (counted.rows["arm"] == "treated")]
    pairs = set(zip(stated["cohort"], stated["event_category"], strict=True))
    assert not pairs & set(zip(lower["cohort"], lower["event_category"], strict=True))
    assert not counted.rows["implied"].any()


def test_deaths_judged_apart_add_up_to_the_least_number_of_any_cause(real):
    lower = harm_facts.implied(real, harm_facts.table(real).rows)
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
    table = harm_facts.never_stated(real, counted.rows)
    everyone = table[table["cell_class"] == "all"]
    eligible = real.studies[
        (real.studies["include"] == "yes") & (real.studies["design"] != "case_report")
    ]
    groups = eligible["study_id"].map(patient_groups(real.studies)).nunique()
    assert (everyone["k_stated"] + everyone["k_silent"] == groups).all()
    assert len(harm_facts.patient_table(real)) == groups
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


def test_silent_groups_are_those_never_stated_of_a_known_size(real, counted):
    table = harm_facts.never_stated(real, counted.rows)
    everyone = table[table["cell_class"] == "all"]
    for row in everyone.itertuples():
        quiet = harm_facts.silent_groups(real, counted.rows, row.event_category, row.relation)
        assert len(quiet) == row.k_silent - row.k_size_unknown
        assert quiet["n_at_risk"].sum() == row.n_silent
        assert (quiet["events"] == 0).all() and quiet["patient_years"].gt(0).all()


def test_one_who_spoke_is_not_silent(real):
    evidence = told(
        real,
        [fact("one", "death", 0), fact("two", "death", 1, relation="treatment_related")],
        {"three": {"n_treated": 8.0}},
    )
    rows = harm_facts.table(evidence).rows
    any_cause = harm_facts.silent_groups(evidence, rows, "death", "any")
    assert set(any_cause["cohort"]) == {"two", "three"}
    related = harm_facts.silent_groups(evidence, rows, "death", "treatment_related")
    assert set(related["cohort"]) == {"one", "three"}
    # Nobody printed a follow-up of the third: it is given the median of the others.
    assert set(any_cause["months"]) == {24.0}
    table = harm_facts.never_stated(evidence, rows).set_index(
        ["event_category", "relation", "cell_class"]
    )
    assert table.loc[("death", "any", "all"), ["k_stated", "k_silent"]].tolist() == [1, 2]
    assert table.loc[("malignancy_or_tumour", "any", "ahsct"), "k_silent"] == 3


def test_overlapping_cohorts_are_one_group_of_patients(real):
    evidence = told(
        real,
        [fact("one", "death", 0), fact("two", "death", 0, months=36.0)],
        {"one": {"overlaps_with": "two", "overlap_kind": "shared_patients"}},
    )
    counted = harm_facts.table(evidence)
    assert counted.rows["study_id"].tolist() == ["two"]
    assert counted.exclusions["reason"].tolist() == [harm_facts.SAME_PATIENTS]
    groups = harm_facts.patient_table(evidence)
    assert len(groups) == 1
    assert groups["months"].tolist() == [24.0]
    everyone = harm_facts.never_stated(evidence, counted.rows).query("cell_class == 'all'")
    assert (everyone["k_stated"] + everyone["k_silent"] == 1).all()


def test_a_bound_from_another_report_keeps_that_reports_patients(real):
    evidence = told(
        real,
        [
            fact("early", "severe_infection", 3, n_at_risk=24.0, months=12.0),
            fact("late", "severe_infection", 0, n_at_risk=10.0, months=60.0),
        ],
        {name: {"cohort": "same"} for name in ("early", "late")},
    )
    row = harm_facts.table(evidence).rows.iloc[0]
    assert (row["study_id"], row["bound"]) == ("late", "at_least")
    assert (row["events"], row["n_at_risk"]) == (3.0, 24.0)
    assert row["patient_years"] == pytest.approx(24 * 5)


@pytest.mark.parametrize(("category", "least"), [("death", 5.0), ("severe_infection", 3.0)])
def test_only_deaths_of_different_causes_add_up(real, category, least):
    evidence = told(
        real,
        [
            fact("one", category, 3, relation="treatment_related"),
            fact("one", category, 2, relation="unrelated"),
        ],
    )
    lower = harm_facts.implied(evidence, harm_facts.table(evidence).rows)
    assert lower["events"].tolist() == [least]


def test_without_any_safety_row_all_are_silent(real):
    evidence = told(real, [], {"one": {"n_treated": 8.0}})
    counted = harm_facts.table(evidence)
    assert counted.rows.empty and counted.exclusions.empty
    assert list(counted.rows.columns) == harm_facts.COLUMNS
    assert harm_facts.implied(evidence, counted.rows).empty
    assert harm_facts.never_stated(evidence, counted.rows)["k_stated"].eq(0).all()


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
    assert harm_facts.strategy(word) == group


@pytest.mark.parametrize(
    ("detail", "fatal"),
    [
        ("fatal sepsis", True),
        ("pneumonia (Fatal)", True),
        ("non-fatal sepsis", False),
        ("nonfatal sepsis", False),
        ("pneumonia, not fatal", False),
    ],
)
def test_only_what_a_source_calls_fatal_is_fatal(detail, fatal):
    assert (FATAL.search(detail) is not None) is fatal


def test_a_grave_infection_or_a_death_is_a_serious_adverse_event_of_who_counts_none_else(real):
    evidence = told(
        real,
        [
            fact("one", "severe_infection", 3),
            fact("one", "death", 2),
            fact("two", "severe_infection", 1),
            fact("two", "serious_adverse_event", 4),
            fact("three", "severe_infection", 0),
        ],
    )
    counted = harm_facts.table(evidence).rows
    lower = harm_facts.serious(evidence, counted)
    assert lower["study_id"].tolist() == ["one"]
    assert lower["events"].tolist() == [3.0] and lower["bound"].tolist() == ["at_least"]
    assert (lower["event_category"] == "serious_adverse_event").all() and lower["implied"].all()
