"""The plain-language page: every sentence is easy, and none tells anybody to change treatment."""

import re

import pandas as pd
import pytest
from conftest import examples
from hypothesis import given
from hypothesis import strategies as st
from small_results import small

from analysis import results, vocabulary
from analysis.report import plain, readings, style

HARDEST = 8.0


def syllables(word: str) -> int:
    """Syllables of an English word: groups of vowels, a silent e at the end left out."""
    word = re.sub(r"[^a-z]", "", word.lower())
    if not word:
        return 1
    word = re.sub(r"(?<=[^aeiouyl])e$|(?<=[aeiouy][a-z])e$|es$|(?<=[^td])ed$", "", word) or word
    return max(1, len(re.findall(r"[aeiouy]+", word)))


def grade(sentence: str) -> float:
    """Reading grade of one sentence (Flesch and Kincaid 1975)."""
    words = re.findall(r"[A-Za-z0-9][A-Za-z0-9'.\-]*", sentence)
    return 0.39 * len(words) + 11.8 * sum(map(syllables, words)) / len(words) - 15.59


@pytest.fixture(scope="module")
def run():
    return small()


def page(run) -> str:
    """The whole page before its guidance, as read."""
    tables = plain.harm_table(run).text, plain.infusion_table(run).text
    parts = plain.harmed(run), tables[0], plain.seen(run), tables[1], plain.lasting(run)
    return "\n".join(parts)


def test_the_measure_of_reading_grade_knows_easy_from_hard():
    assert grade("The cat sat on the mat.") < 1
    assert (
        grade(
            "Unproven interventions characteristically necessitate considerable financial "
            "expenditure notwithstanding uninterpretable methodological documentation."
        )
        > 20
    )
    assert [syllables(w) for w in ("cell", "insulin", "people", "made", "harmed", "treated")] == [
        1,
        3,
        2,
        1,
        1,
        2,
    ]


def test_every_sentence_reads_at_grade_eight_or_easier(run):
    hard = {s: round(grade(s), 1) for s in plain.sentences(run) if grade(s) > HARDEST}
    assert not hard


def test_every_fixed_sentence_does_too_whatever_the_results():
    fixed = plain.text()
    fillings = {
        "k": "120",
        "n": "246",
        "cells": "grown islets",
        "months": "12",
        "type": "2",
        "size": "0.8",
        "direction": "lower",
        "low": "1.4 lower",
        "high": "0.3 higher",
        "word": "less",
        "middle": "0.4 lower",
        "matters": "0.2",
        "most": "12",
        "level": "0.03 to 0.10",
        "approach": "a reset of the immune system",
    }
    found = [
        text.format(**fillings)
        for name in (
            "first",
            "works",
            "islets",
            "reset",
            "infusion",
            "certainty",
            "lasts",
            "harm",
            "clinic",
            "questions",
            "trials",
        )
        for value in fixed[name].values()
        for text in (
            [value] if isinstance(value, str) else value if isinstance(value, list) else []
        )
        if isinstance(text, str)
    ]
    assert len(found) > 50
    assert not {s: round(grade(s), 1) for s in found if grade(s) > HARDEST}


def test_the_page_has_no_short_form_but_those_it_explains(run):
    told = f"{page(run)} {plain.guidance(run)}"
    assert set(re.findall(r"\b[A-Z]{2,}\b|\bHbA1c\b", told)) == {"HbA1c"}
    assert told.index("HbA1c shows the blood sugar") <= told.index("HbA1c")


def test_numbers_are_absolute_and_no_percent_sign_is_there(run):
    told = page(run)
    assert "9 of 9 people given grown islets" in told and "%" not in told
    assert (
        "At least 6 of 9 people given grown islets needed no insulin shots 12 months later" in told
    )


def test_deaths_are_named_with_their_denominators_and_how_they_were_judged(run):
    told = page(run)
    assert "3 people in these studies are known to have died" in told
    assert (
        "**New islets.** In one study, 2 of 9 people died. 1 of them died of an infection." in told
    )
    assert "cells were not the cause" in told and "does not say if the treatment" in told
    assert "5 of 7 groups do not say if anyone died" in told


def test_of_the_only_one_who_died_the_cause_stands_in_the_same_sentence(run):
    table = run.table("harm_events")
    own = table["event"].eq("death") & table["approach"].eq("islet_replacement")
    told = page(run.but(harm_events=table.assign(k=table["k"].where(~own, 1))))
    assert "1 of 9 people died, of an infection." in told


