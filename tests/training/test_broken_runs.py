"""Runs that were damaged, interrupted, or begun twice at once end as whole ones, and a line says what happened."""

import subprocess
import sys

import numpy as np
import pytest
from small_disk import DAMAGES, damage, small_disk
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_training import job

from lib.config import Augment, Experiment, Training, paths
from lib.config.files import FolderError, locked
from lib.inputs.cache import open_images
from lib.models import Softmax
from lib.training import observers
from lib.training.jobs import run_job, run_jobs
from lib.training.network import NetworkJob
from lib.training.runs import Run, RunError

FAST = Experiment("Is it whole?", model=Softmax(), training=Training(epochs=2), augment=Augment(), image_size=8)


class GuessJob(NetworkJob):
    """Leaves the files of a network in no time."""

    def fit(self):
        folder, rows = self.run.folder, self.opened.split.val
        (folder / "train").mkdir(exist_ok=True)
        for name in ("model.keras", "history.csv", "train/events.out.tfevents.1"):
            (folder / name).write_text(f"what {name} holds")
        labels = self.opened.dataset.index["label"].to_numpy()[rows]
        self.run.write_predictions("val", rows=rows, labels=labels, probabilities=np.eye(3)[labels])
        return {"val_accuracy": 1.0, "val_loss": 0.0}, 0.5


def fast(photos, kind=NetworkJob) -> NetworkJob:
    planned = job(photos, FAST, name="fast")
    return kind(planned.opened, planned.name, planned.settings, planned.seed)


def weights(run):
    return [weight.tobytes() for weight in run.load_model().get_weights()]


def test_a_damaged_run_is_made_again_whichever_file_it_is(photos, capsys):
    guess = fast(photos, GuessJob)
    run = run_job(guess)
    assert run.damage() is None
    metrics, names = run.metrics(), {file.name for file in run.folder.rglob("*") if file.is_file()}
    assert names > {"config.json", "environment.json", "metrics.json", "files.json", "predictions.npz", "model.keras"}
    for number, name in enumerate(sorted({name.split(".")[0] for name in names})):
        for way in (*DAMAGES, "gone"):
            file = next(file for file in run.folder.rglob(f"{name}.*"))
            file.unlink() if way == "gone" else damage(file, way)
            capsys.readouterr()
            assert (run_job(guess) if number % 2 else run_jobs([guess])[0]) == run
            if (name, way) != ("metrics", "gone"):  # that one is not finished
                expected = f"{run.id}: {file.relative_to(run.folder)} is missing or damaged, and the run is made again"
                assert expected in capsys.readouterr().out
            assert run.damage() is None and run.metrics() == metrics
    capsys.readouterr()
    assert run_job(guess) == run and capsys.readouterr().out == ""


def test_what_cannot_be_read_is_named(photos):
    run = run_job(fast(photos, GuessJob))
    readers = {"config.json": Run.config, "metrics.json": Run.metrics, "environment.json": Run.environment}
    readers |= {"history.csv": Run.history, "predictions.npz": Run.predictions, "model.keras": Run.load_model}
    for name, read in readers.items():
        whole = (run.folder / name).read_bytes()
        for way in DAMAGES:
            damage(run.folder / name, way)
            if (name, way) != ("metrics.json", "other"):  # names and values, as those of any kind of job
                with pytest.raises(RunError, match=rf"Run fast-seed0-\w+: {name} cannot be read \(.*Run it again"):
                    read(run)
            (run.folder / name).write_bytes(whole)


def test_a_failure_without_a_readable_reason_is_tried_again(photos, capsys):
    guess = fast(photos, GuessJob)
    for content in (b"", b'{"reas', b"[1]", b'{"why": 1}', b"\xff"):
        guess.run.folder.mkdir(parents=True, exist_ok=True)
        (guess.run.folder / "metrics.json").unlink(missing_ok=True)
        (guess.run.folder / "failure.json").write_bytes(content)
        assert guess.run.failure is None
        assert run_jobs([guess]) == [guess.run] and "failed earlier" not in capsys.readouterr().out


