"""Figures of the first page and of the evidence base: claims as lights, the map of the evidence."""

from __future__ import annotations

import textwrap

import pandas as pd
from matplotlib.figure import Figure

from analysis.report import style
from analysis.report.figures import base
from analysis.report.results import Results
from analysis.report.words import chance, count, known, short

CLAIM_LETTERS = 39
"""Letters of a claim in a line."""
MAP_COLUMNS = {
    "c_peptide": "C-peptide",
    "hba1c": "HbA1c",
    "insulin_dose": "insulin\ndose",
    "independence": "insulin-\nfree",
    "safety": "harms",
}


@base.drawn_from("claims")
def claims(results: Results) -> Figure:
    """Each public claim with a light: colour and shape by verdict, and how probable it is."""
    table = results.rows("claims")
    texts = ["\n".join(textwrap.wrap(text, CLAIM_LETTERS)) for text in table["claim"]]
    heights = [0.135 * max(text.count("\n") + 1, 2) + 0.14 for text in texts]
    figure, axes = base.new(sum(heights) + 0.1)
    top = 0.0
    for text, height, row in zip(texts, heights, table.to_dict("records"), strict=True):
        y = top + height / 2
        colour, marker = style.LIGHTS.get(row["verdict"], ("white", "o"))
        axes.plot(0.03, y, marker, ms=10, color=colour, mec=style.GREY, mew=0.8)
        axes.text(0.075, y, text, va="center", fontsize=style.SMALL, linespacing=1.15)
        likely = f"{chance(row['probability'])} · " if known(row["probability"]) else ""
        axes.text(0.70, y - 0.065, row["verdict"], va="center", fontsize=style.SMALL,
                  fontweight="bold")  # fmt: skip
        behind = "no study"
        if row["k_studies"] > 0:
            behind = f"{likely}k {count(row['k_studies'])} · n {count(row['n_patients'])}"
        axes.text(0.70, y + 0.075, behind, va="center", fontsize=style.SMALL, color=style.GREY)
        top += height
        axes.axhline(top, color=style.PALE, lw=0.7)
    axes.set_ylim(sum(heights), 0)
    axes.set_xlim(0, 1)
    axes.set_axis_off()
    return figure


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
    figure, axes = base.new(0.33 * len(counts) + 0.7)
    for y, (cell_class, row) in enumerate(counts.iterrows()):
        for x, cohorts in enumerate(row):
            if cohorts:
                colour = style.class_colour(cell_class)
                axes.scatter(x, y, s=75 + 26 * cohorts, color=colour, linewidth=0)
                axes.text(x, y, str(cohorts), ha="center", va="center_baseline", color="white",
                          fontsize=style.TEXT, fontweight="bold")  # fmt: skip
            else:
                axes.text(
                    x, y, "none", ha="center", va="center", color=style.GREY, fontsize=style.SMALL
                )
    axes.set_xticks(range(len(MAP_COLUMNS)), list(MAP_COLUMNS.values()))
    axes.xaxis.tick_top()
    axes.set_yticks(range(len(counts)), [short(name) for name in counts.index])
    axes.set_ylim(len(counts) - 0.4, -0.6)
    axes.set_xlim(-0.6, len(MAP_COLUMNS) - 0.4)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    return figure
