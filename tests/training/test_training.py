"""lib.training.network: a run folder is complete, repeatable, and survives being killed."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pandas as pd
import pytest

from lib.config import Augment, Experiment, Model, Split, Training, paths
from lib.datasets import splits
from lib.training import network, runs
from lib.training.device import Device

TINY = Experiment(
    why="Does training work?",
    model=Model("residual", filters=(4, 8), blocks=(1, 1), stem_stride=2, dropout=0.2, stochastic_depth=0.2),
    training=Training(epochs=4, batch_size=4, learning_rate=0.01, ema=0.9, weight_decay=0.001, sizes=(12,)),
    augment=Augment(flip=True, shift=0.1, colour=0.2, mixup=0.5),
    image_size=16,
    mirror_average=True,
)


@pytest.fixture
def split(photos):
    return splits.make_split(photos, Split(test=0.2, val=0.2))


def train(photos, split, experiment=TINY, *, name="tiny", seed=0, device=None):
    data = f"{photos.checksum} {split.checksum}"
    run = runs.locate(paths.runs("tests"), experiment, name=name, seed=seed, data=data)
    network.train(photos, split, experiment=experiment, run=run, seed=seed, device=device)
    return run


def weights(run):
    return [variable.numpy() for variable in run.load_model().weights]


def same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_run_holds_all_that_reports_need(photos, split):
    run = train(photos, split)
    assert run.finished and run.failure is None
    history = run.history()
    assert list(history["epoch"]) == [1, 2, 3, 4] and list(history["image_size"]) == [12, 12, 16, 16]
    assert run.config()["settings"]["training.ema"] == 0.9 and run.config()["classes"] == list(photos.class_names)
    rows, labels, probabilities = run.predictions("val")
    assert np.array_equal(rows, split.val) and np.array_equal(labels, photos.index["label"].to_numpy()[split.val])
    assert probabilities.shape == (len(split.val), 3) and np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert run.metrics()["val_accuracy"] == pytest.approx(np.mean(probabilities.argmax(1) == labels))
    expected = -np.log(probabilities[np.arange(len(labels)), labels]).mean()
    assert run.metrics()["val_loss"] == pytest.approx(expected, rel=1e-5)
    facts = run.environment()
    assert facts["device"] in ("cpu", "gpu") and facts["wall_seconds"] > 0 and facts["tensorflow"] and facts["threads"]
    assert not (run.folder / "checkpoint.npz").exists()


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(photos, split):
    first = weights(train(photos, split, name="first"))
    assert same(first, weights(train(photos, split, name="second")))
    assert not same(first, weights(train(photos, split, name="third", seed=1)))


def test_test_images_are_predicted_only_when_asked_for_and_only_once(photos, split):
    run = train(photos, split)
    with pytest.raises(runs.RunError, match=r"no predictions_test.npz"):
        run.predictions("test")
    network.predict_test(run, photos, split)
    rows, labels, probabilities = run.predictions("test")
    assert np.array_equal(rows, split.test) and len(labels) == len(probabilities) == len(split.test)
    written = (run.folder / "predictions_test.npz").stat().st_mtime_ns
    network.predict_test(run, photos, split)
    assert (run.folder / "predictions_test.npz").stat().st_mtime_ns == written


KILLED = """
    import sys
    from lib.training.device import import_tensorflow
    import_tensorflow()
    sys.path.insert(0, {tests!r})
    from lib import datasets
    from lib.datasets import splits
    from lib.training import network
    from lib.config import Split
    import test_training
    photos = datasets.load("folder", path={folder!r}, progress=False)
    test_training.train(photos, splits.make_split(photos, Split(test=0.2, val=0.2)), test_training.LONG, name="killed")
"""
LONG = TINY.replace(training=TINY.training.replace(epochs=30))


def test_a_killed_run_continues_and_ends_with_the_same_weights(photos, split, photo_folder):
    """SIGKILL, twice, at moments that nobody chose; then the run is finished in this process."""
    undisturbed = train(photos, split, LONG, name="undisturbed")
    code = textwrap.dedent(KILLED.format(tests=str(paths.ROOT / "tests"), folder=str(photo_folder)))
    data = f"{photos.checksum} {split.checksum}"
    run = runs.locate(paths.runs("tests"), LONG, name="killed", seed=0, data=data)
    done = 0
    for wanted in (3, 12):
        process = subprocess.Popen([sys.executable, "-c", code], cwd=paths.ROOT, env=os.environ | {"PYTHONPATH": "."})
        deadline = time.monotonic() + 120
        while done < wanted and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.01)
            if (run.folder / "history.csv").exists():
                done = len((run.folder / "history.csv").read_text().splitlines()) - 1
        assert process.poll() is None, "the process ended before it could be killed"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert not run.finished and (run.folder / "checkpoint.npz").exists()
    with np.load(run.folder / "checkpoint.npz") as stored:
        assert 12 <= len(stored["history_epoch"]) < 30
    finished = train(photos, split, LONG, name="killed")
    assert same(weights(undisturbed), weights(finished))
    columns = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]
    pd.testing.assert_frame_equal(undisturbed.history()[columns], finished.history()[columns])


def test_a_loss_that_is_no_number_ends_the_run_with_a_reason(photos, split):
    wild = TINY.replace(training=TINY.training.replace(learning_rate=1e30, optimizer="sgd", ema=0.0))
    with pytest.raises(network.TrainingFailed, match=r"the loss became (nan|inf) in epoch \d"):
        train(photos, split, wild, name="wild")
    run = next(paths.runs("tests").glob("wild-*"))
    assert "try a lower learning_rate" in json.loads((run / "failure.json").read_text())["reason"]
    assert not runs.Run(run).finished and "the loss became" in runs.Run(run).failure


def test_a_full_disk_ends_the_run_with_a_reason(photos, split, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(network.TrainingFailed, match="could not write or read a file: .*No space left on device"):
        train(photos, split, name="full")


def test_memory_that_runs_out_is_explained():
    reason = network.explain_failure(MemoryError(), TINY)
    assert reason == "out of memory at batch size 4 and 16 px; try a smaller batch_size, image_size or filters"


def test_early_stopping_ends_a_run_before_its_last_epoch(photos, split):
    frozen = TINY.training.replace(epochs=9, learning_rate=1e-12, early_stopping="loss", patience=2, ema=0.0, sizes=())
    run = train(photos, split, TINY.replace(training=frozen, augment=Augment()), name="stopped")
    assert run.metrics()["epochs"] < 9


def test_mixed_precision_with_a_compiled_graph_trains_to_float32_logits(photos, split):
    """What a GPU run uses, computed on the CPU."""
    device = Device("cpu", precision="mixed_float16", compile_graph=True)
    small = TINY.replace(training=TINY.training.replace(epochs=2, sizes=()))
    run = train(photos, split, small, name="mixed", device=device)
    model = run.load_model()
    assert model.output.dtype == "float32" and model.get_layer("Stem__conv").compute_dtype == "float16"
    assert run.environment()["precision"] == "mixed_float16" and np.isfinite(run.history()["loss"]).all()
