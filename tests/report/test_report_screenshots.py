"""Screenshots of TensorBoard as figures of a report; without a browser the report says so and goes on."""

import io
import json
from types import SimpleNamespace

import pytest
from lib.report.pages.chromium import BrowserError
from lib.report.pages.tensorboard_pages import COLUMNS, gather, take_pictures, telling_settings
from PIL import Image
from test_event_files import graph_of, write

from lib import briefs
from lib.config import paths
from lib.report.pages import screenshots
from lib.report.results import read_manifest, read_values
from lib.training.runs import Run


def png(width, height):
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "orange").save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def opened(own_folders):
    """An opened brief with two finished runs that have a graph, and one that was never trained."""
    runs = {}
    (paths.report("demo") / "notebooks").mkdir(parents=True)
    for name in ("baseline", "best", "residual"):
        runs[name] = Run(paths.runs("demo") / f"{name}-seed0-1")
        if name == "residual":
            continue
        write(runs[name].folder / "graph", graph_of("image", "Block_8/block_1/conv", "logits"))
        (runs[name].folder / "metrics.json").write_text("{}")
    return SimpleNamespace(
        brief=briefs.load("demo"), profile_name="smoke", experiments=dict.fromkeys(runs), run=lambda name: runs[name]
    )


@pytest.fixture
def asked(monkeypatch):
    """What pictures were asked for; they are plain orange."""
    calls = []

    def take(runs, *, best, opened):
        calls.append((list(runs), best, opened))
        return {"scalars": png(200, 230), "hparams": png(240, 130), "graph": png(200, 240)}

    monkeypatch.setattr(screenshots, "take_pictures", take)
    return calls


def said(opened):
    values = read_values(paths.report(opened.brief.name))
    return [values[f"tensorboard.{name}"]["value"] for name in ("shown", "reason", "opened")]


def test_pictures_become_figures_as_they_are(opened, asked):
    screenshots.save_screenshots(opened, made_from={"the code": "1"})
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
        screenshots.save_screenshots(opened, made_from={"the code": "1"})
    assert len(asked) == 1
    screenshots.save_screenshots(opened, made_from={"the code": "2"})
    assert len(asked) == 2
    (paths.report("demo") / "figures" / "tensorboard_graph.png").unlink()
    screenshots.save_screenshots(opened, made_from={"the code": "2"})
    assert len(asked) == 3
    monkeypatch.setenv("COURSEWORK_CHROMIUM", "none" if screenshots.find_chromium() else "/bin/sh")
    screenshots.save_screenshots(opened, made_from={"the code": "2"})
    assert len(asked) == 4


def test_without_a_browser_the_report_says_what_it_shows_instead(opened, monkeypatch, capsys):
    monkeypatch.setenv("COURSEWORK_CHROMIUM", "none")
    for _ in range(2):
        screenshots.save_screenshots(opened, made_from={})
    assert said(opened) == ["drawn", "no Chromium was found", ""]
    assert read_manifest(paths.report("demo")) == []
    assert capsys.readouterr().out == "TensorBoard's pages are not in the report: no Chromium was found\n"


@pytest.mark.parametrize("error", [BrowserError("TensorBoard's graph did not appear"), OSError("no space left")])
def test_a_browser_that_fails_does_not_fail_the_report(opened, asked, monkeypatch, error):
    def fail(*_, **__):
        raise error

    screenshots.save_screenshots(opened, made_from={"the code": "1"})
    monkeypatch.setattr(screenshots, "take_pictures", fail)
    screenshots.save_screenshots(opened, made_from={"the code": "2"})
    assert said(opened) == ["drawn", str(error), ""] and read_manifest(paths.report("demo")) == []


def test_runs_without_files_for_tensorboard_are_not_photographed(opened, asked):
    opened.experiments = {"residual": None}
    screenshots.save_screenshots(opened, made_from={})
    assert asked == [] and said(opened) == ["drawn", "no run has left files for TensorBoard", ""]


def test_only_what_is_quoted_is_copied_and_one_graph(opened, tmp_path):
    runs = {name: opened.run(name) for name in ("baseline", "best")}
    write(paths.runs("demo"), b"declared")
    write(paths.runs("demo") / "older-seed0-9" / "train", b"older")
    for run in runs.values():
        write(run.folder, b"settings")
        write(run.folder / "validation", b"curves")
    gather(runs, tmp_path / "runs", best="best")
    found = {file.parent.relative_to(tmp_path / "runs").as_posix() for file in (tmp_path / "runs").rglob("events*")}
    assert found == {".", "baseline", "baseline/validation", "best", "best/validation", "best/graph"}


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
    assert telling_settings(runs, "best") == ["model.name", "augment.flip", "image_size", "model.depth"]
    assert len(telling_settings(runs, "best")) <= COLUMNS
    assert telling_settings({"best": runs["best"]}, "best") == []


def test_pictures_need_a_browser(monkeypatch):
    monkeypatch.setenv("COURSEWORK_CHROMIUM", "none")
    with pytest.raises(BrowserError, match="no Chromium was found"):
        take_pictures({}, best="best", opened="")
