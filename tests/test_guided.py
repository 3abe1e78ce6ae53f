"""A study by questions: a whole trial in few answers, nothing lost, any step taken back."""

import csv
import re

import pytest
from conftest import every

from analysis import evidence as ev
from analysis import newstudy
from analysis.newstudy import guided as guided_module
from analysis.newstudy.dialogue import Back, Dialogue, Draft, Part, Quit

STUDY = "bhansali2014a"
DOI = "https://doi.org/10.3727/096368913X665576"
REVIEW = "https://pmc.ncbi.nlm.nih.gov/articles/PMC8178013/table/tab3"
BRACKET = "bracket x (y-z) not labelled in the abstract (layout of median (IQR))"
TIME = "time taken as the 12-month visit, not printed beside the number"


def study_answers(row: dict[str, str]) -> list[str]:
    """What is typed for the cells of studies.csv, in the order of the questions."""
    columns = list(ev.TABLES["studies.csv"])
    rest = [c for c in columns if c not in (*guided_module._FIRST, *guided_module._UNASKED)]
    taken = {  # Enter takes what is offered
        "study_id": "", "cohort": "", "cohort_role": "", "publication_kind": "", "include": "",
        "source_url": "",
    }  # fmt: skip
    asked = [c for c in (*guided_module._FIRST, *rest) if c != "exclusion_reason"]
    return [taken.get(column, row.get(column, "")) for column in asked]


# Lines as they are typed, however long.
# ruff: noqa: E501
def answers(row: dict[str, str]) -> list[str]:
    """Every answer for the trial: 22 facts as the grids, lines and changes of a person."""
    study = [a if a != STUDY else "" for a in study_answers(row)]
    study[guided_module._FIRST.index("study_id")] = STUDY
    return [
        *study,
        "",  # the arms as offered: treated=11 control=10
        # three grids: what each is about, then a line an arm
        f"insulin_dose; level; IU/day; unstated; unstated; 0 12; before_treatment; ; abstract; {BRACKET}",
        "42.0 (31.0 to 64.0); 14.0 (0.0 to 30.0) p=0.011 within",
        "40.5 (31.8 to 44.3); 27.5 (23.5 to 33.3) p=0.008 within",
        'insulin_dose; percent_change; ; ; none; 12; ; abstract; minus sign from "decreased by"',
        "-66.7 p=0.004 between",
        "-32.1 p=0.004 between",
        f"hba1c; level; %; ; unstated; 0 12; ; ; ; {BRACKET}; {TIME}",
        "6.9 (6.4 to 7.2); 7.1 (6.6 to 7.5) within",
        "6.9 (6.2 to 7.0); 7.0 (6.9 to 7.5) within",
        "",
        # results in words, a row a line
        "treated_vs_baseline; ; insulin_dose; 12; decrease; yes; 0.011; insulin requirement",
        "control_vs_baseline; ; ; ; decrease; yes; 0.008; insulin requirement; ; ; ; ; ; sham arm also fell",
        "treated_vs_control; ; ; 6; decrease; yes; 0.001; reduction of insulin requirement, between "
        "arms; ; ; ; ; ; no level printed at 6 months",
        "treated_vs_control; ; ; 12; decrease; yes; 0.004; reduction of insulin requirement, between arms",
        "treated_vs_baseline; ; hba1c; ; increase; no; ; HbA1c; ; ; ; ; ; modest rise, not significant; "
        "entry HbA1c below 7.5 %; time taken as study end",
        "control_vs_baseline; ; ; ; increase; no; ; HbA1c; ; ; ; ; ; modest rise, not significant; "
        "time taken as study end",
        "treated_vs_baseline; ; c_peptide_stimulated; ; increase; unstated; ; stimulated C-peptide; ; ; ; "
        "; contrast_not_stated; review table row Bhansali [43]; improvement, no test, contrast not "
        "stated; the paper abstract is cut before C-peptide",
        "",
        "treated; composite; insulin reduced by >=50 % with HbA1c <7 % (primary end point); 12; 9; ; ; "
        "9 of 11 (82%), p=0.002 vs control",
        "control; ; ; ; 0; ; ; none",
        "treated; hba1c; HbA1c <7 % maintained; ; 10; ; ; 10 of 11 (91%); in conflict with the printed "
        "centre 7.1 (6.6-7.5)",
        'control; ; ; ; 6; ; ; "6 out of 10", sentence cut in both excerpts',
        "",
        "",  # nobody became free of insulin
        'treated; any_adverse_event; "No obviously adverse reactions" (review wording); 0; ; ; ; ; any; '
        "A only, review table read again by the adjudicator; the paper's own safety text not seen",
        "",
        # what single rows have of their own
        "outcomes 7 notes: " + BRACKET + "; inclusion HbA1c <7.5%",
        "outcomes 9 notes: " + BRACKET + "; inclusion HbA1c <7.5%",
        "outcomes 2 p_text: 0.011 within arm; between arms 0.004 at 12 months (0.001 at 6 months)",
        "outcomes 4 p_text: 0.008 within arm; between arms 0.004 at 12 months (0.001 at 6 months)",
        "outcomes 5 p_text: 0.011 within arm; between arms 0.004",
        "outcomes 6 p_text: 0.008 within arm; between arms 0.004",
        "outcomes 8 p_text: nonsignificant vs baseline",
        "outcomes 10 p_text: nonsignificant vs baseline",
        "directions * extraction: single",
        "directions 7 seen_in: secondary",
        f"directions 7 source_url: {REVIEW}",
        "safety 1 extraction: single",
        "safety 1 seen_in: secondary",
        f"safety 1 source_url: {REVIEW}",
        f"studies population_fact: {row['population_fact']}",
        f"studies population_source: {row['population_source']}",
        "y",
    ]  # fmt: skip


