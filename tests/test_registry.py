"""Exports of ClinicalTrials.gov: nothing lost, compared with the table, written all or none."""

import csv
import json
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from analysis import cli, registry
from analysis import evidence as ev
from analysis.registry import export, update

KNOWN = "NCT04061746"
"""A trial of the table: active, 60 planned, randomised, new onset."""


def study(number=KNOWN, **changes):
    """A record in the shape of the registry's API; `changes` replace values by their path.

    A path is written with __ for the dots, from protocolSection on; None removes the piece.
    """
    record = {
        "protocolSection": {
            "identificationModule": {
                "nctId": number,
                "orgStudyIdInfo": {"id": "00081965"},
                "secondaryIdInfos": [
                    {"id": "R01DK118529", "type": "NIH", "link": "https://reporter.nih.gov"},
                    {"id": "2017-002766-50", "type": "EUDRACT_NUMBER"},
                ],
                "organization": {"fullName": "A University", "class": "OTHER"},
                "briefTitle": "Cellular Therapy for Type 1 Diabetes Using Mesenchymal Stem Cells",
                "officialTitle": "A long title",
            },
            "statusModule": {
                "statusVerifiedDate": "2026-06",
                "overallStatus": "ACTIVE_NOT_RECRUITING",
                "expandedAccessInfo": {"hasExpandedAccess": False},
                "startDateStruct": {"date": "2020-02-05", "type": "ACTUAL"},
                "primaryCompletionDateStruct": {"date": "2027-05-31", "type": "ESTIMATED"},
                "completionDateStruct": {"date": "2027-05-31", "type": "ESTIMATED"},
                "studyFirstSubmitDate": "2019-08-16",
                "studyFirstPostDateStruct": {"date": "2019-08-20", "type": "ACTUAL"},
                "lastUpdatePostDateStruct": {"date": "2026-06-16", "type": "ESTIMATED"},
            },
            "sponsorCollaboratorsModule": {
                "responsibleParty": {"type": "SPONSOR"},
                "leadSponsor": {"name": "Medical University of South Carolina", "class": "OTHER"},
                "collaborators": [{"name": "NIDDK", "class": "NIH"}],
            },
            "descriptionModule": {"briefSummary": "..."},
            "conditionsModule": {"conditions": ["Type 1 Diabetes Mellitus"], "keywords": ["MSC"]},
            "designModule": {
                "studyType": "INTERVENTIONAL",
                "phases": ["PHASE1"],
                "designInfo": {
                    "allocation": "RANDOMIZED",
                    "interventionModel": "PARALLEL",
                    "primaryPurpose": "TREATMENT",
                    "maskingInfo": {"masking": "DOUBLE", "whoMasked": ["PARTICIPANT"]},
                },
                "enrollmentInfo": {"count": 60, "type": "ESTIMATED"},
            },
            "armsInterventionsModule": {
                "armGroups": [
                    {"label": "MSC", "type": "EXPERIMENTAL", "interventionNames": ["Biological"]},
                    {"label": "Placebo", "type": "PLACEBO_COMPARATOR"},
                ],
                "interventions": [
                    {"type": "BIOLOGICAL", "name": "Mesenchymal stromal cells"},
                    {"type": "BIOLOGICAL", "name": "Placebo"},
                ],
            },
            "outcomesModule": {
                "primaryOutcomes": [
                    {"measure": "C-peptide AUC", "timeFrame": "1 year"},
                    {"measure": "Safety"},
                ]
            },
            "eligibilityModule": {"sex": "ALL", "minimumAge": "18 Years"},
            "contactsLocationsModule": {
                "locations": [
                    {"facility": "One", "city": "Charleston", "country": "United States"},
                    {"facility": "Two", "city": "Uppsala", "country": "Sweden"},
                    {"facility": "Three", "city": "Boston", "country": "United States"},
                ]
            },
        },
        "derivedSection": {"miscInfoModule": {"versionHolder": "2026-11-27"}},
        "hasResults": False,
    }
    for path, value in changes.items():
        steps = path.split("__")
        at = record["protocolSection"]
        if steps[0] in ("hasResults", "derivedSection", "resultsSection"):
            at = record
        for step in steps[:-1]:
            at = at.setdefault(step, {})
        if value is None:
            at.pop(steps[-1], None)
        else:
            at[steps[-1]] = value
    return record


