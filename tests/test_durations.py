"""The layer of duration facts: nobody twice, extremes never a sample, every row accounted for."""

import math

import pytest
from made_evidence import evidence_of

from analysis.cohorts import patient_groups
from analysis.counting import duration_facts, ever_free, independence


@pytest.fixture(scope="module")
def layered(evidence):
    return duration_facts.layer(evidence)


def facts_of(evidence, rows, studies=None):
    facts, left = duration_facts.layer(evidence_of(evidence, rows, studies))
    return facts, left


def pieces(facts) -> list[tuple]:
    return list(facts[["kind", "low", "high", "count"]].itertuples(index=False, name=None))


def row(fact, study="one", **cells) -> dict:
    return {"study_id": study, "fact": fact, "bound": "exact", **cells}


def patient(value, sampling, status="resumed", **cells) -> dict:
    return {"study_id": "one", "fact": "patient", "n_total": 12.0, "value": float(value),
            "status": status, "sampling": sampling, **cells}  # fmt: skip


# --- the tracked evidence -----------------------------------------------------------------------


def test_every_row_is_used_or_excluded_with_a_reason(evidence, layered):
    facts, left = layered
    used, excluded = independence.used_lines(facts), set(left["line"])
    assert used | excluded == set(evidence.independence["line"])
    assert not used & excluded
    assert (left["reason"] != "").all()


def test_every_ever_row_is_counted_or_excluded_with_a_reason(evidence):
    counts, left = ever_free.ever_counts(evidence)
    rows = evidence.independence
    ever = set(rows.loc[rows["fact"] == "ever", "line"])
    used = independence.used_lines(counts) & ever
    controls = set(rows.loc[rows["arm"].str.startswith("control"), "line"])
    assert used | set(left["line"]) == ever
    assert not (used - controls) & set(left["line"])


def test_no_patients_are_counted_twice_even_where_overlap_is_only_possible(evidence, layered):
    group = patient_groups(evidence.studies)
    counts, _ = ever_free.ever_counts(evidence)
    assert not counts["study_id"].map(group).duplicated().any()
    used = layered[0].drop_duplicates("study_id")["study_id"]
    assert not used.map(group).duplicated().any()


def test_of_the_brazilian_cohort_the_report_observed_longest_speaks(layered):
    facts, left = layered
    assert "malmegrim2017" in set(facts["study_id"])
    reasons = left.loc[left["study_id"].isin(["voltarelli2007", "couri2009"]), "reason"]
    assert reasons.str.contains("same patients as malmegrim2017").all()


def test_the_best_patients_enter_only_with_those_they_were_picked_from(layered):
    own = layered[0].query("study_id == 'snarski2016'")
    free = own.loc[own["kind"] != "unresolved", "count"].sum()
    assert free == 20
    assert own.loc[own["kind"] == "right_censored", "count"].sum() == 4
    unresolved = own[own["kind"] == "unresolved"]
    assert unresolved[["high", "count"]].to_numpy().tolist() == [[9.5, 3.0]]


def test_counts_of_the_facts_never_exceed_the_patients_treated(layered):
    total = layered[0].groupby("study_id")["count"].sum()
    treated = layered[0].groupby("study_id")["n_total"].first()
    assert (total <= treated).all()


def test_selected_rows_are_no_rate_and_lower_bounds_are_marked(evidence):
    counts, _left = ever_free.ever_counts(evidence)
    assert "malmegrim2017" not in set(counts["study_id"])
    assert counts.set_index("study_id").loc["snarski2016", "bound"] == "at_least"
    assert counts["k"].eq(0).any()


# --- single studies -----------------------------------------------------------------------------


def test_a_median_with_a_range_is_read_as_order_statistics(evidence):
    summary = row("duration_summary", k=5.0, duration_statistic="median", value=43.0, low=6.0,
                  high=100.0, bound="")  # fmt: skip
    facts, _ = facts_of(evidence, [summary])
    assert pieces(facts) == [
        ("order_statistic", 6.0, 6.0, 1.0),
        ("order_statistic", 43.0, 43.0, 1.0),
        ("order_between", 6.0, 43.0, 1.0),
        ("order_longest", 43.0, 100.0, 2.0),
    ]


