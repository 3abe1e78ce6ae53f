"""How every figure looks: colours safe for colour-blind readers, type, exact reproducibility."""

from __future__ import annotations

import os

import matplotlib as mpl

# Okabe and Ito (2008), Color Universal Design: distinguishable with any common colour blindness.
BLUE, ORANGE, GREEN, RED, SKY, PURPLE = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7",
)  # fmt: skip
INK, GREY, PALE = "#222222", "#767676", "#D9D9D9"

CLASS_COLOURS = {
    "ahsct": BLUE,
    "psc_islet": RED,
    "msc_umbilical": GREEN,
    "msc_bone_marrow": "#44AA99",
    "msc_adipose": "#117733",
    "bm_mnc": ORANGE,
    "combined": PURPLE,
    "cord_blood": SKY,
    "stem_cell_educator": "#882255",
}


def class_colour(cell_class: str) -> str:
    """The colour of a cell class; dark grey for classes without one of their own."""
    return CLASS_COLOURS.get(cell_class, GREY)


def apply() -> None:
    """Set matplotlib up: vector output, same bytes from same numbers, readable at 380 px."""
    mpl.rcParams.update(
        {
            "svg.hashsalt": "isletmeta",
            "svg.fonttype": "none",
            "font.family": "sans-serif",
            "font.size": 9.5,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.edgecolor": GREY,
            "axes.labelcolor": INK,
            "axes.titlesize": 10.5,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "xtick.color": INK,
            "ytick.color": INK,
            "figure.constrained_layout.use": True,
            "legend.frameon": False,
        }
    )


def notebook() -> None:
    """Make figures appear without a date in them; called by the report's first cell.

    Vector graphics, but for formats that cannot carry them (ISLETMETA_FORMAT is pdf or docx).
    """
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    apply()
    if os.environ.get("ISLETMETA_FORMAT", "html") == "html":
        set_matplotlib_formats("svg", metadata={"Date": None})
    else:
        set_matplotlib_formats("png", dpi=200)
