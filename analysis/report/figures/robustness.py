"""What a headline depends on: all analyses, each study, the order of publication, priors."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.transforms import Affine2D

from analysis import outcomes
from analysis.records import records
from analysis.report import readings, style
from analysis.report.figures import base
from analysis.report.results import Results
from analysis.report.words import interval, listed, number, review, reviewed, study

PEOPLE = {"t1d": "type 1", "t2d": "type 2"}
OUTLINE = 120
"""Points a curve of specifications is thinned to."""


def headlines(results: Results) -> list[dict]:
    """Outcome, approach and population of every headline that has a multiverse."""
    table = results.table("standing")
    order = {name: place for place, name in enumerate(outcomes.HEADLINES)}
    table = table.assign(_o=table["outcome"].map(order)).sort_values(["_o", "population"])
    return records(table[["outcome", "approach", "population"]])


def name(parts: dict) -> str:
    """`HbA1c, type 2`."""
    return f"{outcomes.get(parts['outcome']).title}, {PEOPLE.get(parts['population'], '')}"


def unit(one: dict, signs: tuple[str, str]) -> str:
    """`percentage points; good side: ←`: the unit of a headline's axis, and the side that is good.

    `signs` are those of less and of more.
    """
    about = outcomes.get(one["outcome"])
    what = "times that of controls" if about.is_ratio else about.unit
    return f"{what}; good side: {signs[about.good > 0]}"


@base.drawn_from("multiverse")
def multiverse(results: Results) -> Figure:
    """Means of all analyses in order, one panel a headline; diamond: the headline."""
    parts = headlines(results)
    most = sum(results.rows("standing", **one)["share_good_clear"].iloc[0] > 0.5 for one in parts)
    figure, panels = base.stack(
        [60.0] * len(parts),
        36,
        f"A clear benefit in most analyses: {most or 'none'} of {len(parts)} headlines",
        gap=34,
        above=30,
        foot=14,
    )
    for axes, one in zip(panels, parts, strict=True):
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
        _entitle(axes, one)
        axes.set_xticks([])
    panels[-1].set_xlabel("analyses, in order of their result", loc="right")
    return figure


def _entitle(axes, one: dict) -> None:
    """Name a panel whose values go upwards, with its unit and the good side under the name."""
    axes.set_title(name(one), fontsize=style.TEXT, pad=14)
    axes.text(0, 1, unit(one, ("↓", "↑")), transform=axes.transAxes + UNDER, fontsize=style.SMALL,
              color=style.GREY, va="bottom")  # fmt: skip


UNDER = Affine2D().translate(0, 3)
"""From the head of a panel to the line between it and the name."""


def clear(low: float, high: float) -> bool:
    """Whether an interval on the model's scale excludes no effect."""
    return bool(low > 0 or high < 0)


def concludes_otherwise(results: Results, table: str, one: dict, *, last: bool = False) -> bool:
    """Whether any refit of a table (or the last one before all) is clear where the headline is not,
    or the other way round."""
    whole = results.one(**one, design="controlled", scale=outcomes.get(one["outcome"]).scale)
    found = results.rows(table, **one, design="controlled")
    if last:
        found = found.sort_values("place").iloc[-2:-1]
    now = clear(whole["ci_low"], whole["ci_high"])
    return any(clear(low, high) != now
               for low, high in zip(found["ci_low"], found["ci_high"], strict=True))  # fmt: skip


def other_conclusions(results: Results, table: str, *, last: bool = False) -> str:
    """`4 of 6 headlines`: in how many the conclusion changes (`concludes_otherwise`)."""
    parts = [one for one in headlines(results) if len(results.rows(table, **one))]
    other = sum(concludes_otherwise(results, table, one, last=last) for one in parts)
    return f"{other or 'none'} of {len(parts)} headlines"


