"""The report on paper: page numbers and running heads, full pages, margins kept, words whole.

Poppler's tools look at the PDF; where they are not installed the tests are skipped and say so.
"""

import functools
import html
import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib import get_data_path
from matplotlib._afm import AFM
from test_render import space

from analysis.render import Cell, docx, quarto, split
from analysis.report.tables import base

W = docx.W

ROOT = Path(__file__).resolve().parent.parent
DOTS = 24
"""Dots an inch at which pages are looked at."""

PAPER = (595.28, 1.9 / 2.54 * 72)
"""Points of the width of a page and of its margins (A4)."""
HANGING = 2.5
"""Points by which a comma or hyphen may hang into the margin, as in good setting."""
MOST_PAGES, SMALLEST = 45, 6.0
"""Pages before the tables of every fact; points of the smallest letters."""
ZOOM = 3
"""At which pdftohtml tells sizes, in whole numbers: 18 is at least six points."""

pytestmark = [  # half a minute: a small report in every format is among the fast tests of rendering
    pytest.mark.slow,
    pytest.mark.skipif(
        not all(map(shutil.which, ("pdftotext", "pdftoppm", "pdftohtml"))),
        reason="poppler's tools (pdftotext, pdftoppm, pdftohtml) are not installed",
    ),
]


@pytest.fixture(scope="module")
def texts(on_paper):
    """The words of each page."""
    command = ["pdftotext", "-layout", on_paper["pdf"].path, "-"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True)
    return done.stdout.split("\f")[:-1]


@pytest.fixture(scope="module")
def pages(on_paper, tmp_path_factory):
    """Each page as an array that is True where there is ink."""
    folder = tmp_path_factory.mktemp("pages")
    subprocess.run(["pdftoppm", "-gray", "-r", str(DOTS), on_paper["pdf"].path, folder / "p"],
                   check=True, capture_output=True)  # fmt: skip
    found = []
    for path in sorted(folder.glob("p-*.pgm")):
        _head, width, height, data = re.match(
            rb"(P5)\s+(\d+)\s+(\d+)\s+255\s(.*)", path.read_bytes(), re.S
        ).groups()
        found.append(np.frombuffer(data, np.uint8).reshape(int(height), int(width)) < 200)
    return found


@pytest.fixture(scope="module")
def words(on_paper):
    """Of each page its words: left, top, right, bottom in points, and text."""
    done = subprocess.run(["pdftotext", "-bbox", on_paper["pdf"].path, "-"],
                          capture_output=True, text=True, encoding="utf-8", check=True)  # fmt: skip
    word = re.compile(r'<word xMin="(.*?)" yMin="(.*?)" xMax="(.*?)" yMax="(.*?)">(.*?)</word>')
    return [
        [(*map(float, found[:4]), html.unescape(found[4])) for found in word.findall(page)]
        for page in done.stdout.split("<page ")[1:]
    ]


def test_the_pages_before_the_tables_of_every_fact_are_few(texts):
    facts = next(number for number, text in enumerate(texts, 1)
                 if re.search(r"^\s*\d+ Appendix: every fact\s*$", text, re.M))  # fmt: skip
    assert facts <= MOST_PAGES


def test_no_letter_is_smaller_than_six_points(on_paper):
    command = ["pdftohtml", "-xml", "-i", "-stdout", "-zoom", str(ZOOM), on_paper["pdf"].path]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True)
    sizes = [int(size) for size in re.findall(r'<fontspec [^>]*size="(\d+)"', done.stdout)]
    assert len(sizes) > 5
    assert min(sizes) >= SMALLEST * ZOOM


def test_no_word_is_printed_over_another(words):
    for number, page in enumerate(words, 1):
        page = sorted(page, key=lambda word: word[1])
        for place, (left, top, right, bottom, text) in enumerate(page):
            for other in page[place + 1 :]:
                if other[1] > bottom:
                    break
                across = min(right, other[2]) - max(left, other[0])
                down = min(bottom, other[3]) - max(top, other[1])
                over = across > 1.5 and down > 0.4 * min(bottom - top, other[3] - other[1])
                assert not over, f"page {number}: {text!r} and {other[4]!r}"


def test_no_word_runs_into_the_margin(words):
    width, margin = PAPER
    for number, page in enumerate(words, 1):
        for left, _, right, _, text in page:
            assert left > margin - HANGING, f"page {number}: {text!r}"
            assert right < width - margin + HANGING, f"page {number}: {text!r}"


def test_no_number_of_a_table_is_split(words, run_folder):
    """Each number and short interval of each table stands on one line, somewhere."""
    lines = [line for page in words for line in _lines(page)]
    text = plain("\n".join(lines))
    for label, table in _tables(run_folder).items():
        for cell in {base._joined(str(cell)) for row in table.rows for cell in row}:
            doi = re.match(r"10\.\d{4,}/", cell)  # may break after its stroke
            if doi or not re.search(r"\d", cell) or " " in cell:
                continue
            if base._NUMERIC.fullmatch(cell):
                assert plain(cell) in text, f"{label}: {cell}"


