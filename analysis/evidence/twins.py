"""One study under two ids, and one arm under two names: what is too alike to be two things."""

import difflib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_lowercase, digits

import numpy as np
import pandas as pd

from analysis.evidence.faults import Fault
from analysis.evidence.loading import Evidence
from analysis.evidence.reading import Table
from analysis.evidence.schema import Row, blank, number_of, word_of, words_of

EQUAL_NUMBERS = 2
"""So many equal means with equal spreads make two studies one."""

NEARLY = 0.95
"""Titles that are so alike are nearly the same."""


@dataclass(frozen=True)
class _Look:
    """What a study is compared by, made once a study."""

    row: Row
    cohort: str
    title: str
    letters: np.ndarray
    surname: str
    numbers: set
    page: str
    """Its address, where that may tell it: it is of two studies, and not second-hand."""
    size: tuple
    kind: tuple


def twins(evidence: Evidence) -> Iterator[Fault]:
    """Studies of different cohorts that look like one study, and arms that look like one arm."""
    studies = evidence.rows("studies.csv")
    declared = {
        frozenset((row["cohort"], other))
        for row in studies
        for other in words_of(row["overlaps_with"])
    }
    numbers = _numbers(evidence.rows("outcomes.csv"))
    addresses = _addresses(studies)
    looks = [_look(row, numbers, addresses) for row in studies]
    table = Table("studies.csv")
    for i, later in enumerate(looks):
        for first in looks[:i]:
            found = _shared(first, later)
            if found is None or later.cohort == first.cohort:
                continue
            if frozenset((later.cohort, first.cohort)) in declared:
                continue
            column, fact = found
            place = f"{first.row['study_id']} (studies.csv:{first.row['line']}) of another cohort"
            yield table.fault(later.row, column, f"{fact} as {place}: one study under two ids?")
    yield from _arms(evidence)
    yield from _copied(evidence)


def _look(row: Row, numbers: Mapping[str, set], addresses: set[str]) -> _Look:
    size = row["n_treated"], None if blank(row["n_control"]) else row["n_control"]
    second_hand = row["seen_in"] == "secondary"
    page = word_of(row, "source_url")
    title = _plain(word_of(row, "title"))
    return _Look(
        row,
        cohort=word_of(row, "cohort"),
        title=title,
        letters=_letters(title),
        surname=_surname(word_of(row, "first_author")),
        numbers=numbers.get(word_of(row, "study_id"), set()),
        page="" if second_hand or page not in addresses else page,
        size=size,
        kind=tuple(row[column] for column in ("diabetes_type", "cell_class", "design")),
    )


def _plain(text: str) -> str:
    """Small letters and digits without accents: for comparing what two people typed."""
    letters = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", " ", letters.lower()).strip()


def _letters(text: str) -> np.ndarray:
    """How often each letter, digit and the space stand in a plain text: (37,)."""
    return np.array([text.count(letter) for letter in ascii_lowercase + digits + " "])


def _nearly(first: _Look, later: _Look) -> bool:
    """Whether two titles are nearly the same; their lengths and letters rule most pairs out."""
    lengths = len(first.title), len(later.title)
    needed = NEARLY * sum(lengths) / 2
    if min(lengths) <= needed or np.minimum(first.letters, later.letters).sum() <= needed:
        return False
    return difflib.SequenceMatcher(None, later.title, first.title, False).ratio() > NEARLY


def _surname(author: str) -> str:
    name = re.sub(r"\(.*?\)", "", author).strip()
    return _plain(re.sub(r"( [A-Z]{1,3}\.?| [A-Z]-[A-Z])+$", "", name))


def _numbers(outcomes: Sequence[Row]) -> Mapping[str, set]:
    """Study -> its means with spreads, as what they are and how large: equal only by copying."""
    found: defaultdict[str, set] = defaultdict(set)
    for row in outcomes:
        spread = (row["spread"], row["spread_low"], row["spread_high"])
        if not blank(row["value"]) and not all(map(blank, spread)) and row["value"] != 0:
            key = (row["outcome"], row["scale"], row["months"], row["value"])
            found[str(row["study_id"])].add(key + tuple(-1.0 if blank(s) else s for s in spread))
    return found


def _addresses(studies: list[Row]) -> set[str]:
    """Addresses that one study alone, or one pair alone, was read from."""
    counts = pd.Series([row["source_url"] for row in studies]).value_counts()
    return set(counts[counts == 2].index)


