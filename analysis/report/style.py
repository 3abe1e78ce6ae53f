"""How every figure looks: colours safe for colour-blind readers, type, exact reproducibility.

Figures are drawn narrow, so that their type stays readable on a telephone 380 pixels wide and in
a column of print; screens show them larger.
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

# Okabe and Ito (2008), Color Universal Design: distinguishable with any common colour blindness.
BLUE, ORANGE, GREEN, RED, SKY, PURPLE = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7",
)  # fmt: skip
INK, GREY, PALE = "#222222", "#6B6B6B", "#E3E6E8"

WIDTH = 4.1
"""Inches. A page 380 pixels wide then shows the type at nine tenths of its size here."""
SMALL, TEXT = 7.6, 8.2

CLASS_COLOURS = {
    "ahsct": BLUE,
    "psc_islet": RED,
    "psc_progenitor": "#A6441A",
    "msc_umbilical": GREEN,
    "msc_bone_marrow": "#44AA99",
    "msc_adipose": "#117733",
    "msc_placental": "#7A9A01",
    "bm_mnc": "#B37400",
    "combined": "#B0528A",
    "cord_blood": "#2B8CC4",
    "stem_cell_educator": "#882255",
}
FAMILY_COLOURS = (BLUE, RED, GREEN, "#B37400", "#B0528A", "#2B8CC4", INK)
LIGHTS = {
    "well supported": (GREEN, "o"),
    "supported": ("#5FBF9F", "o"),
    "suggested": (SKY, "D"),
    "uncertain": ("#B8B8B8", "s"),
    "doubtful": (ORANGE, "v"),
    "contradicted": (RED, "X"),
    "not known": ("white", "o"),
}
"""Colour and shape of a verdict: the shape says it without the colour."""


def class_colour(cell_class: str) -> str:
    """The colour of a cell class; dark grey for classes without one of their own."""
    return CLASS_COLOURS.get(cell_class, "#555555")


def apply() -> None:
    """Set matplotlib up: vector output, same bytes from same numbers, readable at 380 px.

    DejaVu Sans comes with matplotlib, so that every machine lays text out alike; Verdana, which
    browsers find elsewhere, has the same widths.
    """
    mpl.rcParams.update(
        {
            "svg.hashsalt": "isletmeta",
            "svg.fonttype": "none",
            "font.family": "sans-serif",
            "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
            "font.size": TEXT,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.edgecolor": GREY,
            "axes.labelcolor": INK,
            "axes.labelsize": TEXT,
            "axes.titlesize": 9,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.axisbelow": True,
            "xtick.color": INK,
            "ytick.color": INK,
            "xtick.labelsize": TEXT,
            "ytick.labelsize": TEXT,
            "figure.constrained_layout.use": True,
            "legend.frameon": False,
            "legend.fontsize": SMALL,
        }
    )


FIGURES_OF = {"html": "svg", "typst": "outlines", "docx": "png"}
"""How a figure is drawn for each of pandoc's writers that Quarto names."""


def figure_kinds() -> tuple[str, ...]:
    """How figures are to be drawn: `svg` (letters stay text), `outlines` (SVG) or `png`.

    `isletmeta report` says so (ISLETMETA_FIGURES). Where Quarto runs by itself, it names the format
    in the file QUARTO_EXECUTE_INFO (since 1.8); before, QUARTO_FIG_FORMAT is png for DOCX.
    """
    told = os.environ.get("ISLETMETA_FIGURES")
    if told:
        return tuple(told.split(","))
    info = os.environ.get("QUARTO_EXECUTE_INFO")
    if info and Path(info).is_file():
        known = json.loads(Path(info).read_text(encoding="utf-8"))
        to = re.split(r"[-+]", str(known["format"]["pandoc"]["to"]))[0]
        return (FIGURES_OF.get(to, "svg"),)
    return ("png",) if os.environ.get("QUARTO_FIG_FORMAT") == "png" else ("svg",)


def renderer() -> str:
    """What renders this page, as far as it can be told from within."""
    return os.environ.get("ISLETMETA_RENDERER", "Quarto")


def as_svg(figure: Figure) -> str:
    """The figure as SVG, the same text on each run."""
    with io.StringIO() as file:
        figure.savefig(file, format="svg", metadata={"Date": None})
        return file.getvalue()


def as_png(figure: Figure) -> bytes:
    """The figure as PNG, fine enough for print."""
    with io.BytesIO() as file:
        figure.savefig(file, format="png", dpi=220)
        return file.getvalue()


def notebook() -> None:
    """Make figures appear in a notebook as the format asks; called by the report's first cell.

    `outlines` turns letters into paths, so that a PDF looks the same whatever fonts a machine has.
    """
    from IPython.core.getipython import get_ipython

    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    apply()
    kinds = figure_kinds()
    if "outlines" in kinds:
        mpl.rcParams["svg.fonttype"] = "path"
    formatters = get_ipython().display_formatter.formatters
    drawn = {"image/png": as_png if "png" in kinds else None,
             "image/svg+xml": as_svg if {"svg", "outlines"} & set(kinds) else None}  # fmt: skip
    for mime, draw in drawn.items():
        formatters[mime].pop(Figure, None)
        if draw:
            formatters[mime].for_type(Figure, draw)
