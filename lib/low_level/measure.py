"""What is measured beside the trainings: the same steps by Keras, the speed of each route, and Adam's first steps."""

import contextlib
import itertools
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from lib.config import Perceptron
from lib.low_level.fit import epochs
from lib.low_level.images import FlatImages
from lib.low_level.loop import make_epoch, make_graphs, make_network, make_step, make_update
from lib.low_level.network import Network
from lib.training.device import reproducible
from lib.training.jobs import JobFailed
from lib.training.runs import Run

STEPS = 20  # compared with Keras
FIRST_STEPS = 100  # of Adam
EPOCH = 10_000  # images of a timed epoch
EAGER_STEPS = 50  # timed instead of an epoch: they are slow
ROUNDS = 3  # each route is timed once a round, so that a busy moment does not hit one route alone
BATCH_SIZES = (32, 512)
RATES = {
    "rates_of_norm": (0.01, 0.03, 0.1, 0.3, 1.0, 3.0),
    "rates_of_adam": (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3),
}


def measure(
    name: str, members: Mapping[str, Perceptron], *, images: FlatImages, run: Run, seeds: Sequence[int]
) -> tuple[dict, float]:
    """Make one measurement of `jobs.MEASUREMENTS` with its perceptrons; its table is `measured.csv` in the run folder.

    Returns:
        The number of rows, as `{"rows": ...}`, and the seconds it took.
    """
    started, first = time.perf_counter(), next(iter(members.values()))
    # With deterministic kernels Keras does without XLA, and would be timed without it.
    with contextlib.nullcontext() if name == "speed" else reproducible(seeds[0]):
        if name in RATES:
            table = compare_rates(members, images, rates=RATES[name], seeds=seeds)
        elif name == "keras_twin":
            table = compare_with_keras(first, images, seed=seeds[0])
        elif name == "first_steps":
            table = watch_first_steps(first, images, seed=seeds[0])
        else:
            table = measure_speed(first, images, seed=seeds[0])
    table.to_csv(run.folder / "measured.csv", index=False)
    return {"rows": len(table)}, time.perf_counter() - started


def keras_twin(perceptron: Perceptron, network: Network, *, jit_compile: bool = False) -> keras.Model:
    """The same network in Keras from the same weights, with its own loss and gradient descent; no batch norm."""
    units = network.output.bias.shape[0]
    dense = [keras.layers.Dense(width, activation="relu") for width in perceptron.hidden]
    model = keras.Sequential([keras.Input((network.hidden[0].kernel.shape[0],)), *dense, keras.layers.Dense(units)])
    for layer, ours in zip(model.layers, (*network.hidden, network.output), strict=True):
        layer.set_weights([ours.kernel.numpy(), ours.bias.numpy()])
    losses = keras.losses
    loss = losses.BinaryCrossentropy if units == 1 else losses.CategoricalCrossentropy
    model.compile(keras.optimizers.SGD(perceptron.learning_rate), loss(from_logits=True), jit_compile=jit_compile)
    return model


def compare_with_keras(perceptron: Perceptron, images: FlatImages, *, seed: int) -> pd.DataFrame:
    """The loss of the first steps, by hand and by Keras, from the same weights and on the same batches.

    Columns step, by_hand, keras and difference (absolute), losses in nats before each step.
    """
    network = make_network(perceptron, images, seed=seed)
    twin = keras_twin(perceptron, network)
    step = tf.function(make_step(network, make_update(perceptron, network)))
    rows = []
    for number, (pixels, targets) in enumerate(
        _batches(images, perceptron.batch_size, seed=seed, steps=STEPS), start=1
    ):
        ours = float(step(pixels, targets)[0]) / len(pixels)
        theirs = float(twin.train_on_batch(pixels, targets))
        rows.append({"step": number, "by_hand": ours, "keras": theirs, "difference": abs(ours - theirs)})
    return pd.DataFrame(rows)


def measure_speed(perceptron: Perceptron, images: FlatImages, *, seed: int) -> pd.DataFrame:
    """Seconds of an epoch by each route, at several batch sizes; tracing and compiling are not counted.

    Columns route, batch_size, seconds (median of several rounds, of an epoch of at most 10,000 images),
    images_per_second, and relative_seconds: over those of Keras' `fit` at this batch size.
    """
    count = min(EPOCH, len(images.train.labels))
    rows = []
    for batch_size in BATCH_SIZES:
        routes = _routes(perceptron, images, batch_size=min(batch_size, count), count=count, seed=seed)
        for run in routes.values():  # traces and compiles
            run()
        times = [{route: run() for route, run in routes.items()} for _ in range(ROUNDS)]
        medians = {route: statistics.median(row[route] for row in times) for route in routes}
        for route, seconds in medians.items():
            relative = seconds / medians["Keras fit"]
            rows.append((route, batch_size, seconds, count / seconds, relative))
    return pd.DataFrame(rows, columns=["route", "batch_size", "seconds", "images_per_second", "relative_seconds"])


