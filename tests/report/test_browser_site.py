"""The site in a real browser: nothing in the console, every link opens, the table sorts by mouse and by keyboard."""

import contextlib
import json

import pandas as pd
import pytest
from matplotlib.figure import Figure
from nbformat.v4 import new_code_cell, new_output
from small_report import make_small_report, small_study
from tiny_notebooks import tiny_notebook, write

from lib.config import paths
from lib.report import notebooks, pages
from lib.report.pages.tensorboard import BrowserError, find_chromium, open_page
from lib.report.results import display, open_results
from lib.report.written import documents

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="no Chromium on this machine")

ACTIVE = "document.activeElement.textContent.trim()"


def column(page, number):
    """The texts of one column of the table of experiments."""
    return [
        text.strip() for text in page.locator(f"table.sortable tbody tr > :nth-child({number})").all_text_contents()
    ]


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
    """One page for all tests, which keeps what its console shows as an error."""
    with contextlib.ExitStack() as stack:
        try:
            page = stack.enter_context(open_page(width=1280, height=900))
        except BrowserError as error:
            pytest.skip(f"Chromium does not start here: {error}")
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(error.message))
        page.on("console", lambda message: page.errors.append(message.text) if message.type == "error" else None)
        yield page


@pytest.fixture
def page(browser, site):
    """The report's first page, at the size of a desk."""
    browser.set_viewport_size({"width": 1280, "height": 900})
    browser.goto((site / "index.html").as_uri())
    browser.errors.clear()
    return browser


def test_every_link_opens_and_the_console_stays_empty(page, site):
    waiting, seen = [(paths.reports() / "index.html").as_uri(), (site / "index.html").as_uri()], set()
    while waiting:
        address = waiting.pop()
        if address in seen:
            continue
        seen.add(address)
        if address.endswith((".docx", ".pdf", ".ipynb", ".csv")):  # downloads in a browser
            continue
        page.goto(address)
        if address.endswith(".html"):
            images = page.locator("img").evaluate_all("(all) => all.map((image) => image.loading + image.naturalWidth)")
            assert "auto0" not in images and "eager0" not in images
            waiting += page.locator("a").evaluate_all("(links) => links.map((link) => link.href.split('#')[0])")
    assert page.errors == []
    assert len(seen) > 20 and all(address.startswith("file://") for address in seen)


def test_a_fault_in_a_script_and_a_missing_image_are_seen(page, site):
    fault = site.parent / "fault.html"
    fault.write_text(
        "<!DOCTYPE html><title>x</title><img src='none.png'><script>console.error('late'); nothing();</script>"
    )
    page.goto(fault.as_uri())
    assert len(page.errors) == 3 and "late" in page.errors and "nothing is not defined" in page.errors


def test_a_click_sorts_by_numbers_and_back_with_gaps_last(page):
    heads = page.locator("table.sortable th")
    assert column(page, 1) == ["best", "baseline", "softmax"]  # best first, and said to be
    assert heads.nth(2).get_attribute("aria-sort") == "descending"
    heads.nth(3).locator("button").click()
    assert column(page, 4) == ["1.50", "9.00", "10.25"]  # as words, 10.25 would come first
    assert heads.nth(3).get_attribute("aria-sort") == "ascending"
    heads.nth(3).locator("button").click()
    assert column(page, 4) == ["10.25", "9.00", "1.50"]
    for expected in (["50.0 %", "75.0 %", "–"], ["75.0 %", "50.0 %", "–"]):
        heads.nth(2).locator("button").click()
        assert column(page, 3) == expected
    assert page.locator("table.sortable th[aria-sort]").count() == 1


def test_axe_finds_nothing_on_any_page(browser, site, monkeypatch):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    shown = []
    monkeypatch.setattr(display, "publish", lambda text, html="", markdown="": shown.append(html))
    results = open_results("demo", notebook="02_experiments", profile="smoke")
    results.save_table("wide", pd.DataFrame({f"column {n}": ["a long word " * 3] for n in range(12)}), caption="W `x`.")
    results.save_figure("curve", Figure(figsize=(3, 2)), caption="It `rises`.", alt="A line")
    shown.append(
        f'<pre style="white-space:pre;overflow-x:auto"><span style="color: #0087ff">{"layer " * 30}</span></pre>'
    )
    outputs = [new_output("display_data", data={"text/html": html}) for html in shown]
    outputs.append(new_output("stream", name="stdout", text="a line of text\n" * 50))
    write(tiny_notebook(new_code_cell(f"x = '{'long ' * 60}'", outputs=outputs)), site, "page")
    notebooks.export_page(site / "page.ipynb", site / "page.html", subtitle="demo, profile smoke")
    text = "## One\n\n[93 %]{.value title=x} of [a](https://a.example), `code` and $x^2$\n\n"
    text += "".join(f"| {'n | ' * 9}\n|{' :-- |' * 9}\n| {'long_words | ' * 9}\n\n: T{n}. {{#t{n}}}\n\n" for n in "ab")
    about = dict.fromkeys(("title", "brief", "question", "student", "made", "note"), "Words") | {"timestamp": "0"}
    documents.export(documents.parse(text), site / "report", about=about)
    pages_to_read = [paths.reports() / "index.html", *(site / f"{name}.html" for name in ("index", "page", "report"))]
    found = []
    for scheme, width in (("light", 1280), ("dark", 390)):
        browser.emulate_media(color_scheme=scheme)
        browser.set_viewport_size({"width": width, "height": 900})
        for file in pages_to_read:
            browser.goto(file.as_uri())
            browser.evaluate("document.querySelectorAll('details').forEach((one) => one.open = true)")
            for rule in axe.run(browser).response["violations"]:
                found.append((file.name, scheme, rule["id"], rule["nodes"][0]["html"][:80]))
    browser.emulate_media(color_scheme="light")
    assert found == []


def test_the_keyboard_reaches_everything_and_sorts(page):
    page.keyboard.press("Tab")
    assert page.evaluate(ACTIVE) == "Skip to the text"
    assert page.evaluate("document.activeElement.getBoundingClientRect().x") >= 0  # hidden until it is reached
    reached = []
    while len(reached) < 60 and "experiment" not in reached:
        page.keyboard.press("Tab")
        reached.append(page.evaluate(ACTIVE))
    assert {"← All reports", "Figures", "Experiments", "experiment"} <= set(reached)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate(ACTIVE) == "val accuracy"
    page.keyboard.press("Enter")
    page.keyboard.press(" ")
    assert column(page, 1) == ["best", "baseline", "softmax"]
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_a_narrow_screen_needs_no_sideways_scrolling(page):
    for width in (320, 390, 768):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        frame = page.locator("div:has(> table.sortable)")
        if frame.evaluate("(frame) => frame.scrollWidth") > width:  # it scrolls, with its first column in place
            frame.evaluate("(frame) => frame.scrollLeft = 200")
            assert page.locator(".sortable tbody th").first.bounding_box()["x"] >= 0
        assert page.locator(".gallery img").first.bounding_box()["width"] <= width
