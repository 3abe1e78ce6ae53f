"""Forests: each result of an outcome in a stratum, alone and given the others, and the mean.

Study, cells, randomisation, risk of bias and size stand in columns on the left, the study's own
result and its weight on the right, so that a row reads as a line of a table does.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis import outcomes
from analysis.outcomes import Outcome
from analysis.records import records
from analysis.report import directions, style
from analysis.report.figures import base
from analysis.report.results import Results
from analysis.report.words import (
    SPACE,
    count,
    interval,
    known,
    number,
    percent,
    percent_interval,
    short,
    studies,
    study,
)

PANELS = {
    "controlled": "Against control groups",
    "uncontrolled": "No control group, against own baseline",
}
ARROWS = {-1: "◂", 0: "–", 1: "▸"}
RISK_MARKS = {"low": "+", "moderate": "~", "some_concerns": "~", "high": "−", "serious": "−",
              "critical": "!", "no_information": "?", "not judged": "?"}  # fmt: skip
MEAN = "mean"
RANDOMISED, BIAS, SIZE, PLOT, RESULT, END = 93.0, 107.0, 132.0, (138.0, 208.0), 214.0, 294.0
"""Points from the left at which the columns stand; the names begin at 0."""


def forest(results: Results, outcome: str, approach: str, population: str) -> Figure:
    """Results of an outcome in a stratum: controlled and uncontrolled panels, each with its mean.

    Grey, above: the study alone with its 95 % interval, hollow without a spread, an arrow for
    words. Coloured, below: given all the others. Diamond: mean; dashed: a new study.
    """
    about = outcomes.get(outcome)
    parts = {"outcome": outcome, "approach": approach, "population": population}
    lines: list[tuple[str, object]] = []
    for design, panel in PANELS.items():
        found = results.rows("study_estimates", **parts, design=design)
        told = results.rows("headlines", **parts, design=design)
        if found.empty or told.empty:
            continue
        lines.append(("heading", panel))
        order = found.assign(_y=found["shrunk_mean"].fillna(found["y"]).fillna(0.0))
        order = order.sort_values(["_y", "label"], kind="stable")
        pooled = told["told"].iloc[0] == MEAN
        if not pooled:  # without a mean there is nothing to be drawn towards
            order = order.assign(shrunk_mean=np.nan, weight=np.nan)
        lines += [("study", row) for row in records(order)]
        mean = results.get(**parts, design=design, scale="ratio" if about.is_ratio else about.scale)
        if pooled and mean is not None:
            lines += [("mean", mean), ("new", mean)]
            spread = heterogeneity(results, about, {**parts, "design": design})
            lines += [("spread", spread)] if spread else []
    if not lines:
        return base.in_words(f"No study here reports {about.noun} in a form to be compared.")
    return _draw(lines, about, finding(results, outcome, approach, population))


def finding(results: Results, outcome: str, approach: str, population: str) -> str:
    """What a forest shows, as its title: the controlled mean, or how the directions count."""
    about = outcomes.get(outcome)
    parts = {"outcome": outcome, "approach": approach, "population": population,
             "design": "controlled"}  # fmt: skip
    name = about.title.split(",")[0]
    told = results.rows("headlines", **parts)
    if told.empty or told["told"].iloc[0] == "none":
        return f"{name}: never compared with a control group"
    row = told.iloc[0]
    mean = results.get(**parts, scale="ratio" if about.is_ratio else about.scale)
    if row["told"] == MEAN and mean is not None:
        unit = f"{SPACE}times that of controls" if about.is_ratio else about.suffix
        ends = interval(mean["ci_low"], mean["ci_high"], about.digits)
        open_ = mean["ci_low"] <= about.neutral <= mean["ci_high"]
        return (f"{name}: {number(mean['mean'], about.digits)}{unit} ({ends}"
                f"{', which includes no difference' if open_ else ''})")  # fmt: skip
    if row["told"] == "study":
        return f"{name}: one study with a control group"
    word, k = directions.mostly(outcome, row["k_better"], row["k_worse"])
    return (f"{name}: clearly {word} in {count(k)} of "
            f"{studies(row['k_studies'])}; too few numbers for a mean")  # fmt: skip


def heterogeneity(results: Results, about: Outcome, stratum: dict) -> str:
    """`Studies differ: tau 0.15 (0.01 to 0.61); I² 25 % (1 % to 84 %)`, or nothing."""
    tau = results.get(**stratum, quantity="tau", scale=about.scale)
    share = results.get(**stratum, quantity="i_squared", scale="share")
    if tau is None or share is None:
        return ""
    return (
        f"tau {number(tau['median'])} ({interval(tau['ci_low'], tau['ci_high'])}); "
        f"I² {percent(share['median'])} ({percent_interval(share['ci_low'], share['ci_high'])})"
    )


HEIGHTS = {"heading": 0.8, "study": 1.0, "mean": 1.0, "new": 0.6, "spread": 0.7}
"""Rows that each kind of line takes."""
IN_WORDS = ("heading", "spread")
"""Kinds of lines whose words run over the plot: the line of no effect spares them."""


def _drawn(lines: list[tuple[str, object]], tops: np.ndarray) -> list[tuple[float, float]]:
    """The stretches of rows that hold results, from top to bottom."""
    found: list[tuple[float, float]] = []
    for (kind, _), top in zip(lines, tops, strict=False):
        if kind in IN_WORDS:
            continue
        start, end = top + 0.2, top + 0.2 + HEIGHTS[kind]
        if found and abs(found[-1][1] - start) < 1e-9:
            start = found.pop()[0]
        found.append((start, end))
    return found


def _draw(lines: list[tuple[str, object]], about: Outcome, title: str) -> Figure:
    tops = np.cumsum([0.0, *(HEIGHTS[kind] for kind, _ in lines)])
    grid = base.rows(tops[-1] + 0.7, PLOT, title)
    for at, text, side in ((0, "Study, cells", "left"), (RANDOMISED, "R", "center"),
                           (BIAS, "Bias", "center"), (SIZE, "n", "right"),
                           (RESULT, "Result", "left"), (END, "Weight", "right")):  # fmt: skip
        if at == END and not any(kind == "mean" for kind, _ in lines):
            continue
        grid.put(-0.2, at, text, ha=side, color=style.GREY)
    ends = [row[name] for kind, row in lines if kind == "study"
            for name in ("y", "ci_low", "ci_high", "shrunk_low", "shrunk_high")
            if not (name.startswith("shrunk") and np.isnan(row["shrunk_mean"]))]  # fmt: skip
    limits = base.limits_of(ends, about, cut=0.02)
    grid.axes.set_xlim(limits)
    base.value_axis(grid.axes, about, limits, _drawn(lines, tops))
    grid.axes.set_xlabel("")
    grid.figure.text(1, 3 / (72 * grid.figure.get_figheight()), about.axis, ha="right",
                     va="bottom", fontsize=style.SMALL)  # fmt: skip
    for (kind, row), top in zip(lines, tops, strict=False):
        y = top + 0.5 * HEIGHTS[kind] + 0.2
        if kind == "heading":
            grid.put(y, 0, str(row), fontweight="bold")
        elif kind == "study":
            _study_in_words(grid, y, row, about)
            _draw_study(grid.axes, y, row, about)
        elif kind == "mean":
            _draw_mean(grid, y, row, about)
        elif kind == "new":
            grid.put(y, 0, "a new study", color=style.GREY)
            grid.put(y, RESULT, _ends(row["pred_low"], row["pred_high"], about), color=style.GREY)
            if np.isfinite(row["pred_low"]):
                base.span(grid.axes, row["pred_low"], row["pred_high"], y, color=style.INK, lw=1.1,
                          linestyle=(0, (2, 1.5)))  # fmt: skip
        else:
            grid.put(y, 0, str(row), color=style.GREY)
    return grid.figure


def _ends(low: float, high: float, about: Outcome) -> str:
    return f"({interval(low, high, about.digits)})" if known(low) and known(high) else ""


def _study_in_words(grid: base.Rows, y: float, row: dict, about: Outcome) -> None:
    """The columns of a study: what it is, and what it found by itself."""
    above, below = y - 0.22, y + 0.2
    grid.put(above, 0, study(row["label"]))
    grid.put(below, 0, short(row["cell_class"]), color=style.GREY)
    grid.put(above, RANDOMISED, "R" if row["randomised"] == "yes" else "·", ha="center")
    grid.put(above, BIAS, RISK_MARKS.get(row["risk_of_bias"], "?"), ha="center")
    grid.put(above, SIZE, count(row["n_patients"]), ha="right")
    if known(row["y"]):
        grid.put(above, RESULT, number(about.shown(row["y"]), about.digits))
        shown = "no spread printed"
        if known(row["ci_low"]):
            shown = _ends(about.shown(row["ci_low"]), about.shown(row["ci_high"]), about)
    else:
        grid.put(above, RESULT, "in words:")
        shown = directions.compared(row["direction"])
    grid.put(below, RESULT, shown, color=style.GREY)
    if known(row["weight"]):
        grid.put(above, END, percent(row["weight"]), ha="right")


def _draw_study(axes, y: float, row: dict, about: Outcome) -> None:
    colour = style.class_colour(row["cell_class"])
    shrunken = np.isfinite(row["shrunk_mean"])
    above = y - 0.17 if shrunken else y
    if np.isfinite(row["y"]):
        spread = np.isfinite(row["ci_low"])
        if spread:
            base.span(axes, about.shown(row["ci_low"]), about.shown(row["ci_high"]), above,
                      color=style.GREY, lw=0.9)  # fmt: skip
        axes.plot(about.shown(row["y"]), above, "o", ms=3.6, color=style.GREY,
                  mfc=style.GREY if spread else "white")  # fmt: skip
    else:
        axes.annotate(ARROWS[int(row["direction"])], (about.neutral, above), fontsize=style.SMALL,
                      va="center", ha="center", color=style.GREY, textcoords="offset points",
                      xytext=(7 * row["direction"], 0))  # fmt: skip
    if shrunken:
        base.span(axes, about.shown(row["shrunk_low"]), about.shown(row["shrunk_high"]), y + 0.17,
                  color=colour, lw=2, solid_capstyle="butt")  # fmt: skip
        axes.plot(about.shown(row["shrunk_mean"]), y + 0.17, "s", ms=3.6, color=colour)


def _draw_mean(grid: base.Rows, y: float, mean: pd.Series, about: Outcome) -> None:
    above, below = y - 0.22, y + 0.2
    grid.put(above, 0, f"Mean of {studies(mean['k_studies'])}", fontweight="bold")
    grid.put(above, SIZE, count(mean["n_patients"]), ha="right", fontweight="bold")
    grid.put(above, RESULT, number(mean["mean"], about.digits), fontweight="bold")
    grid.put(below, RESULT, _ends(mean["ci_low"], mean["ci_high"], about), fontweight="bold")
    low, high = grid.axes.get_xlim()
    base.diamond(grid.axes, max(mean["ci_low"], low), mean["mean"], min(mean["ci_high"], high), y)
