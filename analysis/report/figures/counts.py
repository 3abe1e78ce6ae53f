"""Shares of patients study by study, and how long freedom from insulin lasts."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from analysis import cohorts, outcomes
from analysis.records import records
from analysis.report import readings, style, visits
from analysis.report.figures import base
from analysis.report.results import Results
from analysis.report.words import count, known, short, study
from analysis.vocabulary import ISLETS

TICKS = (0, 25, 50, 75, 100)
COUNTED, PLOT, RESULT = 150.0, (158.0, 226.0), 234.0
"""Points from the left at which the columns of `shares` stand; the names begin at 0."""
MARKS = ("o", "s", "D")
CLOCKS = {"ever_free": "independence", "all_treated": "treatment"}
"""When the clock of each denominator's curve starts."""


def shares(results: Results, approach: str, population: str, names: tuple[str, ...]) -> Figure:
    """Counts of patients by study: exact 95 % interval, all together, and a new study.

    Classes of islets are never joined: where a count has several, there is no row of all.
    "≥" marks counts known as lower bounds: their interval ends where that of the most they can be
    does, and has no upper end where all may be.
    """
    lines: list[tuple[str, object]] = []
    facts = results.rows("share_facts", approach=approach)
    within = {"t1d": ("t1d", "t1d_new_onset", "t1d_established")}.get(population, (population,))
    facts = facts[facts["population"].isin(within)]
    said = ""
    for name in names:
        own = facts[facts["outcome"] == name]
        if own.empty:
            continue
        title = visits.named(outcomes.get(name).title, name, own)
        lines.append(("heading", title))
        lines += [("study", row) for row in
                  records(own.sort_values(["cell_class", "label"]))]  # fmt: skip
        parts = {"outcome": name, "approach": approach, "population": population, "scale": "share"}
        pooled = results.get(**parts, quantity="pooled_share")
        classes = readings.classes_told(own, name) if approach == ISLETS else ""
        told = f"{readings.counts_of(own, name).value} people"
        said = said or f"{title}: {classes or told}"
        if pooled is not None and len(own) > 1 and not classes:
            lines.append(("all", (own, pooled, results.get(**parts, quantity="share"))))
    if not lines:
        return base.in_words("Nobody counts it.")
    heights = {"heading": 0.8, "study": 1.0, "all": 1.0}
    tops = np.cumsum([0.0, *(heights[kind] for kind, _ in lines)])
    grid = base.rows(tops[-1] + 0.3, PLOT, said)
    axes = grid.axes
    axes.set_xlim(0, 100)
    axes.set_xticks(TICKS)
    axes.set_xlabel("patients, of 100", loc="right")
    for (kind, row), top in zip(lines, tops, strict=False):
        y = top + 0.5 * heights[kind]
        if kind == "heading":
            grid.put(y, 0, row, fontweight="bold")
        elif kind == "study":
            colour, least = style.class_colour(row["cell_class"]), row["bound"] == "at_least"
            grid.put(y - 0.22, 0, study(row["label"]))
            grid.put(y + 0.2, 0, _cells_and_month(row), color=style.GREY)
            grid.put(y - 0.22, COUNTED, _counted(row["k"], row["n"], least), ha="right")
            grid.put(y - 0.22, RESULT, count(100 * row["k"] / row["n"]))
            grid.put(y + 0.2, RESULT, _ends(row["ci_low"], row["ci_high"], least),
                     color=style.GREY)  # fmt: skip
            axes.plot([100 * row["ci_low"], 100 * row["ci_high"]], [y, y], color=colour, lw=1.4)
            axes.plot(100 * row["k"] / row["n"], y, "o", ms=4, color=colour, clip_on=False,
                      mfc=style.WHITE if least else colour)  # fmt: skip
        else:
            own, pooled, model = row
            least = (own["bound"] == "at_least").any()
            grid.put(y - 0.22, 0, "All together", fontweight="bold")
            grid.put(y - 0.22, COUNTED, _counted(own["k"].sum(), own["n"].sum(), least),
                     ha="right", fontweight="bold")  # fmt: skip
            grid.put(y - 0.22, RESULT, count(100 * pooled["mean"]), fontweight="bold")
            grid.put(y + 0.2, RESULT, _ends(pooled["ci_low"], pooled["ci_high"], least),
                     fontweight="bold")  # fmt: skip
            if model is not None:
                axes.plot([100 * model["pred_low"], 100 * model["pred_high"]], [y, y],
                          color=style.INK, lw=1.1, linestyle=(0, (2, 1.5)))  # fmt: skip
                grid.put(y + 0.2, 0, f"new study {_ends(model['pred_low'], model['pred_high'])}",
                         color=style.GREY)  # fmt: skip
            if least:
                axes.plot([100 * pooled["ci_low"], 100 * pooled["ci_high"]], [y, y],
                          color=style.INK, lw=2)  # fmt: skip
                axes.plot(100 * pooled["mean"], y, "D", ms=5, color=style.INK, mfc=style.WHITE)
            else:
                base.diamond(axes, 100 * pooled["ci_low"], 100 * pooled["mean"],
                             100 * pooled["ci_high"], y)  # fmt: skip
    return grid.figure


