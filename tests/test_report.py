"""The report's figures, tables and sentences: on invented results, on the tracked ones, on none."""

import dataclasses
import inspect
import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import synthetic_results
from matplotlib.figure import Figure

from analysis.report import figures, prose, style, tables
from analysis.report.results import Results
from analysis.report.tables.base import Table, column_widths, grid, link
from analysis.report.text import Chain
from analysis.report.words import (
    base,
    chance,
    factor,
    interval,
    listed,
    number,
    percent,
    review,
    sentence,
)

OUTCOMES = ("c_peptide_ratio", "hba1c", "insulin_dose_abs")
NOT_A_NUMBER = re.compile(r"(?<![\w-])(nan|NaN|None|inf|undefined)(?![\w-])")


@pytest.fixture(scope="module")
def core(evidence, tmp_path_factory):
    """Only what every run has: effects and exclusions, no estimates, no other table."""
    from analysis import effects

    folder = tmp_path_factory.mktemp("core")
    built = effects.build(evidence)
    built.effects.to_csv(folder / "effects.csv", index=False)
    synthetic_results.estimates().iloc[:0].to_csv(folder / "estimates.csv", index=False)
    return Results(folder, evidence)


@pytest.fixture(scope="module")
def full(core, evidence, tmp_path_factory):
    """Invented results with every table the report knows."""
    folder = synthetic_results.write(tmp_path_factory.mktemp("full"), core.effects)
    return Results(folder, evidence)


@pytest.fixture(scope="module")
def empty(core, full, evidence, tmp_path_factory):
    """Every table is there and none has a row."""
    folder = tmp_path_factory.mktemp("empty")
    for path in full.out.glob("*.csv"):
        keep = path.name == "effects.csv"
        pd.read_csv(path).iloc[: None if keep else 0].to_csv(folder / path.name, index=False)
    return Results(folder, evidence)


def calls(module):
    """Each public function of a module with the arguments the report may give it."""
    found = []
    for name in module.__all__ if hasattr(module, "__all__") else vars(module):
        function = getattr(module, name)
        if not inspect.isfunction(function) or name.startswith("_"):
            continue
        names = list(inspect.signature(function).parameters)
        imported = not hasattr(module, "__all__") and function.__module__ != module.__name__
        if imported or names[:1] != ["results"]:
            continue
        if "outcome" in names[1:2]:
            more = [(o, True) if "controlled" in names[2:3] else (o,) for o in OUTCOMES]
        elif "category" in names[1:2]:
            more = [("death",), ("serious_adverse_event",), ("graft_loss",)]
        elif "name" in names[1:2]:
            more = [(n,) for n in ("outcomes", "directions", "responders", "independence",
                                   "safety")]  # fmt: skip
        else:
            more = [()]
        found += [pytest.param(function, m, id="-".join([name, *map(str, m)])) for m in more]
    return found


@pytest.fixture(params=["full", "core", "empty"])
def results(request):
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize(("draw", "words"), calls(figures))
def test_every_figure_is_drawn_or_says_why_not(results, draw, words):
    style.apply()
    figure = draw(results, *words)
    assert isinstance(figure, Figure)
    assert figure.get_size_inches()[0] == pytest.approx(style.WIDTH)
    shown = [text.get_text() for axes in figure.axes for text in axes.findobj(match=_is_text)]
    assert any(text.strip() for text in shown)
    assert not [text for text in shown if NOT_A_NUMBER.search(text)]
    assert not [text for text in shown if "$" in text or "\\" in text]
    assert style.smallest_text(figure) >= style.SMALL


def _is_text(artist):
    return hasattr(artist, "get_text")


@pytest.mark.parametrize(("make", "words"), calls(tables))
def test_every_table_has_a_row_or_says_why_not(results, make, words):
    made = make(results, *words)
    assert isinstance(made, Table)
    assert made.rows
    assert {len(row) for row in made.rows} == {len(made.columns)}
    assert not NOT_A_NUMBER.search(made.text)
    lines = made._repr_markdown_().splitlines()
    assert len(lines) == len(made.rows) + 2
    assert re.fullmatch(r"\|(:?-+:?\|)+", lines[1])
    columns = {re.sub(r"\\\|", "", line).count("|") for line in lines}
    assert columns == {len(made.columns) + 1}


@pytest.mark.parametrize(("say", "words"), calls(prose))
def test_every_sentence_is_one(results, say, words):
    text = say(results, *words)
    assert isinstance(text, str)
    assert not NOT_A_NUMBER.search(text)
    if text:
        assert text[-1] in ".)"
        assert text[0].isupper() or text[0].isdigit()


