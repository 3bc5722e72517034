"""What trainings run on here: device, precision, threads, versions, and the time of a first step."""

import importlib.metadata
import os
import platform
import shutil
import time

from lib import briefs
from lib.training import device, workers

STEPS = 10  # after the first, to time a usual one
CLASSES = 10  # of the images, which are noise: what they show does not matter here


def examine(brief: str, profile: str) -> str:
    """Five lines, one fact each. A step of the brief's best network is measured, on noise."""
    device.import_tensorflow()
    import tensorflow as tf

    used = device.find_device()
    gpus = tf.config.list_physical_devices("GPU")
    names = [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus]
    idle = ", though there is a GPU: TensorFlow lacks its CUDA libraries (make setup GPU=1)"
    hint = idle if not gpus and shutil.which("nvidia-smi") else ""
    facts = device.environment(used)
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("tensorflow", "keras", "numpy")]
    lines = {
        "device": f"{used.kind.upper()}, {names[0] if names else device.cpu_name()}{hint}",
        "precision": f"{used.precision}, XLA {'on' if used.compile_graph else 'off'}",
        "threads": f"{facts['threads']} of {os.cpu_count()} cores, {workers.default_count()} trainings at once",
        "versions": f"python {platform.python_version()}, {', '.join(versions)}",
        "first step": _time_steps(brief, profile, used),
    }
    return "\n".join(f"{name:<10} {text}" for name, text in lines.items())


def _time_steps(brief: str, profile: str, used: device.Device) -> str:
    import tensorflow as tf

    from lib.training.steps import make_optimizer, make_train_step

    scaled = briefs.load(brief).at(profile)
    experiment = scaled.experiments[scaled.best]
    config, side = experiment.training, experiment.image_size
    with device.reproducible(0, precision=used.precision):
        started = time.monotonic()
        model = experiment.model.build(CLASSES, image_size=side)
        optimizer = make_optimizer(config, used)
        optimizer.build(model.trainable_variables)
        step = make_train_step(model, optimizer, config, compile_graph=used.compile_graph)
        images = tf.random.stateless_uniform((config.batch_size, side, side, 3), (0, 0), maxval=255.0)
        labels = tf.zeros(config.batch_size, tf.int32)
        step(images, labels).numpy()
        first = time.monotonic() - started
        for _ in range(STEPS):
            sums = step(images, labels)
        sums.numpy()
        each = 1000 * (time.monotonic() - started - first) / STEPS
    shape = f"{config.batch_size} images of {side} px, {scaled.best} of {brief}"
    return f"{first:.1f} s with building the graph, then {each:.0f} ms each ({shape}, {profile})"
