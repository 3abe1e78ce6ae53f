"""The pipeline: nothing runs twice, nothing damaged is believed, all or nothing is written."""

import csv
import json
import os
import shutil
from pathlib import Path

import pytest
import stub_stages
from conftest import every
from forks import in_a_fork, needs_fork
from stub_stages import HARMS, NUMBERS, ONLY_TABLES, STAGES, WEIGHED

from analysis import evidence as evidence_module
from analysis import pipeline, store, workers


def run(raw: Path, out: Path, **options) -> pipeline.RunReport:
    """A run of the stub stages in this process."""
    return pipeline.run(raw, out, **{"stages": STAGES, "isolate": False, **options})


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def edit(raw: Path, file: str, column: str, line: int, value: str) -> None:
    """Write a value into one cell of a table of the evidence."""
    path = raw / file
    rows = store.csv_rows(path.read_text(encoding="utf-8"))
    rows[line][rows[0].index(column)] = value
    with path.open("w", encoding="utf-8", newline="") as target:
        csv.writer(target, lineterminator="\n").writerows(rows)


def hba1c_line(raw: Path) -> int:
    rows = store.csv_rows((raw / "outcomes.csv").read_text(encoding="utf-8"))
    at, value = rows[0].index("outcome"), rows[0].index("value")
    return next(i for i, row in enumerate(rows) if row[at] == "hba1c" and row[value])


def change_hba1c(raw: Path) -> None:
    edit(raw, "outcomes.csv", "value", hba1c_line(raw), "7.77")


@pytest.fixture
def done(stub_results, raw_dir, tmp_path):
    """Evidence, results of all stub stages, and the bytes of those results."""
    out = shutil.copytree(stub_results, tmp_path / "data" / "processed")
    return raw_dir, out, contents(out)


# --- what runs, and what stands --------------------------------------------------------------


def test_a_second_run_has_nothing_to_do_and_leaves_the_same_bytes(done):
    raw, out, before = done
    again = run(raw, out)
    assert again.computed == () and again.skipped == tuple(s.name for s in STAGES)
    assert contents(out) == before
    assert len(again.estimates) == 3 and 0.961 in set(again.estimates["mean"])
    assert (again.estimates["note"] == 'a, "quoted" note').all()


def test_nothing_is_left_beside_the_results(done):
    _, out, _ = done
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_two_runs_on_the_same_evidence_give_the_same_bytes(done, tmp_path):
    raw, _, before = done
    run(raw, tmp_path / "other")
    assert contents(tmp_path / "other") == before


def test_results_copied_elsewhere_are_still_current(done, tmp_path):
    raw, out, _ = done
    assert run(raw, shutil.copytree(out, tmp_path / "clone")).computed == ()


def test_a_changed_note_makes_nothing_run(done):
    raw, out, before = done
    for file in ("outcomes.csv", "studies.csv", "safety.csv"):
        edit(raw, file, "notes", 1, "seen again, nothing new")
    assert run(raw, out).computed == ()
    changed = {name for name, data in contents(out).items() if data != before[name]}
    assert changed == {"manifest.json"}, "it names the files of the evidence as they are now"


def test_a_changed_value_runs_what_reads_it_and_what_weighs_it(done):
    raw, out, _ = done
    change_hba1c(raw)
    assert run(raw, out).computed == ("numbers", "weighed")


def test_the_seed_is_an_input_of_stages_that_draw_and_of_no_other(done):
    raw, out, before = done
    again = run(raw, out, seed=5)
    assert again.computed == ("harms", "weighed")
    assert contents(out)["stub_numbers.csv"] == before["stub_numbers.csv"]
    inputs = store.read_manifest(out)["stages"]
    assert [name for name, record in inputs.items() if "seed" in record["inputs"]] == ["harms"]


def test_force_computes_what_stands(done):
    raw, out, before = done
    assert len(run(raw, out, force=True).computed) == len(STAGES)
    assert contents(out) == before


