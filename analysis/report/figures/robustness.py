"""What a headline depends on: all analyses, each study, the order of publication, priors."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis import outcomes
from analysis.report import style
from analysis.report.figures import base
from analysis.report.results import Results
from analysis.report.words import study

PEOPLE = {"t1d": "type 1", "t2d": "type 2"}
OUTLINE = 200
"""Points a curve of specifications is thinned to."""


def headlines(results: Results) -> list[dict]:
    """Outcome, approach and population of every headline that has a multiverse."""
    table = results.table("standing")
    order = {name: place for place, name in enumerate(outcomes.HEADLINES)}
    table = table.assign(_o=table["outcome"].map(order)).sort_values(["_o", "population"])
    return table[["outcome", "approach", "population"]].to_dict("records")


def name(parts: dict) -> str:
    """`HbA1c, type 2`."""
    return f"{outcomes.get(parts['outcome']).title}, {PEOPLE.get(parts['population'], '')}"


@base.drawn_from("multiverse")
def multiverse(results: Results) -> Figure:
    """Means of all analyses in order, one panel a headline; diamond: the headline."""
    parts = headlines(results)
    figure, grid = base.new(1.15 * len(parts) + 0.2, nrows=len(parts), squeeze=False)
    for axes, one in zip(grid[:, 0], parts, strict=True):
        about = outcomes.get(one["outcome"])
        table = results.rows("multiverse", **one)
        table = table[(table["conclusion"] != "too_few") & (table["silent_trials"] == "out")]
        table = table.sort_values("mean", ignore_index=True)
        own = table.index[table["spec"] == 0]
        step = max(1, len(table) // OUTLINE)
        kept = table.iloc[::step]
        low, mean, high = (
            np.array([about.shown(value) for value in kept[column]])
            for column in ("ci_low", "mean", "ci_high")
        )
        clear = kept["conclusion"].eq("good").to_numpy()
        x = kept.index.to_numpy()
        axes.vlines(x[~clear], low[~clear], high[~clear], color="#B8B8B8", lw=0.6)
        axes.vlines(x[clear], low[clear], high[clear], color=style.SKY, lw=0.6)
        axes.plot(x, mean, color=style.INK, lw=1.1)
        if len(own):
            axes.plot(own[0], about.shown(table.loc[own[0], "mean"]), "D", color=style.RED, ms=5)
        axes.axhline(about.neutral, color=style.GREY, lw=0.8, zorder=0)
        if about.is_ratio:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(lambda v, _: f"{v:g}")
            axes.yaxis.set_minor_formatter(lambda v, _: "")
        axes.set_title(name(one), fontsize=style.TEXT)
        axes.set_xticks([])
    grid[-1, 0].set_xlabel("analyses, in order of their result", loc="right")
    return figure


def _panels(results: Results, table: str, label, order: list[str]) -> Figure:
    parts = headlines(results)
    shown = [(one, results.rows(table, **one, design="controlled").sort_values(order))
             for one in parts]  # fmt: skip
    shown = [(one, rows) for one, rows in shown if len(rows)]
    if not shown:
        return base.in_words("Nothing to draw in this run.")
    heights = [len(rows) + 1.6 for _, rows in shown]
    figure, grid = base.new(0.2 * sum(heights) + 0.3, nrows=len(shown), squeeze=False,
                            gridspec_kw={"height_ratios": heights})  # fmt: skip
    for axes, (one, rows) in zip(grid[:, 0], shown, strict=True):
        about = outcomes.get(one["outcome"])
        base.label_rows(axes, [label(row) for row in rows.to_dict("records")])
        whole = results.one(**one, design="controlled", scale=about.scale)
        ends = [*rows["ci_low"], *rows["ci_high"], whole["ci_low"], whole["ci_high"]]
        base.value_axis(axes, about, base.limits_of(ends, about))
        axes.set_xlabel("")
        axes.axvspan(about.shown(whole["ci_low"]), about.shown(whole["ci_high"]),
                     color=style.PALE, alpha=0.7, lw=0, zorder=0)  # fmt: skip
        for y, row in enumerate(rows.to_dict("records")):
            base.span(axes, about.shown(row["ci_low"]), about.shown(row["ci_high"]), y,
                      color=style.INK, lw=1.1)  # fmt: skip
            axes.plot(about.shown(row["mean"]), y, "o", ms=3.6, color=style.INK)
        axes.set_title(name(one), fontsize=style.TEXT)
    return figure


def leave_one_out(results: Results) -> Figure:
    """Each controlled mean without each study in turn; the band is the mean with all."""
    return _panels(results, "leave_one_out", lambda row: f"without {study(row['label'])}",
                   ["mean", "left_out"])  # fmt: skip


def cumulative(results: Results) -> Figure:
    """Each controlled mean as studies were published."""
    return _panels(results, "cumulative", lambda row: f"+ {study(row['label'])}", ["place"])


@base.drawn_from("prior_grid")
def prior_grid(results: Results) -> Figure:
    """Each controlled mean under other priors of the mean and of the heterogeneity."""
    parts = headlines(results)
    names = {"half_normal": "as in the headline", "half_normal_narrow": "half as wide",
             "half_cauchy": "half-Cauchy", "empirical": "empirical (Rhodes 2015)"}  # fmt: skip
    colours = dict(zip(names, style.FAMILY_COLOURS, strict=False))
    figure, grid = base.new(1.1 * len(parts) + 0.5, nrows=len(parts), squeeze=False)
    for axes, one in zip(grid[:, 0], parts, strict=True):
        about = outcomes.get(one["outcome"])
        table = results.rows("prior_grid", **one, design="controlled")
        widths = sorted(table["mu_prior_sd"].unique())
        for j, (prior, words) in enumerate(names.items()):
            for i, width in enumerate(widths):
                row = table[(table["tau_prior"] == prior) & (table["mu_prior_sd"] == width)]
                if row.empty:
                    continue
                x = i + 0.16 * (j - 1.5)
                low, mean, high = (about.shown(row[c].iloc[0]) for c in ("ci_low", "mean",
                                                                         "ci_high"))  # fmt: skip
                axes.plot([x, x], [low, high], color=colours[prior], lw=1.1)
                axes.plot(x, mean, "o", ms=3, color=colours[prior],
                          label=words if (i, axes) == (0, grid[0, 0]) else None)  # fmt: skip
        axes.axhline(about.neutral, color=style.GREY, lw=0.8, zorder=0)
        axes.set_xticks(range(len(widths)), [f"{w:.2g}" for w in widths])
        axes.set_title(name(one), fontsize=style.TEXT)
    grid[-1, 0].set_xlabel("SD of the prior of the mean (model scale); colours: prior of tau",
                           loc="right", fontsize=style.SMALL)  # fmt: skip
    base.legend_below(figure, grid[0, 0], 2)
    return figure


@base.drawn_from("funnel")
def funnel(results: Results) -> Figure:
    """Numbers against their standard errors; crosses: studies that trim and fill adds."""
    parts = [one for one in headlines(results) if len(results.rows("funnel", **one))]
    figure, grid = base.new(1.35 * len(parts) + 0.3, nrows=len(parts), squeeze=False)
    for axes, one in zip(grid[:, 0], parts, strict=True):
        about = outcomes.get(one["outcome"])
        table = results.rows("funnel", **one)
        mean = results.one(**one, design="controlled", scale=about.scale)["mean"]
        top = 1.1 * table["se"].max()
        axes.plot([mean - 1.96 * top, mean, mean + 1.96 * top], [top, 0, top], color=style.GREY,
                  lw=0.8)  # fmt: skip
        for filled, marker in ((False, "o"), (True, "x")):
            own = table[table["filled"] == filled]
            axes.plot(own["y"], own["se"], marker, color=style.INK, ms=4)
        axes.set_ylim(top, 0)
        axes.set_title(f"{name(one)} (model scale)", fontsize=style.TEXT)
        axes.set_ylabel("standard error", fontsize=style.SMALL)
    return figure


@base.drawn_from("estimates")
def earlier(results: Results) -> Figure:
    """Earlier reviews beside ours that pools as they did, and beside our headlines."""
    rows = review_rows(results)
    if not rows:
        return base.in_words("No earlier review pooled HbA1c as a difference.")
    figure, axes = base.new(0.27 * len(rows) + 0.8)
    base.label_rows(axes, [text for text, *_ in rows])
    about = outcomes.get("hba1c")
    ends = [value for _, _, *numbers in rows for value in numbers]
    base.value_axis(axes, about, base.limits_of(ends, about))
    for y, (_, colour, mean, low, high) in enumerate(rows):
        base.span(axes, low, high, y, color=colour, lw=1.3)
        axes.plot(mean, y, "o", ms=4, color=colour)
    return figure


def review_rows(results: Results) -> list[tuple[str, str, float, float, float]]:
    """HbA1c of earlier reviews (grey) and ours: label, colour, mean, low, high."""
    from analysis.report.words import review

    table = results.evidence.published
    table = table[table["outcome"].eq("hba1c") & table["estimate_signed"].notna()]
    rows = [
        (f"{review(row)} · {row['population']!s}", style.GREY, row["estimate_signed"],
         row["ci_low_signed"], row["ci_high_signed"])
        for row in table.to_dict("records")
        if pd.notna(row["ci_low_signed"])
    ]  # fmt: skip
    ours = (("all", "all", "all approaches, both types"), ("all", "t1d", "all approaches, type 1"),
            ("all", "t2d", "all approaches, type 2"),
            ("cell_infusion", "t1d", "cell infusion, type 1: headline"),
            ("cell_infusion", "t2d", "cell infusion, type 2: headline"))  # fmt: skip
    for approach, population, words in ours:
        row = results.get(outcome="hba1c", approach=approach, population=population,
                          design="controlled", scale="difference")  # fmt: skip
        if row is not None:
            rows.append((f"this report · {words}", style.RED, row["mean"], row["ci_low"],
                         row["ci_high"]))  # fmt: skip
    return rows