def rows_in(folder) -> dict[str, list[dict[str, str]]]:
    return {
        name: sorted(newstudy.rows_of(STUDY, folder)[name], key=lambda r: str(sorted(r.items())))
        for name in newstudy.FILES
    }


@pytest.fixture
def without(raw_dir):
    """The evidence without the trial."""
    for name in (name for name, columns in ev.TABLES.items() if "study_id" in columns):
        path = raw_dir / name
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            kept = [row for row in reader if row["study_id"] != STUDY]
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, reader.fieldnames, lineterminator="\n")
            writer.writeheader()
            writer.writerows(kept)
    assert ev.check(raw_dir) == []
    return raw_dir


@pytest.fixture
def typed(tracked_raw):
    (row,) = (r for r in newstudy.likeness.present(tracked_raw) if r["study_id"] == STUDY)
    return answers(row)


def test_a_trial_of_23_rows_takes_at_most_90_answers(without, tracked_raw, call, typed):
    result = call("add", "--raw", without, input="\n".join(typed) + "\n")
    assert result.exit_code == 0, result.output
    assert len(typed) <= 90
    assert rows_in(without) == rows_in(tracked_raw)
    assert sum(len(rows) for rows in rows_in(tracked_raw).values()) == 23
    assert ev.check(without) == []
    assert not (without / newstudy.DRAFT).exists()


@pytest.mark.parametrize("stops", every(45, 1, 60))
def test_what_was_answered_is_not_asked_again(without, tracked_raw, call, typed, stops):
    first = call("add", "--raw", without, input="\n".join(typed[:stops]) + "\n")
    assert first.exit_code == 1 and "goes on from" in first.output
    second = call("add", "--raw", without, input="\n".join(typed[stops:]) + "\n")
    assert second.exit_code == 0, second.output
    assert "going on from the draft" in second.output
    assert rows_in(without) == rows_in(tracked_raw)


# --- the talk ------------------------------------------------------------------------------------


class Person:
    """Answers in order; without further answers the person leaves."""

    def __init__(self, *answers: str):
        self.answers, self.asked, self.told = list(answers), [], []

    def ask(self, question: str, default: str) -> str:
        self.asked.append((question, default))
        if not self.answers:
            raise Quit
        return self.answers.pop(0)

    def talk(self, path, explain=lambda key: "") -> Dialogue:
        return Dialogue(Draft(path), self.ask, self.told.append, explain)


PARTS = [
    Part("kind", lambda text: None if text in ("a", "b") else "a or b", above="b"),
    Part("size", lambda text: None if text.isdigit() else "a number", needed=True),
    Part("hidden", default=lambda row: f"of {row['size']}", silent=True),
    Part("text", free=True),
]


