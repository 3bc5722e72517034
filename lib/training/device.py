"""What the machine offers, how a run uses it, and what is written down about it."""

import contextlib
import functools
import gc
import importlib.metadata
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from lib.config import paths
from lib.training.workers import AT_ONCE

PACKAGES = ("tensorflow", "keras", "numpy", "pillow", "scikit-learn")
KERAS = {"floatx": "float32", "image_data_format": "channels_last", "epsilon": 1e-7}  # whatever keras.json says


@dataclass(frozen=True)
class Device:
    """What a run computes on: a GPU with XLA, or a CPU without."""

    kind: str
    compile_graph: bool = False


def import_tensorflow() -> None:
    """Import TensorFlow and Keras with the project's settings, without the log lines that their C++ parts write.

    Those lines reach notebooks through file descriptor 2 whatever the log level says, so the descriptor is turned
    away while the import lasts; the log level quiets what comes later. Set TF_CPP_MIN_LOG_LEVEL=0 to see everything.

    Raises:
        ValueError: if Keras runs on another backend already, or cannot read the user's settings.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    if "tensorflow" in sys.modules:
        _set_up_keras()
        _quiet_logger()
        return
    with _silent_descriptor(2):
        _set_up_keras()
        import tensorflow as tf

        tf.config.list_physical_devices()
    _quiet_logger()
    # What an import leaves lives as long as the process. Python need not look through it each time it clears up,
    # which takes a third of a second, several times a run.
    gc.collect()
    gc.freeze()


def _quiet_logger() -> None:
    """Each run traces its own graphs; TensorFlow would warn about that on the pages of the notebooks."""
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")


def _set_up_keras() -> None:
    """Give Keras the settings that this project computes with, whatever the user's own keras.json asks for."""
    try:
        import keras
    except ValueError as error:
        raise ValueError(f"Keras cannot be imported; mend or delete its settings, keras.json: {error}") from None
    if keras.config.backend() != "tensorflow":
        raise ValueError(
            "Networks are trained by TensorFlow, and Keras was imported before with another backend: restart Python "
            f"and import lib first. Received: backend {keras.config.backend()}"
        )
    for name, value in KERAS.items():
        getattr(keras.config, f"set_{name}")(value)


@contextlib.contextmanager
def _silent_descriptor(number: int):
    sys.stderr.flush()
    saved = os.dup(number)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), number)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(saved, number)
        os.close(saved)


def find_device() -> Device:
    """The first GPU if TensorFlow sees one, else the CPU."""
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        return Device("gpu", compile_graph=True)
    return Device("cpu")


@contextlib.contextmanager
def reproducible(seed: int, *, precision: str = "float32"):
    """Seeds, deterministic kernels and precision for what is fitted inside."""
    import keras
    import tensorflow as tf

    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def environment(device: Device, *, precision: str = "float32") -> dict:
    """Facts that decide whether another machine gets the same numbers, as plain JSON values.

    A fact that cannot be found is None: it must not lose a training that is finished.
    """
    import keras
    import tensorflow as tf

    cores, devices = os.cpu_count(), tf.config.list_logical_devices(device.kind.upper())
    several = {"devices": lambda: len(devices)} if len(devices) > 1 else {}
    look = {
        "python": platform.python_version,
        **{name: functools.partial(importlib.metadata.version, name) for name in PACKAGES},
        "system": platform.platform,
        "cpu": cpu_name,
        "cores": lambda: cores,
        "at_once": lambda: int(os.environ.get(AT_ONCE, "1")),
        "threads": lambda: tf.config.threading.get_intra_op_parallelism_threads() or cores,
        "onednn": lambda: os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1"),
        "device": lambda: device.kind,
        **several,
        "precision": lambda: precision,
        "backend": keras.config.backend,
        **{name: getattr(keras.config, name) for name in KERAS},
    }
    facts = dict.fromkeys(look)
    for name, find in look.items():
        with contextlib.suppress(Exception):
            facts[name] = find()
    return facts | git_state()


def cpu_name() -> str:
    """The processor's name as the system gives it."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(errors="replace").splitlines() if file.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def git_state() -> dict:
    """Commit of the working tree and whether files differ from it; None where there is no git."""

    def git(*arguments) -> bytes:  # names of files need not be text
        return subprocess.run(["git", *arguments], cwd=paths.ROOT, capture_output=True, check=True).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD").decode(), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far, in MB (2**20 bytes); 0 where the system does not tell."""
    # getrusage comes second: on Linux it also counts what the parent process held when it started this one.
    status = Path("/proc/self/status")
    lines = status.read_text(errors="replace").splitlines() if status.exists() else []
    marks = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
    if marks:
        return marks[0] / 2**10
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
