"""Registered trials: what is coming, what was never told, whose primary outcome changed."""

import dataclasses
import datetime as dt
import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from analysis import registered as rg
from analysis import vocabulary as v

TRIAL = {
    "registry_id": "NCT00000001", "other_ids": "", "title": "A trial", "product": "cells",
    "cell_class": "msc_umbilical", "diabetes_type": "T1D", "onset_group": "new_onset",
    "design": "rct", "masked": "yes", "n_planned": 40.0, "n_actual": math.nan,
    "status": "completed", "status_basis": "registry", "last_known_status": "", "start": "2015-01",
    "primary_completion": "2018-01", "primary_completion_kind": "actual",
    "study_completion": "2018-06", "primary_outcome": "C-peptide", "sponsor": "S", "country": "C",
    "scope": "main", "results": "none_found", "study_ids": "", "source_url": "https://example.org",
    "second_url": "", "status_seen_on": "2020", "read_on": "2026-11-28", "extraction": "double",
    "found_by": "topic_search", "notes": "", "line": 2,
}  # fmt: skip


def with_trials(evidence, *changes, search=()):
    """The evidence with these trials only, and the verdicts of a search by registry id."""
    rows = [
        TRIAL | {"registry_id": f"NCT{i:08d}"} | change for i, change in enumerate(changes, start=1)
    ]
    verdicts = pd.DataFrame(search, columns=["registry_id", "verdict"])
    return dataclasses.replace(
        evidence, registered_trials=pd.DataFrame(rows), publication_search=verdicts
    )


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_the_one_of_statsmodels(pair):
    k, n = pair
    low, high = proportion_confint(k, n, method="wilson")
    assert rg.wilson(k, n) == pytest.approx((low, high), abs=1e-9)


def test_wilson_of_eleven_of_twenty_two_and_of_nothing():
    assert [round(x, 2) for x in rg.wilson(11, 22)] == [0.31, 0.69]
    assert all(math.isnan(x) for x in rg.wilson(0, 0))


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2024", dt.date(2024, 12, 31)),
        ("2024-02", dt.date(2024, 2, 29)),
        ("2023-02", dt.date(2023, 2, 28)),
        ("2024-11-05", dt.date(2024, 11, 5)),
    ],
)
def test_a_printed_date_ends_with_its_last_day(text, day):
    assert rg.last_day(text) == day


def test_two_years_before_a_leap_day():
    assert rg.years_before(dt.date(2024, 2, 29), 2) == dt.date(2022, 2, 28)


@pytest.mark.parametrize(
    ("diabetes_type", "onset", "population"),
    [
        ("T1D", "new_onset", "t1d_new_onset"),
        ("T1D", "established", "t1d_established"),
        ("T1D", "any", "t1d"),
        ("T1D", "not_stated", "t1d"),
        ("T2D", "", "t2d"),
        ("both", "any", "all"),
        ("not_stated", "not_stated", ""),
    ],
)
def test_a_trial_speaks_for_the_finest_population_it_names(diabetes_type, onset, population):
    assert rg.population_of(diabetes_type, onset) == population
    assert population in ("", *v.POPULATIONS)


@pytest.mark.parametrize(
    ("change", "how"),
    [
        ({}, "reported"),
        ({"status": "terminated"}, "reported"),
        ({"study_completion": "2024-11"}, "none"),
        ({"study_completion": "2024-10"}, "reported"),
        ({"study_completion": "2025-03"}, "none"),
        ({"study_completion": "", "primary_completion": ""}, "reported"),
        ({"status": "unknown"}, "presumed"),
        ({"status": "unknown", "study_completion": "2030-01"}, "none"),
        ({"status": "unknown", "study_completion": "", "primary_completion": ""}, "presumed"),
        (
            {
                "status": "unknown",
                "study_completion": "",
                "primary_completion": "",
                "status_basis": "not_seen",
            },
            "none",
        ),
        ({"status": "unknown", "last_known_status": "not_yet"}, "none"),
        ({"status": "withdrawn"}, "none"),
        ({"status": "recruiting"}, "none"),
        ({"scope": "context"}, "none"),
        ({"scope": "duplicate"}, "none"),
    ],
)
def test_a_trial_is_over_when_two_years_have_passed_since_its_end(evidence, change, how):
    assert rg.ended(with_trials(evidence, change))["ended"].tolist() == (
        [] if how == "none" else [how]
    )


