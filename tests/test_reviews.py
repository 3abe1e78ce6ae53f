"""Earlier reviews: named by what was printed, in words, with units and one convention of signs."""

import re

import pytest

from analysis.report import figures, tables, words


@pytest.fixture(scope="module")
def run(tracked_run):
    return tracked_run


@pytest.fixture(scope="module")
def table(run):
    return tables.published(run)


def column(table, name: str) -> list[str]:
    return [str(row[table.columns.index(name)]) for row in table.rows]


def test_no_review_is_called_by_its_key_nor_by_a_guess_from_it(run, table):
    rows = run.evidence.published.to_dict("records")
    for row, shown in zip(rows, column(table, "Review"), strict=True):
        assert row["study_id"] not in shown and "_" not in shown
        if not row["first_author"]:
            assert shown.startswith("authors not seen")
            site = shown.rpartition("(")[2].rstrip(")")
            assert site in row["source_url"]


def test_a_year_stands_only_where_it_was_printed(run, table):
    rows = run.evidence.published.to_dict("records")
    for row, shown in zip(rows, column(table, "Review"), strict=True):
        assert bool(re.search(r"\b(19|20)\d\d\b", shown)) == words.known(row["year"])


def test_a_difference_of_means_has_its_unit_or_says_that_none_was_printed(run, table):
    rows = run.evidence.published.to_dict("records")
    seen = set()
    for row, shown in zip(rows, column(table, "Measure"), strict=True):
        if row["measure"].startswith("MD"):
            assert ", " in shown
            assert ("unit not printed" in shown) == (row["unit"] == "")
            seen.add(row["unit"])
        assert not re.search(r"\b(S?MD|RR)\b", shown)
    assert len(seen) > 1


def test_signs_follow_one_convention_and_the_printed_ones_stand_beside(run, table):
    rows = run.evidence.published.to_dict("records")
    turned = 0
    for row, pooled, printed in zip(
        rows, column(table, "Pooled"), column(table, "As printed"), strict=True
    ):
        if words.known(row["estimate_signed"]):
            assert pooled == words.number(row["estimate_signed"])
            turned += row["estimate_signed"] != row["estimate"]
            if row["estimate_signed"] != row["estimate"]:
                assert printed.startswith(words.number(row["estimate"]))
    assert turned


def test_the_wording_of_reviews_holds_no_short_form(table):
    for name in ("Patients with", "Comparison", "Outcome"):
        left = [cell for cell in column(table, name) if re.search(r"\b[A-Z]{2,}\b|\bvs\b", cell)]
        assert not left


def test_a_review_that_does_not_say_what_it_compared_is_drawn_in_no_group(run):
    for title, rows in figures.robustness.review_rows(run)[:2]:
        assert rows, title
        assert not [who for who, *_ in rows if who == "Zhang 2020"]
