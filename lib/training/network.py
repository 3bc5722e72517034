"""Training: one experiment in, one run folder out.

The state after each epoch is one file. A run that dies continues from it and ends with the same weights, because
batches, random changes and learning rates are pure functions of the seed and the step.
"""

import contextlib
import math
import time
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from lib.config import Experiment
from lib.config.files import write_arrays, write_json
from lib.datasets import Dataset
from lib.datasets.splits import Split
from lib.inputs.cache import open_images
from lib.inputs.generators import TrainDataset, make_eval_dataset, make_train_dataset
from lib.models.families import build_model
from lib.training import schedules
from lib.training.device import Device, environment, find_device, peak_memory_mb
from lib.training.runs import Run
from lib.training.steps import averaged_weights, flexible, make_evaluate, make_optimizer, make_train_step, predict
from lib.training.tracking import Tracker, track


class TrainingFailed(ValueError):
    """An experiment cannot be finished: its loss is no number, or memory or disk ran out."""


@dataclass
class State:
    """Everything that changes while a model is fitted."""

    model: keras.Model
    optimizer: keras.optimizers.Optimizer
    history: list[dict]

    def variables(self) -> list[keras.Variable]:
        """Weights, running statistics, dropout seeds, momentum and averages, in a fixed order."""
        return [*self.model.variables, *self.optimizer.variables]

    def save(self, file: Path) -> None:
        """Write all variables and the history to one file, all or nothing."""
        arrays = {f"variable_{i}": variable.numpy() for i, variable in enumerate(self.variables())}
        columns = pd.DataFrame(self.history)
        write_arrays(file, arrays | {f"history_{name}": columns[name].to_numpy() for name in columns})

    def restore(self, file: Path) -> None:
        """Take up a saved state."""
        with np.load(file) as stored:
            for i, variable in enumerate(self.variables()):
                variable.assign(stored[f"variable_{i}"])
            names = [name for name in stored.files if name.startswith("history_")]
            columns = {name.removeprefix("history_"): stored[name] for name in names}
        self.history = pd.DataFrame(columns).to_dict("records")


def train(
    dataset: Dataset, split: Split, *, experiment: Experiment, run: Run, seed: int, device: Device | None = None
) -> None:
    """Train one experiment, or continue it, and leave its run folder complete.

    Args:
        dataset: the images.
        split: rows of train and val; test is not read.
        experiment: all settings.
        run: the folder, from `runs.locate`.
        seed: of weights, order, augmentation and dropout.
        device: how to compute; found when not given.

    Raises:
        TrainingFailed: if the loss is no number any more, or memory or disk ran out. `failure.json` holds the reason.
    """
    device = device or find_device()
    run.folder.mkdir(parents=True, exist_ok=True)
    (run.folder / "failure.json").unlink(missing_ok=True)
    try:
        with _computing(device, seed):
            _train(dataset, split, experiment=experiment, run=run, seed=seed, device=device)
    except (TrainingFailed, MemoryError, tf.errors.ResourceExhaustedError, OSError) as error:
        reason = explain_failure(error, experiment)
        with contextlib.suppress(OSError):  # a full disk may not even take this note
            write_json(run.folder / "failure.json", {"reason": reason})
        raise TrainingFailed(f"{run.id}: {reason}") from error


def explain_failure(error: Exception, experiment: Experiment) -> str:
    """One sentence for the person at the screen."""
    if isinstance(error, (MemoryError, tf.errors.ResourceExhaustedError)):
        return (
            f"out of memory at batch size {experiment.training.batch_size} and {experiment.image_size} px; "
            "try a smaller batch_size, image_size or filters"
        )
    if isinstance(error, OSError):
        return f"could not write or read a file: {error}"
    return str(error)


