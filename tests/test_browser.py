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
pytestmark = [  # two minutes: CI runs them before the fast tests
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]


@pytest.fixture(scope="module")
def address(whole_page):
    """The whole report as a file."""
    return whole_page.as_uri()


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
        context.set_default_timeout(300_000)  # a machine in use may be slow
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


def test_the_answer_advice_and_deaths_stand_within_two_screens_of_a_telephone(visit):
    page = visit(380)
    cards = page.locator(".cards").bounding_box()["y"]
    first = page.locator(".card").first.bounding_box()
    assert cards <= 2 * 800
    assert first["y"] + first["height"] <= 3.3 * 800  # its lines say where each figure stands
    before = page.evaluate(
        """() => { const range = document.createRange();
             range.setStart(document.querySelector('main'), 0);
             range.setEndBefore(document.querySelector('.cards'));
             return range.toString().split(/\\s+/).filter(Boolean).length; }"""
    )
    assert before <= 350
    shown = page.locator("#sec-answer").inner_text()
    assert "died" in shown and "Nobody should change a treatment" in shown


def test_each_card_has_a_small_picture_with_words_for_those_who_do_not_see_it(visit):
    page = visit(380)
    for card in page.locator(".card").all():
        strips = card.locator("svg.strip")
        assert strips.count() > 0
        assert all(len(strip.get_attribute("aria-label")) > 10 for strip in strips.all())
        assert all(strip.bounding_box()["width"] >= 80 for strip in strips.all())


@pytest.mark.parametrize("width", [380, 1280])
def test_a_study_is_left_out_by_keyboard_and_one_button_goes_back(visit, width):
    page = visit(width)
    box = page.locator(".choice").first
    told, button = box.get_by_role("status"), box.get_by_role("button")
    headline = told.inner_text()
    assert headline.startswith("The headline:") and button.is_disabled()
    assert not box.locator(".mine circle").is_visible()
    leave = box.get_by_label("Leave out")
    leave.focus()
    page.keyboard.press("ArrowDown")
    assert told.inner_text().startswith("Your choice, not the headline of this report (without ")
    assert told.inner_text().split("): ", 1)[1] == leave.evaluate(
        "list => list.selectedOptions[0].dataset.told"
    )
    assert box.locator(".mine circle").is_visible() and button.is_enabled()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    assert leave.input_value() == "" and "(without " not in told.inner_text()
    assert told.inner_text().startswith("Your choice, not the headline of this report (")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert told.inner_text() == headline and button.is_disabled()
    assert not box.locator(".mine circle").is_visible()
    assert page.evaluate("document.activeElement.className") == "leave"
    assert page.said == []


def test_every_headline_with_a_mean_can_be_tried_and_nothing_in_print(visit):
    page = visit(1280)
    boxes = page.locator(".choice")
    assert boxes.count() >= 4
    assert all(box.locator(".leave option").count() > 2 for box in boxes.all())
    page.emulate_media(media="print")
    assert not any(box.is_visible() for box in boxes.all())


CONTRAST = """() => {
  const channel = (v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = (c) => { const [r, g, b] = c.match(/[\\d.]+/g).map(Number).map(channel);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const page = light(getComputedStyle(document.body).backgroundColor);
  return Array.from(document.querySelectorAll('svg text')).map((text) => {
    const own = light(getComputedStyle(text).fill);
    const ratio = (Math.max(own, page) + 0.05) / (Math.min(own, page) + 0.05);
    return [text.textContent, text.closest('svg').dataset.name, ratio];
  }).filter(([text, , ratio]) => ratio < 4.5 && text.trim());
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_letters_of_figures_stand_out_from_the_page(visit, scheme):
    page = visit(1280, scheme)
    page.evaluate(
        """() => document.querySelectorAll('figure img').forEach((image, i) => {
             const text = decodeURIComponent(escape(atob(image.src.split(',')[1])));
             const drawn = new DOMParser().parseFromString(text, 'image/svg+xml').documentElement;
             drawn.dataset.name = image.alt;
             image.replaceWith(document.importNode(drawn, true));
           })"""
    )
    faint = page.evaluate(CONTRAST)
    on_marks = [found for found in faint if re.fullmatch(r"\d+", found[0])]  # on bars and bubbles
    assert [found for found in faint if found not in on_marks] == []


@pytest.mark.parametrize("width", WIDTHS)
def test_every_link_of_the_page_leads_to_something_that_can_be_seen(visit, width):
    page = visit(width)
    dead = page.evaluate(
        """() => Array.from(document.querySelectorAll('a[href^="#"]'))
             .map(link => link.hash.slice(1))
             .filter(name => name && !document.getElementById(name))"""
    )
    assert dead == []
    target = page.locator('main a[href^="#tbl-claims"]').first
    target.click()
    assert page.locator("#tbl-claims").is_visible()


def test_contents_are_folded_on_a_telephone_and_open_beside_the_text(visit):
    assert visit(380).evaluate("document.querySelector('nav details').open") is False
    assert visit(1280).evaluate("document.querySelector('nav details').open") is True


def test_without_scripts_the_page_is_complete(visit):
    with_scripts, without = visit(1280), visit(1280, java_script_enabled=False)
    for page in (with_scripts, without):
        assert page.locator("#tbl-studies tbody tr").count() > 50
    assert without.locator(".bar").count() == 0
    assert not without.locator(".choice").first.is_visible()
    assert without.locator("#fig-loo img").is_visible()


def test_the_page_turns_dark_with_the_system(visit):
    background = "getComputedStyle(document.body).backgroundColor"
    light, dark = visit(1280).evaluate(background), visit(1280, "dark").evaluate(background)
    assert light == "rgb(255, 255, 255)"
    assert dark == "rgb(20, 24, 27)"


def test_the_keyboard_reaches_the_answer_first(visit):
    page = visit(1280)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#main"
