"""Thousands of slips in the tracked tables: never a traceback, the named ones never silent."""

import re
from collections import Counter

import mutations
import pytest


@pytest.fixture(scope="module")
def every():
    return list(mutations.mutations(mutations.tables()))


def silent(verdicts):
    return [
        f"{mutation.kind.name}: {mutation.kind.table}:{mutation.row + 2} ({mutation.study}): "
        f"{dict(mutation.cells)}"
        for mutation, verdict in verdicts
        if mutation.kind.named and verdict == mutations.ACCEPTED
    ]


def test_there_are_thousands_of_mutations_and_every_kind_fits_somewhere(every):
    assert len(every) >= 6000
    tried = Counter(mutation.kind.name for mutation in every)
    assert set(tried) == {kind.name for kind in mutations.KINDS}
    assert len({kind.name for kind in mutations.KINDS}) == len(mutations.KINDS)


def test_a_sample_of_the_named_slips_is_never_silent(every):
    """All of them are tried by the slow test below."""
    named = [mutation for mutation in every if mutation.kind.named]
    assert silent(mutations.judged(named[::75])) == []


def test_the_page_lists_every_kind_with_what_it_does():
    page = mutations.DOC.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.+?) \| (yes|) \|", page, re.MULTILINE)
    assert [row[:3] for row in rows] == [
        (kind.name, kind.table.removesuffix(".csv"), kind.what) for kind in mutations.KINDS
    ]
    assert [row[3] == "yes" for row in rows] == [kind.named for kind in mutations.KINDS]


@pytest.mark.slow
def test_no_named_slip_is_silent_and_the_page_is_in_step(every):
    verdicts = mutations.judged(every)
    assert silent(verdicts) == []
    assert mutations.DOC.read_text(encoding="utf-8") == mutations.table(verdicts)