def _cells_and_month(row: dict) -> str:
    """The class of cells, and the month of a count at a visit."""
    month = f", month {count(row['month'])}" if known(row["month"]) else ""
    return f"{short(row['cell_class'])}{month}"


def _counted(k: float, n: float, least: bool) -> str:
    """`14 of 14`, with `≥` before a lower bound."""
    return f"{'≥ ' if least else ''}{count(k)} of {count(n)}"


def _ends(low: float, high: float, least: bool = False) -> str:
    """An interval of shares, of 100; that of a lower bound which all may be has no upper end."""
    if least and high == 1:
        return f"({count(100 * low)} or more)"
    return f"({count(100 * low)} to {count(100 * high)})"


def duration(results: Results, approach: str, denominator: str = "ever_free") -> Figure:
    """Share still insulin-free over time with its band, and landmarks of the same denominator and
    clock."""
    curve = results.rows("duration_curve", approach=approach, denominator=denominator,
                         family="stacked")  # fmt: skip
    if curve.empty:
        return base.in_words("Too few durations for a curve.")
    figure, axes = base.new(2.6)
    colour = style.APPROACH_COLOURS[approach]
    for _, own in curve.groupby("population", sort=False):
        own = own.sort_values("month")
        axes.fill_between(own["month"], 100 * own["ci_low"], 100 * own["ci_high"], color=colour,
                          alpha=0.22, lw=0)  # fmt: skip
        seen = own[~own["beyond_data"]]
        axes.plot(seen["month"], 100 * seen["median"], color=colour, lw=1.6)
        beyond = own[own["month"] >= seen["month"].max()] if len(seen) else own
        axes.plot(beyond["month"], 100 * beyond["median"], color=colour, lw=1, linestyle=":")
        if own["beyond_data"].any():
            axes.axvspan(beyond["month"].min(), own["month"].max(), color=style.PALE, alpha=0.5,
                         lw=0, zorder=0)  # fmt: skip
            axes.text(beyond["month"].min() + 1, 97, "beyond the data", fontsize=style.SMALL,
                      color=style.GREY, va="top")  # fmt: skip
        break
    marks = results.rows("duration_landmarks", approach=approach, denominator=denominator,
                         clock=CLOCKS[denominator])  # fmt: skip
    for row in records(marks):
        axes.plot(row["month"], 100 * row["share"], "o", ms=2 + np.sqrt(row["n"]) / 1.6,
                  mfc="none", color=style.INK, ls="none")  # fmt: skip
    if len(marks):
        axes.plot([], [], "o", mfc="none", color=style.INK, ls="none",
                  label="published counts, sized by patients")  # fmt: skip
        base.legend_below(figure, axes, 1)
    axes.set_ylim(0, 100)
    axes.set_yticks(TICKS)
    axes.set_ylabel("still insulin-free, of 100")
    since = {"independence": "insulin was stopped", "treatment": "treatment"}[CLOCKS[denominator]]
    axes.set_xlabel(f"months since {since}", loc="right")
    axes.set_xlim(0, curve["month"].max())
    return base.title(figure, _lasting(results, approach))


