"""Validation: each kind of fault in one corrupted file, all at once, never a traceback."""

import csv
import math
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import examples
from hypothesis import given
from hypothesis import strategies as st

from analysis import evidence as ev

Rows = list[list[str]]


def read(path: Path) -> Rows:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def write(path: Path, rows: Rows) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def edit(raw: Path, name: str, line: int, **cells: str) -> None:
    """Set cells of the row on a line (the tracked files have one row a line)."""
    rows = read(raw / name)
    for column, value in cells.items():
        rows[line - 1][rows[0].index(column)] = value
    write(raw / name, rows)


def append(raw: Path, name: str, like: int, **cells: str) -> int:
    """Append a copy of the row on line `like` with other cells; its line."""
    rows = read(raw / name)
    rows.append(list(rows[like - 1]))
    write(raw / name, rows)
    edit(raw, name, len(rows), **cells)
    return len(rows)


def find(faults: list[ev.Fault], file: str, line: int, column: str) -> ev.Fault:
    hits = [f for f in faults if (f.file, f.line, f.column) == (file, line, column)]
    assert hits, "\n".join(map(str, faults)) or "no fault found"
    return hits[0]


# --- valid evidence ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "detail", ["no malignancy", "no tumour of the graft or elsewhere", "cancer: none", "none seen"]
)
def test_a_zero_that_was_looked_for_in_the_patient_is_one_of_malignancies(raw_dir, detail):
    edit(raw_dir, "safety.csv", 2, event_category="malignancy_or_tumour", event_detail=detail)
    assert not [f for f in ev.check(raw_dir) if f.file == "safety.csv"]


def test_a_growth_of_the_graft_that_was_seen_may_be_a_tumour_of_the_patient(raw_dir):
    edit(raw_dir, "safety.csv", 2, event_category="malignancy_or_tumour", n_patients="1",
         n_events="", event_detail="teratoma at the site of the graft")  # fmt: skip
    assert not [f for f in ev.check(raw_dir) if f.file == "safety.csv"]


def test_the_tracked_evidence_is_valid(tracked_raw):
    assert [str(fault) for fault in ev.check(tracked_raw)] == []


def test_tables_are_typed(evidence):
    assert set(evidence.digests) == set(ev.TABLES)
    frames = {
        "studies.csv": evidence.studies,
        "outcomes.csv": evidence.outcomes,
        "directions.csv": evidence.directions,
        "responders.csv": evidence.responders,
        "independence.csv": evidence.independence,
        "safety.csv": evidence.safety,
        "published_meta_analyses.csv": evidence.published,
        "CHANGES.csv": evidence.changes,
    }
    for name, frame in frames.items():
        for column, spec in ev.TABLES[name].items():
            if spec.numeric:
                assert frame[column].dtype == np.float64, (name, column)
            else:
                assert not frame[column].isna().any(), (name, column)
                assert frame[column].map(type).eq(str).all(), (name, column)
        assert sorted(frame["line"]) == list(range(2, len(frame) + 2))


def test_reading_changes_nothing(raw_dir):
    before = {path.name: path.read_bytes() for path in raw_dir.iterdir()}
    first, second = ev.load(raw_dir), ev.load(raw_dir)
    first.studies.loc[:, "include"] = "no"
    assert (second.studies["include"] == "yes").any()
    assert {path.name: path.read_bytes() for path in raw_dir.iterdir()} == before


def test_digests_follow_the_bytes(raw_dir, evidence):
    assert ev.load(raw_dir).digests == evidence.digests
    edit(raw_dir, "studies.csv", 2, notes="another note")
    changed = ev.load(raw_dir).digests
    differing = {name for name in changed if changed[name] != evidence.digests[name]}
    assert differing == {"studies.csv"}


def test_empty_lines_say_nothing_but_count(raw_dir):
    path = raw_dir / "safety.csv"
    header, rest = path.read_bytes().split(b"\n", 1)
    path.write_bytes(header + b"\n\n" + rest + b"\n")
    assert ev.load(raw_dir).safety["line"].min() == 3