def test_one_stage_renewed_keeps_the_others_and_says_what_is_stale(done):
    raw, out, before = done
    change_hba1c(raw)
    edit(raw, "safety.csv", "followup_months", 1, "7.5")
    report = run(raw, out, only=["numbers"])
    assert report.computed == ("numbers",)
    assert set(report.stale) == {"harms", "weighed"}
    assert contents(out)["stub_harms.csv"] == before["stub_harms.csv"]
    assert run(raw, out).computed == ("harms", "weighed")


def test_the_last_stage_sees_what_all_others_left(done):
    _, out, _ = done
    weighed = pipeline.read_table(out, "stub_weighed")
    assert weighed.to_dict("records") == [
        {"rows": 3, "tables": "stub_counts stub_harms stub_numbers stub_seeds"}
    ]


def test_an_unknown_stage_is_named_and_nothing_is_made(raw_dir, tmp_path):
    with pytest.raises(ValueError, match="no such stage: nonsense; known: numbers, harms"):
        run(raw_dir, tmp_path / "out", only=["nonsense"])
    assert not (tmp_path / "out").exists()


def test_stages_in_processes_leave_what_they_leave_in_this_one(raw_dir, tmp_path):
    stages, told = (NUMBERS, HARMS), set()
    run(raw_dir, tmp_path / "here", stages=stages)
    run(raw_dir, tmp_path / "out", stages=stages, isolate=True, jobs=2,
        progress=lambda *words: told.add(words))  # fmt: skip
    assert contents(tmp_path / "out") == contents(tmp_path / "here")
    assert {
        ("numbers", "start", ""),
        ("numbers", "part", "the mean"),
        ("harms", "done", ""),
    } <= told


def test_the_tables_a_stage_reads_are_noted_and_it_sees_no_printed_columns(evidence):
    seen = pipeline.Noted.of(evidence)
    assert seen.noted == set()
    assert not set(seen.outcomes) & pipeline.PRINTED and "notes" in evidence.outcomes
    assert "any" not in seen.safety.columns
    assert seen.noted == {"outcomes", "safety"}


def test_the_manifest_names_what_each_stage_has_read(done):
    _, out, _ = done
    stages = pipeline.read_manifest(out)["stages"]
    read = {name: list(stage["inputs"]["evidence"]) for name, stage in stages.items()}
    assert read == {"numbers": ["outcomes.csv"], "harms": ["safety.csv"],
                    "only_tables": ["studies.csv"], "weighed": ["outcomes.csv"]}  # fmt: skip


def test_every_real_stage_has_code(evidence):
    for stage in pipeline.STAGES:
        assert pipeline.code_digest(stage.module)


def test_the_real_stage_of_effects_runs_on_what_it_declares(raw_dir, tmp_path):
    report = pipeline.run(raw_dir, tmp_path / "out", only=["effects"], isolate=False)
    assert report.computed == ("effects",)
    assert {"effects.csv", "exclusions.csv", "estimates.csv", "manifest.json"} <= set(
        contents(tmp_path / "out")
    )


# --- damage ----------------------------------------------------------------------------------


def truncated(out):
    path = out / "estimates.csv"
    path.write_bytes(path.read_bytes()[:-40])


def reordered(out):
    path = out / "estimates.csv"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], *reversed(lines[1:])]))


def zeroed(out):
    path = out / "estimates.csv"
    path.write_bytes(b"\0" * path.stat().st_size)


def emptied(out):
    (out / "estimates.csv").write_bytes(b"")


def edited(out):
    path = out / "estimates.csv"
    assert b"0.961" in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(b"0.961", b"3.333"))


def removed(out):
    (out / "estimates.csv").unlink()


def row_added(out):
    path = out / "estimates.csv"
    path.write_bytes(path.read_bytes() + path.read_bytes().splitlines(keepends=True)[1])


def table_edited(out):
    (out / "stub_harms.csv").write_text("events\n0\n", encoding="utf-8")


def table_removed(out):
    (out / "stub_numbers.csv").unlink()


def manifest_half(out):
    path = out / "manifest.json"
    path.write_bytes(path.read_bytes()[:300])


def manifest_empty(out):
    (out / "manifest.json").write_bytes(b"")


def manifest_no_text(out):
    (out / "manifest.json").write_bytes(b"\xff\xfe{")


