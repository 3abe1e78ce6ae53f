"""Cards: one an approach, each a short list of outcomes with its figure, interval and basis.

A web page shows them as cards with a small picture of where the figure stands among all defensible
analyses; print and DOCX show one table of the same rows. What stands in a card is text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis import escape, outcomes
from analysis.report import chains, words
from analysis.report.readings import Reading, Standing
from analysis.report.tables.base import OPENS, under_heads

WIDE, TALL, EDGE = 100, 18, 6


@dataclass(frozen=True)
class Line:
    """One line of a card: a label, the figure, and what stands behind it.

    `more` are sentences that a reader opens; `where` is the place among the analyses; `share`
    is the share with the ends of its interval, where the line counts people; `steps` are those
    behind the figure (`analysis.chain`), which the page opens.
    """

    label: str
    value: str
    behind: str = ""
    interval: str = ""
    new_study: str = ""
    certainty: str = ""
    alone: str = ""
    more: tuple[str, ...] = ()
    where: Standing | None = None
    id: str = ""
    share: tuple[float, float, float] | None = None
    steps: tuple[str, ...] = ()


@dataclass(frozen=True)
class Card:
    """One approach (and population) with its lines."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Cards:
    """All cards, in both forms."""

    cards: tuple[Card, ...]

    def _repr_html_(self) -> str:
        return '<div class="cards">\n' + "\n".join(map(_card, self.cards)) + "\n</div>"

    def _repr_markdown_(self) -> str:
        return under_heads(self.frame, "Approach")._repr_markdown_()

    @property
    def frame(self) -> pd.DataFrame:
        """The rows of the cards as one table."""
        rows = [
            {
                "Approach": card.title,
                "Outcome": line.label,
                "Result": line.value,
                "95 % interval": line.interval or "–",
                "New study": line.new_study or "–",
                "Behind it": line.behind or "–",
                "Certainty": line.certainty or "–",
                "Numbers alone": line.alone or "–",
                "As favourable, of all analyses": words.percent(line.where.as_favourable)
                if line.where
                else "–",
            }
            for card in self.cards
            for line in card.lines
        ]
        return pd.DataFrame(rows)

    @property
    def text(self) -> str:
        """What a reader sees before opening anything."""
        return "\n".join(
            " ".join(
                filter(None, [line.label, line.value, line.interval, line.behind, line.certainty])
            )
            for card in self.cards
            for line in card.lines
        )


def line(
    label: str, reading: Reading, where: Standing | None = None, more: Sequence[str] = ()
) -> Line:
    """A line of a card from a reading."""
    certainty = f"{reading.certainty} certainty" if reading.certainty else ""
    if certainty and reading.raised:
        certainty += f", {reading.raised}"
    said = [
        f"numbers alone: {reading.numbers_only}" if reading.numbers_only else "",
        reading.words_move,
        where.words if where else "",
        *more,
        f"certainty {reading.certainty}: {reading.reasons}" if reading.reasons else "",
        reading.caveat,
    ]
    return Line(
        label,
        reading.short,
        reading.behind,
        reading.interval,
        reading.new_study,
        certainty,
        reading.numbers_only,
        tuple(filter(None, said)),
        where,
        reading.id,
        reading.share,
    )


def _card(card: Card) -> str:
    lines = "\n".join(map(_line, card.lines))
    more = "".join(
        f"<li><strong>{escape.html(line.label)}</strong>: "
        f"{escape.html(words.sentence('; '.join(line.more)))}"
        + (f' <small class="id">{escape.html(line.id)}</small>' if line.id else "")
        + chains.html(line.steps, OPENS)
        + "</li>"
        for line in card.lines
        if line.more or line.steps
    )
    opened = (
        (
            f'<details class="more"><summary>Behind these numbers'
            f'<span class="unseen">: {escape.html(card.title)}</span></summary>'
            f"<ul>{more}</ul></details>"
        )
        if more
        else ""
    )
    return (
        f'<section class="card"><h2>{escape.html(card.title)}</h2>\n<dl>\n{lines}\n</dl>\n'
        f"{opened}</section>"
    )


def _line(line: Line) -> str:
    value = f"<strong>{escape.html(line.value)}</strong>"
    interval = f' <span class="span">{escape.html(line.interval)}</span>' if line.interval else ""
    picture = strip(line.where) if line.where else track(*line.share) if line.share else ""
    new = f"new study {line.new_study}" if line.new_study else ""
    behind = "; ".join(filter(None, [new, line.behind, line.certainty]))
    small = f" <small>{escape.html(behind)}</small>" if behind else ""
    return (
        f"<div><dt>{escape.html(line.label)}</dt>"
        f'<dd><span class="value">{value}{interval}</span>{picture}{small}</dd></div>'
    )


def track(share: float, low: float, high: float) -> str:
    """A small picture of a share of people: the bar is the share, the line its 95 % interval."""

    def x(value: float) -> str:
        return f"{WIDE * value:.1f}"

    mid = TALL / 2
    said = f"{100 * share:.0f} of 100, interval {100 * low:.0f} to {100 * high:.0f}"
    return (
        f'<svg class="strip" role="img" viewBox="0 0 {WIDE} {TALL}" width="{WIDE}" height="{TALL}" '
        f'aria-label="{escape.html(said)}">'
        f'<rect class="whole" width="{WIDE}" height="8" y="{mid - 4}"/>'
        f'<rect class="part" width="{x(share)}" height="8" y="{mid - 4}"/>'
        f'<line class="ends" x1="{x(low)}" x2="{x(high)}" y1="{mid}" y2="{mid}"/></svg>'
    )


def strip(where: Standing) -> str:
    """A small picture: all analyses as a line, nine of ten as a bar, the headline as a mark.

    The upright stroke is no effect. Ratios are drawn on their logarithm.
    """
    about = outcomes.get(where.outcome)
    scale = math.log if about.is_ratio else float
    neutral = scale(about.neutral)
    places = {
        name: scale(getattr(where, name)) for name in ("least", "low", "headline", "high", "most")
    }
    low, high = min(neutral, *places.values()), max(neutral, *places.values())
    width = (high - low) or 1.0

    def x(value: float) -> str:
        return f"{EDGE + (WIDE - 2 * EDGE) * (value - low) / width:.1f}"

    mid = TALL / 2
    left, right = sorted([places["low"], places["high"]])
    said = f"Place of the headline among the analyses: {where.words}"
    return (
        f'<svg class="strip" role="img" viewBox="0 0 {WIDE} {TALL}" width="{WIDE}" height="{TALL}" '
        f'aria-label="{escape.html(said)}">'
        f'<line class="all" x1="{x(places["least"])}" x2="{x(places["most"])}" y1="{mid}" '
        f'y2="{mid}"/>'
        f'<line class="most" x1="{x(left)}" x2="{x(right)}" y1="{mid}" y2="{mid}"/>'
        f'<line class="none" x1="{x(neutral)}" x2="{x(neutral)}" y1="2" y2="{TALL - 2}"/>'
        f'<circle cx="{x(places["headline"])}" cy="{mid}" r="4"/></svg>'
    )
