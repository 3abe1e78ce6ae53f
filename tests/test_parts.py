"""What the report is made of: tables for every format, texts, figures' colours and type."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.report import figures, style
from analysis.report.tables.base import (
    LONG_WORD,
    PAGE,
    Table,
    column_widths,
    grid,
    in_words,
    link,
    room,
    under_heads,
)
from analysis.report.text import Markdown, said, verbatim


def test_what_is_said_is_markdown_to_a_notebook():
    @said
    def sentence(word: str) -> str:
        """A sentence."""
        return f"It is **{word}**."

    made = sentence("so")
    assert isinstance(made, Markdown)
    assert made._repr_markdown_() == made == "It is **so**."
    assert sentence.__doc__ == "A sentence."
    assert verbatim("a*b @fig-x") == "a\\*b \\@fig\\-x"


def test_an_empty_table_says_so():
    for made in (grid(pd.DataFrame({"a": []})), in_words("Nothing.")):
        assert isinstance(made, Table)
        assert len(made.rows) == 1
        assert made._repr_markdown_().count("\n") == 2


HOSTILE = ["x|y", "one\ntwo", "<script>alert(1)</script>", "![x](y)", "`{=typst}`", "@fig-claims",
           "$\\input$", "**bold**", "[a](javascript:b)", "- 1. # {{< x >}}"]  # fmt: skip


def test_a_table_escapes_what_would_break_it():
    made = grid(pd.DataFrame({"a": HOSTILE, "b": range(len(HOSTILE))}))
    text = made._repr_markdown_()
    assert "x\\|y" in text
    assert "one two" in text
    assert len(text.splitlines()) == len(HOSTILE) + 2
    page = made._repr_html_()
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_a_link_leads_only_to_web_addresses():
    good = link("https://example.org/a(b)", "A [1]")
    assert good.html() == '<a href="https://example.org/a%28b%29">A [1]</a>'
    assert good.markdown() == "[A \\[1\\]](<https://example.org/a%28b%29>)"
    for bad in ("javascript:alert(1)", 'https://a.org/"onload="x', "https://a.org/ b", ""):
        assert link(bad, "A").html() == link(bad, "A").markdown() == "A"


def test_wide_columns_get_wide_rules():
    first, second = column_widths(["n", "words"], [("1", "many words " * 10)])
    assert first < 6
    assert second > 40


def test_a_column_never_gets_less_than_its_longest_word():
    rows = [("47/1", "−0.31 to −0.12", "long text " * 9, str(number)) for number in range(9)]
    widths = column_widths(["x"] * 4, rows)
    assert widths[0] > room("47/1")
    assert widths[1] > room("−0.31 to −0.12")
    assert widths[2] > 40
    crowded = column_widths(["x"] * 20, [row * 5 for row in rows])
    assert all(width > room(word) for width, word in zip(crowded[:2], rows[0][:2], strict=True))


def test_room_goes_to_the_columns_that_make_rows_tall():
    rows = [("a few words here", "many words " * 40), ("a few words here", "many words " * 30)]
    few, many = column_widths(["what", "why"], rows)
    assert many > 3 * few
    assert few + many == PAGE


def test_a_narrow_table_stays_narrow():
    assert sum(column_widths(["a", "b"], [("12", "34"), ("5", "67")])) < 12


def test_what_repeats_heads_its_rows_once():
    frame = pd.DataFrame({"by": ["x", "x", "y"], "a": ["1", "2", "3"], "b": ["4", "5", "6"]})
    made = under_heads(frame, "by")
    assert made.columns == ("a", "b")
    assert [str(row[0]) for row in made.rows] == ["x", "1", "2", "y", "3"]


CELLS = st.text("ab 1,.\u2212mW%", max_size=60)


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=8))
def test_every_column_has_room_for_words_that_may_not_break(rows):
    widths = column_widths(["one", "two"], rows)
    for width, column in zip(widths, zip(*rows, strict=True), strict=True):
        words = [word for cell in column for word in cell.split() if len(word) <= LONG_WORD]
        assert width >= max(map(room, words), default=0)


def test_ids_and_right_must_fit_the_table():
    frame = pd.DataFrame({"a": ["x"], "n": ["1"]})
    assert 'data-id="e1"' in grid(frame, ("n",), ids=("e1",))._repr_html_()
    with pytest.raises(ValueError, match="no such column"):
        grid(frame, ("m",))
    with pytest.raises(ValueError, match="2 ids and 0 chains for 1 rows"):
        grid(frame, ids=("a", "b"))


# --- how figures are drawn -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("to", "kind"), [("html", "svg"), ("typst", "outlines"), ("docx", "png"), ("html5+x", "svg")]
)
def test_quarto_by_itself_says_which_format_it_makes(monkeypatch, tmp_path, to, kind):
    for name in ("ISLETMETA_FIGURES", "QUARTO_FIG_FORMAT"):
        monkeypatch.delenv(name, raising=False)
    info = tmp_path / "info.json"
    info.write_text(json.dumps({"format": {"pandoc": {"to": to}}}))
    monkeypatch.setenv("QUARTO_EXECUTE_INFO", str(info))
    assert style.figure_kinds() == (kind,)


def test_older_quartos_tell_word_by_its_figures(monkeypatch):
    for name in ("ISLETMETA_FIGURES", "QUARTO_EXECUTE_INFO"):
        monkeypatch.delenv(name, raising=False)
    assert style.figure_kinds() == ("svg",)
    monkeypatch.setenv("QUARTO_FIG_FORMAT", "png")
    assert style.figure_kinds() == ("png",)
    monkeypatch.setenv("ISLETMETA_FIGURES", "svg,png")
    assert style.figure_kinds() == ("svg", "png")


PHONE = 380 - 2 * 0.8 * 16
"""Pixels that a figure has on a telephone: the width less the page's margins."""
PRINT = 172 / 25.4 * 72
"""Points of a line in print."""