def plain(text: str) -> str:
    """A text with one kind of space and of minus."""
    return text.replace("\u00a0", " ").replace("\u2212", "-")


def _lines(page) -> list[str]:
    """The words of a page that stand beside each other."""
    found: list[str] = []
    last = None
    for left, top, right, _, text in page:
        near = last and abs(top - last[1]) < 0.5 and -1 < left - last[0] < 4
        if near:
            found[-1] += f" {text}"
        else:
            found.append(text)
        last = (right, top)
    return found


@functools.cache
def _tables(folder: Path) -> dict[str, base.Table]:
    """Every table of the report by its label."""
    from analysis.report import load, style

    style.apply()
    known = space(load(folder))
    parts = split((ROOT / "report.qmd").read_text(encoding="utf-8"))[1]
    return {part.label: eval(part.source.strip(), known) for part in parts
            if isinstance(part, Cell) and part.label.startswith("tbl-")}  # fmt: skip


@functools.cache
def _cards(folder: Path):
    """The cards of page one, which stand in no captioned table."""
    from analysis.report import load, page_one

    return page_one.cards(load(folder))


def test_word_and_pdf_pass_the_audit(on_paper):
    assert on_paper["docx"].faults == []
    assert on_paper["pdf"].faults == []


def test_every_page_has_its_number_and_a_running_head(texts):
    for number, text in enumerate(texts, 1):
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        assert lines[-1] == str(number)
        if number > 1:
            assert lines[0].startswith("isletmeta")


def test_no_page_is_empty_for_more_than_four_tenths_of_it(pages):
    """In one piece, at its head, between or at its foot; but for the last page."""
    for number, page in enumerate(pages[:-1], 1):
        height = len(page)
        inked = page[int(0.07 * height) : int(0.93 * height)].any(axis=1)
        edges = np.concatenate([[-1], np.flatnonzero(inked), [len(inked)]])
        assert np.diff(edges).max() < 0.4 * len(inked), f"page {number}"


def test_nothing_stands_outside_the_margins(pages):
    edge = int(0.4 * DOTS)
    for number, page in enumerate(pages, 1):
        assert not page[:, :edge].any(), f"page {number}, left"
        assert not page[:, -edge:].any(), f"page {number}, right"


def test_no_heading_is_the_last_line_of_its_page(texts):
    source = (ROOT / "report.qmd").read_text(encoding="utf-8")
    heads = set(re.findall(r"^##? (.*?)(?: \{.*)?$", source, re.M))
    heads |= set(re.findall(r'collapse="(?:true|false)" title="(.*?)"', source))
    for number, text in enumerate(texts, 1):
        lines = [line.strip() for line in text.splitlines() if line.strip()][:-1]
        last = re.sub(r"^[\d.]+\s+", "", lines[-1])
        assert last not in heads, f"page {number} ends with the heading {last!r}"


def heads_of(table: base.Table) -> set[str]:
    """The rows of a table on paper that head those under them: words in the first cell alone."""
    shown = table._on_paper() if table.under or table.screen else table
    return {str(row[0]) for row in shown.rows if len(row) > 1 and not any(map(str, row[1:]))}


def test_no_head_within_a_table_is_the_last_of_its_page(texts, run_folder):
    tables = _tables(run_folder).values()
    heads = {" ".join(head.split()) for table in tables for head in heads_of(table)}
    heads |= {card.title for card in _cards(run_folder).cards}
    assert len(heads) > 50
    for number, text in enumerate(texts, 1):
        lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()][:-1]
        for many in (1, 2, 3):
            last = " ".join(lines[-many:])
            assert last not in heads, f"page {number} ends with the head {last!r}"


def test_the_words_of_the_page_are_in_print(texts):
    words = " ".join(" ".join(texts).split())
    for text in ("If you have diabetes", "Nobody should change a treatment", "Rendered by"):
        assert text in words


# --- Word -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def package(on_paper):
    """The parts of the Word document."""
    with zipfile.ZipFile(on_paper["docx"].path) as found:
        return {name: found.read(name) for name in found.namelist()}


@pytest.fixture(scope="module")
def body(package):
    return ElementTree.fromstring(package["word/document.xml"])


@pytest.fixture(scope="module")
def source():
    return split((ROOT / "report.qmd").read_text(encoding="utf-8"))[1]


def style_of(paragraph) -> str:
    style = paragraph.find(f"{W}pPr/{W}pStyle")
    return "" if style is None else style.get(f"{W}val")


def styled(body, name: str) -> list[str]:
    """The words of each paragraph of a style."""
    return [docx._text(found) for found in body.iter(f"{W}p") if style_of(found) == name]


def test_word_has_the_headings_of_the_source_as_headings(body, source):
    prose = "".join(part for part in source if isinstance(part, str))
    for level in (1, 2):
        told = re.findall(rf"^{'#' * level} (.*?)(?: \{{.*)?$", prose, re.M)
        shown = [text.split("  ", 1)[-1] for text in styled(body, f"Heading{level}")]
        assert [text for text in shown if text in told] == told


