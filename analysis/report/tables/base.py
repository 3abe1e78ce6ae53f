"""Markdown tables that Quarto, pandoc and a plain reader all understand.

A table is a DataFrame of strings until `markdown` writes it. Column widths follow the contents,
so that a page, a telephone and a printed sheet all break lines in the wide columns.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

WIDEST = 42
"""A column is never given more than this many letters of width; its longer cells break."""
MARGIN = 3
"""Letters of room for the bold type of a header and the gap between columns."""


@dataclass(frozen=True)
class Markdown:
    """A Markdown text that notebooks show as such."""

    text: str

    def _repr_markdown_(self) -> str:
        return self.text


def markdown(table: pd.DataFrame, right: tuple[str, ...] = ()) -> Markdown:
    """A pipe table; columns named in `right` are aligned to the right. Empty tables say so."""
    if table.empty:
        return in_words("This run has nothing to list here.")
    cells = [[_cell(value) for value in row] for row in table.itertuples(index=False)]
    widths = _widths(list(table.columns), cells)
    header = "| " + " | ".join(map(_cell, table.columns)) + " |"
    rule = "|" + "|".join(
        "-" * width + ":" if name in right else ":" + "-" * width
        for name, width in zip(table.columns, widths, strict=True)
    ) + "|"  # fmt: skip
    rows = ["| " + " | ".join(row) + " |" for row in cells]
    return Markdown("\n".join([header, rule, *rows]))


def in_words(text: str) -> Markdown:
    """A table of one cell that says why there is no other."""
    return Markdown(f"| Note |\n|:{'-' * 60}|\n| {_cell(text)} |")


def made_from(*tables: str) -> Callable:
    """Decorator: without a row in each of these tables of the run the table says so in words."""

    def decorate(make: Callable[..., Markdown]) -> Callable[..., Markdown]:
        @functools.wraps(make)
        def made(results, *arguments, **words) -> Markdown:
            absent = [name for name in tables if not results.has(name)]
            if absent:
                named = ", ".join(name.replace("_", " ") for name in absent)
                return in_words(f"Nothing to list: this run has no {named}.")
            return make(results, *arguments, **words)

        return made

    return decorate


def _widths(names: list[str], cells: list[list[str]]) -> list[int]:
    """Letters a column needs: its longest word at least, most of its cells, never over WIDEST."""
    widths = []
    for name, column in zip(names, zip(*cells, strict=True), strict=True):
        seen = [len(_visible(cell)) for cell in column]
        word = max(len(w) for cell in (name, *column) for w in (_visible(cell).split() or [""]))
        typical = int(np.quantile(seen, 0.9))
        widths.append(min(max(word, typical) + MARGIN, WIDEST))
    return widths


def _visible(cell: str) -> str:
    """What of a cell is shown: the text of a link without its address."""
    return cell.split("](")[0].lstrip("[") if cell.startswith("[") else cell


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def link(url: str, text: str) -> str:
    """A Markdown link."""
    return f"[{text}](<{url}>)"