def test_what_counts_as_told_widens_step_by_step(evidence):
    with_all = with_trials(
        evidence,
        {},
        {"results": "published", "study_ids": "cai2016"},
        {"results": "posted"},
        {"results": "press"},
        {},
        {"n_planned": math.nan},
        search=[("NCT00000005", "probably_published"), ("NCT00000001", "none_found")],
    )
    rows = whole(rg.silence(with_all))
    assert rows["n_trials"].unique().tolist() == [6]
    assert rows["n_silent"].to_dict() == {"firm": 5, "firm_or_probable": 4, "any_public_result": 2}
    assert rows.loc["firm", "n_patients_silent"] == 160
    assert rows["n_without_size"].unique().tolist() == [1]
    assert rows.loc["firm", ["ci_low", "ci_high"]].tolist() == list(rg.wilson(5, 6))
    assert rows.loc["firm", "share_patients_silent"] == 160 / 200
    assert len(rg.silent(with_all, "any_public_result")) == 2
    assert len(rg.silent(with_all)) == 4


def whole(silence):
    """The rows of all approaches and populations, by what counts as told."""
    return silence[silence["approach"].eq("all") & silence["population"].eq("all")].set_index(
        "told"
    )


def test_trials_that_were_looked_for_by_name_are_counted_and_give_no_share(evidence):
    named = {"found_by": "named", "n_planned": 60.0}
    row = whole(rg.silence(with_trials(evidence, {}, named))).loc["firm"]
    assert (row["n_trials"], row["n_patients"]) == (2, 100)
    assert (row["n_searched"], row["n_searched_patients"], row["share_silent"]) == (1, 40, 1)
    alone = whole(rg.silence(with_trials(evidence, named))).loc["firm"]
    assert alone["n_silent"] == 1 and math.isnan(alone["share_silent"])
    assert math.isnan(alone["share_patients_silent"])


def test_type_1_holds_every_onset_and_all_holds_those_of_unstated_type(evidence):
    made = with_trials(
        evidence,
        {},
        {"onset_group": "established"},
        {"onset_group": "not_stated"},
        {"diabetes_type": "T2D", "onset_group": ""},
        {"diabetes_type": "not_stated", "onset_group": ""},
    )
    table = rg.silence(made)
    table = table[table["told"].eq("firm") & table["approach"].eq("cell_infusion")]
    assert table.set_index("population")["n_trials"].to_dict() == {
        "t1d_new_onset": 1, "t1d_established": 1, "t1d": 3, "t2d": 1, "all": 5,
    }  # fmt: skip


def test_the_largest_untold_trial_found_by_topic_is_named(evidence):
    made = with_trials(
        evidence,
        {"n_actual": 900.0, "found_by": "named"},
        {"n_actual": 500.0},
        {"n_planned": math.nan},
    )
    row = whole(rg.silence(made)).loc["firm"]
    assert (row["largest_silent"], row["largest_silent_patients"]) == ("NCT00000002", 500)
    told = whole(rg.silence(with_trials(evidence, {"results": "published"}))).loc["firm"]
    assert told["largest_silent"] == "" and math.isnan(told["largest_silent_patients"])


def test_the_approaches_add_up_to_all(evidence):
    table = rg.silence(evidence)
    table = table[table["population"] == "all"]
    numbers = ["n_trials", "n_silent", "n_searched", "n_searched_patients_silent"]
    every = table[table["approach"] == "all"].set_index("told")[numbers]
    parts = table[table["approach"] != "all"].groupby("told")[numbers].sum()
    assert every.sort_index().equals(parts.sort_index())


def test_the_largest_silent_trial_is_named_first(evidence):
    first = rg.silent(evidence).iloc[0]
    assert (first["registry_id"], first["n"]) == ("NCT01677013", 1026)
    assert first["controlled"] == "yes" and first["population"] == "t2d"


