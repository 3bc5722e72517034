"""TensorBoard's own pages as figures of a report; without a browser the report says so and goes on."""

import contextlib
import importlib.util
import io
import json
import shutil
import sys
from types import SimpleNamespace

import pytest
from event_file_writer import graph_of, record, scalar, write
from PIL import Image
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.plugins.hparams import summary_v2 as hparams

from lib import briefs
from lib.config import paths
from lib.report import make
from lib.report.pages import tensorboard
from lib.report.pages.tensorboard import BrowserError, find_chromium, open_page
from lib.report.results import read_manifest, read_values
from lib.training.runs import Run


def png(width, height):
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "orange").save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def opened(own_folders, monkeypatch):
    """An opened brief with two finished runs that have a graph, and one that was never trained."""
    runs = {}
    (paths.report("demo") / "notebooks").mkdir(parents=True)
    for name in ("baseline", "best", "residual"):
        runs[name] = Run(paths.runs("demo") / f"{name}-seed0-1")
        if name == "residual":
            continue
        write(runs[name].folder / "graph", graph_of("image", "Block_8/block_1/conv", "logits"))
        (runs[name].folder / "metrics.json").write_text("{}")
    monkeypatch.setattr(tensorboard, "network_job", lambda opened, name: SimpleNamespace(run=runs[name]))
    loaded = briefs.load("demo")
    trained = dict.fromkeys(runs, loaded.experiments["best"])
    return SimpleNamespace(brief=loaded.replace(experiments=trained), profile_name="smoke", runs=runs)


@pytest.fixture
def asked(monkeypatch):
    """What pictures were asked for; they are plain orange."""
    calls = []

    def take(runs, *, best, block):
        calls.append((list(runs), best, block))
        return {"scalars": png(200, 230), "hparams": png(240, 130), "graph": png(200, 240)}

    monkeypatch.setattr(tensorboard, "take_pictures", take)
    return calls


def said(opened):
    values = read_values(paths.report(opened.brief.name))
    return [values[f"tensorboard.{name}"]["value"] for name in ("shown", "reason", "opened")]


def test_pictures_become_figures_as_they_are(opened, asked):
    tensorboard.save_screenshots(opened, made_from={"the code": "1"})
    folder = paths.report("demo")
    assert asked == [(["baseline", "best"], "best", "Block_8")]
    entries = {entry["name"]: entry for entry in read_manifest(folder)}
    assert list(entries) == ["tensorboard_scalars", "tensorboard_hparams", "tensorboard_graph"]
    assert (folder / entries["tensorboard_graph"]["file"]).read_bytes() == png(200, 240)
    assert (
        entries["tensorboard_graph"]["runs"] == ["best-seed0-1"]
        and "Block_8" in entries["tensorboard_graph"]["caption"]
    )
    assert entries["tensorboard_scalars"]["runs"] == ["baseline-seed0-1", "best-seed0-1"]
    assert said(opened) == ["screenshots", "", "Block_8"]


def test_they_are_taken_again_only_where_something_has_changed(opened, asked, monkeypatch):
    for _ in range(2):
        tensorboard.save_screenshots(opened, made_from={"the code": "1"})
    assert len(asked) == 1
    tensorboard.save_screenshots(opened, made_from={"the code": "2"})
    assert len(asked) == 2
    (paths.report("demo") / "figures" / "tensorboard_graph.png").unlink()
    tensorboard.save_screenshots(opened, made_from={"the code": "2"})
    assert len(asked) == 3
    monkeypatch.setenv("COURSEWORK_CHROMIUM", "none" if find_chromium() else "/bin/sh")
    tensorboard.save_screenshots(opened, made_from={"the code": "2"})
    assert len(asked) == 4


def test_without_a_browser_the_report_says_what_it_shows_instead(opened, monkeypatch, capsys):
    monkeypatch.setenv("COURSEWORK_CHROMIUM", "none")
    for _ in range(2):
        tensorboard.save_screenshots(opened, made_from={})
    assert said(opened) == ["drawn", "no Chromium was found", ""]
    assert read_manifest(paths.report("demo")) == []
    assert capsys.readouterr().out == "TensorBoard's pages are not in the report: no Chromium was found\n"