def test_a_byte_order_mark_is_allowed(raw_dir):
    path = raw_dir / "studies.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert ev.check(raw_dir) == []


def test_tables_without_facts_are_valid(raw_dir):
    for name in ev.KEYS:
        if name != "studies.csv":
            write(raw_dir / name, read(raw_dir / name)[:1])
    (raw_dir / "CHANGES.csv").unlink()
    empty = ev.load(raw_dir)
    assert len(empty.outcomes) == len(empty.changes) == 0
    assert not ev.usable_for(empty).iloc[:, 1:].any(axis=None)


def test_columns_added_later_may_be_missing(raw_dir):
    rows = read(raw_dir / "independence.csv")
    write(raw_dir / "independence.csv", rows)
    for name in ("studies.csv", "responders.csv"):
        rows = read(raw_dir / name)
        keep = [i for i, c in enumerate(rows[0]) if not ev.TABLES[name][c].optional]
        write(raw_dir / name, [[row[i] for i in keep] for row in rows])
    faults = ev.check(raw_dir)
    # Without the columns only what they declared is missing: overlaps and percentages.
    assert {f.column for f in faults} == {"registry_id", "n_responders"}


def test_line_numbers_count_lines_within_quotes(raw_dir):
    edit(raw_dir, "safety.csv", 2, notes="a note\nof three\nlines")
    edit(raw_dir, "safety.csv", 3, relation="perhaps")
    find(ev.check(raw_dir), "safety.csv", 5, "relation")


def test_a_retracted_study_enters_nothing(raw_dir):
    line = next(i for i, r in enumerate(read(raw_dir / "studies.csv"), 1) if r[0] == "cai2016")
    edit(raw_dir, "studies.csv", line, retracted="yes")
    loaded = ev.load(raw_dir)
    study = loaded.studies.set_index("study_id").loc["cai2016"]
    assert (study["include"], study["exclusion_reason"]) == ("no", "retracted")
    usable = ev.usable_for(loaded).set_index("study_id")
    assert not usable.loc["cai2016"].any()


# --- files that cannot be read -----------------------------------------------------------------


NEEDED = [name for name in ev.KEYS if name not in ev.OPTIONAL_FILES]


@pytest.mark.parametrize("name", NEEDED)
def test_missing_file(raw_dir, name):
    (raw_dir / name).unlink()
    fault = find(ev.check(raw_dir), name, 1, "(file)")
    assert "missing" in str(fault)


@pytest.mark.parametrize("name", ev.OPTIONAL_FILES)
def test_a_folder_may_lack_what_came_later(raw_dir, name):
    (raw_dir / name).unlink()
    assert not [fault for fault in ev.check(raw_dir) if fault.column == "(file)"]


def test_missing_folder(tmp_path):
    faults = ev.check(tmp_path / "nowhere")
    assert {f.file for f in faults} == set(NEEDED)


def test_a_folder_in_place_of_a_file(raw_dir):
    (raw_dir / "safety.csv").unlink()
    (raw_dir / "safety.csv").mkdir()
    find(ev.check(raw_dir), "safety.csv", 1, "(file)")


AFTER_THE_LAST = 0


@pytest.mark.parametrize(
    ("change", "line", "column", "fragment"),
    [
        (lambda b: b"", 1, "(file)", "empty"),
        (lambda b: b" \n\n", 1, "(file)", "empty"),
        (lambda b: b.replace(b"pneumonia", b"pneum\xf6nia", 1), 3, "(encoding)", "0xf6"),
        (lambda b: b.decode().encode("utf-16"), 1, "(encoding)", "UTF-8"),
        (lambda b: b.replace(b"pneumonia", b"pneu\0monia", 1), 3, "(text)", "NUL"),
        (lambda b: b + b'voltarelli2007,treated,"unfinished\n', AFTER_THE_LAST, "(csv)", "quotes"),
        (lambda b: b.replace(b",death,", b',"death"x,', 1), 2, "(csv)", "quotes"),
        (lambda b: b + b"voltarelli2007,treated,death\n", AFTER_THE_LAST, "(row)", "3 cells"),
        (lambda b: b.replace(b",death,", b",death,,", 1), 2, "(row)", "14 cells"),
    ],
    ids=["empty", "blank", "latin1", "utf16", "nul", "quote", "stray-quote", "short", "long"],
)
def test_malformed_files(raw_dir, change, line, column, fragment):
    path = raw_dir / "safety.csv"
    data = path.read_bytes()
    path.write_bytes(change(data))
    line = data.count(b"\n") + 1 if line == AFTER_THE_LAST else line
    fault = find(ev.check(raw_dir), "safety.csv", line, column)
    assert fragment in str(fault)