def test_ongoing_trials_are_dated_sized_and_overdue_by_the_day_of_reading(evidence):
    made = with_trials(
        evidence,
        {"status": "recruiting", "primary_completion": "", "study_completion": ""},
        {
            "status": "active",
            "primary_completion": "2027-05",
            "primary_completion_kind": "expected",
            "n_actual": 12.0,
        },
        {"status": "not_yet", "primary_completion": "", "study_completion": "2026-10"},
        {"status": "completed"},
    )
    table = rg.ongoing(made)
    assert table["registry_id"].tolist() == ["NCT00000003", "NCT00000002", "NCT00000001"]
    assert table["overdue"].tolist() == [True, False, False]
    assert table["expected_is"].tolist() == ["study", "primary", ""]
    assert table["n"].tolist() == [40, 12, 40]
    assert table["n_kind"].tolist() == ["planned", "actual", "planned"]
    assert set(table["read_on"]) == {"2026-11-28"}


def test_a_trial_whose_primary_visits_are_over_is_due_at_its_end(evidence):
    made = with_trials(evidence, {"status": "active", "study_completion": "2027-01"})
    assert rg.ongoing(made)[["expected", "expected_is"]].to_numpy().tolist() == [
        ["2027-01", "study"]
    ]
    assert len(rg.overdue(made, dt.date(2027, 1, 31))) == 0
    none = dataclasses.replace(made, registered_trials=made.registered_trials.iloc[:0])
    assert "months_late" in rg.overdue(none, dt.date(2027, 3, 1))
    assert rg.overdue(made, dt.date(2027, 3, 1))["months_late"].tolist() == [2]


def test_what_is_coming_counts_each_ongoing_trial_once_and_keeps_zeros(evidence):
    table, trials = rg.coming(evidence), rg.ongoing(evidence)
    own = table[table["population"].eq("all")].set_index("approach")
    assert own.drop("all")["n_trials"].sum() == own.loc["all", "n_trials"] == len(trials)
    assert own.loc["all", "n_patients"] == trials["n"].sum()
    assert set(own.index) == {*v.APPROACHES, "all"}
    assert (table["n_randomised"] <= table["n_controlled"]).all()
    assert (table["n_controlled"] <= table["n_trials"]).all()
    assert "NCT04786262" in set(trials["registry_id"])


def test_the_ends_of_what_is_coming_are_those_of_the_controlled_trials_apart(evidence):
    dated = {"status": "active", "primary_completion_kind": "expected"}
    made = with_trials(
        evidence,
        {**dated, "primary_completion": "2027-05"},
        {**dated, "primary_completion": "2027"},
        {**dated, "primary_completion": "2026-12", "design": "single_arm"},
        {**dated, "primary_completion": "2031-01", "design": "not_stated"},
    )
    row = rg.coming(made).iloc[-1]
    assert (row["approach"], row["population"]) == ("all", "all")
    assert (row["first_expected"], row["last_expected"]) == ("2026-12", "2031-01")
    assert (row["first_controlled"], row["last_controlled"]) == ("2027-05", "2027")
    assert (row["n_controlled"], row["n_randomised"]) == (2, 2)


def test_no_trial_at_all_gives_empty_tables(evidence):
    none = dataclasses.replace(evidence, registered_trials=evidence.registered_trials.iloc[:0])
    assert rg.read_on(none) == ""
    assert len(rg.ongoing(none)) == len(rg.ended(none)) == 0
    assert rg.silence(none)["n_trials"].sum() == rg.coming(none)["n_trials"].sum() == 0


def test_outcome_switching_names_the_registered_primary_wherever_it_compares(evidence):
    table = rg.outcome_switching(evidence)
    compared = table[table["matches"] != "unclear"]
    assert compared["registered_primary"].ne("").all()
    assert set(compared.loc[compared["matches"] == "no", "study_id"]) >= {"wu2014", "cantu2016"}
    assert table["study_id"].is_unique and table["cohort"].notna().all()


def test_a_later_report_is_registered_as_its_cohort_is(evidence):
    words = rg.registration_of(evidence, ["couri2009", "voltarelli2007", "hu2013", "wangpan2010"])
    assert words == ["retrospective", "retrospective", "none_found", "not_assessed"]


def test_a_trial_whose_end_is_told_in_the_news_is_not_under_way(evidence):
    table = evidence.registered_trials
    ended = table.loc[table["status_basis"].eq("news") & table["status"].eq("terminated")]
    assert len(ended)
    assert not set(ended["registry_id"]) & set(rg.ongoing(evidence)["registry_id"])
