"""The number format of a training: float32, or half precision where the machine is faster with it."""

import json
import os
import shutil
import time
from importlib.metadata import version
from pathlib import Path

from lib.config import paths
from lib.config.experiment import PRECISIONS
from lib.config.files import read_json, write_json
from lib.training.device import cpu_name, find_device, import_tensorflow

FLAGS = {"avx512_bf16", "amx_bf16"}  # of processors that multiply bfloat16; without, it is several times slower
GAIN = 1.2  # how many times as fast bfloat16 must be
ROUNDS = 8
FILE = "precision.json"


def used_precision(asked: str) -> str:
    """The number format that a training computes in on this machine.

    What `auto` means is decided once per machine and version of TensorFlow and kept in the cache, so that a plan of
    runs needs no TensorFlow, and their names stay the same.

    Args:
        asked: float32, mixed_bfloat16, mixed_float16, which are taken as they are, or auto.
    """
    if asked != "auto":
        return asked
    file, machine = paths.cache() / FILE, _machine()
    try:
        known = dict(read_json(file))
    except (OSError, TypeError, ValueError):
        known = {}
    if known.get(machine) not in PRECISIONS:
        known[machine] = _decide()
        write_json(file, known)
    return known[machine]


def _machine() -> str:
    facts = [cpu_name(), version("tensorflow"), shutil.which("nvidia-smi"), os.environ.get("CUDA_VISIBLE_DEVICES")]
    return json.dumps(facts)


def _decide() -> str:
    import_tensorflow()
    if find_device().kind == "gpu":
        return "mixed_float16"
    return "mixed_bfloat16" if has_bfloat16() and bfloat16_gain() > GAIN else "float32"


def has_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor says that it multiplies bfloat16; no where the system does not tell."""
    lines = cpuinfo.read_text(errors="replace").splitlines() if cpuinfo.exists() else []
    return any(FLAGS & set(line.split()) for line in lines if line.startswith(("flags", "Features")))


def bfloat16_gain() -> float:
    """How many times as fast as in float32 a convolution and its gradient are in bfloat16: a second of turns."""
    import tensorflow as tf

    @tf.function
    def step(images, kernel):
        with tf.GradientTape() as tape:
            tape.watch([images, kernel])
            maps = tf.nn.conv2d(images, kernel, strides=1, padding="SAME")
        return tape.gradient(maps, [images, kernel])

    seconds = {}
    for _ in range(ROUNDS):
        for dtype in (tf.float32, tf.bfloat16):
            images, kernel = tf.ones((16, 24, 24, 128), dtype), tf.ones((3, 3, 128, 128), dtype)
            started = time.perf_counter()
            step(images, kernel)[1].numpy()
            seconds.setdefault(dtype, []).append(time.perf_counter() - started)
    return min(seconds[tf.float32]) / min(seconds[tf.bfloat16])
