"""Figures of what the answers depend on: choices, single studies, priors, small studies."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from analysis.report import style
from analysis.report.figures import base
from analysis.report.outcomes import OUTCOMES, Outcome
from analysis.report.results import Results
from analysis.report.words import count, review

SHOWN = ("hba1c", "c_peptide_ratio")
PANELS = 8
"""Quantities whose ranks are drawn: the least even ones; the table has all."""
CONCLUSION = {"good": style.BLUE, "open": "#B8B8B8", "harm": style.RED}
CHOICES = (
    "design", "words", "missing_spread", "medians", "unstated_spread", "r", "window", "overlaps",
    "sources", "measure", "new_onset", "mu_prior", "tau_prior", "family",
)  # fmt: skip
NAMES = {
    "missing_spread": "no spread", "unstated_spread": "spread ±", "r": "correlation r",
    "overlaps": "overlap", "new_onset": "at diagnosis", "mu_prior": "prior of mean",
    "tau_prior": "prior of τ", "family": "random effects", "window": "months",
    "words": "in words", "sources": "read in",
}  # fmt: skip
BINS, INTERVALS = 60, 400


@base.drawn_from("multiverse")
def multiverse(results: Results, outcome: str) -> Figure:
    """Specification curve: results in order with intervals, and where each choice lies.

    Of the intervals an even sample is drawn. Below, the height of each strip is the share of the
    analyses around that place of the curve that made the choice.
    """
    about = OUTCOMES[outcome]
    table = results.rows("multiverse")
    table = table[(table["outcome"] == outcome) & (table["conclusion"] != "too_few")]
    if table.empty:
        return base.in_words(f"No multiverse of {about.label}.")
    table = table.sort_values("mean", kind="stable").reset_index(drop=True)
    levels = [(choice, level) for choice in CHOICES if choice in table
              for level in _levels(table[choice])]  # fmt: skip
    height = 0.155 * len(levels) + 0.06 * len({choice for choice, _ in levels})
    figure, (top, below) = base.new(2.1 + height + 0.5, nrows=2, sharex=True,
                                    gridspec_kw={"height_ratios": [2.1, height]})  # fmt: skip
    _draw_curve(top, table, about)
    _draw_choices(below, table, levels)
    return figure


def _levels(column: pd.Series) -> list:
    """The levels of a choice, most frequent meaning first kept; a choice with one is left out."""
    found = sorted(column.unique(), key=str)
    return found if len(found) > 1 else []


def _draw_curve(axes, table: pd.DataFrame, about: Outcome) -> None:
    step = max(len(table) // INTERVALS, 1)
    sample = table.iloc[::step]
    for conclusion, colour in CONCLUSION.items():
        part = sample[sample["conclusion"] == conclusion]
        segments = [[(x, about.shown(low)), (x, about.shown(high))] for x, low, high in
                    zip(part.index, part["ci_low"], part["ci_high"], strict=True)]  # fmt: skip
        axes.add_collection(LineCollection(segments, colors=colour, linewidths=0.45, alpha=0.6))
    axes.plot(table.index, about.shown(table["mean"].to_numpy()), color=style.INK, lw=1.4)
    axes.axhline(about.neutral, color=style.INK, lw=0.8, linestyle="--", zorder=0)
    low, high = base.limits_of(table[["ci_low", "ci_high"]], about, cut=0.02)
    if about.is_ratio:
        axes.set_yscale("log")
        ticks = [tick for tick in base.RATIO_TICKS if low <= tick <= high]
        axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.yaxis.minorticks_off()
    axes.set_ylim(low, high)
    axes.set_xlim(0, len(table))
    axes.tick_params(axis="x", length=0, labelbottom=False)
    axes.set_ylabel(about.axis.split(" (")[0].replace(", percentage", ",\npercentage"))


def _draw_choices(axes, table: pd.DataFrame, levels: list[tuple]) -> None:
    edges = np.linspace(0, len(table), min(BINS, len(table)) + 1)
    place = np.digitize(np.arange(len(table)), edges[1:-1])
    total = np.bincount(place, minlength=len(edges) - 1)
    names, ticks, y, before = [], [], 0.0, ""
    for choice, level in levels:
        y += 0.4 if before not in ("", choice) else 0.0
        made = np.bincount(place, weights=(table[choice] == level), minlength=len(edges) - 1)
        share = np.append(made / total, made[-1] / total[-1])
        axes.fill_between(edges, y + 0.45, y + 0.45 - 0.9 * share, step="post", color=style.BLUE,
                          lw=0)  # fmt: skip
        text = str(level).replace("_", " ")
        title = NAMES.get(choice, choice.replace("_", " "))
        names.append(f"{title}: {text}" if choice != before else text)
        ticks.append(y)
        before = choice
        y += 1
    axes.set_yticks(ticks, names, fontsize=style.SMALL)
    axes.set_ylim(y - 0.4, -0.7)
    axes.set_xlabel(f"{len(table)} analyses, in order of their result")
    axes.tick_params(axis="y", length=0)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.set_xticks([])


def _panels(results: Results, name: str, rows, label) -> Figure:
    """One forest of controlled means for each of `SHOWN`, from a table of the sensitivity stage."""
    table = results.rows(name)
    table = table[table["design"] == "controlled"]
    parts = {outcome: rows(table[table["outcome"] == outcome]) for outcome in SHOWN}
    parts = {outcome: part for outcome, part in parts.items() if len(part)}
    if not parts:
        return base.in_words("Too few controlled studies print a number.")
    figure, grid = base.new(
        sum(0.22 * len(part) + 0.8 for part in parts.values()), nrows=len(parts), squeeze=False,
        gridspec_kw={"height_ratios": [0.22 * len(part) + 0.3 for part in parts.values()]},
    )  # fmt: skip
    for axes, (outcome, part) in zip(grid[:, 0], parts.items(), strict=True):
        about = OUTCOMES[outcome]
        base.label_rows(axes, [label(row) for row in part.to_dict("records")])
        base.value_axis(axes, about, base.limits_of(part[["ci_low", "ci_high"]], about, cut=0.02))
        for y, row in enumerate(part.to_dict("records")):
            if not np.isfinite(row["mean"]):
                axes.text(0.5, y, "too few studies", transform=axes.get_yaxis_transform(),
                          ha="center", va="center", fontsize=style.SMALL,
                          color=style.GREY)  # fmt: skip
                continue
            base.span(axes, about.shown(row["ci_low"]), about.shown(row["ci_high"]), y,
                      color=style.BLUE, lw=1.6)  # fmt: skip
            axes.plot(about.shown(row["mean"]), y, "o", ms=4, color=style.BLUE)
        whole = results.get(about.published, "mean_controlled", "controlled", group_kind="design",
                            scale=about.scale, method="exact")  # fmt: skip
        if whole is not None and name == "leave_one_out":
            axes.axvspan(about.shown(whole["ci_low"]), about.shown(whole["ci_high"]),
                         color=style.PALE, zorder=0, lw=0)  # fmt: skip
            axes.axvline(about.shown(whole["mean"]), color=style.GREY, lw=1, zorder=0)
        axes.set_title(about.label)
    return figure


@base.drawn_from("leave_one_out")
def leave_one_out(results: Results) -> Figure:
    """The controlled means without each study in turn."""
    return _panels(
        results,
        "leave_one_out",
        lambda table: table[table["kind"] == "study"],
        lambda row: f"without {row['label']} · k {count(row['k_studies'])}",
    )


@base.drawn_from("cumulative")
def cumulative(results: Results) -> Figure:
    """The controlled means as studies came in, by year."""
    return _panels(
        results,
        "cumulative",
        lambda table: table,
        lambda row: f"with {row['label']} · k {count(row['k_studies'])}",
    )


TAU_PRIORS = {
    "half_normal": "half-normal, as in the headline",
    "half_normal_narrow": "half-normal, scale halved",
    "half_cauchy": "half-Cauchy",
    "empirical": "empirical (Rhodes 2015)",
    "zero": "τ = 0: one common effect",
}


@base.drawn_from("prior_grid")
def prior_grid(results: Results) -> Figure:
    """The controlled means under a grid of priors of the mean and of heterogeneity."""
    table = results.rows("prior_grid")
    table = table[(table["design"] == "controlled") & table["mean"].notna()]
    shown = [outcome for outcome in SHOWN if (table["outcome"] == outcome).any()]
    if not shown:
        return base.in_words("Too few controlled studies print a number.")
    figure, grid = base.new(2.3 * len(shown) + 0.4, nrows=len(shown), squeeze=False)
    for axes, outcome in zip(grid[:, 0], shown, strict=True):
        about, part = OUTCOMES[outcome], table[table["outcome"] == outcome]
        names = [name for name in TAU_PRIORS if name in set(part["tau_prior"])]
        base.label_rows(axes, [TAU_PRIORS[name] for name in names])
        base.value_axis(axes, about, base.limits_of(part[["ci_low", "ci_high"]], about, cut=0.02))
        spreads = sorted(part["mu_prior_sd"].unique())
        for y, name in enumerate(names):
            own = part[part["tau_prior"] == name].set_index("mu_prior_sd")
            for place, spread in enumerate(spreads):
                row, shift = own.loc[spread], 0.7 * (place / (len(spreads) - 1 or 1) - 0.5)
                colour = style.FAMILY_COLOURS[place % len(style.FAMILY_COLOURS)]
                base.span(axes, about.shown(row["ci_low"]), about.shown(row["ci_high"]), y + shift,
                          color=colour, lw=1.3)  # fmt: skip
                axes.plot(about.shown(row["mean"]), y + shift, "o", ms=2.6, color=colour,
                          label=f"{spread:g}" if y == 0 else None)  # fmt: skip
        axes.set_title(about.label)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    words = [f"SD of the mean's prior {label}" for label in labels]
    figure.legend(handles, words, loc="outside lower center", ncols=2)
    return figure


@base.drawn_from("funnel")
def funnel(results: Results) -> Figure:
    """Study effects against their standard errors, designs apart by colour and shape."""
    table = results.rows("funnel")
    parts = {o: table[(table["outcome"] == o) & table["y"].notna()] for o in SHOWN}
    parts = {outcome: part for outcome, part in parts.items() if len(part)}
    if not parts:
        return base.in_words("Too few studies print a number and a spread.")
    figure, grid = base.new(2.6 * len(parts), nrows=len(parts), squeeze=False)
    marks = {"controlled": ("o", style.BLUE), "uncontrolled": ("^", "#B37400")}
    for axes, (outcome, part) in zip(grid[:, 0], parts.items(), strict=True):
        about = OUTCOMES[outcome]
        largest = 1.1 * part["se"].max()
        for design, (marker, colour) in marks.items():
            own = part[part["design"] == design]
            added = own["filled"].astype(str).isin(["True", "1", "1.0"])
            if len(own):
                axes.plot(about.shown(own.loc[~added, "y"].to_numpy()), own.loc[~added, "se"],
                          marker, color=colour, ms=5, linestyle="none",
                          label=f"{design} (k {(~added).sum()})")  # fmt: skip
            if added.any():
                axes.plot(about.shown(own.loc[added, "y"].to_numpy()), own.loc[added, "se"], marker,
                          color=colour, mfc="white", ms=5, linestyle="none",
                          label="trim and fill would add")  # fmt: skip
        pooled = results.pooled(outcome, True) or results.pooled(outcome, False)
        if pooled is not None:
            centre = np.log(pooled.mean) if about.is_ratio else pooled.mean
            se = np.linspace(0, largest, 30)
            for sign in (-1.96, 0, 1.96):
                axes.plot(about.shown(centre + sign * se), se, color=style.GREY, lw=0.9,
                          linestyle="-" if sign == 0 else "--", zorder=0)  # fmt: skip
        axes.set_ylim(largest, 0)
        axes.set_ylabel("standard error")
        span = [centre - 1.96 * largest, centre + 1.96 * largest] if pooled is not None else []
        low, high = base.limits_of([*part["y"], *span], about)
        base.value_axis(axes, about, (low, high))
        axes.set_title(about.label)
        axes.legend(loc="upper right", fontsize=style.SMALL)
    return figure


def earlier(results: Results) -> Figure:
    """Earlier reviews' pooled HbA1c differences, signs turned alike, then this report's means."""
    about = OUTCOMES["hba1c"]
    table = results.evidence.published
    table = table[(table["outcome"] == "HbA1c") & table["measure"].isin(["MD", "WMD"])]
    table = table[table["estimate_signed"].notna()].sort_values(["year", "study_id", "line"])
    rows: list[tuple] = [
        (f"{review(r)}, {r['population'].replace(' and ', '+')}",
         (r["estimate_signed"], r["ci_low_signed"], r["ci_high_signed"]), style.GREY)
        for r in table.to_dict("records")
    ]  # fmt: skip
    for controlled, words in ((True, "this report, controlled"), (False, "uncontrolled")):
        found = results.pooled("hba1c", controlled)
        if found is not None:
            label = f"{words} · k {count(found.k)} · n {count(found.n)}"
            rows.append((label, (found.mean, found.low, found.high), style.BLUE))
    if not rows:
        return base.in_words("No earlier review prints a mean difference of HbA1c.")
    figure, axes = base.new(0.25 * len(rows) + 0.8)
    base.label_rows(axes, [text for text, _, _ in rows])
    ends = [value for _, values, _ in rows for value in values]
    base.value_axis(axes, about, base.limits_of(ends, about))
    for y, (_, (mean, low, high), colour) in enumerate(rows):
        if np.isfinite(low) and np.isfinite(high):
            base.span(axes, low, high, y, color=colour, lw=1.6)
        axes.plot(mean, y, "o" if colour == style.GREY else "D", ms=4, color=colour)
    return figure


def calibration(results: Results) -> Figure:
    """Rank histograms of the quantities that look least calibrated, with the band of good ones."""
    from scipy import stats

    table = results.calibration()
    if table.empty:
        return base.in_words("Simulation-based calibration was not run (make calibrate).")
    table = table.nsmallest(PANELS, "ecdf_p")
    columns = 2
    lines = int(np.ceil(len(table) / columns))
    figure, grid = base.new(1.0 * lines + 0.3, nrows=lines, ncols=columns, squeeze=False)
    for axes, row in zip(grid.ravel(), table.to_dict("records"), strict=False):
        counts = np.array([float(n) for n in str(row["histogram"]).split(";")])
        low, high = stats.binom.ppf([0.005, 0.995], counts.sum(), 1 / len(counts))
        axes.axhspan(low, high, color=style.PALE, lw=0, zorder=0)
        axes.bar(np.arange(len(counts)), counts, width=0.9, color=style.BLUE)
        axes.set_title(
            f"{row['model']}\n{row['parameter']}".replace("_", " "), fontsize=style.SMALL
        )
        axes.set_xticks([])
        axes.set_yticks([])
    for axes in grid.ravel()[len(table) :]:
        axes.set_visible(False)
    figure.supxlabel("rank of the true value among posterior draws", fontsize=style.TEXT)
    return figure
