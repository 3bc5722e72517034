"""lib.training.tracking: TensorBoard's files say what `history.csv` says."""

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util
from test_training import TINY, split, train  # noqa: F401 - a fixture

from lib.config import paths
from lib.training import tracking


def scalars(folder):
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    events.Reload()
    return {
        tag: [float(tensor_util.make_ndarray(event.tensor_proto)) for event in events.Tensors(tag)]
        for tag in events.Tags()["tensors"]
        if events.SummaryMetadata(tag).plugin_data.plugin_name == "scalars"
    }


def test_event_files_hold_the_history_once(photos, split):  # noqa: F811
    run = train(photos, split)
    history = run.history()
    training, validation = scalars(run.folder / "train"), scalars(run.folder / "validation")
    assert training["epoch_loss"] == pytest.approx(history["loss"], rel=1e-6)
    assert training["epoch_accuracy"] == pytest.approx(history["accuracy"], rel=1e-6)
    assert training["epoch_learning_rate"] == pytest.approx(history["learning_rate"], rel=1e-6)
    assert validation["epoch_loss"] == pytest.approx(history["val_loss"], rel=1e-6)
    assert validation["epoch_accuracy"] == pytest.approx(history["val_accuracy"], rel=1e-6)


def test_epochs_of_an_interrupted_run_are_written_once(photos, split, monkeypatch):  # noqa: F811
    class Stopped(Exception):
        pass

    log = tracking.Tracker.epoch

    def stop_after_two(self, history):
        log(self, history)
        if len(history) == 2:
            raise Stopped

    monkeypatch.setattr(tracking.Tracker, "epoch", stop_after_two)
    with pytest.raises(Stopped):
        train(photos, split)
    monkeypatch.setattr(tracking.Tracker, "epoch", log)
    run = train(photos, split)
    assert len(scalars(run.folder / "train")["epoch_loss"]) == TINY.training.epochs == len(run.history())


def test_the_graph_has_a_box_a_block(photos, split):  # noqa: F811
    run = train(photos, split)
    events = EventAccumulator(str(run.folder / "graph"))
    events.Reload()
    names = {node.name for node in events.Graph().node}
    assert any(name.startswith("Block_4/block_1/unit_1/conv/") for name in names)
    assert {name.split("/")[0] for name in names} >= {"image", "Stem", "Block_4", "Block_8", "logits"}


def test_every_hyperparameter_column_is_declared_before_the_first_run(photos, split):  # noqa: F811
    deeper = TINY.vary("Does depth help?", model={"blocks": (2, 2)})
    folder = paths.runs("tests")
    tracking.declare_hyperparameters(folder, {"tiny": TINY, "deeper": deeper})
    run = train(photos, split)
    tracking.write_hyperparameters(run, TINY, seed=0)
    declared, session = EventAccumulator(str(folder)), EventAccumulator(str(run.folder))
    declared.Reload()
    session.Reload()
    content = declared.SummaryMetadata("_hparams_/experiment").plugin_data.content
    assert b"model.blocks" in content and b"val_accuracy" in content and b"training.epochs" not in content
    assert b"model.blocks" in session.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    assert scalars(run.folder)["val_accuracy"] == pytest.approx([run.metrics()["val_accuracy"]])


def test_nobody_watching_gets_one_line_an_epoch(photos, split, capsys, monkeypatch):  # noqa: F811
    monkeypatch.setenv("COURSEWORK_HEADLESS", "1")
    run = train(photos, split)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == TINY.training.epochs
    assert lines[0].startswith(f"{run.id}: epoch 1/4, loss ") and np.char.count(lines[0], "val") == 1