def test_damaged_predictions_on_test_are_made_again(photos, capsys):
    network = fast(photos)
    run_job(network)
    expected = network.predict_test().predictions("test")
    for way in DAMAGES:
        damage(network.run.predictions_file("test"), way)
        capsys.readouterr()
        found = network.predict_test().predictions("test")
        assert capsys.readouterr().out == f"{network.run.id}: predictions_test.npz is damaged, and is made again\n"
        assert all(np.array_equal(one, other) for one, other in zip(expected, found, strict=True))


def test_a_damaged_cache_of_images_is_made_again(photos, capsys):
    expected = open_images(photos, size=8).pixels.copy()
    (file,) = (paths.cache() / "pixels").iterdir()
    for way in DAMAGES:
        damage(file, way)
        assert np.array_equal(open_images(photos, size=8).pixels, expected)
        assert capsys.readouterr().out == f"{file.name} in the cache is damaged, and is made again\n"


class Stopped(Exception):
    """In place of a process that is killed."""


def stop(*_):
    raise Stopped


def test_a_damaged_checkpoint_begins_anew_and_ends_with_the_same_weights(photos, capsys, monkeypatch):
    network = fast(photos)
    expected = weights(run_job(network))
    (network.run.folder / "metrics.json").unlink()
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(observers.Screen, "epoch", stop)
        run_job(network)
    whole = (network.run.folder / "checkpoint.npz").read_bytes()
    for way in DAMAGES:
        (network.run.folder / "metrics.json").unlink(missing_ok=True)
        (network.run.folder / "checkpoint.npz").write_bytes(whole)
        damage(network.run.folder / "checkpoint.npz", way)
        capsys.readouterr()
        assert weights(run_job(network)) == expected
        said = capsys.readouterr().out
        assert f"{network.run.id}: checkpoint.npz is damaged, and the training begins anew\n" in said
        assert not (network.run.folder / "checkpoint.npz").exists()


def test_a_run_killed_before_its_last_file_has_its_hyperparameters_once(photos, monkeypatch):
    network = fast(photos)
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(Run, "finish", stop)
        run_job(network)
    assert not network.run.finished
    run = run_job(network)
    events = EventAccumulator(str(run.folder), size_guidance={"tensors": 0})
    events.Reload()
    assert run.finished and run.damage() is None
    assert "_hparams_/session_start_info" in events.Tags()["tensors"] and len(events.Tensors("val_accuracy")) == 1


HOLDER = """
import os, signal, sys, time
from pathlib import Path
from lib.config.files import locked
with locked(Path(sys.argv[1]), title="it"):
    print("held", flush=True)
    sys.stdin.readline()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_same_run_is_not_fitted_twice_at_once(photos, tmp_path, monkeypatch):
    """A process that holds the lock is killed; until then the second one waits."""
    guess, told = fast(photos, GuessJob), []
    lock = guess.run.folder.with_name(f".{guess.run.id}.lock")
    command = [sys.executable, "-c", HOLDER, lock]
    with subprocess.Popen(command, cwd=paths.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"

        def tell(text, **_):
            told.append((text, guess.run.finished))
            holder.stdin.write("\n")
            holder.stdin.flush()

        monkeypatch.setattr("builtins.print", tell)
        assert run_job(guess).finished
    assert told == [(f"Another process works on the run {guess.run.id}: waiting for its end", False)]


def test_a_folder_without_locks_is_said_to_be_one(tmp_path, capsys):
    (tmp_path / "lock").mkdir()  # a file that cannot be opened, as one in some network folders
    with locked(tmp_path / "lock", title="the run x"):
        pass
    assert "cannot be locked" in capsys.readouterr().out


def test_a_full_disk_stops_all_jobs_and_room_lets_them_go_on(photos, capsys, monkeypatch):
    expected = weights(run_job(fast(photos)))
    disk = paths.reports().parent / "disk"
    with small_disk(disk, "8k") as remount:
        monkeypatch.setenv("COURSEWORK_REPORTS", str(disk))
        for options, reason in (("size=8k", "No room is left on the disk of"), ("ro", "cannot be written to: allow")):
            remount(options)
            capsys.readouterr()
            with pytest.raises(FolderError, match=reason) as caught:
                run_jobs([fast(photos), fast(photos, GuessJob)])
            assert str(disk) in str(caught.value)
            assert capsys.readouterr().out.count("] fast-seed0-") == 1
        remount("rw,size=16m")
        (run,) = run_jobs([fast(photos)])
        assert weights(run) == expected
