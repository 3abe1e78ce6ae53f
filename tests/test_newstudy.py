"""Adding a study: the template, every fault at once, and a write that is all or nothing."""

import csv
import os
import re
import shutil

import pytest
import typer
import yaml
from typer.testing import CliRunner

from analysis import cli_study, newstudy
from analysis import evidence as ev

SOURCE = {"source_url": "https://example.org/trial", "seen_in": "abstract", "extraction": "single"}
STUDY = {
    "study_id": "newtrial2030", "first_author": "Doe J", "year": "2030", "title": "A new trial",
    "journal": "Diabetes Care 2030;1:1-2", "diabetes_type": "T2D", "design": "rct", "blinded": "no",
    "cell_class": "msc_umbilical", "immune_strategy": "none", "n_treated": "40", "n_control": "40",
    "followup_months": "12", "followup_kind": "longest", "cohort": "newtrial2030",
    "cohort_role": "primary", "publication_kind": "article", "include": "yes", **SOURCE,
}  # fmt: skip
LEVEL = {"outcome": "hba1c", "statistic": "mean", "spread_kind": "sd", "spread": "1.0", "unit": "%",
         "scale": "level", "n": "40", **SOURCE}  # fmt: skip


def level(arm: str, months: int, value: float) -> dict:
    state = {"baseline_state": "before_treatment"} if months == 0 else {}
    return {"arm": arm, "months": str(months), "value": str(value), **LEVEL, **state}


OUTCOMES = [level("treated", 0, 8.5), level("treated", 12, 7.4), level("control", 0, 8.4),
            level("control", 12, 8.2)]  # fmt: skip
SAFETY = {
    "arm": "treated",
    "event_category": "death",
    "event_detail": "none died",
    "n_patients": "0",
    "bound": "exact",
    "n_at_risk": "40",
    "relation": "any",
    **SOURCE,
}


def filled(tmp_path, **sections):
    """A filled file: the new trial, or what the sections say instead."""
    content = {"studies": [STUDY], "outcomes": OUTCOMES, "safety": [SAFETY], **sections}
    path = tmp_path / "trial.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def plan_of(path, raw):
    return newstudy.plan(newstudy.read(path), raw)


# --- the template ------------------------------------------------------------------------------


def test_the_template_holds_every_column_with_its_meaning(tracked_raw):
    text = newstudy.template(tracked_raw)
    blank = yaml.safe_load(text)
    for name in newstudy.FILES:
        assert list(blank[name.removesuffix(".csv")][0]) == list(ev.TABLES[name])
    assert "# study_id: (needed) the key of the study in every table" in text
    assert max(map(len, text.splitlines())) <= 100


def test_without_a_dictionary_the_template_says_what_a_cell_may_hold(tmp_path):
    assert "# design: (needed) one of rct" in newstudy.template(tmp_path)


def test_an_unfilled_template_adds_nothing(tmp_path, raw_dir):
    path = tmp_path / "blank.yaml"
    path.write_text(newstudy.template(raw_dir), encoding="utf-8")
    mistakes = plan_of(path, raw_dir).mistakes
    assert [m.value for m in mistakes] == ["(no entry is filled)"]


# --- a sound study -----------------------------------------------------------------------------


def test_a_sound_study_is_written_with_all_that_is_kept_in_step(tmp_path, raw_dir):
    before = contents(raw_dir)
    plan = plan_of(filled(tmp_path), raw_dir)
    assert plan.mistakes == ()
    assert contents(raw_dir) == before  # planning only reads
    written = newstudy.write(plan)
    after = ev.load(raw_dir)
    assert after.studies["study_id"].iloc[-1] == "newtrial2030"
    assert (after.outcomes["study_id"] == "newtrial2030").sum() == 4
    assert (after.safety["study_id"] == "newtrial2030").sum() == 1
    text = (raw_dir / "references.bib").read_text(encoding="utf-8")
    assert text == ev.bibliography(after.studies)
    dictionary = (raw_dir / "README.md").read_text(encoding="utf-8")
    counts = dict(re.findall(r"^## (\S+\.csv) \((\d+) rows\)", dictionary, re.M))
    assert counts["outcomes.csv"] == str(len(after.outcomes))
    log = after.changes.tail(6)
    assert set(log["column"]) == {"(row added)"}
    assert log["source"].eq(SOURCE["source_url"]).all()
    assert {path.name for path in written} == {
        "studies.csv", "outcomes.csv", "safety.csv", "CHANGES.csv", "references.bib", "README.md"
    }  # fmt: skip
    changed = {name for name, data in contents(raw_dir).items() if before.get(name) != data}
    assert changed == {path.name for path in written}


