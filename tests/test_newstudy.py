"""Adding a study: the template, every fault at once, and a write that is all or nothing."""

import csv
import os
import re
import shutil
import signal

import pytest
from conftest import every, examples
from forks import in_a_fork, needs_fork
from hypothesis import given as drawn
from hypothesis import strategies as st

from analysis import evidence as ev
from analysis import newstudy
from analysis.newstudy import journal, likeness

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
    path = tmp_path / "trial.txt"
    path.write_text(written(content), encoding="utf-8")
    return path


def written(content: dict) -> str:
    """Sections and rows as a person types them into the template."""
    lines = []
    for section, rows in content.items():
        lines.append(f"{section}:")
        for row in rows or [{}]:
            cells = [f"{column}: {value}" for column, value in row.items()] or [""]
            lines += [f"  - {cells[0]}", *(f"    {cell}" for cell in cells[1:])]
    return "\n".join(lines) + "\n"


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def plan_of(path, raw):
    return newstudy.plan(newstudy.read(path), raw)


# --- the template ------------------------------------------------------------------------------


def test_the_template_holds_every_column_with_its_meaning(tracked_raw):
    text = newstudy.template(tracked_raw)
    for name in newstudy.FILES:
        block = text.split(f"\n{name.removesuffix('.csv')}:\n")[1].split("\n\n")[0]
        assert [line.strip(" -:") for line in block.splitlines()] == list(ev.TABLES[name])
    assert "# study_id: (needed) the key of the study in every table" in text
    assert max(map(len, text.splitlines())) <= 100


def test_without_a_dictionary_the_template_says_what_a_cell_may_hold(tmp_path):
    assert "# design: (needed) one of rct" in newstudy.template(tmp_path)


def test_an_unfilled_template_adds_nothing(tmp_path, raw_dir):
    path = tmp_path / "blank.txt"
    path.write_text(newstudy.template(raw_dir), encoding="utf-8")
    mistakes = plan_of(path, raw_dir).mistakes
    assert [m.value for m in mistakes] == ["(no row is filled)"]


def test_a_template_that_is_filled_line_by_line_is_read_as_it_was_filled(tmp_path, tracked_raw):
    """Values typed behind the colons of the blank template, comments and all, are the cells."""
    values = {c: str(v) for c, v in STUDY.items()}
    lines, name = [], ""
    for line in newstudy.template(tracked_raw).splitlines():
        name = line[:-1] if f"{line[:-1]}.csv" in newstudy.FILES else name
        column = line.strip(" -:")
        filled_in = name == "studies" and not line.startswith("#") and values.get(column, "")
        lines.append(f"{line} {filled_in}" if filled_in else line)
    path = tmp_path / "filled.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    given = newstudy.read(path)
    assert given.mistakes == ()
    assert {c: v for c, v in given.rows["studies.csv"][0].items() if v} == values


def test_every_present_study_written_as_the_template_is_read_back_equal(tmp_path, tracked_raw):
    path = tmp_path / "study.txt"
    for study in likeness.present(tracked_raw):
        rows = newstudy.rows_of(study["study_id"], tracked_raw)
        path.write_text(newstudy.text_of(rows), encoding="utf-8")
        given = newstudy.read(path)
        assert given.mistakes == ()
        assert given.rows == rows


FREE = [c for c, spec in ev.TABLES["outcomes.csv"].items() if spec.kind == "text" and c != "unit"]


@examples(100, 1000)
@drawn(
    st.dictionaries(
        st.sampled_from(FREE),
        st.text(
            st.sampled_from("#:-|>\"'{}[]&*!%@`~,.\t a")
            | st.characters(blacklist_categories=("Cs",), blacklist_characters="\r\n\0"),
            min_size=1,
        )
        .map(str.strip)
        .filter(bool),
        min_size=1,
    )
)
def test_any_text_in_a_cell_is_the_text_of_the_cell(tmp_path_factory, cells):
    path = tmp_path_factory.getbasetemp() / "any.txt"
    row = {"study_id": "a1", **cells}
    path.write_bytes(newstudy.text_of({"outcomes.csv": [row]}).encode("utf-8"))
    given = newstudy.read(path)
    assert given.mistakes == ()
    assert {c: v for c, v in given.rows["outcomes.csv"][0].items() if v} == row


