"""The pictures of the report. Each function takes `Results` and gives one matplotlib figure."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
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
    figure, axes = plt.subplots(figsize=(6.4, 0.36 * len(counts) + 1.0))
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
    """Study estimates as printed and as shrunken by the model, then pooled means and predictions.

    Grey: the study alone with its 95 % interval. Colour: the same study given all the others. A
    triangle marks a result given in words only. Controlled studies stand apart from uncontrolled.
    """
    studies = results.table("study_estimates")
    studies = studies[studies["outcome"] == outcome]
    ratio = outcome in RATIO_OUTCOMES
    show = np.exp if ratio else np.asarray
    rows = _forest_rows(results, studies, outcome)
    figure, axes = plt.subplots(figsize=(6.6, 0.27 * len(rows) + 1.1))
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


def _forest_limits(studies: pd.DataFrame, ratio: bool) -> tuple[float, float]:
    ends = studies[["ci_low", "ci_high", "shrunk_low", "shrunk_high"]].to_numpy().ravel()
    ends = ends[np.isfinite(ends)]
    low, high = np.quantile(ends, [0.02, 0.98])
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
        name = "mean_controlled" if controlled else "mean_uncontrolled"
        scale = {"scale": "log_ratio"} if outcome in RATIO_OUTCOMES else {}
        pooled = results.get(outcome, name, **scale)
        if pooled is not None and np.isfinite(pooled["mean"]):
            row = pooled.to_dict()
            row["text"] = f"pooled · k {row['k_studies']:.0f} · n {row['n_patients']:.0f}"
            rows.append(("pooled", row))
    return rows


def _draw_study(axes, y: float, row: dict, show, limits) -> None:
    colour = style.class_colour(row["cell_class"])
    if np.isfinite(row["y"]):
        if np.isfinite(row["ci_low"]):
            axes.plot(show([row["ci_low"], row["ci_high"]]), [y - 0.16] * 2, color=style.GREY, lw=1)
        hollow = not np.isfinite(row["ci_low"])
        axes.plot(show(row["y"]), y - 0.16, "o", ms=4, color=style.GREY,
                  mfc="white" if hollow else style.GREY)  # fmt: skip
    else:
        axes.plot(limits[0], y - 0.16, ">", ms=5, color=style.GREY, clip_on=False)
        axes.text(limits[0], y - 0.16, "   in words", fontsize=6.5, va="center", color=style.GREY)
    ends = [row["shrunk_low"], row["shrunk_high"]]
    axes.plot(show(ends), [y + 0.16] * 2, color=colour, lw=2.2, solid_capstyle="butt")
    axes.plot(show(row["shrunk_mean"]), y + 0.16, "s", ms=4, color=colour)


def _draw_pooled(axes, y: float, row: dict, show) -> None:
    low, mean, high = (show(row[name]) for name in ("ci_low", "mean", "ci_high"))
    if np.isfinite(row["pred_low"]):
        axes.plot(show([row["pred_low"], row["pred_high"]]), [y, y], color=style.INK, lw=1.2,
                  linestyle=(0, (2, 1.5)))  # fmt: skip
    axes.fill([low, mean, high, mean], [y, y - 0.3, y, y + 0.3], color=style.INK, zorder=3)


def ridges(results: Results, outcome: str) -> Figure:
    """Posterior of each class mean (filled), of a new study (line) and the prior (dotted)."""
    table = results.table("densities")
    table = table[(table["outcome"] == outcome) & (table["group_kind"].isin(["all", "cell_class"]))]
    groups = list(dict.fromkeys(table["group"]))
    ratio = outcome in RATIO_OUTCOMES
    figure, axes = plt.subplots(figsize=(6.4, 0.55 * len(groups) + 1.0))
    for y, group in enumerate(groups):
        colour = style.INK if group == "all" else style.class_colour(group)
        for quantity, part in table[table["group"] == group].groupby("quantity"):
            x = np.exp(part["x"]) if ratio else part["x"]
            height = y - 0.85 * part["density"] / part["density"].max()
            if quantity == "prior":
                axes.plot(x, height, color=style.GREY, lw=0.9, linestyle=":")
            elif quantity == "predictive":
                axes.plot(x, height, color=colour, lw=0.9)
            else:
                axes.fill_between(x, y, height, color=colour, alpha=0.55, lw=0)
    names = ["all classes" if group == "all" else short(group) for group in groups]
    axes.set_yticks(range(len(groups)), names)
    axes.set_ylim(len(groups) - 0.7, -1.0)
    axes.axvline(1 if ratio else 0, color=style.GREY, linewidth=0.8, zorder=0)
    if ratio:
        axes.set_xscale("log")
        ticks = [0.1, 0.2, 0.5, 1, 2, 5, 10]
        axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
        axes.xaxis.minorticks_off()
    axes.set_xlabel(AXIS_LABELS[outcome], fontsize=8.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    return figure


def durability(results: Results) -> Figure:
    """S(t) of insulin independence by class with 95 % bands; grey where no data reach."""
    table = results.table("durability")
    table = table[table["family"] == _headline_family(table)]
    groups = [g for g in dict.fromkeys(table["group"]) if g == "all" or _has_data(table, g)]
    columns = min(2, len(groups))
    lines = int(np.ceil(len(groups) / columns))
    figure, grid = plt.subplots(
        lines, columns, figsize=(6.6, 2.3 * lines + 0.4), sharex=True, sharey=True, squeeze=False
    )
    for axes, group in zip(grid.ravel(), groups, strict=False):
        part = table[table["group"] == group].sort_values("months")
        colour = style.INK if group == "all" else style.class_colour(group)
        axes.fill_between(part["months"], part["low"], part["high"], color=colour, alpha=0.25, lw=0)
        axes.plot(part["months"], part["mean"], color=colour, lw=1.8)
        last = part["last_observed"].iloc[0]
        if np.isfinite(last) and last < part["months"].max():
            axes.axvspan(last, part["months"].max(), color=style.PALE, alpha=0.55, lw=0)
            axes.text(last + 2, 0.97, "beyond\nthe data", fontsize=7.5, color=style.INK, va="top")
        axes.set_title("all classes" if group == "all" else short(group))
        axes.set_ylim(0, 1)
        axes.set_xticks([0, 12, 24, 36, 60, 84, 120])
    for axes in grid.ravel()[len(groups) :]:
        axes.set_visible(False)
    for axes in grid[-1]:
        axes.set_xlabel("months since insulin was stopped")
    for axes in grid[:, 0]:
        axes.set_ylabel("still free of insulin")
    return figure


def _headline_family(table: pd.DataFrame) -> str:
    families = list(table["family"].unique())
    return "stacked" if "stacked" in families else families[0]


def _has_data(table: pd.DataFrame, group: str) -> bool:
    return bool(np.isfinite(table.loc[table["group"] == group, "last_observed"].iloc[0]))


def ever_independent(results: Results) -> Figure:
    """Share ever free of insulin, study by study (exact interval and shrunken) and by class."""
    table = results.table("ever_study_estimates").sort_values(
        ["cell_class", "study_id"], kind="stable"
    )
    figure, axes = plt.subplots(figsize=(6.6, 0.25 * len(table) + 1.0))
    names = []
    labels = results.evidence.studies.set_index("study_id")
    for y, row in enumerate(table.to_dict("records")):
        colour = style.class_colour(row["cell_class"])
        axes.plot([row["ci_low"], row["ci_high"]], [y - 0.15] * 2, color=style.GREY, lw=1)
        axes.plot(row["raw"], y - 0.15, "o", ms=3.5, color=style.GREY)
        axes.plot([row["shrunk_low"], row["shrunk_high"]], [y + 0.15] * 2, color=colour, lw=2.2)
        axes.plot(row["shrunk_mean"], y + 0.15, "s", ms=3.8, color=colour)
        study = labels.loc[row["study_id"]]
        name = f"{study['first_author']} {study['year']:.0f}"
        names.append(f"{name} · {short(row['cell_class'])} · {row['k']:.0f}/{row['n']:.0f}")
    axes.set_yticks(range(len(table)), names, fontsize=8)
    axes.set_ylim(len(table) - 0.4, -0.8)
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of patients ever free of insulin", fontsize=8.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    return figure


def safety_bounds(results: Results) -> Figure:
    """Each harm: posterior mean and 95 % interval of its rate, with the rule of three beside it."""
    table = results.table("safety_summary")
    table = table[table["rate_mean"].notna()].reset_index(drop=True)
    figure, axes = plt.subplots(figsize=(6.6, 0.36 * len(table) + 1.0))
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