def test_logged_keys_are_those_of_the_written_rows(tmp_path, raw_dir):
    newstudy.write(plan_of(filled(tmp_path), raw_dir))
    with (raw_dir / "CHANGES.csv").open(encoding="utf-8", newline="") as file:
        logged = [row for row in csv.DictReader(file) if "newtrial2030" in row["row_key"]]
    assert len(logged) == 6
    for entry in logged:
        with (raw_dir / entry["file"]).open(encoding="utf-8", newline="") as file:
            keys = {
                "|".join(row[c] for c in ev.KEYS[entry["file"]]) for row in csv.DictReader(file)
            }
        assert entry["row_key"] in keys


def test_old_rows_keep_every_byte(tmp_path, raw_dir):
    before = contents(raw_dir)
    newstudy.write(plan_of(filled(tmp_path), raw_dir))
    for name in ("studies.csv", "outcomes.csv", "safety.csv", "CHANGES.csv"):
        assert (raw_dir / name).read_bytes().startswith(before[name])


def test_words_that_yaml_reads_as_booleans_stay_words(tmp_path, raw_dir):
    path = filled(tmp_path)
    text = path.read_text(encoding="utf-8").replace("'no'", "no").replace("'yes'", "yes")
    path.write_text(text, encoding="utf-8")
    given = newstudy.read(path)
    assert given.rows["studies.csv"][0]["blinded"] == "no"
    assert newstudy.plan(given, raw_dir).mistakes == ()


def test_a_file_without_a_last_newline_is_continued_on_a_new_line(tmp_path, raw_dir):
    path = raw_dir / "safety.csv"
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    newstudy.write(plan_of(filled(tmp_path), raw_dir))
    assert ev.check(raw_dir) == []


def test_facts_of_a_known_study_need_no_study_entry(tmp_path, raw_dir, evidence):
    known = evidence.studies.query("include == 'yes'")["study_id"].iloc[0]
    fact = {**SAFETY, "study_id": known, "event_category": "other", "event_detail": "new detail"}
    plan = plan_of(filled(tmp_path, studies=[], outcomes=[], safety=[fact]), raw_dir)
    assert plan.mistakes == ()
    assert set(plan.after) == {"safety.csv", "CHANGES.csv", "README.md"}


# --- faults ------------------------------------------------------------------------------------


def test_every_fault_is_named_at_once_in_the_words_of_the_file(tmp_path, raw_dir):
    before = contents(raw_dir)
    study = {**STUDY, "cell_class": "magic", "doi": "none", "colour": "red"}
    outcomes = [{}, {**OUTCOMES[0], "value": "85"}, OUTCOMES[1]]
    path = filled(tmp_path, studies=[study], outcomes=outcomes, results=[{"a": "1"}])
    plan = plan_of(path, raw_dir)
    places = [m.where for m in plan.mistakes]
    assert "trial.yaml" in places  # the unknown section
    assert "trial.yaml, studies entry 1" in places  # the unknown column
    assert "trial.yaml, studies entry 1, cell_class" in places
    assert "trial.yaml, studies entry 1, doi" in places
    assert "trial.yaml, outcomes entry 2, value" in places  # counted with the empty entry
    assert plan.after == {}
    with pytest.raises(ValueError, match="mistakes"):
        newstudy.write(plan)
    assert contents(raw_dir) == before


def test_a_study_that_is_there_already_is_a_fault(tmp_path, raw_dir):
    newstudy.write(plan_of(filled(tmp_path), raw_dir))
    mistakes = plan_of(filled(tmp_path), raw_dir).mistakes
    assert any("only once" in m.allowed and "studies entry 1" in m.where for m in mistakes)


def test_faults_of_the_old_rows_are_named_by_their_file(tmp_path, raw_dir):
    path = raw_dir / "studies.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(",T1D,", ",T3D,", 1), "utf-8")
    mistakes = plan_of(filled(tmp_path), raw_dir).mistakes
    assert any("studies.csv:2:diabetes_type" in m.where for m in mistakes)


@pytest.mark.parametrize(
    "text, value",
    [
        ("studies: [", "expected"),
        ("- a\n- b\n", "['a', 'b']"),
        ("studies:\n  - study_id: a\n    study_id: b\n", "study_id stands twice"),
        ("studies: 3\n", "3"),
        ("studies:\n  - just words\n", "just words"),
        ("studies:\n  - study_id: [a, b]\n", "['a', 'b']"),
        ("", ""),
    ],
)
def test_a_file_of_the_wrong_form_is_a_fault_and_no_traceback(tmp_path, raw_dir, text, value):
    path = tmp_path / "wrong.yaml"
    path.write_text(text, encoding="utf-8")
    plan = plan_of(path, raw_dir)
    assert plan.mistakes and value in plan.mistakes[0].value