@pytest.mark.parametrize(
    ("months", "kind", "bound", "read"),
    [
        (49.0, "longest", "exact", "order_top"),
        (49.0, "unstated", "exact", "order_top"),
        (90.0, "longest", "exact", "order_longest"),
        (90.0, "longest", "at_least", "order_top"),
        (90.0, "minimum", "exact", "order_ended"),
        (49.0, "minimum", "exact", "order_top"),
        (12.0, "minimum", "exact", "order_longest"),
        (30.0, "median", "exact", "order_longest"),
        (math.nan, "", "exact", "order_longest"),
    ],
)
def test_the_longest_has_ended_or_not_by_what_is_known_of_follow_up(
    evidence, months, kind, bound, read
):
    summary = row("duration_summary", k=6.0, duration_statistic="range", low=3.0, high=48.0,
                  bound=bound)  # fmt: skip
    facts, _ = facts_of(
        evidence, [summary], {"one": {"followup_months": months, "followup_kind": kind}}
    )
    assert pieces(facts) == [("order_statistic", 3.0, 3.0, 1.0), (read, 3.0, 48.0, 5.0)]


def test_the_longest_patient_has_ended_where_he_resumed(evidence):
    rows = [row("ever", n_total=12.0, k=10.0), patient(63, "best", "resumed")]
    facts, _ = facts_of(evidence, rows)
    assert pieces(facts) == [("order_ended", 0.0, 63.0, 10.0)]


def test_one_who_resumed_is_counted_once_beside_those_still_free(evidence):
    rows = [
        row("duration_summary", k=5.0, n_total=9.0, duration_statistic="range", low=4.0, high=48.0),
        row("duration_summary", k=1.0, n_total=9.0, duration_statistic="median", value=7.0,
            arm="treated_resumed"),
    ]  # fmt: skip
    facts, _ = facts_of(evidence, rows)
    assert pieces(facts) == [("exact", 7.0, math.inf, 1.0), ("order_top", 4.0, 48.0, 4.0)]


def test_a_study_with_nobody_independent_counts_as_zero_and_has_no_duration(evidence):
    made = evidence_of(evidence, [row("ever", n_total=14.0, k=0.0)])
    facts, left = duration_facts.layer(made)
    assert facts.empty and len(left) == 1
    counts, _ = ever_free.ever_counts(made)
    assert counts[["k", "n"]].to_numpy().tolist() == [[0.0, 14.0]]


def test_nobody_free_at_a_landmark_and_ever_unknown_is_never_free_or_no_longer(evidence):
    facts, _ = facts_of(evidence, [row("at_time", n_total=9.0, k=0.0, months=12.0)])
    assert pieces(facts) == [("unresolved", 0.0, 12.0, 9.0)]
    assert facts["through_ever"].all()


def test_all_still_independent_is_a_survival_of_all(evidence):
    rows = [row("ever", n_total=8.0, k=8.0), row("at_time", n_total=8.0, k=8.0, months=24.0)]
    facts, _ = facts_of(evidence, rows)
    assert pieces(facts) == [("landmark", 24.0, math.inf, 8.0)]
    assert set(facts["time_origin"]) == {"treatment"}


def test_landmarks_become_intervals_that_add_up_to_the_ever_independent(evidence):
    rows = [row("ever", n_total=20.0, k=12.0)] + [
        row("at_time", n_total=20.0, k=k, months=t)
        for t, k in ((12.0, 9.0), (24.0, 9.0), (48.0, 4.0))
    ]
    facts, _ = facts_of(evidence, rows)
    assert pieces(facts) == [
        ("interval", 0.0, 12.0, 3.0),
        ("landmark", 24.0, 48.0, 5.0),
        ("landmark", 48.0, math.inf, 4.0),
    ]


def test_a_listing_of_all_is_a_sample(evidence):
    listed = [patient(5, "all"), patient(20, "all", "ongoing"), patient(9, "all", "died")]
    facts, _ = facts_of(evidence, listed)
    assert sorted(pieces(facts)) == [
        ("exact", 5.0, math.inf, 1.0),
        ("right_censored", 9.0, math.inf, 1.0),
        ("right_censored", 20.0, math.inf, 1.0),
    ]


