"""TensorBoard's own pages as figures of a report.

They need a Chromium. Where there is none, nothing fails: the report then shows the graph that notebook 3 draws from the
same model, and says so.
"""

import io
import subprocess
import time

from matplotlib.figure import Figure
from PIL import Image

from lib.config import paths
from lib.report.notebooks import freshness
from lib.report.pages.chromium import BrowserError, find_chromium
from lib.report.pages.tensorboard_pages import SCALE, take_pictures
from lib.report.results import DPI, Results, open_results
from lib.training import event_files
from lib.training.network import network_job
from lib.training.open_brief import OpenBrief
from lib.training.runs import Run

OWNER = "90_tensorboard"  # stands where the name of the notebook stands for other figures


class Screenshot(Figure):
    """A picture that is a PNG file already, for `Results.save_figure`."""

    def __init__(self, image: bytes):
        with Image.open(io.BytesIO(image)) as opened:
            size = opened.width / SCALE / 100, opened.height / SCALE / 100
        super().__init__(figsize=size, dpi=DPI)
        self.image = image

    def savefig(self, target, **_) -> None:
        """Write the picture as it is."""
        target.write(self.image)


def save_screenshots(opened: OpenBrief, *, made_from: dict[str, str]) -> None:
    """Save the figures tensorboard_scalars, tensorboard_hparams and tensorboard_graph of a report, where possible.

    Nothing is done where they stand already. The values `tensorboard.shown` (screenshots or drawn), `.reason` and
    `.opened` tell the written reports which graph there is.

    Args:
        opened: the brief; the first seed of each experiment is shown.
        made_from: facts by name, as for `reuse.reason_to_run`: where one has changed, the figures are made anew.
    """
    folder = paths.report(opened.brief.name)
    made_from = made_from | {"the browser": str(find_chromium())}
    if not freshness.reason_to_run(OWNER, folder, made_from=made_from, waiting=[]):
        return
    freshness.forget(OWNER, folder)
    before, started = freshness.loose_files(folder), time.perf_counter()
    results = open_results(opened.brief.name, notebook=OWNER, profile=opened.profile_name)
    runs = {name: network_job(opened, name).run for name in opened.experiments}
    runs = {name: run for name, run in runs.items() if run.finished and (run.folder / "graph").is_dir()}
    try:
        opened, reason = _photograph(runs, opened.brief.best, results), ""
    except (BrowserError, OSError, subprocess.SubprocessError) as error:
        opened, reason = "", str(error)
        print(f"TensorBoard's pages are not in the report: {reason}", flush=True)
    ids = [run.id for run in runs.values()]
    results.save_value("tensorboard.shown", "drawn" if reason else "screenshots", runs=ids)
    results.save_value("tensorboard.reason", reason, runs=ids)
    results.save_value("tensorboard.opened", opened, runs=ids)
    freshness.record(OWNER, folder, made_from=made_from, before=before, seconds=time.perf_counter() - started)


def _photograph(runs: dict[str, Run], best: str, results: Results) -> str:
    """Take and save the pictures; returns the name of the block that is opened in the graph."""
    if not runs:
        raise BrowserError("no run has left files for TensorBoard")
    best = best if best in runs else next(iter(runs))
    opened = next((name for name in event_files.read_graph(runs[best]) if name.startswith("Block")), "")
    pictures = take_pictures(runs, best=best, opened=opened)
    ids = [run.id for run in runs.values()]
    results.save_figure(
        "tensorboard_scalars",
        Screenshot(pictures["scalars"]),
        caption="TensorBoard, Scalars: accuracy and loss on val by epoch, the first seed of each experiment.",
        alt="Screenshot of TensorBoard's Scalars page: two charts with a curve for each experiment.",
        runs=ids,
    )
    results.save_figure(
        "tensorboard_hparams",
        Screenshot(pictures["hparams"]),
        caption="TensorBoard, HParams: settings and val results, the first seed of each experiment.",
        alt="Screenshot of TensorBoard's HParams page: a table with one row a run.",
        runs=ids,
    )
    results.save_figure(
        "tensorboard_graph",
        Screenshot(pictures["graph"]),
        caption=f"TensorBoard, Graphs: {best}, one box a block, with {opened or 'none'} opened.",
        alt=f"Screenshot of TensorBoard's Graphs page: boxes from image to logits, {opened or 'none'} opened.",
        runs=[runs[best].id],
    )
    return opened
