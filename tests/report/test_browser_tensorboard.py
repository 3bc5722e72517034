"""TensorBoard's own pages, photographed in a real browser from a real run."""

import contextlib
import io

import pytest
from lib.report.pages.chromium import BrowserError, find_chromium, open_page
from lib.report.pages.tensorboard_pages import gather, serve
from PIL import Image
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.plugins.hparams import summary_v2 as hparams
from test_event_files import graph_of, record, scalar, write

from lib.report.pages import tensorboard_pages
from lib.training.runs import Run

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="no Chromium on this machine")

TEXTS = "deep('vaadin-grid-cell-content').map((cell) => cell.textContent.trim())"
NODES = "deep('g.node').map((node) => node.__data__.node.name)"
CURVES = "deep('tf-scalar-card').slice(0, 2).map((card) => card.tag)"


def seen(page, script):
    return page.run(f"(() => {{ {tensorboard_pages.DEEP} return {script}; }})()")


def size(picture):
    return Image.open(io.BytesIO(picture)).size


@pytest.fixture
def runs(tmp_path):
    """Two runs with what training leaves for TensorBoard, in a folder that declares their settings."""
    found = {}
    declared = hparams.hparams_config_pb([hparams.HParam("model.dropout")], [hparams.Metric("val_accuracy")])
    write(tmp_path, record(Event(summary=declared)))
    for number, name in enumerate(("plain", "dropout")):
        found[name] = Run(tmp_path / f"{name}-seed0-1")
        write(found[name].folder / "graph", graph_of("image", "Block_4/block_1/conv", "Block_4/block_1/relu", "logits"))
        numbers = {"epoch_loss": 2 - number / 4, "epoch_accuracy": 0.25 + number / 4}
        for part, more in (("train", {"epoch_learning_rate": 0.1}), ("validation", {})):
            write(found[name].folder / part, *(scalar(step, **numbers, **more) for step in (1, 2)))
        settings = hparams.hparams_pb({"model.dropout": number / 4}, trial_id=found[name].id, start_time_secs=1.8e9)
        write(found[name].folder, record(Event(summary=settings)), scalar(0, val_accuracy=0.5))
    return found


@pytest.mark.slow
def test_the_three_pages_show_the_runs(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(tensorboard_pages, "SCALE", 1.0)
    gather(runs, tmp_path / "gathered" / "runs", best="plain")
    with contextlib.ExitStack() as stack:
        try:
            page = stack.enter_context(open_page(width=1000, height=1150, scale=1.0))
        except BrowserError as error:
            pytest.skip(f"Chromium does not start here: {error}")
        address = stack.enter_context(serve(tmp_path / "gathered" / "runs"))
        tensorboard_pages._wait_until_read(address, runs)
        assert size(tensorboard_pages._photograph_scalars(page, address)) == (1000, 1150)
        assert seen(page, CURVES) == ["epoch_accuracy", "epoch_loss"]
        tensorboard_pages._photograph_hparams(page, address, ["model.dropout"], rows=2)
        texts = seen(page, TEXTS)
        assert {"model.dropout", "val_accuracy", "0.25000", "0.50000"} <= set(texts)
        assert sum(text in {run.id for run in runs.values()} for text in texts) == 2
        assert size(tensorboard_pages._photograph_graph(page, address, "Block_4")) == (1000, 1200)
        nodes = seen(page, NODES)
        assert {"image", "Block_4", "Block_4/block_1", "Block_4/block_1/conv", "logits"} <= set(nodes)
        assert page.errors == []


def test_a_tensorboard_that_does_not_start_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(tensorboard_pages, "SERVE", "import sys; sys.exit('no port is free')")
    (tmp_path / "runs").mkdir()
    with pytest.raises(BrowserError, match="TensorBoard did not start: no port is free"), serve(tmp_path / "runs"):
        pass