def _shared(first: _Look, later: _Look) -> tuple[str, str] | None:
    """The column and the fact in which two studies are too alike, if there is one."""
    if first.numbers and later.numbers:
        equal = first.numbers & later.numbers
        if len(equal) >= EQUAL_NUMBERS:
            shown = ", ".join(f"{key[3]:g}" for key in sorted(equal, key=str)[:3])
            return "study_id", f"{len(equal)} equal means with equal spreads ({shown})"
    title, other = later.title, first.title
    if len(title) > 20 and title == other:
        return "title", "the same title"
    if len(title) > 40 and _nearly(first, later):
        return "title", "nearly the same title"
    if later.page and later.page == first.page:
        return "source_url", "the same address"
    if later.surname and later.surname == first.surname:
        close = abs(number_of(later.row, "year") - number_of(first.row, "year")) <= 1
        if close and later.size == first.size and later.kind == first.kind:
            return (
                "first_author",
                "the same first author, size, design and product, and nearly the year",
            )
    return None


# --- arms ----------------------------------------------------------------------------------------


def _arms(evidence: Evidence) -> Iterator[Fault]:
    """Arms of one study whose names differ by a slip only."""
    arms: dict[str, dict[str, tuple[str, Row]]] = defaultdict(dict)
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for name in ("outcomes", "directions", "responders", "independence", "safety"):
        for row in evidence.rows(f"{name}.csv"):
            arms[row["study_id"]].setdefault(row["arm"], (f"{name}.csv", row))
            counts[(row["study_id"], row["arm"])] += 1
    for study, named in arms.items():
        names = sorted(named, key=lambda arm: (-counts[(study, arm)], arm))
        for i, rarer in enumerate(names):
            for other in names[:i]:
                if _slip(rarer, other):
                    (file, row), (other_file, other_row) = named[rarer], named[other]
                    place = f"{other_file}:{other_row['line']}"
                    text = f"is it {other} ({place})? the names differ by a slip"
                    yield Table(file).fault(row, "arm", text)


def _copied(evidence: Evidence) -> Iterator[Fault]:
    """Arms of one study with the same means and spreads before treatment and after it."""
    found: dict[tuple[str, str], dict[tuple, Row]] = defaultdict(dict)
    for row in evidence.rows("outcomes.csv"):
        spread = (row["spread"], row["spread_low"], row["spread_high"])
        if not blank(row["value"]) and not all(map(blank, spread)):
            key = (row["outcome"], row["scale"], row["months"], row["value"])
            key += tuple(-1.0 if blank(s) else s for s in spread)
            found[row["study_id"], row["arm"]][key] = row
    arms = sorted(found)
    for i, (study, arm) in enumerate(arms):
        for before in arms[:i]:
            same = found[study, arm].keys() & found[before].keys() if before[0] == study else ()
            later = sorted(key for key in same if key[2] != 0)
            if len(same) >= EQUAL_NUMBERS and later:
                row, other = found[study, arm][later[0]], found[before][later[0]]
                yield Table("outcomes.csv").fault(
                    row, "value",
                    f"{len(same)} means with their spreads are those of {before[1]} "
                    f"(outcomes.csv:{other['line']}), before treatment or after it: copied?",
                )  # fmt: skip


def _slip(one: str, other: str) -> bool:
    """Whether two arms of one study have names that differ by a slip of typing."""
    kind = one.partition("_")[0]
    if kind != other.partition("_")[0] or kind == "patient":
        return False
    plain = [re.sub(r"[_.]", "", arm.lower()) for arm in (one, other)]
    if plain[0] == plain[1]:
        return True
    if re.findall(r"\d+", one) != re.findall(r"\d+", other):
        return False
    last = [arm.rpartition("_")[2] for arm in (one, other)]
    if min(map(len, last)) <= 3 or re.sub(r"[A-Z]+$", "", last[0]) == re.sub(
        r"[A-Z]+$", "", last[1]
    ):
        return False
    return _edits(*plain) <= (1 if min(map(len, plain)) < 12 else 2)


def _edits(one: str, other: str) -> int:
    """Letters to change, add, drop or swap with their neighbour to make one text the other."""
    table = [[max(i, j) if not i * j else 0 for j in range(len(other) + 1)]
             for i in range(len(one) + 1)]  # fmt: skip
    for i in range(1, len(one) + 1):
        for j in range(1, len(other) + 1):
            table[i][j] = min(
                table[i - 1][j] + 1,
                table[i][j - 1] + 1,
                table[i - 1][j - 1] + (one[i - 1] != other[j - 1]),
            )
            if i > 1 and j > 1 and one[i - 1] == other[j - 2] and one[i - 2] == other[j - 1]:
                table[i][j] = min(table[i][j], table[i - 2][j - 2] + 1)
    return table[-1][-1]