def parsed(*studies):
    return export.parse(json.dumps(list(studies)), "export.json")


def one(**changes):
    found = parsed(study(**changes))
    assert found.problems == ()
    return found.records[0]


def saved(tmp_path, content):
    path = tmp_path / "export.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


# --- reading -----------------------------------------------------------------------------------


def test_a_record_is_told_in_the_words_of_the_table():
    record = one()
    assert record.registry_id == KNOWN and record.seen_on == "2026-11-27"
    assert record.about_diabetes and record.is_trial
    assert dict(record.cells) == {
        "title": "Cellular Therapy for Type 1 Diabetes Using Mesenchymal Stem Cells",
        "other_ids": "EudraCT-2017-002766-50",
        "status": "active",
        "status_basis": "registry",
        "start": "2020-02-05",
        "study_completion": "2027-05-31",
        "primary_completion": "2027-05-31",
        "primary_completion_kind": "expected",
        "n_planned": "60",
        "design": "rct",
        "masked": "yes",
        "primary_outcome": "C-peptide AUC, 1 year; Safety",
        "sponsor": "Medical University of South Carolina",
        "country": "United States; Sweden",
        "product": "Mesenchymal stromal cells; Placebo",
        "results": "none_found",
        "diabetes_type": "T1D",
    }


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: [s], lambda s: {"studies": [s]}])
def test_one_study_a_list_or_an_object_of_studies_is_read(wrap):
    found = export.parse(json.dumps(wrap(study())))
    assert found.problems == () and len(found.records) == 1 and not found.more


def test_a_further_page_is_not_forgotten():
    found = export.parse(json.dumps({"studies": [study()], "nextPageToken": "NF0g5JGAk"}))
    assert found.more and found.problems == ()


MODULES = list(study()["protocolSection"])


@pytest.mark.parametrize("module", [m for m in MODULES if m != "identificationModule"])
def test_a_missing_module_leaves_its_cells_out(module):
    everything, less = dict(one().cells), dict(one(**{module: None}).cells)
    assert set(less) <= set(everything)
    guessed = ("design", "masked", "diabetes_type")  # these have a word for "not stated"
    assert all(less[c] == everything[c] for c in less if c not in guessed)


def test_a_record_with_nothing_but_its_number_is_read():
    found = parsed({"protocolSection": {"identificationModule": {"nctId": "NCT01234567"}}})
    assert found.problems == ()
    assert dict(found.records[0].cells) == {
        "design": "not_stated",
        "masked": "not_stated",
        "diabetes_type": "not_stated",
    }
    assert not found.records[0].about_diabetes


@pytest.mark.parametrize(
    ("allocation", "model", "arms", "design"),
    [
        ("RANDOMIZED", "PARALLEL", ["EXPERIMENTAL", "PLACEBO_COMPARATOR"], "rct"),
        ("RANDOMIZED", "PARALLEL", ["EXPERIMENTAL", "SHAM_COMPARATOR", "EXPERIMENTAL"], "rct"),
        ("RANDOMIZED", "PARALLEL", ["EXPERIMENTAL", "EXPERIMENTAL"], "two_treated_arms"),
        (
            "NON_RANDOMIZED",
            "PARALLEL",
            ["EXPERIMENTAL", "NO_INTERVENTION"],
            "nonrandomised_controlled",
        ),
        ("NA", "SINGLE_GROUP", ["EXPERIMENTAL"], "single_arm"),
        ("", "", ["EXPERIMENTAL"], "single_arm"),
        ("", "PARALLEL", ["EXPERIMENTAL", "ACTIVE_COMPARATOR"], "not_stated"),
        ("", "", [], "not_stated"),
    ],
)
def test_the_design_follows_from_allocation_and_arms(allocation, model, arms, design):
    assert export.design(allocation, model, arms) == design


