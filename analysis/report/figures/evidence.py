"""What the evidence is: who informs what, the way from reports to estimates, risk of bias."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from matplotlib.transforms import Affine2D

from analysis import cohorts, outcomes, risk_of_bias, vocabulary
from analysis.report import glossary, style
from analysis.report.figures import base
from analysis.report.results import Results
from analysis.report.words import short

MAPPED = (*(name for name in outcomes.HEADLINES if name != "c_peptide_gain"), "ever_insulin_free")
"""Outcomes of the map; the gain of C-peptide comes from the studies of its ratio."""
COUNTED = {"c_peptide_ratio": "c_peptide_detectable", "hba1c": "hba1c_below_7",
           "ever_insulin_free": "ever_insulin_free"}  # fmt: skip
"""Counts of patients that inform an outcome of the map, beside its means."""
RISK_COLOURS = {"low": style.GREEN, "moderate": "#E3B505", "some_concerns": "#E3B505",
                "high": style.RED, "serious": style.RED, "critical": "#7A1F0F",
                "no_information": "#B8B8B8"}  # fmt: skip
LONG = 12
"""More cohorts than this stand in two panels, side by side on paper."""
ON_PALE = "#1A1A1A"
"""Letters on yellow and grey, on light and dark pages alike."""
RISK_INK = {word: ON_PALE if colour in ("#E3B505", "#B8B8B8") else "white"
            for word, colour in RISK_COLOURS.items()}  # fmt: skip
RISK_SIGNS = {"low": "+", "moderate": "~", "some_concerns": "~", "high": "−", "serious": "−",
              "critical": "!", "no_information": "?"}  # fmt: skip


def map_counts(results: Results) -> pd.DataFrame:
    """Groups of patients that inform each outcome of each cell class (rows), none twice."""
    studies = results.evidence.studies
    groups = cohorts.patient_groups(studies)
    eligible = studies[studies["include"] == "yes"]
    classes = [name for name in vocabulary.CELL_CLASSES if name in set(eligible["cell_class"])]
    counts = pd.DataFrame(0, index=classes, columns=[*MAPPED, "safety"])
    effects = results.table("effects")
    effects = effects[effects["pool"] | effects["apart"]]
    shares = results.table("share_facts")
    shares = shares.assign(patients=shares["study_id"].map(groups))
    for name in MAPPED:
        own = effects[effects["outcome"] == name]
        also = shares[shares["outcome"] == COUNTED.get(name, "")]
        both = pd.concat([one[["cell_class", "patients"]] for one in (own, also)])
        size = both.groupby("cell_class")["patients"].nunique()
        counts[name] = size.reindex(classes).fillna(0).astype(int)
    told = eligible[eligible["study_id"].isin(results.evidence.safety["study_id"])]
    told = told.assign(patients=told["study_id"].map(groups))
    safety = told.groupby("cell_class")["patients"].nunique()
    counts["safety"] = safety.reindex(classes).fillna(0).astype(int)
    return counts


def evidence_map(results: Results) -> Figure:
    """Bubbles of the number of groups of patients; an empty cell is nobody."""
    counts = map_counts(results)
    figure, axes = base.new(0.27 * len(counts) + 1.0)
    base.label_rows(axes, [short(name) for name in counts.index])
    names = [outcomes.get(name).title.split(",")[0] for name in MAPPED] + ["Harms"]
    names = [name.replace(" ", "\n", 1).replace("-free", "-\nfree") for name in names]
    axes.set_xticks(range(len(names)), names, fontsize=style.SMALL)
    axes.xaxis.tick_top()
    axes.tick_params(axis="x", length=0)
    axes.spines["bottom"].set_visible(False)
    colours = [
        style.APPROACH_COLOURS[vocabulary.APPROACH_OF_CLASS.get(name) or "cell_infusion"]
        for name in counts.index
    ]
    numbers = counts.to_numpy()
    y, x = np.nonzero(numbers)
    axes.scatter(x, y, s=26 * numbers[y, x] + 50, color=[colours[row] for row in y], alpha=0.85,
                 lw=0)  # fmt: skip
    for row, column in zip(y, x, strict=True):
        axes.text(column, row, str(numbers[row, column]), color="white", ha="center", va="center",
                  fontsize=style.SMALL, fontweight="bold")  # fmt: skip
    y, x = np.nonzero(numbers == 0)
    axes.plot(x, y, ".", ms=3, color=style.GREY)
    axes.set_xlim(-0.6, len(names) - 0.4)
    empty = int((counts == 0).to_numpy().sum())
    return base.title(figure, f"{empty} of {counts.size} combinations of cells and outcome have "
                              "no study")  # fmt: skip


def flow_counts(results: Results) -> list[tuple[str, int, list[tuple[str, int]]]]:
    """From reports to pooled results: (what is left, how many, what left and why)."""
    studies = results.evidence.studies
    left = studies[studies["include"] != "yes"]
    why = [
        (vocabulary.INCLUDE[word], int((left["include"] == word).sum()))
        for word in ("context", "no")
    ]
    eligible = studies[studies["include"] == "yes"]
    groups = pd.Series(cohorts.patient_groups(studies)).reindex(eligible["study_id"])
    effects = results.table("effects")
    pooled = effects[effects["headline_controlled"] | effects["headline_uncontrolled"]]
    silent = effects[~effects.index.isin(pooled.index)]
    apart = int((silent["apart"] & ~silent["pool"]).sum())
    never = int((~silent["apart"] & ~silent["pool"]).sum())
    controlled = results.table("study_estimates")
    controlled = controlled[
        controlled["design"].eq("controlled") & controlled["approach"].ne("all")
    ]
    return [
        ("reports looked at", len(studies), why),
        ("eligible reports", len(eligible), [("further reports on the same patients",
                                              len(eligible) - groups.nunique())]),
        ("separate groups of patients", groups.nunique(),
         [(what, n) for what, n, _ in rows_out(results)]),
        ("effects of continuous outcomes", len(effects), [
            ("other visits or reports of the same patients",
             len(silent) - apart - never),
            ("without controls, soon after diagnosis", apart),
            ("subgroups, single patients, nulls apart", never),
        ]),
        ("effects that speak for their patients", len(pooled), []),
        ("of them against control groups", controlled["effect_id"].nunique(), []),
    ]  # fmt: skip


STAGES = {"words": "results in words left out", "effects": "numbers left out",
          "study": "results of reports that are not eligible"}  # fmt: skip


def rows_out(results: Results) -> list[tuple[str, int, str]]:
    """Rows of evidence that are in no effect: stage, how many, and their most frequent reason."""
    table = results.table("exclusions")
    return [
        (STAGES.get(stage, stage), len(own), glossary.reason(own["reason"].value_counts().index[0]))
        for stage, own in sorted(table.groupby("stage"), key=lambda part: -len(part[1]))
    ]


def flow(results: Results) -> Figure:
    """Boxes from reports to pooled results, with what left on the way and why."""
    steps = flow_counts(results)
    figure, axes = base.new(0.78 * len(steps) + 0.2)
    axes.set_axis_off()
    axes.set_xlim(0, 10)
    axes.set_ylim(-len(steps) + 0.4, 0.6)
    for i, (what, n, out) in enumerate(steps):
        axes.text(0.1, -i, f"{n} {what}", va="center", fontsize=style.TEXT,
                  bbox={"facecolor": "white", "edgecolor": style.INK, "pad": 3.5})  # fmt: skip
        if i + 1 < len(steps):
            axes.annotate("", (0.5, -i - 0.72), (0.5, -i - 0.26),
                          arrowprops={"arrowstyle": "->", "color": style.GREY})  # fmt: skip
        words = "\n".join(f"{m} {reason}" for reason, m in out[:3] if m)
        if words:
            axes.text(9.9, -i - 0.5, words, va="center", ha="right", fontsize=style.SMALL,
                      color=style.GREY)  # fmt: skip
    reports, against = steps[0][1], steps[-1][1]
    return base.title(figure, f"{reports} reports give {against} effects against control groups")


def risk_bars(results: Results) -> Figure:
    """Share of judged cohorts by overall judgement, for each family of outcomes and tool."""
    table = risk_of_bias.overalls(results.evidence.risk_of_bias)
    if table.empty:
        return base.in_words("No cohort has been judged.")
    order = ("low", "moderate", "some_concerns", "no_information", "high", "serious", "critical")
    rows = [
        (f"{vocabulary.RISK_TOOLS[tool]}, {family}", part["overall"].value_counts())
        for (tool, family), part in table.groupby(["tool", "outcome_family"], sort=True)
    ]
    figure, axes = base.new(0.34 * len(rows) + 0.9)
    base.label_rows(axes, [text for text, _ in rows])
    seen: set[str] = set()
    for y, (_, counts) in enumerate(rows):
        start, total = 0.0, counts.sum()
        for word in order:
            n = counts.get(word, 0)
            if not n:
                continue
            width = 100 * n / total
            label = None if word in seen else word.replace("_", " ")
            axes.barh(y, width, left=start, height=0.7, color=RISK_COLOURS[word], label=label,
                      edgecolor="white", lw=0.5)  # fmt: skip
            axes.text(start + width / 2, y, str(n), ha="center", va="center",
                      fontsize=style.SMALL, color=RISK_INK[word], fontweight="bold")  # fmt: skip
            seen.add(word)
            start += width
    axes.set_xlim(0, 100)
    axes.set_xlabel("cohorts, % (numbers in the bars)", loc="right")
    base.legend_below(figure, axes, 3)
    return base.title(figure, risk_finding(results))


def risk_finding(results: Results, family: str = "objective") -> str:
    """How many judged cohorts are at high and at low risk of bias, as a title."""
    table = risk_of_bias.overalls(results.evidence.risk_of_bias)
    own = table[table["outcome_family"] == family]
    low = int((own["overall"] == "low").sum())
    return (f"{family.capitalize()} outcomes: {int(own['high'].sum())} of {len(own)} cohorts at "
            f"high, serious or critical risk of bias, {low or 'none'} at low risk")  # fmt: skip


def traffic_light(results: Results, family: str = "objective") -> Figure:
    """Judgements by cohort and domain for a family of outcomes, and overall."""
    table = results.evidence.risk_of_bias
    table = table[table["outcome_family"] == family]
    if table.empty:
        return base.in_words("No cohort has been judged.")
    overall = risk_of_bias.lookup(results.evidence.risk_of_bias)
    labels = glossary.labels(results.evidence)
    rows = []
    for (tool, cohort), part in table.groupby(["tool", "cohort"], sort=True):
        words = dict(zip(part["domain"], part["settled"], strict=True))
        name = labels[part["study_id"].iloc[0]]
        rows.append((tool, name, words, overall.get((cohort, family), "no_information")))
    rows.sort(key=lambda row: (row[0] != "rob2", row[1]))
    width = max(len(vocabulary.RISK_DOMAINS[tool]) for tool, *_ in rows)
    half = -(-len(rows) // 2) if len(rows) > LONG else len(rows)
    parts = [part for part in (rows[:half], rows[half:]) if part]
    figure, grid = base.new((0.2 * half + 0.9) * len(parts), nrows=len(parts), squeeze=False)
    for axes, part in zip(grid[:, 0], parts, strict=True):
        _panel(axes, part, half, width)
    return base.title(figure, risk_finding(results, family))


def _panel(axes, rows: list[tuple], room: int, width: int) -> None:
    """Rows of judgements, `width` domains and the overall one, in axes with room for `room`."""
    names = [f"{name}{' R' if tool == 'rob2' else ''}" for tool, name, *_ in rows]
    base.label_rows(axes, names + [""] * (room - len(rows)), size=style.LARGER)
    lights = [
        (x, y, words.get(domain, "no_information"))
        for y, (tool, _, words, _) in enumerate(rows)
        for x, domain in enumerate(vocabulary.RISK_DOMAINS[tool])
    ] + [(width + 0.6, y, whole) for y, (*_, whole) in enumerate(rows)]
    _lights(axes, lights)
    axes.set_xlim(-0.7, width + 1.3)
    axes.set_xticks([*range(width), width + 0.6], [*(f"D{i + 1}" for i in range(width)), "all"])
    axes.xaxis.tick_top()
    axes.tick_params(axis="x", length=0)
    axes.spines["bottom"].set_visible(False)


def _lights(axes, lights: list[tuple[float, float, str]]) -> None:
    """Discs, each with its sign drawn as a shape: one artist a colour, one a sign."""
    table = pd.DataFrame(lights, columns=["x", "y", "word"])
    table["colour"] = table["word"].map(RISK_COLOURS).fillna("#B8B8B8")
    table["sign"] = table["word"].map(RISK_SIGNS).fillna("?")
    table["ink"] = table["word"].map(RISK_INK).fillna(ON_PALE)
    for colour, own in table.groupby("colour", sort=False):
        axes.plot(own["x"], own["y"], "o", ms=7.2, color=colour, mew=0)
    letters = FontProperties(family="DejaVu Sans", weight="bold")
    for (sign, ink), own in table.groupby(["sign", "ink"], sort=False):
        outline = TextPath((0, 0), sign, size=10, prop=letters)
        box = outline.get_extents()
        middle = -(box.p0 + box.p1) / 2
        shape = outline.transformed(Affine2D().translate(*middle))
        size = max(box.width, box.height) / 10 * 7.6
        axes.plot(own["x"], own["y"], ls="none", marker=shape, ms=size, color=ink, mew=0)