def test_a_browser_that_fails_does_not_fail_the_report(opened, asked, monkeypatch):
    tensorboard.save_screenshots(opened, made_from={"the code": "1"})
    for error in (BrowserError("TensorBoard's graph did not appear"), OSError("no space left")):

        def fail(*_, error=error, **__):
            raise error

        monkeypatch.setattr(tensorboard, "take_pictures", fail)
        tensorboard.save_screenshots(opened, made_from={"the code": str(error)})
        assert said(opened) == ["drawn", str(error), ""] and read_manifest(paths.report("demo")) == []


def test_runs_without_files_for_tensorboard_are_not_photographed(opened, asked):
    for name in ("baseline", "best"):
        shutil.rmtree(opened.runs[name].folder / "graph")
    tensorboard.save_screenshots(opened, made_from={})
    assert asked == [] and said(opened) == ["drawn", "no run has left files for TensorBoard", ""]


def test_only_what_is_quoted_is_copied_and_one_graph(opened, tmp_path):
    runs = {name: opened.runs[name] for name in ("baseline", "best")}
    write(paths.runs("demo"), b"declared")
    write(paths.runs("demo") / "older-seed0-9" / "train", b"older")
    for run in runs.values():
        write(run.folder, b"settings")
        write(run.folder / "validation", b"curves")
    tensorboard.copy_event_files(runs, tmp_path / "runs", best="best")
    found = [file.parent.relative_to(tmp_path / "runs").as_posix() for file in (tmp_path / "runs").rglob("events*")]
    assert sorted(found) == [".", *["baseline"] * 2, *["best"] * 3]


def runs_with(folder, **settings):
    """Runs whose settings differ from `model.name="cnn"`, `image_size=32` and `augment.*=0` as given."""
    found = {}
    for name, changes in settings.items():
        common = {"why": name, "augment.flip": 0, "augment.shift": 0, "image_size": 32, "model.blocks": (1,) * 9}
        found[name] = Run(folder / name)
        found[name].folder.mkdir()
        content = {"settings": common | {"model.depth": 1, "model.name": "cnn"} | changes}
        (found[name].folder / "config.json").write_text(json.dumps(content))
    return found


def test_the_settings_shown_are_short_and_each_tells_something_else(tmp_path):
    runs = runs_with(
        tmp_path,
        plain={},
        augment={"augment.flip": 1, "augment.shift": 1},
        large={"image_size": 64},
        deep={"model.depth": 2},
        other={"model.name": "residual", "model.blocks": (2,) * 9},
        best={"training.epochs": 60},
    )
    assert tensorboard.settings_to_show(runs, "best") == ["model.name", "augment.flip", "image_size", "model.depth"]
    assert len(tensorboard.settings_to_show(runs, "best")) <= tensorboard.COLUMNS
    assert tensorboard.settings_to_show({"best": runs["best"]}, "best") == []


# In a real browser


@pytest.fixture
def runs(tmp_path):
    """Seven runs with what training leaves for TensorBoard, in a folder that declares their settings."""
    found = {}
    declared = hparams.hparams_config_pb([hparams.HParam("model.dropout")], [hparams.Metric("val_accuracy")])
    write(tmp_path, record(Event(summary=declared)))
    for number, name in enumerate(("plain", "dropout", "more", "less", "wide", "deep", "large")):
        found[name] = Run(tmp_path / f"{name}-seed0-1")
        write(found[name].folder / "graph", graph_of("image", "Block_4/block_1/conv", "Block_4/block_1/relu", "logits"))
        numbers = {"epoch_loss": 2 - number / 4, "epoch_accuracy": 0.25 + number / 4}
        for part, more in (("train", {"epoch_learning_rate": 0.1}), ("validation", {})):
            write(found[name].folder / part, *(scalar(step, **numbers, **more) for step in (1, 2)))
        settings = hparams.hparams_pb({"model.dropout": number / 4}, trial_id=found[name].id, start_time_secs=1.8e9)
        write(found[name].folder, record(Event(summary=settings)), scalar(0, val_accuracy=0.5))
    return found


