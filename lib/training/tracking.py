"""Progress on the screen, `history.csv` and TensorBoard: what can be watched while a model is fitted.

In a run folder TensorBoard finds `train` and `validation` (scalars), `graph` (the model, one box a block) and the
run's hyperparameters; the folder of all runs holds the declaration of every hyperparameter column.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator

import pandas as pd
import tensorflow as tf
from IPython import get_ipython
from tensorboard.plugins.hparams import api as hp

from lib.config import Experiment
from lib.models.graph import graph_def
from lib.training.event_files import SCALARS
from lib.training.runs import Run


class Tracker:
    """Shows one run while it happens, and writes down each finished epoch."""

    def __init__(self, run: Run, *, epochs: int, save: Callable[[], None]):
        self.run = run
        self.epochs = epochs
        self.save = save
        self.bar = progress_bar(run.id)
        self.writers = {name: tf.summary.create_file_writer(str(run.folder / name)) for name in SCALARS}

    def step(self, epoch: int, step: int, steps: int) -> None:
        """Move the bar; called after each batch."""
        if self.bar is not None:
            self.bar.total, self.bar.n = self.epochs * steps, epoch * steps + step
            self.bar.update(0)

    def epoch(self, history: list[dict]) -> None:
        """Save the state, then show the last row of the history."""
        self.save()
        pd.DataFrame(history).to_csv(self.run.folder / "history.csv", index=False)
        self.write_scalars(history[-1:])
        row = history[-1]
        scores = f"loss {row['loss']:.3f}, accuracy {row['accuracy']:.3f}, val {row['val_accuracy']:.3f}"
        if self.bar is not None:
            self.bar.set_postfix_str(scores, refresh=False)
        else:
            print(f"{self.run.id}: epoch {row['epoch']}/{self.epochs}, {scores}, {row['seconds']:.1f} s", flush=True)

    def write_scalars(self, rows: list[dict]) -> None:
        """Write some epochs to TensorBoard's event files."""
        for name, columns in SCALARS.items():
            with self.writers[name].as_default():
                for row in rows:
                    for scalar, column in columns.items():
                        tf.summary.scalar(f"epoch_{scalar}", row[column], step=row["epoch"])
            self.writers[name].flush()

    def close(self) -> None:
        """End the event files and the bar."""
        for writer in self.writers.values():
            writer.close()
        if self.bar is not None:
            self.bar.close()


@contextlib.contextmanager
def track(run: Run, state, *, epochs: int, save: Callable[[], None]) -> Iterator[Tracker]:
    """Open the tracker of a run: epochs that were finished before an interruption are written again, once.

    Args:
        run: the run folder.
        state: holds `model` and `history`.
        epochs: how many there will be.
        save: writes the state to disk; called first after each epoch.
    """
    for file in run.folder.rglob("events.out.tfevents.*"):
        file.unlink()
    tracker = Tracker(run, epochs=epochs, save=save)
    write_graph(run, state.model)
    tracker.write_scalars(state.history)
    try:
        yield tracker
    finally:
        tracker.close()


def write_graph(run: Run, model) -> None:
    """Write the model's graph, with one collapsible box a block."""
    writer = tf.summary.create_file_writer(str(run.folder / "graph"))
    with writer.as_default():
        tf.summary.graph(graph_def(model))
    writer.close()


def write_hyperparameters(run: Run, experiment: Experiment, *, seed: int) -> None:
    """Write the settings of one run for TensorBoard's HParams page."""
    values = {"seed": seed} | {name: _plain(value) for name, value in experiment.flat().items() if name != "why"}
    writer = tf.summary.create_file_writer(str(run.folder))
    with writer.as_default():
        hp.hparams(values, trial_id=run.id)
        tf.summary.scalar("val_accuracy", run.metrics()["val_accuracy"], step=0)
        tf.summary.scalar("val_loss", run.metrics()["val_loss"], step=0)
    writer.close()


def declare_hyperparameters(folder, experiments: dict[str, Experiment]) -> None:
    """Declare every column that differs between experiments, before the first run: TensorBoard adds none later."""
    settings = [experiment.flat() for experiment in experiments.values()]
    differing = [name for name in settings[0] if name != "why" and len({str(flat[name]) for flat in settings}) > 1]
    for file in folder.glob("events.out.tfevents.*"):
        file.unlink(missing_ok=True)  # another process may have been quicker
    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default():
        hp.hparams_config(
            hparams=[hp.HParam(name) for name in ["seed", *differing]],
            metrics=[hp.Metric("val_accuracy"), hp.Metric("val_loss")],
        )
    writer.close()


def _plain(value: object) -> object:
    return value if isinstance(value, (bool, int, float, str)) else str(value)


def progress_bar(title: str):
    """A bar in a terminal or in Jupyter; None where nobody watches, and lines are better."""
    if os.environ.get("COURSEWORK_HEADLESS"):
        return None
    if hasattr(get_ipython(), "kernel"):
        from tqdm.notebook import tqdm
    elif sys.stderr.isatty():
        from tqdm import tqdm
    else:
        return None
    return tqdm(desc=title, unit="step", total=1)