@pytest.mark.parametrize("name", list(ev.TABLES))
def test_header_faults(raw_dir, name):
    header, *rest = read(raw_dir / name)
    needed = next(c for c in header if not ev.TABLES[name][c].optional)
    write(raw_dir / name, [["mood" if c == needed else c for c in header], *rest])
    faults = ev.check(raw_dir)
    assert "missing" in find(faults, name, 1, needed).value
    assert "extra" in find(faults, name, 1, "mood").value
    write(raw_dir / name, [[*header, header[-1]], *[[*row, ""] for row in rest]])
    assert "duplicate" in find(ev.check(raw_dir), name, 1, header[-1]).value


def test_every_column_of_the_first_tables_is_needed(raw_dir):
    header, *rest = read(raw_dir / "independence.csv")
    for column in header:
        rows = [
            [cell for cell, c in zip(row, header, strict=True) if c != column]
            for row in [header, *rest]
        ]
        write(raw_dir / "independence.csv", rows)
        find(ev.check(raw_dir), "independence.csv", 1, column)


# --- one spoiled cell --------------------------------------------------------------------------

S, O, D, R = "studies.csv", "outcomes.csv", "directions.csv", "responders.csv"  # noqa: E741
I, A, P, C = "independence.csv", "safety.csv", "published_meta_analyses.csv", "CHANGES.csv"  # noqa: E741

