"""Figures of registered trials: when each is due, and which of the ended ones were ever told."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from analysis import registered, vocabulary
from analysis.records import records
from analysis.report import style
from analysis.report.figures import base
from analysis.report.registered_text import date
from analysis.report.results import Results
from analysis.report.words import count, short

SIZE = 1.7
"""Square points of a marker for one patient."""
SMALLEST = 14
PEOPLE = {"t1d_new_onset": "type 1, new", "t1d_established": "type 1", "t1d": "type 1",
          "t2d": "type 2", "all": "both types", "": "type not stated"}  # fmt: skip


def year_of(text: str) -> float:
    """A printed date as a year with decimals: the end of the day, month or year it names."""
    day = registered.last_day(text)
    return day.year + day.timetuple().tm_yday / 366


@base.drawn_from("registered_ongoing")
def timeline(results: Results) -> Figure:
    """Ongoing trials by expected completion: area by patients, colour and shape by approach.

    Filled: with a control group. The line is the day the registry was read; trials left of it are
    past their date, those without a date stand apart, at the right.
    """
    table = results.table("registered_ongoing")
    order = table["expected"].where(table["expected"] != "", "9999")
    table = table.assign(order=order).sort_values(["order", "registry_id"])
    trials = records(table)
    now = year_of(trials[0]["read_on"])
    years = [year_of(trial["expected"]) for trial in trials if trial["expected"]]
    low, last = min([now, *years]) - 0.4, max([now, *years])
    edge, undated = last + 0.7, last + 1.3
    figure, axes = base.new(0.31 * len(trials) + 1.1)
    axes.axvline(now, color=style.GREY, lw=0.8, ls="--", zorder=0)
    seen: set[str] = set()
    for y, trial in enumerate(trials):
        x = year_of(trial["expected"]) if trial["expected"] else undated
        colour = style.APPROACH_COLOURS.get(trial["approach"], style.GREY)
        known = np.isfinite(trial["n_patients"])
        area = max(SIZE * trial["n_patients"], SMALLEST) if known else SMALLEST
        filled = trial["controlled"] == "yes"
        axes.scatter(x, y, s=area, marker=style.APPROACH_MARKERS.get(trial["approach"], "o"),
                     color=colour if filled else style.WHITE, edgecolor=colour, linewidth=1.2,
                     zorder=3, clip_on=False)  # fmt: skip
        gap = 5 + 0.5 * np.sqrt(area)
        axes.annotate(count(trial["n_patients"]), (x, y), xytext=(gap, 0),
                      textcoords="offset points", va="center", fontsize=style.SMALL,
                      color=style.INK, bbox={**base.PAPER, "pad": 1.2})  # fmt: skip
        seen.add(trial["approach"])
    for name in vocabulary.APPROACHES:
        if name in seen:
            axes.scatter([], [], s=30, marker=style.APPROACH_MARKERS[name],
                         color=style.APPROACH_COLOURS[name],
                         label=vocabulary.APPROACHES[name])  # fmt: skip
    axes.scatter([], [], s=30, marker="o", color=style.GREY, label="control group")
    axes.scatter([], [], s=30, marker="o", color=style.WHITE, edgecolor=style.GREY,
                 label="none, or none stated")  # fmt: skip
    base.label_rows(axes, [f"{trial['registry_id']}\n{short(trial['cell_class'])}, "
                           f"{PEOPLE[trial['population']]}" for trial in trials])  # fmt: skip
    ticks = np.arange(np.ceil(low), np.floor(last) + 1)
    ticks = ticks[:: 2 if len(ticks) > 5 else 1]
    names = [f"{tick:.0f}" for tick in ticks]
    for tick in ticks:
        axes.axvline(tick, color=style.PALE, lw=0.6, zorder=0)
    if len(years) < len(trials):
        axes.axvline(edge, color=style.GREY, lw=0.8, zorder=0)
        ticks, names = [*ticks, undated], [*names, "undated"]
    axes.set_xticks(ticks, names)
    axes.set_xlim(low, undated + 0.6 if len(years) < len(trials) else edge)
    axes.set_xlabel(f"due by; line: registry read on {date(trials[0]['read_on'])}", loc="right")
    base.legend_below(figure, axes, 2)
    against = sum(trial["controlled"] == "yes" for trial in trials)
    return base.title(figure, f"{len(trials)} trials under way or planned, {against or 'none'} "
                              "with a control group")  # fmt: skip


@base.drawn_from("registered_silence")
def told(results: Results) -> Figure:
    """Ended trials found by topic: with a report, posted or press only, untold; by stratum."""
    table = results.table("registered_silence")
    table = table[table["population"].isin(["t1d", "t2d"]) & (table["approach"] != registered.ALL)]
    table = table[table["n_searched"] > 0].set_index(["approach", "population", "told"])
    strata = [(a, p) for a in vocabulary.APPROACHES for p in ("t1d", "t2d")
              if (a, p, registered.UNTOLD) in table.index]  # fmt: skip
    if not strata:
        return base.in_words("No ended trial was found by topic.")
    figure, axes = base.new(0.5 * len(strata) + 1.2)
    labels = []
    for y, (approach, population) in enumerate(strata):
        report = table.loc[(approach, population, registered.UNTOLD)]
        public = table.loc[(approach, population, "any_public_result")]
        whole, untold = report["n_searched"], public["n_searched_silent"]
        colour = style.APPROACH_COLOURS[approach]
        parts = (
            (whole - report["n_searched_silent"], colour, None),
            (report["n_searched_silent"] - untold, colour, "////"),
            (untold, style.PALE, None),
        )
        left = 0.0
        for width, fill, hatch in parts:
            axes.barh(y, width, left=left, height=0.6, color=fill, hatch=hatch,
                      edgecolor=style.WHITE, linewidth=0.6)  # fmt: skip
            left += width
        labels.append(f"{vocabulary.APPROACHES[approach]},\n{PEOPLE[population]}")
        without = f"{count(report['n_searched_silent'])} of {count(whole)} without a report"
        axes.annotate(without, (left, y), xytext=(6, 0), textcoords="offset points", va="center",
                      fontsize=style.SMALL, color=style.INK)  # fmt: skip
    base.label_rows(axes, labels)
    for fill, hatch, text in ((style.GREY, None, "with a report"),
                              (style.GREY, "////", "posted or in the press only"),
                              (style.PALE, None, "nothing told")):  # fmt: skip
        axes.barh(0, 0, color=fill, hatch=hatch, edgecolor=style.WHITE, linewidth=0, label=text)
    most = max(table.loc[(*stratum, registered.UNTOLD), "n_searched"] for stratum in strata)
    axes.set_xlim(0, 1.6 * most)
    step = max(1, int(np.ceil(most / 5)))
    axes.set_xticks(np.arange(0, most + 1, step))
    axes.set_xlabel(f"trials that ended {registered.SILENT_YEARS} years ago or more", loc="right")
    base.legend_below(figure, axes, 2)
    own = table.xs(registered.UNTOLD, level="told")
    return base.title(
        figure,
        f"{count(own['n_searched_silent'].sum())} of "
        f"{count(own['n_searched'].sum())} ended trials have no report",
    )
