"""What a reader may try on a headline: only posteriors of the run, told as the reader's choice."""

import re

import pytest

from analysis import outcomes
from analysis.report import choices as room
from analysis.report.choices import Choices, Nothing, Posterior, choices

HBA1C = ("hba1c", "cell_infusion", "t2d")


@pytest.fixture(scope="module")
def made(tracked_run):
    return tracked_run, choices(tracked_run, *HBA1C)


def test_every_study_of_the_headline_may_be_left_out_once(made):
    results, found = made
    table = results.rows("leave_one_out", outcome="hba1c", approach="cell_infusion",
                         population="t2d", design="controlled")  # fmt: skip
    assert len(found.studies) == len(table) > 1
    assert [one.label for one in found.studies] == sorted(one.label for one in found.studies)
    assert sorted(one.mean for one in found.studies) == sorted(table["mean"])


def test_an_analysis_differs_from_the_headline_in_one_thing_alone(made):
    results, found = made
    groups = dict(found.groups)
    assert "randomised trials alone" in {one.label for one in groups["Other evidence"]}
    specs = results.rows("multiverse", outcome="hba1c", approach="cell_infusion", population="t2d")
    (rules,) = (found for title, found in groups.items() if title.startswith("Other rules"))
    assert {one.mean for one in rules} <= set(specs["mean"])
    labels = [one.label for one in rules]
    assert len(labels) == len(set(labels)) > 3
    assert any(label.startswith("standard errors: ") for label in labels)


def test_other_priors_are_those_of_the_grid(made):
    results, found = made
    grid = results.rows("prior_grid", outcome="hba1c", approach="cell_infusion", population="t2d",
                        design="controlled")  # fmt: skip
    (priors,) = (own for title, own in found.groups if title.startswith("Other priors"))
    assert sorted(one.mean for one in priors) == sorted(grid["mean"])
    assert len({one.label for one in priors}) == len(grid)


def test_every_option_brings_its_words_and_places_within_the_picture(made):
    page = made[1]._repr_html_()
    options = re.findall(r'<option value="1" data-x="([^"]*)" data-told="([^"]*)"', page)
    assert len(options) == len(list(made[1]._every())) - 1
    for places, told in options:
        known = [float(place) for place in places.split() if place != "-"]
        assert len(places.split()) == 5 and len(known) in (3, 5)
        assert known[:3] == sorted(known[:3])
        assert all(0 <= place <= room.WIDE for place in known)
        assert re.search(r"\d to .*\d\).*stud(y|ies), \d+ patient", told)


def test_the_choice_is_hidden_until_a_script_can_serve_it_and_absent_in_print(made):
    page = made[1]._repr_html_()
    assert re.match(r'<div class="choice" [^>]*hidden>', page)
    assert "The headline:" in page and "Back to the headline" in page
    assert made[1]._repr_markdown_() == ""


def test_where_a_headline_has_no_mean_there_is_nothing_to_choose(made):
    nothing = choices(made[0], "c_peptide_ratio", "cell_infusion", "t2d")
    assert nothing == Nothing() and nothing._repr_html_() == nothing._repr_markdown_() == ""


@pytest.mark.parametrize("outcome", ["hba1c", "c_peptide_ratio"])
def test_hostile_names_stay_text_and_ratios_are_placed_by_their_logarithm(outcome):
    about = outcomes.get(outcome)
    low, high = about.shown(-1.0), about.shown(1.0)
    head = Posterior("x", about.neutral, low, high, low, high, 2, 20, 0.5)
    bad = Posterior('<i>"', about.neutral, low, high, float("nan"), float("nan"), 1, 9)
    made = Choices("<b>", outcome, head, (bad,), (("&", (bad,)),), (low, high))
    page = made._repr_html_()
    assert "<i>" not in page and "<b>:" not in page and "&lt;i&gt;&quot;" in page
    middle = (made._x(low) + made._x(high)) / 2
    assert made._x(about.neutral) == pytest.approx(middle, abs=0.01)
