"""The text of the report for a run: every sentence, table and, where asked, every figure."""

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.text import Text

from analysis import render, results
from analysis.render import source as sources
from analysis.report import page_one
from analysis.report.results import Results

REPORT = Path(__file__).parent.parent / "report.qmd"
VERBATIM = ("tbl-facts-", "tbl-studies", "tbl-context", "tbl-events", "tbl-published", "tbl-silent",
            "tbl-exclusions", "tbl-changes", "tbl-unjudged", "tbl-prior-table", "tbl-switching",
            "tbl-ongoing", "tbl-versions")  # fmt: skip
"""Tables whose cells are the words of sources, of rules and of reasons, not of this report."""


def said(run, *, verbatim: bool = False, figures: bool = False) -> dict[str, str]:
    """Every sentence and table of the report by its place, in the order of reading.

    `verbatim` adds the tables of `VERBATIM`, `figures` the letters of every figure.
    """
    parts = sources.read(REPORT)[1]
    known: dict = {}
    first = next(part for part in parts if isinstance(part, render.Cell))
    imports = [line for line in first.source.splitlines() if line.startswith(("from ", "import "))]
    exec("\n".join(imports), known)
    known["results"] = run
    found = {}
    for part in parts:
        if isinstance(part, str):
            for expression in sources.INLINE.findall(part):
                found[expression.strip()] = str(eval(expression.strip(), known))
            continue
        label = part.options.get("label", "")
        if part is first or (label.startswith(VERBATIM) and not verbatim):
            continue
        if label.startswith("fig-") and not figures:
            continue
        made = eval(part.source.strip(), known)
        found[label or part.source.strip()] = _text_of(made)
    found["cards opened"] = "\n".join(
        f"{line.label}: {more}"
        for card in page_one.cards(run).cards for line in card.lines for more in line.more
    )  # fmt: skip
    return found


def _text_of(made: object) -> str:
    if isinstance(made, Figure):
        return "\n".join(text.get_text() for text in made.findobj(Text) if text.get_text().strip())
    text = getattr(made, "text", None) or made._repr_markdown_()
    return text.replace("\\", "")


def prose() -> str:
    """What report.qmd types, captions included, without code and inline expressions."""
    parts = sources.read(REPORT)[1]
    typed = []
    for part in parts:
        if isinstance(part, str):
            typed.append(sources.INLINE.sub("…", part))
        else:
            typed += [str(part.options.get(name, "")) for name in ("fig-cap", "tbl-cap")]
    return "\n".join(typed)


PEOPLE = ("n", "n_patients", "n_control", "n_treated", "n_ever_free")
"""Columns of people behind a count: they stay."""


class Few(Results):
    """A run in which nothing is counted more than once: one study, one event, one group."""

    def table(self, name: str) -> pd.DataFrame:
        if name not in self._read:
            whole = super().table(name)
            counts = [
                column.name
                for column in results.TABLES[name].columns
                if column.kind == results.contract.COUNT and column.name not in PEOPLE
            ]
            self._read[name] = whole.assign(**{each: whole[each].clip(upper=1) for each in counts})
        return self._read[name].copy(deep=False)


class Nobody(Results):
    """A run that found nothing: every table without a row."""

    def table(self, name: str) -> pd.DataFrame:
        return results.TABLES[name].empty()