@pytest.mark.parametrize(
    "column, typed, text",
    [
        ("unit", "%", "%"),
        ("unit", '"%"', "%"),  # as a file was filled when the template was YAML
        ("p_relation", ">", ">"),
        ("p_text", "> 0.05", "> 0.05"),
        ("notes", "P < 0.05: between arms", "P < 0.05: between arms"),
        ("notes", "see fig #3", "see fig #3"),
        ("notes", "# 3", "# 3"),
        ("notes", '"Mean" fell', '"Mean" fell'),
        ("notes", '"Mean fell"', '"Mean fell"'),
        ("notes", "*P < 0.05", "*P < 0.05"),
        ("notes", "- 3; {a: b} [c] & d | e ! %", "- 3; {a: b} [c] & d | e ! %"),
        ("notes", "two  spaces\tand a tab", "two  spaces\tand a tab"),
        ("notes", "null", "null"),
        ("notes", "studies:", "studies:"),
        ("notes", "=cmd|' /C calc'!A0", "=cmd|' /C calc'!A0"),
        ("value", "'8.5'", "8.5"),
    ],
)
def test_what_is_typed_behind_the_colon_is_the_cell(tmp_path, column, typed, text):
    path = tmp_path / "typed.txt"
    path.write_text(f"outcomes:\n  - study_id: a1\n    {column}: {typed}\n", encoding="utf-8")
    given = newstudy.read(path)
    assert given.mistakes == ()
    assert given.rows["outcomes.csv"][0][column] == text


def test_a_line_indented_further_continues_the_cell_above(tmp_path):
    path = tmp_path / "long.txt"
    path.write_text("studies:\n  - title: A long\n      title of https://a.org: two lines\n"
                    "    notes: >\n      folded\n", encoding="utf-8")  # fmt: skip
    row = newstudy.read(path).rows["studies.csv"][0]
    assert row["title"] == "A long title of https://a.org: two lines"
    assert row["notes"] == "folded"


def test_facts_take_from_their_study_what_they_leave_blank(tmp_path):
    study = {k: v for k, v in STUDY.items() if k not in ("cohort", "cohort_role")}
    bare = {k: v for k, v in OUTCOMES[0].items() if k not in SOURCE}
    own = {**OUTCOMES[1], "seen_in": "full_text"}
    given = newstudy.read(filled(tmp_path, studies=[study], outcomes=[bare, own]))
    assert given.rows["studies.csv"][0]["cohort"] == "newtrial2030"
    assert given.rows["studies.csv"][0]["cohort_role"] == "primary"
    first, second = given.rows["outcomes.csv"]
    assert {k: first[k] for k in SOURCE} == SOURCE and first["study_id"] == "newtrial2030"
    assert second["seen_in"] == "full_text"


# --- a sound study -----------------------------------------------------------------------------


def test_a_sound_study_is_written_with_all_that_is_kept_in_step(tmp_path, raw_dir):
    before = contents(raw_dir)
    plan = plan_of(filled(tmp_path), raw_dir)
    assert plan.mistakes == ()
    assert contents(raw_dir) == before  # planning only reads
    written = newstudy.write(plan)
    after = ev.load(raw_dir)
    assert "newtrial2030" in set(after.studies["study_id"])
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


def test_a_file_without_a_last_newline_is_continued_on_a_new_line(tmp_path, raw_dir):
    path = raw_dir / "safety.csv"
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    newstudy.write(plan_of(filled(tmp_path), raw_dir))
    assert ev.check(raw_dir) == []


def test_facts_of_a_known_study_need_no_study_entry(tmp_path, raw_dir, evidence):
    studies = evidence.studies[evidence.studies["include"].eq("yes")]
    large = studies[studies["n_treated"].ge(int(SAFETY["n_at_risk"]))]
    known = large["study_id"].iloc[0]
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
    values = {m.value for m in plan.mistakes}
    assert {"results", "colour"} <= values  # the unknown section and column
    assert "trial.txt, line 2, studies row 1, cell_class" in places
    assert "trial.txt, line 2, studies row 1, doi" in places
    second = next(m for m in plan.mistakes if m.column == "value")
    assert second.number == 2 and second.value == "85"  # counted with the empty row
    line = path.read_text(encoding="utf-8").splitlines()[int(second.where.split()[2][:-1]) - 1]
    assert line == "  - arm: treated"
    assert plan.after == {}
    with pytest.raises(ValueError, match="mistakes"):
        newstudy.write(plan)
    assert contents(raw_dir) == before


