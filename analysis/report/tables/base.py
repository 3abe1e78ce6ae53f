"""One table for every format: a DataFrame of cells becomes HTML, or Markdown for PDF and DOCX.

`grid` makes it. A cell is text and nothing else: what stands in it is escaped for the language it
ends up in. What is more than text says so (`Link`, `Strong` of `analysis.report.text`).
In HTML each cell knows its column, so that a narrow screen can show each row as a card; Markdown
tables carry column widths that follow the contents and never less than the longest word, so that
no number is split in print.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np
import pandas as pd

from analysis import escape
from analysis.report import chains
from analysis.report.text import Link, Strong, link

__all__ = ["Table", "grid", "in_words", "link", "made_from", "under_heads"]

WIDEST = 90
"""A column is never given more than this many digits of width; its longer cells break."""
MARGIN = 2
"""Digits of room for the gap between columns."""
RAGGED = 2.5
"""Digits of width that a broken line leaves empty, half a word."""
BOLD = 1.1
"""Bold type is wider than plain type by this factor."""
HEAD_LINES = 2
"""A header may break into so many lines before its column is widened for it."""
PAGE = 136
"""Digits of table type in a line of the printed page; Word's sans serif is the widest."""
ONE_LINE, LONG_WORD = 17, 15
"""Letters up to which an interval stays on one line; from which on print may break a word."""

_ROOM = {
    **dict.fromkeys("ijl'|", 0.4), **dict.fromkeys("tfI/.,:; \u00a0\u00b7!", 0.5),
    **dict.fromkeys("r()-[]", 0.6), **dict.fromkeys("cksvxyzJ", 0.9),
    **dict.fromkeys("FTZ", 1.1), **dict.fromkeys("ABEKPSVXY&", 1.2),
    **dict.fromkeys("CDHNRUw", 1.3), **dict.fromkeys("GOQ", 1.4), "m": 1.5, "M": 1.5, "%": 1.6,
    "W": 1.7, "@": 1.8, **dict.fromkeys("←→●", 2.2),
    **dict.fromkeys("\u2212+<>=\u2264\u2265~", 1.05), "\u200b": 0.0,
}  # fmt: skip
"""Widths of letters in Word's sans serif, in digits (1, as of those not named)."""
OPENS = "how this came about"
"""What opens the chain behind a row."""

_NUMBER = r"(?:(?:under|over|at least) )?[-−–±+<>≤≥~(]?\s?\d[-−–\d.,%/()≥≤<>:;\s\u00a0]*"
_NUMERIC = re.compile(rf"{_NUMBER}(?: to {_NUMBER})?")


