"""Forests: each result of an outcome in a stratum, alone and given the others, and the mean."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from analysis import outcomes
from analysis.outcomes import Outcome
from analysis.report import style
from analysis.report.figures import base
from analysis.report.results import Results
from analysis.report.words import count, short, study

PANELS = {
    "controlled": "Against control groups",
    "uncontrolled": "No control group, against own baseline",
}
IN_WORDS = {-1: "◂ lower", 0: "no clear difference", 1: "higher ▸"}
RISK_MARKS = {"low": "+", "moderate": "~", "some_concerns": "~", "high": "−", "serious": "−",
              "critical": "!", "no_information": "?", "not judged": "?"}  # fmt: skip
MEAN = "mean"


def forest(results: Results, outcome: str, approach: str, population: str) -> Figure:
    """Results of an outcome in a stratum: controlled and uncontrolled panels, each with its mean.

    Grey, above: the study alone with its 95 % interval, hollow without a spread, text for words.
    Coloured, below: given all the others. Diamond: mean; dashed: a new study. R: randomised. The
    sign after n is the risk of bias: + low, ~ moderate, − high, ! critical, ? not judged.
    """
    about = outcomes.get(outcome)
    parts = {"outcome": outcome, "approach": approach, "population": population}
    rows: list[tuple] = []
    for design, title in PANELS.items():
        studies = results.rows("study_estimates", **parts, design=design)
        told = results.rows("headlines", **parts, design=design)
        if studies.empty or told.empty:
            continue
        rows.append(("heading", "", title))
        order = studies.assign(_y=studies["shrunk_mean"].fillna(studies["y"]).fillna(0.0))
        for row in order.sort_values(["_y", "label"], kind="stable").to_dict("records"):
            rows.append(("study", _label(row), row))
        mean = results.get(**parts, design=design, scale="ratio" if about.is_ratio else about.scale)
        if told["told"].iloc[0] == MEAN and mean is not None:
            name = f"mean · k {count(mean['k_studies'])} · n {count(mean['n_patients'])}"
            rows.append(("mean", name, mean))
    return _draw(rows, about)


def _label(row: dict) -> str:
    mark = RISK_MARKS.get(row["risk_of_bias"], "?")
    random = " R" if row["randomised"] == "yes" else ""
    name = study(row["label"])
    return f"{name} · {short(row['cell_class'])}{random} · n {count(row['n_patients'])} {mark}"


def _draw(rows: list[tuple], about: Outcome) -> Figure:
    if not rows:
        return base.in_words(f"No study here reports {about.noun} in a form to be compared.")
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
            _draw_mean(axes, y, row)
    return figure


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
        side = {-1: "right", 0: "center", 1: "left"}[int(row["direction"])]
        axes.annotate(IN_WORDS[int(row["direction"])], (about.neutral, above),
                      fontsize=style.SMALL, va="center", ha=side, color=style.GREY,
                      textcoords="offset points", xytext=(4 * row["direction"], 0),
                      bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4})  # fmt: skip
    if shrunken:
        base.span(axes, about.shown(row["shrunk_low"]), about.shown(row["shrunk_high"]), y + 0.17,
                  color=colour, lw=2, solid_capstyle="butt")  # fmt: skip
        axes.plot(about.shown(row["shrunk_mean"]), y + 0.17, "s", ms=3.6, color=colour)


def _draw_mean(axes, y: float, mean) -> None:
    if np.isfinite(mean["pred_low"]):
        base.span(axes, mean["pred_low"], mean["pred_high"], y, color=style.INK, lw=1.1,
                  linestyle=(0, (2, 1.5)))  # fmt: skip
    low, high = axes.get_xlim()
    base.diamond(axes, max(mean["ci_low"], low), mean["mean"], min(mean["ci_high"], high), y)


def densities(results: Results, outcome: str, approach: str, population: str) -> Figure:
    """The controlled mean (filled), a new study (line) and the prior (dotted)."""
    about = outcomes.get(outcome)
    table = results.rows("densities", outcome=outcome, approach=approach, population=population,
                         design="controlled")  # fmt: skip
    if table.empty:
        return base.in_words(f"No controlled mean of {about.noun} here.")
    figure, axes = base.new(1.7)
    colour = style.APPROACH_COLOURS[approach]
    for quantity, words in {"mean": "mean", "prediction": "a new study", "prior": "prior"}.items():
        own = table[table["quantity"] == quantity]
        x = np.array([about.shown(value) for value in own["x"]])
        if quantity == "mean":
            axes.fill_between(x, 0, own["density"], color=colour, alpha=0.5, lw=0, label=words)
        else:
            dotted = quantity == "prior"
            axes.plot(x, own["density"], color=style.GREY if dotted else colour, lw=1,
                      linestyle=":" if dotted else "-", label=words)  # fmt: skip
    ends = table.loc[table["quantity"] != "prior", "x"]
    base.value_axis(axes, about, base.limits_of(ends, about, cut=0.02))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    base.legend_below(figure, axes, 3)
    return figure