def test_every_status_of_the_registry_has_a_word_of_the_table():
    for theirs, ours in export.STATUSES.items():
        cells = one(statusModule__overallStatus=theirs).cells
        assert cells["status"] == ours
    unknown = one(statusModule__overallStatus="UNKNOWN", statusModule__lastKnownStatus="RECRUITING")
    assert unknown.cells["last_known_status"] == "recruiting"


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("Type 1 Diabetes Mellitus", "T1D"),
        ("Diabetes Mellitus, Type II", "T2D"),
        ("Diabetes Mellitus, Insulin-Dependent", "T1D"),
        ("Non-Insulin-Dependent Diabetes", "T2D"),
        ("T1DM; T2DM", "both"),
        ("Diabetic Foot", "not_stated"),
    ],
)
def test_the_type_of_diabetes_is_what_the_conditions_name(words, kind):
    assert export.diabetes_type(words) == kind


def test_actual_patients_are_not_planned_ones():
    cells = one(designModule__enrollmentInfo={"count": 17, "type": "ACTUAL"}).cells
    assert cells["n_actual"] == "17" and "n_planned" not in cells


def test_a_primary_completion_without_its_kind_is_left_out():
    cells = one(statusModule__primaryCompletionDateStruct={"date": "2012-09"}).cells
    assert "primary_completion" not in cells and cells["study_completion"] == "2027-05-31"


@pytest.mark.parametrize(
    ("changes", "path", "says"),
    [
        ({"statusModule__overallStatus": "AVAILABLE"}, "statusModule.overallStatus", "RECRUITING"),
        ({"statusModule__overallStatus": 7}, "statusModule.overallStatus", "text"),
        ({"statusModule": []}, "protocolSection.statusModule", "an object"),
        ({"statusModule__startDateStruct__date": "May 2020"}, "startDateStruct.date", "2024-05"),
        ({"statusModule__startDateStruct__date": "2020-13"}, "startDateStruct.date", "2024-05"),
        (
            {"statusModule__primaryCompletionDateStruct__type": "ANTICIPATED"},
            "primaryCompletionDateStruct.type",
            "ESTIMATED",
        ),
        ({"designModule__enrollmentInfo__count": "sixty"}, "enrollmentInfo.count", "whole"),
        ({"designModule__enrollmentInfo__count": True}, "enrollmentInfo.count", "whole"),
        ({"designModule__enrollmentInfo__count": -3}, "enrollmentInfo.count", "from 0"),
        ({"designModule__enrollmentInfo__type": "GUESS"}, "enrollmentInfo.type", "ACTUAL"),
        ({"designModule__designInfo__allocation": "COIN"}, "designInfo.allocation", "RANDOMIZED"),
        (
            {"designModule__designInfo__maskingInfo__masking": "BLIND"},
            "maskingInfo.masking",
            "QUADRUPLE",
        ),
        (
            {"armsInterventionsModule__armGroups": [{"type": "HOPE"}]},
            "armGroups.type",
            "SHAM_COMPARATOR",
        ),
        ({"outcomesModule__primaryOutcomes": {}}, "primaryOutcomes", "a list"),
        ({"contactsLocationsModule__locations": ["Rio"]}, "locations", "objects"),
        ({"conditionsModule__conditions": [5]}, "conditionsModule.conditions", "texts"),
        ({"hasResults": "yes"}, "hasResults", "true or false"),
    ],
)
def test_what_cannot_be_used_names_the_study_and_the_field(changes, path, says):
    found = parsed(study("NCT00000001"), study(**changes))
    assert len(found.problems) == 1
    text = str(found.problems[0])
    assert text.startswith(f"{KNOWN}: ") and path in text and says in text


