"""Figures of harm: rates with their upper bounds, who said nothing, and what would settle it."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from analysis.report import style
from analysis.report.figures import base
from analysis.report.results import Results
from analysis.report.words import count, event, short

RATE_TICKS = (0.01, 0.1, 1, 10, 100)
NEEDED_TICKS = (10, 100, 1000, 10_000)
DURABLE = "loss_of_independence_5_years"


@base.drawn_from("safety_summary")
def bounds(results: Results) -> Figure:
    """Each harm: posterior mean and 95 % interval of its rate, and the one-sided upper bound."""
    table = results.rows("safety_summary")
    table = table[table["rate_mean"].notna()].sort_values(["relation", "event_category"])
    if table.empty:
        return base.in_words("No harm has a rate: no study states a count and a follow-up.")
    rows: list[tuple] = []
    for relation, words in (("any", "Of any cause"), ("treatment_related", "Judged related")):
        part = table[table["relation"] == relation]
        if len(part):
            rows.append((words, None))
            rows += [(f"{event(r['event_category'])} · {count(r['events'])} in "
                      f"{count(r['n_stated'])} (k {count(r['k_stated'])})", r)
                     for r in part.to_dict("records")]  # fmt: skip
    figure, axes = base.new(0.3 * len(rows) + 1.1)
    base.label_rows(axes, [text if row else "" for text, row in rows])
    base.log_axis(axes, (0.01, 100), RATE_TICKS)
    for y, (text, row) in enumerate(rows):
        if row is None:
            base.heading(axes, y, text)
            continue
        base.span(axes, row["rate_ci_low"], row["rate_ci_high"], y, color=style.BLUE, lw=2)
        axes.plot(row["rate_mean"], y, "s", ms=4, color=style.BLUE)
        axes.plot(row["rate_upper95"], y, "|", ms=9, color=style.RED, mew=1.8)
        axes.plot(row["conjugate_upper95"], y, "d", ms=4, color="#B37400", mfc="white")
    axes.plot([], [], "s-", color=style.BLUE, ms=4, label="mean and 95 % interval")
    axes.plot([], [], "|", color=style.RED, ms=9, mew=1.8, label="95 % upper bound")
    axes.plot([], [], "d", color="#B37400", mfc="white", ms=4, linestyle="none",
              label="the same, if all studies were alike")  # fmt: skip
    axes.set_xlabel("patients with the event per 100 patient-years (log scale)", loc="right")
    axes.grid(axis="x", color=style.PALE, lw=0.6)
    base.legend_below(figure, axes, 2)
    return figure


@base.drawn_from("safety_silent")
def silence(results: Results) -> Figure:
    """For each harm of any cause: patients in studies that count it and in those that say nothing.

    What was never stated is unknown, not zero.
    """
    silent = results.rows("safety_silent")
    silent = silent[(silent["cell_class"] == "all") & (silent["relation"] == "any")]
    if silent.empty:
        return base.in_words("Every study states every harm.")
    summary = results.rows("safety_summary")
    stated = summary[summary["relation"] == "any"].set_index("event_category")["n_stated"]
    silent = silent.sort_values("n_silent", kind="stable")
    figure, axes = base.new(0.34 * len(silent) + 0.9)
    labels = []
    for y, row in enumerate(silent.to_dict("records")):
        said = float(stated.get(row["event_category"], 0.0))
        total = said + row["n_silent"]
        if total == 0:
            total = 1.0
        axes.barh(y, said / total, color=style.BLUE, height=0.6,
                  label="counted" if y == 0 else None)  # fmt: skip
        axes.barh(y, row["n_silent"] / total, left=said / total, color=style.PALE, height=0.6,
                  hatch="////", edgecolor="white", linewidth=0,
                  label="not mentioned: unknown" if y == 0 else None)  # fmt: skip
        labels.append(f"{event(row['event_category'])} · {count(said)} of {count(total)}")
    base.label_rows(axes, labels)
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
    axes.set_xlabel("share of treated patients whose report counts the harm", loc="right")
    base.legend_below(figure, axes, 2)
    return figure


@base.drawn_from("safety_by_strategy")
def strategies(results: Results) -> Figure:
    """Rates by immune strategy, for harms stated under at least two of them."""
    table = results.rows("safety_by_strategy")
    rows: list[tuple] = []
    for (category, relation), part in table.groupby(["event_category", "relation"], sort=True):
        judged = ", judged related" if relation == "treatment_related" else ""
        rows.append((f"{event(category)}{judged}", None))
        rows += [(f"{r['strategy']} · {count(r['events'])} in {count(r['n_patients'])} "
                  f"(k {count(r['k_studies'])})", r) for r in part.to_dict("records")]  # fmt: skip
    figure, axes = base.new(0.27 * len(rows) + 0.7)
    base.label_rows(axes, [text.replace("_", " ") if row else "" for text, row in rows])
    base.log_axis(axes, (0.01, 200), RATE_TICKS)
    for y, (text, row) in enumerate(rows):
        if row is None:
            base.heading(axes, y, text.capitalize())
            continue
        base.span(axes, row["rate_ci_low"], row["rate_ci_high"], y, color=style.BLUE, lw=2)
        axes.plot(row["rate_mean"], y, "s", ms=4, color=style.BLUE)
    axes.set_xlabel("patients with the event per 100 patient-years (log scale)", loc="right")
    axes.grid(axis="x", color=style.PALE, lw=0.6)
    return figure


@base.drawn_from("evidence_needed")
def needed(results: Results) -> Figure:
    """Chance that a study of so many patient-years would settle each harm, and durability."""
    table = results.rows("evidence_needed")
    keep = (table["group"] == "all") & table["relation"].isin(["any", "", "all"])
    table = table[keep]
    if table.empty:
        return base.in_words("No harm could be simulated.")
    harms = list(dict.fromkeys(table["harm"]))
    figure, axes = base.new(3.5)
    dashes = ("-", "--", "-.", ":", (0, (4, 1, 1, 1, 1, 1)), (0, (1, 1)), "-")
    for harm, colour, dash in zip(harms, style.FAMILY_COLOURS, dashes, strict=False):
        own = table[table["harm"] == harm].groupby("patient_years")["assurance"].mean()
        if harm == DURABLE:
            name = "insulin independence at 5 years, ± 10 points"
        else:
            limit = table.loc[table["harm"] == harm, "threshold"].iloc[0]
            name = f"{event(harm)} under {limit:g} per 100 p-y"
        axes.plot(own.index, own, color=colour, linestyle=dash, lw=1.5, label=name)
    axes.axhline(0.8, color=style.GREY, lw=0.8, zorder=0)
    axes.text(table["patient_years"].min(), 0.815, " 80 %", fontsize=style.SMALL, color=style.GREY)
    base.log_axis(axes, (table["patient_years"].min(), table["patient_years"].max()), NEEDED_TICKS)
    axes.set_xlabel("patient-years of follow-up still to come (log scale)", loc="right")
    axes.set_ylabel("chance that it is settled")
    axes.set_ylim(0, 1.02)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    base.legend_below(figure, axes, 1)
    return figure


@base.drawn_from("next_trial_value")
def next_trial(results: Results) -> Figure:
    """How much one more trial of each class would narrow the 95 % interval of its mean HbA1c."""
    table = results.rows("next_trial_value")
    table = table[table["outcome"] == "hba1c"]
    if table.empty:
        return base.in_words("No class mean of HbA1c to narrow.")
    column = "reduction" if table["reduction"].notna().any() else "reduction_of_perfect_trial"
    table = table.sort_values(column, ascending=False)
    figure, axes = base.new(0.3 * len(table) + 0.9)
    labels = []
    for y, row in enumerate(table.to_dict("records")):
        axes.barh(y, row[column], color=style.class_colour(row["group"]), height=0.6)
        design = "controlled" if row["estimand"] == "mean_controlled" else "uncontrolled"
        labels.append(f"{short(row['group'])}, {design} · k {count(row['k_studies'])}")
    base.label_rows(axes, labels)
    axes.set_xlabel("narrowing of the 95 % interval, percentage points of HbA1c", loc="right")
    axes.set_xlim(0, 1.1 * float(np.nanmax(table[column])))
    return figure
