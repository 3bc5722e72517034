"""Observers: TensorBoard's files say what `history.csv` says."""

import shutil

import numpy as np
import pandas as pd
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util
from tiny_training import TINY, job, train

from lib.config import paths
from lib.models import Softmax
from lib.training import observers
from lib.training.jobs import run_job


def scalars(folder):
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    events.Reload()
    return {
        tag: [float(tensor_util.make_ndarray(event.tensor_proto)) for event in events.Tensors(tag)]
        for tag in events.Tags()["tensors"]
        if events.SummaryMetadata(tag).plugin_data.plugin_name == "scalars"
    }


def test_event_files_hold_the_history_once(photos):
    run = train(photos)
    history = run.history()
    training, validation = scalars(run.folder / "train"), scalars(run.folder / "validation")
    assert training["epoch_loss"] == pytest.approx(history["loss"], rel=1e-6)
    assert training["epoch_accuracy"] == pytest.approx(history["accuracy"], rel=1e-6)
    assert training["epoch_learning_rate"] == pytest.approx(history["learning_rate"], rel=1e-6)
    assert validation["epoch_loss"] == pytest.approx(history["val_loss"], rel=1e-6)
    assert validation["epoch_accuracy"] == pytest.approx(history["val_accuracy"], rel=1e-6)


def test_epochs_of_an_interrupted_run_are_written_once_also_in_a_copy(photos, monkeypatch, tmp_path):
    class Stopped(Exception):
        pass

    log = observers.Screen.epoch

    def stop_after_two(self, history):
        log(self, history)
        if len(history) == 2:
            raise Stopped

    monkeypatch.setattr(observers.Screen, "epoch", stop_after_two)
    with pytest.raises(Stopped):
        train(photos)
    monkeypatch.setattr(observers.Screen, "epoch", log)
    begun = pd.read_csv(next(paths.reports().rglob("history.csv")))
    shutil.copytree(paths.reports(), tmp_path / "drive", copy_function=shutil.copyfile)  # as on Google Drive
    shutil.rmtree(paths.reports())
    monkeypatch.setenv("COURSEWORK_REPORTS", str(tmp_path / "drive"))
    run = train(photos)
    assert tmp_path / "drive" in run.folder.parents
    pd.testing.assert_frame_equal(run.history()[:2], begun)  # the seconds too: these epochs were not run again
    assert len(scalars(run.folder / "train")["epoch_loss"]) == TINY.training.epochs == len(run.history())


def test_the_graph_has_a_box_a_block(photos):
    run = train(photos)
    events = EventAccumulator(str(run.folder / "graph"))
    events.Reload()
    names = {node.name for node in events.Graph().node}
    assert any(name.startswith("Block_4/block_1/unit_1/conv/") for name in names)
    assert {name.split("/")[0] for name in names} >= {"image", "Stem", "Block_4", "Block_8", "logits"}


def test_every_hyperparameter_column_is_declared_before_the_first_run(photos):
    deeper = TINY.vary("Does depth help?", model={"blocks": (2, 2)})
    other = TINY.vary("Do pixels do?", model=Softmax(), training={"sizes": ()})
    tiny = job(photos)
    tiny.opened.brief.experiments.update(deeper=deeper, other=other)
    run = run_job(tiny)
    declared, session = EventAccumulator(str(run.folder.parent)), EventAccumulator(str(run.folder))
    declared.Reload()
    session.Reload()
    content = declared.SummaryMetadata("_hparams_/experiment").plugin_data.content
    assert all(name in content for name in (b"model.blocks", b"model.grey", b"val_accuracy"))
    assert b"training.epochs" not in content
    assert b"model.blocks" in session.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    assert scalars(run.folder)["val_accuracy"] == pytest.approx([run.metrics()["val_accuracy"]])


def test_another_observer_is_told_of_everything():
    class Noting(observers.Observer):
        def __init__(self):
            self.told = []

        def start(self, history):
            self.told.append(f"start {len(history)}")

        def epoch(self, history):
            self.told.append(f"epoch {len(history)}")

        def close(self):
            self.told.append("close")

    first, second = Noting(), Noting()
    with pytest.raises(RuntimeError), observers.watching([first, observers.Observer(), second]) as tell:
        tell("start", [{}])
        tell("step", 1, 1, 2)
        tell("epoch", [{}, {}])
        raise RuntimeError
    assert first.told == second.told == ["start 1", "epoch 2", "close"]


def test_nobody_watching_gets_one_line_per_epoch(photos, capsys, monkeypatch):
    monkeypatch.setenv("COURSEWORK_HEADLESS", "1")
    run = train(photos)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == TINY.training.epochs
    assert lines[0].startswith(f"{run.id}: epoch 1/4, loss ") and np.char.count(lines[0], "val") == 1