CELLS = [
    (
        A,
        2,
        {"event_category": "malignancy_or_tumour", "event_detail": "off-target growth: none"},
        "event_category",
        "malignancy_or_tumour",
        "graft_growth",
    ),
    # file, line, cells to set, column of the fault, value in the message, what is allowed
    (S, 2, {"study_id": "Voltarelli 2007"}, "study_id", "Voltarelli 2007", "study id"),
    (S, 3, {"study_id": "voltarelli2007"}, "study_id", "voltarelli2007", "only once"),
    (S, 2, {"year": "MMVII"}, "year", "MMVII", "whole number"),
    (S, 2, {"year": "1907"}, "year", "1907", "1990"),
    (S, 5, {"doi": "doi:10.1001/jama"}, "doi", "doi:10.1001/jama", "a DOI"),
    (S, 9, {"pmid": "PMC12"}, "pmid", "PMC12", "PubMed number"),
    (S, 2, {"pmcid": "123"}, "pmcid", "123", "PMC"),
    (S, 2, {"registry_id": "???"}, "registry_id", "???", "registry"),
    (S, 2, {"diabetes_type": "T3D"}, "diabetes_type", "T3D", "T1D, T2D"),
    (S, 2, {"design": "anecdote"}, "design", "anecdote", "single_arm"),
    (S, 2, {"cell_class": "magic"}, "cell_class", "magic", "ahsct"),
    (S, 2, {"cell_class": ""}, "cell_class", "(blank)", "not allowed"),
    (S, 2, {"donor": "cow"}, "donor", "cow", "autologous"),
    (S, 2, {"immune_strategy": "hope"}, "immune_strategy", "hope", "encapsulation"),
    (S, 2, {"n_treated": "15.5"}, "n_treated", "15.5", "whole number"),
    (S, 2, {"n_treated": "0"}, "n_treated", "0", "from 1"),
    (S, 2, {"followup_months": "nan"}, "followup_months", "nan", "a number from 0 to 600"),
    (S, 2, {"followup_months": "601"}, "followup_months", "601", "600"),
    (S, 2, {"followup_months": ""}, "followup_kind", "longest", "blank"),
    (S, 2, {"followup_kind": "modal"}, "followup_kind", "modal", "median"),
    (S, 2, {"cohort_role": "primary"}, "cohort_role", "primary", ""),
    (S, 5, {"cohort_role": "follow_up"}, "cohort_role", "", "is primary"),
    (S, 2, {"cohort": "atlantis"}, "registry_id", "NCT00315133", "overlapping cohorts undeclared"),
    (S, 2, {"overlaps_with": "atlantis"}, "overlaps_with", "atlantis", "known cohorts"),
    (
        S,
        2,
        {"overlaps_with": "brazil_ahsct", "overlap_kind": "possible"},
        "overlaps_with",
        "brazil_ahsct",
        "other than its own",
    ),
    (S, 2, {"overlap_kind": "possible"}, "overlaps_with", "(blank)", "together"),
    (S, 5, {"doi": "10.1210/jc.2011-2188"}, "doi", "10.1210/jc.2011-2188", "overlapping"),
    (S, 6, {"doi": "10.1210/JC.2011-2188"}, "doi", "10.1210/jc.2011-2188", "one study"),
    (S, 2, {"include": "maybe"}, "include", "maybe", "context"),
    (S, 2, {"include": "no"}, "exclusion_reason", "(blank)", "a reason"),
    (S, 2, {"exclusion_reason": "too good"}, "exclusion_reason", "too good", "blank"),
    (S, 2, {"retracted": "no idea"}, "retracted", "no idea", "none_found"),
    (S, 2, {"registry_id": "", "title": ""}, "doi", "(blank)", "DOI"),
    (S, 2, {"source_url": "www.example.org"}, "source_url", "www.example.org", "web address"),
    (S, 2, {"source_url": "http://"}, "source_url", "http://", "web address"),
    (S, 2, {"source_url": "https://a b.org"}, "source_url", "https://a b.org", "web address"),
    (S, 2, {"seen_in": "dream"}, "seen_in", "dream", "abstract"),
    (S, 2, {"extraction": "triple"}, "extraction", "triple", "double"),
    (S, 2, {"arm_cell_classes": "treated"}, "arm_cell_classes", "treated", "arm=cell class"),
    (S, 2, {"country": " Brazil"}, "country", "' Brazil'", "no space"),
    (O, 36, {"study_id": "nobody2000"}, "study_id", "nobody2000", "studies.csv"),
    (O, 36, {"arm": "placebo"}, "arm", "placebo", "treated, control"),
    (O, 36, {"outcome": "mood"}, "outcome", "mood", "hba1c"),
    (O, 36, {"months": "-1"}, "months", "-1", "0 to 600"),
    (O, 37, {"months": ""}, "months", "(blank)", "time_not_printed"),
    (O, 36, {"n": "-21"}, "n", "-21", "from 1"),
    (O, 36, {"n": "21.5"}, "n", "21.5", "whole number"),
    (O, 36, {"statistic": "mode"}, "statistic", "mode", "median"),
    (O, 36, {"value": "eight"}, "value", "eight", "a number"),
    (O, 36, {"value": "inf"}, "value", "inf", "a number"),
    (O, 36, {"value": "NaN"}, "value", "NaN", "a number"),
    (O, 36, {"value": "1e999"}, "value", "1e999", "a number"),
    (O, 36, {"value": "8,6"}, "value", "8,6", "a number"),
    (O, 36, {"value": "86"}, "value", "86", "3 to 20 for hba1c in %"),
    (O, 36, {"value": "8.6", "unit": "mmol/mol"}, "value", "8.6", "18 to 195"),
    (O, 36, {"value": ""}, "value", "(blank)", "a number"),
    (O, 36, {"unit": "mmol/L"}, "unit", "mmol/L", "%, mmol/mol"),
    (O, 36, {"unit": ""}, "unit", "(blank)", "not allowed"),
    (O, 40, {"value": "-100"}, "value", "-100", "hba1c"),
    (O, 52, {"value": "-101"}, "value", "-101", "-100 to"),
    (O, 48, {"value": "90"}, "value", "90", "0 to 5 for insulin_dose in IU/kg/day"),
    (O, 30, {"unit": "pmol/mL*180"}, "unit", "pmol/mL*180", "minutes"),
    (O, 36, {"spread": "-0.81"}, "spread", "-0.81", "at least 0"),
    (O, 36, {"spread": "0.2"}, "spread", "0.2", "standard error"),
    (O, 36, {"spread_kind": "none"}, "spread", "0.81", "blank where spread_kind is none"),
    (O, 36, {"spread_kind": "sd", "spread": ""}, "spread_kind", "sd", "alone"),
    (O, 36, {"spread_kind": "iqr"}, "spread_kind", "iqr", "spread_low and spread_high"),
    (O, 36, {"spread": ""}, "spread_kind", "unstated", "unstated needs"),
    (O, 36, {"spread_kind": "wide"}, "spread_kind", "wide", "iqr"),
    (O, 62, {"spread_low": "9"}, "spread_low", "9", "not above spread_high"),
    (O, 62, {"value": "6"}, "value", "6", "not below spread_low"),
    (O, 62, {"value": "9"}, "value", "9", "not above spread_high"),
    (O, 36, {"scale": "log"}, "scale", "log", "percent_change"),
    (O, 36, {"scale": "between_arm_difference"}, "arm", "treated", "contrast"),
    (O, 36, {"n_control": "5"}, "n_control", "5", "blank"),
    (O, 36, {"baseline_state": ""}, "baseline_state", "(blank)", "month 0"),
    (O, 37, {"baseline_state": "at_diagnosis"}, "baseline_state", "at_diagnosis", "month 0"),
    (O, 36, {"months": "1", "baseline_state": ""}, "contrast_basis", "(blank)", "no baseline"),
    (O, 37, {"contrast_basis": "follow_up_only"}, "contrast_basis", "follow_up_only", "baseline"),
    (O, 37, {"p_value": "1.2"}, "p_value", "1.2", "0 to 1"),
    (O, 37, {"p_value": ""}, "p_value", "(blank)", "p_relation"),
    (O, 37, {"p_relation": ""}, "p_relation", "(blank)", "p_value"),
    (O, 37, {"caveats": "odd"}, "caveats", "odd", "restatement"),
    (O, 37, {"source_url": "ftp://x.org/a"}, "source_url", "ftp://x.org/a", "http"),
    (D, 59, {"study_id": "nobody2000"}, "study_id", "nobody2000", "studies.csv"),
    (D, 59, {"contrast": "before_after"}, "contrast", "before_after", "treated_vs_baseline"),
    (D, 59, {"direction": "up"}, "direction", "up", "increase"),
    (D, 59, {"significant": "very"}, "significant", "very", "unstated"),
    (D, 59, {"significant": "no"}, "significant", "no", "p = 0.00012"),
    (D, 71, {"significant": "yes"}, "significant", "yes", "p = 0.97"),
    (D, 59, {"p_value": "-0.1"}, "p_value", "-0.1", "0 to 1"),
    (D, 59, {"p_value": ""}, "p_value", "(blank)", "together"),
    (D, 59, {"months_from": "13"}, "months_from", "13", "months_to"),
    (D, 59, {"months": "11"}, "months", "11", "within"),
    (D, 29, {"contrast": "treated_vs_control"}, "contrast", "treated_vs_control", "baseline"),
    (D, 29, {"months": "3", "months_to": "3"}, "months", "3", "0 for"),
    (D, 65, {"arm": "treated"}, "arm", "treated", "control"),
    (D, 59, {"arm": "control"}, "arm", "control", "treated"),
    (D, 59, {"caveats": "has_numbers"}, "caveats", "has_numbers", "untested"),
    (D, 59, {"caveats": "untested untested"}, "caveats", "untested untested", "each once"),
    (D, 59, {"n_treated": "0"}, "n_treated", "0", "from 1"),
    (R, 2, {"study_id": "nobody2000"}, "study_id", "nobody2000", "studies.csv"),
    (R, 2, {"n_responders": "17"}, "n_responders", "17", "not above n_total"),
    (R, 2, {"n_responders": ""}, "n_responders", "(blank)", "percent"),
    (R, 2, {"n_total": ""}, "n_total", "(blank)", "n_responders"),
    (R, 56, {"percent": "120"}, "percent", "120", "0 to 100"),
    (R, 2, {"outcome": "joy"}, "outcome", "joy", "composite"),
    (I, 2, {"study_id": "nobody2000"}, "study_id", "nobody2000", "studies.csv"),
    (I, 2, {"fact": "always"}, "fact", "always", "duration_summary"),
    (I, 2, {"k": "16"}, "k", "16", "not above n_total"),
    (I, 2, {"k": ""}, "k", "(blank)", "ever"),
    (I, 4, {"months": ""}, "months", "(blank)", "at_time"),
    (I, 5, {"status": "happy"}, "status", "happy", "resumed"),
    (I, 5, {"sampling": ""}, "sampling", "(blank)", "patient"),
    (I, 5, {"value": "-3"}, "value", "-3", "0 to 600"),
    (I, 2, {"status": "ongoing"}, "status", "ongoing", "blank"),
    (I, 2, {"duration_statistic": "mean"}, "duration_statistic", "mean", "blank"),
    (I, 21, {"low": "53"}, "low", "53", "not above high"),
    (I, 21, {"value": "60"}, "value", "60", "not above high"),
    (I, 51, {"low": ""}, "low", "(blank)", "range"),
    (I, 47, {"value": ""}, "value", "(blank)", "mean"),
    (I, 2, {"bound": "about"}, "bound", "about", "at_least"),
    (A, 2, {"study_id": "nobody2000"}, "study_id", "nobody2000", "studies.csv"),
    (A, 3, {"n_patients": "16"}, "n_patients", "16", "not above n_at_risk"),
    (A, 3, {"n_patients": ""}, "n_patients", "(blank)", "not allowed"),
    (A, 3, {"n_at_risk": "0"}, "n_at_risk", "0", "from 1"),
    (A, 2, {"n_events": "1"}, "n_events", "1", "no patient"),
    (A, 3, {"n_events": "0"}, "n_patients", "1", "not above n_events"),
    (A, 2, {"bound": "at_least"}, "n_patients", "0", "lower bound"),
    (A, 2, {"event_category": "bad luck"}, "event_category", "bad luck", "death"),
    (A, 2, {"relation": "perhaps"}, "relation", "perhaps", "treatment_related"),
    (A, 2, {"followup_months": "Infinity"}, "followup_months", "Infinity", "0 to 600"),
    (P, 2, {"estimate": "large"}, "estimate", "large", "a number"),
    (P, 2, {"estimate_signed": "9"}, "estimate_signed", "9", "ci_high_signed"),
    (P, 2, {"i2_percent": "101"}, "i2_percent", "101", "0 to 100"),
    (C, 2, {"file": "diary.csv"}, "file", "diary.csv", "studies.csv"),
    (C, 2, {"reason": ""}, "reason", "(blank)", "not allowed"),
]


