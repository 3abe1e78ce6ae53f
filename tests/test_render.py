"""The embedded renderer and the audit of what it makes."""

import html
import re
import shutil
import zipfile
from pathlib import Path

import pytest
import synthetic_results
from hypothesis import given
from hypothesis import strategies as st

from analysis import render

DEMO = """---
title: "A demonstration"
lang: en
---

```{python}
#| include: false
import matplotlib
from matplotlib.figure import Figure
matplotlib.rcParams["svg.hashsalt"] = "demo"
from matplotlib_inline.backend_inline import set_matplotlib_formats
set_matplotlib_formats("svg", metadata={"Date": None})
class Table:
    def _repr_markdown_(self):
        return "| a | b |\\n|---|---|\\n| 1 | 2 |"
x = 41
```

# First {#sec-first}

The answer is `{python} x + 1`; see @fig-line, @tbl-one and @sec-second.

::: {.callout-note title="Mind this"}
A note of 5 % or so.
:::

::: {.callout-note collapse="true" title="Folded < away"}
A secret.
:::

$$a_i \\sim b$$

## A part {#sec-part}

See @sec-part.

```{python}
#| label: fig-line
#| fig-cap: "A line."
#| fig-alt: "A rising line."
figure = Figure()
figure.subplots().plot([0, 1])
figure
```

# Second {#sec-second}

```{python}
#| label: tbl-one
#| tbl-cap: "A table."
Table()
```
"""


@pytest.fixture(autouse=True)
def without_quarto(monkeypatch):
    monkeypatch.delenv("QUARTO_PATH", raising=False)
    monkeypatch.setattr(render.shutil, "which", lambda name: None)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    source = folder / "demo.qmd"
    source.write_text(DEMO, encoding="utf-8")
    which = shutil.which
    shutil.which = lambda name: None
    try:
        made = render.render(source, folder / "demo.html")
        again = render.render(source, folder / "again.html")
    finally:
        shutil.which = which
    assert made.path.read_bytes() == again.path.read_bytes()
    return made.path.read_text(encoding="utf-8")


def test_the_page_is_whole(page):
    assert render.audit_html(page) == []
    assert "The answer is 42;" in page
    for text in ("Figure 1: A line.", "Table 1: A table.", "Mind this", "Section 2"):
        assert text in page
    assert 'alt="A rising line."' in page
    assert "embedded renderer (pandoc" in page


def test_callouts_are_boxes_and_fold_away(page):
    assert '<p class="callout-title">Mind this</p>' in page
    assert "<summary>Folded &lt; away</summary>" in page
    assert page.index("<details") < page.index("A secret.") < page.index("</details>")


def test_a_table_scrolls_under_its_caption(page):
    figure = page[page.index('<figure id="tbl-one"') :]
    caption = figure.index("Table 1: A table.")
    assert caption < figure.index("</figcaption>") < figure.index('class="scroll"')
    assert figure.index('class="scroll"') < figure.index("<table")


def test_sections_of_the_second_level_have_numbers(page):
    assert re.search(r'href="#sec-part"[^>]*>Section 1\.1</a>', page)


def test_equations_need_no_script(page):
    assert "<math" in page
    assert "<script" not in page


def test_a_number_keeps_its_percent_sign(page):
    assert "5\u00a0%" in page


def write(tmp_path, text):
    source = tmp_path / "bad.qmd"
    source.write_text(text, encoding="utf-8")
    return source


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# A\n\n```{python}\n#| label: fig-x\n1 / 0\n```\n", r"bad.qmd:3: cell fig-x: ZeroDiv"),
        ("# A\n\n`{python} nothing`\n", "inline expression.*NameError"),
        ("# A\n\nSee @fig-none.\n", "@fig-none refers to nothing"),
        ("# A\n\n```{python}\n#| label: tbl-x\nNone\n```\n", "shows neither a figure nor a table"),
    ],
)
def test_a_fault_is_named_and_nothing_is_written(tmp_path, text, message):
    with pytest.raises(render.RenderError, match=message):
        render.render(write(tmp_path, text), tmp_path / "bad.html")
    assert not (tmp_path / "bad.html").exists()


def test_a_missing_source_is_named(tmp_path):
    with pytest.raises(render.RenderError, match=r"none.qmd: no such file"):
        render.render(tmp_path / "none.qmd", tmp_path / "x.html")


def test_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(ValueError, match="papyrus"):
        render.render(write(tmp_path, "# A\n"), tmp_path / "x", to="papyrus")


def test_pdf_and_docx_are_made(tmp_path):
    source = write(tmp_path, '---\ntitle: "T"\n---\n\n# A heading\n\nSome text.\n')
    pdf = render.render(source, tmp_path / "x.pdf", to="pdf").path
    assert pdf.read_bytes().startswith(b"%PDF")
    docx = render.render(source, tmp_path / "x.docx", to="docx").path
    assert "A heading" in zipfile.ZipFile(docx).read("word/document.xml").decode()


@given(st.text(alphabet="abc #*`\n@-", max_size=200))
def test_markdown_without_cells_passes_unchanged(text):
    if text.startswith("---\n"):
        return
    assert "".join(render.split(text)[1]) == text