def _routes(perceptron: Perceptron, images: FlatImages, *, batch_size: int, count: int, seed: int) -> dict:
    """Functions that run an epoch, each by another route, and return its seconds."""
    pixels, targets = images.train.images[:count], images.train.targets[:count]
    inputs = tf.constant(pixels), tf.constant(targets), tf.random.shuffle(tf.range(count), seed=seed)
    network = make_network(perceptron, images, seed=seed)
    step = make_step(network, make_update(perceptron, network))
    steps = -(-count // batch_size)

    def call_steps(function: Callable, limit: int) -> float:
        batches = _batches(images, batch_size, seed=seed, steps=min(steps, limit))
        return _timed(lambda: [function(*batch) for batch in batches]) * steps / min(steps, limit)

    def fit_keras(jit_compile: bool) -> Callable:
        twin = keras_twin(perceptron, network, jit_compile=jit_compile)
        return lambda: _timed(lambda: twin.fit(pixels, targets, batch_size=batch_size, verbose=0))

    graph, fused = tf.function(step), tf.function(step, jit_compile=True)
    loop, fused_loop = make_epoch(step, batch_size=batch_size), make_epoch(fused, batch_size=batch_size)
    return {
        "eager steps": lambda: call_steps(step, EAGER_STEPS),
        "graph of a step": lambda: call_steps(graph, steps),
        "graph of an epoch": lambda: _timed(lambda: loop(*inputs)),
        "graph of an epoch, XLA": lambda: _timed(lambda: fused_loop(*inputs)),
        "Keras fit": fit_keras(False),
        "Keras fit, XLA": fit_keras(True),
    }


def compare_rates(
    variants: Mapping[str, Perceptron], images: FlatImages, *, rates: Sequence[float], seeds: Sequence[int]
) -> pd.DataFrame:
    """Short trainings of some perceptrons at several learning rates; their graphs are traced once each.

    Columns variant, learning_rate, seed, epoch, loss, val_loss, val_accuracy; epochs after the loss became no number
    are missing.
    """
    rows = []
    for name, perceptron in variants.items():
        rate = tf.Variable(0.0, trainable=False)
        graphs = make_graphs(perceptron, images, seed=0, rate=rate)
        for value, seed in itertools.product(rates, seeds):
            graphs.restart(perceptron, images, seed=seed)
            rate.assign(value)
            with contextlib.suppress(JobFailed):
                for row in epochs(perceptron, images, graphs=graphs, seed=seed):
                    facts = {column: row[column] for column in ("epoch", "loss", "val_loss", "val_accuracy")}
                    rows.append({"variant": name, "learning_rate": value, "seed": seed, **facts})
    return pd.DataFrame(rows)


def watch_first_steps(perceptron: Perceptron, images: FlatImages, *, seed: int) -> pd.DataFrame:
    """How far Adam moves in its first steps with and without bias correction, from the same weights and batches.

    Columns step, corrected and uncorrected (mean absolute change of a weight in units of the learning rate),
    corrected_loss and uncorrected_loss (nats, before the step).
    """
    columns = {"step": np.arange(1, FIRST_STEPS + 1)}
    for name, correction in (("corrected", True), ("uncorrected", False)):
        adam = perceptron.replace(update="adam", bias_correction=correction)
        network = make_network(adam, images, seed=seed)
        step, kernel = tf.function(make_step(network, make_update(adam, network))), network.hidden[-1].kernel
        moves, losses = [], []
        for pixels, targets in _batches(images, adam.batch_size, seed=seed, steps=FIRST_STEPS):
            before = kernel.numpy()
            losses.append(float(step(pixels, targets)[0]) / len(pixels))
            moves.append(np.abs(kernel.numpy() - before).mean() / adam.learning_rate)
        columns |= {name: moves, f"{name}_loss": losses}
    return pd.DataFrame(columns)


def _batches(images: FlatImages, batch_size: int | None, *, seed: int, steps: int) -> list:
    """Random batches as tensors, ready before any clock runs."""
    rng, count = np.random.default_rng(seed), len(images.train.labels)
    rows = [rng.integers(count, size=batch_size or count) for _ in range(steps)]
    return [(tf.constant(images.train.images[row]), tf.constant(images.train.targets[row])) for row in rows]


def _timed(work: Callable) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
