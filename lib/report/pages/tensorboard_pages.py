"""TensorBoard started for a moment, and its pages photographed: Scalars, HParams, and Graphs with one block opened."""

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from lib.report.pages.chromium import BrowserError, Page, find_chromium, open_page
from lib.training import event_files
from lib.training.runs import Run

SECONDS = 60  # longest wait for TensorBoard to start, and to read the event files
SCALE = 2.0  # device pixels per CSS pixel: readable in print
COLUMNS = 4  # settings that fit beside the metrics of the HParams table
LONGEST = 10  # characters of a setting that fit into a column

# TensorBoard as a program, with its own small reader in TensorFlow's place: it then starts in two seconds.
SERVE = (
    "import sys, types; sys.modules['tensorboard.compat.notf'] = types.ModuleType('notf'); "
    "from tensorboard.main import run_main; run_main()"
)
# Finds elements inside web components too, which document.querySelectorAll does not enter.
DEEP = """const deep = (selector) => {
  const found = [], walk = (root) => {
    found.push(...root.querySelectorAll(selector));
    root.querySelectorAll("*").forEach((element) => element.shadowRoot && walk(element.shadowRoot));
  };
  walk(document);
  return found;
};"""
# The middle of a node of the graph on the screen, or null.
MIDDLE = """const node = deep("g.node").find((node) => node.__data__ && node.__data__.node.name === %s);
if (!node) return null;
const box = node.getBoundingClientRect();
return [box.x + box.width / 2, box.y + box.height / 2];"""
INSIDE = "return deep('g.node').some((node) => node.__data__ && node.__data__.node.name.startsWith(%s));"
CELLS = 'deep("vaadin-grid-cell-content").map((cell) => cell.textContent.trim())'
# Ticks what shall be a column of the HParams table and nothing else, and makes the columns narrow enough for all.
CHOOSE = """const wanted = %s;
deep("paper-checkbox").forEach((box) => {
  const name = box.textContent.trim();
  if (name && box.checked !== wanted.includes(name)) box.click();
});"""
NARROW = """deep("vaadin-grid-column").forEach((column, number) => {
  column.width = ["190px", "85px"][number] || "113px";
});"""
STATES = ["Unknown", "Success", "Failure", "Running"]


def take_pictures(runs: dict[str, Run], *, best: str, opened: str) -> dict[str, bytes]:
    """Photograph TensorBoard's three pages.

    Args:
        runs: the runs to show, by experiment.
        best: experiment whose graph is shown.
        opened: name of the block to open in the graph; "" opens none.

    Returns:
        PNG of scalars, hparams and graph.

    Raises:
        BrowserError: if there is no Chromium, or something does not appear in time.
    """
    if find_chromium() is None:
        raise BrowserError("no Chromium was found")
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        gather(runs, Path(folder) / "runs", best=best)
        address = stack.enter_context(serve(Path(folder) / "runs"))
        _wait_until_read(address, runs)
        page = stack.enter_context(open_page(width=1000, height=1150, scale=SCALE))
        return {
            "scalars": _photograph_scalars(page, address),
            "hparams": _photograph_hparams(page, address, telling_settings(runs, best), rows=len(runs)),
            "graph": _photograph_graph(page, address, opened),
        }


def gather(runs: dict[str, Run], folder: Path, *, best: str) -> None:
    """Copy the event files under short names, with one graph: what is not quoted shall not be in the picture."""
    folder.mkdir(parents=True)
    for file in next(iter(runs.values())).folder.parent.glob("events.out.tfevents.*"):
        shutil.copy(file, folder)
    for name, run in runs.items():
        for part in ("", "train", "validation", *(["graph"] if name == best else [])):
            (folder / name / part).mkdir(parents=True, exist_ok=True)
            for file in (run.folder / part).glob("events.out.tfevents.*"):
                shutil.copy(file, folder / name / part)