def told(person: Person, path, parts=PARTS):
    talk = person.talk(path)
    while True:
        talk.begin()
        try:
            return talk.row("rows 1", "kind", parts)
        except Back:
            continue


@pytest.mark.parametrize(
    "answers, row",
    [
        (["a", "3", "x; y"], {"kind": "a", "size": "3", "hidden": "of 3", "text": "x; y"}),
        (["a; 3; mine; x; y"], {"kind": "a", "size": "3", "hidden": "mine", "text": "x; y"}),
        (["; 3"], {"kind": "b", "size": "3", "hidden": "of 3", "text": ""}),
        (["a; three", "3"], {"kind": "a", "size": "3", "hidden": "of 3", "text": ""}),
        (["c", "a", "x", "", "3", ""], {"kind": "a", "size": "3", "hidden": "of 3", "text": ""}),
        (["a; 3; -; x"], {"kind": "a", "size": "3", "hidden": "", "text": "x"}),
        (["a", "4", "back", "3", ""], {"kind": "a", "size": "3", "hidden": "of 3", "text": ""}),
        (["b", "back", "a", "3", ""], {"kind": "a", "size": "3", "hidden": "of 3", "text": ""}),
        (["back", "?", "a", "3", "-"], {"kind": "a", "size": "3", "hidden": "of 3", "text": ""}),
        ([""], None),
    ],
)
def test_a_row_is_typed_cell_by_cell_or_in_a_line(tmp_path, answers, row):
    person = Person(*answers)
    assert told(person, tmp_path / "draft.txt") == row
    assert person.answers == []


def test_every_answer_is_in_the_draft_before_the_next_question(tmp_path):
    path = tmp_path / "draft.txt"
    seen = []

    class Watching(Person):
        def ask(self, question, default):
            seen.append(dict(Draft(path).answers))
            return super().ask(question, default)

    told(Watching("a", "3", "t: with a colon"), path)
    assert [len(answers) for answers in seen] == [0, 1, 3]
    assert Draft(path).answers["rows 1 text"] == "t: with a colon"
    again = Person()
    assert told(again, path)["text"] == "t: with a colon" and again.asked == []


def test_an_answer_that_may_no_longer_stand_is_asked_for_again_with_what_it_was(tmp_path):
    path = tmp_path / "draft.txt"
    told(Person("a", "3", ""), path)
    strict = [PARTS[0], Part("size", lambda text: None if text == "4" else "4"), *PARTS[2:]]
    person = Person("4")
    assert told(person, path, strict)["size"] == "4"
    assert person.asked == [("  size", "3")]


# --- a study -------------------------------------------------------------------------------------


def test_a_cell_of_the_grid_says_value_spread_size_and_p():
    def cell(text, kind="sd"):
        return guided_module._cell(text, {"spread_kind": kind})

    assert cell("7.5 ± 1.1, n=44, p<0.05 between")[0] == {
        "value": "7.5", "spread_kind": "sd", "spread": "1.1", "n": "44", "p_relation": "<",
        "p_value": "0.05", "p_text": "p<0.05", "p_contrast": "between",
    }  # fmt: skip
    assert cell("−0.5 (-1.2 to 0.3)", "ci95")[0] == {
        "value": "-0.5", "spread_kind": "ci95", "spread_low": "-1.2", "spread_high": "0.3"
    }  # fmt: skip
    assert cell("8 (1.5)")[0]["spread"] == "1.5"
    assert cell("<0.03")[0] == {"value": "", "spread_kind": "range", "spread_high": "0.03"}
    assert cell("8.1")[0] == {"value": "8.1", "spread_kind": "none"}
    assert cell("")[0] == {}
    for wrong in ("8,5 ± 1", "eight", "8 ± 1 what", "8 (1 to 2)", "p<0.05"):
        assert cell(wrong)[1] is not None
    assert "decimal point" in cell("8,5")[1]
    assert cell("8 ± 1", "iqr")[1] is not None


def start(without, *typed):
    """Guided questions with answers; what was asked and told."""
    person = Person(*typed)
    talk = newstudy.Guided(without, person.ask, person.told.append)
    with pytest.raises(Quit):
        talk.submission()
    return person


