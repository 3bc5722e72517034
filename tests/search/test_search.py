"""lib.search.search: trial after trial, what they leave behind, and what fails."""

import socket

import numpy as np
import pandas as pd
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2
from tiny_searches import SPACE, START, data

from lib.config import Augment, Blocks
from lib.inputs.generators import make_eval_dataset
from lib.search.blocks import block_settings
from lib.search.search import search
from lib.search.trials import read_trials
from lib.training.jobs import JobFailed
from lib.training.steps import predict

CLOCKED = ["began_seconds", "ended_seconds"]  # what the clock decides


@pytest.fixture(autouse=True)
def no_network(own_folders, monkeypatch):
    """No trial asks for the network."""

    def refuse(*_):
        raise OSError("the network is not to be asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def hparams(folder):
    """What an event file holds for TensorBoard's HParams page."""
    events = EventAccumulator(str(folder))
    events.Reload()
    names = [name for name in events.PluginTagToContent("hparams")]
    content = events.PluginTagToContent("hparams")
    return {name: plugin_data_pb2.HParamsPluginData.FromString(content[name]) for name in names}


def columns(folder):
    return [one.name for one in hparams(folder / "trials")["_hparams_/experiment"].experiment.hparam_infos]


def check_trials(result, count):
    """Each trial has its curves, its values for TensorBoard, and no weights."""
    for trial in read_trials(result.folder):
        assert len(trial.run.history()) == trial.epochs > 0
        session = hparams(trial.folder)["_hparams_/session_start_info"].session_start_info
        assert set(session.hparams) == set(trial.proposal.values)
        assert not (trial.folder / "checkpoint.npz").exists()
    assert len(result.trials) == count and len(list(result.folder.glob("best-*.keras"))) == 1


def test_a_small_space_is_tried_whole_and_the_best_network_is_kept(tmp_path, own_folders):
    known, folder = data(), tmp_path / "whole"
    result = search(SPACE, known, seconds=60, folder=folder, seed=0)
    assert result.stopped_by == "all of the space was tried" and 0 < result.seconds < 60
    assert columns(folder) == ["model.units", "training.learning_rate"]
    check_trials(result, 4)
    table = pd.read_csv(folder / "trials.csv")
    pd.testing.assert_frame_equal(table.drop(columns="reason"), result.trials.drop(columns="reason"), check_dtype=False)
    assert list(table["status"]) == ["done"] * 4 and list(table["epochs"]) == [3] * 4
    assert (table["ended_seconds"] > table["began_seconds"]).all()
    assert result.best["val_accuracy"] == table["val_accuracy"].max()
    images = known.read(16)
    answers = predict(result.load_model(), make_eval_dataset(images, known.val)).argmax(axis=1)
    assert np.mean(answers == images.labels[known.val]) == pytest.approx(result.best["val_accuracy"])

    # it has ended, and is not begun again
    before = {file: file.stat().st_mtime_ns for file in (folder / "trials").rglob("trial.json")}
    again = search(SPACE, known, seconds=60, folder=folder, seed=0)
    assert again.best == result.best and before == {file: file.stat().st_mtime_ns for file in before}
    pd.testing.assert_frame_equal(again.trials, result.trials)

    # the same seed gives the same, and a search that lost its last trials finds them again
    other = search(SPACE, known, seconds=60, folder=tmp_path / "other", seed=0)
    pd.testing.assert_frame_equal(other.trials.drop(columns=CLOCKED), result.trials.drop(columns=CLOCKED))
    (folder / "trials" / "0003" / "trial.json").write_text("{", encoding="utf-8")
    lost = search(SPACE, known, seconds=60, folder=folder, seed=0)
    pd.testing.assert_frame_equal(lost.trials.drop(columns=CLOCKED), result.trials.drop(columns=CLOCKED))

    for space, seed in ((SPACE, 1), (SPACE.replace(max_parameters=10), 0)):
        with pytest.raises(ValueError, match="whole holds another search: name another folder, or delete it"):
            search(space, known, seconds=60, folder=folder, seed=seed)
    (folder / "search.json").write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match="whole holds another search"):
        search(SPACE, known, seconds=60, folder=folder, seed=0)


def test_too_few_seconds_are_refused_with_a_sentence(tmp_path):
    for seconds in (0, 1, 9.9, -5, "3", None, True, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="seconds must be a number of at least 10. Received: ") as caught:
            search(SPACE, data(), seconds=seconds, folder=tmp_path / "none")
        assert "\n" not in str(caught.value) and not (tmp_path / "none").exists()


