"""TensorBoard's own pages as figures of a report: Scalars, HParams, and Graphs with one block opened.

Playwright drives an installed Chromium or Chrome without a window. Where one of them is missing, nothing fails: the
report then shows the graph that notebook 3 draws from the same model, and says so.
"""

import contextlib
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from lib.config import paths
from lib.report.notebooks import freshness
from lib.report.results import DPI, Results, open_results
from lib.training import event_files
from lib.training.network import network_job
from lib.training.open_brief import OpenBrief
from lib.training.runs import Run

PROGRAMS = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge", "msedge"),
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)
SECONDS = 30  # longest wait for any one answer

OWNER = "90_tensorboard"  # stands where the name of the notebook stands for other figures
SCALE = 2.0  # device pixels per CSS pixel: readable in print
COLUMNS = 4  # settings that fit beside the metrics of the HParams table
LONGEST = 10  # characters of a setting that fit into a column
STATES = ("Unknown", "Success", "Failure", "Running")  # of a run, as HParams ticks them

# TensorBoard as a program, with its own small reader in TensorFlow's place: it then starts in two seconds. It ends when
# its input does, and so with the process that started it.
SERVE = (
    "import os, sys, threading, types; sys.modules['tensorboard.compat.notf'] = types.ModuleType('notf'); "
    "threading.Thread(target=lambda: sys.stdin.read() or os._exit(1), daemon=True).start(); "
    "from tensorboard.main import run_main; run_main()"
)
# Ticks what shall be a column of the HParams table, and nothing else.
CHOOSE = """(boxes, wanted) => boxes.forEach((box) => {
  const name = box.textContent.trim();
  if (name && box.checked !== wanted.includes(name)) box.click();
})"""
# Makes the columns narrow enough for all to be seen.
NARROW = """(columns) => columns.forEach((column, number) => {
  column.width = ["190px", "85px"][number] || "113px";
})"""


class BrowserError(RuntimeError):
    """The browser did not start, did not answer in time, or could not do what was asked."""


def find_chromium() -> str | None:
    """The Chromium or Chrome of this machine: `$COURSEWORK_CHROMIUM` (`none` for none), else the first that exists."""
    chosen = os.environ.get("COURSEWORK_CHROMIUM", "")
    if chosen == "none":
        return None
    return next(filter(None, map(shutil.which, [chosen] if chosen else PROGRAMS)), None)


def announce() -> None:
    """Say before the work starts that a report will be without TensorBoard's pages, where that is so, and the cure."""
    if not find_chromium() or importlib.util.find_spec("playwright") is None:
        missing = "The package playwright" if find_chromium() else "Chromium or Chrome"
        print(f"{missing} was not found: the report will show a drawn graph in place of pictures of TensorBoard.")
        print("Install it, or name another browser with COURSEWORK_CHROMIUM, to have them.", flush=True)


@contextlib.contextmanager
def open_page(*, width: int, height: int, scale: float = 1.0) -> Iterator:
    """A Playwright page in a browser of its own, with a new empty profile; both are gone afterwards.

    Width and height are CSS pixels; scale is device pixels per CSS pixel. Whatever fails is a BrowserError.
    """
    program = find_chromium()
    if program is None:
        raise BrowserError("no Chromium was found")
    try:
        from playwright import sync_api  # only where there is something to drive
    except ImportError:  # it is optional with VENV=none
        raise BrowserError("the package playwright is not installed") from None
    try:
        with sync_api.sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=program, args=["--disable-gpu"])
            page = browser.new_page(viewport={"width": width, "height": height}, device_scale_factor=scale)
            page.set_default_timeout(1000 * SECONDS)
            yield page
            browser.close()
    except sync_api.Error as error:
        first, *log = error.message.splitlines()
        said = [line.split("[err]")[1].strip() for line in log if "[err]" in line]  # by a browser that does not start
        raise BrowserError(" ".join([first, *said[-1:]])) from error


class Screenshot(Figure):
    """A picture that is a PNG file already, for `Results.save_figure`."""

    def __init__(self, image: bytes):
        with Image.open(io.BytesIO(image)) as picture:
            size = picture.width / SCALE / 100, picture.height / SCALE / 100
        super().__init__(figsize=size, dpi=DPI)
        self.image = image

    def savefig(self, target, **_) -> None:
        target.write(self.image)


@dataclass(frozen=True)
class Pages:
    """TensorBoard's pages as pictures, or why there are none."""

    runs: dict[str, Run]  # by experiment
    best: str  # the experiment whose graph is shown
    block: str  # of it, opened
    pictures: dict[str, bytes]  # PNG, by page
    reason: str = ""


