"""Fitting one perceptron: as `training.fit`, by hand-written steps."""

import math
import time
from collections.abc import Iterator

import numpy as np
import pandas as pd
import tensorflow as tf

from lib.config import Perceptron
from lib.config.files import write_arrays
from lib.low_level.images import FlatImages, Rows
from lib.low_level.loop import Graphs, make_graphs, make_network
from lib.low_level.network import Network, probabilities
from lib.low_level.trace import trace_step
from lib.training.device import reproducible
from lib.training.jobs import JobFailed
from lib.training.observers import usual_observers, watching, write_graph
from lib.training.runs import Run


def fit(perceptron: Perceptron, images: FlatImages, *, run: Run, seed: int) -> tuple[dict, float]:
    """Train a perceptron; leave its weights and its predictions on val in its run folder. Test is not read.

    Returns:
        Final figures on train and val, and the seconds of all epochs.

    Raises:
        JobFailed: if the loss is no number any more.
    """
    with reproducible(seed):
        graphs = make_graphs(perceptron, images, seed=seed)
        history, best = [], {"val_accuracy": -1.0}
        with watching(usual_observers(run, epochs=perceptron.epochs)) as tell:
            write_graph(run, trace_step(graphs.step, graphs.network).graph)
            for row in epochs(perceptron, images, graphs=graphs, seed=seed):
                history.append(row)
                if row["val_accuracy"] > best["val_accuracy"]:
                    best = row | {"weights": weights(graphs.network)}
                tell("step", row["epoch"] - 1, 1, 1)
                tell("epoch", history)
        write_arrays(run.folder / "weights.npz", weights(graphs.network))
        write_arrays(run.folder / "weights_best.npz", best["weights"])
        _write_predictions(graphs.network, images.val, run=run, role="val")
    frame = pd.DataFrame(history)
    last, highest = frame.iloc[-1], frame.loc[frame["val_accuracy"].idxmax()]
    metrics = {
        "val_accuracy": last["val_accuracy"],
        "val_loss": last["val_loss"],
        "train_accuracy": last["accuracy"],
        "train_loss": last["loss"],
        "best_val_accuracy": highest["val_accuracy"],
        "best_epoch": int(highest["epoch"]),
        "epochs": len(frame),
        "updates": int(last["updates"]),
        "parameters": sum(int(tf.size(variable)) for variable in graphs.network.trainable_variables),
    }
    return metrics, frame["seconds"].sum()


def epochs(perceptron: Perceptron, images: FlatImages, *, graphs: Graphs, seed: int) -> Iterator[dict]:
    """Train, one epoch after the other; an epoch is one call of one graph.

    Yields:
        A row of the history: epoch, updates (steps so far), loss, accuracy, val_loss and val_accuracy (all after the
        epoch; train is measured on a fixed sample of as many images as val), learning_rate, and seconds (of the steps
        alone, without the tracing before and the evaluation after them).

    Raises:
        JobFailed: if the loss is no number any more.
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
            raise JobFailed(f"the loss became {loss} in epoch {epoch}; try a lower learning_rate")
        yield row | {"learning_rate": perceptron.learning_rate}


def predict(network: Network, images: np.ndarray, *, batch_size: int = 4096) -> np.ndarray:
    """Class probabilities of images (N, inputs): (N, C) float32."""
    starts = range(0, len(images), batch_size)
    return np.concatenate([probabilities(network(images[start : start + batch_size]).numpy()) for start in starts])


def predict_test(perceptron: Perceptron, images: FlatImages, *, run: Run, best: bool = False) -> None:
    """Write the predictions of a finished run on the test images, by its last weights or by those of its best epoch."""
    suffix = "_best" if best else ""
    network = make_network(perceptron, images, seed=0)
    with np.load(run.folder / f"weights{suffix}.npz") as stored:
        for variable in network.variables:
            variable.assign(stored[variable.name])
    _write_predictions(network, images.test, run=run, role=f"test{suffix}")


def weights(network: Network) -> dict[str, np.ndarray]:
    """Every variable by its name, running statistics included."""
    return {variable.name: variable.numpy() for variable in network.variables}


def _write_predictions(network: Network, rows: Rows, *, run: Run, role: str) -> None:
    probabilities = predict(network, rows.images)
    run.write_predictions(role, rows=rows.index, labels=rows.labels, probabilities=probabilities)
