"""Fitting one network: the state after each epoch is one file.

A run that dies continues from it and ends with the same weights, because batches, random changes and learning rates are
pure functions of the seed and the step.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from lib.config import Experiment, View
from lib.config.files import read_arrays, replacing, write_arrays
from lib.inputs.cache import Images
from lib.inputs.generators import make_eval_dataset, make_train_dataset, steps_per_epoch
from lib.models.graph import graph_def
from lib.training import mirrored, schedules
from lib.training.device import find_device, reproducible
from lib.training.jobs import JobFailed
from lib.training.observers import Checkpoint, Observer, usual_observers, watching, write_graph
from lib.training.precision import used_precision
from lib.training.runs import CHECKPOINT, Run
from lib.training.steps import flexible, make_evaluate, make_optimizer, predict


@dataclass
class State:
    """Everything that changes while a network is fitted."""

    model: keras.Model
    optimizer: keras.optimizers.Optimizer
    history: list[dict]  # one row per finished epoch

    def variables(self) -> list[keras.Variable]:
        """Weights, running statistics, dropout seeds and momentum, in a fixed order."""
        return [*self.model.variables, *self.optimizer.variables]

    def save(self, file: Path) -> None:
        """Write all variables and the history to one file, all or nothing."""
        arrays = {f"variable_{i}": variable.numpy() for i, variable in enumerate(self.variables())}
        columns = pd.DataFrame(self.history)
        write_arrays(file, arrays | {f"history_{name}": columns[name].to_numpy() for name in columns})

    def restore(self, file: Path) -> None:
        """Take up a saved state; a damaged one is refused with a ValueError, and changes nothing."""
        stored, variables = read_arrays(file), {f"variable_{i}": one for i, one in enumerate(self.variables())}
        if any(name not in stored or stored[name].shape != tuple(one.shape) for name, one in variables.items()):
            raise ValueError(f"{file} is damaged: it lacks a variable of the network")
        for name, variable in variables.items():
            variable.assign(stored[name])
        columns = {name.removeprefix("history_"): stored[name] for name in stored if name.startswith("history_")}
        self.history = pd.DataFrame(columns).to_dict("records")


@dataclass(frozen=True)
class Data:
    """What a network is fitted to: images, or features, and which of them train and choose."""

    read: Callable[[int], Images]  # gives them at a size in pixels
    train: np.ndarray  # (N,) int rows
    val: np.ndarray


def fit_network(
    experiment: Experiment, data: Data, *, build: Callable[[], keras.Model], run: Run, seed: int
) -> tuple[dict, float]:
    """Train one experiment, or continue it; leave model, history and predictions on val in its run folder.

    Args:
        experiment: its training, augmentation and size.
        data: what it reads.
        build: gives the network to begin with.
        run: where all is kept.
        seed: of weights, order and augmentation.

    Returns:
        Final figures on train and val, and the seconds of all epochs.

    Raises:
        JobFailed: if the loss is no number any more.
    """
    with reproducible(seed, precision=used_precision(experiment.training.precision)):
        observers = usual_observers(run, epochs=experiment.training.epochs)
        state = train_network(experiment, data, build=build, run=run, seed=seed, observers=observers)
        if keras.config.dtype_policy().name != "float32":  # it is kept in float32, which all machines compute alike
            weights = state.model.get_weights()
            keras.config.set_dtype_policy("float32")
            state.model = build()
            state.model.set_weights(weights)
        return _finish(state, experiment, data, run=run)


def train_network(
    experiment: Experiment,
    data: Data,
    *,
    build: Callable[[], keras.Model],
    run: Run,
    seed: int,
    observers: Sequence[Observer],
) -> State:
    """Run the epochs of one experiment that its run folder does not hold yet: call it inside `reproducible`.

    Args:
        observers: told of each step and epoch, once the state of that epoch is kept.

    Raises:
        JobFailed: if the loss is no number any more.
    """
    device = find_device()
    with mirrored.scope(min(experiment.training.batch_size, len(data.train))):
        model = build()
        state = State(model, make_optimizer(experiment.training), [])
        state.optimizer.build(model.trainable_variables)
    checkpoint = run.folder / CHECKPOINT
    try:
        state.restore(checkpoint)
    except FileNotFoundError:
        pass
    except ValueError:
        print(f"{run.id}: {CHECKPOINT} is damaged, and the training begins anew", flush=True)
    with watching([Checkpoint(lambda: state.save(checkpoint)), *observers]) as tell:
        write_graph(run, graph_def(model))
        tell("start", state.history)
        run_epochs(state, experiment, data, seed=seed, tell=tell, compile_graph=device.compile_graph)
    return state


def run_epochs(
    state: State, experiment: Experiment, data: Data, *, seed: int, tell: Callable, compile_graph: bool
) -> None:
    """Run the epochs that are still to do, which changes the state; observers are told of each step and epoch."""
    config = experiment.training
    sizes = schedules.image_sizes(config, experiment.image_size)
    model = flexible(state.model, sizes)
    train_step = mirrored.make_train_step(model, state.optimizer, config, compile_graph=compile_graph)
    evaluate = make_evaluate(model)
    steps = steps_per_epoch(len(data.train), config.batch_size)
    stream = None
    while len(state.history) < config.epochs:
        epoch, val_losses = len(state.history), [row["val_loss"] for row in state.history]
        if schedules.should_stop(config, val_losses):
            break
        started, size, sums = time.monotonic(), sizes[epoch], tf.zeros(3)
        if stream is None or size != sizes[epoch - 1]:
            images = data.read(size)
            changes = experiment.augment if experiment.change_val else None
            val_data = make_eval_dataset(images, data.val, augment=changes, seed=seed)
            settings = {"batch_size": config.batch_size, "seed": seed, "augment": experiment.augment}
            rest = make_train_dataset(images, data.train, **settings, epochs=range(epoch, config.epochs))
            stream, (spec, labels) = iter(rest), rest.element_spec
            # One graph for the first size and one for all later ones: kernels chosen for a known size round otherwise,
            # so a training that continues at a later size must not know it either.
            if size != sizes[0]:
                spec = tf.TensorSpec((spec.shape[0], None, None, 3), spec.dtype)
            step = train_step.get_concrete_function(spec, labels)
        for number in range(steps):
            progress = (epoch + number / steps) / config.epochs
            state.optimizer.learning_rate = schedules.learning_rate(config, progress, val_losses=val_losses)
            sums += step(*next(stream))
            tell("step", epoch, number + 1, steps)
        loss, accuracy, _ = (float(value) for value in sums / sums[2])
        if not math.isfinite(loss):
            raise JobFailed(f"the loss became {loss} in epoch {epoch + 1}; try a lower learning_rate")
        val_loss, val_accuracy = evaluate(val_data)
        row = {"epoch": epoch + 1, "loss": loss, "accuracy": accuracy, "val_loss": val_loss}
        row |= {"val_accuracy": val_accuracy, "learning_rate": float(state.optimizer.learning_rate.numpy())}
        row |= {"image_size": size, "seconds": time.monotonic() - started}
        state.history.append(row)
        tell("epoch", state.history)


def _finish(state: State, experiment: Experiment, data: Data, *, run: Run) -> tuple[dict, float]:
    """Write the model and its predictions on val."""
    with replacing(run.folder / "model.keras") as partial:
        state.model.save(partial)
    images, views = data.read(experiment.image_size), experiment.views
    scores = write_predictions(run, state.model, images, role="val", rows=data.val, views=views)
    metrics = scores | {
        "train_loss": state.history[-1]["loss"],
        "train_accuracy": state.history[-1]["accuracy"],
        "epochs": len(state.history),
        "parameters": state.model.count_params(),
        "trained_parameters": sum(math.prod(weight.shape) for weight in state.model.trainable_weights),
    }
    return metrics, sum(row["seconds"] for row in state.history)


def write_predictions(
    run: Run, model: keras.Model, images: Images, *, role: str, rows: np.ndarray, views: Sequence[View]
) -> dict[str, float]:
    """Keep a model's predictions of some rows of the images, or features, in its run folder; returns their scores."""
    probabilities = predict(model, make_eval_dataset(images, rows), views=views)
    return run.write_predictions(role, rows=rows, labels=images.labels[rows], probabilities=probabilities)
