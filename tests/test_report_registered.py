"""What the report says and draws of registered trials, on invented tables of the stage."""

import dataclasses
import math
import re

import pandas as pd
import pytest
from conftest import every
from test_registered import with_trials
from test_stage_registered import ONGOING, Body, results_of

from analysis import claims, results, verdicts
from analysis import registered as rg
from analysis.report import registered_text as text
from analysis.report import style
from analysis.report.figures import registered as figures
from analysis.report.tables import registered as tables
from analysis.report.text import Markdown
from analysis.report.words import SPACE
from analysis.stages import registered as stage

EVERY_TEXT = (
    text.when,
    text.in_short,
    text.coming,
    text.worth,
    text.never_told,
    text.selective,
    text.switching,
)
EVERY_TABLE = (tables.ongoing, tables.value, tables.silence, tables.silent_trials,
               tables.switching, tables.coming)  # fmt: skip
EVERY_FIGURE = (figures.timeline, figures.told)


class Told:
    """Results of a run that hold these tables alone."""

    def __init__(self, evidence, found):
        self.evidence, self.found = evidence, found

    def table(self, name):
        found = self.found.get(name, results.TABLES[name].empty())
        return results.checked(name, found)

    def has(self, name):
        return not self.table(name).empty


def results_on(evidence, trials, search=(), *, headline=False):
    """Results of the stage on these trials; with one invented headline of HbA1c, or with none."""
    made = with_trials(evidence, *trials, search=search)
    body = Body(made, results_of() if headline else results_of().iloc[:0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "Body", lambda found: body)
        return Told(made, stage.run(made).tables)


@pytest.fixture
def told(evidence):
    """A function: results of the stage on these trials, without a headline they speak for."""
    return lambda *trials, search=(): results_on(evidence, trials, search)


@pytest.fixture(scope="module")
def many(evidence):
    """Results of the stage on trials of every kind, with a headline."""
    return results_on(evidence, MANY, headline=True)


def due(month, **more):
    return {**ONGOING, "primary_completion": month, **more}


# --- sentences ------------------------------------------------------------


def test_when_we_will_know_is_told_by_trials_with_a_control_group(told):
    said = text.when(
        told(
            due("2026-05"), due("2027-05", n_planned=120.0), due("2029-02"),
            due("2026-12", design="single_arm", cell_class="psc_islet"),
        )
    )  # fmt: skip
    assert isinstance(said, Markdown)
    assert "4 trials" in said and "3 state a control group" in said
    assert "the next is due in May 2027 and the last in February 2029; 1 is past the date" in said
    assert "The largest has 120 patients, fewer than the 400" in said
    assert "No trial of islet replacement or immune reset states one" in said
    assert "28 November 2026" in said


def test_page_one_says_how_many_can_answer_when_and_whether_they_are_large_enough(told):
    said = text.in_short(
        told(due("2027-05", n_planned=400.0), due("2026-05"), due("2026-12", design="single_arm"))
    )
    assert "Of 3 trials" in said and "2 have a control group" in said and "May 2027" in said
    assert "one of these will hold 400 patients" in said and "28 November 2026" in said
    alone = text.in_short(told(due("2027-05", design="single_arm")))
    assert "Of 1 trial " in alone and "none have a control group" in alone and "400" not in alone


def test_large_trials_and_all_approaches_drop_the_reservations(told):
    said = text.when(
        told(
            due("2027-05", n_planned=400.0), due("2028-01", cell_class="ahsct"),
            due("2028-01", cell_class="psc_islet"),
        )
    )  # fmt: skip
    assert "fewer than" not in said and "states one" not in said and "past" not in said


def test_without_a_control_group_no_answer_is_in_sight(told):
    said = text.when(told(due("2027-05", design="single_arm")))
    assert "No answer is in sight" in said and "1 trial registered" in said


def test_controlled_trials_without_a_date_ahead_say_so(told):
    said = text.when(told(due("2026-05"), due("", study_completion="")))
    assert "none of them has a date ahead; 1 is past the date" in said


def test_trials_without_a_size_are_not_given_one(told):
    said = text.when(told(due("2027-05", n_planned=math.nan)))
    assert "None states a size" in said and "–" not in said


def test_what_is_coming_names_every_approach_and_those_without_a_trial(told):
    said = text.coming(told(due("2027-05"), due("2028-05", design="single_arm", masked="no")))
    assert "cell infusion: 2 trials with 80 patients, 1 with a control group, 1 masked" in said
    assert "immune reset: no trial" in said and "islet replacement: no trial" in said


def test_a_trial_under_way_whose_first_results_are_published_says_so(evidence):
    study = evidence.studies.set_index("study_id").loc["madani2021"]
    trials = [due("2027-05", results="published", study_ids="madani2021"), due("2028-05")]
    rows = tables.ongoing(results_on(evidence, trials)).text
    assert f"first results published: {study['first_author'].split()[0]} 2021" in rows
    assert "nothing found" in rows


def test_what_trials_are_worth_is_told_alone_and_together(evidence):
    trials = due("2027-05", n_planned=20.0), due("2028-05", n_planned=300.0)
    said = text.worth(results_on(evidence, trials, headline=True))
    assert "NCT00000002" in said and "NCT00000001" not in said
    assert "together" in said and "%" in said
    alone = text.worth(results_on(evidence, trials[:1], headline=True))
    assert "together" not in alone and "NCT00000001" in alone


def test_trials_never_told_are_counted_three_ways_and_the_largest_is_named(told):
    said = text.never_told(
        told(
            {"n_actual": 500.0}, {"results": "published"}, {"results": "press"}, {},
            search=[("NCT00000004", "probably_published")],
        )
    )  # fmt: skip
    low, high = rg.wilson(2, 4)
    assert "Of 4 trials found by topic" in said and "2 have no report" in said
    shares = f"50 %, 95 % interval {100 * low:.0f} % to {100 * high:.0f} %"
    assert shares in said.replace(SPACE, " ")
    assert "540 of 620 patients" in said
    assert "certain reports alone it is 3" in said and "told, 1" in said
    assert "NCT00000001, holds 500" in said and "cell infusion: 2 of 4" in said


@pytest.mark.parametrize(
    ("silent", "steps"),
    [(300.0, "so it is for cell infusion in type 1 diabetes"), (10.0, "for none.")],
)
def test_more_than_half_of_the_patients_untold_counts_for_certainty(told, silent, steps):
    said = text.selective(told({"n_actual": silent}, {"n_actual": 100.0, "results": "published"}))
    assert steps in said


def test_switched_outcomes_are_counted_from_the_table(told):
    results_ = told(due("2027-05"))
    table = results_.table("outcome_switching")
    same, other = ((table["matches"] == word).sum() for word in ("yes", "no"))
    said = text.switching(results_)
    assert f"{same + other} could be compared" in said
    assert f"{same} report the same one and {other} another" in said
    results_.found["outcome_switching"] = table[table["matches"] != "no"]
    assert "none another" in text.switching(results_)


@pytest.mark.parametrize("say", EVERY_TEXT)
def test_without_tables_every_sentence_is_still_one(evidence, say):
    said = say(Told(evidence, {}))
    assert isinstance(said, Markdown) and said.endswith(".")


@pytest.fixture(scope="module")
def nobody(evidence):
    """Results of the stage where no trial is registered."""
    none = dataclasses.replace(evidence, registered_trials=evidence.registered_trials.iloc[:0])
    return Told(none, stage.run(none).tables)


@pytest.mark.parametrize("say", EVERY_TEXT)
def test_a_table_without_trials_is_told_too(nobody, say):
    assert say(nobody).endswith(".")


@pytest.mark.parametrize(
    ("printed", "words"),
    [("2027-05", "May 2027"), ("2026-11-28", "28 November 2026"), ("2027", "2027"), ("", "")],
)
def test_dates_are_told_in_words(printed, words):
    assert text.date(printed) == words


# --- tables and figures ------------------------------------------------------------

MANY = (
    due("2027-05"), due("2026-05", cell_class="psc_islet", design="single_arm"),
    due("", study_completion="", diabetes_type="not_stated", onset_group=""),
    due("2029", cell_class="ahsct", n_planned=math.nan),
    due("2028-03-01", title="<script>|`x`", sponsor="A & B", n_planned=300.0), {},
    {"results": "published", "cell_class": "ahsct"}, {"results": "press"},
)  # fmt: skip


@pytest.fixture(params=["made", "read back"])
def either(request, many, tmp_path):
    """The results as the stage made them, and as plain CSV reads them back."""
    if request.param == "made":
        return many
    for name, table in many.found.items():
        results.write(tmp_path, name, table)
    return Told(many.evidence, {name: pd.read_csv(tmp_path / f"{name}.csv") for name in many.found})


@pytest.mark.parametrize("make", EVERY_TABLE)
def test_every_table_has_rows_that_are_shown_in_both_forms(either, make):
    table = make(either)
    assert table.columns != ("Note",) and table.rows
    assert not re.search(r"\bnan\b", table.text) and "<script>" not in table._repr_html_()
    assert all(len(row) == len(table.columns) for row in table.rows)


def test_the_list_of_trials_says_what_is_past_and_who_has_no_control_group(many):
    table = tables.ongoing(many)
    shown = {str(row[0]): dict(zip(table.columns, row, strict=True)) for row in table.rows}
    past, undated = shown["NCT00000002"], shown["NCT00000003"]
    assert past["Due"] == "May 2026 (past)" and past["Control group"].startswith("no")
    assert undated["Due"] == "not stated" and undated["Patients with"] == "not stated"


@pytest.mark.parametrize("make", EVERY_TABLE)
def test_without_tables_every_table_says_so(evidence, make):
    assert make(Told(evidence, {})).columns == ("Note",)


@pytest.mark.parametrize("draw", EVERY_FIGURE)
@pytest.mark.parametrize("trials", every(MANY[:1], MANY[5:6], MANY, fast=2))
def test_every_figure_is_drawn_small_and_large(told, draw, trials):
    style.apply()
    svg = style.as_svg(draw(told(*trials)))
    assert svg.count("<text") > 0


def test_the_timeline_names_every_ongoing_trial_with_its_size_and_the_day(many):
    style.apply()
    svg = style.as_svg(figures.timeline(many))
    for name in ("NCT00000001", "NCT00000005", "28 November 2026", "300", "undated"):
        assert name in svg
    assert "NCT00000006" not in svg


def test_the_picture_of_untold_trials_counts_as_the_text_does(many):
    style.apply()
    svg = style.as_svg(figures.told(many))
    assert "2 of 2 without a report" in svg and "0 of 1 without a report" in svg


@pytest.mark.parametrize(
    ("printed", "year"), [("2026-12-31", 2027.0), ("2026", 2027.0), ("2026-06", 2026.5)]
)
def test_a_date_on_the_axis_is_the_end_of_what_it_names(printed, year):
    assert figures.year_of(printed) == pytest.approx(year, abs=0.01)


# --- claims ------------------------------------------------------------


def claim(evidence, name, found=()):
    table = claims.table(results.estimates([]), dict(found), evidence)
    return table.set_index("claim_id").loc[name]


def test_genuine_trials_are_those_under_way_with_their_rows(evidence):
    row = claim(
        with_trials(evidence, due("2027-05"), {"status": "suspended"}, {}), "trials_to_follow"
    )
    assert (row["value"], row["n_patients"], row["verdict"]) == (2, 80, verdicts.SHOWN)
    assert row["source_rows"].count("registered_trials:") == 2
    assert "2 of them have a control group, 2 are masked" in row["caveat"]


def test_without_an_ongoing_trial_there_is_none_to_follow(evidence):
    row = claim(with_trials(evidence, {}), "trials_to_follow")
    assert (row["value"], row["verdict"]) == (0, verdicts.CONTRADICTED)


def test_the_need_of_large_trials_names_the_largest_one_to_come(evidence):
    trials = (due("2027-05", n_planned=90.0), due("2027-05", design="single_arm", n_planned=900.0))
    row = claim(with_trials(evidence, *trials), "trials_needed")
    assert "the largest of 1 ongoing trials with a control group has 90 patients" in row["caveat"]
    assert row["source_rows"].startswith("registered_trials:")
    bare = claim(with_trials(evidence, {}), "trials_needed")
    assert "no ongoing trial has a control group" in bare["caveat"]
