"""The report in a real browser: on a telephone, a tablet and a screen, light and dark.

Debian's Chromium through Playwright; axe-core judges accessibility. Where these are not installed
(`scripts/browser.sh` installs them) the tests are skipped and say why.
"""

import base64
import os
import re
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
AXE = Path(os.environ.get("ISLETMETA_AXE",
                          ROOT / ".cache/browser/node_modules/axe-core/axe.min.js"))  # fmt: skip
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
                None)  # fmt: skip
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDTHS = (380, 768, 1280)

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def address(whole_report):
    """The whole report as a file."""
    return whole_report["html"].path.as_uri()


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield opened
        opened.close()


@pytest.fixture
def visit(browser, address):
    """Opens the report at a width; what the console and the network said is in `page.said`."""
    contexts = []

    def opened(width: int, scheme: str = "light", **words):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, **words
        )
        contexts.append(context)
        page = context.new_page()
        page.said = []
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("request", lambda request: page.said.append(request.url)
                if not request.url.startswith(("file:", "data:")) else None)  # fmt: skip
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()


def unfold(page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_is_quiet_asks_for_nothing_and_never_scrolls_sideways(visit, width):
    page = visit(width)
    unfold(page)
    assert page.said == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(("width", "scheme"), [(380, "light"), (768, "dark"), (1280, "dark")])
def test_axe_finds_no_moderate_serious_or_critical_fault(visit, width, scheme):
    if not AXE.exists():
        pytest.skip(f"axe-core is not installed in {AXE}")
    page = visit(width, scheme)
    unfold(page)
    # Long tables repeat one row a thousand times: a dozen of each says as much.
    page.evaluate("document.querySelectorAll('tbody').forEach(body => "
                  "Array.from(body.rows).slice(12).forEach(row => row.remove()))")  # fmt: skip
    page.add_script_tag(content=AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    grave = [(fault["id"], fault["impact"], fault["nodes"][0]["target"]) for fault in found
             if fault["impact"] != "minor"]  # fmt: skip
    assert grave == []


@pytest.mark.parametrize("width", WIDTHS)
def test_no_letter_of_the_page_is_too_small(visit, width):
    page = visit(width)
    unfold(page)
    small = page.evaluate(
        """() => Array.from(document.querySelectorAll('main *')).filter(part =>
             Array.from(part.childNodes).some(node => node.nodeType === 3 && node.data.trim())
             && !part.closest('math')
             && parseFloat(getComputedStyle(part).fontSize) < 11)
           .map(part => part.tagName + '.' + part.className)"""
    )
    assert small == []


@pytest.mark.parametrize("width", WIDTHS)
def test_no_letter_of_a_figure_is_under_nine_pixels(visit, width):
    page = visit(width)
    unfold(page)
    images = page.evaluate(
        """() => Array.from(document.images).map(image =>
             [image.src, image.getBoundingClientRect().width, image.alt])"""
    )
    assert images
    for source, shown, alt in images:
        drawing = base64.b64decode(source.split(",", 1)[1]).decode("utf-8")
        wide = float(re.search(r'viewBox="0 0 ([\d.]+)', drawing)[1])
        sizes = [float(size) for size in re.findall(r"font(?:-size)?: [^;\"]*?([\d.]+)px", drawing)]
        assert sizes, alt
        assert min(sizes) * shown / wide >= 9, (alt, min(sizes), shown)


def test_on_a_telephone_each_row_is_a_card_that_shows_every_number(visit):
    page = visit(380)
    unfold(page)
    outside = page.evaluate(
        """() => Array.from(document.querySelectorAll('table.grid td')).filter(cell => {
             const box = cell.getBoundingClientRect();
             return box.width > 0 && (box.left < 0 || box.right > 380);
           }).length"""
    )
    assert outside == 0
    labels = page.evaluate(
        """() => Array.from(document.querySelectorAll('#tbl-studies tbody td')).map(cell =>
             getComputedStyle(cell, '::before').content)"""
    )
    assert '"Treated"' in labels
    assert page.locator("#tbl-studies thead").bounding_box()["height"] <= 1


def test_a_wide_table_scrolls_with_a_cue_and_keeps_its_first_column(visit):
    page = visit(768)
    unfold(page)
    left, moved, cue = page.evaluate(
        """() => {
             const wide = Array.from(document.querySelectorAll('.scroll')).find(box =>
               box.scrollWidth > box.clientWidth + 60);
             const first = wide.querySelector('tbody th');
             const before = first.getBoundingClientRect().left;
             wide.scrollLeft = 50;
             return [before, first.getBoundingClientRect().left,
                     getComputedStyle(wide).backgroundImage];
           }"""
    )
    assert moved == pytest.approx(left, abs=1)
    assert cue.count("linear-gradient") == 4


def test_long_tables_are_filtered_and_sorted(visit):
    page = visit(1280)
    unfold(page)
    box = page.locator("#tbl-studies")
    rows = box.locator("tbody tr")
    every = rows.count()
    box.get_by_label("Filter").fill("couri")
    shown = box.locator("tbody tr:visible")
    assert 0 < shown.count() < every
    assert all("couri" in text.lower() for text in shown.all_inner_texts())
    assert box.get_by_role("status").inner_text() == f"{shown.count()} of {every} rows"
    box.get_by_label("Filter").fill("")
    box.get_by_role("button", name="Treated").click()
    column = [text.strip(" ▲▼") for text in box.locator("thead th").all_inner_texts()].index(
        "Treated"
    )
    assert box.locator("thead th[aria-sort=ascending]").count() == 1
    cells = [row.locator("th, td").nth(column).inner_text() for row in rows.all()]
    numbers = [float(text) for text in cells if text.strip(" –")]
    assert numbers == sorted(numbers)
    box.get_by_role("button", name="Treated").click()
    assert box.locator("thead th[aria-sort=descending]").count() == 1
    box.get_by_label("Sort by").select_option("")
    assert box.locator("thead th[aria-sort]").count() == 0
    assert page.said == []


def test_without_scripts_the_page_is_complete(visit):
    with_scripts, without = visit(1280), visit(1280, java_script_enabled=False)
    for page in (with_scripts, without):
        assert page.locator("#tbl-studies tbody tr").count() > 50
    assert without.locator(".bar").count() == 0


def test_the_page_turns_dark_with_the_system(visit):
    background = "getComputedStyle(document.body).backgroundColor"
    light, dark = visit(1280).evaluate(background), visit(1280, "dark").evaluate(background)
    assert light == "rgb(255, 255, 255)"
    assert dark == "rgb(20, 24, 27)"


def test_the_keyboard_reaches_the_answer_first(visit):
    page = visit(1280)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#main"
