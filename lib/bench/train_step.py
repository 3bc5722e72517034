"""One training step beside those of Keras and PyTorch, and beside a matrix product, the limit: `make bench-train`.

The network is the best one of Caltech-256; its images are noise that lies in memory. All routes are deterministic and
have one precision. PyTorch is no dependency: it is measured where this Python has it, or the environment whose folder
TORCH names, in a process of its own. TensorFlow is imported by `run`.
"""

import contextlib
import importlib.util
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from lib import briefs
from lib.config import Experiment, paths
from lib.config.files import replacing
from lib.training.device import cpu_name, import_tensorflow, reproducible
from lib.training.precision import has_bfloat16

COLUMNS = ["pixels", "precision", "route", "milliseconds", "lowest_milliseconds", "gflops", "times_ours"]
OURS, FIT, LOOP, TORCH, LIMIT = "ours", "Keras fit", "Keras fit, our layers", "PyTorch", "matrix product"
# How many times as long as ours a route must take, by route and precision.
ASKED = {(FIT, "float32"): 1.1, (FIT, "mixed_bfloat16"): 1.1, (TORCH, "float32"): 1.05, (TORCH, "mixed_bfloat16"): 1.0}
CLASSES, SIDE = 256, 2048  # logits; rows and columns of the matrices
PAUSE = 0.3  # seconds: threads of OpenMP and OpenBLAS keep a core busy for a while after they have no work


def run(
    experiment: Experiment | None = None, *, sizes: tuple[int, ...] = (64, 96), rounds: int = 5, classes: int = CLASSES
) -> pd.DataFrame:
    """Measure every route at every size and precision, print the table and write `reports/bench/train_step.csv`.

    Args:
        experiment: a `Residual` and its training; by default the best one of Caltech-256.
        sizes: sides of the images in pixels.
        rounds: how often each route is measured after a first step that does not count.
        classes: number of logits.

    Returns:
        One row per size, precision and route: milliseconds of a step (median and lowest), gflops (10**9 operations per
        second at that median) and times_ours, the median of the ratios to our step of the same round.
    """
    import_tensorflow()
    best = briefs.load("caltech256").experiments["best"]  # the peers have no orthogonal steps
    experiment = experiment or best.vary(best.why, training={"optimizer": "sgd", "batch_size": 64})
    precisions = ["float32", "mixed_bfloat16"] if has_bfloat16() else ["float32"]
    rows = []
    with torch_process(experiment, classes) as ask:
        for pixels in sizes:
            for precision in precisions:
                print(f"{pixels} px, {precision}: {rounds} rounds", flush=True)
                rows += measure(experiment, pixels, precision=precision, classes=classes, rounds=rounds, ask=ask)
    table = pd.DataFrame(rows, columns=COLUMNS)
    with replacing(paths.reports() / "bench" / "train_step.csv") as partial:
        table.to_csv(partial, index=False)
    print(f"\n{cpu_name()}, {os.cpu_count()} cores; batch of {experiment.training.batch_size}, {rounds} rounds\n")
    print(f"{table.round(2).to_string(index=False, na_rep='')}\n")
    print("\n".join(judge(table)))
    if ask is None:
        print("PyTorch is not installed here, and TORCH names no environment that has it: not measured")
    return table


def measure(
    experiment: Experiment, pixels: int, *, precision: str, classes: int, rounds: int, ask: Callable | None
) -> list[tuple]:
    """The rows of the table of one size and precision; the routes take turns."""
    model, ours = our_step(experiment, pixels, precision=precision, classes=classes)
    routes = {OURS: ours}
    routes |= {name: keras_step(experiment, pixels, precision, classes, own=name == FIT) for name in (FIT, LOOP)}
    if ask:
        routes[TORCH] = lambda: ask(pixels, precision)
    routes[LIMIT] = matrix_product(precision)
    for route in routes.values():
        route()  # memory is set aside
    taken = {name: [] for name in routes}
    for number in range(rounds):
        for name, route in list(routes.items())[:: (-1) ** number]:  # nobody always follows the same route
            time.sleep(PAUSE)
            taken[name].append(route())
    step = flop_of_step(model, experiment.training.batch_size)
    rows = []
    for name, seconds in taken.items():
        median, product = statistics.median(seconds), name == LIMIT
        ratio = statistics.median(one / our for one, our in zip(seconds, taken[OURS], strict=True))
        speed = (2 * SIDE**3 if product else step) / median / 1e9
        rows.append((pixels, precision, name, 1e3 * median, 1e3 * min(seconds), speed, math.nan if product else ratio))
    return rows


def flop_of_step(model, batch_size: int) -> int:
    """Operations of a step in convolutions and dense layers: forward, and backward to weights and to maps."""
    layers = [layer for layer in model.layers if hasattr(layer, "kernel")]
    forward = [2 * math.prod(layer.output.shape[1:-1]) * math.prod(layer.kernel.shape) for layer in layers]
    return batch_size * (3 * sum(forward) - forward[0])  # nobody asks for the gradient at the pixels