@pytest.mark.parametrize(
    ("file", "line", "cells", "column", "value", "allowed"),
    CELLS,
    ids=[f"{c[0].split('.')[0]}-{c[1]}-{c[3]}-{i}" for i, c in enumerate(CELLS)],
)
def test_spoiled_cells(raw_dir, file, line, cells, column, value, allowed):
    edit(raw_dir, file, line, **cells)
    with pytest.raises(ev.EvidenceError) as caught:
        ev.load(raw_dir)
    faults = caught.value.faults
    hits = [f for f in faults if f.file == file and f.column == column]
    assert hits, "\n".join(map(str, faults)) or "no fault found"
    # Faults of a cohort or of a shared identifier may stand at the other report of the pair.
    elsewhere = column in ("cohort_role", "registry_id", "doi") and line not in {
        f.line for f in hits
    }
    fault = next(f for f in hits if elsewhere or f.line == line)
    message = str(fault)
    assert message.startswith(f"{file}:{fault.line}:{column}: ")
    assert value.lower() in message.lower()
    assert allowed in message
    assert message in str(caught.value)


@pytest.mark.parametrize("name", list(ev.KEYS))
def test_duplicate_facts(raw_dir, name):
    remark = "notes" if "notes" in ev.TABLES[name] else "support"
    line = append(raw_dir, name, 2, **{remark: "said twice"})
    fault = find(ev.check(raw_dir), name, line, ev.KEYS[name][0])
    assert "only once (first on line 2)" in str(fault)


