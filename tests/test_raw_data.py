"""The tracked evidence itself: the change log is true, the derived files are up to date."""

import csv
import re

import pypandoc
import pytest

from analysis import evidence as ev
from analysis import vocabulary as v
from analysis.evidence.elsewhere import OTHER_FIELDS

CITED = [source.key for source in OTHER_FIELDS]

NO_ROW = "(every row)"


@pytest.fixture(scope="module")
def printed(tracked_raw):
    """Every table as printed, rows by their key as CHANGES.csv writes it."""
    tables = {}
    for name, key in ev.KEYS.items():
        with (tracked_raw / name).open(encoding="utf-8", newline="") as file:
            tables[name] = {"|".join(row[c] for c in key): row for row in csv.DictReader(file)}
    return tables


@pytest.fixture(scope="module")
def changes(tracked_raw):
    with (tracked_raw / "CHANGES.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_logged_correction_is_found_in_its_table(printed, changes):
    last = {(c["file"], c["row_key"], c["column"]): c for c in changes}
    deleted = {(file, key) for file, key, column in last if column == "(row deleted)"}
    for (file, key, column), change in last.items():
        if key == NO_ROW:
            assert column in ev.TABLES[file] or column == "(table added)"
            continue
        if (file, key) in deleted:
            assert key not in printed[file], f"{file}: {key}"
            continue
        assert key in printed[file], f"{file}: {key}"
        if column != "(row added)":
            assert printed[file][key][column] == change["new"], f"{file}: {key}: {column}"


def test_the_corrections_of_one_cell_follow_on_one_another(changes):
    """What a cell was changed to is what the next change of it found."""
    stood: dict[tuple[str, str, str], str] = {}
    for change in changes:
        cell = (change["file"], change["row_key"], change["column"])
        if cell in stood and change["row_key"] != NO_ROW:
            assert change["old"] == stood[cell], cell
        stood[cell] = change["new"]


def test_every_correction_changes_something_and_says_why(changes):
    for change in changes:
        assert change["old"] != change["new"]
        assert len(change["reason"]) > 10 and change["source"]
        assert change["source"] == "this table" or change["source"].startswith("http")


def test_added_columns_and_values_that_are_not_blank_are_logged(printed, changes):
    """Columns that were added and are filled by judgement, not by rule, are logged cell by cell."""
    logged = {(c["file"], c["row_key"], c["column"]) for c in changes}
    added = [
        ("studies.csv", "followup_kind", ""),
        ("studies.csv", "overlaps_with", ""),
        ("studies.csv", "retracted", "none_found"),
        ("studies.csv", "arm_cell_classes", ""),
        ("studies.csv", "onset_group", ""),
        ("studies.csv", "insulin_at_entry", ""),
        ("outcomes.csv", "unit_printed", ""),
        ("outcomes.csv", "contrast_basis", ""),
        ("outcomes.csv", "n_control", ""),
        ("directions.csv", "subgroup", ""),
        ("responders.csv", "percent", ""),
    ]
    rows_added = {(c["file"], c["row_key"]) for c in changes if c["column"] == "(row added)"}
    for file, column, default in added:
        for key, row in printed[file].items():
            if row[column] != default and (file, key) not in rows_added:
                assert (file, key, column) in logged, f"{file}: {key}: {column}"


def test_the_bibliography_is_the_tracked_one(tracked_raw, evidence):
    text = (tracked_raw / "references.bib").read_text(encoding="utf-8")
    assert text == ev.bibliography(evidence.studies)


def test_pandoc_reads_the_bibliography(tracked_raw, evidence):
    text = (tracked_raw / "references.bib").read_text(encoding="utf-8")
    listed = pypandoc.convert_text(text, to="csljson", format="bibtex")
    ids = re.findall(r'"id": "([^"]+)"', listed)
    assert sorted(ids) == sorted([*evidence.studies["study_id"], *CITED])


def test_the_dictionary_names_every_column_and_word(tracked_raw):
    text = (tracked_raw / "README.md").read_text(encoding="utf-8")
    for name, columns in ev.TABLES.items():
        section = text.split(f"## {name}")[1].split("\n## ")[0]
        for column, spec in columns.items():
            assert f"`{column}`" in section, f"{name}: {column}"
            if spec.kind in ("word", "words") and column not in ("seen_in", "extraction"):
                missing = [word for word in spec.words if f"`{word}`" not in text]
                assert not missing, f"{name}: {column}: {missing}"


def test_the_dictionary_counts_are_those_of_the_tables(tracked_raw, printed):
    text = (tracked_raw / "README.md").read_text(encoding="utf-8")
    for name, rows in printed.items():
        assert f"## {name} ({len(rows)} rows)" in text


def test_weeks_follow_the_stated_factor(evidence):
    """Times that are weeks of a visit plan: whole weeks over 4.348, to two decimals."""
    assert f"{v.WEEKS_PER_MONTH:g}" == "4.348"
    outcomes = evidence.outcomes
    weeks = outcomes["notes"].str.extract(r"^(?:week (\d+)|(\d+) weeks)").bfill(axis=1)[0]
    named = weeks.notna()
    assert named.sum() >= 15
    expected = (weeks[named].astype(float) / v.WEEKS_PER_MONTH).round(2)
    assert expected.tolist() == outcomes.loc[named, "months"].tolist()


def test_serious_events_are_not_all_zeros(evidence):
    safety = evidence.safety
    serious = safety[(safety["event_category"] == "serious_adverse_event")]
    positive = serious[serious["n_patients"] > 0]
    assert {"reichman2025", "perico2023", "snarski2016"} <= set(positive["study_id"])
    assert set(positive["relation"]) == {"any"}
    counted = positive[positive["bound"] == "exact"]
    assert counted["study_id"].tolist() == ["shapiro2021"]
    assert counted[["n_patients", "n_events", "n_at_risk"]].to_numpy().tolist() == [[6, 10, 17]]


def test_no_zero_of_malignancies_is_said_of_the_graft_alone(evidence):
    """What Henry 2018, Ramzy 2021, Shapiro 2021 and Yabe 2025 say of the graft is told as that."""
    safety = evidence.safety.set_index("event_category")["study_id"]
    assert set(safety["graft_growth"]) == {"henry2018", "ramzy2021", "shapiro2021", "yabe2025"}
    zeros = evidence.safety["event_category"].eq("malignancy_or_tumour")
    assert not (zeros & evidence.safety["n_patients"].eq(0)).any()


def test_selected_patients_are_marked(evidence):
    patients = evidence.independence.query("fact == 'patient'")
    for study in ("couri2009", "snarski2016", "pei2019"):
        assert set(patients[patients["study_id"] == study]["sampling"]) == {"best"}
    assert set(patients[patients["study_id"] == "feng2012"]["sampling"]) == {"worst"}


def test_every_eligible_study_says_whom_it_treated(evidence):
    studies = evidence.studies[evidence.studies["include"] != "no"]
    type_1 = studies["diabetes_type"] == "T1D"
    assert studies.loc[type_1, "onset_group"].ne("").all()
    assert studies.loc[~type_1, "insulin_at_entry"].ne("").all()
    for column in ("population_fact", "population_source", "c_peptide_at_entry"):
        assert studies[column].ne("").all()


def test_undetectable_c_peptide_rests_on_a_fact(evidence):
    studies = evidence.studies
    stated = studies["c_peptide_at_entry"].isin(["undetectable", "detectable"])
    assert studies.loc[stated, "c_peptide_fact"].str.len().gt(20).all()
    undetectable = set(studies.loc[studies["c_peptide_at_entry"] == "undetectable", "cohort"])
    assert undetectable == {"forward101", "vc02", "vc02_optimised"}