def our_step(experiment: Experiment, pixels: int, *, precision: str, classes: int) -> tuple:
    """The network, and a function that trains it on one batch and returns the seconds."""
    from lib.training.steps import make_optimizer, make_train_step

    with reproducible(0, precision=precision):
        model = experiment.model.build(classes, image_size=pixels)
        optimizer = make_optimizer(experiment.training)
        optimizer.build(model.trainable_variables)
        batch = noise(experiment, pixels, classes)
        step = make_train_step(model, optimizer, experiment.training).get_concrete_function(*batch)
    return model, timed(lambda: step(*batch).numpy())


def keras_step(experiment: Experiment, pixels: int, precision: str, classes: int, *, own: bool) -> Callable:
    """What `fit` does with a batch, in seconds, with Keras' `own` layers or with ours."""
    import keras

    config = experiment.training
    with reproducible(0, precision=precision):
        model = experiment.model.build(classes, image_size=pixels)
        if own:
            model = keras.models.clone_model(model, clone_function=as_keras_has_it)
        optimizer = keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=config.weight_decay or None)
        loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=config.label_smoothing)
        model.compile(optimizer, loss, metrics=["accuracy"])
        images, labels = noise(experiment, pixels, classes)
        rows = keras.ops.one_hot(labels, classes)
    return timed(lambda: model.train_on_batch(images, rows))


def as_keras_has_it(layer):
    """A layer of Keras with the same settings."""
    kind = next(kind for kind in type(layer).__mro__ if kind.__module__.startswith("keras."))
    return kind.from_config(layer.get_config())


def noise(experiment: Experiment, pixels: int, classes: int) -> tuple:
    """One batch: images (B, S, S, 3) float32 in [0, 255], as changed images come, and labels (B,) int32."""
    import tensorflow as tf

    rng, size = np.random.default_rng(0), experiment.training.batch_size
    images = rng.uniform(0, 255, (size, pixels, pixels, 3)).astype(np.float32)
    return tf.constant(images), tf.constant(rng.integers(0, classes, size, dtype=np.int32))


def matrix_product(precision: str) -> Callable[[], float]:
    """TensorFlow's product of two square matrices, in seconds; numpy's leaves half of some processors unused."""
    import tensorflow as tf

    values = np.random.default_rng(0).random((SIDE, SIDE), np.float32)
    matrix = tf.cast(values, precision.removeprefix("mixed_"))
    return timed(lambda: tf.matmul(matrix, matrix)[0, 0].numpy())


def timed(step: Callable) -> Callable[[], float]:
    """The same, which returns the seconds that it took."""

    def call() -> float:
        started = time.perf_counter()
        step()
        return time.perf_counter() - started

    return call


def find_torch() -> str | None:
    """The Python that has PyTorch: that of the environment in the folder TORCH, else this one; None if neither has."""
    if folder := os.environ.get("TORCH"):
        return str(Path(folder) / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    return sys.executable if importlib.util.find_spec("torch") else None


@contextlib.contextmanager
def torch_process(experiment: Experiment, classes: int) -> Iterator[Callable[[int, str], float] | None]:
    """A function of pixels and precision that gives the seconds of a step of PyTorch; None where there is none.

    Raises:
        ValueError: if the environment that TORCH names has no PyTorch.
    """
    python, file = find_torch(), Path(__file__).with_name("torch_step.py")
    if python is None:
        yield None
        return
    network = asdict(experiment.model) | {"batch_size": experiment.training.batch_size, "num_classes": classes}
    try:
        process = subprocess.Popen([python, file, json.dumps(network)], stdin=-1, stdout=-1, text=True)
    except OSError as error:
        raise ValueError(f"TORCH must be the folder of an environment that has PyTorch: {error}") from None

    def ask(pixels: int, precision: str) -> float:
        with contextlib.suppress(BrokenPipeError):
            print(pixels, precision, file=process.stdin, flush=True)
        if answer := process.stdout.readline():
            return float(answer)
        raise ValueError(f"PyTorch ended, for the reason above; TORCH names its environment. Received: {python}")

    with process:
        yield ask


def judge(table: pd.DataFrame) -> list[str]:
    """One line per bar: how long a route takes beside ours, what is asked, met or missed."""
    lines = []
    for row in table[table["route"].isin([route for route, _ in ASKED])].itertuples():
        asked = ASKED[row.route, row.precision]
        verdict = "met" if row.times_ours >= asked else "missed"
        text = f"{row.route} takes {row.times_ours:.2f} times as long as ours (at least {asked:g} asked: {verdict})"
        lines.append(f"{row.pixels} px, {row.precision}: {text}")
    return lines
