"""What real Quarto needs, tested without it: the style of PDF, the polish of Word, the header.

The documents here are small ones of our own, laid out as Quarto 1.5 to 1.10 lay theirs out.
"""

import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pypandoc
import pytest
import typst

from analysis import render
from analysis.render import docx, quarto
from analysis.render import source as sources

ROOT = Path(__file__).resolve().parent.parent
LOOK = ROOT / "analysis" / "report" / "page.typ"
ROWS = 150
GROUP = 10
"""Rows under one head."""

# --- PDF: page.typ in a document of Quarto's ------------------------------------------------------

OLDER = "body: [], title: [], background_color: white, icon: none, icon_color: black"
NEWER = f"{OLDER}, body_background_color: white"

BEFORE = """
#let callout({arguments}) = block(breakable: false, [#title #body])
#let article(title: none, doc) = {{
  set par(justify: true)
  set heading(numbering: "1.1.a")
  block[#outline(title: [Contents], depth: 2)]
  doc
}}
#set table(inset: 6pt, stroke: none)
"""
AFTER = """
#set page(paper: "a4", margin: (x: 1.9cm, y: 2cm), numbering: "1")
#show: doc => article(title: [A report], doc)

= First chapter <sec-first>

See @fig-line and @tbl-long.

#figure([
#box(image("line.svg"))
], caption: figure.caption(position: bottom, [A rising line.]),
kind: "quarto-float-fig", supplement: "Figure", numbering: "1",) <fig-line>

#callout(body: [
#lorem(1200) the last word of the note

#figure([
#box(image("tall.svg"))
], caption: figure.caption(position: bottom, [A tall line within the note.]),
kind: "quarto-float-fig", supplement: "Figure", numbering: "1",)
], title: [A long note], background_color: rgb("#dae6fb"), icon_color: rgb("#0758E5"),
icon: none, %s)

#figure([
#box(image("tall.svg"))
], caption: figure.caption(position: bottom, [A tall line that floats.]),
kind: "quarto-float-fig", supplement: "Figure", numbering: "1",)

= Second chapter

#figure([
#table(columns: (30%%, 70%%), align: (auto, auto), table.header([Name], [Words],), table.hline(),
  %s
)
], caption: figure.caption(position: top, [A long table.]),
kind: "quarto-float-tbl", supplement: "Table", numbering: "1",) <tbl-long>
"""
LINE = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="200pt" height="60pt">'
    '<path d="M0 60L200 0" stroke="black"/></svg>'
)


@pytest.fixture(scope="module", params=["older", "newer"])
def pages(request, tmp_path_factory):
    """The words of each page of a PDF that Quarto's way of writing and our style make."""
    if not shutil.which("pdftotext"):
        pytest.skip("poppler's pdftotext is not installed")
    folder = tmp_path_factory.mktemp("quarto")
    (folder / "line.svg").write_text(LINE)
    arguments, more = (
        (OLDER, "") if request.param == "older" else (NEWER, "body_background_color: white")
    )
    rows = "\n".join(
        f"{'' if number % GROUP else f'[#strong[Group {number}]], [],'}"
        f"[row{number}], [words of row {number}],"
        for number in range(ROWS)
    )
    (folder / "tall.svg").write_text(LINE.replace('height="60pt"', 'height="260pt"'))
    text = BEFORE.format(arguments=arguments) + LOOK.read_text() + AFTER % (more, rows)
    source = folder / "report.typ"
    source.write_text(text, encoding="utf-8")
    typst.compile(str(source), output=str(folder / "report.pdf"))
    done = subprocess.run(["pdftotext", "-layout", folder / "report.pdf", "-"], check=True,
                          capture_output=True, text=True, encoding="utf-8")  # fmt: skip
    return done.stdout.split("\f")[:-1]


def test_heads_within_a_table_of_quarto_stay_with_their_rows_and_stand_again(pages):
    holding = [page for page in pages if re.search(r"\brow\d+\b", page)]
    for page in holding:
        lines = [line.strip() for line in page.splitlines() if line.strip()]
        first = next(i for i, line in enumerate(lines) if re.match(r"row\d+", line))
        assert re.fullmatch(r"Group \d+", lines[first - 1])  # its own, again where rows go on
        assert not lines[-2].startswith("Group")  # the last line is the number of the page


def test_tall_figures_of_quarto_are_there_within_a_note_and_outside(pages):
    text = "".join(pages)
    assert text.count("A tall line that floats") == 1
    assert text.index("the last word of the note") < text.index("A tall line within the note")