def take_pages(opened: OpenBrief) -> Pages:
    """TensorBoard's pages of the first seed of each experiment of the ladder; needs the runs and nothing else."""
    runs = {name: network_job(opened, name).run for name in opened.brief.experiments}
    runs = {name: run for name, run in runs.items() if run.finished and (run.folder / "graph").is_dir()}
    best = opened.brief.best if opened.brief.best in runs else next(iter(runs), "")
    try:
        if not runs:
            raise BrowserError("no run has left files for TensorBoard")
        block = next((name for name in event_files.read_graph(runs[best]) if name.startswith("Block")), "")
        return Pages(runs, best, block, take_pictures(runs, best=best, block=block))
    except (BrowserError, OSError) as error:
        return Pages(runs, best, "", {}, reason=str(error))


def save_screenshots(opened: OpenBrief, *, made_from: dict[str, str], taken: Callable[[], Pages] | None = None) -> None:
    """Save the figures tensorboard_scalars, tensorboard_hparams and tensorboard_graph of a report, where possible.

    Nothing is done where they stand already. The values `tensorboard.shown` (screenshots or drawn), `.reason` and
    `.opened` tell the written reports which graph there is.

    Args:
        opened: the brief of the report.
        made_from: as for `freshness.reason_to_run`: where a fact of it has changed, the figures are made anew.
        taken: gives pages that were taken beside other work; None takes them now.
    """
    folder = paths.report(opened.brief.name)
    made_from = made_from | {"the browser": str(find_chromium())}
    if not freshness.reason_to_run(OWNER, folder, made_from=made_from, waiting=[]):
        return
    with freshness.recording(OWNER, folder, made_from=made_from):
        results = open_results(opened.brief.name, notebook=OWNER, profile=opened.profile_name)
        pages = taken() if taken else take_pages(opened)
        if pages.reason:
            print(f"TensorBoard's pages are not in the report: {pages.reason}", flush=True)
        else:
            _save_figures(pages, results)
        facts = {"shown": "drawn" if pages.reason else "screenshots", "reason": pages.reason, "opened": pages.block}
        for name, value in facts.items():
            results.save_value(f"tensorboard.{name}", value, runs=[run.id for run in pages.runs.values()])


def _save_figures(pages: Pages, results: Results) -> None:
    texts = {
        "scalars": (
            "TensorBoard, Scalars: accuracy and loss on val by epoch, the first seed of each experiment.",
            "Screenshot of TensorBoard's Scalars page: two charts with a curve for each experiment.",
        ),
        "hparams": (
            "TensorBoard, HParams: settings and val results, the first seed of each experiment.",
            "Screenshot of TensorBoard's HParams page: a table with one row per run.",
        ),
        "graph": (
            f"TensorBoard, Graphs: {pages.best}, one box per block, with {pages.block or 'none'} opened.",
            f"Screenshot of TensorBoard's Graphs page: boxes from image to logits, {pages.block or 'none'} opened.",
        ),
    }
    for name, (caption, alt) in texts.items():
        ids = [run.id for run in ([pages.runs[pages.best]] if name == "graph" else pages.runs.values())]
        picture = Screenshot(pages.pictures[name])
        results.save_figure(f"tensorboard_{name}", picture, caption=caption, alt=alt, runs=ids)


def take_pictures(runs: dict[str, Run], *, best: str, block: str) -> dict[str, bytes]:
    """TensorBoard's three pages as PNG: runs by experiment, and the graph of the best one with one block opened."""
    with open_page(width=1000, height=1150, scale=SCALE) as page, tempfile.TemporaryDirectory() as folder:
        copy_event_files(runs, Path(folder) / "runs", best=best)
        with serve(Path(folder) / "runs") as address:
            return {
                "scalars": photograph_scalars(page, address),
                "hparams": photograph_hparams(page, address, settings_to_show(runs, best), rows=len(runs)),
                "graph": photograph_graph(page, address, block),
            }


def copy_event_files(runs: dict[str, Run], folder: Path, *, best: str) -> None:
    """Copy the event files under short names, with one graph: what is not quoted shall not be in the picture.

    TensorBoard gives its seven colours to folders in turn: with one for each experiment, up to seven curves differ.
    """
    copies = {run.folder / part: folder / name for name, run in runs.items() for part in ("", "validation")}
    copies[runs[best].folder / "graph"] = folder / best
    copies[runs[best].folder.parent] = folder  # the settings of all are declared there
    for source, target in copies.items():
        target.mkdir(parents=True, exist_ok=True)
        for file in source.glob("events.out.tfevents.*"):
            shutil.copy(file, target / f"{file.name}.{source.name}")  # files of two folders may have one name