def test_a_study_that_is_there_is_named_when_its_identifier_is_typed(without):
    known = next(r for r in newstudy.likeness.present(without) if r["registry_id"])
    person = start(without, "", "", "", known["registry_id"])
    assert any(f"note: {known['study_id']} of cohort" in line for line in person.told)
    (without / newstudy.DRAFT).unlink()
    assert not any(line.startswith("note") for line in start(without, "10.1000/new").told)


def test_the_key_and_cohort_are_offered(without, tracked_raw):
    person = start(without, "10.1000/new", "", "", "", "de Koning E", "2031", "A title")
    assert person.asked[-1][1] == "dekoning2031"
    known = next(r for r in newstudy.likeness.present(without) if r["registry_id"])
    (without / newstudy.DRAFT).unlink()
    talk = newstudy.Guided(without, person.ask, person.told.append)
    study = {"registry_id": known["registry_id"], "study_id": "new"}
    assert talk._study_default("cohort", study) == known["cohort"]
    assert talk._study_default("cohort_role", study) == "follow_up"


def test_a_question_is_explained_by_the_dictionary(without):
    person = start(without, "?")
    assert "doi: DOI" in person.told


def test_wrong_cells_are_asked_for_again_and_the_rest_is_kept(without, tracked_raw, call, typed):
    wrong = list(typed)
    place = next(i for i, a in enumerate(wrong) if a.startswith("40.5"))
    wrong[place] = wrong[place].replace("23.5 to 33.3", "53.5 to 63.3")  # the value is outside
    last = next(i for i, a in enumerate(wrong) if a.startswith("outcomes 7 notes"))
    result = call("add", "--raw", without, input="\n".join(wrong[:last]) + "\n")
    assert result.exit_code == 1 and "not below spread_low" in result.output
    assert (without / newstudy.DRAFT).exists()
    faults = len(re.findall(r"^your answers, outcomes row 4", result.output, re.M))
    mends = ["outcomes 4 spread_low: 23.5", "outcomes 4 spread_high: 33.3"][: max(faults, 2)]
    # A change after the rows were shown alters an oddity: it is told, and asked once more.
    result = call("add", "--raw", without, input="\n".join([*mends, *wrong[last:], "y"]) + "\n")
    assert result.exit_code == 0, result.output
    assert rows_in(without) == rows_in(tracked_raw)


def test_a_refusal_keeps_the_answers(without, call, typed):
    last = next(i for i, a in enumerate(typed) if a.startswith("outcomes 7 notes"))
    before = (without / "studies.csv").read_bytes()
    result = call("add", "--raw", without, input="\n".join([*typed[:last], "n"]) + "\n")
    assert result.exit_code == 1 and "kept in" in result.output
    assert (without / "studies.csv").read_bytes() == before
    result = call("add", "--raw", without, "--dry-run")
    assert result.exit_code == 0 and "nothing was written" in result.output
    result = call("add", "--raw", without, "--fresh", input="\n")
    assert "the earlier draft is now" in result.output
    assert (without / ".draft.old.txt").exists()


def test_changes_reach_ranges_of_rows_and_drop_rows(without, typed):
    last = next(i for i, a in enumerate(typed) if a.startswith("outcomes 7 notes"))
    person = Person(*typed[:last])
    talk = newstudy.Guided(without, person.ask, person.told.append)
    assert len(talk.submission().rows["outcomes.csv"]) == 10
    for change in ("outcomes 2-4 location: table 3", "outcomes 1 drop", "safety * bound: at_least"):
        person.answers.append(change)
        assert talk.change("change", ("y",)) == "changed"
    given = talk.submission()
    assert given.numbers["outcomes.csv"] == list(range(2, 11))
    assert [r["location"] for r in given.rows["outcomes.csv"]][:4] == ["table 3"] * 3 + ["abstract"]
    assert given.rows["safety.csv"][0]["bound"] == "at_least"
    person.answers += ["outcomes 3 colour: red", "outcomes 3 n: many", "what", "Y"]
    assert talk.change("change", ("y",)) == "y"


def test_faulty_evidence_is_told_before_the_first_question(without, call):
    path = without / "studies.csv"
    path.write_text(path.read_text("utf-8").replace(",T1D,", ",T3D,", 1), "utf-8")
    result = call("add", "--raw", without, input="")
    assert result.exit_code == 1 and "T3D" in result.stderr
    assert not (without / newstudy.DRAFT).exists()