def test_the_smallest_type_is_legible_on_a_telephone_and_in_print():
    assert style.SMALL * PHONE / (style.WIDTH * 72) >= 9
    assert style.SMALL * min(1, PRINT / (style.WIDTH * 72)) >= 6


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_letters_and_marks_stand_out_on_light_and_dark_pages():
    for colour in (style.INK, style.GREY):
        assert contrast(colour, style.WHITE) >= 4.5
        assert contrast(style.DARK[colour], style.NIGHT) >= 4.5
    marks = {*style.CLASS_COLOURS.values(), *style.APPROACH_COLOURS.values()}
    for colour in marks:
        assert contrast(style.DARK.get(colour, colour), style.NIGHT) >= 4.5, colour
        assert contrast(colour, style.WHITE) >= 2.7, colour


# Machado, Oliveira and Fernandes 2009, IEEE Trans Vis Comput Graph 15:1291, severity 1.0.
COLOUR_BLIND = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                   [0.004733, 0.691367, 0.303900]],
}  # fmt: skip


def lab(colour: str, seen: np.ndarray) -> np.ndarray:
    """CIELAB of a colour as somebody sees it (D65)."""
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    linear = np.clip(seen @ linear, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722],
                    [0.0193, 0.1192, 0.9505]]) @ linear / [0.9505, 1, 1.089]  # fmt: skip
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("dark", [False, True])
def test_approaches_differ_for_colour_blind_readers_too(dark):
    colours = [style.DARK[c] if dark else c for c in style.APPROACH_COLOURS.values()]
    for seen in (np.eye(3), *map(np.array, COLOUR_BLIND.values())):
        points = [lab(colour, seen) for colour in colours]
        for i, one in enumerate(points):
            for other in points[i + 1 :]:
                assert np.linalg.norm(one - other) > 20
    assert len(set(style.APPROACH_MARKERS.values())) == len(style.APPROACH_MARKERS)


def test_a_figure_brings_its_colours_for_dark_pages():
    style.apply()
    figure, axes = figures.base.new(1)
    axes.plot([0, 1], color=style.BLUE)
    svg = style.as_svg(figure)
    rule = f'[style*="stroke: {style.BLUE.lower()}"]'
    assert f"{rule}{{stroke:{style.DARK[style.BLUE].lower()}!important}}" in svg
    assert svg.count(f"stroke: {style.BLUE.lower()}") >= 2
    assert style.as_png(figure).startswith(b"\x89PNG")
    assert svg == style.as_svg(figure)
