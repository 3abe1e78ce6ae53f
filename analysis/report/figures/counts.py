"""Shares of patients study by study, and how long freedom from insulin lasts."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from analysis import outcomes
from analysis.report import style
from analysis.report.figures import base
from analysis.report.results import Results
from analysis.report.words import count, short, study

TICKS = (0, 25, 50, 75, 100)


def shares(results: Results, approach: str, population: str, names: tuple[str, ...]) -> Figure:
    """Counts of patients by study: exact 95 % interval, all together, and a new study.

    "≥" marks counts known as lower bounds: their interval has no upper end.
    """
    rows: list[tuple] = []
    facts = results.rows("share_facts", approach=approach)
    within = {"t1d": ("t1d", "t1d_new_onset", "t1d_established")}.get(population, (population,))
    facts = facts[facts["population"].isin(within)]
    for name in names:
        own = facts[facts["outcome"] == name]
        if own.empty:
            continue
        rows.append(("heading", "", outcomes.get(name).title))
        for row in own.sort_values(["cell_class", "label"]).to_dict("records"):
            sign = "≥ " if row["bound"] == "at_least" else ""
            label = (f"{study(row['label'])} · {short(row['cell_class'])} · {sign}"
                     f"{count(row['k'])} of {count(row['n'])}")  # fmt: skip
            rows.append(("study", label, row))
        pooled = results.get(outcome=name, approach=approach, population=population,
                             quantity="pooled_share", scale="share")  # fmt: skip
        model = results.get(outcome=name, approach=approach, population=population,
                            quantity="share", scale="share")  # fmt: skip
        if pooled is not None and len(own) > 1:
            rows.append(("all", f"all together · k {count(pooled['k_studies'])} · n "
                         f"{count(pooled['n_patients'])}", (pooled, model)))  # fmt: skip
    if not rows:
        return base.in_words("Nobody counts it.")
    figure, axes = base.new(0.29 * len(rows) + 0.7)
    base.label_rows(axes, [text for _, text, _ in rows])
    axes.set_xlim(0, 100)
    axes.set_xticks(TICKS)
    axes.set_xlabel("patients, of 100", loc="right")
    for y, (kind, _, row) in enumerate(rows):
        if kind == "heading":
            base.heading(axes, y, row)
        elif kind == "study":
            colour = style.class_colour(row["cell_class"])
            axes.plot([100 * row["ci_low"], 100 * row["ci_high"]], [y, y], color=colour, lw=1.4)
            axes.plot(100 * row["k"] / row["n"], y, "o", ms=4, color=colour,
                      mfc="white" if row["bound"] == "at_least" else colour)  # fmt: skip
        else:
            pooled, model = row
            if model is not None:
                axes.plot([100 * model["pred_low"], 100 * model["pred_high"]], [y, y],
                          color=style.INK, lw=1.1, linestyle=(0, (2, 1.5)))  # fmt: skip
            base.diamond(axes, 100 * pooled["ci_low"], 100 * pooled["mean"],
                         100 * pooled["ci_high"], y)  # fmt: skip
    return figure


def durability(results: Results, approach: str, denominator: str = "ever_free") -> Figure:
    """Share still insulin-free over time with its band, and landmarks of the same denominator."""
    curve = results.rows("durability_curve", approach=approach, denominator=denominator,
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
        beyond = own[own["beyond_data"]]
        axes.plot(beyond["month"], 100 * beyond["median"], color=colour, lw=1, linestyle=":")
        if len(beyond):
            axes.axvspan(beyond["month"].min(), own["month"].max(), color=style.PALE, alpha=0.5,
                         lw=0, zorder=0)  # fmt: skip
            axes.text(beyond["month"].min() + 1, 97, "beyond the data", fontsize=style.SMALL,
                      color=style.GREY, va="top")  # fmt: skip
        break
    marks = results.rows("durability_landmarks", approach=approach, denominator=denominator)
    for row in marks.to_dict("records"):
        axes.plot(row["month"], 100 * row["share"], "o", ms=2 + np.sqrt(row["n"]) / 1.6,
                  mfc="none", color=style.INK)  # fmt: skip
    axes.set_ylim(0, 100)
    axes.set_yticks(TICKS)
    axes.set_ylabel("still insulin-free, of 100")
    since = "insulin was stopped" if denominator == "ever_free" else "treatment"
    axes.set_xlabel(f"months since {since}", loc="right")
    axes.set_xlim(0, curve["month"].max())
    return figure


@base.drawn_from("swimmer")
def swimmer(results: Results) -> Figure:
    """Single patients' months free of insulin; hollow: not in the curve."""
    table = results.table("swimmer").sort_values(["approach", "label", "months"])
    rows = list(table.to_dict("records"))
    figure, axes = base.new(0.17 * len(rows) + 0.8)
    labels, last = [], ""
    for row in rows:
        labels.append(study(row["label"]) if row["label"] != last else "")
        last = row["label"]
    base.label_rows(axes, labels)
    ends = {"resumed": ("|", "insulin resumed"), "ongoing": (">", "still free"),
            "censored": (">", "at least"), "died": ("x", "died")}  # fmt: skip
    seen = set()
    for y, row in enumerate(rows):
        colour = style.APPROACH_COLOURS.get(row["approach"], style.GREY)
        axes.barh(y, row["months"], height=0.55, color=colour if row["in_model"] else "white",
                  edgecolor=colour, lw=0.7)  # fmt: skip
        marker, words = ends.get(row["status"], ("o", row["status"]))
        axes.plot(row["months"], y, marker, ms=4, color=style.INK,
                  label=None if words in seen else words)  # fmt: skip
        seen.add(words)
    axes.set_xlabel("months free of insulin", loc="right")
    base.legend_below(figure, axes, 3)
    return figure