def telling_settings(runs: dict[str, Run], best: str) -> list[str]:
    """The few settings to show of many: short ones, one from each part of the settings in turn.

    Of settings that change together, as those of augmentation do, one stands for all.

    Args:
        runs: by experiment.
        best: experiment that does not count, as it changes everything at once.

    Returns:
        At most `COLUMNS` names, e.g. `model.name`.
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
    """The address of a TensorBoard that shows a folder to this machine alone, for as long as it is needed.

    Raises:
        BrowserError: if it does not start; the message ends with its last words.
    """
    # The page shows the folder's name as it is given here: without where it lies, every picture has the same.
    options = ["--logdir", folder.name, "--host", "127.0.0.1", "--port", "0", "--load_fast=false"]
    log = folder.with_suffix(".log")
    with log.open("wb") as output:
        command = [sys.executable, "-c", SERVE, *options]
        process = subprocess.Popen(command, cwd=folder.parent, stdout=output, stderr=output)
    try:
        end = time.monotonic() + SECONDS
        while "(Press" not in (said := log.read_text(errors="replace")):
            if process.poll() is not None or time.monotonic() > end:
                raise BrowserError(f"TensorBoard did not start: {' '.join(said.split()[-20:])}")
            time.sleep(0.1)
        yield said[said.index("http://") :].split()[0]
    finally:
        process.terminate()
        process.wait()


def _wait_until_read(address: str, runs: dict[str, Run]) -> None:
    """TensorBoard reads the files in the background; a page opened too early would lack curves."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = time.monotonic() + SECONDS
    for name, run in runs.items():
        points, found = len(event_files.read_history(run)), -1
        while found < points:
            query = f"data/plugin/scalars/scalars?tag=epoch_loss&run={name}%2Fvalidation"
            with contextlib.suppress(urllib.error.HTTPError):  # not found, as long as it is not read
                with opener.open(address + query, timeout=SECONDS) as answer:
                    found = len(json.load(answer))
            if time.monotonic() > end:
                raise BrowserError(f"TensorBoard did not read the run {run.id} within {SECONDS} s")
            time.sleep(0.05)


def _photograph_scalars(page: Page, address: str) -> bytes:
    query = "?darkMode=false#scalars&_smoothingWeight=0&tagFilter=epoch_(accuracy%7Closs)&regexInput=validation"
    page.resize(1000, 1150, SCALE)
    page.open(address + query)
    cards = 'deep("tf-scalar-card")'
    page.wait_for(_script(f"return {cards}.length > 1"), "TensorBoard's curves")
    widen = ".slice(0, 2).forEach((card) => card.shadowRoot.querySelector('[icon=fullscreen]').click())"
    page.run(_script(cards + widen))
    return _settled(page)


def _photograph_hparams(page: Page, address: str, settings: list[str], *, rows: int) -> bytes:
    page.resize(1200, max(640, 210 + 37 * rows), SCALE)
    page.open("about:blank")
    page.open(address + "?darkMode=false#hparams")
    page.wait_for(_script(f"return {CELLS}.length > 8"), "TensorBoard's table of settings")
    page.run(_script(CHOOSE % json.dumps([*settings, *STATES, "val_accuracy", "val_loss"])))
    shown = f"return {json.dumps(settings)}.every((name) => {CELLS}.includes(name))"
    page.wait_for(_script(shown), "a column of TensorBoard's table of settings")
    page.run(_script(NARROW))
    return _settled(page)


def _photograph_graph(page: Page, address: str, opened: str) -> bytes:
    page.resize(1000, 1200, SCALE)
    page.open("about:blank")
    page.open(address + "?darkMode=false#graphs")
    page.wait_for(_script('return deep("g.node").length > 2'), "TensorBoard's graph")
    for name in filter(None, (opened, f"{opened}/block_1")):  # a stage's first block, where it has blocks
        _settled(page)
        if place := page.run(_script(MIDDLE % json.dumps(name))):
            page.click(*place, times=2)
            page.wait_for(_script(INSIDE % json.dumps(f"{name}/")), f"what is inside {name}")
    _settled(page)
    page.click(990, 1190)  # beside the graph: what was clicked is no longer marked
    page.run(_script("deep('paper-button[alt=\"Fit to screen\"]')[0].click()"))
    return _settled(page)


def _script(body: str) -> str:
    return f"(() => {{ {DEEP} {body} }})()"


def _settled(page: Page) -> bytes:
    """A picture of the page once it has stopped moving."""
    end, last = time.monotonic() + 10, b""
    while True:
        time.sleep(0.2)
        picture = page.picture()
        if picture == last or time.monotonic() > end:
            return picture
        last = picture
