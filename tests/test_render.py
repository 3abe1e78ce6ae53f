"""The embedded renderer and the audit of what it makes."""

import shutil
import zipfile

import pytest
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
A note.
:::

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
