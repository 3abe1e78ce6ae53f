"""The embedded renderer and the audit of what it makes."""

import base64
import html
import json
import os
import re
import subprocess
import sys
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from conftest import every, without_quarto
from hypothesis import given
from hypothesis import strategies as st

from analysis import render
from analysis.render import docx, embedded, execute, quarto
from analysis.render import source as sources

REPORT = Path(__file__).resolve().parent.parent / "report.qmd"
DEMO = """---
title: "A demonstration"
lang: en
---

```{python}
#| include: false
import pandas as pd
from matplotlib.figure import Figure
from analysis.report import style
from analysis.report.tables import grid
from analysis.report.text import Markdown
style.notebook()
with open("runs", "a") as runs:
    runs.write("x")
x = 41
```

# First {#sec-first}

The answer is `{python} x + 1`; `{python} Markdown("it is **so**")`;
see @fig-line, @tbl-one and @sec-second.

::: {.callout-note title="Mind this"}
A note of 5 % or so, as in @tbl-one.
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
#| tbl-cap: "A table, see @fig-line."
grid(pd.DataFrame({"a": ["<b> @fig-none `{python} 1` $x$", "y"], "b": [1, 2]}), ("b",))
```
"""


@pytest.fixture(autouse=True, scope="module")
def _without_quarto():
    with without_quarto():
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The demonstration in all formats from one run of its cells."""
    folder = tmp_path_factory.mktemp("demo")
    source = folder / "demo.qmd"
    source.write_text(DEMO, encoding="utf-8")
    made = render.render_all(source, {form: folder / f"demo.{form}" for form in render.FORMATS})
    (folder / "runs").rename(folder / "runs of all formats")
    again = render.render(source, folder / "again.html")
    assert made["html"].path.read_bytes() == again.path.read_bytes()
    return made


@pytest.fixture(scope="module")
def page(made):
    return made["html"].path.read_text(encoding="utf-8")


def test_the_page_is_whole(page):
    assert render.audit_html(page) == []
    assert "The answer is 42; it is <strong>so</strong>;" in page
    for text in ("Figure 1: A line.", "Table 1: A table,", "Mind this", "Section 2"):
        assert text in page
    assert 'alt="A rising line."' in page
    assert 'style="width' not in page  # or a telephone scrolls sideways


def test_callouts_are_boxes_and_fold_away(page):
    assert '<p class="callout-title">Mind this</p>' in page
    assert "<summary>Folded &lt; away</summary>" in page
    box = page[page.index('<details class="callout') :]
    assert box.index("A secret.") < box.index("</details>")


def test_a_table_scrolls_under_its_caption(page):
    figure = page[page.index('<figure id="tbl-one"') :]
    caption = figure.index("Table 1: A table,")
    assert caption < figure.index("</figcaption>") < figure.index('class="scroll"')
    assert figure.index('class="scroll"') < figure.index("<table")


def test_sections_of_the_second_level_have_numbers(page):
    assert re.search(r'href="#sec-part"[^>]*>Section 1\.1</a>', page)


def test_equations_need_no_script(page):
    assert "<math" in page
    assert 'src="http' not in page


def test_a_number_keeps_its_percent_sign(page):
    assert "5\u00a0%" in page


def write(tmp_path, text):
    source = tmp_path / "bad.qmd"
    source.write_text(text, encoding="utf-8")
    return source


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# A\n\n```{python}\n#| label: fig-x\n1 / 0\n```\n", r"bad.qmd:5: cell fig-x: ZeroDiv"),
        (
            "# A\n\n```{python}\n#| label: fig-x\nx = 1\n\nx +\n```\n",
            r"bad.qmd:7: cell fig-x: Synt",
        ),
        ("# A\n\n`{python} nothing`\n", r"bad.qmd:3: an inline expression: NameError"),
        ("# A\n\nb\n`{python} 'a'`\n", r"bad.qmd:4: an inline expression: 'a' gives a plain str"),
        ("# A\n\nSee @fig-none.\n", "bad.qmd:3: @fig-none refers to nothing"),
        ("---\ntitle: [\n---\n", "bad.qmd:2: not YAML"),
        ("---\ntitle: x\n", "bad.qmd:1: the header .* does not end"),
        ("```{python}\n#| label: [\n1\n```\n", "bad.qmd:2: not YAML"),
        ("```{python}\nimport os; os._exit(3)\n```\n", "the process that ran the cells died"),
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


def test_a_clean_page_has_no_fault():
    page = "<a href='' onclick='window.quartoToggleColorScheme()'>o</a>"
    page += "<main><p>None of 5 reported; a@b.org; 3 in all.</p><code>\\x</code></main>"
    assert render.audit_html(page) == []


def test_the_same_label_twice_is_named_with_both_lines(tmp_path):
    cell = '```{python}\n#| label: tbl-one\n#| tbl-cap: "T"\n1\n```\n\n'
    with pytest.raises(render.RenderError, match=r"bad.qmd:7: the label tbl-one stands in line 1"):
        render.render(write(tmp_path, cell + cell), tmp_path / "bad.html")
    with pytest.raises(render.RenderError, match="the label sec-a stands in line 1"):
        render.render(write(tmp_path, "# A {#sec-a}\n\n## B {#sec-a}\n"), tmp_path / "bad.html")


def test_a_folder_that_cannot_be_written_is_named_before_the_cells_run(tmp_path):
    (tmp_path / "file").write_text("")
    source = write(tmp_path, "```{python}\n1 / 0\n```\n")
    with pytest.raises(render.RenderError, match="cannot be written"):
        render.render(source, tmp_path / "file" / "x.html")


def test_text_of_cells_never_becomes_markup(page):
    assert "&lt;b&gt; @fig-none `{python} 1` $x$" in page


def test_each_cell_of_a_table_knows_its_column_and_row(page):
    assert '<th scope="col" class="num">b</th>' in page
    assert '<td data-label="b" class="num">2</td>' in page
    assert '<th scope="row">y</th>' in page


def test_the_page_has_one_main_part_in_its_language(page):
    assert page.count("<main") == 1
    assert '<html lang="en">' in page


def test_cells_run_once_for_all_formats(made):
    assert (made["html"].path.parent / "runs of all formats").read_text() == "x"


def words_of(path: Path) -> str:
    body = ElementTree.fromstring(zipfile.ZipFile(path).read("word/document.xml"))
    return "\n".join("".join(run.text or "" for run in paragraph.iter(f"{docx.W}t"))
                     for paragraph in body.iter(f"{docx.W}p"))  # fmt: skip


def test_a_pdf_is_made(made):
    assert made["pdf"].path.read_bytes().startswith(b"%PDF")


def test_a_word_document_is_whole(made):
    path = made["docx"].path
    assert render.audit_docx(path) == []
    text = words_of(path)
    for words in ("The answer is 42; it is so;", "A note of 5\u00a0% or so", "Table 1: A table"):
        assert words in text
    assert "<b> @fig-none `{python} 1` $x$" in text
    body = zipfile.ZipFile(path).read("word/document.xml").decode()
    assert 'descr="A rising line."' in body
    for style in ("Callout", "TableText", "TOC1", "TOC2"):
        assert f'w:pStyle w:val="{style}"' in body


def test_the_contents_of_a_word_document_are_filled_and_linked(made):
    body = ElementTree.fromstring(zipfile.ZipFile(made["docx"].path).read("word/document.xml"))
    entries = [p for p in body.iter(f"{docx.W}p")
               if (style := p.find(f"{docx.W}pPr/{docx.W}pStyle")) is not None
               and style.get(f"{docx.W}val", "").startswith("TOC")]  # fmt: skip
    texts = ["".join(t.text or "" for t in p.iter(f"{docx.W}t")) for p in entries]
    assert [text.split("  ")[-1] for text in texts[1:]] == ["First", "A part", "Second"]
    anchors = {link.get(f"{docx.W}anchor") for link in body.iter(f"{docx.W}hyperlink")}
    marks = {mark.get(f"{docx.W}name") for mark in body.iter(f"{docx.W}bookmarkStart")}
    assert {"sec-first", "sec-part", "sec-second"} <= anchors & marks
    kinds = [c.get(f"{docx.W}fldCharType") for c in body.iter(f"{docx.W}fldChar")]
    assert kinds[:3] == ["begin", "separate", "end"]


def test_a_figure_without_description_in_word_takes_its_own(made, tmp_path):
    path = tmp_path / "lost.docx"
    with zipfile.ZipFile(made["docx"].path) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "word/document.xml":
                data = data.replace(b'descr="A rising line."', b'descr=""')
            new.writestr(name, data)
    assert "a figure has no alternative text" in render.audit_docx(path)
    docx.finish(path, ["A rising line."])
    assert render.audit_docx(path) == []


def test_the_style_of_word_is_as_its_script_makes_it():
    package = zipfile.ZipFile(Path(embedded.__file__).parent.parent / "report" / "reference.docx")
    styles = package.read("word/styles.xml").decode()
    for style in ("TableText", "Callout", "TOC1", "Header"):
        assert f'w:styleId="{style}"' in styles
    assert "PAGE" in package.read("word/footer1.xml").decode()


# --- no process outlives its render -------------------------------------------------------------


def figures(*cells: tuple[str, str], between: str = "") -> str:
    """A source whose cells draw one figure each, its title the name of the cell.

    `between` is a cell before the last figure. The figures are plain SVG, for speed.
    """
    head = (
        "```{python}\n#| include: false\nclass Figure:\n"
        "    def __init__(self, name, drawn=None):\n        self.name, self.drawn = name, drawn\n"
        "    def _repr_svg_(self):\n        if self.drawn:\n            self.drawn()\n"
        "        return (\"<svg xmlns='http://www.w3.org/2000/svg' width='72pt' height='72pt'>\"\n"
        "                f'<text>{self.name}</text></svg>')\n"
        "draw = Figure\n```\n\n"
    )
    made = [
        f'```{{python}}\n#| label: fig-{name}\n#| fig-cap: "{name}."\n#| fig-alt: "{name}."\n'
        f"draw({name!r}{more})\n```\n\n"
        for name, more in cells
    ]
    return head + "".join([*made[:-1], between, made[-1]])


def test_figures_drawn_by_two_processes_stand_each_in_its_place(tmp_path):
    source = tmp_path / "many.qmd"
    names = [f"n{i}" for i in range(7)]
    source.write_text(figures(*[(name, "") for name in names]), encoding="utf-8")
    page = render.render(source, tmp_path / "many.html").path.read_text(encoding="utf-8")
    drawn = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"[^>]*?alt="(\w+)\."', page)
    assert [alt for _, alt in drawn] == names
    for data, alt in drawn:
        assert f">{alt}</text>" in base64.b64decode(data).decode("utf-8")


@pytest.mark.parametrize("place", every(2, 3))
def test_a_figure_that_cannot_be_drawn_is_named_whichever_process_draws_it(tmp_path, place):
    bad = ", lambda *words: 1 / 0"
    source = tmp_path / "bad.qmd"
    cells = [(f"n{i}", bad if i == place else "") for i in range(6)]
    source.write_text(figures(*cells), encoding="utf-8")
    with pytest.raises(render.RenderError, match=f"cell fig-n{place}: shows neither"):
        render.render(source, tmp_path / "bad.html")


def test_a_cell_that_fails_beside_the_figures_is_named(tmp_path):
    source = tmp_path / "bad.qmd"
    text = figures(*[(f"n{i}", "") for i in range(6)]) + "And `{python} 1 / 0` more.\n"
    source.write_text(text, encoding="utf-8")
    with pytest.raises(render.RenderError, match=r":\d+: an inline expression: ZeroDivisionError"):
        render.render(source, tmp_path / "bad.html")


def test_where_a_cell_makes_a_name_figures_wait_for_their_turn(tmp_path):
    source = tmp_path / "turns.qmd"
    between = "```{python}\n#| include: false\ndef draw(name):\n" \
              "    return Figure(name.upper())\n```\n\n"  # fmt: skip
    source.write_text(figures(*[(f"n{i}", "") for i in range(6)], between=between), "utf-8")
    page = render.render(source, tmp_path / "turns.html").path.read_text(encoding="utf-8")
    drawn = [base64.b64decode(data).decode("utf-8")
             for data in re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', page)]  # fmt: skip
    titles = [re.search(r">([nN]\d)</text>", svg)[1] for svg in drawn]
    assert titles == ["n0", "n1", "n2", "n3", "n4", "N5"]


def test_a_process_started_ahead_takes_the_environment_of_its_job(tmp_path, monkeypatch):
    source = tmp_path / "ahead.qmd"
    source.write_text("```{python}\n#| include: false\nimport os\n```\n\n"
                      "`{python} len(os.environ['TOLD'])` and on\n", encoding="utf-8")  # fmt: skip
    render.ahead()
    render.ahead()
    assert len(execute._WAITING) == 1
    page = render.render(source, tmp_path / "ahead.html", env={"TOLD": "four"}).path
    assert execute._WAITING == []
    assert "4 and on" in page.read_text(encoding="utf-8")


def test_the_process_of_the_cells_ends_with_its_parent(tmp_path):
    """A parent that dies between two lines leaves nothing running."""
    pid_file = tmp_path / "pid"
    code = f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    job = json.dumps({"source": "x", "folder": str(tmp_path), "parts": [{"code": code, "line": 1}]})
    process = subprocess.Popen([sys.executable, "-m", "analysis.render.cells"], text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               cwd=Path(embedded.__file__).parents[2])  # fmt: skip
    process.stdin.write(job + "\n")
    process.stdin.flush()
    while not (pid_file.exists() and pid_file.read_text()):
        assert process.poll() is None
    process.stdin.close()  # as when the parent is gone
    assert process.wait(timeout=60) == 1
    process.stdout.close()


def test_nothing_is_left_running_nor_said_after_a_render(tmp_path, capfd):
    source = write(
        tmp_path, "```{python}\nimport os\nopen('pid', 'w').write(str(os.getpid()))\n```\n"
    )
    execute.execute(sources.read(source)[1], source)
    pid = int((tmp_path / "pid").read_text())
    with pytest.raises(OSError):
        os.kill(pid, 0)
    said = capfd.readouterr()
    assert said.out == said.err == ""


# --- Quarto --------------------------------------------------------------------------------------

FAKE = """#!{python}
import os, pathlib, sys
if sys.argv[1] == "--version":
    print("9.9.9")
    raise SystemExit