def test_every_problem_of_a_file_is_told_at_once():
    found = parsed(
        study(statusModule__overallStatus="AVAILABLE", hasResults=3),
        study("NCT123"),
        {"foo": 1},
        study("NCT00000009"),
        study("NCT00000009"),
    )
    said = [str(problem) for problem in found.problems]
    assert len(said) == 5
    assert "NCT123: protocolSection.identificationModule.nctId: NCT123: NCT and eight" in said[2]
    assert said[3].startswith("study 3 of the file: protocolSection")
    assert "study 4 of the file too" in said[4]


@pytest.mark.parametrize(
    "content",
    ["", "{", "[1, 2", "null", "7", '"text"', "{}", "[]", '{"studies": {}}', '{"studies": []}',
     '{"a": NaN}', "[" * 5000, "nctId,status\nNCT1,DONE\n"],
)  # fmt: skip
def test_foreign_files_give_a_message_and_no_record(content):
    found = export.parse(content, "f.json")
    assert found.records == () and len(found.problems) == 1
    assert str(found.problems[0]).startswith("f.json: ")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(MODULES), inner),
        max_leaves=8,
    )
)
def test_no_json_at_all_ends_in_a_traceback(value):
    export.parse(json.dumps(value))
    export.parse(json.dumps({"protocolSection": value}))
    export.parse(json.dumps(study(statusModule=value)))
    export.parse(json.dumps(study(armsInterventionsModule=value)))


def test_files_that_cannot_be_read_give_a_message(tmp_path):
    assert "read" in str(export.read(tmp_path / "none.json").problems[0])
    path = tmp_path / "latin.json"
    path.write_bytes(b'{"a": "\xe9"}')
    assert "UTF-8" in str(export.read(path).problems[0])


def test_a_piece_that_is_not_known_is_named_and_counted():
    found = parsed(
        study(statusModule__mood="good", newModule={"a": 1}),
        study("NCT00000002", statusModule__mood="bad", outcomesModule__primaryOutcomes=[
            {"measure": "C-peptide", "colour": "red"}, {"colour": "blue"}]),
    )  # fmt: skip
    assert found.problems == ()
    assert dict(found.unknown) == {
        "protocolSection.newModule": 1,
        "protocolSection.outcomesModule.primaryOutcomes.colour": 1,
        "protocolSection.statusModule.mood": 2,
    }


def test_the_whole_shape_of_a_record_is_known():
    full = study(resultsSection={"participantFlowModule": {"groups": []}}, hasResults=True)
    assert dict(parsed(full).unknown) == {}


# --- comparing ---------------------------------------------------------------------------------


@pytest.fixture
def rows(tracked_raw):
    return update.rows_of(tracked_raw)


def table_row(rows, number=KNOWN):
    return next(row for row in rows if row["registry_id"] == number)


def api_record(row):
    """A record that says exactly what a row of the table says."""
    back = {ours: theirs for theirs, ours in export.STATUSES.items()}
    status = {"overallStatus": back[row["status"]]}
    if row["last_known_status"]:
        status["lastKnownStatus"] = back[row["last_known_status"]]
    for column, piece in (
        ("start", "startDateStruct"),
        ("study_completion", "completionDateStruct"),
        ("primary_completion", "primaryCompletionDateStruct"),
    ):
        if len(row[column]) > 4:
            kind = "ACTUAL" if row["primary_completion_kind"] == "actual" else "ESTIMATED"
            status[piece] = {"date": row[column], "type": kind}
    size = {"count": int(row["n_actual"]), "type": "ACTUAL"} if row["n_actual"] else (
        {"count": int(row["n_planned"]), "type": "ESTIMATED"} if row["n_planned"] else {}
    )  # fmt: skip
    return {
        "protocolSection": {
            "identificationModule": {"nctId": row["registry_id"], "briefTitle": row["title"]},
            "statusModule": status,
            "designModule": {"enrollmentInfo": size},
            "sponsorCollaboratorsModule": {"leadSponsor": {"name": row["sponsor"]}},
        },
        "hasResults": row["results"] == "posted",
    }