def test_one_month_written_twice_is_one_fact(raw_dir):
    line = append(raw_dir, "outcomes.csv", 37, months="12.0")
    find(ev.check(raw_dir), "outcomes.csv", line, "study_id")


def test_a_declared_overlap_may_share_an_identifier(raw_dir):
    rows = read(raw_dir / "studies.csv")
    line = next(i for i, row in enumerate(rows, 1) if row[0] == "keymeulen2024")
    edit(raw_dir, "studies.csv", line, overlaps_with="", overlap_kind="")
    for name in ("shapiro2021", "ramzy2021"):
        other = next(i for i, row in enumerate(rows, 1) if row[0] == name)
        edit(raw_dir, "studies.csv", other, overlaps_with="", overlap_kind="")
    fault = find(ev.check(raw_dir), "studies.csv", line, "registry_id")
    assert "overlapping cohorts undeclared" in str(fault)


def test_all_faults_are_reported_together(raw_dir):
    edit(raw_dir, "studies.csv", 2, design="anecdote", year="x")
    edit(raw_dir, "outcomes.csv", 36, value="86")
    edit(raw_dir, "independence.csv", 2, k="99")
    edit(raw_dir, "safety.csv", 2, source_url="nowhere")
    (raw_dir / "responders.csv").unlink()
    (raw_dir / "directions.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(ev.EvidenceError) as caught:
        ev.load(raw_dir)
    found = {(f.file, f.column) for f in caught.value.faults}
    assert found >= {
        ("studies.csv", "design"),
        ("studies.csv", "year"),
        ("outcomes.csv", "value"),
        ("independence.csv", "k"),
        ("safety.csv", "source_url"),
        ("responders.csv", "(file)"),
        ("directions.csv", "(encoding)"),
    }
    assert str(caught.value).count("\n") == len(caught.value.faults) - 1


def test_an_unreadable_table_of_studies_is_one_fault(raw_dir):
    (raw_dir / "studies.csv").write_bytes(b"")
    assert len(ev.check(raw_dir)) == 1


CELL = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["", "nan", "inf", "-1", "1e400", "0", "99999", '"', "a,b", "x\ny", "\0", "٣"]),
)


