"""Facts that cannot both be true are faults, unlikely ones oddities; each names the two facts."""

import csv
import shutil

import pytest
from typer.testing import CliRunner

from analysis import checking
from analysis import evidence as ev
from analysis.cli import app

STUDY = {
    "study_id": "one2020", "first_author": "One A", "year": "2020", "title": "A trial of cells",
    "journal": "J 2020;1:1", "doi": "10.1000/one2020", "diabetes_type": "T2D", "design": "rct",
    "blinded": "no", "cell_product": "cells", "cell_class": "msc_umbilical", "n_treated": "25",
    "n_control": "20", "followup_months": "12", "followup_kind": "longest", "cohort": "one",
    "cohort_role": "primary", "publication_kind": "article", "include": "yes",
    "retracted": "none_found", "insulin_at_entry": "not_stated", "c_peptide_at_entry": "not_stated",
}  # fmt: skip
SOURCE = {"source_url": "https://example.org/a", "seen_in": "full_text", "extraction": "double"}
LEVEL = {
    "study_id": "one2020", "arm": "treated", "outcome": "hba1c", "months": "0", "n": "25",
    "statistic": "mean", "value": "8.5", "spread_kind": "sd", "spread": "1.1", "unit": "%",
    "scale": "level", "baseline_state": "before_treatment",
}  # fmt: skip
LATER = LEVEL | {"months": "12", "value": "7.6", "baseline_state": ""}
DIFFERENCE = LEVEL | {
    "arm": "contrast", "months": "12", "value": "-0.5", "spread_kind": "se", "spread": "0.3",
    "n_control": "20", "scale": "between_arm_difference", "baseline_state": "",
}  # fmt: skip
C_PEPTIDE = LEVEL | {
    "outcome": "c_peptide_fasting", "value": "0.4", "spread": "0.2", "unit": "nmol/L",
}  # fmt: skip
FREE = {"study_id": "one2020", "arm": "treated"}
EVER = FREE | {"fact": "ever", "n_total": "25", "k": "5", "bound": "exact"}
WORDS = {
    "study_id": "one2020", "contrast": "treated_vs_baseline", "arm": "treated", "outcome": "hba1c",
    "months": "12", "direction": "decrease", "significant": "yes", "quoted_measure": "HbA1c fell",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """Make a folder of evidence from a few rows; what is not given is blank."""

    def make(studies=(STUDY,), **tables):
        raw = tmp_path / "raw"
        shutil.rmtree(raw, ignore_errors=True)
        raw.mkdir()
        tables["studies"] = studies
        for name, columns in ev.TABLES.items():
            with (raw / name).open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, list(columns), lineterminator="\n")
                writer.writeheader()
                for row in tables.get(name.removesuffix(".csv"), ()):
                    source = {c: text for c, text in SOURCE.items() if c in columns}
                    writer.writerow({c: s.default for c, s in columns.items()} | source | row)
        return raw

    return make


def places(found, *words):
    return [
        (f.file, f.line, f.column) for f in found if all(word in str(f.allowed) for word in words)
    ]