def test_records_that_say_what_the_table_says_change_nothing(rows):
    known = [row for row in rows if row["registry_id"].startswith("NCT")]
    known = [row for row in known if row["status_basis"] == "registry"]
    assert len(known) > 50
    found = parsed(*map(api_record, known))
    compared = registry.compare(found, rows)
    assert found.problems == () and compared.changes == () and compared.new == ()
    assert len(compared.same) == len(known)


def changed(rows, **changes):
    compared = registry.compare(parsed(study(**changes)), rows)
    return {change.column: (change.old, change.new) for change in compared.changes}


def test_status_sizes_dates_and_posted_results_take_the_place_of_the_row(rows):
    found = changed(
        rows,
        statusModule__overallStatus="COMPLETED",
        statusModule__primaryCompletionDateStruct={"date": "2026-10-01", "type": "ACTUAL"},
        designModule__enrollmentInfo={"count": 48, "type": "ACTUAL"},
        hasResults=True,
    )
    assert found["status"] == ("active", "completed")
    assert found["n_actual"] == ("", "48") and "n_planned" not in found
    assert found["primary_completion"] == ("2027-05", "2026-10-01")
    assert found["primary_completion_kind"] == ("expected", "actual")
    assert found["results"] == ("none_found", "posted")


def test_a_date_that_is_only_more_exact_is_no_news(rows):
    assert not {"start", "primary_completion", "study_completion"} & set(changed(rows))


def test_what_people_settled_stays_and_the_difference_is_told(rows):
    compared = registry.compare(
        parsed(study(designModule__designInfo__allocation="NON_RANDOMIZED")), rows
    )
    kept = {change.column: (change.old, change.new) for change in compared.kept}
    assert kept["design"] == ("rct", "nonrandomised_controlled")
    filled = {change.column: change.new for change in compared.changes}
    assert filled["masked"] == "yes"  # the table has not_stated
    assert "design" not in filled and "title" not in filled


def test_nothing_is_ever_blanked_and_no_result_is_taken_back(rows):
    bare = {"protocolSection": {"identificationModule": {"nctId": "NCT00315133"}}}
    compared = registry.compare(parsed(bare | {"hasResults": False}), rows)
    assert compared.changes == () and compared.same == ("NCT00315133",)


def test_an_older_record_is_not_used(rows):
    compared = registry.compare(
        parsed(study(derivedSection__miscInfoModule={"versionHolder": "2019-01-01"})), rows
    )
    assert compared.changes == () and "older" in compared.passed[KNOWN]


def test_a_trial_that_stands_under_another_number_is_not_new(rows):
    row = dict(table_row(rows), registry_id="ISRCTN12345678", other_ids="NCT00000008")
    compared = registry.compare(parsed(study("NCT00000008")), [row])
    assert compared.new == () and "ISRCTN12345678" in compared.passed["NCT00000008"]


def test_what_is_no_trial_of_diabetes_is_passed_over_and_named(rows):
    other = study(
        "NCT00000003",
        conditionsModule={"conditions": ["Stroke"]},
        identificationModule__briefTitle="Cells after stroke",
        identificationModule__officialTitle=None,
    )
    access = study(
        "NCT00000004",
        designModule__studyType="EXPANDED_ACCESS",
        statusModule__overallStatus="AVAILABLE",
    )
    compared = registry.compare(parsed(other, access, study("NCT00000005")), rows)
    assert [record.registry_id for record in compared.new] == ["NCT00000005"]
    assert set(compared.passed) == {"NCT00000003", "NCT00000004"}