def test_a_missing_or_binary_file_is_a_fault(tmp_path, raw_dir):
    assert newstudy.read(tmp_path / "none.yaml").mistakes
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    assert newstudy.read(tmp_path / "binary.yaml").mistakes


# --- all or nothing ----------------------------------------------------------------------------


def test_a_file_changed_meanwhile_stops_the_write(tmp_path, raw_dir):
    plan = plan_of(filled(tmp_path), raw_dir)
    path = raw_dir / "safety.csv"
    path.write_bytes(path.read_bytes() + b"\n")
    before = contents(raw_dir)
    with pytest.raises(newstudy.ChangedMeanwhile, match="changed meanwhile"):
        newstudy.write(plan)
    assert contents(raw_dir) == before


@pytest.mark.parametrize("fails_at", [1, 2, 4])
def test_a_failed_rename_takes_the_earlier_ones_back(tmp_path, raw_dir, monkeypatch, fails_at):
    plan = plan_of(filled(tmp_path), raw_dir)
    before = contents(raw_dir)
    replace, calls = os.replace, []

    def failing(source, target):
        calls.append(target)
        if len(calls) == fails_at:
            raise OSError("no space left")
        replace(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(OSError, match="no space"):
        newstudy.write(plan)
    assert contents(raw_dir) == before


# --- questions ---------------------------------------------------------------------------------


def test_the_walk_through_asks_again_for_a_wrong_cell(raw_dir):
    answers = {**STUDY, "design": ["triple blind", "rct"]}
    asked, said, added = [], [], []

    def ask(question: str, default: str) -> str:
        asked.append(question)
        if question.startswith("add a row to"):
            if "safety" in question and not added:
                added.append(1)
                return "y"
            return "n"
        column = question.split(" (")[0]
        answer = SAFETY.get(column, answers.get(column, default)) if added else answers.get(
            column, default
        )  # fmt: skip
        return answer.pop(0) if isinstance(answer, list) else answer

    given = newstudy.walk_through(ask, said.append, raw_dir)
    assert sum(question.startswith("design (") for question in asked) == 2
    assert any("triple blind" in line for line in said)
    assert given.rows["safety.csv"][0]["study_id"] == "newtrial2030"
    assert newstudy.plan(given, raw_dir).mistakes == ()


# --- the command -------------------------------------------------------------------------------


@pytest.fixture
def call():
    app = typer.Typer()
    cli_study.register(app)

    def run(*words, **more):
        return CliRunner().invoke(app, [str(w) for w in words], catch_exceptions=False, **more)

    return run


def test_the_command_writes_only_after_a_yes(tmp_path, raw_dir, call):
    path, before = filled(tmp_path), contents(raw_dir)
    assert call("add", path, "--raw", raw_dir, "--dry-run").exit_code == 0
    refused = call("add", path, "--raw", raw_dir, input="n\n")
    assert refused.exit_code == 1 and "newtrial2030" in refused.output
    assert contents(raw_dir) == before
    assert call("add", path, "--raw", raw_dir, "--yes").exit_code == 0
    assert contents(raw_dir) != before


def test_the_command_lists_faults_and_fails(tmp_path, raw_dir, call):
    path = filled(tmp_path, studies=[{**STUDY, "design": "guess"}])
    result = call("add", path, "--raw", raw_dir, "--yes")
    assert result.exit_code == 1
    assert "studies entry 1, design: guess" in result.stderr
    assert "nothing was written" in result.stderr


def test_the_command_writes_a_template_but_over_nothing(tmp_path, raw_dir, call):
    path = tmp_path / "t.yaml"
    assert call("add", "--template", path, "--raw", raw_dir).exit_code == 0
    assert path.read_text(encoding="utf-8") == newstudy.template(raw_dir)
    assert call("add", "--template", path, "--raw", raw_dir).exit_code == 2
    assert call("add", path, "--template", path, "--raw", raw_dir).exit_code == 2


def test_the_folder_needs_no_bibliography_nor_dictionary(tmp_path, raw_dir):
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ev.TABLES:
        shutil.copyfile(raw_dir / name, bare / name)
    plan = plan_of(filled(tmp_path), bare)
    assert plan.mistakes == ()
    newstudy.write(plan)
    assert ev.check(bare) == []
    assert not (bare / "references.bib").exists()
