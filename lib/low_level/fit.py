"""One perceptron in, one run folder out: as `training`, by hand-written steps."""

import math
import time
from collections.abc import Iterator

import numpy as np
import pandas as pd
import tensorflow as tf

from lib.config import Perceptron
from lib.config.files import write_arrays, write_json
from lib.low_level.graphs import Graphs, make_graphs, make_network
from lib.low_level.images import FlatImages, Rows
from lib.low_level.network import Network, probabilities
from lib.low_level.trace import write_graph
from lib.training.device import environment, find_device, peak_memory_mb
from lib.training.runs import Run
from lib.training.tracking import Tracker


class Diverged(ValueError):
    """The loss is no number any more."""


def fit(perceptron: Perceptron, images: FlatImages, *, run: Run, seed: int) -> None:
    """Train a perceptron and leave its run folder complete.

    Args:
        perceptron: all settings.
        images: what it trains on and what its epochs are compared by; test is not read.
        run: the folder, with `config.json` in it.
        seed: of the weights and of the order of the images.

    Raises:
        Diverged: if the loss is no number any more.
    """
    tf.config.experimental.enable_op_determinism()  # for the whole process, as other trainings do that it may have run
    graphs = make_graphs(perceptron, images, seed=seed)
    write_graph(run.folder / "graph", graphs.step, graphs.network)
    tracker, history, best = Tracker(run, epochs=perceptron.epochs, save=lambda: None), [], {"val_accuracy": -1.0}
    for row in epochs(perceptron, images, graphs=graphs, seed=seed):
        history.append(row)
        if row["val_accuracy"] > best["val_accuracy"]:
            best = row | {"weights": weights(graphs.network)}
        tracker.write_scalars([row])
        tracker.step(row["epoch"] - 1, 1, 1)
    tracker.close()
    write_arrays(run.folder / "weights.npz", weights(graphs.network))
    write_arrays(run.folder / "weights_best.npz", best["weights"])
    _write_facts(graphs.network, images.val, run=run, history=pd.DataFrame(history))


def epochs(perceptron: Perceptron, images: FlatImages, *, graphs: Graphs, seed: int) -> Iterator[dict]:
    """Train, one epoch after the other; an epoch is one call of one graph.

    Yields:
        A row of the history: epoch, updates (steps so far), loss, accuracy, val_loss and val_accuracy (all after the
        epoch; train is measured on a fixed sample of as many images as val), learning_rate, and seconds (of the steps
        alone, without the tracing before and the evaluation after them).

    Raises:
        Diverged: if the loss is no number any more.
    """
    train, targets = tf.constant(images.train.images), tf.constant(images.train.targets)
    count = len(images.train.labels)
    sample = np.random.default_rng(0).permutation(count)[: len(images.val.labels)]
    sides = {
        "": (tf.constant(images.train.images[sample]), tf.constant(images.train.targets[sample])),
        "val_": (tf.constant(images.val.images), tf.constant(images.val.targets)),
    }
    graphs.run_epoch.get_concrete_function(train, targets, tf.TensorSpec((count,), tf.int32))
    steps = math.ceil(count / (perceptron.batch_size or count))
    for epoch in range(1, perceptron.epochs + 1):
        order = tf.constant(np.random.default_rng([seed, epoch]).permutation(count), tf.int32)
        started = time.perf_counter()
        loss = float(graphs.run_epoch(train, targets, order)[0])
        row = {"epoch": epoch, "updates": epoch * steps, "seconds": time.perf_counter() - started}
        for side, pair in sides.items():
            row[f"{side}loss"], row[f"{side}accuracy"] = (float(value) for value in graphs.evaluate(*pair))
        if not math.isfinite(loss + row["loss"] + row["val_loss"]):
            raise Diverged(f"the loss became {loss} in epoch {epoch}; try a lower learning_rate")
        yield row | {"learning_rate": perceptron.learning_rate}


def predict(network: Network, images: np.ndarray, *, batch_size: int = 4096) -> np.ndarray:
    """Class probabilities of images (N, inputs): (N, C) float32."""
    starts = range(0, len(images), batch_size)
    return np.concatenate([probabilities(network(images[start : start + batch_size]).numpy()) for start in starts])


def predict_test(perceptron: Perceptron, images: FlatImages, *, run: Run, best: bool = False) -> None:
    """Write the predictions of a finished run on the test images.

    Args:
        perceptron: the run's settings.
        images: with the test images.
        run: the run folder.
        best: whether to take the weights of the epoch with the highest val accuracy, as `predictions_test_best.npz`,
            instead of the last ones, as `predictions_test.npz`.
    """
    suffix = "_best" if best else ""
    network = make_network(perceptron, images, seed=0)
    with np.load(run.folder / f"weights{suffix}.npz") as stored:
        for variable in network.variables:
            variable.assign(stored[variable.name])
    _write_predictions(network, images.test, run=run, name=f"predictions_test{suffix}")


def weights(network: Network) -> dict[str, np.ndarray]:
    """Every variable by its name, running statistics included."""
    return {variable.name: variable.numpy() for variable in network.variables}


def _write_predictions(network: Network, rows: Rows, *, run: Run, name: str) -> None:
    arrays = {"rows": rows.index, "labels": rows.labels, "probabilities": predict(network, rows.images)}
    write_arrays(run.folder / f"{name}.npz", arrays)


def _write_facts(network: Network, val: Rows, *, run: Run, history: pd.DataFrame) -> None:
    """What a finished run holds; `metrics.json` comes last and says that all is there."""
    history.to_csv(run.folder / "history.csv", index=False)
    _write_predictions(network, val, run=run, name="predictions")
    facts = {"wall_seconds": history["seconds"].sum(), "peak_memory_mb": peak_memory_mb()}
    write_json(run.folder / "environment.json", environment(find_device()) | facts)
    last, best = history.iloc[-1], history.loc[history["val_accuracy"].idxmax()]
    metrics = {
        "val_accuracy": last["val_accuracy"],
        "val_loss": last["val_loss"],
        "train_accuracy": last["accuracy"],
        "train_loss": last["loss"],
        "best_val_accuracy": best["val_accuracy"],
        "best_epoch": int(best["epoch"]),
        "epochs": len(history),
        "updates": int(last["updates"]),
        "parameters": sum(int(tf.size(variable)) for variable in network.trainable_variables),
    }
    write_json(run.folder / "metrics.json", metrics)
