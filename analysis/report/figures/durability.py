"""Figures of insulin independence: who became free of it, for how long, and what is guessed."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.exact.families import LABELS
from analysis.report import style
from analysis.report.figures import base
from analysis.report.results import Results
from analysis.report.words import count, group_label, short, study

MONTHS = (0, 12, 24, 36, 60, 84, 120)
AVERAGE = ("average", "stacked")
STATUS = {
    "resumed": ("X", "insulin resumed"),
    "ongoing": (">", "still free, or at least this long"),
    "censored": (">", "still free, or at least this long"),
    "died": ("s", "died free of insulin"),
}


@base.drawn_from("ever_facts")
def ever(results: Results) -> Figure:
    """Share ever free of insulin: the study alone (exact interval), shrunken, and pooled."""
    from scipy import stats

    facts = results.rows("ever_facts").sort_values(["cell_class", "study_id"], kind="stable")
    rows: list[tuple] = []
    for cell_class, part in facts.groupby("cell_class", sort=False):
        for row in part.to_dict("records"):
            at_least = "≥ " if row.get("bound") == "at_least" else ""
            rows.append(
                (f"{study(row['label'])} · {at_least}{count(row['k'])} of {count(row['n'])}", row)
            )
        pooled = results.get("ever_independent", "p_ever", cell_class, group_kind="cell_class")
        if pooled is not None:
            lean = ", leans on prior" if len(part) == 1 else ""
            rows.append((f"{short(cell_class)} · k {count(pooled['k_studies'])}{lean}", pooled))
    overall = results.get("ever_independent", "p_ever", "all", group_kind="all")
    if overall is not None:
        words = f"an average class · k {count(overall['k_studies'])}"
        rows.append((f"{words} · n {count(overall['n_patients'])}", overall))
    figure, axes = base.new(0.235 * len(rows) + 0.7)
    base.label_rows(axes, [text for text, _ in rows])
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
    axes.set_xlabel("patients ever free of insulin", loc="right")
    for y, (_, row) in enumerate(rows):
        if isinstance(row, pd.Series):
            colour = style.class_colour(row["group"]) if row["group"] != "all" else style.INK
            if np.isfinite(row["pred_low"]):
                base.span(axes, row["pred_low"], row["pred_high"], y, color=colour, lw=1,
                          linestyle=(0, (2, 1.5)))  # fmt: skip
            base.diamond(axes, row["ci_low"], row["mean"], row["ci_high"], y, colour)
            axes.get_yticklabels()[y].set_fontweight("bold")
            continue
        k, n = row["k"], row["n"]
        low = stats.beta.ppf(0.025, k, n - k + 1) if k else 0.0
        high = stats.beta.ppf(0.975, k + 1, n - k) if k < n else 1.0
        high = 1.0 if row.get("bound") == "at_least" else high
        base.span(axes, low, high, y - 0.15, color=style.GREY, lw=0.9)
        axes.plot(k / n, y - 0.15, "o", ms=3, color=style.GREY)
        if np.isfinite(row["shrunk_mean"]):
            colour = style.class_colour(row["cell_class"])
            base.span(axes, row["shrunk_low"], row["shrunk_high"], y + 0.17, color=colour, lw=2,
                      solid_capstyle="butt")  # fmt: skip
            axes.plot(row["shrunk_mean"], y + 0.17, "s", ms=3.2, color=colour)
    return figure


def _curve(results: Results, group: str, population: str, family: str | None = None):
    table = results.rows("durability_curve")
    families = [family] if family else list(AVERAGE)
    chosen = table[(table["group"] == group) & (table["population"] == population)]
    chosen = chosen[chosen["family"].isin(families)]
    return chosen.sort_values("months")


@base.drawn_from("durability_curve")
def durability(results: Results, population: str = "given_ever") -> Figure:
    """S(t) by class with 95 % bands; landmarks sized by n, data ticks, grey beyond the data."""
    table = results.rows("durability_curve")
    groups = [g for g in dict.fromkeys(table["group"]) if len(_curve(results, g, population))]
    if not groups:
        return base.in_words("No curve of continued independence could be estimated.")
    groups.sort(key=lambda g: g != "all")
    columns = 2 if len(groups) > 1 else 1
    lines = int(np.ceil(len(groups) / columns))
    figure, grid = base.new(1.85 * lines + 0.5, nrows=lines, ncols=columns, sharex=True,
                            sharey=True, squeeze=False)  # fmt: skip
    landmarks = results.rows("durability_landmarks")
    patients = results.rows("swimmer")
    for axes, group in zip(grid.ravel(), groups, strict=False):
        part = _curve(results, group, population)
        colour = style.INK if group == "all" else style.class_colour(group)
        _shade_beyond(axes, part)
        axes.fill_between(part["months"], part["ci_low"], part["ci_high"], color=colour,
                          alpha=0.25, lw=0)  # fmt: skip
        axes.plot(part["months"], part["mean"], color=colour, lw=1.6)
        if len(landmarks) and population == "given_ever":
            own = landmarks if group == "all" else landmarks[landmarks["cell_class"] == group]
            axes.scatter(own["months"], own["share"], s=3 + 2.2 * own["n"], color="white",
                         edgecolor=colour, linewidth=0.9, zorder=3)  # fmt: skip
        if len(patients) and population == "given_ever":
            own = patients if group == "all" else patients[patients["cell_class"] == group]
            axes.plot(own["months"], np.full(len(own), 0.025), "|", color=colour, ms=5, mew=0.7)
        kind = part["group_kind"].iloc[0]
        title = "all classes" if group == "all" else group_label(kind, group)
        title += _sizes(results, kind, group)
        axes.set_title(title, fontsize=8)
        axes.set_ylim(0, 1)
        axes.set_xlim(0, part["months"].max())
        axes.set_xticks([m for m in (0, 24, 60, 120) if m <= part["months"].max()])
        axes.set_yticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
    for axes in grid.ravel()[len(groups) :]:
        axes.set_visible(False)
    since = "freedom from insulin began" if population == "given_ever" else "treatment"
    figure.supxlabel(f"months since {since}", fontsize=style.TEXT)
    whom = "of those ever free" if population == "given_ever" else "of all treated"
    figure.supylabel(f"free of insulin, {whom}", fontsize=style.TEXT)
    return figure


def _sizes(results: Results, kind: str, group: str) -> str:
    """Studies and patients behind a curve."""
    table = results.rows("durability_extrapolation")
    if table.empty:
        return ""
    row = table[(table["group_kind"] == kind) & (table["group"] == group)]
    if row.empty:
        return ""
    one = row.iloc[0]
    return f" · k {count(one['k_studies'])} · n {count(one['n_patients'])}"


def _shade_beyond(axes, part: pd.DataFrame) -> None:
    """Grey where no study of the group has looked."""
    beyond = part[part["beyond_data"].astype(str).isin(["True", "1", "1.0"])]
    if len(beyond):
        start, end = beyond["months"].min(), beyond["months"].max()
        axes.axvspan(start, end, color=style.PALE, lw=0, zorder=0)
        axes.text(end, 0.97, "beyond\nthe data ", fontsize=style.SMALL, color=style.INK, va="top",
                  ha="right")  # fmt: skip


@base.drawn_from("durability_curve")
def families(results: Results) -> Figure:
    """The same facts under each survival family: where they part, the data do not decide."""
    table = results.rows("durability_curve")
    table = table[(table["group"] == "all") & (table["population"] == "given_ever")]
    names = [name for name in dict.fromkeys(table["family"]) if name not in AVERAGE]
    if not names:
        return base.in_words("This run keeps only the average of the survival families.")
    weights = _weights(results)
    figure, axes = base.new(3.3)
    average = _curve(results, "all", "given_ever")
    if len(average):
        _shade_beyond(axes, average)
        axes.fill_between(average["months"], average["ci_low"], average["ci_high"], alpha=0.25,
                          color=style.GREY, lw=0)  # fmt: skip
        axes.plot(average["months"], average["mean"], color=style.INK, lw=2.2, label="average")
    dashes = ("-", "--", "-.", ":", (0, (4, 1, 1, 1, 1, 1)), (0, (1, 1)))
    for name, colour, dash in zip(names, style.FAMILY_COLOURS, dashes, strict=False):
        own = table[table["family"] == name].sort_values("months")
        weight = f" (weight {weights[name]:.2f})" if name in weights else ""
        axes.plot(own["months"], own["mean"], color=colour, lw=1.3, linestyle=dash,
                  label=LABELS.get(name, name) + weight)  # fmt: skip
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    axes.set_xticks(MONTHS)
    axes.set_xlim(0, table["months"].max())
    axes.set_xlabel("months since freedom from insulin began", loc="right")
    axes.set_ylabel("still free of insulin")
    base.legend_below(figure, axes, 2)
    return figure


def _weights(results: Results) -> dict[str, float]:
    table = results.rows("durability_families")
    if table.empty:
        return {}
    table = table[(table["group"] == "all") & table["weight"].notna()]
    return dict(zip(table["family"], table["weight"], strict=True))


@base.drawn_from("swimmer")
def swimmer(results: Results) -> Figure:
    """Every patient whose own duration was printed; hollow bars do not enter the model."""
    table = results.rows("swimmer").sort_values(
        ["cell_class", "study_id", "months"], ascending=[True, True, False], kind="stable"
    )
    figure, axes = base.new(0.14 * len(table) + 1.2)
    labels, before = [], None
    used = table["used_in_model"].astype(str).isin(["True", "1", "1.0"])
    for y, (row, enters) in enumerate(zip(table.to_dict("records"), used, strict=True)):
        colour = style.class_colour(row["cell_class"])
        axes.barh(y, row["months"], height=0.7, color=colour if enters else "white",
                  edgecolor=colour, linewidth=0.6, alpha=0.75)  # fmt: skip
        marker = STATUS.get(row["status"], ("o", ""))[0]
        axes.plot(row["months"], y, marker, color=style.INK, ms=3)
        labels.append(f"{study(row['label'])} · {short(row['cell_class'])}"
                      if row["study_id"] != before else "")  # fmt: skip
        before = row["study_id"]
    base.label_rows(axes, labels)
    axes.set_xlabel("months free of insulin", loc="right")
    axes.set_xlim(0, 1.05 * table["months"].max())
    seen = {STATUS[s] for s in table["status"] if s in STATUS}
    for marker, words in sorted(seen):
        axes.plot([], [], marker, color=style.INK, ms=4, linestyle="none", label=words)
    axes.bar([0], [0], color="white", edgecolor=style.GREY, label="does not enter the model")
    base.legend_below(figure, axes, 2)
    return figure