@examples(6, 100)
@given(data=st.data())
def test_a_random_cell_never_ends_in_a_traceback(tracked_raw, data):
    name = data.draw(st.sampled_from(list(ev.TABLES)))
    rows = read(tracked_raw / name)
    line = data.draw(st.integers(0, len(rows) - 1))
    column = data.draw(st.integers(0, len(rows[line]) - 1))
    rows[line][column] = data.draw(CELL)
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw"
        shutil.copytree(tracked_raw, raw)
        with (raw / name).open("w", encoding="utf-8", errors="replace", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
        faults = ev.check(raw)
        assert all(isinstance(f, ev.Fault) and f.line >= 1 and str(f) for f in faults)
        if not faults:
            loaded = ev.load(raw)
            ev.summary(loaded)
            ev.bibliography(loaded.studies)


@examples(10, 100)
@given(data=st.data())
def test_random_bytes_never_end_in_a_traceback(tracked_raw, data):
    name = data.draw(st.sampled_from(list(ev.TABLES)))
    content = bytearray((tracked_raw / name).read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at : at + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=40))
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw"
        shutil.copytree(tracked_raw, raw)
        (raw / name).write_bytes(bytes(content))
        assert all(isinstance(fault, ev.Fault) for fault in ev.check(raw))


# --- what is computed --------------------------------------------------------------------------