def manifest_other_json(out):
    (out / "manifest.json").write_text("[1, 2]", encoding="utf-8")


def manifest_removed(out):
    (out / "manifest.json").unlink()


def manifest_rewritten_for_an_edit(out):
    """An edited table whose digests were put into the manifest, too."""
    edited(out)
    path = out / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["estimates_digest"] = store.digest((out / "estimates.csv").read_bytes())
    place = manifest["stages"]["numbers"]["estimates"]
    header, *rows = store.csv_rows((out / "estimates.csv").read_text(encoding="utf-8"))
    place["digest"] = store.rows_digest(header, rows[slice(*place["rows"])])
    path.write_text(json.dumps(manifest, indent=2), encoding="utf-8")


def stage_cut_from_the_manifest(out):
    path = out / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    del manifest["stages"]["harms"]
    path.write_text(json.dumps(manifest, indent=2), encoding="utf-8")


DAMAGES = (
    truncated, reordered, zeroed, emptied, edited, removed, row_added, table_edited, table_removed,
    manifest_half, manifest_empty, manifest_no_text, manifest_other_json, manifest_removed,
    manifest_rewritten_for_an_edit, stage_cut_from_the_manifest,
)  # fmt: skip
QUICK = [(edited, ()), (table_removed, ()), (manifest_half, ()), (edited, ("only_tables",)),
         (manifest_rewritten_for_an_edit, ("only_tables",))]  # fmt: skip
"""Damages that stand for their kind in the fast tests; the others are slow."""


@pytest.mark.parametrize(
    ("damage", "only"),
    [
        pytest.param(damage, only, id=f"{damage.__name__}-{name}",
                     marks=[] if (damage, only) in QUICK else pytest.mark.slow)
        for damage in DAMAGES
        for only, name in [((), "whole run"), (("only_tables",), "run --only")]
    ],
)  # fmt: skip
def test_what_is_damaged_is_never_certified_and_heals_by_itself(done, damage, only):
    raw, out, before = done
    damage(out)
    assert store.faults(out), "the damage is seen"
    run(raw, out, only=only)
    if "stub_weighed.csv" in contents(out):
        assert contents(out) == before
    assert store.faults(out) == []
    run(raw, out)
    assert contents(out) == before


def test_a_run_says_what_it_healed(done):
    raw, out, _ = done
    edited(out)
    report = run(raw, out, only=["only_tables"])
    assert report.healed == {"numbers": "estimates.csv not as the run wrote it"}


def test_results_of_other_evidence_are_told_from_those_of_this(done, monkeypatch):
    raw, out, _ = done
    monkeypatch.setattr(pipeline, "STAGES", STAGES)
    assert pipeline.faults_of_results(raw, out) == ([], "")
    edit(raw, "outcomes.csv", "notes", 1, "another note")
    assert pipeline.faults_of_results(raw, out) == ([], "")
    change_hba1c(raw)
    assert pipeline.faults_of_results(raw, out)[0] == [
        "numbers: made from another outcomes.csv",
        "weighed: made from another outcomes.csv",
    ]
    run(raw, out, only=["numbers"])
    assert pipeline.faults_of_results(raw, out)[0] == ["weighed: made from another outcomes.csv"]


def test_a_synthesis_of_other_results_is_told_from_one_of_these(done, monkeypatch):
    raw, out, _ = done
    monkeypatch.setattr(pipeline, "STAGES", STAGES)
    run(raw, out, only=["harms"], seed=5)
    found, _ = pipeline.faults_of_results(raw, out)
    assert found == ["weighed: made from other results of the stages before it"]


def test_results_made_by_other_code_are_remarked_on(done, monkeypatch):
    raw, out, _ = done
    monkeypatch.setattr(pipeline, "STAGES", STAGES)
    monkeypatch.setattr(pipeline, "code_digest", lambda *modules: "another")
    found, remark = pipeline.faults_of_results(raw, out)
    assert found == [] and "numbers, harms" in remark
    assert len(run(raw, out).computed) == len(STAGES)