@pytest.mark.slow
@pytest.mark.skipif(find_chromium() is None, reason="no Chromium on this machine")
def test_the_three_pages_show_the_runs(runs, tmp_path):
    def size(picture):
        return Image.open(io.BytesIO(picture)).size

    tensorboard.copy_event_files(runs, tmp_path / "gathered" / "runs", best="less")
    with contextlib.ExitStack() as stack:
        try:
            page = stack.enter_context(open_page(width=1000, height=1150))
        except BrowserError as error:
            pytest.skip(f"Chromium does not start here: {error}")
        errors = []
        page.on("pageerror", lambda error: errors.append(error.message))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        address = stack.enter_context(tensorboard.serve(tmp_path / "gathered" / "runs"))
        assert size(tensorboard.photograph_scalars(page, address)) == (1000, 1150)
        charts = page.locator("tf-scalar-card").evaluate_all("(cards) => cards.map((card) => card.tag)")
        assert charts[:2] == ["epoch_accuracy", "epoch_loss"]
        boxes = page.locator("tf-multi-checkbox paper-checkbox")
        colours = boxes.evaluate_all("(all) => all.map((box) => /checked-color: (\\S+);/.exec(box.outerHTML)[1])")
        assert len(set(colours)) == len(colours) == len(runs)
        tensorboard.photograph_hparams(page, address, ["model.dropout"], rows=7)
        texts = [text.strip() for text in page.locator("vaadin-grid-cell-content").all_text_contents()]
        assert {"model.dropout", "val_accuracy", "0.25000", "0.50000"} <= set(texts)
        assert sum(text in {run.id for run in runs.values()} for text in texts) == 7
        assert size(tensorboard.photograph_graph(page, address, "Block_4")) == (1000, 1200)
        nodes = page.locator("g.node").evaluate_all("(nodes) => nodes.map((node) => node.dataset.name)")
        assert {"image", "Block_4", "Block_4/block_1", "Block_4/block_1/conv", "logits"} <= set(nodes)
        assert errors == []


def test_what_is_missing_is_said_before_the_work_starts(own_folders, monkeypatch, capsys):
    def stop(*_, **__):
        raise ValueError("no training here")

    monkeypatch.setattr(make, "train_planned", stop)
    monkeypatch.setenv("COURSEWORK_CHROMIUM", "none")
    with pytest.raises(ValueError, match="no training here"):
        make.make_report("demo", profile="smoke")
    said = capsys.readouterr().out
    assert "Chromium or Chrome was not found: the report will show a drawn graph in place of pictures" in said
    monkeypatch.setenv("COURSEWORK_CHROMIUM", sys.executable)  # any program that is there
    tensorboard.announce()
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    tensorboard.announce()
    assert "The package playwright was not found" in capsys.readouterr().out


def test_a_tensorboard_that_does_not_start_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(tensorboard, "SERVE", "import sys; sys.exit('no port is free')")
    (tmp_path / "runs").mkdir()
    with pytest.raises(BrowserError, match="did not start: no port is free"), tensorboard.serve(tmp_path / "runs"):
        pass


def test_a_browser_that_is_missing_or_does_not_start_is_said(monkeypatch):
    monkeypatch.setenv("COURSEWORK_CHROMIUM", "none")
    assert find_chromium() is None
    with pytest.raises(BrowserError, match="no Chromium was found"), open_page(width=300, height=300):
        pass
    monkeypatch.setenv("COURSEWORK_CHROMIUM", "false")  # a program that ends at once
    with pytest.raises(BrowserError, match="closed"), open_page(width=300, height=300):
        pass
    monkeypatch.setitem(sys.modules, "playwright", None)  # it is optional with VENV=none
    with pytest.raises(BrowserError, match="the package playwright is not installed"), open_page(width=300, height=300):
        pass
