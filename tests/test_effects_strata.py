"""Which effect speaks in which question, what each effect says of itself, and stable names."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import every

from analysis import effects, outcomes, results, vocabulary
from analysis.effects import Rules, statements
from analysis.effects.select import mark
from analysis.evidence.references import find, reference

CONTINUOUS = outcomes.of_kind(outcomes.CONTINUOUS)
POPULATIONS = ("t1d_new_onset", "t1d_established", "t1d", "t2d")


@pytest.fixture(scope="module")
def built(evidence):
    return effects.build(evidence)


@pytest.fixture(scope="module")
def table(built):
    return built.effects


# --- one question --------------------------------------------------------------------------------


@pytest.mark.parametrize("design", every("controlled", "uncontrolled", "randomised", fast=2))
def test_one_effect_a_group_of_patients_in_every_stratum(table, design):
    for outcome, approach, people in itertools.product(
        CONTINUOUS, (*vocabulary.APPROACHES, "all"), (*POPULATIONS, "all")
    ):
        rows = effects.for_stratum(table, outcome, approach, people, design)
        assert not rows["patients"].duplicated().any()
        assert rows["pool"].all() and rows["tested"].all() and not rows["known_null"].any()
        assert rows["outcome"].eq(outcome).all()
        assert rows["controlled"].eq(design != "uncontrolled").all()
        assert rows["months"].between(5.5, 18.5).all()
        if approach != "all":
            assert rows["approach"].eq(approach).all()


def test_strata_add_up(table):
    def ids(population, design="controlled"):
        return set(effects.for_stratum(table, "hba1c", "cell_infusion", population, design)
                   ["effect_id"])  # fmt: skip

    assert ids("t1d_new_onset") | ids("t1d_established") <= ids("t1d")
    assert ids("t1d") | ids("t2d") == ids("all")
    assert not ids("t1d") & ids("t2d")
    assert ids("all", "randomised") <= ids("all")


def test_a_cohort_may_speak_once_against_controls_and_once_within(table):
    def cohort(design):
        rows = effects.for_stratum(table, "hba1c", "cell_infusion", "t1d_established", design)
        return rows[rows["cohort"].eq("fuzhou_ucmsc")].iloc[0]

    against, within = cohort("controlled"), cohort("uncontrolled")
    assert against["contrast"] == "controlled_change"
    assert within["contrast"] == "uncontrolled_change"
    assert against["headline"] and not within["headline"]


def test_no_uncontrolled_change_after_new_onset_in_any_stratum(table):
    for outcome in CONTINUOUS:
        rows = effects.for_stratum(table, outcome, design="uncontrolled")
        assert not rows["onset_group"].eq("new_onset").any()
        assert effects.for_stratum(table, outcome, population="t1d_new_onset",
                                   design="uncontrolled").empty  # fmt: skip


def test_overlapping_cohorts_speak_by_the_largest(table):
    group = table[table["patients"].eq("wu2014")]
    assert {"wu2014", "wu2024a"} <= set(group["cohort"])
    within = effects.for_stratum(table, "c_peptide_ratio", design="uncontrolled")
    assert set(within.loc[within["patients"].eq("wu2014"), "study_id"]) == {"wu2024a"}
    against = effects.for_stratum(table, "c_peptide_ratio")
    assert set(against.loc[against["patients"].eq("wu2014"), "study_id"]) == {"wu2014"}
    apart = effects.for_stratum(table, "c_peptide_ratio", design="uncontrolled",
                                rules=Rules(overlaps="shared"))  # fmt: skip
    assert {"wu2014", "wu2024a"} <= set(apart["study_id"])


def test_unknown_words_are_refused(table):
    for wrong in ({"outcome": "happiness"}, {"approach": "cells"}, {"population": "children"},
                  {"design": "best"}, {"cell_class": "stem"}):  # fmt: skip
        with pytest.raises(KeyError, match="known"):
            effects.for_stratum(table, **{"outcome": "hba1c", **wrong})


def test_marking_again_by_the_same_rules_changes_nothing(built):
    again = mark(built.effects, built.rules)
    pd.testing.assert_frame_equal(again, built.effects)
    with pytest.raises(KeyError, match="known_null"):
        mark(built.effects.drop(columns="known_null"), built.rules)
    assert Rules(window=(3.0, 24.0)).same_reading(Rules())
    assert not Rules(medians=False).same_reading(Rules())


# --- choices of the protocol ---------------------------------------------------------------------


def test_a_six_month_visit_at_24_weeks_is_inside_the_window(table):
    loose = effects.for_stratum(table, "hba1c", "cell_infusion", "t2d")
    assert "chen2016" in set(loose["study_id"])
    strict = effects.for_stratum(table, "hba1c", "cell_infusion", "t2d",
                                 rules=Rules(tolerance=0.0))  # fmt: skip
    assert set(loose["study_id"]) - set(strict["study_id"]) == {"chen2016"}


def test_claims_without_a_visit_count_at_twelve_months_or_not_at_all(table):
    rows = effects.for_stratum(table, "hba1c", "cell_infusion", "t2d")
    open_ = rows[rows["visit_open"]]
    assert {"hu2012", "hu2016"} <= set(open_["study_id"]) and open_["months"].eq(12).all()
    out = effects.for_stratum(table, "hba1c", "cell_infusion", "t2d",
                              rules=Rules(visit_open="out"))  # fmt: skip
    assert not out["visit_open"].any()


def test_signs_without_a_test_enter_only_where_asked(table):
    untested = table[~table["tested"] & table["pool"]]
    assert len(untested)
    marks = ["headline", "headline_controlled", "headline_uncontrolled", "trajectory"]
    assert not untested[marks].any(axis=None)
    let_in = mark(table, Rules(untested=True))
    assert (let_in["headline_controlled"] & ~let_in["tested"]).any()


def test_an_unstated_measure_can_be_left_out(table):
    rules = Rules(unstated_measure="out")
    assert effects.for_stratum(table, "c_peptide_ratio")["measure"].eq("unstated").any()
    stated = effects.for_stratum(table, "c_peptide_ratio", rules=rules)
    assert not stated["measure"].eq("unstated").any()
    # Nobody knows its level, so it gives no gain in nmol/L.
    assert not table.query("outcome == 'c_peptide_gain'")["measure"].eq("unstated").any()


def test_area_before_peak_before_fasting(table):
    rows = effects.for_stratum(table, "c_peptide_ratio")
    exact = rows[rows["study_id"].eq("giannopoulou2014")].iloc[0]
    assert (exact["measure"], exact["kind"]) == ("auc", "two_points")
    assert exact["z_low"] == -exact["z_high"]


# --- known nulls ---------------------------------------------------------------------------------


def test_known_nulls_stay_out_and_can_be_let_in(table):
    nulls = effects.known_nulls(table)
    assert {"lu2021", "osiris2012", "protransyoung2025"} <= set(nulls["study_id"])
    assert not nulls[["pool", "headline", "headline_controlled"]].any(axis=None)
    assert nulls["n_factor"].gt(0).all()
    every = effects.for_stratum(table, "c_peptide_ratio", "cell_infusion", "t1d_new_onset",
                                rules=Rules(all_nulls=True))  # fmt: skip
    plain = effects.for_stratum(table, "c_peptide_ratio", "cell_infusion", "t1d_new_onset")
    added = set(every["study_id"]) - set(plain["study_id"])
    assert {"osiris2012", "protransyoung2025", "lu2021"} <= added
    assert set(plain["study_id"]) <= set(every["study_id"])


def test_a_null_without_arm_sizes_takes_those_of_the_registration_or_a_typical_weight(
    evidence, table
):
    def osiris(effects_table):
        mine = effects_table["study_id"].eq("osiris2012")
        return effects_table[mine & effects_table["outcome"].eq("c_peptide_ratio")].iloc[0]

    registered = osiris(table)
    assert (registered["n_factor"], registered["n_patients"]) == pytest.approx((4 / 63, 63))
    assert "registration" in registered["note"]
    nowhere = replace(evidence, registered_trials=evidence.registered_trials.iloc[:0])
    typical = osiris(effects.build(nowhere).effects)
    others = table[table["outcome"].eq("c_peptide_ratio") & table["controlled"] & table["pool"]]
    assert typical["n_factor"] == pytest.approx(others["n_factor"].median())
    assert math.isnan(typical["n_patients"]) and "median" in typical["note"]


@pytest.mark.parametrize(
    ("change", "gap"),
    [
        ({}, ""),
        ({"subgroup": statements.GROUP_NOT_VISIBLE}, "the group is not visible"),
        ({"subgroup": "adults"}, ""),
        ({"months": math.nan, "months_from": math.nan}, "the time is not printed"),
        ({"caveats": "contrast_not_stated"}, "the contrast is not stated"),
        ({"caveats": "outcome_defined_group"}, ""),
        (
            {
                "direction": "increase",
                "significant": "yes",
                "subgroup": statements.GROUP_NOT_VISIBLE,
            },
            "",
        ),
        ({"contrast": "control_vs_baseline", "subgroup": statements.GROUP_NOT_VISIBLE}, ""),
    ],
)
def test_what_a_known_null_lacks(change, gap):
    row = {
        "significant": "no",
        "direction": "no_difference",
        "contrast": "treated_vs_control",
        "caveats": "",
        "subgroup": "",
        "outcome": "hba1c",
        "months": 12.0,
        "months_from": 12.0,
    }
    study = {"include": "yes", "publication_kind": "article"}
    assert statements.gap_of_null({**row, **change}, study) == gap
    press = {"include": "context", "publication_kind": "press"}
    assert statements.gap_of_null(row, press) == "no journal"
    assert statements.gap_of_null(row, study, no_size=True) == "arm sizes not printed"


# --- what an effect says of itself ---------------------------------------------------------------


def test_the_place_an_effect_was_seen_in_is_that_of_its_rows(evidence, table):
    order = ("full_text", "registry", "abstract", "secondary")
    for effect in table.iloc[::9].to_dict("records"):
        rows = [find(evidence, name) for name in effect["source_rows"].split(";")]
        assert effect["seen_in"] == max((r["seen_in"] for r in rows), key=order.index)


def test_teachers_print_a_spread_of_their_own(table):
    for outcome in CONTINUOUS:
        rows = effects.teachers(table, outcome)
        assert np.isfinite(rows["var_a"]).all() and rows["teaches_sd"].all()
        assert rows["controlled"].all() and rows["pool"].all()
        assert not rows["patients"].duplicated().any()
    insulin = effects.teachers(table, "insulin_dose").set_index("study_id")
    used = table.set_index("effect_id").loc[insulin.loc["bhansali2014a", "effect_id"]]
    # The effect takes its error from a p-value, the teacher keeps the printed spreads.
    assert "se_from_p" in used["derived"] and not used["teaches_sd"]
    assert insulin.loc["bhansali2014a", "var_a"] == used["spread_var_a"] != used["var_a"]


def test_an_error_from_a_p_value_teaches_no_spread(table):
    from_p = table["derived"].str.contains("se_from_p")
    assert from_p.any() and not table.loc[from_p, "teaches_sd"].any()
    known = table["kind"].eq("numeric") & table["var_a"].notna()
    assert (table["teaches_sd"] == (known & ~from_p)).all()


def test_printed_p_values_between_arms_give_the_error_of_levels_and_medians(table):
    rows = table.set_index("effect_id")
    cai = rows.loc["cai2016:c_peptide_ratio:auc:vs_control:12"]
    assert math.sqrt(cai["var_a"]) == pytest.approx(0.31, abs=0.005)
    median = rows.loc["bhansali2014a:insulin_dose:vs_control:12"]
    assert math.sqrt(median["var_a"]) == pytest.approx(0.251, abs=0.001)


def test_randomised_is_said_of_contrasts_alone(evidence, table):
    rct = set(evidence.studies.query("design == 'rct'")["study_id"])
    expected = table["controlled"] & table["study_id"].isin(rct)
    assert (table["randomised"] == expected).all()


def test_severe_hypoglycaemia_is_a_rate_of_events(evidence):
    from test_effects_arms import CONTROL, arm_rows, contrast

    rate = {"outcome": "severe_hypoglycaemia", "unit": "events/patient-year"}
    rows = [*arm_rows(2, "treated", 3.0, 1.0, sd=2.0), *arm_rows(4, "control", 3.0, 2.5, sd=2.0)]
    rows = [{**r, **rate} for r in rows]
    effect = contrast(rows, "severe_hypoglycaemia")
    assert effect.y == pytest.approx(-1.5)
    counted = [{**r, "unit": "events"} for r in rows]
    assert contrast(counted, "severe_hypoglycaemia") is None
    assert effects.OUTCOMES["severe_hypoglycaemia"] == "events/patient-year"
    assert len(CONTROL)


# --- names ---------------------------------------------------------------------------------------


def shuffled(evidence, seed):
    """The evidence with every table in another order, and lines as they would then be."""

    def mixed(frame):
        frame = frame.sample(frac=1, random_state=seed).reset_index(drop=True)
        return frame.assign(line=np.arange(len(frame)) + 2)

    names = ("studies", "outcomes", "directions")
    return replace(evidence, **{name: mixed(getattr(evidence, name)) for name in names})


@pytest.mark.parametrize("seed", [1, 2])
def test_shuffled_tables_give_the_same_bytes(evidence, built, seed):
    other = effects.build(shuffled(evidence, seed))
    assert other.effects.to_csv(index=False) == built.effects.to_csv(index=False)
    assert other.exclusions.to_csv(index=False) == built.exclusions.to_csv(index=False)


def test_an_inserted_row_renames_nothing(evidence, table):
    said = evidence.directions
    twin = said[said["study_id"].eq("hu2012") & said["outcome"].eq("hba1c")].iloc[[0]]
    twin = twin.assign(quoted_measure="HbA1c, told once more", direction="increase", line=9999)
    grown = replace(evidence, directions=pd.concat([twin, said], ignore_index=True))
    after = effects.build(grown).effects
    assert set(table["effect_id"]) < set(after["effect_id"])
    assert len(after) == len(table) + 1


def test_a_row_is_found_by_its_reference(evidence):
    row = evidence.outcomes.iloc[17].to_dict()
    name = reference("outcomes", row)
    assert find(evidence, name)["line"] == row["line"]
    assert reference("outcomes", {**row, "value": 99.0, "notes": "other"}) == name
    with pytest.raises(KeyError):
        find(evidence, "outcomes:00000000")
    with pytest.raises(KeyError):
        find(evidence, "no_such_table:00000000")


def test_the_tables_are_as_declared(built):
    effects_table = results.checked("effects", built.effects)
    assert list(effects_table) == effects.EFFECT_COLUMNS
    assert len(results.checked("exclusions", built.exclusions)) == len(built.exclusions)
