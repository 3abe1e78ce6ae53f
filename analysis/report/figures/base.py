"""What the figures share: axes that notebooks show once, rows of a forest, words where data fail.

A figure is made with `new`, never through pyplot, so that a cell shows it exactly once.
"""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Affine2D, blended_transform_factory

from analysis.outcomes import Outcome
from analysis.report import style

RATIO_TICKS = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)


def new(height: float, width: float = style.WIDTH, **words) -> tuple[Figure, Axes]:
    """A figure with one pair of axes (or a grid of them); shown by the cell that returns it."""
    figure = Figure(figsize=(width, height))
    return figure, figure.subplots(**words)


def title(figure: Figure, finding: str) -> Figure:
    """The figure with what it shows as its title, on as many lines as that needs."""
    words = figure.suptitle(broken(finding), x=0.01, ha="left", fontsize=style.TITLE,
                            fontweight="bold")  # fmt: skip
    figure.entitle = lambda width: words.set_text(broken(finding, width))  # type: ignore[attr-defined]
    return figure


LETTERS = 54
"""Letters of a title in a line of a figure `style.WIDTH` inches wide."""


def broken(text: str, width: float = style.WIDTH) -> str:
    """A title on as many lines as it needs in a figure of this width (inches)."""
    return "\n".join(
        textwrap.wrap(text, int(LETTERS * width / style.WIDTH), break_long_words=False)
    )


@dataclass(frozen=True)
class Rows:
    """Axes between aligned columns of text: one row a study, as a forest plot has them."""

    figure: Figure
    axes: Axes
    end: float
    behind: list[Text] = field(default_factory=list)
    """The texts right of the plot, which ends at `end` points: they move where it grows."""

    def put(self, row: float, at: float, text: str, **words) -> None:
        """Text in a row, `at` points from the left edge of the figure."""
        place = blended_transform_factory(
            Affine2D().scale(1 / 72) + self.figure.dpi_scale_trans, self.axes.transData
        )
        words = {"fontsize": style.SMALL, "va": "center", "ha": "left", "color": style.INK, **words}
        shown = self.axes.text(at, row, text, transform=place, clip_on=False, **words)
        if at > self.end:
            self.behind.append(shown)


PAPER = {"facecolor": style.WHITE, "edgecolor": "none", "pad": 0.8}
"""What lies behind a text that crosses a line."""
ROW, FOOT = 22.5, 36.0
"""Points of the height of a row with two lines, and of what the axis below needs."""


def rows(count: float, between: tuple[float, float], finding: str, *, foot: float = FOOT) -> Rows:
    """A figure of `count` rows under a title; the axes lie `between` two places (points)."""
    low, right = between
    figure = Figure(layout="none")
    axes = figure.add_axes((0.1, 0.1, 0.8, 0.8))
    axes.set_ylim(count - 0.5, -0.5)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.patch.set_visible(False)
    words = figure.text(0, 1, "", va="top", fontsize=style.TITLE, fontweight="bold")
    grid = Rows(figure, axes, right)

    def place(width: float) -> None:
        """Title, plot and what stands right of it in a figure of this width: the plot grows."""
        lines = broken(finding, width)
        head = 6 + 12.5 * (lines.count("\n") + 1)
        wide, high, more = 72 * width, head + ROW * count + foot, 72 * (width - style.WIDTH)
        figure.set_size_inches(width, high / 72)
        axes.set_position(
            (low / wide, foot / high, (right + more - low) / wide, ROW * count / high)
        )
        words.set(text=lines, y=1 - 2 / high)
        for text in grid.behind:
            text.set_x(text.get_position()[0] + more)

    place(style.WIDTH)
    figure.on_paper = lambda: place(style.PAPER_WIDTH)  # type: ignore[attr-defined]
    return grid


def stack(
    heights: Sequence[float],
    left: float,
    finding: str,
    *,
    gap: float = 33.0,
    foot: float = FOOT,
    above: float = 16.5,
) -> tuple[Figure, list[Axes]]:
    """Panels of these heights under each other, `left` of them room for labels (all in points).

    `gap` holds a panel's own title (`above` it) and the tick labels of the one before. Paper
    takes tall ones in two columns (`style.lay_out_for_paper`).
    """
    figure = Figure(figsize=(style.WIDTH, 1), layout="none")
    panels = [figure.add_axes((0.1, 0.1 + 0.01 * i, 0.8, 0.01)) for i in range(len(heights))]
    words = figure.text(0, 1, "", va="top", fontsize=style.TITLE, fontweight="bold")

    def place(columns: int, width: float = style.WIDTH) -> None:
        lines = broken(finding, width)
        head = 6 + 12.5 * (lines.count("\n") + 1)
        wide = 72 * width / columns
        tallest = [max(heights[i : i + columns]) for i in range(0, len(heights), columns)]
        high = head + sum(tallest) + gap * len(tallest) + foot
        figure.set_size_inches(width, high / 72)
        words.set(text=lines, y=1 - 2 / high)
        for i, (axes, height) in enumerate(zip(panels, heights, strict=True)):
            row, column = divmod(i, columns)
            top = head + above + sum(tallest[:row]) + gap * row
            axes.set_position((
                (column * wide + left) / (columns * wide), (high - top - height) / high,
                (wide - left - 8) / (columns * wide), height / high,
            ))  # fmt: skip

    place(1)
    figure.in_columns = place  # type: ignore[attr-defined]
    return figure, panels


