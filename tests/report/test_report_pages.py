"""The site: every link leads somewhere, everything has a name, and its colours can be read."""

import json
import re
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest
from page_reader import Tags, fetched
from small_report import BEST, make_small_report, small_study

from lib.config import paths
from lib.report import pages
from lib.report.results import open_results


@pytest.fixture
def site(own_folders):
    """The folder of a finished report."""
    return make_small_report()


def dead_links(page):
    """Links of a page, with their anchors, that lead nowhere."""
    dead = []
    for tag in Tags(page.read_text(encoding="utf-8")).all("a"):
        link = urlsplit(tag["href"])
        target = (page.parent / unquote(link.path)).resolve() if link.path else page
        if not link.scheme and not target.exists():
            dead.append(tag["href"])
        elif link.fragment and f'id="{link.fragment}"' not in target.read_text(encoding="utf-8"):
            dead.append(tag["href"])
    return dead


class Names(HTMLParser):
    """The text that a screen reader says for each link, button and table region of a page."""

    def __init__(self, html):
        super().__init__()
        self.open, self.said = [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag in ("a", "button"):
            self.open.append([tag, attributes.get("aria-label", ""), ""])
        elif tag == "img" and self.open:
            self.open[-1][2] += attributes["alt"]
        elif attributes.get("role") == "region":
            self.said.append(("region", attributes["aria-label"] if attributes.get("tabindex") == "0" else ""))

    def handle_data(self, text):
        if self.open:
            self.open[-1][2] += text

    def handle_endtag(self, tag):
        if tag in ("a", "button"):
            name, label, text = self.open.pop()
            self.said.append((name, label or text.strip()))


def test_every_link_of_the_site_leads_somewhere(site):
    for page in (site / "index.html", paths.reports() / "index.html"):
        assert dead_links(page) == []
    (site / f"runs/{BEST}/history.csv").unlink()
    assert dead_links(site / "index.html") == [f"runs/{BEST}/history.csv"]
    assert fetched((site / "index.html").read_text()) == ["figures/curves.png"]


def test_everything_has_a_name_and_headings_go_down_in_steps(site):
    html = (site / "index.html").read_text(encoding="utf-8")
    said = Names(html).said
    assert {kind for kind, _ in said} == {"a", "button", "region"} and all(text for _, text in said)
    links = [text for kind, text in said if kind == "a"]
    assert f"Folder of run {BEST}" in links and "A rising line" in links
    levels = [int(level) for level in re.findall(r"<h([1-6])", html)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:], strict=False))
    assert all(tag.get("scope") in ("col", "row") for tag in Tags(html).all("th"))
    assert all(tag["alt"] for tag in Tags(html).all("img"))


def test_written_reports_are_offered_in_every_format_there_is(site):
    assert pages.written_reports(site) == [] and 'href="#reports"' not in (site / "index.html").read_text()
    titles = {"experimentation": {"title": "Experiments & results"}, "gone": {"title": "Gone"}}
    (site / "written.json").write_text(json.dumps(titles))
    for name in ("experimentation.html", "experimentation.docx"):
        (site / name).write_text("a report")
    files = [{"name": f"experimentation.{suffix}", "format": suffix.upper()} for suffix in ("html", "docx")]
    assert pages.written_reports(site) == [{"title": "Experiments & results", "files": files}]
    html = pages.write_pages(small_study("demo", "smoke")).read_text(encoding="utf-8")
    assert "Experiments &amp; results" in html and 'href="#reports"' in html
    assert dead_links(site / "index.html") == []
    overview = (paths.reports() / "index.html").read_text(encoding="utf-8")
    assert 'href="demo/experimentation.html"' in overview and "test accuracy 66.7 %" in overview


def test_a_stand_in_is_said_and_captions_show_code(site):
    html = pages.write_pages(small_study("demo", "smoke", notice="Drawn letters <here>.")).read_text(encoding="utf-8")
    assert "Drawn letters &lt;here&gt;." in html and "It &lt;rises&gt; on <code>val</code>." in html
    assert "Drawn letters" not in pages.write_pages(small_study("demo", "smoke")).read_text(encoding="utf-8")


def test_a_backbone_that_stands_in_is_said_too(site):
    said = "lite0 in place of vgg19: it cannot be had. No number here is one of vgg19 as it was published."
    results = open_results("demo", notebook="05_transfer_learning", profile="smoke")
    for notice, count in (("", 0), (said, 1)):
        results.save_value("transfer.notice", notice)
        results = open_results("demo", notebook="05_transfer_learning", profile="smoke") if not notice else results
        html = pages.write_pages(small_study("demo", "smoke")).read_text(encoding="utf-8")
        assert html.count(f'<p class="notice">{said}</p>') == count and '<p class="notice"></p>' not in html


def test_every_data_set_of_a_brief_is_told_of(site):
    further = small_study("demo", "smoke", notice="Drawn letters in place of others.")
    further.dataset.title, further.dataset.source = "Other photos", "unverified copy"
    html = pages.write_pages(small_study("demo", "smoke"), further).read_text(encoding="utf-8")
    for expected in ("Small photos", "Other photos", "drawn by this project", "unverified copy: its checksum"):
        assert f"<dd>{expected}" in html
    assert "Drawn letters in place of others." in html and html.count("Left out: 1") == 2


def test_figures_that_no_notebook_made_stand_under_their_own_heading(site):
    from matplotlib.figure import Figure

    results = open_results("demo", notebook="90_tensorboard", profile="smoke")
    results.save_figure("tensorboard_graph", Figure(), caption="Its graph.", alt="Boxes")
    html = pages.write_pages(small_study("demo", "smoke")).read_text(encoding="utf-8")
    assert "<h3>TensorBoard</h3>" in html and dead_links(site / "index.html") == []


def test_what_a_phone_shows_first_are_names_and_accuracies(site):
    table = pages.experiments_table(site / "tables" / "experiments.csv")
    assert [column["name"] for column in table["columns"]] == ["experiment", "seed", "val_accuracy", "minutes", "run"]
    assert [row[2]["key"] for row in table["rows"]] == ["0.75", "0.5", ""]  # best first, what failed last
    assert table["rows"][2][2]["text"] == "–"


def luminance(colour):
    """Relative luminance, https://www.w3.org/TR/WCAG22/#dfn-relative-luminance"""
    shares = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return sum(weight * share for weight, share in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    """Contrast ratio of two colours, 1 to 21."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_every_text_can_be_read_on_every_ground():
    style = (paths.LIB / "report" / "pages" / "style.css").read_text(encoding="utf-8")
    texts = ("text", "quiet", "accent", "good", "keyword", "string", "number", "comment")
    pairs = [(text, ground) for text in texts for ground in ("page", "panel")] + [("warn-text", "warn")]
    for scheme in re.findall(r":root \{(.*?)\}", style, re.DOTALL):  # light, dark
        colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", scheme))
        low = {pair: contrast(colours[pair[0]], colours[pair[1]]) for pair in pairs}
        assert {pair: round(ratio, 2) for pair, ratio in low.items() if ratio < 4.5} == {}  # WCAG 2.2, level AA
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
