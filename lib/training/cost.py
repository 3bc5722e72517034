"""What a training would cost that nobody waits for: some of its steps are timed, beside those of a smaller one."""

import math
import statistics
import time
from collections.abc import Callable
from typing import ClassVar

import numpy as np
import pandas as pd

from lib.config import Cost, Experiment
from lib.training.jobs import Job
from lib.training.open_brief import OpenBrief
from lib.training.runs import Run

FILE = "measured.csv"


class CostJob(Job):
    """Two networks of a brief of which some steps are timed; no image is read, and nothing is learnt."""

    code: ClassVar[tuple[str, ...]] = ("models/family.py", "training/cost.py", "training/steps.py")

    @property
    def alone(self) -> bool:
        return True

    @property
    def files(self):
        settings = self.settings
        return [*super().files, *settings.large.model.sources(), *settings.small.model.sources()]

    @property
    def facts(self) -> list[str]:
        return []  # pixels are drawn: it costs the same whatever they show

    def fit(self) -> tuple[dict, float]:
        started = time.perf_counter()
        table = time_steps(self.settings)
        table.to_csv(self.run.folder / FILE, index=False)
        metrics = {
            f"{row['network']}_{column}": row[column]
            for row in table.to_dict("records")
            for column in ("image_size", "parameters", "seconds", "epoch_minutes")
        }
        large, small = table["seconds"]
        metrics |= {"epoch": self.settings.epoch, "steps": self.settings.steps, "ratio_of_seconds": large / small}
        return metrics, time.perf_counter() - started


def cost_jobs(opened: OpenBrief) -> list[CostJob]:
    """The jobs that time what a brief does not train."""
    return [CostJob(opened, name, settings) for name, settings in opened.brief.costs.items()]


def measured_cost(run: Run) -> pd.DataFrame:
    """The table of `time_steps` of a finished run."""
    return pd.read_csv(run.folder / FILE)


def time_steps(cost: Cost) -> pd.DataFrame:
    """Time training steps of two networks in turn, so that a busy moment does not hit one of them alone.

    A step is forward, backward and update of one batch that lies in memory already: reading and changing images comes
    on top where it is slower than that. The first step of each, in which memory is set aside, counts only where there
    is no other.

    Returns:
        One row per network, the large one first: network, image_size, parameters, batch_size, steps (timed), seconds of
        a step (median), lowest_seconds and highest_seconds of one, and epoch_minutes, extrapolated from the median.
    """
    networks = {"large": cost.large, "small": cost.small}
    steps = {name: _step(one, cost.num_classes) for name, one in networks.items()}
    rounds = cost.steps + (cost.steps > 1)
    times = [{name: step() for name, (step, _) in steps.items()} for _ in range(rounds)][-cost.steps :]
    rows = []
    for name, one in networks.items():
        seconds = [row[name] for row in times]
        median, batch_size = statistics.median(seconds), one.training.batch_size
        rows.append(
            {
                "network": name,
                "image_size": one.image_size,
                "parameters": steps[name][1],
                "batch_size": batch_size,
                "steps": len(seconds),
                "seconds": median,
                "lowest_seconds": min(seconds),
                "highest_seconds": max(seconds),
                "epoch_minutes": median * math.ceil(cost.epoch / batch_size) / 60,
            }
        )
    return pd.DataFrame(rows)


def _step(experiment: Experiment, num_classes: int) -> tuple[Callable[[], float], int]:
    """A function that trains on one batch and returns the seconds that took, and the parameters of the network."""
    import keras
    import tensorflow as tf

    from lib.training.device import find_device
    from lib.training.precision import used_precision
    from lib.training.steps import make_optimizer, make_train_step

    device, config, rng = find_device(), experiment.training, np.random.default_rng(0)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(used_precision(config.precision))
    try:
        model = experiment.build(num_classes)
        optimizer = make_optimizer(config)
        optimizer.build(model.trainable_variables)
    finally:
        keras.config.set_dtype_policy(before)
    sides = (config.batch_size, experiment.image_size, experiment.image_size, 3)
    images = tf.constant(rng.integers(0, 256, sides, dtype=np.uint8))
    labels = tf.constant(rng.integers(0, num_classes, config.batch_size, dtype=np.int32))
    train = make_train_step(model, optimizer, config, compile_graph=device.compile_graph)
    train = train.get_concrete_function(images, labels)

    def timed() -> float:
        started = time.perf_counter()
        train(images, labels).numpy()
        return time.perf_counter() - started

    return timed, model.count_params()