def _lasting(results: Results, approach: str) -> str:
    """What the curve shows: the share still free after 12 months, where it was followed so far."""
    reach = results.rows("duration_follow_up", approach=approach)
    row = None if reach.empty else reach.iloc[0]
    if row is None or not row["last_month"] >= 12:
        return "Too few were followed for 12 months"
    year = results.get(outcome="insulin_free_duration", approach=approach,
                       population=row["population"], quantity="survival", month=12,
                       variant="stacked", scale="share")  # fmt: skip
    if year is None:
        return f"Followed for {count(row['last_month'])} months"
    return (f"Of 100 ever free, {count(100 * year['median'])} still were after 12 months; "
            f"not known beyond month {count(row['last_month'])}")  # fmt: skip


ENDS = {"resumed": ("X", "insulin resumed"), "ongoing": ("o", "still free when last seen"),
        "censored": (">", "at least so long"), "died": ("P", "died")}  # fmt: skip


def duration_left_out(results: Results, approach: str) -> Figure:
    """Share still insulin-free at some months without each study in turn."""
    table = results.rows("duration_leave_one_out", approach=approach, quantity="survival")
    reach = results.rows("duration_follow_up", approach=approach)
    if table["left_out"].nunique() < 2 or reach.empty:
        return base.in_words("Too few studies to leave one out.")
    last = reach["last_month"].iloc[0]
    names = table.drop_duplicates("left_out").sort_values(["label", "left_out"])
    labels = [f"without {study(label)}" if label else "all studies" for label in names["label"]]
    figure, axes = base.new(0.42 * len(labels) + 0.9)
    base.label_rows(axes, labels)
    months = sorted(table["month"].unique())
    for i, month in enumerate(months):
        within = bool(month <= last)
        colour = style.APPROACH_COLOURS[approach] if within else style.GREY
        words = f"after {count(month)} months" + ("" if within else ", beyond the follow-up")
        own = table[table["month"] == month].set_index("left_out").loc[names["left_out"]]
        for y, row in enumerate(records(own)):
            at = y + 0.24 * (i - (len(months) - 1) / 2)
            axes.plot([100 * row["ci_low"], 100 * row["ci_high"]], [at, at], color=colour, lw=1.1,
                      linestyle="-" if within else ":")  # fmt: skip
            axes.plot(100 * row["median"], at, MARKS[i % len(MARKS)], ms=4, color=colour,
                      mfc=colour if within else "white", label=None if y else words)  # fmt: skip
    axes.set_xlim(0, 100)
    axes.set_xticks(TICKS)
    axes.set_xlabel("still insulin-free, of 100 ever free", loc="right")
    base.legend_below(figure, axes, 2)
    first = table[(table["month"] == months[0]) & (table["left_out"] != "none")]
    least, most = (count(100 * value) for value in (first["median"].min(), first["median"].max()))
    return base.title(figure, f"Whichever study is left out, {least} to {most} of 100 ever free "
                              f"still are after {count(months[0])} months")  # fmt: skip


@base.drawn_from("swimmer")
def swimmer(results: Results, approach: str) -> Figure:
    """Single patients' months free of insulin after an approach; hollow: not in the curve."""
    table = results.rows("swimmer", approach=approach).sort_values(
        ["label", "months"], ignore_index=True, kind="stable"
    )
    if table.empty:
        return base.in_words("Nobody was told one by one.")
    figure, axes = base.new(0.135 * len(table) + 0.9)
    first = table["label"] != table["label"].shift()
    base.label_rows(axes, [study(label) if new else "" for label, new in
                           zip(table["label"], first, strict=True)])  # fmt: skip
    colour = style.APPROACH_COLOURS.get(approach, style.GREY)
    fills = [colour if used else style.WHITE for used in table["in_model"]]
    axes.barh(table.index, table["months"], height=0.55, color=fills, edgecolor=colour, lw=0.7)
    for status, (marker, words) in ENDS.items():
        rows = table[table["status"] == status]
        if len(rows):
            axes.plot(rows["months"], rows.index, marker, ms=5, color=style.INK,
                      mec=style.WHITE, mew=0.6, label=words, ls="none")  # fmt: skip
    axes.set_xlabel("months free of insulin", loc="right")
    base.legend_below(figure, axes, 2)
    groups = table["study_id"].map(cohorts.patient_groups(results.evidence.studies))
    twice = table.groupby(groups)["study_id"].nunique().gt(1).any()
    told = f"{len(table)} rows, one a person" + (", some in two reports" if twice else "")
    ended = int((table["status"] == "resumed").sum())
    return base.title(figure, f"{told}: {ended} are known to need insulin again")