def _panels(results: Results, table: str, label, order: list[str], finding: str) -> Figure:
    parts = headlines(results)
    shown = [(one, results.rows(table, **one, design="controlled").sort_values(order))
             for one in parts]  # fmt: skip
    shown = [(one, rows) for one, rows in shown if len(rows)]
    if not shown:
        return base.in_words("Nothing to draw in this run.")
    heights = [14.5 * len(rows) for _, rows in shown]
    figure, panels = base.stack(heights, 130, finding, gap=46, foot=8)
    for axes, (one, rows) in zip(panels, shown, strict=True):
        about = outcomes.get(one["outcome"])
        base.label_rows(axes, [label(one, row) for row in records(rows)])
        whole = results.one(**one, design="controlled", scale=about.scale)
        ends = [*rows["ci_low"], *rows["ci_high"], whole["ci_low"], whole["ci_high"]]
        base.value_axis(axes, about, base.limits_of(ends, about))
        axes.set_xlabel(unit(one, ("←", "→")), loc="right", fontsize=style.SMALL, color=style.GREY,
                        labelpad=1)  # fmt: skip
        axes.axvspan(about.shown(whole["ci_low"]), about.shown(whole["ci_high"]),
                     color=style.PALE, alpha=0.7, lw=0, zorder=0)  # fmt: skip
        low, mean, high = (
            [about.shown(value) for value in rows[column]]
            for column in ("ci_low", "mean", "ci_high")
        )
        axes.hlines(range(len(rows)), low, high, color=style.INK, lw=1.1)
        axes.plot(mean, range(len(rows)), "o", ms=3.6, color=style.INK)
        axes.set_title(name(one), fontsize=style.TEXT, pad=2)
    return figure


def leave_one_out(results: Results) -> Figure:
    """Each controlled mean without each study in turn; the band is the mean with all."""

    def label(one: dict, row: dict) -> str:
        few = readings.few_numbers(results, one, row["left_out"])
        return f"without {study(row['label'])}{' †' if few else ''}"

    return _panels(results, "leave_one_out", label, ["mean", "left_out"],
                   "Leaving one study out changes the conclusion of "
                   f"{other_conclusions(results, 'leave_one_out')}")  # fmt: skip


def cumulative(results: Results) -> Figure:
    """Each controlled mean as studies were published."""
    return _panels(results, "cumulative", lambda _, row: f"+ {study(row['label'])}", ["place"],
                   "The last study added changed the conclusion of "
                   f"{other_conclusions(results, 'cumulative', last=True)}")  # fmt: skip


@base.drawn_from("prior_grid")
def prior_grid(results: Results) -> Figure:
    """Each controlled mean under other priors of the mean and of the heterogeneity."""
    parts = headlines(results)
    names = {"half_normal": "as in the headline", "half_normal_narrow": "half as wide",
             "half_cauchy": "half-Cauchy", "empirical": "empirical (Rhodes 2015)"}  # fmt: skip
    colours = dict(zip(names, style.FAMILY_COLOURS, strict=False))
    figure, panels = base.stack(
        [46.0] * len(parts),
        36,
        f"Other priors change the conclusion of {other_conclusions(results, 'prior_grid')}",
        gap=46,
        above=30,
        foot=50,
    )
    for axes, one in zip(panels, parts, strict=True):
        about = outcomes.get(one["outcome"])
        table = results.rows("prior_grid", **one, design="controlled")
        widths = sorted(table["mu_prior_sd"].unique())
        for j, (prior, words) in enumerate(names.items()):
            own = table[table["tau_prior"] == prior].sort_values("mu_prior_sd")
            x = [widths.index(width) + 0.16 * (j - 1.5) for width in own["mu_prior_sd"]]
            low, mean, high = (
                [about.shown(value) for value in own[column]]
                for column in ("ci_low", "mean", "ci_high")
            )
            axes.vlines(x, low, high, color=colours[prior], lw=1.1)
            axes.plot(x, mean, "o", ms=3, color=colours[prior],
                      label=words if axes is panels[0] else None)  # fmt: skip
        axes.axhline(about.neutral, color=style.GREY, lw=0.8, zorder=0)
        axes.set_xticks(range(len(widths)), [f"{w:.2g}" for w in widths])
        _entitle(axes, one)
    panels[-1].set_xlabel("SD of the prior of the mean; colours: prior of tau", loc="right",
                          fontsize=style.SMALL)  # fmt: skip
    base.legend_below(figure, panels[0], 2)
    return figure


@base.drawn_from("funnel")
def funnel(results: Results) -> Figure:
    """Numbers against their standard errors; crosses: studies that trim and fill adds."""
    parts = [one for one in headlines(results) if len(results.rows("funnel", **one))]
    whole = results.table("funnel")
    added = int(whole["filled"].sum())
    figure, panels = base.stack(
        [62.0] * len(parts),
        44,
        f"{len(whole) - added} printed numbers; trim and fill would add {added or 'none'}",
        foot=4,
    )
    for axes, one in zip(panels, parts, strict=True):
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
        axes.set_ylabel("SE", fontsize=style.SMALL)
        axes.locator_params(nbins=5)
    return figure