def test_the_queries_name_every_number_of_the_table_once(rows):
    known, search = update.queries(rows)
    numbers = known.split("filter.ids=")[1].split("&")[0].split(",")
    assert len(numbers) == len(set(numbers)) and KNOWN in numbers
    assert all(number.startswith("NCT") for number in numbers)
    assert "query.cond=diabetes" in search and " " not in known + search


# --- writing -----------------------------------------------------------------------------------

NEWS = {
    "statusModule__overallStatus": "COMPLETED",
    "statusModule__primaryCompletionDateStruct": {"date": "2026-10-01", "type": "ACTUAL"},
    "statusModule__completionDateStruct": {"date": "2026-10-31", "type": "ACTUAL"},
    "designModule__enrollmentInfo": {"count": 48, "type": "ACTUAL"},
}


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def call(*arguments):
    return CliRunner().invoke(cli.app, ["registry", *map(str, arguments)])


def test_without_write_nothing_changes(tmp_path, raw_dir):
    before = contents(raw_dir)
    result = call(saved(tmp_path, study(**NEWS)), "--raw", raw_dir)
    assert result.exit_code == 0, result.output
    assert f"{KNOWN} status: active -> completed" in result.output
    assert "nothing was written" in result.output and contents(raw_dir) == before


def test_a_written_change_is_in_the_table_and_in_the_log(tmp_path, raw_dir):
    result = call(saved(tmp_path, study(**NEWS)), "--raw", raw_dir, "--write")
    assert result.exit_code == 0, result.output
    after = ev.load(raw_dir)
    row = after.registered_trials.set_index("registry_id").loc[KNOWN]
    assert (row["status"], row["n_actual"], row["n_planned"]) == ("completed", 48, 60)
    assert row["source_url"] == f"https://clinicaltrials.gov/study/{KNOWN}"
    assert row["status_seen_on"] == row["read_on"] == "2026-11-27"
    log = after.changes[after.changes["row_key"] == KNOWN].set_index("column")
    assert log.loc["status", ["old", "new"]].tolist() == ["active", "completed"]
    text = (raw_dir / "README.md").read_text(encoding="utf-8")
    assert f"## CHANGES.csv ({len(after.changes)} rows)" in text
    again = call(saved(tmp_path, study(**NEWS)), "--raw", raw_dir, "--write")
    assert again.exit_code == 0 and "nothing to write" in again.output


def test_other_rows_and_other_files_keep_every_byte(tmp_path, raw_dir):
    before = contents(raw_dir)
    call(saved(tmp_path, study(**NEWS)), "--raw", raw_dir, "--write")
    after = contents(raw_dir)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"registered_trials.csv", "CHANGES.csv", "README.md"}
    old, new = (c["registered_trials.csv"].decode().splitlines() for c in (before, after))
    assert [a for a in old if KNOWN not in a[:11]] == [a for a in new if KNOWN not in a[:11]]


def test_a_new_trial_is_written_only_with_its_cell_class(tmp_path, raw_dir):
    path = saved(tmp_path, study("NCT09999990"))
    before = contents(raw_dir)
    without = call(path, "--raw", raw_dir, "--write")
    assert without.exit_code == 0 and "say its cell class" in without.output
    assert contents(raw_dir) == before
    result = call(path, "--raw", raw_dir, "--write", "--new", "NCT09999990=msc_umbilical,new_onset")
    assert result.exit_code == 0, result.output
    table = ev.load(raw_dir).registered_trials.set_index("registry_id")
    row = table.loc["NCT09999990"]
    assert row["cell_class"] == "msc_umbilical" and row["onset_group"] == "new_onset"
    assert row["found_by"] == "registry_dump" and row["scope"] == "main"
    assert row["product"] == "Mesenchymal stromal cells; Placebo"