def test_failures_are_recorded_and_passed_over(tmp_path, capsys):
    space = SPACE.replace(choices={"model.fault": ("", "memory", "name", "value")})
    result = search(space, data(), seconds=60, folder=tmp_path / "faults", seed=0)
    by_fault = result.trials.set_index("model.fault")
    assert by_fault.loc["", "status"] == "done"
    for fault, reason in (("memory", "MemoryError: at once"), ("name", "KeyError: 'at once'"), ("value", "at once")):
        assert by_fault.loc[fault, "status"] == "failed" and reason in by_fault.loc[fault, "reason"]
    assert "failed (MemoryError: at once)" in capsys.readouterr().out

    space = SPACE.replace(choices={"training.learning_rate": (0.01, 1e30), "model.units": (4, 400)})
    result = search(space.replace(max_parameters=10_000), data(), seconds=60, folder=tmp_path / "large", seed=0)
    rows = result.trials.set_index(["training.learning_rate", "model.units"])
    assert rows.loc[(0.01, 4), "status"] == "done" and rows.loc[(1e30, 4), "status"] == "failed"
    assert "the loss became nan" in rows.loc[(1e30, 4), "reason"]
    assert "310,006 parameters, of 10,000 that are allowed" in rows.loc[(0.01, 400), "reason"]
    assert (result.folder / result.best["file"]).exists() and result.best["val_accuracy"] > 0


def test_ten_failures_in_a_row_end_a_search_with_a_sentence(tmp_path):
    space = SPACE.replace(choices={"model.units": tuple(range(400, 415))}, max_parameters=1000)
    with pytest.raises(JobFailed, match="no trial has finished an epoch: ValueError: .* that are allowed"):
        search(space, data(), seconds=60, folder=tmp_path, seed=0)
    assert len(pd.read_csv(tmp_path / "trials.csv")) == 10


def test_a_trial_that_fails_after_an_epoch_counts_as_it_stood(tmp_path, monkeypatch):
    from lib.search import search as module

    class Falls(module.FirstEpoch):
        def epoch(self, history):
            super().epoch(history)
            if len(history) == 2:
                raise MemoryError("in epoch 3")

    monkeypatch.setattr(module, "FirstEpoch", Falls)
    result = search(SPACE, data(), seconds=60, folder=tmp_path, seed=0)
    assert set(result.trials["status"]) == {"cut"} and list(result.trials["epochs"]) == [2] * 4
    assert set(result.trials["reason"]) == {"MemoryError: in epoch 3"}
    assert result.best["val_accuracy"] == result.trials["val_accuracy"].max()


def test_trials_that_are_too_slow_are_passed_over(tmp_path):
    with pytest.raises(JobFailed, match="no trial has finished an epoch: the time of the trial is used up"):
        search(SPACE.replace(trial_seconds=0.001), data(), seconds=60, folder=tmp_path, seed=0)
    assert set(pd.read_csv(tmp_path / "trials.csv")["status"]) == {"too slow"}


def test_a_search_whose_time_is_used_up_says_so_and_more_time_goes_on(tmp_path):
    known = data()
    tmp_path.joinpath("clock.json").write_text('{"seconds": 59.99}', encoding="utf-8")
    with pytest.raises(JobFailed, match="no trial has finished an epoch: .*(used up|seconds are left)"):
        search(SPACE, known, seconds=60, folder=tmp_path, seed=0)
    begun = [trial.status for trial in read_trials(tmp_path)]
    assert begun in ([], ["too late"]), "a hundredth of a second may end before a trial begins"
    result = search(SPACE, known, seconds=200, folder=tmp_path, seed=0)
    assert list(result.trials["status"]) == begun + ["done"] * (4 - len(begun)) and result.seconds < 200


def test_blocks_of_autokeras_are_tried_untrained(tmp_path):
    start = START.replace(image_size=32, augment=Augment(flip=True))
    space = Blocks(start=start, blocks=("vanilla",), max_parameters=1000)  # each is built, and then passed over
    with pytest.raises(JobFailed, match="no trial has finished an epoch: ValueError: .* parameters, of 1,000 that"):
        search(space, data(), seconds=60, folder=tmp_path, seed=0)
    assert {"block", "dropout", "optimizer", "learning_rate", "augment", "vanilla/kernel_size"} <= set(
        columns(tmp_path)
    )
    names = {one.name for one in block_settings(Blocks(start=start, blocks=("resnet", "xception"))).space}
    assert "resnet/version" in names and not [name for name in names if "pretrained" in name]