def in_words(text: str) -> Figure:
    """A figure that says in words why there is nothing to draw."""
    figure, axes = new(0.8)
    axes.text(0.5, 0.5, text, ha="center", va="center", wrap=True, color=style.GREY,
              transform=axes.transAxes)  # fmt: skip
    axes.set_axis_off()
    return figure


def drawn_from(*tables: str) -> Callable:
    """Decorator: without a row in each of these tables the figure says so in words."""

    def decorate(draw: Callable[..., Figure]) -> Callable[..., Figure]:
        @functools.wraps(draw)
        def drawn(results, *arguments, **words) -> Figure:
            absent = [name for name in tables if not results.has(name)]
            if absent:
                return in_words("Nothing to draw: this run has no "
                                + ", ".join(name.replace("_", " ") for name in absent))  # fmt: skip
            return draw(results, *arguments, **words)

        return drawn

    return decorate


def label_rows(axes: Axes, labels: list[str], *, size: float = style.SMALL) -> None:
    """One row a label, from the top down, without an axis line on the left."""
    axes.set_yticks(range(len(labels)), labels, fontsize=size)
    axes.set_ylim(len(labels) - 0.4, -0.7)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def value_axis(
    axes: Axes,
    about: Outcome,
    limits: tuple[float, float],
    lines: Sequence[tuple[float, float]] | None = None,
) -> None:
    """The axis of an outcome's effects: logarithmic for ratios, with a line at no change.

    `lines` are the stretches of rows through which that line runs, where it must spare some.
    """
    if lines is None:
        axes.axvline(about.neutral, color=style.GREY, linewidth=0.8, zorder=0)
    for ends in lines or ():
        axes.plot([about.neutral] * 2, ends, color=style.GREY, linewidth=0.8, zorder=0)
    if about.is_ratio:
        log_axis(axes, limits, RATIO_TICKS)
    axes.set_xlim(limits)
    axes.set_xlabel(about.axis, loc="right")


def log_axis(axes: Axes, limits: tuple[float, float], ticks=RATIO_TICKS) -> None:
    """A logarithmic x axis with plain numbers."""
    axes.set_xscale("log")
    shown = [tick for tick in ticks if limits[0] <= tick <= limits[1]]
    axes.set_xticks(shown, [f"{tick:g}" for tick in shown])
    axes.xaxis.minorticks_off()
    axes.set_xlim(limits)


def limits_of(numbers, about: Outcome, *, cut: float = 0.0) -> tuple[float, float]:
    """Limits that hold the numbers (on the model's scale) and no change, with a margin.

    `cut` leaves out that share of the numbers at each end, so that one wild interval does not
    flatten all others.
    """
    values = np.asarray(numbers, dtype=float).ravel()
    values = values[np.isfinite(values)]
    low, high = np.quantile(values, [cut, 1 - cut]) if values.size else (0.0, 0.0)
    low, high = min(low, 0.0), max(high, 0.0)
    pad = 0.08 * (high - low) or 0.5
    return about.shown(float(low - pad)), about.shown(float(high + pad))


def span(axes: Axes, low: float, high: float, y: float, **words) -> None:
    """A horizontal interval with arrow heads where it leaves the axes."""
    edge_low, edge_high = axes.get_xlim()
    axes.plot([max(low, edge_low), min(high, edge_high)], [y, y], **words)
    colour = words.get("color", style.INK)
    if low < edge_low:
        axes.plot(edge_low, y, "<", color=colour, ms=3.2, clip_on=False)
    if high > edge_high:
        axes.plot(edge_high, y, ">", color=colour, ms=3.2, clip_on=False)


def diamond(axes: Axes, low: float, mean: float, high: float, y: float, colour=style.INK) -> None:
    """A pooled mean with its interval."""
    axes.fill([low, mean, high, mean], [y, y - 0.3, y, y + 0.3], color=colour, zorder=3, lw=0)


def legend_below(figure: Figure, axes: Axes, columns: int = 2) -> None:
    """The legend under the axes, so that it hides no data on a narrow page."""
    handles, labels = axes.get_legend_handles_labels()
    if handles and figure.get_layout_engine() is None:
        figure.legend(handles, labels, loc="lower center", ncols=columns, handlelength=1.6,
                      columnspacing=1.2, borderaxespad=0.2)  # fmt: skip
    elif handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=columns,
                      handlelength=1.6, columnspacing=1.2)  # fmt: skip