# --- faults --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "row", "column", "fact"),
    [
        ("outcomes", LEVEL | {"n": "26"}, "n", "n_treated 25 (studies.csv:2)"),
        ("outcomes", LEVEL | {"arm": "control", "n": "21"}, "n", "n_control 20 (studies.csv:2)"),
        ("outcomes", LEVEL | {"arm": "all", "n": "46"}, "n", "not more than 45"),
        ("outcomes", LEVEL | {"arm": "patient_1", "n": "2"}, "n", "an arm of one patient"),
        ("outcomes", LEVEL | {"statistic": "individual"}, "n", "statistic is individual"),
        ("outcomes", DIFFERENCE | {"n_control": "21"}, "n_control", "n_control 20 (studies.csv:2)"),
        ("outcomes", LEVEL | {"spread": "0"}, "spread", "25 patients are not all alike"),
        ("outcomes", LEVEL | {"scale": "change", "value": "-1"}, "scale", "level at month 0"),
        ("outcomes", DIFFERENCE | {"value": "-11"}, "value", "is it mmol/mol?"),
        ("outcomes", LEVEL | {"spread": "12"}, "spread", "is it mmol/mol?"),
        ("outcomes", LEVEL | {"unit": "mmol/mol"}, "value", "18 to 195"),
        ("outcomes", C_PEPTIDE | {"value": "15"}, "value", "0 to 10"),
        ("outcomes", LEVEL | {"p_relation": "=", "p_value": "0"}, "p_value", "more than 0"),
        ("directions", WORDS | {"n_treated": "26"}, "n_treated", "n_treated 25"),
        ("directions", WORDS | {"n_control": "21"}, "n_control", "n_control 20"),
        ("independence", EVER | {"n_total": "26"}, "n_total", "n_treated 25 (studies.csv:2)"),
        ("safety", FREE | {"event_category": "death", "event_detail": "x", "n_patients": "26",
                           "bound": "exact", "n_at_risk": "30", "relation": "any"},
         "n_patients", "n_treated 25 (studies.csv:2)"),
        ("safety", FREE | {"event_category": "death", "event_detail": "x", "n_patients": "1",
                           "bound": "exact", "n_at_risk": "45", "relation": "any"},
         "n_at_risk", "n_treated 25 (studies.csv:2)"),
        ("directions", WORDS | {"significant": "no", "p_relation": "<", "p_value": "0.05"},
         "significant", "because p < 0.05 is printed"),
        ("directions", WORDS | {"p_relation": "=", "p_value": "0.4"},
         "significant", "because p = 0.4 is printed"),
        ("responders", FREE | {"outcome": "hba1c", "criterion": "below 7 %", "n_responders": "5",
                               "n_total": "20", "percent": "50"}, "percent", "25.0 %"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_is_a_fault_that_names_the_other_fact(
    folder, table, row, column, fact
):
    faults = ev.check(folder(**{table: [row]}))
    assert (f"{table}.csv", 2, column) in places(faults, fact), "\n".join(map(str, faults))


@pytest.mark.parametrize(
    ("rows", "line", "column", "fact"),
    [
        ([EVER, FREE | {"fact": "at_time", "n_total": "25", "k": "7", "bound": "exact",
                        "months": "12"}], 3, "k", "independence.csv:2"),
        ([EVER | {"k": "1"}, *(FREE | {"fact": "patient", "value": str(m), "patient_label": str(m),
                               "status": "resumed", "sampling": "all"} for m in (6, 7))],
         4, "patient_label", "2 are listed"),
        ([FREE | {"fact": "duration_summary", "k": "3", "duration_statistic": "range", "low": "5",
                  "high": "10"},
          FREE | {"fact": "duration_summary", "k": "3", "duration_statistic": "median",
                  "value": "11"}], 3, "value", "within 5 to 10"),
        ([FREE | {"fact": "patient", "value": "0", "patient_label": "a", "status": "ongoing",
                  "sampling": "all"}], 2, "value", "status is ongoing"),
        ([EVER, EVER | {"arm": "treated_young", "k": "6"}], 3, "k", "of the whole arm"),
        ([FREE | {"fact": "lasted", "n_total": "25", "k": k, "bound": "exact", "months": m}
          for k, m in (("2", "6"), ("3", "12"))], 3, "k", "free for 6 months"),
    ],
)  # fmt: skip
def test_facts_of_independence_that_exclude_one_another_are_faults(
    folder, rows, line, column, fact
):
    faults = ev.check(folder(independence=rows))
    assert ("independence.csv", line, column) in places(faults, fact), "\n".join(map(str, faults))


DEATH = {"study_id": "one2020", "arm": "treated", "event_category": "death", "event_detail": "died",
         "n_patients": "2", "bound": "exact", "n_at_risk": "25", "followup_months": "12",
         "relation": "any"}  # fmt: skip


@pytest.mark.parametrize(
    ("part", "fact"),
    [
        ({"arm": "treated"}, "n_patients 1 (safety.csv:3), of all arms"),
        ({"arm": "all", "relation": "treatment_related"}, "whatever their cause"),
    ],
)
def test_no_part_has_more_with_an_event_than_the_whole(folder, part, fact):
    whole = DEATH | {"arm": "all", "n_patients": "1"}
    found = ev.check(folder(safety=[DEATH | part, whole]))
    assert places(found, fact) == [("safety.csv", 2, "n_patients")]


def test_events_told_under_other_words_are_not_parts_of_one_another(folder):
    other = DEATH | {"n_patients": "1", "relation": "treatment_related", "event_detail": "sepsis"}
    assert ev.check(folder(safety=[DEATH, other])) == []


def test_no_more_single_patients_than_the_study_has(folder):
    single = LATER | {"n": "1", "statistic": "individual", "spread_kind": "none", "spread": "",
                      "contrast_basis": "follow_up_only"}  # fmt: skip
    rows = [single | {"arm": f"patient_{number}"} for number in range(46)]
    assert places(ev.check(folder(outcomes=rows)), "46 are listed") == [("outcomes.csv", 47, "arm")]
    assert ev.check(folder(outcomes=rows[:45])) == []


def test_an_arm_has_no_more_deaths_than_patients(folder):
    death = FREE | {"event_category": "death", "n_patients": "13", "bound": "exact",
             "n_at_risk": "25",
                    "relation": "any"}  # fmt: skip
    rows = [death | {"event_detail": "sepsis"}, death | {"event_detail": "stroke"}]
    faults = ev.check(folder(safety=rows))
    assert ("safety.csv", 3, "n_patients") in places(faults, "n_treated 25 (studies.csv:2)")
    apart = [rows[0], rows[1] | {"relation": "unrelated"}]
    assert ev.check(folder(safety=apart)) == [], "the same deaths may be told twice, as judged"


def test_those_at_risk_in_all_arms_of_a_trial_may_be_more_than_ours(folder):
    row = {"study_id": "one2020", "arm": "all", "event_category": "procedure_related",
           "event_detail": "pain", "n_patients": "5", "bound": "exact", "n_at_risk": "80",
           "relation": "any"}  # fmt: skip
    assert ev.check(folder(safety=[row])) == []


def test_a_change_below_minus_the_baseline_is_a_fault(folder):
    change = C_PEPTIDE | {"scale": "change", "months": "12", "value": "-0.6", "baseline_state": ""}
    faults = ev.check(folder(outcomes=[C_PEPTIDE, change]))
    assert ("outcomes.csv", 3, "value") in places(faults, "value 0.4 (outcomes.csv:2)")


def test_a_controlled_design_has_controls(folder):
    faults = ev.check(folder(studies=[STUDY | {"n_control": "0"}]))
    assert ("studies.csv", 2, "n_control") in places(faults, "rct")


def test_a_joint_arm_may_have_the_patients_of_both_reports(folder):
    other = STUDY | {"study_id": "two2021", "doi": "10.1000/two", "title": "Another", "cohort": "b",
                     "n_treated": "30"}  # fmt: skip
    row = EVER | {"arm": "treated_one2020_two2021", "n_total": "55"}
    assert ev.check(folder(studies=[STUDY, other], independence=[row])) == []
    row |= {"n_total": "56"}
    assert len(ev.check(folder(studies=[STUDY, other], independence=[row]))) == 1


# --- oddities ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "line", "column", "fact"),
    [
        ([C_PEPTIDE | {"spread": "0.01"}], 2, "spread", "a standard error typed as a deviation"),
        ([C_PEPTIDE | {"spread_kind": "se"}], 2, "spread", "a deviation typed as a standard error"),
        ([LEVEL, LATER | {"spread": "3.3"}], 3, "spread", "usual are"),
        ([LEVEL | {"value": "16"}], 2, "value", "unusual for hba1c"),
        ([C_PEPTIDE | {"unit": "pmol/L", "spread": "0.3"}], 2, "value", "another unit?"),
        ([C_PEPTIDE, C_PEPTIDE | {"months": "12", "value": "7", "spread": "4",
                                  "baseline_state": ""}], 3, "value", "17.5 times 0.4"),
        ([DIFFERENCE | {"value": "-6"}], 2, "value", "unusual as between_arm_difference"),
        ([LATER | {"scale": "percent_change", "value": "-0.11", "spread_kind": "none",
                   "spread": ""}], 2, "value", "a share of 1?"),
        ([LEVEL, LATER | {"scale": "change", "value": "7.6"}], 3, "scale", "called a change?"),
        ([C_PEPTIDE | {"spread_kind": "ci95", "spread": "", "value": "0.20", "spread_low": "0.10",
                       "spread_high": "0.40"}], 2, "value", "geometric middle"),
        ([LEVEL | {"statistic": "median", "spread_kind": "iqr", "spread": "", "spread_low": "8.5",
                   "spread_high": "8.5"}], 2, "spread_low", "no spread is known"),
        ([LEVEL | {"statistic": "median", "spread_kind": "iqr", "spread": "", "spread_low": "5",
                   "spread_high": "14"}], 2, "spread_low", "a range typed as quartiles"),
        ([LEVEL | {"statistic": "median", "spread_kind": "range", "spread": "",
                   "spread_low": "8.1", "spread_high": "8.9"}], 2, "spread_low",
         "quartiles typed as a range"),
        ([LEVEL | {"n": "19"}, LATER | {"n": "19"}, LEVEL | {"arm": "control", "n": "19"},
          LATER | {"arm": "control", "n": "19"}], 3, "value", "control (outcomes.csv:5)"),
        ([DIFFERENCE | {"spread_kind": "ci95", "spread": "", "spread_low": "-0.9",
                        "spread_high": "-0.1", "p_relation": "=", "p_value": "0.6",
                        "p_contrast": "between"}], 2, "p_value", "give about 0.014"),
        ([LEVEL, LATER | {"p_relation": "=", "p_value": "0.9", "p_contrast": "within"}],
         3, "p_value", "give at most"),
        ([LEVEL | {"p_relation": "=", "p_value": "0.05", "p_text": "p=0.005"}],
         2, "p_value", "p_text has p=0.005"),
        ([LEVEL, LATER | {"months": "52", "contrast_basis": ""}], 3, "months", "weeks typed"),
        ([LEVEL | {"n": "20"}], 2, "n", "arms swapped?"),
        ([LEVEL | {"arm": "treated_fulldose"}, LATER | {"arm": "treated_fulldose"},
          LATER | {"arm": "treated_fuldose", "contrast_basis": "follow_up_only"}],
         4, "arm", "treated_fulldose (outcomes.csv:2)"),
    ],
)  # fmt: skip
def test_what_is_unlikely_is_an_oddity_that_names_the_other_fact(folder, rows, line, column, fact):
    raw = folder(outcomes=rows)
    assert [str(fault) for fault in ev.check(raw)] == []
    odd = checking.oddities(ev.load(raw))
    assert ("outcomes.csv", line, column) in places(odd, fact), "\n".join(map(str, odd))


@pytest.mark.parametrize(("followed", "unit"), [("52", "weeks"), ("365", "days")])
def test_a_follow_up_that_is_the_last_visit_in_another_unit_is_odd(folder, followed, unit):
    raw = folder(studies=[STUDY | {"followup_months": followed}], outcomes=[LEVEL, LATER])
    odd = checking.oddities(ev.load(raw))
    assert ("studies.csv", 2, "followup_months") in places(odd, f"{unit} typed as months?")
    raw = folder(studies=[STUDY | {"followup_months": "48"}], outcomes=[LEVEL, LATER])
    assert places(checking.oddities(ev.load(raw)), "typed as months?") == []


def test_freedom_from_insulin_of_those_who_needed_none_is_odd(folder):
    raw = folder(studies=[STUDY | {"insulin_at_entry": "no"}], independence=[EVER])
    odd = checking.oddities(ev.load(raw))
    assert ("independence.csv", 2, "fact") in places(odd, "insulin_at_entry no (studies.csv:2)")


@pytest.mark.parametrize(
    ("tables", "place", "fact"),
    [
        ({"studies": [STUDY | {"year": "2012"}]}, ("studies.csv", 2, "year"), "is of 2020"),
        ({"studies": [STUDY | {"retraction_checked": "2098-12-31"}]},
         ("studies.csv", 2, "retraction_checked"), "after today"),
        ({"studies": [STUDY | {"retracted": "yes"}]}, ("studies.csv", 2, "retracted"), "no model"),
        ({"studies": [STUDY | {"age_summary": "4-Mar"}]}, ("studies.csv", 2, "age_summary"),
         "3-4 becomes 3-Apr"),
        ({"studies": [STUDY | {"title": "MÃ¼ller"}]}, ("studies.csv", 2, "title"), "Müller"),
        ({"studies": [STUDY | {"followup_months": "24"}], "outcomes": [LEVEL, LATER | {
            "months": "2"}]}, ("studies.csv", 2, "followup_months"), "years as months?"),
        ({"outcomes": [DIFFERENCE | {"spread_kind": "ci95", "spread": "", "spread_low": "-0.9",
                                     "spread_high": "-0.1", "p_relation": ">",
                                     "p_value": "0.05"}]},
         ("outcomes.csv", 2, "p_value"), "interval -0.9 to -0.1 excludes 0"),
        ({"outcomes": [DIFFERENCE | {"spread_kind": "ci95", "spread": "", "spread_low": "-1.1",
                                     "spread_high": "0.1", "p_relation": "=",
                                     "p_value": "0.01"}]},
         ("outcomes.csv", 2, "p_value"), "interval -1.1 to 0.1 includes 0"),
        ({"outcomes": [LEVEL | {"spread_kind": "ci95", "spread": "", "spread_low": "6.5",
                                "spread_high": "10.5"}]},
         ("outcomes.csv", 2, "spread_low"), "a range or quartiles typed as an interval"),
        ({"outcomes": [row | {"spread": "1.07", "value": value} for row, value in (
            (LEVEL, "8.5"), (LATER, "7.6"), (LEVEL | {"arm": "control", "n": "20"}, "8.4"))]},
         ("outcomes.csv", 3, "spread"), "the spread of 3 rows"),
        ({"outcomes": [LEVEL | {"value": "10.9"}, LEVEL | {"arm": "control", "n": "20"}]},
         ("outcomes.csv", 2, "value"), "before treatment in a randomised trial"),
        ({"outcomes": [LEVEL, LEVEL | {"arm": "control", "n": "20"},
                       LEVEL | {"arm": "treated_crossed_over", "n": "20"}]},
         ("outcomes.csv", 4, "arm"), "They are in control already (outcomes.csv:3)"),
        ({"outcomes": [LEVEL, LATER], "safety": [DEATH]}, ("outcomes.csv", 3, "n"),
         "2 of 25 had died by month 12 (safety.csv:2)"),
        ({"safety": [DEATH | {"arm": f"treated_{name}", "n_at_risk": "15"} for name in "ab"]},
         ("safety.csv", 3, "n_at_risk"), "together have 30 patients, more than n_treated 25"),
        ({"directions": [WORDS | {"contrast": "treated_vs_control"}],
          "studies": [STUDY | {"design": "single_arm", "n_control": ""}]},
         ("directions.csv", 2, "contrast"), "the design is single_arm (studies.csv:2)"),
        ({"directions": [WORDS, WORDS | {"direction": "increase", "quoted_measure": "rose"}]},
         ("directions.csv", 3, "direction"), "directions.csv:2 says decrease"),
    ],
)  # fmt: skip
def test_what_two_tables_hardly_say_together_is_odd(folder, tables, place, fact):
    raw = folder(**tables)
    assert [str(fault) for fault in ev.check(raw)] == []
    odd = checking.oddities(ev.load(raw))
    assert place in places(odd, fact), "\n".join(map(str, odd))


@pytest.mark.parametrize(
    ("low", "high", "relation", "p"),
    [("-0.9", "-0.1", "=", "0.02"), ("-0.9", "-0.1", "<", "0.05"), ("-1.1", "0.1", ">", "0.05"),
     ("-1.1", "0.1", "=", "0.1"), ("-1.0", "0.0", "=", "0.05"), ("-1.0", "-0.01", "=", "0.05")],
)  # fmt: skip
def test_a_p_value_on_the_side_of_its_interval_is_not_odd(folder, low, high, relation, p):
    row = DIFFERENCE | {"spread_kind": "ci95", "spread": "", "spread_low": low, "p_value": p,
                        "spread_high": high, "p_relation": relation}  # fmt: skip
    odd = checking.oddities(ev.load(folder(outcomes=[row])))
    assert places(odd, "the interval") == []


def test_the_same_baseline_in_two_arms_is_not_odd(folder):
    rows = [LEVEL, LATER, LEVEL | {"arm": "control", "n": "20"},
            LATER | {"arm": "control", "n": "20", "value": "8.2"}]  # fmt: skip
    assert places(checking.oddities(ev.load(folder(outcomes=rows))), "copied?") == []


def test_ordinary_numbers_are_not_odd(folder):
    control = [row | {"arm": "control", "n": "20"} for row in (LEVEL, LATER | {"value": "8.3"})]
    raw = folder(outcomes=[LEVEL, LATER, *control], directions=[WORDS], independence=[EVER],
                 responders=[FREE | {"outcome": "hba1c", "criterion": "below 7 %",
                                     "n_responders": "5", "n_total": "20"}],
                 safety=[FREE | {"event_category": "death", "event_detail": "any",
                                 "n_patients": "0", "bound": "exact",
             "n_at_risk": "25",
                                 "relation": "any"}])  # fmt: skip
    assert ev.check(raw) == []
    assert [str(odd) for odd in checking.oddities(ev.load(raw))] == []


OTHER = STUDY | {
    "study_id": "two2021", "first_author": "Two B", "year": "2021", "cohort": "two",
    "doi": "10.1000/two2021", "title": "Quite another paper", "n_treated": "31",
    "source_url": "https://example.org/b",
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "column"),
    [
        ({"title": "A randomised trial of umbilical cells in type 2 diabetes"}, "title"),
        ({"title": "A randomized trial of umbilical cells in type 2 diabetes."}, "title"),
        ({"source_url": SOURCE["source_url"]}, "source_url"),
        ({"first_author": "One A B", "n_treated": "25"}, "first_author"),
    ],
)
def test_one_study_under_two_ids_is_odd(folder, changed, column):
    first = STUDY | {"title": "A randomised trial of umbilical cells in type 2 diabetes"}
    found = ev.warnings(ev.load(folder(studies=[first, OTHER | changed], outcomes=[LEVEL])))
    assert ("studies.csv", 3, column) in places(found, "one2020 (studies.csv:2)")
    together = OTHER | changed | {"overlaps_with": "one", "overlap_kind": "possible"}
    found = ev.warnings(ev.load(folder(studies=[first, together], outcomes=[LEVEL])))
    assert not places(found, "two ids")


