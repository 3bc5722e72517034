"""What trainings run on here: device, precision, threads, versions, and the time of a first step."""

import importlib.metadata
import os
import platform
import shutil
import time

from lib import briefs
from lib.config import Experiment
from lib.training import device, workers
from lib.training.precision import used_precision

STEPS = 10  # after the first, to time a usual one
CLASSES = 10  # of the images, which are noise: what they show does not matter here


def examine(brief: str, profile: str) -> str:
    """Five lines, one fact each. A step of the brief's best network is measured, on noise."""
    device.import_tensorflow()
    import tensorflow as tf

    computes_on, scaled = device.find_device(), briefs.load(brief).at(profile)
    best = scaled.experiments[scaled.best]
    gpus = tf.config.list_physical_devices("GPU")
    names = [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus]
    idle = ", though there is a GPU: TensorFlow lacks its CUDA libraries (make setup GPU=1)"
    hint = idle if not gpus and shutil.which("nvidia-smi") else ""
    facts = device.environment(computes_on)
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("tensorflow", "keras", "numpy")]
    lines = {
        "device": f"{computes_on.kind.upper()}, {names[0] if names else device.cpu_name()}{hint}",
        "precision": f"{used_precision(best.training.precision)}, XLA {'on' if computes_on.compile_graph else 'off'}",
        "threads": f"{facts['threads']} of {os.cpu_count()} cores, {workers.default_count()} trainings at once",
        "versions": f"python {platform.python_version()}, {', '.join(versions)}",
        "first step": _time_steps(best, computes_on, title=f"{scaled.best} of {brief}, {profile}"),
    }
    return "\n".join(f"{name:<10} {text}" for name, text in lines.items())


def _time_steps(experiment: Experiment, computes_on: device.Device, *, title: str) -> str:
    import tensorflow as tf

    from lib.training.steps import make_optimizer, make_train_step

    config, side = experiment.training, experiment.image_size
    with device.reproducible(0, precision=used_precision(config.precision)):
        started = time.monotonic()
        model = experiment.model.build(CLASSES, image_size=side)
        optimizer = make_optimizer(config)
        optimizer.build(model.trainable_variables)
        step = make_train_step(model, optimizer, config, compile_graph=computes_on.compile_graph)
        images = tf.random.stateless_uniform((config.batch_size, side, side, 3), (0, 0), maxval=255.0)
        labels = tf.zeros(config.batch_size, tf.int32)
        step(images, labels).numpy()
        first = time.monotonic() - started
        for _ in range(STEPS):
            sums = step(images, labels)
        sums.numpy()
        each = 1000 * (time.monotonic() - started - first) / STEPS
    images = f"{config.batch_size} images of {side} px"
    return f"{first:.1f} s with building the graph, then {each:.0f} ms each ({images}, {title})"
