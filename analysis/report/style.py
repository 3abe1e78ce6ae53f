"""How every figure looks: colours safe for colour-blind readers, type, exact reproducibility.

Figures are drawn narrow, so that their type stays readable on a telephone 380 pixels wide and in
a column of print; screens show them larger. Figures draw with the colours named here and no
others: each has a partner for dark pages (`DARK`), which an SVG takes by itself.
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
from collections.abc import Collection
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.text import Text

# Okabe and Ito (2008), Color Universal Design: distinguishable with any common colour blindness.
BLUE, ORANGE, GREEN, RED, SKY, PURPLE = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7",
)  # fmt: skip
INK, GREY, PALE = "#222222", "#6B6B6B", "#E3E6E8"

WIDTH = 4.1
"""Inches. A page 380 pixels wide shows a figure of this width at 1.2 pixels a point."""
SMALL, TEXT, LARGER, TITLE = 8.2, 8.4, 8.6, 9.0
"""Points; nothing is smaller than `SMALL`, which is 9 pixels on such a page."""
WHITE, NIGHT = "#FFFFFF", "#14181B"
"""The page, light and dark (`theme.css` says the same)."""

RUST, NAVY, TEAL = "#C65102", "#1B4F9C", "#2B9A8C"
APPROACH_COLOURS = {"islet_replacement": RUST, "immune_reset": NAVY, "cell_infusion": TEAL}
APPROACH_MARKERS = {"islet_replacement": "D", "immune_reset": "s", "cell_infusion": "o"}
"""Colour and marker of an approach, far apart for every kind of colour blindness (tested); the
marker says it without the colour."""

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

DARK = {
    WHITE: NIGHT, INK: "#E4E8EB", GREY: "#A9B4BD", PALE: "#39424A", "#555555": "#B0B8BF",
    "#B8B8B8": "#7C868E", BLUE: "#5AB4F0", RED: "#FF8A3D", GREEN: "#2FC79A", "#A6441A": "#E58A5F",
    "#117733": "#4FBF74", "#7A9A01": "#A6C934", "#B37400": "#E0A23A", "#B0528A": "#DE8DBB",
    "#2B8CC4": "#6CBDEB", "#882255": "#D880AE", RUST: "#FF8A3D", NAVY: "#8FA2FF", TEAL: "#5FE0B8",
}  # fmt: skip
"""What each colour becomes on a dark page; those not named stay, they are light enough."""


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
            "text.color": INK,
            "text.parse_math": False,  # a label is what stands in its cell, dollars and all
            "axes.labelsize": TEXT,
            "axes.titlesize": TITLE,
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


DOTS = 220
"""Dots an inch of pictures in Word."""
PRINTED = "image/svg+xml;print"
"""The kind of a figure that is laid out for paper, beside the one for screens."""
TALL = 6.0
"""Inches from which panels that stand under each other stand in two columns on paper."""
PAPER_WIDTH = 2 * WIDTH
"""Inches for which figures are laid out for paper; all are then made smaller alike, so that the
letters of one figure are as large as those of the next (just under seven points)."""
LINE = 6.75
"""Inches of a line of paper."""
FIGURES_OF = {"html": "svg", "typst": "outlines", "docx": "png"}
"""How a figure is drawn for each of pandoc's writers that Quarto names."""


def figure_kinds() -> tuple[str, ...]:
    """How figures are to be drawn: `svg` (letters stay text) for screens; for paper `print` (the
    same), `outlines` (letters as paths) or `png`.

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
    """The figure as SVG, the same text on each run, with dark colours for dark pages."""
    _lay_out(figure)
    with io.StringIO() as file:
        figure.savefig(file, format="svg", metadata={"Date": None})
        return file.getvalue().replace("</defs>", f" {_dark_style()}\n </defs>", 1)


def _lay_out(figure: Figure) -> None:
    """Lay the figure out once: each further drawing would move it a little, format by format."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")


def _dark_style() -> str:
    """The rules by which an SVG of matplotlib changes its colours on a dark page."""
    rules = "".join(
        f'[style*="{what}: {light.lower()}"]{{{what}:{dark.lower()}!important}}'
        for light, dark in DARK.items()
        for what in ("fill", "stroke")
    )
    return f"<style>@media (prefers-color-scheme:dark){{{rules}}}</style>"