def test_a_long_table_of_quarto_breaks_over_pages_with_its_head(pages):
    holding = [page for page in pages if re.search(r"\brow\d+\b", page)]
    assert len(holding) > 1
    assert all(re.search(r"Name +Words", page) for page in holding)
    shown = re.findall(r"\brow(\d+) +words of row \1\b", "\n".join(holding))
    assert shown == [str(number) for number in range(ROWS)]


def test_a_long_callout_of_quarto_breaks_over_pages(pages):
    began = next(i for i, page in enumerate(pages) if "A long note" in page)
    ended = next(i for i, page in enumerate(pages) if "the last word of the note" in page)
    assert ended > began


def test_quarto_numbers_captions_and_the_head_names_the_chapter(pages):
    words = " ".join(" ".join(pages).split())
    assert "Figure 1: A rising line." in words
    assert "Table 1: A long table." in words
    assert "See Figure 1 and Table 1." in words
    heads = [page.strip().splitlines()[0] for page in pages[1:]]
    assert all(head.startswith("isletmeta") for head in heads)
    assert heads[-1].endswith("Second chapter")


def test_no_page_holds_but_one_or_two_rows_of_a_table(tmp_path):
    """Tables of every length around that of a page, under a head or not."""
    if not shutil.which("pdftotext"):
        pytest.skip("poppler's pdftotext is not installed")
    tables = []
    for many in range(60, 100):
        rows = [f"[row{number}], [words]," for number in range(many)]
        if many % 2:
            rows.insert(many // 2, "[#strong[Group]], [],")
        tables.append("#pagebreak()\n#figure(table(columns: (30%, 70%), align: (left, left), "
                      "table.header([Name], [Words],), table.hline(), "
                      f"{''.join(rows)}), kind: table)")  # fmt: skip
    look = LOOK.read_text(encoding="utf-8") + '#set page(paper: "a4", margin: 4cm)\n'
    (tmp_path / "tables.typ").write_text(look + "\n".join(tables), encoding="utf-8")
    typst.compile(str(tmp_path / "tables.typ"), output=str(tmp_path / "tables.pdf"))
    done = subprocess.run(["pdftotext", "-layout", tmp_path / "tables.pdf", "-"], check=True,
                          capture_output=True, text=True, encoding="utf-8")  # fmt: skip
    held = [len(re.findall(r"\brow\d+\b", page)) for page in done.stdout.split("\f")]
    held = [rows for rows in held if rows]
    assert len(held) > 50 and min(held) >= 3


# --- the header -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def header():
    return sources.read(ROOT / "report.qmd")[0]


def test_the_header_sets_up_each_format_for_quarto(header):
    made = header["format"]
    assert set(made) == {"html", "typst", "docx"}
    for form in made.values():
        assert form["toc"] is True
        assert form["toc-depth"] == 2
        assert form["number-sections"] is True
    assert made["html"]["format-links"] is False
    assert made["html"]["embed-resources"] is True
    assert made["html"]["fig-format"] == made["typst"]["fig-format"] == "svg"
    assert made["docx"]["fig-format"] == "png"
    assert made["typst"]["include-in-header"] == str(LOOK.relative_to(ROOT).as_posix())
    assert made["docx"]["reference-doc"].endswith("reference.docx")
    assert header["jupyter"] == "python3"


def test_the_page_of_paper_is_the_same_from_both_renderers(header):
    from analysis.render import embedded

    asked = header["format"]["typst"]
    assert {name: asked[name] for name in ("papersize", "margin", "fontsize")} == {
        name: embedded.PAGE[name] for name in ("papersize", "margin", "fontsize")
    }


def test_filters_of_quarto_leave_other_formats_alone():
    table = "| a | b |\n|---|---|\n| 1 | |\n"
    for name in ("docx.lua", "equation.lua"):
        plain = subprocess.run(
            [pypandoc.get_pandoc_path(), "--to=typst"], input=table, text=True, check=True,
            capture_output=True,
        ).stdout  # fmt: skip
        passed = subprocess.run(
            [pypandoc.get_pandoc_path(), "--to=typst", f"--lua-filter={LOOK.with_name(name)}"],
            input=table, text=True, check=True, capture_output=True,
        ).stdout  # fmt: skip
        assert plain == passed


# --- Word: Quarto frames call-outs, tables and figures in tables ----------------------------------

FRAME = """<w:tbl xmlns:w="{w}"><w:tblPr><w:tblStyle w:val="Table"/>{borders}</w:tblPr>
<w:tr><w:trPr><w:cantSplit/></w:trPr><w:tc><w:tcPr/>{first}</w:tc></w:tr>
{second}</w:tbl>"""
LINES = '<w:tblBorders><w:left w:val="single" w:sz="24"/></w:tblBorders>'
ICON = ('<w:r><w:drawing><wp:inline xmlns:wp="{d}"><wp:docPr id="9" name="icon" descr=""/>'
        "</wp:inline></w:drawing></w:r>")  # fmt: skip
WORDS = "<w:p><w:pPr/><w:r><w:t>{0}</w:t></w:r></w:p>"
INNER = ("<w:tbl><w:tblPr/><w:tr><w:tc>" + WORDS.format("a cell") + "</w:tc><w:tc>"
         + WORDS.format("another") + "</w:tc></w:tr></w:tbl>")  # fmt: skip


def framed(held: str, *, title: str = "") -> str:
    """A call-out with a title, or a frame without one, as Quarto writes them."""
    if not title:
        return FRAME.format(w=docx.WORD, borders="", first=held, second="")
    first = f"<w:p>{ICON.format(d=docx.DRAWING)}<w:r><w:t>{title}</w:t></w:r></w:p>"
    second = f"<w:tr><w:trPr><w:cantSplit/></w:trPr><w:tc><w:tcPr/>{held}<w:p/></w:tc></w:tr>"
    return FRAME.format(w=docx.WORD, borders=LINES, first=first, second=second)


@pytest.fixture(scope="module")
def word(tmp_path_factory):
    """A Word document of pandoc's into which Quarto's frames were put, after the polish."""
    folder = tmp_path_factory.mktemp("word")
    (folder / "line.svg").write_text(LINE)
    path = folder / "report.docx"
    text = "# First {#sec-first}\n\nWords.\n\n![A line](line.png){width=2in}\n\nCALLOUTS\n"
    (folder / "page.typ").write_text('#set page(width: auto, height: auto)\n#image("line.svg")')
    typst.compile(str(folder / "page.typ"), output=str(folder / "line.png"), format="png")
    subprocess.run(
        [pypandoc.get_pandoc_path(), "--from=markdown", "--to=docx", "--standalone", "--toc",
         f"--reference-doc={LOOK.with_name('reference.docx')}", "--output", path],
        input=text, text=True, check=True, cwd=folder,
    )  # fmt: skip
    with zipfile.ZipFile(path) as package:
        parts = {name: package.read(name) for name in package.namelist()}
    body = docx.parse(parts["word/document.xml"])
    holder = body.find(f"{docx.W}body")
    mark = next(i for i, block in enumerate(holder) if "CALLOUTS" in docx._text(block))
    for frame in (framed(WORDS.format("words alone"), title="A warning"),
                  framed(framed(INNER), title="All rows")):  # fmt: skip
        holder.insert(mark, ElementTree.fromstring(frame))
    for figure in body.iter(f"{{{docx.DRAWING}}}docPr"):
        figure.set("descr", "")
    parts["word/document.xml"] = docx.written(body)
    with zipfile.ZipFile(path, "w") as package:
        for name, data in parts.items():
            package.writestr(name, data)
    assert "a figure has no alternative text" in render.audit_docx(path)
    docx.finish(path, ["A line that rises."])
    return path


def blocks(path: Path) -> list[tuple[str, str]]:
    """Kind or style, and words, of each block of a document's body."""
    body = ElementTree.fromstring(zipfile.ZipFile(path).read("word/document.xml"))
    found = []
    for block in body.find(f"{docx.W}body"):
        style = block.find(f"{docx.W}pPr/{docx.W}pStyle")
        kind = block.tag.removeprefix(docx.W)
        name = style.get(f"{docx.W}val") if kind == "p" and style is not None else kind
        found.append((name, docx._text(block)))
    return found


def test_call_outs_of_quarto_become_bordered_paragraphs(word):
    shown = blocks(word)
    place = shown.index(("Callout", "A warning"))
    assert shown[place + 1] == ("Callout", "words alone")


def test_what_quarto_folds_stands_open_under_its_title(word):
    shown = blocks(word)
    place = shown.index(("FoldedTitle", "All rows"))
    assert shown[place + 1] == ("tbl", "a cellanother")


def test_pictures_of_quarto_have_their_alternative_texts_and_icons_are_gone(word):
    assert render.audit_docx(word) == []
    body = ElementTree.fromstring(zipfile.ZipFile(word).read("word/document.xml"))
    told = [drawing.get("descr") for drawing in body.iter(f"{{{docx.DRAWING}}}docPr")]
    assert told == ["A line that rises."]


def test_the_alternative_texts_for_word_are_those_of_the_cells_in_order():
    parts = sources.read(ROOT / "report.qmd")[1]
    told = quarto.alternatives(parts)
    figures = [part for part in parts if isinstance(part, render.Cell)
               and part.label.startswith("fig-")]  # fmt: skip
    assert told == [part.options["fig-alt"] for part in figures]