def test_has_numbers_is_computed(evidence):
    flags = evidence.directions.set_index("line")["has_numbers"]
    # Levels of both arms; a level with its baseline; words only; the same words, other subgroup.
    assert flags[62] and flags[61]
    assert not flags[38] and not flags[12]
    # haller2009 printed levels at 12 months without a baseline: they give no change.
    assert not flags[70]
    typed = evidence.directions["caveats"].str.split().map(lambda w: "has_numbers" in w)
    assert typed.tolist() == evidence.directions["has_numbers"].tolist()


def test_usable_for(evidence):
    usable = ev.usable_for(evidence).set_index("study_id")
    assert usable.loc["cai2016", "numbers"] and usable.loc["ufrj12m", "numbers"]
    assert not usable.loc["sood2017"].any(), "baseline only"
    assert not usable.loc["haller2009", "numbers"], "follow-up of one arm without a baseline"
    assert usable.loc["wang2013", "words"] and usable.loc["osiris2012", "words"]
    assert not usable.loc["wang2013", "numbers"]
    assert not usable.loc["bhansali2014b", "numbers"], "responders only"
    include = evidence.studies.set_index("study_id")["include"]
    assert not usable[include != "yes"].any(axis=None)


def test_warnings_name_the_known_oddities(evidence):
    found = {(w.file, w.line, w.column) for w in ev.warnings(evidence)}
    outcomes = evidence.outcomes
    zang = outcomes[
        (outcomes["study_id"] == "zang2022")
        & (outcomes["scale"] == "change")
        & (outcomes["arm"] == "treated")
    ]
    assert ("outcomes.csv", int(zang["line"].iloc[0]), "value") in found
    assert ("directions.csv", 244, "caveats") in found


def test_summary_adds_up(evidence):
    counts = ev.summary(evidence)
    parts = [n for label, n in counts.items() if label.startswith("studies ")]
    assert sum(parts) == counts["studies"] == len(evidence.studies)
    assert counts["cohorts"] == evidence.studies.query("cohort_role == 'primary'").shape[0]


@pytest.mark.parametrize(
    ("name", "author"),
    [
        ("Cai J", "Cai, J. and others"),
        ("Carlsson P-O", "Carlsson, P. O. and others"),
        ("Voltarelli", "Voltarelli and others"),
        ("Couri (interviewed)", "Couri and others"),
        ("Vertex Pharmaceuticals", "{Vertex Pharmaceuticals} and others"),
        ("not shown", ""),
        ("", ""),
    ],
)
def test_authors(evidence, name, author):
    study = evidence.studies.head(1).assign(first_author=name)
    entry = ev.bibliography(study)
    assert (f"author = {{{author}}}" in entry) if author else ("author" not in entry)


def test_bibliography_escapes_what_bibtex_reads(evidence):
    study = evidence.studies.head(1).assign(
        title="50 % & more_or {less}", year=math.nan, journal="A & B 2020;1(2):3-4"
    )
    entry = ev.bibliography(study)
    brace = r"{\textbraceleft}less{\textbraceright}"
    assert rf"50 \% \& more\_or {brace}" in entry and "year = " not in entry
    assert r"journal = {A \& B}" in entry and "pages = {3--4}" in entry


def test_faults_are_one_line_each():
    fault = ev.Fault("a.csv", 3, "value", "x\ny" * 100, "a number")
    assert "\n" not in str(fault) and str(fault).startswith("a.csv:3:value: x yx")


def test_tables_of_an_evidence_are_data_frames(evidence):
    assert isinstance(ev.usable_for(evidence), pd.DataFrame)


@pytest.mark.parametrize(
    ("author", "year", "label"),
    [
        ("de Koning E", 2024.0, "de Koning 2024"),
        ("Fernandez Vina (attribution by A)", 2007.0, "Fernandez Vina 2007"),
        ("Carlsson P-O", 2015.0, "Carlsson 2015"),
        ("Gu Yi", 2014.0, "Gu Yi 2014"),
        ("UFRJ group (authors not shown)", math.nan, "UFRJ group"),
        ("", 2019.0, "Some Journal 2019"),
    ],
)
def test_a_study_is_called_by_surname_and_year(author, year, label):
    study = {"first_author": author, "year": year, "journal": "Some Journal 2019;1:2"}
    assert ev.label_of(study) == label
