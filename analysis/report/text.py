"""Text of the report and the pieces that may stand in it.

`Markdown` is a text that notebooks show as Markdown. Quarto shows a plain `str` that an inline
expression gives by its `repr`, quotes and escapes included; so every function whose result stands
in a sentence of the report is marked with `said`, which makes its text `Markdown`. What such a
function takes from a cell of the evidence passes through `verbatim` first.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

from analysis import escape


class Markdown(str):
    """A text in Markdown, shown as such by notebooks, Quarto and the embedded renderer."""

    __slots__ = ()

    def _repr_markdown_(self) -> str:
        return str(self)


def said[**P](function: Callable[P, str]) -> Callable[P, Markdown]:
    """Decorator of what report.qmd calls in the middle of its sentences: gives `Markdown`."""

    @functools.wraps(function)
    def wrapped(*arguments: P.args, **named: P.kwargs) -> Markdown:
        return Markdown(function(*arguments, **named))

    return wrapped


def verbatim(cell: object) -> str:
    """A cell of the evidence as words of a sentence: nothing in it is markup."""
    return escape.markdown(cell)


@dataclass(frozen=True)
class Link:
    """A linked text of a table's cell; plain text where the address cannot be linked to."""

    text: str
    url: str

    def html(self) -> str:
        address = escape.url(self.url)
        shown = escape.html(self.text)
        return f'<a href="{escape.html(address)}">{shown}</a>' if address else shown

    def markdown(self) -> str:
        address = escape.url(self.url)
        shown = escape.markdown(self.text)
        return f"[{shown}](<{address}>)" if address else shown

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Strong:
    """An emphasised text of a table's cell."""

    text: str

    def html(self) -> str:
        return f"<strong>{escape.html(self.text)}</strong>"

    def markdown(self) -> str:
        return f"**{escape.markdown(self.text)}**" if self.text.strip() else ""

    def __str__(self) -> str:
        return self.text


def link(url: str, text: str) -> Link:
    """A link for a table's cell."""
    return Link(text, url)
