"""The command line: exit codes, messages on the right stream, nothing but words on bad input."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from analysis.cli import app

RAW = Path(__file__).parent.parent / "data" / "raw"
runner = CliRunner()


def call(*words: object):
    return runner.invoke(app, [str(word) for word in words], catch_exceptions=False)


@pytest.fixture
def broken(tmp_path):
    folder = shutil.copytree(RAW, tmp_path / "raw")
    path = folder / "studies.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(",T1D,", ",T3D,", 2), "utf-8")
    return folder


def test_help_names_every_verb():
    result = call("--help")
    assert result.exit_code == 0
    for verb in ("check", "run", "report", "reproduce", "explain"):
        assert verb in result.output


def test_check_summarises_sound_evidence():
    result = call("check", "--raw", RAW)
    assert result.exit_code == 0 and "studies" in result.output


def test_check_prints_every_fault_with_its_place(broken):
    result = call("check", "--raw", broken)
    assert result.exit_code == 1
    lines = [line for line in result.stderr.splitlines() if "T3D" in line]
    assert len(lines) == 2
    assert all(line.startswith("studies.csv:") and ":diabetes_type:" in line for line in lines)


def test_check_of_a_folder_that_is_not_there(tmp_path):
    result = call("check", "--raw", tmp_path / "nowhere")
    assert result.exit_code == 1 and "studies.csv" in result.stderr


def test_run_refuses_bad_evidence_and_writes_nothing(broken, tmp_path):
    result = call("run", "--raw", broken, "--out", tmp_path / "out")
    assert result.exit_code == 1 and "T3D" in result.stderr
    assert not (tmp_path / "out").exists()


def test_run_with_an_unknown_stage_is_a_wrong_call(tmp_path):
    result = call("run", "--raw", RAW, "--out", tmp_path / "out", "--only", "nonsense")
    assert result.exit_code == 2 and "no such stage" in result.stderr


def test_report_without_results_says_what_to_do(tmp_path):
    result = call("report", "--out", tmp_path)
    assert result.exit_code == 1 and "isletmeta run" in result.stderr


def test_report_in_an_unknown_format_is_a_wrong_call(tmp_path):
    assert call("report", "--out", tmp_path, "--to", "papyrus").exit_code == 2


def test_reproduce_with_nothing_tracked(tmp_path):
    result = call("reproduce", "--raw", RAW, "--out", tmp_path)
    assert result.exit_code == 1 and "nothing to compare" in result.stderr


def test_explain_walks_an_effect_back_to_its_rows():
    from analysis import effects, evidence
    from analysis.evidence.references import find

    loaded = evidence.load(RAW)
    table = effects.build(loaded).effects
    effect = table[table["pool"] & table["headline"]].iloc[0]
    result = call("explain", effect["effect_id"], "--raw", RAW)
    assert result.exit_code == 0
    for row in effect["source_rows"].split(";"):
        assert f"line {find(loaded, row)['line']}:" in result.output


def test_explain_of_an_unknown_effect(tmp_path):
    result = call("explain", "no-such-effect", "--raw", RAW)
    assert result.exit_code == 1 and "no-such-effect" in result.stderr