@pytest.mark.parametrize(
    ("option", "says", "code"),
    [
        ("NCT09999990=magic", "one of psc_islet", 1),
        ("NCT09999990=ahsct,soon", "one of new_onset", 1),
        ("NCT00000001=ahsct", "not a new trial", 1),
        ("NCT09999990", "NUMBER=cell_class", 2),
    ],
)
def test_a_wrong_class_writes_nothing(tmp_path, raw_dir, option, says, code):
    before = contents(raw_dir)
    path = saved(tmp_path, [study("NCT09999990"), study(**NEWS)])
    result = call(path, "--raw", raw_dir, "--write", "--new", option)
    assert result.exit_code == code and says in result.output
    assert contents(raw_dir) == before


def test_one_bad_study_keeps_all_from_being_written(tmp_path, raw_dir):
    before = contents(raw_dir)
    path = saved(tmp_path, [study(**NEWS), study("NCT01065298", hasResults="yes")])
    result = call(path, "--raw", raw_dir, "--write")
    assert result.exit_code == 1 and "NCT01065298: hasResults" in result.output
    assert contents(raw_dir) == before


def test_a_record_that_would_break_a_rule_names_the_trial(tmp_path, raw_dir):
    before = contents(raw_dir)
    path = saved(tmp_path, study(statusModule__completionDateStruct={"date": "2019-01"}))
    result = call(path, "--raw", raw_dir, "--write")
    assert result.exit_code == 1 and f"{KNOWN}: start" in result.output
    assert contents(raw_dir) == before


def test_a_row_that_changed_meanwhile_is_not_overwritten(tmp_path, raw_dir):
    found = export.read(saved(tmp_path, study(**NEWS)))
    made = registry.plan(found, raw_dir)
    with (raw_dir / "CHANGES.csv").open("a", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerow(["a", "b", "c", "d", "e", "f", "g"])
    before = contents(raw_dir)
    with pytest.raises(Exception, match="changed meanwhile"):
        registry.write(made)
    assert {k: v for k, v in contents(raw_dir).items() if k in before} == before


def test_unknown_pieces_and_further_pages_are_told(tmp_path, raw_dir):
    path = saved(tmp_path, {"studies": [study(statusModule__mood="x")], "nextPageToken": "t"})
    result = call(path, "--raw", raw_dir)
    assert "protocolSection.statusModule.mood (1 study)" in result.output
    assert "not complete" in result.output


def test_wrong_calls_say_what_is_wanted(tmp_path, raw_dir):
    assert call("--raw", raw_dir).exit_code == 2
    assert call(tmp_path / "none.json", "--raw", raw_dir).exit_code == 2
    assert call(saved(tmp_path, study()), "--raw", tmp_path).exit_code == 1
    assert call(saved(tmp_path, study()), "--raw", raw_dir, "--read-on", "soon").exit_code == 2
    result = call("--query", "--raw", raw_dir)
    assert result.exit_code == 0 and f"{KNOWN}" in result.output.replace("\n", "")


# --- status ------------------------------------------------------------------------------------


def status(*arguments):
    return CliRunner().invoke(cli.app, ["status", *map(str, arguments)])


def test_status_lists_trials_past_their_expected_completion(raw_dir):
    early, late = (status("--raw", raw_dir, "--on", day) for day in ("2000-01-01", "2027-07-01"))
    assert early.exit_code == late.exit_code == 0
    assert "0 past" in early.output and KNOWN not in early.output
    assert KNOWN in late.output and "read on 2026-11-28" in late.output


def test_status_of_a_spoilt_table_names_the_fault(raw_dir):
    path = raw_dir / "registered_trials.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(",recruiting,", ",resting,"))
    result = status("--raw", raw_dir)
    assert result.exit_code == 1 and "registered_trials.csv" in result.output
    shutil.rmtree(raw_dir)
    assert status("--raw", raw_dir).exit_code == 1
