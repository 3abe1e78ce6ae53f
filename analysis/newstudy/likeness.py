"""Whether a study that is being added is there already, under its own or another name.

Two reports may be of the same patients where they share an identifier (DOI, PubMed numbers, trial
registration), the first author and the year, or the title. Sharing is no fault by itself: a later
report of a cohort is welcome. It is said as soon as it is typed, so that nobody copies twice.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from analysis.newstudy.form import FILES, Mistake, Rows, Submission

IDENTIFIERS = {"doi": "DOI", "pmid": "PubMed number", "pmcid": "PubMed Central id",
               "registry_id": "trial registration"}  # fmt: skip


def present(raw: Path, name: str = "studies.csv") -> list[dict[str, str]]:
    """The rows of a table that are there, cells as text; empty where it cannot be read."""
    try:
        text = (Path(raw) / name).read_bytes().decode("utf-8-sig")
        return list(csv.DictReader(io.StringIO(text, newline="")))
    except (OSError, UnicodeDecodeError, csv.Error):
        return []


def rows_of(study_id: str, raw: Path) -> Rows:
    """The rows of a present study, filled cells only: an example of how one is written."""
    return {
        name: [
            {column: value for column, value in row.items() if value}
            for row in present(raw, name)
            if row.get("study_id") == study_id
        ]
        for name in FILES
    }


def alike(study: Mapping[str, str], known: Iterable[Mapping[str, str]]) -> list[tuple[str, str]]:
    """What a study shares with others: (column, a sentence that says with which), each once.

    Parameters
    ----------
    study : its cells as text; what is not known yet may be missing.
    known : the other studies.
    """
    found = []
    for other in known:
        name, cohort = other.get("study_id") or "", other.get("cohort") or ""
        there = f"{name} of cohort {cohort}"
        for column, label in IDENTIFIERS.items():
            mine, theirs = (_plain(part.get(column)) for part in (study, other))
            if mine and mine == theirs:
                found.append((column, f"{there} has this {label} too"))
        same_year = study.get("year") and study.get("year") == other.get("year")
        if same_year and surname(study) and surname(study) == surname(other):
            found.append(("first_author", f"{there} has the same first author and year: "
                          f"{(other.get('title') or '')[:60]}"))  # fmt: skip
        if len(_plain(study.get("title"))) > 20 and _plain(study.get("title")) == _plain(
            other.get("title")
        ):
            found.append(("title", f"{there} has this title too"))
    return found


def twin(study: Mapping[str, str], known: Iterable[Mapping[str, str]]) -> Mapping[str, str] | None:
    """The first study with which an identifier is shared: a report of the same patients."""
    for other in known:
        for column in IDENTIFIERS:
            if _plain(study.get(column)) and _plain(study.get(column)) == _plain(other.get(column)):
                return other
    return None


def oddities(given: Submission, raw: Path) -> list[Mistake]:
    """What the studies of a submission share with those of the evidence."""
    known = present(raw)
    rows, numbers = given.rows.get("studies.csv", []), given.numbers.get("studies.csv", [])
    return [
        Mistake(given.place("studies.csv", number, column), row.get(column, ""), text,
                "studies.csv", number, column)
        for number, row in zip(numbers, rows, strict=True)
        for column, text in alike(row, known)
    ]  # fmt: skip


@cache
def _plain(text: str | None) -> str:
    """Small letters and digits only, accents gone: for comparing what two people typed."""
    letters = unicodedata.normalize("NFKD", text or "").encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "", letters.lower())


def surname(study: Mapping[str, str]) -> str:
    """The first author without initials and remarks."""
    author = re.sub(r"\s*\(.*?\)", "", study.get("first_author") or "").strip()
    return _plain(re.sub(r"( [A-Z]{1,3}| [A-Z]-[A-Z])$", "", author))