def test_a_study_that_is_there_already_is_a_fault(tmp_path, raw_dir):
    newstudy.write(plan_of(filled(tmp_path), raw_dir))
    mistakes = plan_of(filled(tmp_path), raw_dir).mistakes
    assert any("only once" in m.allowed and "studies row 1" in m.where for m in mistakes)


def test_faults_of_the_old_rows_are_named_by_their_file(tmp_path, raw_dir):
    path = raw_dir / "studies.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(",T1D,", ",T3D,", 1), "utf-8")
    mistakes = plan_of(filled(tmp_path), raw_dir).mistakes
    assert any("studies.csv:2:diabetes_type" in m.where for m in mistakes)


@pytest.mark.parametrize(
    "text, value",
    [
        ("studies: [", "studies"),
        ("- a\n- b\n", "- a"),
        ("studies:\n  - study_id: a\n    study_id: b\n", "study_id stands twice"),
        ("results:\n  - a: 3\n", "results"),
        ("studies:\n  - just words\n", "- just words"),
        ("studies:\n  - study_id: a\n    spraed: 3\n", "spraed"),
        ("", "(empty file)"),
        ("studies:\n", "(no row is filled)"),
    ],
)
def test_a_file_of_the_wrong_form_is_a_fault_and_no_traceback(tmp_path, raw_dir, text, value):
    path = tmp_path / "wrong.txt"
    path.write_text(text, encoding="utf-8")
    plan = plan_of(path, raw_dir)
    assert plan.mistakes and plan.mistakes[0].value == value


def test_a_misspelt_column_is_told_with_the_one_that_may_be_meant(tmp_path):
    path = tmp_path / "wrong.txt"
    path.write_text("outcomes:\n  - study_id: a\n    spraed: 3\n", encoding="utf-8")
    (mistake,) = newstudy.read(path).mistakes
    assert mistake.where == "wrong.txt, line 3" and "(spread?)" in mistake.allowed


def test_a_missing_or_binary_file_is_a_fault(tmp_path, raw_dir):
    assert newstudy.read(tmp_path / "none.txt").mistakes
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    assert newstudy.read(tmp_path / "binary.txt").mistakes


# --- all or nothing ----------------------------------------------------------------------------


def test_a_file_changed_meanwhile_stops_the_write(tmp_path, raw_dir):
    plan = plan_of(filled(tmp_path), raw_dir)
    path = raw_dir / "safety.csv"
    path.write_bytes(path.read_bytes() + b"\n")
    before = contents(raw_dir)
    with pytest.raises(newstudy.ChangedMeanwhile, match="changed meanwhile"):
        newstudy.write(plan)
    assert contents(raw_dir) == before


@pytest.mark.parametrize("fails_at", every(2, 7, 1, 3, 4, 5, 6, fast=2))
def test_a_failed_rename_takes_the_earlier_ones_back(tmp_path, raw_dir, monkeypatch, fails_at):
    plan = plan_of(filled(tmp_path), raw_dir)
    before = contents(raw_dir)
    replace, calls = journal.os.replace, []

    def failing(source, target):
        calls.append(target)
        if len(calls) == fails_at:
            raise OSError("no space left")
        replace(source, target)

    monkeypatch.setattr(journal.os, "replace", failing)
    with pytest.raises(OSError, match="no space"):
        newstudy.write(plan)
    assert contents(raw_dir) == before
    assert newstudy.recover(raw_dir) == ""


@needs_fork
@pytest.mark.parametrize("dies_at", range(10))
def test_a_kill_before_any_rename_leaves_the_old_or_the_new(tmp_path, dies_at):
    """Seven files take nine renames: of the journal, of each file, of the folder at the end."""
    folder = tmp_path / "seven"
    folder.mkdir()
    old = {f"{n}.csv": f"table {n}\n".encode() for n in range(7)}
    new = {name: data + b"new" for name, data in old.items()}
    for name, data in old.items():
        (folder / name).write_bytes(data)
    replace, calls = os.replace, []

    def dying(source, target):
        if len(calls) == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        calls.append(target)
        replace(source, target)

    def action():
        os.replace = dying
        journal.commit(folder, old, new)
        return 0

    assert in_a_fork(action) == (0 if dies_at == 9 else -signal.SIGKILL)
    told = newstudy.recover(folder)
    assert contents(folder) == (old if dies_at == 0 else new)
    assert ("undone" in told, "completed" in told) == (dies_at == 0, 1 <= dies_at <= 8)
    assert newstudy.recover(folder) == ""


