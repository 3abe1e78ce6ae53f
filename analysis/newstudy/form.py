"""What a person hands in: rows as text by table, and what is wrong with the form they came in."""

from __future__ import annotations

from dataclasses import dataclass

from analysis import evidence

FILES = ("studies.csv", "outcomes.csv", "directions.csv", "responders.csv", "independence.csv",
         "safety.csv")  # fmt: skip
"""The tables a study is written into; the name of a section is the name without `.csv`."""

Rows = dict[str, list[dict[str, str]]]
"""File name -> rows as text, by column. A column that is not given is blank."""

FROM_STUDY = ("source_url", "seen_in", "extraction")
"""Columns of a fact that are those of its study where the fact leaves them blank."""


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong (or odd): where, what stands there, and what is allowed.

    `file`, `number` and `column` say which cell of the given rows it is: the table, the row's
    number in it from 1, the column. They are "" or 0 where it is no cell of these rows.
    """

    where: str
    value: str
    allowed: str
    file: str = ""
    number: int = 0
    column: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {' '.join(self.value.split()) or '(blank)'}: {self.allowed}"


@dataclass(frozen=True)
class Submission:
    """The rows a person gave, and what is wrong with the form they came in.

    Attributes
    ----------
    rows : file name -> rows.
    numbers : file name -> the number of each row in its section (or the line of its file), from 1.
    source : the name of the filled file, for messages.
    mistakes : what is wrong with the form.
    lines : (file name, number) -> the line of the filled file on which the row begins.
    """

    rows: Rows
    numbers: dict[str, list[int]]
    source: str = ""
    mistakes: tuple[Mistake, ...] = ()
    lines: dict[tuple[str, int], int] | None = None

    def place(self, name: str, number: int, column: str = "") -> str:
        """Where a row or cell stands, in the words of the file the person filled."""
        line = (self.lines or {}).get((name, number))
        source = self.source if line is None else f"{self.source}, line {line}"
        words = [source, f"{section(name)} row {number}", column]
        return ", ".join(filter(None, words))


def section(name: str) -> str:
    """The name of a table as people write it: without `.csv`."""
    return name.removesuffix(".csv")


SECTIONS = ", ".join(section(name) for name in FILES)


def completed(rows: Rows) -> Rows:
    """The rows with the cells that follow from their study.

    A fact without a study id belongs to the study, where only one is given. A fact without source,
    kind of source or extractor has those of its study. A study without a cohort is a cohort of its
    own, and its primary report.
    """
    studies = [_with_cohort(row) for row in rows.get("studies.csv", [])]
    known = {row["study_id"]: row for row in studies if row.get("study_id")}
    only = next(iter(known)) if len(known) == 1 else ""
    done: Rows = {"studies.csv": studies}
    for name in FILES[1:]:
        done[name] = []
        for row in rows.get(name, []):
            study = row.get("study_id") or only
            source = known.get(study, {})
            lent = {column: row.get(column) or source.get(column, "") for column in FROM_STUDY}
            done[name].append(row | lent | {"study_id": study})
    return done


def _with_cohort(study: dict[str, str]) -> dict[str, str]:
    if study.get("cohort") or not study.get("study_id"):
        return study
    return study | {
        "cohort": study["study_id"],
        "cohort_role": study.get("cohort_role") or "primary",
    }


def closed(name: str, column: str) -> bool:
    """Whether no cell of a column can begin with a quotation mark: it is no free text."""
    return evidence.TABLES[name][column].kind != "text" or column == "unit"