def test_the_longest_alone_is_the_longest_of_all_ever_independent_not_a_sample(evidence):
    rows = [row("ever", n_total=12.0, k=10.0), patient(63, "best", "censored")]
    facts, _ = facts_of(evidence, rows)
    assert pieces(facts) == [("order_top", 0.0, 63.0, 10.0)]


def test_the_worst_resumed_by_their_month_and_the_others_outlasted_them(evidence):
    rows = [row("ever", n_total=12.0, k=10.0), patient(2, "worst"), patient(7, "worst")]
    facts, _ = facts_of(evidence, rows)
    assert pieces(facts) == [
        ("interval", 0.0, 2.0, 1.0),
        ("interval", 0.0, 7.0, 1.0),
        ("right_censored", 7.0, math.inf, 8.0),
    ]


def test_the_best_without_a_count_of_the_rest_are_not_used(evidence):
    facts, left = facts_of(evidence, [patient(60, "best", "ongoing")])
    assert facts.empty
    assert left["reason"].str.contains("without guessing").all()


def test_those_still_free_are_not_all_at_the_longest_follow_up(evidence):
    rows = [
        row("ever", n_total=20.0, k=14.0),
        row("duration_summary", k=14.0, duration_statistic="range", low=1.5, high=48.0, bound=""),
        row("duration_summary", k=11.0, duration_statistic="median", value=19.5, bound="",
            arm="treated_relapsed"),
    ]  # fmt: skip
    longest, _ = facts_of(
        evidence, rows, {"one": {"followup_months": 48.0, "followup_kind": "longest"}}
    )
    everyone, _ = facts_of(
        evidence, rows, {"one": {"followup_months": 48.0, "followup_kind": "minimum"}}
    )
    assert ("order_top", 1.5, 48.0, 3.0) in pieces(longest)
    assert ("right_censored", 48.0, math.inf, 3.0) in pieces(everyone)


def test_those_who_lasted_some_months_are_conditioned_on(evidence):
    rows = [
        row("ever", n_total=23.0, k=20.0, bound="at_least"),
        row("lasted", n_total=23.0, k=20.0, months=9.5),
        row("duration_summary", k=20.0, n_total=23.0, duration_statistic="median", value=31.0,
            low=9.5, high=80.0, bound=""),
    ]  # fmt: skip
    facts, _ = facts_of(evidence, rows)
    assert ("unresolved", 0.0, 9.5, 3.0) in pieces(facts)
    assert ("order_between", 9.5, 31.0, 10.0) in pieces(facts)
    assert "order_statistic" not in set(facts["kind"])


def test_control_arms_and_ineligible_studies_never_enter(evidence):
    marks = {"n_total": 10.0, "k": 5.0, "months": 12.0}
    facts, left = facts_of(evidence, [row("at_time", arm="control", **marks)])
    assert facts.empty and left["reason"].str.contains("control arm").all()
    facts, left = facts_of(evidence, [row("at_time", **marks)], {"one": {"include": "context"}})
    assert facts.empty and left["reason"].str.contains("not pooled").all()


def test_no_rows_give_empty_tables_with_their_columns(evidence):
    made = evidence_of(evidence, [])
    facts, left = duration_facts.layer(made)
    counts, _ = ever_free.ever_counts(made)
    assert list(facts.columns) == duration_facts.FACT_COLUMNS and facts.empty
    assert list(left.columns) == independence.EXCLUSION_COLUMNS and left.empty
    assert list(counts.columns) == ever_free.EVER_COLUMNS and counts.empty
    assert ever_free.ever_contrasts(made).empty


@pytest.mark.parametrize(
    ("words", "onset"),
    [
        ("newly diagnosed", "new"),
        ("within 6 weeks", "new"),
        ("mean 9.1 years", "longstanding"),
        ("", "unstated"),
        ("< 5 years", "unstated"),
    ],
)
def test_onset_is_read_from_words_only_where_they_are_clear(words, onset):
    assert ever_free.onset_of(words) == onset