def test_a_table_that_no_run_made_is_a_fault_where_a_reader_could_take_it(done):
    _, out, _ = done
    (out / "claims.csv").write_text("verdict\nproven\n", encoding="utf-8")
    assert store.faults(out, known=["claims"]) == ["claims.csv is not of this run"]
    assert store.faults(out) == []


# --- all or nothing --------------------------------------------------------------------------


FAILURES = {
    "fails": "fails: two ways to one number disagree",
    "breaks": r"breaks: KeyError: 'no such key' \(stub_stages\.py:\d+\)",
    "fills_the_disk": "fills_the_disk: .*No space left on device",
}


@pytest.mark.parametrize("isolate", [False, pytest.param(True, marks=pytest.mark.slow)],
                         ids=["here", "in a process"])  # fmt: skip
@pytest.mark.parametrize(("function", "words"), FAILURES.items())
def test_a_failing_stage_leaves_everything_as_it_was(done, function, words, isolate):
    raw, out, before = done
    stages = (*STAGES, stub_stages.stage(function))
    with pytest.raises(workers.WorkerError, match=words):
        run(raw, out, stages=stages, only=[function], isolate=isolate)
    assert contents(out) == before
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_a_worker_that_dies_is_named(done):
    raw, out, before = done
    with pytest.raises(workers.WorkerError, match="dies: its process ended with status 9"):
        run(raw, out, stages=(stub_stages.stage("dies"), NUMBERS), isolate=True)
    assert contents(out) == before


def test_bad_evidence_leaves_the_results_as_they_were(done):
    raw, out, before = done
    edit(raw, "outcomes.csv", "outcome", hba1c_line(raw), "hba1x")
    with pytest.raises(evidence_module.EvidenceError, match="hba1x"):
        run(raw, out)
    assert contents(out) == before


def test_files_that_are_no_results_are_taken_along_and_old_tables_go(done):
    raw, out, _ = done
    (out / "README.md").write_text("mine", encoding="utf-8")
    (out / "mine.csv").write_text("a\n1\n", encoding="utf-8")
    run(raw, out, stages=(NUMBERS, ONLY_TABLES), force=True)
    assert set(contents(out)) == {
        "README.md", "mine.csv", "stub_numbers.csv", "stub_counts.csv", "estimates.csv",
        "manifest.json",
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["a file", "files of something else", "no folder possible"])
def test_a_target_that_is_no_folder_of_results_is_refused_at_once(raw_dir, tmp_path, kind):
    out = tmp_path / "out"
    if kind == "a file":
        out.write_text("", encoding="utf-8")
    elif kind == "files of something else":
        out.mkdir()
        (out / "thesis.docx").write_text("", encoding="utf-8")
    else:
        (tmp_path / "file").write_text("", encoding="utf-8")
        out = tmp_path / "file" / "out"
    before = contents(tmp_path)
    told = []
    with pytest.raises(store.StoreError, match="out"):
        run(raw_dir, out, progress=lambda *words: told.append(words))
    assert told == [] and contents(tmp_path) == before


def test_estimates_of_stages_with_other_columns_are_not_joined():
    with pytest.raises(store.StoreError, match="of b have other columns"):
        store.join_estimates({"a": "x,y\n1,2\n", "b": "x,z\n1,2\n"})


def test_a_stage_without_estimates_leaves_the_header_of_the_others():
    text, places = store.join_estimates({"a": "", "b": "x\n1\n", "c": "x\n"})
    assert text == "x\n1\n"
    assert [places[name]["rows"] for name in "abc"] == [[0, 0], [0, 1], [1, 1]]


def test_a_run_waits_for_another_that_writes_to_the_same_folder(done):
    raw, out, before = done
    waited = []
    held = store.locked(out)

    def release():
        waited.append(True)
        held.__exit__(None, None, None)

    held.__enter__()
    run(raw, out, waiting=release)
    assert waited == [True] and contents(out) == before


# --- killed, or out of disk, at every step ---------------------------------------------------


