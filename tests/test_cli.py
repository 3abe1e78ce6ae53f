"""The command line: exit codes, messages on the right stream, nothing but words on bad input."""

import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import stub_stages
from conftest import every
from typer.testing import CliRunner

from analysis import cli_results, pipeline, render
from analysis.cli import app

RAW = Path(__file__).parent.parent / "data" / "raw"
runner = CliRunner()


@pytest.fixture(autouse=True)
def _nothing_started_ahead(monkeypatch):
    """What is refused or stubbed here needs no process of cells that loads what reports need."""
    monkeypatch.setattr(render, "ahead", lambda: None)


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
    result = call("report", "--out", tmp_path, "--to", "html", "--file", tmp_path / "a.pdf")
    assert result.exit_code == 2 and "its name says pdf, --to says html" in result.stderr


@pytest.mark.parametrize("name", ["a.pdf", "a.docx", "a.html", "a.page"])
def test_the_format_is_that_of_the_name_of_the_file(tmp_path, monkeypatch, name):
    asked = {}
    monkeypatch.setattr(cli_results, "_stale", lambda *_: [])
    monkeypatch.setattr(render, "ahead", lambda: None)
    monkeypatch.setattr(
        render, "render_all", lambda source, targets, **_: asked.update(targets) or {}
    )
    (tmp_path / "estimates.csv").write_text("", "utf-8")
    call("report", "--out", tmp_path, "--file", tmp_path / name)
    assert asked == {name[2:] if name != "a.page" else "html": tmp_path / name}


@pytest.fixture
def source(tmp_path):
    """A report of one line: what is refused is refused whatever the report says."""
    path = tmp_path / "small.qmd"
    path.write_text("# A report\n", encoding="utf-8")
    return path


def test_report_refuses_results_without_a_manifest_and_names_the_way_out(source, tmp_path):
    (tmp_path / "estimates.csv").write_text("outcome\n", encoding="utf-8")
    result = call(
        "report", "--out", tmp_path, "--file", tmp_path / "report.html", "--source", source
    )
    assert result.exit_code == 1
    assert "manifest.json is missing" in result.stderr and "isletmeta run" in result.stderr
    assert not (tmp_path / "report.html").exists()


@pytest.fixture
def results(stub_results, tmp_path, monkeypatch):
    """Evidence and the results of stub stages, which stand for those of the project."""
    monkeypatch.setattr(pipeline, "STAGES", stub_stages.STAGES)
    raw = shutil.copytree(RAW, tmp_path / "raw")
    return raw, shutil.copytree(stub_results, tmp_path / "out")


def test_report_refuses_results_of_other_evidence_unless_that_is_said(
    results, tmp_path, monkeypatch
):
    raw, out = results
    path = raw / "outcomes.csv"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:-1]), encoding="utf-8")
    given = {}

    def render_all(source, targets, env, ready):
        ready()
        given.update(env)
        return {"html": render.Rendered(targets["html"], "a stub")}

    monkeypatch.setattr(render, "render_all", render_all)
    words = ("report", "--raw", raw, "--out", out, "--file", tmp_path / "report.html")
    refused = call(*words)
    assert refused.exit_code == 1 and not given
    assert "numbers: made from another outcomes.csv" in refused.stderr
    assert call(*words, "--stale-ok").exit_code == 0
    assert "numbers: made from another outcomes.csv" in given["ISLETMETA_STALE"]
    assert given["ISLETMETA_RAW"] == str(raw)


def test_report_refuses_edited_results(results, source, tmp_path):
    raw, out = results
    path = out / "estimates.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("0.961", "3.333"), encoding="utf-8")
    words = ("--raw", raw, "--out", out, "--source", source)
    result = call("report", *words, "--file", tmp_path / "report.html")
    assert result.exit_code == 1 and "numbers: estimates.csv not as the run wrote it" in (
        result.stderr
    )


def test_report_writes_where_it_is_told_or_says_at_once_that_it_cannot(results, tmp_path):
    raw, out = results
    (tmp_path / "file").write_text("", encoding="utf-8")
    target = tmp_path / "file" / "report.html"
    result = call("report", "--raw", raw, "--out", out, "--file", target)
    assert result.exit_code == 1 and str(target) in result.stderr