NEEDS_COUNTS = [
    (prose.mean_effect, ("hba1c", True)),
    (prose.mean_effect, ("c_peptide_ratio", False)),
    (prose.beyond, ("hba1c",)),
    (prose.words_matter, ("hba1c",)),
    (prose.heterogeneity, ("hba1c",)),
    (prose.ever_independent, ()),
    (prose.durability, ()),
    (prose.remaining, ("hba1c",)),
    (prose.plain_blood_sugar, ()),
    (prose.plain_insulin, ()),
    (prose.plain_independence, ()),
    (prose.types_differ, ("hba1c",)),
    (prose.designs_differ, ("hba1c",)),
    (prose.bias, ("hba1c",)),
    (prose.harm, ("death",)),
    (prose.earlier, ()),
]


@pytest.mark.parametrize(("say", "words"), NEEDS_COUNTS)
def test_no_result_without_studies_and_patients(full, say, words):
    text = say(full, *words)
    assert re.search(r"\d+ (studies|study|cohorts|patients)|1 study", text), text


def test_a_sentence_takes_its_numbers_from_the_estimates(full):
    text = prose.mean_effect(full, "c_peptide_ratio", True)
    mean, low, high = (f"{np.exp(value):.2f}" for value in (0.4, 0.1, 0.7))
    assert f"{mean} times that of the controls (95 % credible interval {low} to {high})" in text


def test_a_change_of_the_estimates_changes_the_sentence(full, tmp_path):
    other = dataclasses.replace(full, out=tmp_path)
    for path in full.out.glob("*.csv"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    table = full.estimates.copy()
    table.loc[table["outcome"] == "hba1c", ["mean", "ci_low", "ci_high"]] = [-9.87, -11, -8]
    table.to_csv(tmp_path / "estimates.csv", index=False)
    assert "−9.87" in prose.mean_effect(other, "hba1c", True)
    assert "−9.87" not in prose.mean_effect(full, "hba1c", True)


def test_words_are_counted_as_what_they_say(full):
    text = prose.words_matter(full, "hba1c")
    studies = full.study_effects("hba1c")
    told = studies[studies["controlled"].astype(bool) & (studies["kind"] != "numeric")]
    null = (told["direction"] == 0).sum()
    assert f"({null} of {len(told)} of them null)" in text


def test_controlled_and_uncontrolled_stand_apart(full):
    for outcome in ("hba1c", "c_peptide_ratio"):
        text = tables.pooled(full, outcome).text
        for line in text.splitlines()[1:]:
            assert ("control group" in line) != ("own baseline" in line)


def test_a_class_of_one_study_leans_on_the_prior(full):
    lines = tables.pooled(full, "hba1c").text.splitlines()
    alone = [line for line in lines if "PSC islets" in line]
    assert alone
    assert all("leans on the prior" in line for line in alone)


def test_at_diagnosis_never_shares_the_forest(full):
    inside = set(full.study_effects("hba1c")["effect_id"])
    apart = full.study_effects("hba1c", at_diagnosis=True)
    assert len(apart)
    assert not apart["controlled"].any()
    assert not inside & set(apart["effect_id"])


def test_an_unsettled_harm_says_that_no_study_suffices(full):
    text = prose.settle(full)
    assert "no single further study suffices" in text
    assert "1 200 more patient-years" in text


def test_silence_is_not_zero(full):
    text = prose.tumour_question(full)
    assert "do not" in text
    assert "leaves room" in text


def test_without_the_bayesian_model_the_frequentist_mean_is_named_so(full, tmp_path):
    table = full.estimates
    table = table[(table["method"] != "nuts")]
    for path in full.out.glob("*.csv"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    table.to_csv(tmp_path / "estimates.csv", index=False)
    text = prose.mean_effect(Results(tmp_path, full.evidence), "hba1c", True)
    assert "confidence interval" in text
    assert "pooled from the 4 studies" in text


# --- words -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (number(-0.004), "0.00"),
        (number(-1.5, 1), "−1.5"),
        (number(np.nan), "–"),
        (number(None), "–"),
        (interval(-1, 2, 0), "−1 to 2"),
        (interval(np.nan, 2), "–"),
        (percent(0.004), "under 1\u00a0%"),
        (percent(0.996), "over 99\u00a0%"),
        (percent(0.5), "50\u00a0%"),
        (percent(0.0), "0\u00a0%"),
        (chance(1.0), "over 99\u00a0%"),
        (chance(0.0), "under 1\u00a0%"),
        (chance(np.nan), "–"),
        (factor(2e10), "over 1000"),
        (factor(0.25), "0.25"),
        (base(1, 12), "1 study, 12 patients"),
        (base(4, 1), "4 studies, 1 patient"),
        (listed(["a", "b", "c"]), "a, b and c"),
        (listed([]), ""),
        (sentence("it is so."), "It is so."),
        (review({"first_author": "Sun SY", "year": 2020.0, "study_id": "sun2020"}), "Sun 2020"),
        (review({"first_author": "", "year": np.nan, "study_id": "guo2019"}), "Guo 2019"),
    ],
)
def test_numbers_as_people_read_them(made, expected):
    assert made == expected


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
    assert widths[0] > len("47/1")
    assert widths[1] > len("−0.31 to −0.12")
    assert widths[2] > 40
    crowded = column_widths(["x"] * 20, [row * 5 for row in rows])
    assert all(width > len(word) for width, word in zip(crowded[:2], rows[0][:2], strict=True))


