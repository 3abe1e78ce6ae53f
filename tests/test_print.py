"""The report on paper: page numbers and running heads, full pages, margins kept, words whole.

Poppler's tools look at the PDF; where they are not installed the tests are skipped and say so.
"""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
DOTS = 24
"""Dots an inch at which pages are looked at."""

pytestmark = pytest.mark.skipif(
    not (shutil.which("pdftotext") and shutil.which("pdftoppm")),
    reason="poppler's tools (pdftotext, pdftoppm) are not installed",
)


@pytest.fixture(scope="module")
def texts(whole_report):
    """The words of each page."""
    command = ["pdftotext", "-layout", whole_report["pdf"].path, "-"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True)
    return done.stdout.split("\f")[:-1]


@pytest.fixture(scope="module")
def pages(whole_report, tmp_path_factory):
    """Each page as an array that is True where there is ink."""
    folder = tmp_path_factory.mktemp("pages")
    subprocess.run(["pdftoppm", "-gray", "-r", str(DOTS), whole_report["pdf"].path, folder / "p"],
                   check=True, capture_output=True)  # fmt: skip
    found = []
    for path in sorted(folder.glob("p-*.pgm")):
        _head, width, height, data = re.match(
            rb"(P5)\s+(\d+)\s+(\d+)\s+255\s(.*)", path.read_bytes(), re.S
        ).groups()
        found.append(np.frombuffer(data, np.uint8).reshape(int(height), int(width)) < 200)
    return found


def test_word_and_pdf_pass_the_audit(whole_report):
    assert whole_report["docx"].faults == []
    assert whole_report["pdf"].faults == []


def test_every_page_has_its_number_and_a_running_head(texts):
    for number, text in enumerate(texts, 1):
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        assert lines[-1] == str(number)
        if number > 1:
            assert lines[0].startswith("isletmeta")


def test_no_page_is_more_than_half_empty(pages):
    for number, page in enumerate(pages[:-1], 1):
        height = len(page)
        body = page[int(0.07 * height) : int(0.93 * height)]
        last = np.flatnonzero(body.any(axis=1)).max()
        assert last > 0.5 * len(body), f"page {number}"


def test_nothing_stands_outside_the_margins(pages):
    edge = int(0.4 * DOTS)
    for number, page in enumerate(pages, 1):
        assert not page[:, :edge].any(), f"page {number}, left"
        assert not page[:, -edge:].any(), f"page {number}, right"


def test_no_heading_is_the_last_line_of_its_page(texts):
    source = (ROOT / "report.qmd").read_text(encoding="utf-8")
    heads = set(re.findall(r"^##? (.*?)(?: \{.*)?$", source, re.M))
    heads |= set(re.findall(r'collapse="true" title="(.*?)"', source))
    for number, text in enumerate(texts, 1):
        lines = [line.strip() for line in text.splitlines() if line.strip()][:-1]
        last = re.sub(r"^[\d.]+\s+", "", lines[-1])
        assert last not in heads, f"page {number} ends with the heading {last!r}"


def test_the_words_of_the_page_are_in_print(texts):
    words = " ".join(" ".join(texts).split())
    for text in ("If you have diabetes", "Nobody should change a treatment", "Rendered by"):
        assert text in words