name = sys.argv[sys.argv.index("--output") + 1]
log = pathlib.Path({log!r})
log.write_text(repr((sys.argv[1:], sorted(str(p) for p in pathlib.Path().rglob("*.css")),
                     os.environ["ISLETMETA_FIGURES"], os.environ.get("NO_COLOR"))))
{then}
"""


def fake_quarto(tmp_path, monkeypatch, then: str) -> Path:
    program = tmp_path / "quarto"
    log = tmp_path / "log"
    program.write_text(FAKE.format(python=sys.executable, log=str(log), then=then))
    program.chmod(0o755)
    monkeypatch.setenv("QUARTO_PATH", str(program))
    return log


WITH_CSS = "---\nformat:\n  html:\n    css: look.css\n---\n\n# A {#sec-a}\n"


@pytest.mark.skipif(os.name == "nt", reason="a script stands in for Quarto")
def test_quarto_runs_apart_and_its_page_is_audited(tmp_path, monkeypatch):
    (tmp_path / "look.css").write_text("")
    source = write(tmp_path, WITH_CSS)
    then = "pathlib.Path(name).write_text('<p>see ?@fig-x</p>')"
    log = fake_quarto(tmp_path, monkeypatch, then)
    made = render.render(source, tmp_path / "there" / "x.html")
    assert made.renderer == "Quarto 9.9.9"
    assert made.faults == ["the reference ?@fig-x was not resolved"]
    told = log.read_text()
    assert "'look.css'" in told
    assert "--no-execute-daemon" in told
    assert told.endswith("'svg', '1')")
    assert not (tmp_path / "x.html").exists()


@pytest.mark.skipif(os.name == "nt", reason="a script stands in for Quarto")
def test_a_cell_that_fails_under_quarto_is_named_with_its_line(tmp_path, monkeypatch):
    cell = "```{python}\n#| label: fig-x\nx = 1\n1 / 0\n```\n"
    source = write(tmp_path, "# A\n\n" + cell)
    told = ("\x1b[31mAn error occurred while executing the following cell:\n"
            "------------------\n#| label: fig-x\nx = 1\n1 / 0\n------------------\n\n"
            "\x1b[0;31mZeroDivisionError\x1b[0m  Traceback (most recent call last)\n"
            "Cell In[2], line 3\nZeroDivisionError: division by zero\n")  # fmt: skip
    fake_quarto(tmp_path, monkeypatch, f"sys.stderr.write({told!r}); raise SystemExit(1)")
    with pytest.raises(render.RenderError) as failed:
        render.render(source, tmp_path / "x.html")
    assert str(failed.value) == "bad.qmd:6: cell fig-x: ZeroDivisionError: division by zero"
    assert not (tmp_path / "x.html").exists()


def test_the_header_names_files_that_are_there():
    header, _ = sources.read(REPORT)
    named = [word for word in quarto._words(header) if word.startswith("analysis/")]
    assert len(named) >= 5
    for word in named:
        assert (REPORT.parent / word).is_file(), word
    assert header["execute"]["daemon"] is False
    assert "bibliography" not in header


@given(st.text(alphabet="abc #*`\n@-", max_size=200))
def test_markdown_without_cells_passes_unchanged(text):
    if text.startswith("---\n"):
        return
    assert "".join(render.split(text)[1]) == text


@pytest.mark.parametrize(
    ("page", "fault"),
    [
        ("<p>the mean is nan</p>", "the page says 'nan'"),
        ("<p>the mean is None.</p>", "the page says 'None'"),
        ("<p>0.5\\xa0%</p>", "the escape \\xa0 is left on the page"),
        ("<p>\x1b[31mred</p>", "codes of terminal colours are left on the page"),
        ("<p>see ?@fig-lost</p>", "the reference ?@fig-lost was not resolved"),
        ("<table><th>x</th></table>", "a table's header cell has no scope"),
        ("<a href='javascript:x()'>x</a>", "a link runs javascript:x()"),
        ("<p onclick='x()'>x</p>", "<p> carries onclick"),
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


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ("the mean is nan", "the page says 'nan'"),
        (r"0.5\\xa0%", r"the escape \xa0 is left on the page"),
        (r"see ?\@fig-lost", "the reference ?@fig-lost was not resolved"),
        (r"as \[\@haller2009\] told", "the markup [@haller2009 is left on the page"),
        (r"a \#strong[x]", "the markup #strong[ is left on the page"),
        (r"x {\=typst} y", "the markup {=typst} is left on the page"),
        (r"\<small>id", "the markup <small> is left on the page"),
        (r"a\&nbsp;b", "the markup &nbsp; is left on the page"),
        (r"\*\*bold", "the markup **b is left on the page"),
        (r"see \](\#sec-x)", "the markup ](# is left on the page"),
        ("`{python} x`", "source code is left on the page"),
        ("None of 3 is named; 2 of 14 people, \\<7 % & more", None),
    ],
)  # fmt: skip
def test_the_audit_of_a_pdf_sees(tmp_path, words, fault):
    import typst

    made = tmp_path / "page.pdf"
    (tmp_path / "page.typ").write_text(words, encoding="utf-8")
    typst.compile(str(tmp_path / "page.typ"), output=str(made))
    assert render.audit_pdf(made) == ([fault] if fault else [])


def test_a_page_of_a_pdf_without_a_word_is_named(tmp_path):
    import typst

    made = tmp_path / "page.pdf"
    (tmp_path / "page.typ").write_text("one\n#pagebreak()\n#pagebreak()\nthree", encoding="utf-8")
    typst.compile(str(tmp_path / "page.typ"), output=str(made))
    assert render.audit_pdf(made) == ["without any word: page 2"]


# --- the report itself ------------------------------------------------------------------------

CONSTANTS = {"0.2", "0.3", "0.5", "0.331", "0.7", "1.01", "1.96"}
"""Decimals the prose may hold: thresholds, a conversion factor, a quantile; never a result."""


@pytest.fixture(scope="module")
def parts():
    return render.split(REPORT.read_text(encoding="utf-8"))[1]


@pytest.fixture(scope="module")
def report(whole_page):
    """The whole report in HTML, on the tracked results."""
    return whole_page.read_text(encoding="utf-8")


def space(results) -> dict:
    """What the cells of the report know: what the first one imports, and the results."""
    parts = sources.read(REPORT)[1]
    first = next(part for part in parts if isinstance(part, render.Cell))
    known: dict = {}
    imports = [line for line in first.source.splitlines() if line.startswith(("from ", "import "))]
    exec("\n".join(imports), known)
    return {**known, "results": results}


def values(results, kinds=("", "fig", "tbl")):
    """The line, expression and value of each inline expression and of the cells of some kinds.

    "fig" and "tbl" are those with such a label, "" those without one.
    """
    from analysis.report import style

    style.apply()
    known = space(results)
    for part in sources.read(REPORT)[1]:
        if not isinstance(part, render.Cell):
            for expression, line in sources.inline(part):
                yield line, expression, eval(expression, known)
        elif part.options.get("include", True) and part.label.split("-")[0] in kinds:
            yield part.line, part.source.strip(), eval(part.source.strip(), known)


def test_the_report_passes_the_audit(report):
    assert render.audit_html(report) == []


def test_every_section_of_the_source_is_there_in_order(report, parts):
    planned = [re.sub(r"\s*\{[^}]*\}", "", match[1]) for part in parts if isinstance(part, str)
               for match in re.finditer(r"^# (.*)$", part, re.M)]  # fmt: skip
    heads = re.findall(r"<h1[^>]*>(.*?)</h1>", report, re.S)
    plain = [re.sub(r"<span.*?</span>|<.*?>", "", head, flags=re.S) for head in heads]
    named = [" ".join(html.unescape(head).split()) for head in plain]
    assert [head for head in named if head in planned] == planned


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
    assert len(report.encode()) < 4e6


@pytest.mark.parametrize("stride", every(5, 1), ids=["some", "all"])
def test_no_text_of_a_figure_is_cut_at_its_edge(tracked_run, stride):
    """On the page, and on paper, where figures are twice as wide."""
    from matplotlib.text import Text

    from analysis.report import style

    style.apply()
    known = space(tracked_run)
    cells = [part for part in sources.read(REPORT)[1]
             if isinstance(part, render.Cell) and part.label.startswith("fig-")]  # fmt: skip
    for cell in cells[::stride]:
        figure = eval(cell.source.strip(), known)
        for other in (False, True):
            if other:
                style.lay_out_for_paper(figure)
            figure.draw_without_rendering()
            whole = figure.bbox
            for text in figure.findobj(Text):
                if not text.get_visible() or not text.get_text().strip() or text.get_clip_on():
                    continue
                box = text.get_window_extent()
                inside = box.x0 > -1 and box.x1 < whole.width + 1
                assert inside, (
                    f"{cell.label}: {text.get_text()!r} ({box.x1:.0f} > {whole.width:.0f})"
                )


def test_chains_open_without_a_script_and_ask_nothing_of_a_server(report, tracked_run):
    bare = re.sub(r"(?s)<script.*?</script>", "", report)
    for claim in tracked_run.table("claims")["claim_id"]:
        row = bare[bare.index(f'data-id="{claim}"') :]
        row = row[: row.index("</tr>")]
        assert '<details class="chain"><summary>' in row and "docs/protocol.md" in row
    assert bare.count('<details class="chain">') > 500
    assert bare.count("<details") == bare.count("</details>")


def test_the_page_names_its_renderer(report):
    assert "Rendered by isletmeta’s embedded renderer (pandoc" in " ".join(
        html.unescape(report).replace("'", "’").split()
    )


def test_every_inline_value_is_markdown_to_a_notebook(tracked_run):
    """Quarto shows a plain text by its repr, with quotes and escapes."""
    from IPython.core.formatters import DisplayFormatter

    show = DisplayFormatter().format
    found = list(values(tracked_run, [""]))
    assert len(found) > 20
    for line, expression, value in found:
        data, _ = show(value)
        assert "text/markdown" in data, f"report.qmd:{line}: {expression}"


NASTY = "<script>x</script> @fig-claims $\\input$ `{python} 1` [a](javascript:b) **c** |"
FREE = ("label", "note", "statement", "claim", "caveat", "reason", "patient_label", "first_author",
        "title", "country", "criterion", "exclusion_reason", "population", "comparison", "notes",
        "support")  # fmt: skip
OURS = {"div", "table", "thead", "tbody", "tr", "th", "td", "a", "strong", "small", "details",
        "summary", "ol", "ul", "li", "caption", "code"}  # fmt: skip


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.seen, self.attributes = set(), set()

    def handle_starttag(self, tag, attributes):
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attributes}


def nasty(run_folder):
    """The tracked results beside evidence whose free texts hold markup of every language."""
    from dataclasses import replace

    from analysis.report import load

    results = load(run_folder)
    spoilt = {}
    for name in ("studies", "outcomes", "directions", "responders", "independence", "safety",
                 "published"):  # fmt: skip
        table = getattr(results.evidence, name).copy()
        for column in set(FREE) & set(table.columns):
            table[column] = NASTY
        spoilt[name] = table
    return replace(results, evidence=replace(results.evidence, **spoilt))


@pytest.mark.slow
def test_nothing_in_the_evidence_becomes_markup_in_a_figure(run_folder):
    from matplotlib.figure import Figure

    from analysis.report import style

    found = values(nasty(run_folder), ["fig"])
    drawn = [(line, text, value) for line, text, value in found if isinstance(value, Figure)]
    assert len(drawn) > 5
    for line, expression, value in drawn:
        assert "<script" not in style.as_svg(value), f"report.qmd:{line}: {expression}"


@pytest.mark.slow
def test_nothing_in_the_evidence_becomes_markup(run_folder):
    """It stays text in tables and sentences."""
    from analysis.report.tables.base import Table

    shown = ""
    for line, expression, value in values(nasty(run_folder), ["", "tbl"]):
        where = f"report.qmd:{line}: {expression}"
        if isinstance(value, Table):
            reader = Tags()
            reader.feed(value._repr_html_())
            assert reader.seen <= OURS, where
            assert not {name for name in reader.attributes if name.startswith("on")}, where
            raw = re.sub(r"\]\(<https?://[^<>\s]+>\)", "", value._repr_markdown_())
            assert not re.search(r"[<>@$`{}]", re.sub(r"\\.", "", raw)), where
            shown += value.text
        elif isinstance(value, str):
            assert not re.search(r"[<>@$`{}|]", re.sub(r"\\.", "", value)), where
    assert NASTY in shown


def test_long_tables_are_folded_away(report):
    for label in ("tbl-facts-outcomes", "tbl-facts-safety", "tbl-studies"):
        before = report[: report.index(f'id="{label}"')]
        assert before.count("<details") == before.count("</details>") + 1


def test_no_result_is_typed_by_hand(parts):
    prose = "".join(render.INLINE.sub("", part) for part in parts if isinstance(part, str))
    decimals = set(re.findall(r"(?<![\w.:/])\d+\.\d+(?![\w.])", prose))
    assert decimals <= CONSTANTS
    assert not re.search(r"\d\s?%\s(?!upper|credible|prediction|interval)", prose)


def test_every_cell_says_what_it_shows(parts):
    for part in parts:
        if not isinstance(part, render.Cell) or not part.options.get("include", True):
            continue
        if "label" not in part.options:  # cards, lists and tables that are text: no float
            assert part.source.strip().startswith(
                ("page_one.", "plain.", "claims_page.", "choices(", "tables.small_study(")
            )
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


def test_facts_as_printed_may_hold_what_looks_like_markup():
    """The steps that a table opens show raw rows; the text around them may not."""
    steps = '<details class="chain"><summary>s</summary><ul><li>@fig-x {python}</li></ul></details>'
    page = "<html><body><main><p>%s</p></main></body></html>"
    assert render.audit_html(page % steps) == []
    assert len(render.audit_html(page % (steps + "@fig-x {python}"))) == 2
