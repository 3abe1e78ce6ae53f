"""The difference as one self-contained page: what `words` says, and densities before and after."""

from __future__ import annotations

import html
import io

import matplotlib

matplotlib.use("svg", force=False)

import numpy as np
from matplotlib.figure import Figure

from analysis import outcomes, questions
from analysis.difference import terminal
from analysis.difference.comparing import Difference
from analysis.exact.contrasts import ContrastPosterior
from analysis.questions import Question

POINTS = 161
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem;
       color: #1c1c1c; background: #fff; }
pre { font: 13px/1.45 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
figure { margin: .5rem 0 2rem; } svg { max-width: 100%; height: auto; background: #fff; }
h2 { font-size: 1.05rem; margin: 2rem 0 0; }
@media (prefers-color-scheme: dark) { body { color: #e8e8e8; background: #181818; } }
"""


def page(found: Difference, base: str) -> str:
    """A page without anything to fetch: facts, each headline in words, its densities.

    Parameters
    ----------
    found : the difference.
    base : what was compared with, as the person called it.
    """
    blocks = "\n".join(terminal.lines(found, base)).split("\n\n")
    parts = [f"<h1>What the new evidence changes against {html.escape(base)}</h1>",
             f"<pre>{html.escape(blocks[0])}</pre>"]  # fmt: skip
    rows = found.headlines.to_dict("records")
    for row, block in zip(rows, blocks[1:], strict=False):
        question = Question(
            *(row[name] for name in ("outcome", "approach", "population", "design"))
        )
        parts.append(f"<h2>{html.escape(terminal.title(row))}</h2>")
        parts.append(f"<pre>{html.escape(block)}</pre>")
        before, after = found.posteriors[question]
        drawn = _densities(question, before, after, row)
        if drawn:
            parts.append(f"<figure>{drawn}</figure>")
    for block in blocks[1 + len(rows) :]:
        parts.append(f"<pre>{html.escape(block)}</pre>")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>What the new evidence changes</title><style>{STYLE}</style></head>\n"
        f"<body>{''.join(parts)}</body></html>\n"
    )


def _densities(
    question: Question, before: ContrastPosterior | None, after: ContrastPosterior | None, row: dict
) -> str:
    """Posterior densities of the mean before and after, on the scale readers see, as SVG."""
    shown = [
        (fit, label, style)
        for fit, label, style, told in (
            (before, "before", {"color": "#767676", "linestyle": "--"}, row["told_before"]),
            (after, "after", {"color": "#0b5394", "linewidth": 2}, row["told_after"]),
        )
        if fit is not None and told == questions.MEAN
    ]
    if not shown:
        return ""
    about = outcomes.get(question.outcome)
    ends = np.array([fit.mu.quantile(np.array([0.001, 0.999])) for fit, _, _ in shown])
    grid = np.linspace(ends[:, 0].min(), ends[:, 1].max(), POINTS)
    figure = Figure(figsize=(6.4, 2.4), layout="constrained")
    axes = figure.subplots()
    for fit, label, style in shown:
        axes.plot([about.shown(x) for x in grid], fit.mu.pdf(grid), label=label, **style)
    if about.is_ratio:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("{x:g}")
    axes.axvline(about.neutral, color="#1c1c1c", linewidth=0.8)
    axes.set_xlabel(about.axis)
    axes.set_yticks([])
    axes.legend(frameon=False)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "isletmeta", "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    svg = buffer.getvalue()
    label = html.escape(f"Posterior density before and after: {terminal.title(row)}", quote=True)
    start = svg.index("<svg")
    return svg[start:].replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
