"""How every figure looks: colours safe for colour-blind readers, type, exact reproducibility.

Figures are drawn narrow, so that their type stays readable on a telephone 380 pixels wide and in
a column of print; screens show them larger.
"""

from __future__ import annotations

import os

import matplotlib as mpl

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


def notebook() -> None:
    """Make figures appear without a date in them; called by the report's first cell.

    Vector graphics, but for formats that cannot carry them (ISLETMETA_FORMAT is docx). A PDF gets
    its letters as outlines, so that it looks the same whatever fonts a machine has.
    """
    import logging

    from matplotlib_inline.backend_inline import set_matplotlib_formats

    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    apply()
    target = os.environ.get("ISLETMETA_FORMAT", "html")
    if target == "docx":
        set_matplotlib_formats("png", dpi=220, bbox_inches=None)
    else:
        mpl.rcParams["svg.fonttype"] = "path" if target == "pdf" else "none"
        set_matplotlib_formats("svg", metadata={"Date": None}, bbox_inches=None)