def at_step(n: int, do):
    """Patch the file system of this process: the n-th call that changes something does `do`.

    Returns a function that says whether it came to that.
    """
    counted = 0

    def count():
        nonlocal counted
        counted += 1
        if counted == n:
            do()

    def around(call, after=False):
        def counting(*words, **more):
            count()
            result = call(*words, **more)
            if after:
                count()
            return result

        return counting

    for name in ("mkdir", "rename", "replace", "fsync", "unlink", "rmdir", "utime"):
        setattr(os, name, around(getattr(os, name)))
    Path.write_bytes = around(Path.write_bytes, after=True)
    store.exchange = around(store.exchange, after=True)
    return lambda: counted >= n


RENEWED = (NUMBERS, ONLY_TABLES, WEIGHED)
"""Stages of which a changed value renews the first and the last; the second stands."""


@pytest.fixture
def changed(raw_dir, tmp_path, monkeypatch):
    """Changed evidence, which is read once for all runs to come, and results of before."""
    raw, out = raw_dir, tmp_path / "data" / "processed"
    run(raw, out, stages=RENEWED)
    old = contents(out)
    change_hba1c(raw)
    evidence = evidence_module.load(raw)
    digests = pipeline.evidence_digests(evidence)
    monkeypatch.setattr(evidence_module, "load", lambda raw: evidence)
    monkeypatch.setattr(pipeline, "evidence_digests", lambda evidence: digests)
    return raw, out, old


SOME = 7
"""Every so many steps are tried in the fast tests; the slow ones try all."""
KILLED, REFUSED, IN_SPITE = 99, 7, 5
"""How a run cut short ends: killed, with a message, or done in spite of the error."""


def cut_short(changed, tmp_path, do, first: bool, stride: int = 1):
    """A run cut short at its first step and each `stride`-th from there, until it is done.

    Yields status, target, old and new bytes.
    """
    raw, out, old = changed
    run(raw, tmp_path / "new", stages=RENEWED)
    new = contents(tmp_path / "new")
    status, step = None, 1 - stride
    while status != 0:
        step += stride
        assert step < 500
        folder = tmp_path / f"step {step}"
        folder.mkdir()
        target = folder / "processed"
        if not first:
            shutil.copytree(out, target)

        def action(step=step, target=target):
            reached = at_step(step, do)
            try:
                run(raw, target, stages=RENEWED)
            except (store.StoreError, workers.WorkerError):
                return REFUSED
            return IN_SPITE if reached() else 0

        status = in_a_fork(action)
        yield status, target, {} if first else old, new
        run(raw, target, stages=RENEWED)
        assert contents(target) == new, "the next run heals"
        assert [path.name for path in folder.iterdir()] == ["processed"]
        shutil.rmtree(folder)
    assert step > 10


@needs_fork
@pytest.mark.parametrize("first", every(False, True), ids=["replacing", "first run"])
@pytest.mark.parametrize("stride", every(SOME, 1), ids=["some", "all"])
def test_a_kill_at_any_step_leaves_the_old_or_the_new_results(changed, tmp_path, first, stride):
    runs = cut_short(changed, tmp_path, lambda: os._exit(KILLED), first, stride)
    for status, target, old, new in runs:
        assert status in (0, KILLED)
        assert contents(target) in (old, new)


@needs_fork
@pytest.mark.slow
def test_a_kill_where_names_cannot_be_exchanged_at_once_is_undone(changed, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "exchange", lambda *words: False)
    between = 0
    for status, target, old, new in cut_short(changed, tmp_path, lambda: os._exit(KILLED), False):
        assert status in (0, KILLED)
        if not target.exists():
            between += 1
            store.settle(target)
            assert contents(target) == old
        assert contents(target) in (old, new)
    assert between == 1


@needs_fork
@pytest.mark.parametrize("swap", every("one step", "two steps"))
@pytest.mark.parametrize("stride", every(SOME, 1), ids=["some", "all"])
def test_a_full_disk_at_any_step_is_a_message_and_leaves_the_old_or_the_new_results(
    changed, tmp_path, monkeypatch, swap, stride
):
    def full():
        raise OSError(28, "No space left on device")

    if swap == "two steps":
        monkeypatch.setattr(store, "exchange", lambda *words: False)
    for status, target, old, new in cut_short(changed, tmp_path, full, False, stride):
        assert status in (0, IN_SPITE, REFUSED), "a message and no traceback"
        assert contents(target) in (old, new)
