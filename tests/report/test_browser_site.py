"""The site in a real browser: nothing in the console, every link opens, the table sorts by mouse and by keyboard."""

import contextlib
import json

import pytest
from lib.report.pages.chromium import BrowserError, find_chromium, open_page
from small_report import make_small_report, small_study

from lib.config import paths
from lib.report import pages

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="no Chromium on this machine")

COLUMN = "[...document.querySelectorAll('table.sortable tbody tr')].map((row) => row.cells[{}].textContent.trim())"
ACTIVE = "document.activeElement.textContent.trim()"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A finished report with written reports."""
    root = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSEWORK_REPORTS", str(root / "reports"))
        folder = make_small_report()
        (folder / "written.json").write_text(json.dumps({"experimentation": {"title": "Experiments"}}))
        (folder / "experimentation.html").write_text('<!DOCTYPE html><html lang="en"><title>Report</title>')
        pages.write_pages(small_study("demo", "smoke"))
        yield folder


@pytest.fixture(scope="module")
def browser():
    """One page for all tests."""
    with contextlib.ExitStack() as stack:
        try:
            page = stack.enter_context(open_page(width=1280, height=900))
        except BrowserError as error:
            pytest.skip(f"Chromium does not start here: {error}")
        yield page


@pytest.fixture
def page(browser, site):
    """The report's first page, at the size of a desk."""
    browser.resize(1280, 900)
    browser.open((site / "index.html").as_uri())
    browser.errors.clear()
    return browser


def test_every_link_opens_and_the_console_stays_empty(page, site):
    start = [(paths.reports() / "index.html").as_uri(), (site / "index.html").as_uri()]
    waiting, seen = list(start), set()
    while waiting:
        address = waiting.pop()
        if address in seen:
            continue
        seen.add(address)
        if address.endswith((".docx", ".pdf", ".ipynb", ".csv")):  # downloads in a browser
            continue
        page.open(address)
        if address.endswith(".html"):
            assert page.run("[...document.images].every((image) => image.loading === 'lazy' || image.naturalWidth > 0)")
            waiting += page.run("[...document.links].map((link) => link.href.split('#')[0])")
    assert page.errors == []
    assert len(seen) > 20 and all(address.startswith("file://") for address in seen)


def test_a_page_that_is_not_there_and_a_fault_in_a_script_are_seen(page, site):
    with pytest.raises(BrowserError, match="gone.html does not open: net::ERR_FILE_NOT_FOUND"):
        page.open((site / "gone.html").as_uri())
    fault = site.parent / "fault.html"
    fault.write_text(
        "<!DOCTYPE html><title>x</title><img src='none.png'><script>console.error('late'); nothing();</script>"
    )
    page.open(fault.as_uri())
    assert page.wait_for("true", "the page") and len(page.errors) == 3
    assert "late" in page.errors and any("nothing is not defined" in error for error in page.errors)
    with pytest.raises(BrowserError, match="ReferenceError: nowhere is not defined"):
        page.run("nowhere")


def test_a_click_sorts_by_numbers_and_back_with_gaps_last(page):
    head = "document.querySelectorAll('table.sortable th button')[{}]"
    assert page.run(COLUMN.format(0)) == ["baseline", "best", "softmax"]
    page.run(f"{head.format(3)}.scrollIntoView()")
    box = f"{head.format(3)}.getBoundingClientRect()"
    place = page.run(f"[{box}.x + 5, {box}.y + 5]")
    page.click(*place)
    assert page.run(COLUMN.format(3)) == ["1.50", "9.00", "10.25"]  # as words, 10.25 would come first
    assert page.run(f"{head.format(3)}.closest('th').ariaSort") == "ascending"
    page.click(*place)
    assert page.run(COLUMN.format(3)) == ["10.25", "9.00", "1.50"]
    for expected in (["50.0 %", "75.0 %", "–"], ["75.0 %", "50.0 %", "–"]):
        page.run(f"{head.format(2)}.click()")
        assert page.run(COLUMN.format(2)) == expected
    assert page.run("document.querySelectorAll('table.sortable th[aria-sort]').length") == 1


def test_the_keyboard_reaches_everything_and_sorts(page):
    page.press("Tab")
    assert page.run(ACTIVE) == "Skip to the text"
    assert page.run("document.activeElement.getBoundingClientRect().x >= 0")  # hidden until it is reached
    reached = []
    while len(reached) < 60 and "experiment" not in reached:
        page.press("Tab")
        reached.append(page.run(ACTIVE))
    assert {"← All reports", "Figures", "Experiments", "experiment"} <= set(reached)
    page.press("Tab")
    page.press("Tab")
    assert page.run(ACTIVE) == "val accuracy"
    page.press("Enter")
    page.press(" ")
    assert page.run(COLUMN.format(0)) == ["best", "baseline", "softmax"]
    assert page.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"


@pytest.mark.parametrize("width", [320, 390, 768])
def test_a_narrow_screen_needs_no_sideways_scrolling(page, width):
    page.resize(width, 800)
    assert page.run("document.documentElement.scrollWidth") <= width
    wide = page.run("document.querySelector('table.sortable').parentElement.scrollWidth")
    if wide > width:  # the table scrolls in its own frame, with its first column in place
        page.run("document.querySelector('table.sortable').parentElement.scrollLeft = 200")
        assert page.run("document.querySelector('.sortable tbody th').getBoundingClientRect().x") >= 0
    assert page.run("document.querySelector('.gallery img').getBoundingClientRect().width") <= width


def test_the_notice_of_no_browser(monkeypatch):
    monkeypatch.setenv("COURSEWORK_CHROMIUM", "none")
    assert find_chromium() is None
    with pytest.raises(BrowserError, match="no Chromium was found"), open_page(width=300, height=300):
        pass
    monkeypatch.setenv("COURSEWORK_CHROMIUM", "false")  # a program that ends at once
    with pytest.raises(BrowserError, match="false ended at once: 1"), open_page(width=300, height=300):
        pass