def interrupted(folder, monkeypatch, dies_at: int) -> None:
    """A change of two files of which only the first `dies_at` renames happened."""
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    replace, calls = journal.os.replace, []

    def dying(source, target):
        if len(calls) == dies_at:
            raise KeyboardInterrupt  # nothing is caught, as nothing is after a kill
        calls.append(target)
        replace(source, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(journal.os, "replace", dying)
        journal.commit(folder, before, {name: data + b"new" for name, data in before.items()})


@pytest.fixture
def two(tmp_path):
    folder = tmp_path / "two"
    folder.mkdir()
    for name in ("a.csv", "b.csv"):
        (folder / name).write_text(name, encoding="utf-8")
    return folder


def test_a_change_whose_new_contents_are_damaged_is_undone(two, monkeypatch):
    before = contents(two)
    interrupted(two, monkeypatch, dies_at=2)
    assert (two / "a.csv").read_text("utf-8") == "a.csvnew"
    (two / journal.FOLDER / "new" / "b.csv").write_text("half", encoding="utf-8")
    assert "undone" in newstudy.recover(two)
    assert contents(two) == before


def test_a_file_edited_after_the_kill_is_not_overwritten(two, monkeypatch):
    interrupted(two, monkeypatch, dies_at=2)
    (two / "b.csv").write_text("edited", encoding="utf-8")
    with pytest.raises(newstudy.ChangedMeanwhile, match="edited after"):
        newstudy.recover(two)
    assert (two / "b.csv").read_text("utf-8") == "edited"


def test_an_unreadable_journal_never_counted(two, monkeypatch):
    before = contents(two)
    interrupted(two, monkeypatch, dies_at=1)
    (two / journal.FOLDER / journal.JOURNAL).write_text("{", encoding="utf-8")
    assert "undone" in newstudy.recover(two)
    assert contents(two) == before


# --- the command -------------------------------------------------------------------------------


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
    assert "studies row 1, design: guess" in result.stderr
    assert "nothing was written" in result.stderr


def test_the_command_writes_a_template_but_over_nothing(tmp_path, raw_dir, call):
    path = tmp_path / "t.txt"
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


def test_rows_come_from_spreadsheets_too(tmp_path, raw_dir, call):
    folder = tmp_path / "sheets"
    folder.mkdir()
    for name, rows in {"studies": [STUDY], "outcomes": OUTCOMES, "safety": [SAFETY]}.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            columns = list(dict.fromkeys(column for row in rows for column in row))
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
    whole = newstudy.read(folder)
    single = newstudy.read(*(folder / f"{name}.csv" for name in ("studies", "outcomes", "safety")))
    template = newstudy.read(filled(tmp_path))

    def cells(given):
        return {n: [{c: v for c, v in r.items() if v} for r in rows]
                for n, rows in given.rows.items()}  # fmt: skip

    assert whole.mistakes == single.mistakes == ()
    assert cells(whole) == cells(single) == cells(template)
    assert call("add", "--from", folder, "--raw", raw_dir, "--yes").exit_code == 0
    assert "newtrial2030" in set(ev.load(raw_dir).studies["study_id"])


@pytest.mark.parametrize(
    "text, value",
    [
        ("study_id,colour\na,red\n", "colour"),
        ("study_id,study_id\na,b\n", "study_id"),
        ("study_id,title\na,b,c\n", "3 cells"),
        ('study_id,title\na,"b\n', "unexpected end of data"),
        ("", "(empty file)"),
    ],
)
def test_a_wrong_spreadsheet_is_a_fault_with_its_line(tmp_path, text, value):
    path = tmp_path / "studies.csv"
    path.write_text(text, encoding="utf-8")
    assert newstudy.read(path).mistakes[0].value == value


def test_a_spreadsheet_of_no_known_table_is_a_fault(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    assert newstudy.read(path).mistakes[0].where == "mine.csv, line 1"
    assert newstudy.read(tmp_path / "none.csv").mistakes
    (tmp_path / "empty").mkdir()
    assert newstudy.read(tmp_path / "empty").mistakes


def test_a_single_spreadsheet_is_known_by_its_header(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("study_id,event_category,n_at_risk\na,death,3\n\n,,\n", encoding="utf-8")
    given = newstudy.read(path)
    assert given.mistakes == () and len(given.rows["safety.csv"]) == 1


def test_old_mac_line_ends_are_kept(tmp_path, raw_dir):
    path = raw_dir / "safety.csv"
    path.write_bytes(path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r"))
    if ev.check(raw_dir):
        pytest.skip("such a file is not evidence")
    newstudy.write(plan_of(filled(tmp_path), raw_dir))
    assert b"\n" not in path.read_bytes() and ev.check(raw_dir) == []


def test_oddities_are_said_before_anything_is_written(tmp_path, raw_dir, call):
    known = likeness.present(raw_dir)[0]
    twin = {**STUDY, "first_author": known["first_author"], "year": known["year"]}
    path = filled(tmp_path, studies=[twin])
    result = call("add", "--from", path, "--raw", raw_dir, input="n\n")
    assert f"oddity: trial.txt, line 2, studies row 1, first_author: {known['first_author']}: " in (
        result.output
    )
    assert result.output.index("oddity") < result.output.index("write these rows")


@pytest.mark.parametrize(
    "mine, column",
    [
        ({"doi": "10.1000/ABC"}, "doi"),
        ({"pmid": "123"}, "pmid"),
        ({"registry_id": "nct 01"}, "registry_id"),
        ({"first_author": "García B", "year": "2010"}, "first_author"),
        ({"title": "A trial: of cells in diabetes"}, "title"),
        ({"first_author": "García B", "year": "2011"}, None),
        ({"title": "A trial"}, None),
    ],
)
def test_a_study_that_is_there_already_is_recognised(mine, column):
    other = {"study_id": "x", "cohort": "y", "doi": "10.1000/abc", "pmid": "123",
             "registry_id": "NCT01", "first_author": "Garcia", "year": "2010",
             "title": "A Trial of Cells in Diabetes"}  # fmt: skip
    found = likeness.alike(mine, [other])
    assert [name for name, _ in found] == ([column] if column else [])


def test_a_killed_add_is_ended_by_the_next_command(tmp_path, raw_dir, call, monkeypatch):
    interrupted(raw_dir, monkeypatch, dies_at=3)
    result = call("add", "--template", tmp_path / "t.txt", "--raw", raw_dir)
    assert "was completed" in result.stderr
    assert not (raw_dir / journal.FOLDER).exists()


def test_a_template_shows_how_a_present_study_is_written(tmp_path, raw_dir, call):
    path = tmp_path / "example.txt"
    name = likeness.present(raw_dir)[0]["study_id"]
    assert call("add", "--template", path, "--like", name, "--raw", raw_dir).exit_code == 0
    assert newstudy.read(path).rows["studies.csv"][0]["study_id"] == name
    wrong = call("add", "--template", tmp_path / "o.txt", "--like", "nobody", "--raw", raw_dir)
    assert wrong.exit_code == 2 and "nobody" in wrong.stderr


# --- the worked example of the guide -------------------------------------------------------------


def blocks(root) -> list[str]:
    text = (root / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return re.findall(r"(?ms)^```text\n(.*?)^```", text)


def test_the_example_of_the_guide_is_a_filled_template_of_a_real_study(tmp_path, tracked_raw):
    (block,) = (block for block in blocks(tracked_raw.parent.parent) if block.startswith("studies"))
    path = tmp_path / "example.txt"
    path.write_text(block, encoding="utf-8")
    given = newstudy.read(path)
    assert given.mistakes == ()
    real = newstudy.rows_of(given.rows["studies.csv"][0]["study_id"], tracked_raw)
    lent = ("cohort", "cohort_role", "source_url", "extraction", "seen_in")
    for name, rows in given.rows.items():
        for row in rows:
            typed = {c: v for c, v in row.items() if v and c not in lent}
            assert any(typed.items() <= other.items() for other in real[name]), (name, typed)


def test_the_example_of_the_guide_may_be_added_as_it_stands(tmp_path, tracked_raw):
    """But for the names of the study, which is there already."""
    (block,) = (block for block in blocks(tracked_raw.parent.parent) if block.startswith("studies"))
    for old, new in (("zang2022", "novel2026"), ("Zang L", "Novel N"), ("2022", "2026"),
                     ("s13287-022-02848-6", "novel"), ("NCT02302599", "NCT09999999")):  # fmt: skip
        block = block.replace(old, new)
    path = tmp_path / "example.txt"
    path.write_text(block, encoding="utf-8")
    plan = newstudy.plan(newstudy.read(path), tracked_raw)
    assert [str(mistake) for mistake in plan.mistakes] == []


def test_the_grid_of_the_guide_gives_the_rows_of_the_real_study(tracked_raw):
    from analysis.newstudy.guided import _cell

    (block,) = (block for block in blocks(tracked_raw.parent.parent) if block.startswith("grid"))
    first, *arms = block.strip().splitlines()
    about = [part.strip() for part in first.split("(Enter: no more):")[1].split(";")]
    months = about[5].split()
    real = newstudy.rows_of("zang2022", tracked_raw)["outcomes.csv"]
    assert len(arms) == 2
    for line in arms:
        arm = line.split(",")[0].strip()
        cells = line.split(":")[1].split(";")
        for month, text in zip(months, cells, strict=True):
            cell, fault = _cell(text.strip(), {"spread_kind": about[4]})
            assert fault is None
            wanted = {"arm": arm, "months": month, "outcome": about[0], "scale": about[1],
                      "unit": about[2], **cell}  # fmt: skip
            wanted.pop("p_text", None)
            assert any(wanted.items() <= row.items() for row in real), wanted


# --- files as people save them -----------------------------------------------------------------

CELLS = {"study_id": "zang2022", **OUTCOMES[1]}
COLUMNS = list(CELLS)


def sheet(delimiter=",", header=COLUMNS, above="", end="\n") -> str:
    rows = [list(header), [CELLS[column] for column in COLUMNS]]
    return above + end.join(delimiter.join(row) for row in rows) + end


@pytest.mark.parametrize(
    ("data", "line", "value", "allowed"),
    [
        (sheet(";").encode(), 1, "semicolons between the cells", "save it as csv"),
        (sheet("\t").encode(), 1, "tabs between the cells", "save it as csv"),
        (sheet().encode("utf-16"), 1, "UTF-16", "save it as csv"),
        (b"PK\x03\x04\x14\0" + bytes(range(200)), 1, "a workbook", "save it as csv"),
        (sheet(above="Trial 12\n").encode(), 1, "Trial 12", "delete what stands above line 2"),
        (sheet(header=[c.upper() for c in COLUMNS]).encode(), 1, "STUDY_ID", "in small letters"),
        (sheet(header=["Study ID", *COLUMNS[1:]]).encode(), 1, "Study ID", "write study_id"),
        (sheet().split("\n", 1)[1].encode(), 1, "zang2022", "a header: the first line names"),
        (sheet().encode() + "zäng".encode("cp1252"), 3, "ä in Windows-1252", "save it as csv"),
        (
            sheet().encode() + b"Total,40" + b"," * 12 + b"\n",
            3,
            "Total, 40",
            "delete a row of totals",
        ),
        (sheet().replace("1.0", '"1.0').encode(), 2, "end of data", "balanced double quotes"),
    ],
)
def test_a_spoilt_csv_is_one_mistake_in_the_words_of_check(
    tmp_path, raw_dir, data, line, value, allowed
):
    path = tmp_path / "outcomes.csv"
    path.write_bytes(data)
    (mistake,) = plan_of(path, raw_dir).mistakes
    assert mistake.where.startswith(f"outcomes.csv, line {line}")
    assert value in mistake.value and allowed in mistake.allowed


@pytest.mark.parametrize(
    ("name", "data", "value"),
    [
        ("new.txt", "studies:\n".encode("utf-16"), "UTF-16"),
        ("new.docx", b"PK\x03\x04\x14\0", "a workbook"),
        ("new.txt", b"{\\rtf1 studies:}", "rtf"),
        ("new.txt", sheet("\t").encode(), "(cells in columns)"),
    ],
)
def test_what_is_no_template_is_one_mistake_that_says_what_it_is(tmp_path, name, data, value):
    path = tmp_path / name
    path.write_bytes(data)
    (mistake,) = newstudy.read(path).mistakes
    assert value in mistake.value and "`column: value`" in mistake.allowed


@pytest.mark.parametrize("dash", ["–", "—", "•", "*"])
@pytest.mark.parametrize("blank", [" ", "\u00a0", "\t"])
def test_dashes_and_blanks_of_word_processors_are_those_of_the_template(tmp_path, dash, blank):
    path = tmp_path / "new.txt"
    path.write_text(f"studies:\n{blank * 2}{dash} study_id: a2020\n{blank * 4}title: T\n", "utf-8")
    given = newstudy.read(path)
    assert given.mistakes == ()
    assert {c: v for c, v in given.rows["studies.csv"][0].items() if v}["title"] == "T"