def test_other_harms_stand_in_a_table_and_silence_is_told_as_such(tracked_run):
    rows = {row[0]: row[1:] for row in plain.harm_table(tracked_run).rows}
    facts = tracked_run.rows("harm_facts", relation="any", arm="treated")
    for word, label in plain.text()["harm"]["rows"].items():
        own = facts[facts["event"] == word]
        if not own["k"].sum():
            assert label not in rows
            continue
        for approach, cell in zip(vocabulary.APPROACHES, rows[label], strict=True):
            of = own[own["approach"] == approach]
            assert (cell == "not told") == of.empty
            assert of.empty or cell.endswith(f"{of['k'].sum():.0f} of {of['n'].sum():.0f}")
            assert ("at least" in cell) == of["bound"].eq("at_least").any()


def test_infused_cells_are_told_in_a_table_with_range_and_trust(tracked_run):
    rows = plain.infusion_table(tracked_run).rows
    assert {row[0].split(",")[0] for row in rows} == {"HbA1c", "C-peptide", "Insulin dose"}
    assert all(" to " in row[2] and row[3] in plain.text()["infusion"]["trust"].values()
               for row in rows)  # fmt: skip


def test_a_person_told_alone_who_was_free_longer_is_named_as_that(tracked_run):
    alone = readings.longest_alone(tracked_run, "islet_replacement")
    told = " ".join(plain.lasts(tracked_run, plain.text()))
    assert f"One person with type {alone.kind}, told alone" in told
    assert f"for {alone.months:.0f} months" in told
    assert readings.longest_alone(tracked_run, "immune_reset") is None


def test_freedom_from_insulin_after_infused_cells_has_its_caveat(run):
    own = run.get(outcome="ever_insulin_free", approach="immune_reset", population="t1d",
                  quantity="pooled_share", scale="share")  # fmt: skip
    facts = run.table("share_facts")
    fact = facts.iloc[[0]].assign(outcome="ever_insulin_free", approach="cell_infusion")
    for population, said in (("t1d", "need little insulin anyway"), ("t2d", "Loss of weight")):
        row = {**own.drop("id").dropna().to_dict(), "approach": "cell_infusion"}
        made = results.estimates([row | {"population": population}])
        there = run.but(
            estimates=pd.concat([run.estimates, made], ignore_index=True),
            share_facts=pd.concat([facts, fact.assign(population=population)], ignore_index=True),
        )
        assert said in " ".join(plain.beside(there, plain.text()))


def test_without_results_the_page_says_what_no_one_knows(run):
    bare = run.but(estimates=run.estimates.iloc[:0]).without(*run.tables)
    told = page(bare)
    assert "No one knows how long it lasts" in told and "No study names a death" in told
    assert "Do not stop your insulin" in told


def test_follow_up_is_told_where_there_is_some(run):
    assert "watched long enough for 24 months" in page(run)


@examples(6, 300)
@given(mean=st.floats(-3, 3).filter(lambda x: abs(x) > 0.05))
def test_lower_is_said_only_of_what_is_lower(run, mean):
    table = run.estimates.copy()
    own = (table["outcome"] == "hba1c") & (table["variant"] == "headline")
    table.loc[own, ["mean", "ci_low", "ci_high"]] = [mean, mean - 1, mean + 1]
    told = plain.infusion_table(run.but(estimates=table)).text
    assert f"points {'lower' if mean < 0 else 'higher'} than without" in told


def test_warnings_questions_and_lists_of_trials_are_on_the_page(run):
    told = plain.guidance(run)
    assert "asks you to pay" in told and told.count("?\n") + told.count("?") >= 10
    assert "[ClinicalTrials.gov](https://clinicaltrials.gov)" in told and "7 trials" in told


def test_icons_are_as_many_as_the_people_counted(run):
    drawn = plain.arrays(run)
    assert (
        "Died, where the study says so (new islets)",
        2,
        9,
        False,
        "islet_replacement",
    ) in drawn
    figure = plain.icons(run)
    marks = [line for axes in figure.axes for line in axes.lines]
    filled = [m for m in marks if m.get_markerfacecolor() != style.WHITE]
    assert sum(len(m.get_xdata()) for m in marks) == sum(n for _, _, n, _, _ in drawn)
    assert sum(len(m.get_xdata()) for m in filled) == sum(k for _, k, _, _, _ in drawn)
    assert style.smallest_text(figure) >= style.SMALL


def test_an_unknown_language_is_refused():
    with pytest.raises(FileNotFoundError, match="plain_xx"):
        plain.text("xx")
