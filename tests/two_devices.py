"""Trainings on two logical CPU devices beside the same on one, as JSON: a process can have two only from its start.

python tests/two_devices.py FOLDER_OF_PHOTOS
"""

import contextlib
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib.training.device import Device, environment, import_tensorflow, reproducible  # noqa: E402

import_tensorflow()

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402
from tiny_training import TINY, opened  # noqa: E402

from lib import datasets  # noqa: E402
from lib.inputs.cache import open_images  # noqa: E402
from lib.models import Residual  # noqa: E402
from lib.training import fit, mirrored  # noqa: E402
from lib.training.steps import make_optimizer  # noqa: E402

STEPS, BATCH = 20, 8
SHOWN = ("loss", "accuracy", "val_loss", "val_accuracy")
# No dropout, which two devices draw otherwise; a batch that they cannot share equally.
PLAIN = TINY.replace(
    model=Residual(filters=(4, 8), blocks=(1, 1), stem_stride=2), training=TINY.training.replace(batch_size=5)
)
ONE = contextlib.nullcontext


def made(scope, precision: str = "float32") -> fit.State:
    """A network and its optimizer, not trained yet."""
    with scope:
        model = PLAIN.model.build(3, image_size=12)
        state = fit.State(model, make_optimizer(PLAIN.training), [])
        state.optimizer.build(model.trainable_variables)
    return state


def take_steps(scope, images, labels) -> tuple[list[float], fit.State]:
    """The mean loss of each step, and the state after the last."""
    with reproducible(0):
        state = made(scope)
        step = mirrored.make_train_step(state.model, state.optimizer, PLAIN.training)
        sums = [step(*batch).numpy() for batch in zip(images, labels, strict=True)]
    return [float(loss / count) for loss, _, count in sums], state


def take_epochs(scope, data: fit.Data, *, start: Path | None = None, keep: Path | None = None) -> fit.State:
    """The state after all epochs; `keep` gets the one after the third, from which `start` goes on."""
    with reproducible(0):
        state = made(scope)
        if start:
            state.restore(start)

        def tell(event, *_):
            if event == "epoch" and keep and len(state.history) == 3:
                state.save(keep)

        fit.run_epochs(state, PLAIN, data, seed=0, tell=tell, compile_graph=False)
    return state


def values(state: fit.State) -> list[np.ndarray]:
    return [variable.numpy() for variable in state.variables()]


def furthest(first: fit.State, second: fit.State) -> float:
    """Largest difference of any weight, running statistic or momentum."""
    return max(float(np.abs(a - b).max()) for a, b in zip(values(first), values(second), strict=True))


def copies_differ(state: fit.State) -> list[str]:
    """Variables that are not the same on both devices."""
    return [one.path for one in state.variables() if len({copy.numpy().tobytes() for copy in one.value.values}) > 1]


def overflow(images, labels) -> dict:
    """A step in which only the second device meets a number that is none: do weights stay, and the loss scale halve?"""
    with reproducible(0, precision="mixed_float16"):
        state = made(mirrored.scope(BATCH), "mixed_float16")
        images = images.copy()
        images[BATCH // 2 :] = np.inf
        weights, optimizer = state.model.trainable_variables, state.optimizer
        before, scale = [weight.numpy() for weight in weights], optimizer.dynamic_scale.numpy()
        loss = mirrored.make_train_step(state.model, optimizer, PLAIN.training)(images, labels)[0]
        kept = all(np.array_equal(one, weight.numpy()) for one, weight in zip(before, weights, strict=True))
    return {"finite": bool(np.isfinite(loss)), "kept": kept, "scale": float(optimizer.dynamic_scale.numpy() / scale)}


def saved_and_loaded(state: fit.State, file: Path) -> dict:
    """Whether a network that was trained on two devices is, from its file, one like any other."""
    state.model.save(file)
    loaded = keras.models.load_model(file)
    pairs = zip(loaded.weights, state.model.weights, strict=True)
    plain = not any(getattr(layer, "synchronized", False) for layer in loaded.layers)
    return {"equal": all(np.array_equal(one.numpy(), other.numpy()) for one, other in pairs), "plain": plain}


def main(folder: Path) -> dict:
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (STEPS, BATCH, 12, 12, 3)).astype(np.float32)
    labels = rng.integers(0, 3, (STEPS, BATCH)).astype(np.int32)
    (alone, one), (together, two) = take_steps(ONE(), images, labels), take_steps(mirrored.scope(BATCH), images, labels)
    found = {"steps": [alone, together], "furthest": furthest(one, two), "differing": copies_differ(two)}
    found["one_device"] = [batch for batch in (1, 2) if isinstance(mirrored.scope(batch), contextlib.nullcontext)]
    found["noted"] = environment(Device("cpu"))["devices"]
    found["overflow"] = overflow(images[0], labels[0])
    photos = datasets.load("folder", path=folder)
    split, kept = opened(photos).split, folder.parent / "kept.npz"
    data = fit.Data(lambda size: open_images(photos, size=size), split.train, split.val)
    whole = take_epochs(mirrored.scope(BATCH), data, keep=kept)
    resumed, alone = take_epochs(mirrored.scope(BATCH), data, start=kept), take_epochs(ONE(), data)
    found["epochs"] = [[[row[name] for name in SHOWN] for row in state.history] for state in (whole, resumed, alone)]
    found["resumed"] = all(map(np.array_equal, values(whole), values(resumed))) and not copies_differ(resumed)
    return found | {"saved": saved_and_loaded(whole, folder.parent / "model.keras")}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
