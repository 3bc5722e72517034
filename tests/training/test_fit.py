"""lib.training.fit: a run folder is complete, repeatable, and survives being killed."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pandas as pd
import pytest
from tiny_training import LONG, TINY, job, opened, train

from lib.config import Augment, Experiment, Training, paths
from lib.inputs.cache import open_images
from lib.models import ConvBlocks, Residual
from lib.training import fit, jobs, runs
from lib.training.device import Device, reproducible
from lib.training.steps import make_optimizer


def weights(run):
    return [variable.numpy() for variable in run.load_model().weights]


def same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_run_holds_all_that_reports_need(photos):
    run, split = train(photos), opened(photos).split
    assert run.finished and run.failure is None
    history = run.history()
    assert list(history["epoch"]) == [1, 2, 3, 4] and list(history["image_size"]) == [12, 12, 16, 16]
    assert run.config()["settings"]["training.weight_decay"] == 0.001
    assert run.config()["experiment"] == "tiny" and run.config()["classes"] == list(photos.class_names)
    rows, labels, probabilities = run.predictions("val")
    assert np.array_equal(rows, split.val) and np.array_equal(labels, photos.index["label"].to_numpy()[split.val])
    assert probabilities.shape == (len(split.val), 3) and np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert run.metrics()["val_accuracy"] == pytest.approx(np.mean(probabilities.argmax(1) == labels))
    expected = -np.log(probabilities[np.arange(len(labels)), labels]).mean()
    assert run.metrics()["val_loss"] == pytest.approx(expected, rel=1e-5)
    facts = run.environment()
    assert facts["device"] in ("cpu", "gpu") and facts["wall_seconds"] > 0 and facts["tensorflow"] and facts["threads"]
    assert facts["peak_memory_mb"] > 0 and not (run.folder / "checkpoint.npz").exists()


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(photos):
    first = weights(train(photos, name="first"))
    assert same(first, weights(train(photos, name="second")))
    assert not same(first, weights(train(photos, name="third", seed=1)))


def test_test_images_are_predicted_only_when_asked_for_and_only_once(photos):
    run, split = train(photos), opened(photos).split
    with pytest.raises(runs.RunError, match=r"no predictions_test.npz"):
        run.predictions("test")
    assert job(photos).predict_test() == run
    rows, labels, probabilities = run.predictions("test")
    assert np.array_equal(rows, split.test) and len(labels) == len(probabilities) == len(split.test)
    written = (run.folder / "predictions_test.npz").stat().st_mtime_ns
    job(photos).predict_test()
    assert (run.folder / "predictions_test.npz").stat().st_mtime_ns == written


KILLED = """
    import sys
    from lib.training.device import import_tensorflow
    import_tensorflow()
    sys.path.insert(0, {tests!r})
    import tiny_training
    from lib import datasets
    tiny_training.train(datasets.load("folder", path={folder!r}), tiny_training.LONG, name="killed")
"""


def test_a_killed_run_continues_and_ends_with_the_same_weights(photos, photo_folder):
    """SIGKILL, twice, at moments that nobody chose; then the run is finished in this process."""
    undisturbed = train(photos, LONG, name="undisturbed")
    code = textwrap.dedent(KILLED.format(tests=str(paths.ROOT / "tests"), folder=str(photo_folder)))
    run = job(photos, LONG, name="killed").run
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
    finished = train(photos, LONG, name="killed")
    assert same(weights(undisturbed), weights(finished))
    columns = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]
    pd.testing.assert_frame_equal(undisturbed.history()[columns], finished.history()[columns])


def test_a_training_on_growing_images_ends_with_the_same_bits_wherever_it_stopped(photos):
    """Twelve stops, at a change of size and after it, with plain and with orthogonal steps, in both number formats."""
    narrow, stacked = Residual(filters=(4,), blocks=(1,)), ConvBlocks(filters=(4, 8), convolutions=1)
    sgd, muon = Training(epochs=6, batch_size=4, learning_rate=0.01, weight_decay=0.001), {"optimizer": "muon"}
    cases = [
        (sgd, narrow, (16,), 24, (3, 4)),
        (sgd, stacked, (8, 12), 16, (2, 3, 4)),
        (sgd, ConvBlocks(filters=(4,), convolutions=1, dropout=0.3), (12, 16), 8, (2, 3, 4)),
        (sgd.replace(**muon), narrow, (16,), 24, (3, 4)),
        (sgd.replace(**muon, precision="mixed_bfloat16"), narrow, (16,), 24, (3, 4)),
    ]

    def run_all(experiment, *, start=None, stops=()) -> list[np.ndarray]:
        """All variables at the end; the state at each stop is kept in a file."""
        with reproducible(0, precision=experiment.training.precision):
            model = experiment.model.build(3, image_size=experiment.image_size)
            state = fit.State(model, make_optimizer(experiment.training), [])
            state.optimizer.build(model.trainable_variables)
            if start:
                state.restore(start)

            def tell(event, *_):
                if event == "epoch" and len(state.history) in stops:
                    state.save(photos.root / f"{len(state.history)}.npz")

            fit.run_epochs(state, experiment, data, seed=0, tell=tell, compile_graph=False)
            return [variable.numpy() for variable in state.variables()]

    split, differing = opened(photos).split, []
    data = fit.Data(lambda size: open_images(photos, size=size), split.train, split.val)
    for training, model, sizes, last, stops in cases:
        experiment = Experiment(why="?", model=model, training=training.replace(sizes=sizes), image_size=last)
        whole = run_all(experiment, stops=stops)
        for stop in stops:
            if not same(whole, run_all(experiment, start=photos.root / f"{stop}.npz")):
                differing.append((model.name, sizes, last, stop))
    assert differing == []


def test_a_loss_that_is_no_number_ends_the_run_with_a_reason(photos, capsys):
    run = train(photos, TINY.replace(training=TINY.training.replace(learning_rate=1e30)), name="wild")
    assert f"failed: {run.id}: the loss became" in capsys.readouterr().out
    assert "try a lower learning_rate" in json.loads((run.folder / "failure.json").read_text())["reason"]
    assert not run.finished and "the loss became" in run.failure


def test_a_bad_disk_and_too_little_memory_end_the_run_with_a_reason(photos, monkeypatch):
    for error, reason in (
        (OSError(5, "Input/output error"), "could not write or read a file: .*Input/output error"),
        (MemoryError(), "out of memory; try a smaller batch_size"),
    ):

        def fail(*_, error=error, **__):
            raise error

        monkeypatch.setattr(np, "savez", fail)
        assert re.search(reason, train(photos, name=f"bad_{type(error).__name__}").failure)


def test_early_stopping_ends_a_run_before_its_last_epoch(photos):
    frozen = TINY.training.replace(epochs=9, learning_rate=1e-12, early_stopping="loss", patience=2, sizes=())
    run = train(photos, TINY.replace(training=frozen, augment=Augment()), name="stopped")
    assert run.metrics()["epochs"] < 9


def test_mixed_precision_with_a_compiled_graph_leaves_a_network_in_float32(photos, monkeypatch):
    """What a GPU run uses, computed on the CPU."""
    device = Device("cpu", compile_graph=True)
    for module in (fit, jobs.device):
        monkeypatch.setattr(module, "find_device", lambda: device)
    small = TINY.replace(training=TINY.training.replace(epochs=2, sizes=(), precision="mixed_float16"))
    run = train(photos, small, name="mixed")
    assert {layer.compute_dtype for layer in run.load_model().layers} == {"float32"}
    assert run.environment()["precision"] == "mixed_float16" and np.isfinite(run.history()["loss"]).all()
