"""Cards: one an approach, each a short list of outcomes with its figure, interval and basis.

A web page shows them as cards with a small picture of where the figure stands among all defensible
analyses; print and DOCX show one table of the same rows. What stands in a card is text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
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
    is the share with the ends of its interval, where the line counts people; `several` says that
    the value tells several things, each on a line of its own; `steps` are those
    behind the figure (`analysis.chain`), which the page opens. `face` stands on the card itself:
    numbers alone, the place among the analyses, what is nearly ruled out.
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
    several: bool = False
    steps: tuple[str, ...] = ()
    face: str = ""


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
        cards = "\n".join(map(_card, self.cards))
        key = f'<p class="key">{KEY["terms"]}</p>\n<p class="key">{KEY["screen"]}</p>'
        return f'{key}\n<div class="cards">\n{cards}\n</div>'

    def _repr_markdown_(self) -> str:
        table = under_heads(self.frame, "Approach")._repr_markdown_()
        return f"{escape.markdown(KEY['terms'])} {escape.markdown(KEY['paper'])}\n\n{table}"

    @property
    def frame(self) -> pd.DataFrame:
        """The rows of the cards as one table."""
        rows = [
            {
                "Approach": card.title,
                "Outcome": line.label,
                "Result": line.value,
                "95 % interval": line.interval or "–",
                "Behind it": _small(line) or "–",
                "Picture": in_letters(line),
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
                filter(
                    None,
                    [line.label, line.value, line.interval, line.behind, line.certainty, line.face],
                )
            )
            for card in self.cards
            for line in card.lines
        )


def line(
    label: str,
    reading: Reading,
    where: Standing | None = None,
    more: Sequence[str] = (),
    faced: Sequence[str] = (),
) -> Line:
    """A line of a card from a reading; `faced` stands on its face, too."""
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
        face=words.sentence("; ".join(filter(None, [
            *faced,
            f"numbers alone {reading.numbers_only}" if reading.numbers_only else "",
            where.on_face if where else "",
        ]))),
    )  # fmt: skip


def _card(card: Card) -> str:
    lines = "\n".join(map(_line, card.lines))
    more = "".join(
        f"<li><strong>{escape.html(line.label)}</strong>: "
        f"{escape.html(words.sentence('; '.join(line.more)))}"
        + (f" {chains.mark(line.id)}" if line.id else "")
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


APART = re.compile(r"; (?![^(]*\))")
"""What parts several things that a line tells: no semicolon within brackets."""


def _small(line: Line) -> str:
    """What stands in small type under a figure: a new study, basis, certainty, place."""
    new = f"a new study may find {line.new_study}" if line.new_study else ""
    behind = words.sentence("; ".join(filter(None, [new, line.behind, line.certainty])))
    return " ".join(filter(None, [behind if line.face else behind.rstrip("."), line.face]))


def _line(line: Line) -> str:
    value = f"<strong>{escape.html(line.value)}</strong>"
    if line.several:
        value = "<br>".join(map(escape.html, APART.split(line.value)))
    interval = f' <span class="span">{escape.html(line.interval)}</span>' if line.interval else ""
    picture = strip(line.where) if line.where else ""
    if line.share:
        picture = track(*line.share, line.where)
    told = _small(line)
    small = f" <small>{escape.html(told)}</small>" if told else ""
    return (
        f"<div><dt>{escape.html(line.label)}</dt>"
        f'<dd><span class="value">{value}{interval}</span>{picture}{small}</dd></div>'
    )


TALLER, FOOT = 26, 13
"""Height of a picture that shows a share and, under it, its place among the analyses; and of the
line under a picture that says what its ends are."""


def track(share: float, low: float, high: float, where: Standing | None = None) -> str:
    """A small picture of a share of people: the bar is the share, the line its 95 % interval.

    Under it, on the same scale from 0 to 100, stands its place among all defensible counts.
    """

    def x(value: float) -> str:
        return f"{WIDE * value:.1f}"

    mid, tall = TALL / 2, TALLER if where else TALL
    said = f"{100 * share:.0f} of 100, interval {100 * low:.0f} to {100 * high:.0f}"
    under = _marks(where, x, TALL + 3, 3) if where else ""
    return (
        _opened(tall + FOOT, f"{said}; {where.words}" if where else said)
        + f'<rect class="whole" width="{WIDE}" height="8" y="{mid - 4}"/>'
        f'<rect class="part" width="{x(share)}" height="8" y="{mid - 4}"/>'
        f'<line class="ends" x1="{x(low)}" x2="{x(high)}" y1="{mid}" y2="{mid}"/>{under}'
        f"{_ends('0', '100', tall)}</svg>"
    )


def strip(where: Standing) -> str:
    """A small picture: all analyses as a line, nine of ten as a bar, the headline as a mark.

    The upright stroke is no effect; under it stands which side is good. Ratios are drawn on
    their logarithm, shares from none to all.
    """
    scale, low, high = _scale(where)

    def x(value: float) -> str:
        edge = 0 if where.is_share else EDGE
        return f"{edge + (WIDE - 2 * edge) * (scale(value) - low) / (high - low):.1f}"

    mid = TALL / 2
    said = f"Place of the headline among the {where.of}: {where.words}"
    if where.is_share:
        none = (
            f'<rect class="whole" x="{EDGE}" width="{WIDE - 2 * EDGE}" height="4" y="{mid - 2}"/>'
        )
        ends = _ends("0", "100", TALL)
    else:
        at = x(outcomes.get(where.outcome).neutral)
        none = f'<line class="none" x1="{at}" x2="{at}" y1="2" y2="{TALL - 2}"/>'
        ends = _ends(*_good(where, "good"), TALL)
    return f"{_opened(TALL + FOOT, said)}{none}{_marks(where, x, mid, 4)}{ends}</svg>"


def _good(where: Standing, word: str = "") -> tuple[str, str]:
    """What stands at the left and the right end of a place: an arrow to the side that is good."""
    good = outcomes.get(where.outcome).good
    return (f"← {word}".strip() if good < 0 else "", f"{word} →".strip() if good > 0 else "")


def _ends(left: str, right: str, y: float) -> str:
    """Words under the ends of a picture."""
    return "".join(
        f'<text x="{at}" y="{y + FOOT - 3}" text-anchor="{anchor}">{word}</text>'
        for word, at, anchor in ((left, 0, "start"), (right, WIDE, "end"))
        if word
    )


def _opened(tall: float, said: str) -> str:
    return (
        f'<svg class="strip" role="img" viewBox="0 0 {WIDE} {tall}" width="{WIDE}" height="{tall}" '
        f'aria-label="{escape.html(said)}">'
    )


def _marks(where: Standing, x: Callable[[float], str], y: float, r: float) -> str:
    """All analyses, nine of ten of them, and the headline."""
    left, right = sorted([where.low, where.high])
    return (
        f'<line class="all" x1="{x(where.least)}" x2="{x(where.most)}" y1="{y}" y2="{y}"/>'
        f'<line class="most" x1="{x(left)}" x2="{x(right)}" y1="{y}" y2="{y}"/>'
        f'<circle cx="{x(where.headline)}" cy="{y}" r="{r}"/>'
    )


def _scale(where: Standing) -> tuple[Callable[[float], float], float, float]:
    """The scale of a picture of places, and its ends."""
    if where.is_share:
        return float, 0.0, 1.0
    about = outcomes.get(where.outcome)
    scale = math.log if about.is_ratio else float
    ends = [scale(value) for value in (about.neutral, where.least, where.most, where.headline)]
    return scale, min(ends), max(ends) if max(ends) > min(ends) else min(ends) + 1.0


# --- the same pictures in letters, for paper -----------------------------------------------------

TENTHS, LETTERS = 10, 10
"""Squares of a share; letters of a place among the analyses."""
KEY = {
    "terms": "Controls: people without the cells, at the visit nearest 12 months. Progenitors: "
    "cells that still had to grow into islets. Shares count all who were treated; 19 to 58 of 100: "
    "where the true share may lie (95 % interval). Certainty: how far the evidence can be trusted. "
    "Neutropenia: too few of the cells that fight germs.",
    "screen": "Bar: the share of 100; the line on it: its exact 95 % interval. Dot: the headline "
    "among all defensible analyses (thin: all, thick: nine of ten); dashed: no effect.",
    "paper": "Pictures: ■ ten of 100 people of whom it is true, □ ten of whom it is not; · all "
    "defensible analyses, = nine of ten of them, ● the headline, | no effect, → or ← the good "
    "side; 0 to 100: shares, of 100.",
}
"""What the words above the cards mean, and what the pictures, in each of their forms."""


def in_letters(line: Line) -> str:
    """The picture of a line in letters: `■■■■□□□□□□`, `··==●==··| →`; `–` where it has none."""
    if line.share:
        full = int(TENTHS * line.share[0] + 0.5)
        return "■" * full + "□" * (TENTHS - full)
    return places_in_letters(line.where) if line.where else "–"


def places_in_letters(where: Standing) -> str:
    """A place among the analyses in letters; what lies beyond all of them is left blank."""
    scale, low, high = _scale(where)

    def at(value: float) -> int:
        return round((LETTERS - 1) * (scale(value) - low) / (high - low))

    letters = ["\u00a0"] * LETTERS
    for ends, letter in (((where.least, where.most), "·"), ((where.low, where.high), "=")):
        first, last = sorted(map(at, ends))
        letters[first : last + 1] = letter * (last + 1 - first)
    if not where.is_share:
        letters[at(outcomes.get(where.outcome).neutral)] = "|"
    letters[at(where.headline)] = "●"
    left, right = ("0", "100") if where.is_share else _good(where)
    return "\u00a0".join(filter(None, (left, "".join(letters), right)))
