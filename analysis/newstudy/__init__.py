"""Adding a study: a template to fill, one check of everything, and a write that is all or nothing.

A person fills a plain-text file (`templates`), saves a spreadsheet (`spreadsheet`), or answers
questions (`guided`). `plan` judges the rows together with all the evidence and names every fault
and oddity at once; `write` puts the new tables in place only if all is sound, and `recover` ends
what a killed write left behind. Rooms, in the order they build on each other: `form`, `templates`,
`spreadsheet`, `likeness`, `journal`, `planning`, `dialogue`, `guided`.
"""

from pathlib import Path

from analysis.newstudy import spreadsheet, templates
from analysis.newstudy.dialogue import Quit
from analysis.newstudy.form import FILES, Mistake, Rows, Submission
from analysis.newstudy.guided import DRAFT, Guided
from analysis.newstudy.journal import ChangedMeanwhile, recover, write
from analysis.newstudy.likeness import rows_of
from analysis.newstudy.planning import Plan, plan
from analysis.newstudy.templates import template, text_of

__all__ = [
    "DRAFT",
    "FILES",
    "ChangedMeanwhile",
    "Guided",
    "Mistake",
    "Plan",
    "Quit",
    "Rows",
    "Submission",
    "plan",
    "read",
    "recover",
    "rows_of",
    "template",
    "text_of",
    "write",
]


OF_SPREADSHEETS = (".csv", ".tsv", ".xlsx", ".xls", ".ods")
"""Ends of names of tables; all but csv are told how to be saved."""


def read(*paths: Path) -> Submission:
    """The rows of a filled template, of csv files, or of a folder of csv files.

    What is wrong with the form is told, never raised; nothing is checked here but the form.
    """
    given = [Path(path) for path in paths]
    others = [p for p in given if not p.is_dir() and p.suffix.lower() not in OF_SPREADSHEETS]
    if not others:
        return spreadsheet.read(given)
    if len(given) > 1:
        odd = others[0]
        return Submission({}, {}, odd.name, (Mistake(odd.name, "(a template)", "one template "
                          "alone; several files are csv files"),))  # fmt: skip
    return templates.read(given[0])