@dataclass(frozen=True)
class Table:
    """A table in both of its forms; notebooks, Quarto and the embedded renderer take their own.

    Attributes
    ----------
    columns : names, shown as the header.
    rows : cells: text, `Link` or `Strong`.
    right : names of the columns aligned to the right, numbers as a rule.
    ids : of each row what `isletmeta explain` takes, or nothing.
    steps : of each row the steps behind it (`analysis.chain`), which the page opens.
    tools : whether readers of the page get a filter and can sort (long tables).
    under : a column that on paper, where width is dear, heads its rows instead (`under_heads`).
    screen : names of columns that paper goes without, as nothing can be opened there.
    caption : where the table stands outside a captioned cell of the report.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple, ...]
    right: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    steps: tuple[tuple[str, ...], ...] = ()
    tools: bool = False
    under: str = ""
    screen: tuple[str, ...] = ()
    caption: str = ""

    def _repr_html_(self) -> str:
        letters = sum(column_widths(self.columns, self.rows))
        classes = "grid tools" if self.tools else "grid"
        named = escape.html(self.caption or f"Table: {', '.join(self.columns)}")
        head = "".join(
            f'<th scope="col"{self._class(name)}>{escape.html(name)}</th>' for name in self.columns
        )
        body = "\n".join(self._html_row(i, row) for i, row in enumerate(self.rows))
        caption = f"<caption>{escape.html(self.caption)}</caption>\n" if self.caption else ""
        return (
            f'<div class="scroll" role="group" tabindex="0" aria-label="{named}">\n'
            f'<table class="{classes}" style="--letters:{letters}" '
            f'data-quarto-disable-processing="true">\n{caption}'
            f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n</div>"
        )

    def _html_row(self, index: int, row: tuple) -> str:
        named = self.ids[index] if self.ids else ""
        mark = f' data-id="{escape.html(named)}"' if named else ""
        cells = []
        for name, cell in zip(self.columns, row, strict=True):
            shown = _html(cell)
            if not cells:
                if named:
                    shown += chains.mark(named)
                if self.steps:
                    shown += chains.html(self.steps[index], OPENS)
                cells.append(f'<th scope="row"{self._class(name)}>{shown}</th>')
            else:
                label = escape.html(name)
                kind = self._class(name, nothing=str(cell).strip() in ("", "–"))
                cells.append(f'<td data-label="{label}"{kind}>{shown}</td>')
        return f"<tr{mark}>{''.join(cells)}</tr>"

    def _class(self, name: str, *, nothing: bool = False) -> str:
        words = [word for word, holds in (("num", name in self.right), ("none", nothing)) if holds]
        return f' class="{" ".join(words)}"' if words else ""

    def _on_paper(self) -> Table:
        """The table as paper shows it, where that is another one."""
        frame = pd.DataFrame(list(self.rows), columns=list(self.columns), dtype=object)
        left = tuple(name for name in self.right if name not in (self.under, *self.screen))
        frame = frame.drop(columns=list(self.screen))
        if self.under:
            return under_heads(frame, self.under, left)
        return grid(frame, left, caption=self.caption)

    def _repr_markdown_(self) -> str:
        if self.under or self.screen:
            return self._on_paper()._repr_markdown_()
        widths = column_widths(self.columns, self.rows)
        rule = "|" + "|".join(
            "-" * width + ":" if name in self.right else ":" + "-" * width
            for name, width in zip(self.columns, widths, strict=True)
        ) + "|"  # fmt: skip
        header = "| " + " | ".join(map(_markdown, self.columns)) + " |"
        rows = ["| " + " | ".join(map(_markdown, row)) + " |" for row in self.rows]
        caption = [f"\n: {escape.markdown(self.caption)}"] if self.caption else []
        return "\n".join([header, rule, *rows, *caption])

    @property
    def text(self) -> str:
        """What a reader sees: the rows, one a line, cells apart by ` | `, without any markup."""
        lines = [self.columns, *self.rows]
        return "\n".join(" | ".join(str(cell) for cell in line) for line in lines)


def grid(
    frame: pd.DataFrame,
    right: Sequence[str] = (),
    *,
    ids: Sequence[str] = (),
    steps: Sequence[Sequence[str]] = (),
    tools: bool = False,
    under: str = "",
    screen: Sequence[str] = (),
    caption: str = "",
) -> Table:
    """A table of the report; an empty one says so in words. Arguments as of `Table`.

    Raises
    ------
    ValueError : `right` names no column, or there is not one id and one chain a row.
    """
    if frame.empty:
        return in_words("This run has nothing to list here.")
    asked = (*right, *screen, *([under] if under else []))
    unknown = [name for name in asked if name not in frame.columns]
    if unknown or len(ids) not in (0, len(frame)) or len(steps) not in (0, len(frame)):
        raise ValueError(f"no such column: {unknown}; {len(ids)} ids and {len(steps)} chains "
                         f"for {len(frame)} rows")  # fmt: skip
    rows = tuple(map(tuple, frame.itertuples(index=False)))
    return Table(tuple(map(str, frame.columns)), rows, tuple(right), tuple(ids),
                 tuple(map(tuple, steps)), tools, under, tuple(screen), caption)  # fmt: skip


def under_heads(frame: pd.DataFrame, by: str, right: Sequence[str] = ()) -> Table:
    """A table for paper: what repeats in the column `by` heads its rows in a row of its own."""
    rest = [name for name in frame.columns if name != by]
    rows = []
    for value, part in frame.groupby(by, sort=False):
        head = value if isinstance(value, Link) else Strong(str(value))
        rows.append((head, *[""] * (len(rest) - 1)))
        rows += map(tuple, part[rest].itertuples(index=False))
    return Table(tuple(rest), tuple(rows), tuple(right))


def in_words(text: str) -> Table:
    """A table of one cell that says why there is no other."""
    return Table(("Note",), ((text,),))


def made_from(*tables: str) -> Callable:
    """Decorator: without a row in each of these tables of the run the table says so in words."""

    def decorate(make: Callable[..., Table]) -> Callable[..., Table]:
        @functools.wraps(make)
        def made(results, *arguments, **words) -> Table:
            absent = [name for name in tables if not results.has(name)]
            if absent:
                named = ", ".join(name.replace("_", " ") for name in absent)
                return in_words(f"Nothing to list: this run has no {named}.")
            return make(results, *arguments, **words)

        return made

    return decorate


def column_widths(columns: Sequence[str], rows: Sequence[Sequence]) -> list[int]:
    """Room each column gets, in widths of a digit (`room`).

    Every column has room for its longest word. What is left of `PAGE` goes, a digit at a time, to
    the column whose cells make the rows tallest, so that the table becomes as short as it can; a
    table narrower than the page is made no wider than its longest cells, up to `WIDEST`.
    """
    cells = [[_joined(str(cell)) for cell in column] for column in zip(*rows, strict=True)]
    widths = np.array([
        max(BOLD * max(map(room, name.split())), *map(_longest_word, column))
        for name, column in zip(columns, cells, strict=True)
    ])  # fmt: skip
    widths = np.ceil(np.minimum(widths, WIDEST))
    head = [BOLD * room(name) / HEAD_LINES for name in columns]
    lengths = np.array([[room(cell) for cell in column] for column in cells]).T
    lengths = np.vstack([lengths, head])
    most = np.minimum(np.ceil(lengths.max(axis=0)), WIDEST)
    spare = int(PAGE - MARGIN * len(columns) - widths.sum())
    for _ in range(max(0, spare)):
        lines = np.where(lengths <= widths, 1, lengths / np.maximum(widths - RAGGED, 1))
        tall = (lines >= lines.max(axis=1, keepdims=True)) & (lines > 1)
        gain = np.where(tall, lines / widths, 0).sum(axis=0)
        if not gain.any():
            gain = np.where(widths < most, 1 / widths, 0)
        if not gain.any():
            break
        widths[gain.argmax()] += 1
    return [int(width) + MARGIN for width in widths]


def room(text: str) -> float:
    """Width of a text in the type of tables, about, in widths of a digit."""
    return sum(map(_ROOM.get, text, repeat(1.0)))


def _longest_word(cell: str) -> float:
    words = re.split(r"[ \n\u200b]+", _breakable(cell))
    return max(map(room, words))


def _joined(text: str) -> str:
    """A cell that holds a number or an interval keeps it on one line."""
    text = escape.line(text)
    if _NUMERIC.fullmatch(text):
        if len(text) <= ONE_LINE:
            return text.replace(" ", "\u00a0")
        text = re.sub(r"(?<!to) (?!to\b)| (?=\d)", "\u00a0", text)
    text = re.sub(r"(?<=[\d(]), (?=[-−\d])", ",\u00a0", text)  # Normal(0, 0.5)
    return re.sub(r"(\d) %", "\\1\u00a0%", text)


def _breakable(text: str) -> str:
    """Places at which print may break a long word: after a slash or a star, else in its middle."""

    def broken(word: re.Match) -> str:
        parts = re.sub(r"([/*])(?=\w{3})", "\\1\u200b", word[0])
        return re.sub(rf"(\w{{{LONG_WORD}}})(?=\w{{4}})", "\\1\u200b", parts)

    return re.sub(rf"[^\s\u00a0]{{{LONG_WORD + 1},}}", broken, text)


def _html(cell: object) -> str:
    if isinstance(cell, Link | Strong):
        return cell.html()
    return escape.html(_joined(str(cell)))


def _markdown(cell: object) -> str:
    if isinstance(cell, Link):
        return Link(_breakable(escape.line(cell.text)), cell.url).markdown()
    if isinstance(cell, Strong):
        return cell.markdown()
    return escape.markdown(_breakable(_joined(str(cell))))
