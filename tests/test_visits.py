"""One count of people has one label of its visit, wherever the report shows it."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import outcomes
from analysis.report import chapters, claims_page, figures, load, page_one, readings, visits


def facts(*months: float, outcome: str = "insulin_free_12") -> pd.DataFrame:
    return pd.DataFrame({"outcome": outcome, "month": months})


def test_the_months_of_counts_are_named_once():
    assert visits.when(facts(12.0)) == "at 12 months"
    assert visits.when(facts(6.0, 6.2)) == "at 6 months"
    assert visits.when(facts(6.0, 13.6)) == "at 6 to 14 months"
    assert visits.when(facts(1.0)) == "at 1 month"


def test_counts_without_a_month_are_never_given_that_of_others():
    assert visits.when(facts(np.nan)) == "at any time"
    assert visits.when(facts(6.0, np.nan)) == "at 6 months or at any visit"
    throughout = facts(np.nan, outcome="free_of_severe_hypoglycaemia")
    assert visits.when(throughout) == "over the follow-up"


def test_the_visit_stands_with_the_name_and_before_its_denominator():
    about = outcomes.get("insulin_free_12")
    assert visits.named(about.noun, about.name, facts(6.0)) == "free of insulin at 6 months"
    assert (visits.named(about.finding, about.name, facts(6.0))
            == "Free of insulin at 6 months, of all treated")  # fmt: skip
    assert visits.named(about.title, about.name, facts()) == about.title
    ever = outcomes.get("ever_insulin_free")
    assert visits.named(ever.noun, ever.name, facts(np.nan)) == ever.noun


@given(st.lists(st.floats(0.6, 200), min_size=1, max_size=6))
def test_the_label_spans_every_month(months):
    told = [int(word) for word in visits.months(facts(*months)).split(" to ")]
    assert told[0] - 0.51 <= min(months) and max(months) <= told[-1] + 0.51


@pytest.fixture(scope="module")
def run(tracked_run):
    return tracked_run


def later(results):
    """The run with every visit one month later: no label of it is typed."""
    moved = load(results.out)
    table = results.table("share_facts")
    moved._read["share_facts"] = table.assign(month=table["month"] + 1)
    return moved


def places(results, cards, outcome: str, approach: str, population: str) -> list[str]:
    """Every text of the report, and of the cards of its first page, that names a count's visit."""
    of_findings = dict(claims_page.findings_of(results, approach, population))
    about = outcomes.get(outcome)
    drawn = figures.shares(results, approach, population, (outcome,))
    return [
        chapters.shares(results, approach, population, outcome),
        *(title for title in of_findings if title.startswith(about.finding.split(" at ")[0])),
        next(text.get_text() for text in drawn.texts),
        next(text.get_text() for text in drawn.axes[0].texts),
        *(line.label for card in cards for line in card.lines
          if line.id.startswith(f"{outcome}:{approach}:{population}")),
    ]  # fmt: skip


@pytest.mark.parametrize("moved", [False, True])
def test_cards_sentences_findings_and_figures_name_one_visit(run, moved):
    results = later(run) if moved else run
    cards = page_one.cards(results).cards
    seen = 0
    for approach, population in page_one.CARDS:
        own = readings.counted(results, "insulin_free_12", approach, population)
        if own.empty:
            continue
        for text in places(results, cards, "insulin_free_12", approach, population):
            assert visits.when(own) in " ".join(text.split()), text
            seen += 1
    assert seen >= 16