@pytest.mark.parametrize(
    ("page", "fault"),
    [
        ("<p>the mean is nan</p>", "the page says 'nan'"),
        ("<img src='data:x'>", "a figure has no alternative text"),
        ("<a href='#gone'>x</a>", "a link leads to #gone, which is not there"),
        ("<p>{python} x</p>", "source code is left on the page"),
        ("<script src='https://example.org/x.js'></script>",
         "the page loads https://example.org/x.js"),
        ("<p id='a'></p><p id='a'></p>", "the id a stands twice"),
    ],
)  # fmt: skip
def test_the_audit_sees(page, fault):
    assert fault in render.audit_html(page)


# --- the report itself ------------------------------------------------------------------------

REPORT = Path(__file__).resolve().parent.parent / "report.qmd"
SECTIONS = [
    "The answer in one page", "The evidence base", "C-peptide", "HbA1c", "Insulin dose",
    "Independence from insulin, and how long it lasts", "Safety", "Type 1 beside type 2",
    "What would change our mind", "Against earlier meta-analyses", "Methods", "Reproducibility",
    "Every extracted fact",
]  # fmt: skip
CONSTANTS = {"0.2", "0.3", "0.5", "0.331", "0.7", "1.01", "1.96"}
"""Decimals the prose may hold: thresholds, a conversion factor, a quantile; never a result."""


@pytest.fixture(scope="module")
def parts():
    return render.split(REPORT.read_text(encoding="utf-8"))[1]


@pytest.fixture(scope="module")
def report(evidence, tmp_path_factory):
    """The whole report in HTML, once, on invented results."""
    from analysis import effects

    folder = tmp_path_factory.mktemp("report")
    results = synthetic_results.write(folder, effects.build(evidence).effects)
    which = shutil.which
    shutil.which = lambda name: None
    try:
        made = render.render(
            REPORT, folder / "report.html", env={"ISLETMETA_OUT": str(results), "QUARTO_PATH": ""}
        )
    finally:
        shutil.which = which
    return made.path.read_text(encoding="utf-8")


def test_the_report_passes_the_audit(report):
    assert render.audit_html(report) == []


def test_every_planned_section_is_there_in_order(report):
    heads = re.findall(r"<h1[^>]*>(.*?)</h1>", report, re.S)
    plain = [re.sub(r"<span.*?</span>|<.*?>", "", head, flags=re.S) for head in heads]
    named = [" ".join(head.split()) for head in plain]
    assert [head for head in named if head in SECTIONS] == SECTIONS


def test_every_figure_and_table_of_the_source_is_on_the_page(report, parts):
    labels = [part.options["label"] for part in parts if isinstance(part, render.Cell)
              and "label" in part.options]  # fmt: skip
    assert len(labels) == len(set(labels))
    for label in labels:
        assert f'id="{label}"' in report, label


def test_every_figure_has_its_own_alternative_text(report, parts):
    texts = [part.options["fig-alt"] for part in parts if isinstance(part, render.Cell)
             and str(part.options.get("label", "")).startswith("fig-")]  # fmt: skip
    assert len(set(texts)) == len(texts)
    shown = re.findall(r'<img [^>]*?alt="([^"]*)"', report)
    assert sorted(" ".join(html.unescape(text).split()) for text in shown) == sorted(texts)


def test_figures_are_vectors_and_the_page_is_light(report):
    assert "data:image/png" not in report
    assert len(report.encode()) < 6e6


def test_long_tables_are_folded_away(report):
    for label in ("tbl-outcomes", "tbl-directions", "tbl-harms", "tbl-studies"):
        before = report[: report.index(f'id="{label}"')]
        assert before.count("<details") == before.count("</details>") + 1


def test_the_patient_is_warned_first(report):
    text = " ".join(report.split())
    assert text.index("<strong>Nobody should change a treatment") < text.index("<img")


def test_no_result_is_typed_by_hand(parts):
    prose = "".join(render.INLINE.sub("", part) for part in parts if isinstance(part, str))
    decimals = set(re.findall(r"(?<![\w.:/])\d+\.\d+(?![\w.])", prose))
    assert decimals <= CONSTANTS
    assert not re.search(r"\d\s?%\s(?!upper|credible|prediction|interval)", prose)


def test_every_cell_says_what_it_shows(parts):
    for part in parts:
        if not isinstance(part, render.Cell) or not part.options.get("include", True):
            continue
        kind = part.options["label"].split("-")[0]
        assert kind in ("fig", "tbl"), part.options
        assert part.options[f"{kind}-cap"].endswith((".", ")"))
        assert kind == "tbl" or part.options["fig-alt"].endswith(".")


def test_every_reference_of_the_source_leads_somewhere(parts):
    text = "".join(part if isinstance(part, str) else str(part.options) for part in parts)
    known = set(re.findall(r"#(sec-[\w-]+)", text))
    known |= {p.options["label"] for p in parts if isinstance(p, render.Cell)
              and "label" in p.options}  # fmt: skip
    assert set(render.REFERENCE.findall(text)) <= known
