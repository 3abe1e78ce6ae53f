"""Figures of C-peptide, HbA1c and insulin dose: forests, class densities, type 1 beside type 2."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from analysis.report import style
from analysis.report.figures import base
from analysis.report.outcomes import DESIGNS, OUTCOMES, Outcome
from analysis.report.results import Results
from analysis.report.words import count, group_label, short, study

IN_WORDS = {-1: "◂ lower", 0: "no clear difference", 1: "higher ▸"}


def forest(results: Results, outcome: str) -> Figure:
    """Each study alone and given all the others, then each design's pooled mean and prediction.

    Above, grey: the study alone with its 95 % interval, hollow where no spread is printed, text
    where the result is given in words only. Below, coloured: the same study given all the others
    (shrunken). Diamond: pooled mean; dashed: 95 % prediction interval.
    """
    studies = results.study_effects(outcome)
    rows = []
    for controlled, title in DESIGNS.items():
        part = studies[studies["controlled"].astype(bool) == controlled]
        pooled = results.pooled(outcome, controlled)
        rows += _block(title.split(" (")[0].capitalize(), part, pooled)
    return _forest(rows, OUTCOMES[outcome])


def at_diagnosis(results: Results) -> Figure:
    """HbA1c after a baseline at diagnosis: apart, because it falls on insulin alone."""
    studies = results.study_effects("hba1c", at_diagnosis=True)
    pooled = results.pooled("hba1c", False, kind="design", group="at_diagnosis")
    return _forest(_block("Baseline at diagnosis", studies, pooled), OUTCOMES["hba1c"])


def _forest(rows: list[tuple], about: Outcome) -> Figure:
    """A forest of rows (kind, label, data)."""
    if not rows:
        return base.in_words(f"No study reports {about.label} in a form that can be compared.")
    figure, axes = base.new(0.29 * len(rows) + 0.8)
    base.label_rows(axes, [text for _, text, _ in rows])
    ends = [row[name] for kind, _, row in rows if kind == "study"
            for name in ("y", "ci_low", "ci_high", "shrunk_low", "shrunk_high")]  # fmt: skip
    base.value_axis(axes, about, base.limits_of(ends, about, cut=0.02))
    for y, (kind, _, row) in enumerate(rows):
        if kind == "heading":
            base.heading(axes, y, row)
        elif kind == "study":
            _draw_study(axes, y, row, about)
        else:
            _draw_pooled(axes, y, row)
    return figure


def _block(title, studies, pooled) -> list[tuple]:
    if studies.empty:
        return []
    rows = [("heading", "", title)]
    for row in studies.sort_values(["cell_class", "year", "label"], kind="stable").to_dict(
        "records"
    ):
        label = f"{study(row['label'])} · {short(row['cell_class'])} · n {count(row['n_patients'])}"
        rows.append(("study", label, row))
    if pooled is not None:
        rows.append(("pooled", f"pooled · k {count(pooled.k)} · n {count(pooled.n)}", pooled))
    return rows


def _draw_study(axes, y: float, row: dict, about: Outcome) -> None:
    colour = style.class_colour(row["cell_class"])
    shrunken = np.isfinite(row["shrunk_mean"])
    above = y - 0.17 if shrunken else y
    if np.isfinite(row["y"]):
        spread = np.isfinite(row["ci_low"])
        if spread:
            base.span(axes, about.shown(row["ci_low"]), about.shown(row["ci_high"]), above,
                      color=style.GREY, lw=0.9)  # fmt: skip
        axes.plot(about.shown(row["y"]), above, "o", ms=3.6, color=style.GREY,
                  mfc=style.GREY if spread else "white")  # fmt: skip
    else:
        side = {-1: "right", 0: "center", 1: "left"}[row["direction"]]
        axes.annotate(IN_WORDS[row["direction"]], (about.neutral, above), fontsize=style.SMALL,
                      va="center", ha=side, color=style.GREY, textcoords="offset points",
                      xytext=(4 * row["direction"], 0),
                      bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4})  # fmt: skip
    if shrunken:
        base.span(axes, about.shown(row["shrunk_low"]), about.shown(row["shrunk_high"]), y + 0.17,
                  color=colour, lw=2, solid_capstyle="butt")  # fmt: skip
        axes.plot(about.shown(row["shrunk_mean"]), y + 0.17, "s", ms=3.6, color=colour)


def _draw_pooled(axes, y: float, pooled) -> None:
    if np.isfinite(pooled.pred_low):
        base.span(axes, pooled.pred_low, pooled.pred_high, y, color=style.INK, lw=1.1,
                  linestyle=(0, (2, 1.5)))  # fmt: skip
    low, high = axes.get_xlim()
    base.diamond(axes, max(pooled.low, low), pooled.mean, min(pooled.high, high), y)


@base.drawn_from("densities")
def ridges(results: Results, outcome: str) -> Figure:
    """Posterior of each class mean (filled), of a new study (line) and the prior (dotted)."""
    about = OUTCOMES[outcome]
    table = results.rows("densities")
    table = table[(table["outcome"] == outcome) & table["group_kind"].isin(["all", "cell_class"])]
    if table.empty:
        return base.in_words(f"No class of cells has an estimate of {about.label}.")
    groups = list(dict.fromkeys(table["group"]))
    studies = results.study_effects(outcome)
    figure, axes = base.new(0.54 * len(groups) + 1.0)
    base.label_rows(axes, [_ridge_label(studies, group) for group in groups], size=style.SMALL)
    for label in axes.get_yticklabels():
        label.set(multialignment="right", linespacing=1.05)
    axes.set_ylim(len(groups) - 0.75, -1.0)
    lines = {"predictive": "a new study", "mean": "mean of the class", "prior": "prior of the mean"}
    for y, group in enumerate(groups):
        colour = style.INK if group == "all" else style.class_colour(group)
        part = table[table["group"] == group]
        tallest = part.groupby("quantity")["density"].max()
        for quantity, words in lines.items():
            own = part[part["quantity"] == quantity]
            if own.empty:
                continue
            x = about.shown(own["x"].to_numpy())
            # One scale a row: a flat curve then is an uncertain one.
            height = y - 0.85 * own["density"].to_numpy() / tallest.get("mean", tallest.max())
            height = np.maximum(height, y - 0.95)
            label = words if y == 0 else None
            if quantity == "mean":
                axes.fill_between(x, y, height, color=colour, alpha=0.5, lw=0, label=label)
            elif quantity == "predictive":
                axes.plot(x, height, color=colour, lw=1, label=label)
            else:
                axes.plot(x, height, color=style.GREY, lw=1, linestyle=":", label=label)
    ends = table.loc[table["quantity"] != "prior", "x"]
    base.value_axis(axes, about, base.limits_of(ends, about, cut=0.03))
    base.legend_below(figure, axes, 3)
    return figure


def _ridge_label(studies, group: str) -> str:
    own = studies if group == "all" else studies[studies["cell_class"] == group]
    name = "all classes" if group == "all" else short(group)
    lines = [name, f"k {len(own)} · n {count(own['n_patients'].sum())}"]
    if len(own) and not own["controlled"].astype(bool).any():
        lines.append("no control group")
    if len(own) == 1:
        lines.append("leans on the prior")
    return "\n".join(lines)


def by_type(results: Results) -> Figure:
    """Pooled means of type 1 beside type 2 diabetes, by design, for each outcome."""
    names = [name for name in ("c_peptide_ratio", "hba1c", "insulin_dose")
             if _type_rows(results, name)]  # fmt: skip
    if not names:
        return base.in_words("This run has no estimate by type of diabetes.")
    counts = [len(_type_rows(results, name)) for name in names]
    figure, grid = base.new(
        sum(0.3 * n + 0.75 for n in counts), nrows=len(names), squeeze=False,
        gridspec_kw={"height_ratios": [n + 1.4 for n in counts]},
    )  # fmt: skip
    for axes, name in zip(grid[:, 0], names, strict=True):
        about = OUTCOMES[name]
        rows = _type_rows(results, name)
        base.label_rows(axes, [text for text, _, _ in rows])
        ends = [np.log(v) if about.is_ratio else v for _, pooled, _ in rows
                for v in (pooled.low, pooled.high, pooled.pred_low, pooled.pred_high)]  # fmt: skip
        base.value_axis(axes, about, base.limits_of(ends, about))
        for y, (_, pooled, kind) in enumerate(rows):
            colour = style.BLUE if kind == "T1D" else "#B37400"
            if np.isfinite(pooled.pred_low):
                base.span(axes, pooled.pred_low, pooled.pred_high, y, color=colour, lw=1,
                          linestyle=(0, (2, 1.5)))  # fmt: skip
            base.diamond(axes, pooled.low, pooled.mean, pooled.high, y, colour)
        axes.set_title(about.label)
    return figure


def _type_rows(results: Results, outcome: str) -> list[tuple]:
    rows = []
    for controlled, design in ((True, "controlled"), (False, "uncontrolled")):
        for kind in ("T1D", "T2D"):
            pooled = results.pooled(outcome, controlled, kind="diabetes_type", group=kind)
            if pooled is not None:
                label = f"{group_label('diabetes_type', kind)}, {design} · k {count(pooled.k)}"
                rows.append((f"{label} · n {count(pooled.n)}", pooled, kind))
    return rows


@base.drawn_from("trajectory_curve")
def trajectory(results: Results, outcome: str) -> Figure:
    """The mean over time with its band, each study's points, and k under the axis."""
    about = OUTCOMES[outcome]
    curve = results.rows("trajectory_curve")
    curve = curve[curve["outcome"] == outcome].sort_values("months")
    if curve.empty:
        return base.in_words(f"No trajectory of {about.label} could be estimated.")
    show = _shower(about)
    figure, axes = base.new(3.4)
    x = curve["months"]
    if curve["pred_low"].notna().any():
        axes.fill_between(x, show(curve["pred_low"]), show(curve["pred_high"]), color=style.SKY,
                          alpha=0.22, lw=0, label="95 %: a new study")  # fmt: skip
    axes.fill_between(x, show(curve["ci_low"]), show(curve["ci_high"]), color=style.BLUE,
                      alpha=0.35, lw=0, label="95 %: the mean")  # fmt: skip
    axes.plot(x, show(curve["mean"]), color=style.BLUE, lw=1.6, label="mean")
    axes.axhline(about.neutral, color=style.GREY, lw=0.8, zorder=0)
    points = results.rows("trajectory_points")
    if not points.empty:
        points = points[points["outcome"] == outcome]
        for _, own in points.groupby("study_id"):
            own = own.sort_values("months")
            colour = style.class_colour(own["cell_class"].iloc[0])
            axes.plot(own["months"], show(own["y"]), "-o", color=colour, ms=2.6, lw=0.7, alpha=0.75)
    _limit_trajectory(axes, about, curve, points)
    months = [m for m in (0, 6, 12, 24, 36, 48, 60, 84, 120) if m <= x.max()]
    behind = curve.set_index("months")["k_studies"]
    nearest = [behind.iloc[int(np.argmin(np.abs(behind.index.to_numpy() - m)))] for m in months]
    labels = [f"{m}\n{count(k)}" for m, k in zip(months, nearest, strict=True)]
    axes.set_xticks(months, labels)
    axes.set_xlabel("months since treatment (below: studies with data then or later)", loc="right")
    axes.set_ylabel(about.axis.split(" (")[0])
    base.legend_below(figure, axes, 3)
    return figure


def _shower(about: Outcome):
    return lambda values: about.shown(np.asarray(values, dtype=float))


def _limit_trajectory(axes, about: Outcome, curve, points) -> None:
    ends = [*curve["ci_low"], *curve["ci_high"]]
    if len(points):
        ends += list(points["y"])
    low, high = base.limits_of(ends, about, cut=0.01)
    axes.set_ylim(low, high)
    if about.is_ratio:
        axes.set_yscale("log")
        shown = [tick for tick in base.RATIO_TICKS if low <= tick <= high]
        axes.set_yticks(shown, [f"{tick:g}" for tick in shown])
        axes.yaxis.minorticks_off()
        axes.set_ylim(low, high)