def settings_to_show(runs: dict[str, Run], best: str) -> list[str]:
    """Names of the few settings to show of many, e.g. `model.name`: short ones, one from each part in turn.

    Of settings that change together, as those of augmentation do, one stands for all. The experiment that is best does
    not count, as it changes everything at once.
    """
    settings = [run.config()["settings"] for name, run in runs.items() if name != best]
    parts: dict[str, list[str]] = {}
    seen = set()
    for name in sorted(settings[0] if settings else [], key=lambda name: not name.endswith(".name")):
        texts = [str(flat.get(name)) for flat in settings]
        pattern = tuple(texts.index(text) for text in texts)  # equal where the same runs differ
        if name != "why" and len(set(texts)) > 1 and max(map(len, texts)) <= LONGEST and pattern not in seen:
            seen.add(pattern)
            parts.setdefault(name.rpartition(".")[0], []).append(name)
    turns = range(max(map(len, parts.values()), default=0))
    return [names[turn] for turn in turns for names in parts.values() if turn < len(names)][:COLUMNS]


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[str]:
    """The address of a TensorBoard that shows a folder to this machine alone, for as long as it is needed."""
    # The page shows the folder's name as it is given here: without where it lies, every picture has the same.
    # All files are read before it starts: a page opened too early would lack curves.
    options = ["--logdir", folder.name, "--host", "127.0.0.1", "--port", "0", "--load_fast=false"]
    options += ["--reload_task=blocking", "--reload_interval=0"]
    log = folder.with_suffix(".log")
    with log.open("wb") as output:
        command = [sys.executable, "-c", SERVE, *options]
        process = subprocess.Popen(command, cwd=folder.parent, stdin=subprocess.PIPE, stdout=output, stderr=output)
    try:
        end = time.monotonic() + 2 * SECONDS
        while "(Press" not in (printed := log.read_text(errors="replace")):
            if process.poll() is not None or time.monotonic() > end:
                raise BrowserError(f"TensorBoard did not start: {' '.join(printed.split()[-20:])}")
            time.sleep(0.1)
        yield printed[printed.index("http://") :].split()[0]
    finally:
        process.terminate()
        process.stdin.close()
        process.wait()


def photograph_scalars(page, address: str) -> bytes:
    """Two charts below each other: accuracy and loss on val."""
    query = "#scalars&_smoothingWeight=0&tagFilter=epoch_(accuracy%7Closs)&regexInput=%5Cw"
    _open(page, address, query, height=1150)
    charts = page.locator("tf-scalar-card")
    _wait_for(charts.nth(1), "TensorBoard's curves")
    for number in range(2):
        charts.nth(number).locator("[icon=fullscreen]").dispatch_event("click")
    return _settled(page)


def photograph_hparams(page, address: str, settings: list[str], *, rows: int) -> bytes:
    """The table of runs, with some settings as columns beside accuracy and loss on val."""
    _open(page, address, "#hparams", width=1200, height=max(640, 210 + 37 * rows))
    cells = page.locator("vaadin-grid-cell-content")
    _wait_for(cells.nth(8), "TensorBoard's table of settings")
    page.locator("paper-checkbox").evaluate_all(CHOOSE, [*settings, *STATES, "val_accuracy", "val_loss"])
    for name in settings:
        _wait_for(cells.filter(has_text=re.compile(rf"^\s*{re.escape(name)}\s*$")), f"{name} in TensorBoard's table")
    page.locator("vaadin-grid-column").evaluate_all(NARROW)
    return _settled(page)


def photograph_graph(page, address: str, block: str) -> bytes:
    """The graph, with one block opened and, where it has blocks inside, the first of them too."""
    _open(page, address, "#graphs", height=1200)
    _wait_for(page.locator("g.node").nth(2), "TensorBoard's graph")
    for name in filter(None, (block, f"{block}/block_1")):
        _settled(page)
        box = page.locator(f'g.node[data-name="{name}"] > .nodeshape')
        if box.count():
            box.dispatch_event("dblclick")  # a mouse above the box would mark it
            _wait_for(page.locator(f'g.node[data-name^="{name}/"]'), f"what is inside {name}")
    _settled(page)
    page.mouse.click(990, 1190)  # beside the graph: what was opened is no longer marked
    page.locator('paper-button[alt="Fit to screen"]').first.dispatch_event("click")
    return _settled(page)


def _open(page, address: str, query: str, *, width: int = 1000, height: int) -> None:
    page.set_viewport_size({"width": width, "height": height})
    page.goto("about:blank")  # TensorBoard does not notice that only what follows # has changed
    page.goto(f"{address}?darkMode=false{query}")


def _wait_for(locator, what: str) -> None:
    from playwright.sync_api import TimeoutError as NotInTime

    try:
        locator.first.wait_for(state="attached")
    except NotInTime:
        raise BrowserError(f"{what} did not appear within {SECONDS} s") from None


def _settled(page) -> bytes:
    """A picture of the page once it has stopped moving."""
    end, last, picture = time.monotonic() + 10, None, b""
    while picture != last and time.monotonic() < end:
        time.sleep(0.2)
        last, picture = picture, page.screenshot()
    return picture