@base.drawn_from("estimates")
def earlier(results: Results) -> Figure:
    """Earlier reviews, beside ours that pools as they did, and beside our headlines."""
    groups = review_rows(results)
    if not groups[0][1] and not groups[1][1]:
        return base.in_words("No earlier review pooled HbA1c as a difference.")
    lines = [(kind, row) for kind, found in groups if found
             for row in [kind, *sorted(found, key=lambda row: row[2])]]  # fmt: skip
    heights = [0.8 if isinstance(row, str) else 1.0 for _, row in lines]
    tops = np.cumsum([0.0, *heights])
    theirs = [row[2] for row in groups[0][1]]
    ours = [number(row[2]) for row in groups[2][1] if row[0] == HERE]
    said = "HbA1c in earlier reviews and here"
    if theirs and ours:
        said = (f"HbA1c against controls: {number(max(theirs))} to {number(min(theirs))} points "
                f"in earlier reviews, {listed(ours)} in the headlines here")  # fmt: skip
    grid = base.rows(tops[-1] + 0.3, (126.0, 206.0), said)
    about = outcomes.get("hba1c")
    ends = [value for _, row in lines if not isinstance(row, str) for value in row[2:]]
    limits = base.limits_of(ends, about)
    grid.axes.set_xlim(limits)
    base.value_axis(grid.axes, about, limits)
    grid.axes.set_xlabel(unit({"outcome": "hba1c"}, ("←", "→")), loc="right")
    for (kind, row), top, height in zip(lines, tops, heights, strict=False):
        y = top + 0.5 * height
        if isinstance(row, str):
            grid.put(y, 0, row, fontweight="bold", bbox=base.PAPER)
            continue
        who, whom, mean, low, high = row
        colour = style.RED if kind == OURS else style.GREY
        grid.put(y - 0.22, 0, who)
        grid.put(y + 0.2, 0, whom, color=style.GREY)
        grid.put(y - 0.22, 214, number(mean))
        grid.put(y + 0.2, 214, f"({interval(low, high)})", color=style.GREY)
        base.span(grid.axes, low, high, y, color=colour, lw=1.3)
        grid.axes.plot(mean, y, "s" if kind == OURS else "o", ms=4, color=colour)
    return grid.figure


def _who(row: dict) -> str:
    """A review's author and year, or the site where the pages that were read name none."""
    who, _, where = review(row).partition(" (")
    return who if row["first_author"] else where.rstrip(")")


AGAINST, BEFORE, OURS = "Earlier: against controls", "Earlier: after against before", "This report"
HERE = "headline"


def review_rows(results: Results) -> list[tuple[str, list[tuple[str, str, float, float, float]]]]:
    """HbA1c as a difference of means in earlier reviews, with controls and without, and here.

    Of each: who, of whom, mean, low, high.
    """
    table = results.evidence.published
    own = table["outcome"].str.lower().str.startswith("hba1c") & table["measure"].eq("MD")
    table = table[own & table["ci_low_signed"].notna() & table["ci_high_signed"].notna()]
    against = table["comparison"].str.contains("control", case=False)
    against &= ~table["comparison"].str.contains("self-control", case=False)
    before = table["comparison"].str.contains("before|baseline", case=False)
    groups = [
        (title, [(_who(row), reviewed(row["population"]),
                  row["estimate_signed"], row["ci_low_signed"], row["ci_high_signed"])
                 for row in records(table[chosen])])
        for title, chosen in ((AGAINST, against), (BEFORE, before & ~against))
    ]  # fmt: skip
    ours = []
    for approach, population, who, whom in (
        ("all", "all", "pooled as they did", "type 1 and type 2 diabetes"),
        ("all", "t1d", "pooled as they did", "type 1 diabetes"),
        ("all", "t2d", "pooled as they did", "type 2 diabetes"),
        ("cell_infusion", "t1d", HERE, "cell infusion, type 1"),
        ("cell_infusion", "t2d", HERE, "cell infusion, type 2"),
    ):
        row = results.get(outcome="hba1c", approach=approach, population=population,
                          design="controlled", scale="difference")  # fmt: skip
        if row is not None:
            ours.append((who, whom, row["mean"], row["ci_low"], row["ci_high"]))
    return [*groups, (OURS, ours)]
