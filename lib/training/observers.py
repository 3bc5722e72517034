"""What watches a run while it is fitted: each observer is told of every step and every finished epoch.

In a run folder TensorBoard finds `train` and `validation` (scalars), `graph` (the network, one box per block) and the
run's hyperparameters; the folder of all runs holds the declaration of every hyperparameter column.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import pandas as pd
import tensorflow as tf
from tensorboard.plugins.hparams import api as hp

from lib.config import Config
from lib.config.files import replacing
from lib.config.progress import progress_bar
from lib.training.event_files import SCALARS
from lib.training.mlflow import track
from lib.training.runs import Run

BAR = "{desc}: {percentage:.0f}%|{bar}| {elapsed}<{remaining}{postfix}"


class Observer:
    """Watches one run; every method may be left as it is. A history is one dict per finished epoch."""

    def start(self, history: list[dict]) -> None:
        """Called first, with the epochs that were finished before an interruption."""

    def step(self, epoch: int, done: int, steps: int) -> None:
        """Called when `done` of the `steps` of an epoch are done; epochs count from 0."""

    def epoch(self, history: list[dict]) -> None:
        """Called after each epoch."""

    def close(self) -> None:
        """Called last, also where fitting failed."""


@contextlib.contextmanager
def watching(observers: Iterable[Observer]) -> Iterator[Callable]:
    """A function that tells all observers, in their order: `tell("epoch", history)`; they are closed at the end."""
    observers = list(observers)

    def tell(event: str, *facts) -> None:
        for observer in observers:
            getattr(observer, event)(*facts)

    try:
        yield tell
    finally:
        tell("close")


class Checkpoint(Observer):
    """Saves the state after each epoch; comes first, so that nothing is shown that would be lost."""

    def __init__(self, save: Callable[[], None]):
        self.save = save

    def epoch(self, history):
        self.save()


class HistoryFile(Observer):
    """Keeps `history.csv`."""

    def __init__(self, run: Run):
        self.file = run.folder / "history.csv"

    def start(self, history):
        if history:  # killed perhaps just before it was written
            self.epoch(history)

    def epoch(self, history):
        with replacing(self.file) as partial:
            pd.DataFrame(history).to_csv(partial, index=False)


class TensorBoard(Observer):
    """Writes the scalars of each epoch to event files; those of an interrupted training are written anew."""

    def __init__(self, run: Run):
        for file in run.folder.rglob("events.out.tfevents.*"):
            file.unlink()
        self.writers = {name: tf.summary.create_file_writer(str(run.folder / name)) for name in SCALARS}

    def start(self, history):
        for number in range(len(history)):
            self.epoch(history[: number + 1])

    def epoch(self, history):
        row = history[-1]
        for name, columns in SCALARS.items():
            with self.writers[name].as_default():
                for scalar, column in columns.items():
                    tf.summary.scalar(f"epoch_{scalar}", row[column], step=row["epoch"])
            self.writers[name].flush()

    def close(self):
        for writer in self.writers.values():
            writer.close()


class MLflow(Observer):
    """Logs each epoch in MLflow, where TRACK=mlflow asks for it."""

    def __init__(self, run: Run):
        self.run = run

    def epoch(self, history):
        track(self.run, history)

    def close(self):
        track(self.run)


class Screen(Observer):
    """A progress bar in a terminal or in Jupyter; a line per epoch where nobody watches."""

    def __init__(self, run: Run, *, epochs: int):
        self.run = run
        self.epochs = epochs
        name = run.id.rpartition("-")[0]  # without the checksum, for which a widget has no room
        self.bar = progress_bar(name, total=1, unit="step", bar_format=BAR)

    def step(self, epoch, done, steps):
        if not self.bar.disable:
            self.bar.total, self.bar.n = self.epochs * steps, epoch * steps + done
            self.bar.update(0)

    def epoch(self, history):
        row = history[-1]
        scores = f"loss {row['loss']:.3f}, accuracy {row['accuracy']:.3f}, val {row['val_accuracy']:.3f}"
        if not self.bar.disable:
            self.bar.set_postfix_str(scores, refresh=False)
        else:
            print(f"{self.run.id}: epoch {row['epoch']}/{self.epochs}, {scores}, {row['seconds']:.1f} s", flush=True)

    def close(self):
        self.bar.close()


def usual_observers(run: Run, *, epochs: int) -> list[Observer]:
    """What watches every run: its history file, TensorBoard, MLflow where it is asked for, and the screen."""
    return [HistoryFile(run), TensorBoard(run), MLflow(run), Screen(run, epochs=epochs)]


def write_graph(run: Run, graph) -> None:
    """Write a `tf.Graph` or `GraphDef` for TensorBoard's Graphs page."""
    with tf.summary.create_file_writer(str(run.folder / "graph")).as_default() as writer:
        tf.summary.graph(graph)
        writer.close()


def write_hyperparameters(run: Run, values: Mapping[str, object], *, metrics: dict) -> None:
    """Write the settings of one run, its `val_accuracy` and `val_loss`, for TensorBoard's HParams page."""
    flat = {name: value for name, value in values.items() if name != "why"}
    plain = {name: value if isinstance(value, (bool, int, float, str)) else str(value) for name, value in flat.items()}
    writer = tf.summary.create_file_writer(str(run.folder))
    with writer.as_default():
        hp.hparams(plain, trial_id=run.id)
        for name in ("val_accuracy", "val_loss"):
            tf.summary.scalar(name, metrics[name], step=0)
    writer.close()


def differing(settings: Iterable[Config]) -> list[str]:
    """The names of settings that are not the same in all of some."""
    flats = [one.flat() for one in settings]
    names = dict.fromkeys(name for flat in flats for name in flat if name != "why")
    return [name for name in names if len({str(flat.get(name)) for flat in flats}) > 1]


def declare_hyperparameters(folder: Path, names: Iterable[str]) -> None:
    """Declare every column of the HParams page, before the first run: TensorBoard adds none later."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("events.out.tfevents.*"):
        file.unlink(missing_ok=True)  # another process may have been quicker
    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default():
        hp.hparams_config(
            hparams=[hp.HParam(name) for name in names],
            metrics=[hp.Metric("val_accuracy"), hp.Metric("val_loss")],
        )
    writer.close()
