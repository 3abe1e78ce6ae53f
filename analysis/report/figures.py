"""The pictures of the report. Each function takes `Results` and gives one matplotlib figure."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis import vocabulary
from analysis.report import style
from analysis.report.results import Results

RATIO_OUTCOMES = ("c_peptide_ratio", "insulin_dose")
AXIS_LABELS = {
    "c_peptide_ratio": "C-peptide after ÷ before (log scale; above 1 = more insulin made)",
    "c_peptide_gain": "change of C-peptide, nmol/L (above 0 = more insulin made)",
    "hba1c": "change of HbA1c, percentage points (below 0 = better)",
    "insulin_dose": "insulin dose after ÷ before (log scale; below 1 = less insulin needed)",
}
CONTRASTS = {
    True: "against a control group",
    False: "against the patients' own baseline (no control group)",
}
MAP_COLUMNS = {
    "c_peptide": "C-peptide",
    "hba1c": "HbA1c",
    "insulin_dose": "insulin dose",
    "independence": "insulin-\nfree",
    "safety": "safety",
}


def _axes(figsize: tuple[float, float]) -> tuple[Figure, Axes]:
    """A figure with one pair of axes; shown by the cell that returns it, and only there."""
    figure = Figure(figsize=figsize)
    return figure, figure.subplots()


def short(cell_class: str) -> str:
    """A cell class in few letters."""
    return vocabulary.CELL_CLASS_SHORT.get(cell_class, cell_class.replace("_", " "))


def evidence_map_counts(results: Results) -> pd.DataFrame:
    """Cohorts (not reports) with evidence, by cell class and outcome; classes by their total."""
    studies = results.evidence.studies
    studies = studies[studies["include"] == "yes"].set_index("study_id")
    outcome = results.effects["outcome"].replace(
        {"c_peptide_ratio": "c_peptide", "c_peptide_gain": "c_peptide"}
    )
    seen = {
        name: set(results.effects.loc[outcome == name, "study_id"])
        for name in ("c_peptide", "hba1c", "insulin_dose")
    }
    seen["independence"] = set(results.evidence.independence["study_id"])
    seen["safety"] = set(results.evidence.safety["study_id"])
    counts = {
        name: studies[studies.index.isin(ids)].groupby("cell_class")["cohort"].nunique()
        for name, ids in seen.items()
    }
    table = pd.DataFrame(counts).reindex(sorted(studies["cell_class"].unique())).fillna(0)
    table = table.astype(int)
    return table.loc[table.sum(axis=1).sort_values(ascending=False, kind="stable").index]


def evidence_map(results: Results) -> Figure:
    """Bubbles: how many cohorts inform each outcome of each cell class; gaps stay visible."""
    counts = evidence_map_counts(results)[list(MAP_COLUMNS)]
    figure, axes = _axes(figsize=(6.4, 0.36 * len(counts) + 1.0))
    for y, (cell_class, row) in enumerate(counts.iterrows()):
        for x, count in enumerate(row):
            if count:
                colour = style.class_colour(cell_class)
                axes.scatter(x, y, s=70 + 42 * count, color=colour, alpha=0.85, linewidth=0)
                axes.text(x, y, str(count), ha="center", va="center", color="white",
                          fontsize=8.5, fontweight="bold")  # fmt: skip
            else:
                axes.text(x, y, "none", ha="center", va="center", color=style.GREY, fontsize=7.5)
    axes.set_xticks(range(len(MAP_COLUMNS)), list(MAP_COLUMNS.values()))
    axes.xaxis.tick_top()
    axes.set_yticks(range(len(counts)), [short(name) for name in counts.index])
    axes.set_ylim(len(counts) - 0.4, -0.6)
    axes.set_xlim(-0.6, len(MAP_COLUMNS) - 0.4)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    return figure


def forest(results: Results, outcome: str) -> Figure:
    """Each study's effect with its 95 % interval, then the pooled mean of each design.

    A hollow circle has no printed spread, a triangle is a result given in words only. Controlled
    studies stand apart from uncontrolled.
    """
    studies = study_effects(results, outcome)
    ratio = outcome in RATIO_OUTCOMES
    show = np.exp if ratio else np.asarray
    rows = _forest_rows(results, studies, outcome)
    figure, axes = _axes(figsize=(6.6, 0.27 * len(rows) + 1.1))
    limits = _forest_limits(studies, ratio)
    for y, (kind, row) in enumerate(rows):
        if kind == "heading":
            axes.text(0, y, row, transform=axes.get_yaxis_transform(), fontweight="bold",
                      va="center", fontsize=9)  # fmt: skip
        elif kind == "study":
            _draw_study(axes, y, row, show, limits)
        else:
            _draw_pooled(axes, y, row, show)
    axes.axvline(1 if ratio else 0, color=style.GREY, linewidth=0.8, zorder=0)
    labels = ["" if kind == "heading" else row["text"] for kind, row in rows]
    axes.set_yticks(range(len(rows)), labels, fontsize=8.3)
    axes.set_ylim(len(rows) - 0.4, -0.8)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    if ratio:
        axes.set_xscale("log")
        ticks = [t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20) if limits[0] <= t <= limits[1]]
        axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
        axes.xaxis.minorticks_off()
    axes.set_xlim(limits)
    axes.set_xlabel(AXIS_LABELS[outcome], fontsize=8.5)
    return figure


IN_WORDS = {
    -1: "◀ in words: lower",
    0: "◀ in words: no clear difference ▶",
    1: "in words: higher ▶",
}


def study_effects(results: Results, outcome: str) -> pd.DataFrame:
    """The headline effects of an outcome that may be pooled, with 95 % intervals (r = 0.4).

    `direction` of a result in words is 1 (higher), -1 (lower) or 0 (no clear difference).
    """
    effects = results.effects
    chosen = effects["pool"] & effects["headline"] & ~effects["at_diagnosis"]
    table = effects[chosen & (effects["outcome"] == outcome)].copy()
    half = 1.96 * np.sqrt(table["var_a"] - 0.4 * table["var_b"])
    table["ci_low"], table["ci_high"] = table["y"] - half, table["y"] + half
    table["direction"] = np.select([table["z_low"] > 0, table["z_high"] < 0], [1, -1], 0)
    return table


def _forest_limits(studies: pd.DataFrame, ratio: bool) -> tuple[float, float]:
    ends = studies[["y", "ci_low", "ci_high"]].to_numpy().ravel()
    ends = ends[np.isfinite(ends)]
    low, high = ends.min(), ends.max()
    pad = 0.12 * (high - low)
    low, high = min(low - pad, -0.1), max(high + pad, 0.1)
    return (float(np.exp(low)), float(np.exp(high))) if ratio else (float(low), float(high))


def _forest_rows(results, studies, outcome) -> list[tuple[str, object]]:
    rows: list[tuple[str, object]] = []
    for controlled, heading in CONTRASTS.items():
        chosen = studies[studies["controlled"].astype(bool) == controlled]
        if chosen.empty:
            continue
        rows.append(("heading", heading))
        chosen = chosen.sort_values(["cell_class", "year"], kind="stable")
        for row in chosen.to_dict("records"):
            patients = f"{row['n_patients']:.0f}"
            row["text"] = f"{row['label']} · {short(row['cell_class'])} · n {patients}"
            rows.append(("study", row))
        pooled = results.pooled(outcome, controlled)
        if pooled is not None:
            row = pooled.to_dict()
            row["text"] = f"pooled · k {row['k_studies']:.0f} · n {row['n_patients']:.0f}"
            rows.append(("pooled", row))
    return rows


def _draw_study(axes, y: float, row: dict, show, limits) -> None:
    colour = style.class_colour(row["cell_class"])
    if np.isfinite(row["y"]):
        known = np.isfinite(row["ci_low"])
        if known:
            axes.plot(show([row["ci_low"], row["ci_high"]]), [y, y], color=colour, lw=1.8)
        axes.plot(show(row["y"]), y, "o", ms=5, color=colour, mfc=colour if known else "white")
        return
    axes.text(
        *(0.5, y), IN_WORDS[row["direction"]], fontsize=7.5, va="center", ha="center",
        color=colour, transform=axes.get_yaxis_transform(),
    )  # fmt: skip


def _draw_pooled(axes, y: float, row: dict, show) -> None:
    low, mean, high = (show(row[name]) for name in ("ci_low", "mean", "ci_high"))
    if np.isfinite(row["pred_low"]):
        axes.plot(show([row["pred_low"], row["pred_high"]]), [y, y], color=style.INK, lw=1.2,
                  linestyle=(0, (2, 1.5)))  # fmt: skip
    axes.fill([low, mean, high, mean], [y, y - 0.3, y, y + 0.3], color=style.INK, zorder=3)


def safety_bounds(results: Results) -> Figure:
    """Each harm: posterior mean and 95 % interval of its rate, with the rule of three beside it."""
    table = results.table("safety_summary")
    table = table[table["rate_mean"].notna()].reset_index(drop=True)
    figure, axes = _axes(figsize=(6.6, 0.36 * len(table) + 1.0))
    names = []
    for y, row in enumerate(table.to_dict("records")):
        axes.plot([row["rate_ci_low"], row["rate_ci_high"]], [y, y], color=style.BLUE, lw=2.2)
        axes.plot(row["rate_mean"], y, "s", ms=4.5, color=style.BLUE)
        axes.plot(row["rate_upper95"], y, "|", ms=11, color=style.RED, mew=2)
        judged = " (judged related)" if row["relation"] == "treatment_related" else ""
        name = vocabulary.EVENT_CATEGORIES.get(row["event_category"], row["event_category"])
        names.append(f"{name}{judged} · {row['events']:.0f} in {row['n_stated']:.0f}")
    axes.set_yticks(range(len(table)), names, fontsize=8.3)
    axes.set_ylim(len(table) - 0.4, -0.8)
    axes.set_xscale("log")
    ticks = [0.1, 0.3, 1, 3, 10, 30, 100]
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.xaxis.minorticks_off()
    axes.set_xlabel("patients with the event, per 100 patient-years (log scale)", fontsize=8.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    return figure