def test_ids_and_right_must_fit_the_table():
    frame = pd.DataFrame({"a": ["x"], "n": ["1"]})
    assert 'data-id="e1"' in grid(frame, ("n",), ids=("e1",))._repr_html_()
    with pytest.raises(ValueError, match="no such column"):
        grid(frame, ("m",))
    with pytest.raises(ValueError, match="2 ids for 1 rows"):
        grid(frame, ids=("a", "b"))


def test_a_chain_opens_on_the_page_and_is_plain_in_print():
    chain = Chain("Couri 2009", ("rule <1>", link("https://example.org/x", "source")))
    assert chain.html().count("<li>") == 2
    assert "rule &lt;1&gt;" in chain.html()
    assert chain.markdown() == "Couri 2009"
    assert Chain("alone", ()).html() == "alone"


def test_what_a_sentence_takes_from_a_cell_is_no_markup(full, tmp_path):
    table = full.rows("leave_one_out")
    table["label"] = "<img onerror=x> **A** @fig-claims"
    for path in full.out.glob("*.csv"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    table.to_csv(tmp_path / "leave_one_out.csv", index=False)
    text = prose.leave_one_out(Results(tmp_path, full.evidence), "hba1c")
    assert "\\<img onerror\\=x\\> \\*\\*A\\*\\* \\@fig\\-claims" in text


NASTY = "<script>x</script> @fig-claims $\\input$ `{python} 1` [a](javascript:b) **c** |"


@pytest.fixture(scope="module")
def nasty(full, tmp_path_factory):
    """The invented results over evidence whose free texts hold markup of every language."""
    folder = tmp_path_factory.mktemp("nasty")
    free = {"label", "note", "statement", "claim", "evidence", "caveat", "reason", "verdict",
            "patient_label"}  # fmt: skip
    for path in full.out.glob("*.csv"):
        table = pd.read_csv(path)
        for column in free & set(table.columns):
            table[column] = NASTY
        table.to_csv(folder / path.name, index=False)
    tables = {}
    for name in ("studies", "outcomes", "directions", "responders", "independence", "safety",
                 "published"):  # fmt: skip
        table = getattr(full.evidence, name).copy()
        for column in ("first_author", "title", "country", "criterion", "patient_label",
                       "exclusion_reason", "population", "comparison", "notes"):  # fmt: skip
            if column in table:
                table[column] = NASTY
        tables[name] = table
    return Results(folder, dataclasses.replace(full.evidence, **tables))


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.seen, self.attributes, self.text = set(), set(), ""

    def handle_starttag(self, tag, attributes):
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attributes}
        self.text += " ".join(value or "" for _, value in attributes)


OURS = {"div", "table", "thead", "tbody", "tr", "th", "td", "a", "strong", "small", "details",
        "summary", "ol", "li", "caption"}  # fmt: skip


@pytest.mark.parametrize(("make", "words"), calls(tables))
def test_nothing_in_the_evidence_becomes_markup_of_a_table(nasty, make, words):
    made = make(nasty, *words)
    reader = Tags()
    reader.feed(made._repr_html_())
    assert reader.seen <= OURS
    assert not {name for name in reader.attributes if name.startswith("on")}
    raw = re.sub(r"\\.", "", re.sub(r"\]\(<https?://[^<>\s]+>\)", "", made._repr_markdown_()))
    assert not re.search(r"[<>@$`{}]", raw)


@pytest.mark.parametrize(("say", "words"), calls(prose))
def test_nothing_in_the_evidence_becomes_markup_of_a_sentence(nasty, say, words):
    raw = re.sub(r"\\.", "", say(nasty, *words))
    assert not re.search(r"[<>@$`{}|]", raw)


@pytest.mark.parametrize(("draw", "words"), calls(figures))
def test_a_figure_draws_any_label_as_it_stands(nasty, draw, words):
    style.apply()
    svg = style.as_svg(draw(nasty, *words))
    assert "<script" not in svg


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


def test_the_nasty_texts_do_reach_the_tables_and_sentences(nasty):
    assert NASTY in tables.claims(nasty).text
    assert "\\@fig\\-claims" in prose.leave_one_out(nasty, "hba1c")