def smallest_text(figure: Figure) -> float:
    """Size in points of the smallest text that a figure shows."""
    figure.draw_without_rendering()
    return min(
        (text.get_fontsize() for text in figure.findobj(Text)
         if text.get_visible() and text.get_text().strip()), default=TEXT,
    )  # fmt: skip


def as_png(figure: Figure, scale: float = 1.0) -> bytes:
    """The figure as PNG, fine enough for print, that says how large it is on paper."""
    _lay_out(figure)
    with io.BytesIO() as file:
        figure.savefig(file, format="png", dpi=DOTS, pil_kwargs={"dpi": (DOTS / scale,) * 2})
        return file.getvalue()


def lay_out_for_paper(figure: Figure) -> None:
    """Lay a figure out as wide as `PAPER_WIDTH`: as it says itself (`on_paper`), panels in two
    columns where they are tall, any other stretched."""
    own = getattr(figure, "on_paper", None)
    if own is not None:
        own()
    elif not _in_two_columns(figure):
        place = getattr(figure, "in_columns", None)
        if place is not None:
            place(1, PAPER_WIDTH)
        else:
            figure.set_size_inches(PAPER_WIDTH, figure.get_figheight())
            figure.set_layout_engine("constrained")
    entitle = getattr(figure, "entitle", None)
    if entitle is not None:
        entitle(PAPER_WIDTH)


def _in_two_columns(figure: Figure) -> bool:
    """Lay a tall column of panels out in two columns; whether there was one."""
    panels = figure.axes
    if len(panels) < 2 or figure.get_figheight() < TALL:
        return False
    place = getattr(figure, "in_columns", None)
    if place is not None:
        place(2, PAPER_WIDTH)
        _label_below(panels)
        return True
    places = [axes.get_subplotspec() for axes in panels]
    if not all(places) or places[0].get_gridspec().ncols > 1:
        return False
    height = figure.get_figheight()
    column = places[0].get_gridspec()
    heights = column.get_height_ratios()
    pairs = [max(heights[i : i + 2]) for i in range(0, len(panels), 2)]
    figure.set_size_inches(PAPER_WIDTH, height * sum(pairs) / sum(heights))
    grid = GridSpec(len(pairs), 2, figure=figure, height_ratios=pairs)
    for place, axes in enumerate(panels):
        axes.set_subplotspec(grid[place // 2, place % 2])
    _label_below(panels)
    figure.set_layout_engine("constrained")
    return True


def _label_below(panels: list) -> None:
    """What stands below the last panel stands below the one beside it, too."""
    if not panels[-2].get_xlabel():
        panels[-2].set_xlabel(panels[-1].get_xlabel(), loc="right",
                              fontsize=panels[-1].xaxis.label.get_fontsize())  # fmt: skip


def drawn(figure: Figure, kinds: Collection[str]) -> dict[str, str | bytes]:
    """The figure in each of the ways of `figure_kinds`, by MIME type."""
    shown: dict[str, str | bytes] = {}
    if "svg" in kinds:
        shown["image/svg+xml"] = as_svg(figure)
    if {"print", "outlines", "png"} & set(kinds):
        lay_out_for_paper(figure)
        scale = LINE / figure.get_figwidth()
        if "outlines" in kinds:
            shown["image/svg+xml"] = scaled(as_svg(figure), scale)
        if "print" in kinds:
            shown[PRINTED] = scaled(as_svg(figure), scale)
        if "png" in kinds:
            shown["image/png"] = as_png(figure, scale)
    return shown


def scaled(svg: str, scale: float) -> str:
    """An SVG of matplotlib with another size; what it shows is the same."""
    return re.sub(
        r'(<svg [^>]*?)width="([\d.]+)pt" height="([\d.]+)pt"',
        lambda found: f'{found[1]}width="{float(found[2]) * scale:.2f}pt" '
                      f'height="{float(found[3]) * scale:.2f}pt"',
        svg, count=1,
    )  # fmt: skip


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
    show = get_ipython().display_formatter
    for mime in ("image/png", "image/svg+xml"):
        show.formatters[mime].pop(Figure, None)
    show.mimebundle_formatter.for_type(Figure, lambda figure: drawn(figure, kinds))
