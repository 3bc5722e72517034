"""What the machine offers, how a run uses it, and what is written down about it."""

import contextlib
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


@dataclass(frozen=True)
class Device:
    """How a run computes: on a GPU in mixed precision with XLA, on a CPU in float32 without."""

    kind: str
    precision: str = "float32"
    compile_graph: bool = False


def import_tensorflow() -> None:
    """Import TensorFlow and Keras without the log lines that their C++ parts write to the screen.

    Those lines reach notebooks through file descriptor 2 whatever the log level says, so the descriptor is turned
    away while the import lasts; the log level quiets what comes later. Set TF_CPP_MIN_LOG_LEVEL=0 to see everything.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if "tensorflow" in sys.modules:
        return
    with _silent_descriptor(2):
        import keras  # noqa: F401
        import tensorflow as tf

        tf.config.list_physical_devices()
    # Each run traces its own graphs; TensorFlow would warn about that on the pages of the notebooks.
    tf.get_logger().setLevel("ERROR")
    # What an import leaves lives as long as the process. Python need not look through it each time it clears up,
    # which takes a third of a second, several times a run.
    gc.collect()
    gc.freeze()


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
    """The first GPU if TensorFlow sees one, else the CPU.

    float32 stays the rule on CPUs: the results then do not depend on whether the CPU has fast bfloat16 units.
    """
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        return Device("gpu", precision="mixed_float16", compile_graph=True)
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


def environment(device: Device) -> dict:
    """Facts that decide whether another machine gets the same numbers, as plain JSON values."""
    import tensorflow as tf

    return {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
        "system": platform.platform(),
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "at_once": int(os.environ.get(AT_ONCE, "1")),
        "threads": tf.config.threading.get_intra_op_parallelism_threads() or os.cpu_count(),
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1"),
        "device": device.kind,
        "precision": device.precision,
        **git_state(),
    }


def cpu_name() -> str:
    """The processor's name as the system gives it."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def git_state() -> dict:
    """Commit of the working tree and whether files differ from it; None where there is no git."""

    def git(*arguments):
        done = subprocess.run(["git", *arguments], cwd=paths.ROOT, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far, in MB (2**20 bytes); 0 where the system does not tell."""
    # getrusage comes second: on Linux it also counts what the parent process held when it started this one.
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    marks = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
    if marks:
        return marks[0] / 2**10
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