def test_the_contents_of_word_are_filled_with_every_heading(body):
    listed = styled(body, "TOC1") + styled(body, "TOC2")
    heads = [text for level in (1, 2) for text in styled(body, f"Heading{level}")]
    assert sorted(listed) == sorted(heads)
    stale = [char for char in body.iter(f"{W}fldChar") if char.get(f"{W}dirty")]
    assert not stale


def test_call_outs_of_word_are_bordered_paragraphs(body, package, source):
    prose = "".join(part for part in source if isinstance(part, str))
    open_ones = re.findall(r"\{\.callout-\w+ title=\"(.*?)\"\}", prose)
    folded = re.findall(r"\{\.callout-\w+ collapse=\"(?:true|false)\" title=\"(.*?)\"\}", prose)
    assert open_ones and folded
    assert set(open_ones) <= set(styled(body, "Callout"))
    assert set(folded) <= set(styled(body, "FoldedTitle"))
    styles = ElementTree.fromstring(package["word/styles.xml"])
    callout = next(s for s in styles.iter(f"{W}style") if s.get(f"{W}styleId") == "Callout")
    sides = {side.tag.removeprefix(W) for side in callout.find(f"{W}pPr/{W}pBdr")}
    assert sides == {"top", "left", "bottom", "right"}


def test_every_picture_of_word_has_its_own_description(body, source):
    shown = [found.get("descr") for found in body.iter(f"{{{docx.DRAWING}}}docPr")]
    assert shown == quarto.alternatives(source)


def test_word_has_a_running_head_and_page_numbers(body, package):
    kinds = {found.get(f"{W}type") for found in body.iter(f"{W}headerReference")}
    assert "default" in kinds
    head = ElementTree.fromstring(package["word/header1.xml"])
    title = ElementTree.fromstring(package["docProps/core.xml"]).find(
        "{http://purl.org/dc/elements/1.1/}title"
    )
    assert title.text in "".join(t.text or "" for t in head.iter(f"{W}t"))
    assert b"PAGE" in package["word/footer1.xml"]


FONT = 6.5
"""Points of the letters of Word's tables (reference.docx: half-points 13)."""
CELL_MARGINS = 5.0


@functools.cache
def metrics(name: str) -> AFM:
    """Widths of Helvetica, which Arial and what replaces it share."""
    with (Path(get_data_path()) / "fonts" / "afm" / f"{name}.afm").open("rb") as file:
        return AFM(file)


ALIKE = {"\u2212": "+", "\u00a0": " ", "\u2013": "0"}
"""Letters that have no width of their own in Helvetica's tables, and which are as wide."""


def width_of(text: str, *, bold: bool) -> float:
    """Points of a text in Word's tables; letters that Helvetica lacks are as wide as a digit."""
    font = metrics("phvb8a" if bold else "phvr8a")
    widths = []
    for letter in text:
        try:
            widths.append(font.get_width_char(ord(ALIKE.get(letter, letter))))
        except KeyError:
            widths.append(0 if letter == "\u200b" else 556)
    return sum(widths) * FONT / 1000


def test_no_word_or_number_of_a_table_in_word_is_wider_than_its_column(body):
    for table in body.iter(f"{W}tbl"):
        columns = [int(column.get(f"{W}w")) / 20 for column in table.iter(f"{W}gridCol")]
        for place, row in enumerate(table.iter(f"{W}tr")):
            for width, cell in zip(columns, row.findall(f"{W}tc"), strict=False):
                for word in re.split(r"[ \u200b]+", "".join(map(docx._text, cell.iter(f"{W}p")))):
                    needed = width_of(word, bold=place == 0)
                    assert needed <= width - CELL_MARGINS + 0.5, (word, needed, width)


def test_tables_of_word_fit_the_page_repeat_their_heads_and_keep_rows_whole(body):
    page = body.find(f".//{W}sectPr/{W}pgSz"), body.find(f".//{W}sectPr/{W}pgMar")
    line = int(page[0].get(f"{W}w")) - int(page[1].get(f"{W}left")) - int(page[1].get(f"{W}right"))
    tables = list(body.iter(f"{W}tbl"))
    assert len(tables) > 30
    for table in tables:
        assert sum(int(column.get(f"{W}w")) for column in table.iter(f"{W}gridCol")) <= line
        rows = list(table.iter(f"{W}tr"))
        assert rows[0].find(f"{W}trPr/{W}tblHeader") is not None
        assert all(row.find(f"{W}trPr/{W}cantSplit") is not None for row in rows)


def test_the_first_and_the_last_rows_of_a_table_in_word_stay_together(body):
    for table in body.iter(f"{W}tbl"):
        rows = list(table.iter(f"{W}tr"))
        kept = [all(found.find(f"{W}pPr/{W}keepNext") is not None for found in row.iter(f"{W}p"))
                for row in rows]  # fmt: skip
        assert all(kept[: min(3, len(rows) - 1)]) and all(kept[-3:-1]) and not kept[-1]