@contextlib.contextmanager
def _computing(device: Device, seed: int):
    """Seeds, deterministic kernels and precision for one run."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(device.precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@dataclass(frozen=True)
class Batches:
    """What a run reads, by image side: training batches, and the val images."""

    train: dict[int, TrainDataset]
    val: dict[int, tf.data.Dataset]


def open_batches(dataset: Dataset, split: Split, *, experiment: Experiment, seed: int) -> Batches:
    """Decode the images at every side that the experiment trains at."""
    labels = dataset.index["label"].to_numpy()
    train_data, val_data = {}, {}
    for size in dict.fromkeys([*experiment.training.sizes, experiment.image_size]):
        images = open_images(dataset, size=size, resize=experiment.resize)
        val_data[size] = make_eval_dataset(images, split.val, labels=labels)
        train_data[size] = make_train_dataset(
            images,
            split.train,
            labels=labels,
            batch_size=experiment.training.batch_size,
            seed=seed,
            augment=experiment.augment,
        )
    return Batches(train_data, val_data)


def fit(state: State, batches: Batches, *, experiment: Experiment, device: Device, tracker: Tracker) -> None:
    """Run the epochs that are still to do; the state is saved and shown after each.

    Args:
        state: model, optimizer and history; changed in place.
        batches: training and val images.
        experiment: all settings.
        device: how to compute.
        tracker: shows the progress and is told of each finished epoch.

    Raises:
        TrainingFailed: if the loss is no number any more.
    """
    config = experiment.training
    sizes = schedules.image_sizes(config, experiment.image_size)
    model = flexible(state.model, sizes)
    step = make_train_step(model, state.optimizer, config, compile_graph=device.compile_graph)
    evaluate = make_evaluate(model)
    stream = None
    while len(state.history) < config.epochs:
        epoch, val_losses = len(state.history), [row["val_loss"] for row in state.history]
        if schedules.should_stop(config, val_losses):
            break
        started, size, sums = time.monotonic(), sizes[epoch], tf.zeros(3)
        source = batches.train[size]
        if stream is None or size != sizes[epoch - 1]:
            stream = iter(source.epochs(epoch, config.epochs))
        for number in range(source.steps):
            progress = (epoch + number / source.steps) / config.epochs
            state.optimizer.learning_rate = schedules.learning_rate(config, progress, val_losses=val_losses)
            sums += step(*next(stream))
            tracker.step(epoch, number + 1, source.steps)
        loss, accuracy, _ = (float(value) for value in sums / sums[2])
        if not math.isfinite(loss):
            raise TrainingFailed(
                f"the loss became {loss} in epoch {epoch + 1}; try a lower learning_rate, or clip_norm"
            )
        with averaged_weights(state.model, state.optimizer):
            val_loss, val_accuracy = evaluate(batches.val[size])
        row = {"epoch": epoch + 1, "loss": loss, "accuracy": accuracy, "val_loss": val_loss}
        row |= {"val_accuracy": val_accuracy, "learning_rate": float(state.optimizer.learning_rate)}
        row |= {"image_size": size, "seconds": time.monotonic() - started}
        state.history.append(row)
        tracker.epoch(state.history)


def _train(dataset: Dataset, split: Split, *, experiment: Experiment, run: Run, seed: int, device: Device) -> None:
    config = {
        "experiment": run.id.rsplit("-seed", 1)[0],
        "seed": seed,
        "settings": experiment.flat(),
        "classes": dataset.class_names,
        "dataset": dataset.checksum,
        "split": split.checksum,
    }
    write_json(run.folder / "config.json", config)
    batches = open_batches(dataset, split, experiment=experiment, seed=seed)
    model = build_model(experiment.model, len(dataset.class_names), image_size=experiment.image_size)
    state = State(model, make_optimizer(experiment.training, device), [])
    state.optimizer.build(model.trainable_variables)
    checkpoint = run.folder / "checkpoint.npz"
    if checkpoint.exists():
        state.restore(checkpoint)
    with track(run, state, epochs=experiment.training.epochs, save=lambda: state.save(checkpoint)) as tracker:
        fit(state, batches, experiment=experiment, device=device, tracker=tracker)
    _finish(state, batches.val[experiment.image_size], split, experiment=experiment, run=run, device=device)


def _finish(state: State, val_data, split: Split, *, experiment: Experiment, run: Run, device: Device) -> None:
    """Write what a finished run holds; `metrics.json` comes last and says that all is there."""
    labels = np.concatenate([labels.numpy() for _, labels in val_data])
    with averaged_weights(state.model, state.optimizer):
        probabilities = predict(state.model, val_data, mirror=experiment.mirror_average)
        partial = run.folder / "model.part.keras"
        state.model.save(partial)
        partial.replace(run.folder / "model.keras")
    write_arrays(run.folder / "predictions.npz", {"rows": split.val, "labels": labels, "probabilities": probabilities})
    history = pd.DataFrame(state.history)
    facts = {"wall_seconds": history["seconds"].sum(), "peak_memory_mb": peak_memory_mb()}
    write_json(run.folder / "environment.json", environment(device) | facts)
    right = probabilities[np.arange(len(labels)), labels]
    metrics = {
        "val_accuracy": float(np.mean(probabilities.argmax(axis=1) == labels)),
        "val_loss": float(np.mean(-np.log(np.maximum(right, 1e-12)))),
        "train_loss": state.history[-1]["loss"],
        "train_accuracy": state.history[-1]["accuracy"],
        "epochs": len(history),
        "parameters": state.model.count_params(),
    }
    write_json(run.folder / "metrics.json", metrics)
    (run.folder / "checkpoint.npz").unlink(missing_ok=True)


def predict_test(run: Run, dataset: Dataset, split: Split) -> None:
    """Write the predictions of a finished run on the test images, unless they are there already.

    Called once per report, after the choice is frozen: nothing in training reads these images.
    """
    target = run.folder / "predictions_test.npz"
    if target.exists():
        return
    settings = run.config()["settings"]
    images = open_images(dataset, size=settings["image_size"], resize=settings["resize"])
    test_data = make_eval_dataset(images, split.test, labels=dataset.index["label"].to_numpy())
    probabilities = predict(run.load_model(), test_data, mirror=settings["mirror_average"])
    labels = dataset.index["label"].to_numpy()[split.test]
    write_arrays(target, {"rows": split.test, "labels": labels, "probabilities": probabilities})