def test_equal_numbers_in_two_studies_are_odd(folder):
    copied = [row | {"study_id": "two2021"} for row in (LEVEL, LATER)]
    raw = folder(studies=[STUDY, OTHER], outcomes=[LEVEL, LATER, *copied])
    assert ("studies.csv", 3, "study_id") in places(ev.warnings(ev.load(raw)), "equal means")


def test_a_randomised_trial_without_controls_is_odd_and_shows_where_they_are(folder):
    control = LEVEL | {"arm": "control", "n": "19"}
    raw = folder(studies=[STUDY | {"n_control": ""}], outcomes=[LEVEL, LATER, control])
    found = ev.warnings(ev.load(raw))
    assert ("studies.csv", 2, "n_control") in places(found, "outcomes.csv:4 has a control arm")


def test_an_emptied_table_is_odd(raw_dir):
    path = raw_dir / "safety.csv"
    path.write_text(path.read_text(encoding="utf-8").split("\n")[0] + "\n", encoding="utf-8")
    assert ("safety.csv", 1, "(rows)") in places(ev.warnings(ev.load(raw_dir)), "README.md says")


def test_an_eligible_study_that_reaches_no_estimate_says_why(folder):
    found = checking.oddities(ev.load(folder(outcomes=[LEVEL])))
    assert ("studies.csv", 2, "study_id") in places(found, "baseline only")
    found = checking.oddities(ev.load(folder()))
    assert ("studies.csv", 2, "study_id") in places(found, "no row of it in any table")


def test_oddities_fail_only_when_strict(folder):
    raw = folder(outcomes=[LEVEL, LATER | {"spread": "3.3"}])
    calm = CliRunner().invoke(app, ["check", "--raw", str(raw)])
    strict = CliRunner().invoke(app, ["check", "--raw", str(raw), "--strict"])
    assert calm.exit_code == 0 and "oddity: outcomes.csv:3:spread" in calm.stdout
    assert strict.exit_code == 1 and "--strict" in strict.stderr