def test_one_file_takes_one_format(results):
    raw, out = results
    words = ("--raw", raw, "--out", out, "--file", "x", "--to", "html", "--to", "pdf")
    assert call("report", *words).exit_code == 2


def test_run_strict_tells_a_withheld_fit_by_its_status(results, tmp_path, monkeypatch):
    raw, _ = results
    stages = (stub_stages.stage("withholds"),)
    run = partial(pipeline.run, stages=stages, isolate=False)
    monkeypatch.setattr(pipeline, "run", run)
    for words, status in (((), 0), (("--strict",), 3)):
        result = call("run", "--raw", raw, "--out", tmp_path / "new", *words)
        assert result.exit_code == status
        assert "withheld: withholds hba1c_exact: R-hat inf" in result.stderr


def test_run_says_what_it_healed_and_what_is_stale(results, monkeypatch):
    raw, out = results
    monkeypatch.setattr(
        pipeline, "run", partial(pipeline.run, stages=stub_stages.STAGES, isolate=False)
    )
    (out / "stub_harms.csv").write_text("events\n0\n", encoding="utf-8")
    result = call("run", "--raw", raw, "--out", out, "--only", "numbers")
    assert "computed again: harms: stub_harms.csv not as the run wrote it" in result.stderr
    result = call("run", "--raw", raw, "--out", out, "--only", "numbers", "--seed", "7")
    assert "not of this evidence or code, and not asked for: harms" in result.stderr


ONE_AFTER_ANOTHER = """
import sys
from analysis import cli
for words in {calls}:
    sys.argv[1:] = words
    try:
        cli.main()
    except SystemExit as end:
        print("status", end.code or 0)
"""


@pytest.mark.parametrize("encoding", every("ascii", "cp1252", "utf-8"))
def test_output_never_dies_on_a_console_that_cannot_show_a_character(encoding):
    calls = [["--help"], ["check"], ["run", "--only", "–→é"]]
    done = subprocess.run(
        [sys.executable, "-c", ONE_AFTER_ANOTHER.format(calls=ascii(calls))],
        cwd=RAW.parent.parent,
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
        capture_output=True,
        check=False,
    )
    said = (done.stdout + done.stderr).decode(encoding)
    assert "Traceback" not in said and "UnicodeEncodeError" not in said
    assert re.findall(r"^status (\d)$", said, re.MULTILINE) == ["0", "0", "2"]


@pytest.mark.parametrize(
    ("text", "shown"), [("−0.96 – 1 → é", "-0.96 - 1 -> e"), ("日", "?"), ("≥ 5\u00a0%", ">= 5 %")]
)
def test_a_character_that_cannot_be_shown_is_told_by_the_nearest(text, shown):
    assert text.encode("ascii", errors="nearest").decode() == shown


def test_reproduce_with_nothing_tracked(tmp_path):
    result = call("reproduce", "--raw", RAW, "--out", tmp_path)
    assert result.exit_code == 1 and "nothing to compare" in result.stderr


@pytest.fixture
def rerun(results, monkeypatch):
    """A `reproduce` that reruns stub stages, in this process."""
    run = partial(pipeline.run, stages=stub_stages.STAGES, isolate=False)
    monkeypatch.setattr(pipeline, "run", run)
    return results


@pytest.mark.parametrize("words", [(), ("--quick",), ("--strict",)])
def test_reproduce_confirms_an_honest_rerun(rerun, words):
    raw, out = rerun
    result = call("reproduce", "--raw", raw, "--out", out, *words)
    assert result.exit_code == 0, result.output
    assert "identical" in result.output and "reproduced" in result.output


def test_reproduce_names_a_figure_that_was_edited_and_by_how_much(rerun):
    raw, out = rerun
    path = out / "estimates.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("0.961", "0.981"), encoding="utf-8")
    result = call("reproduce", "--raw", raw, "--out", out)
    assert result.exit_code == 1
    assert "numbers: estimates.csv not as the run wrote it" in result.output
    assert "mean: 0.981 -> 0.961" in result.output


def test_reproduce_names_a_changed_file_of_the_evidence(rerun):
    raw, out = rerun
    path = raw / "studies.csv"
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    result = call("reproduce", "--raw", raw, "--out", out)
    assert result.exit_code == 1
    assert "studies.csv is not the file the results were made from" in result.output


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
