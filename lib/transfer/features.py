"""Bottleneck features: the output of a frozen backbone for every image, computed once and kept.

One pass, in the order of the rows, writes them to a file as they come, so memory is that of one batch however many
images there are; a pass that was killed goes on where its file ends.
"""

import hashlib
import io
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from lib.config import paths
from lib.config.files import checksum, locked, read_json, write_json, writing
from lib.config.progress import progress_bar
from lib.inputs.cache import Images

BATCH = 64
CHECKED = 8  # rows that are computed again, alone, when a pass ends
NEAR = 1e-2  # largest difference that the size of the batch may make, relative to the largest feature


class FeaturesError(ValueError):
    """Features that do not belong to their images."""


@dataclass(frozen=True)
class Features:
    """Features of some rows of a data set; read like images."""

    rows: np.ndarray  # (N,) int, sorted
    values: np.ndarray  # (N, F) float32, from the disk as they are asked for
    labels: np.ndarray  # int class numbers of all rows of the data set
    seconds: float  # that computing them took
    parameters: int  # of the backbone

    dtype: ClassVar = np.float32

    @property
    def shape(self) -> tuple[int]:
        """Of one image."""
        return self.values.shape[1:]

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Copy some rows: (B, F) float32."""
        return self.values[np.searchsorted(self.rows, rows)]


def open_features(images: Images, rows: np.ndarray, *, model_of: Callable, name: str, facts: list[str]) -> Features:
    """The features of some images, computed where they are not in the cache.

    Args:
        images: of the whole data set, at the size that the backbone reads.
        rows: (N,) int, sorted.
        model_of: gives the frozen backbone, a Keras model from pixels to (B, F); called only if it is needed.
        name: of the backbone, for the file and the progress bar.
        facts: all that decides the features: weights, cut, size, resize rule, data, code.

    Raises:
        FeaturesError: if what was computed does not belong to the images.
    """
    content = json.dumps([*facts, hashlib.sha256(np.asarray(rows, np.int64).tobytes()).hexdigest()])
    key = hashlib.sha256(content.encode()).hexdigest()[:16]
    target = paths.cache() / "features" / f"{name}-{key}.npy"
    with locked(target.with_suffix(".lock"), title=f"the features {target.name}"):
        stored = _read(target)
        if stored is None:
            _compute(target, images, rows, model=model_of(), name=name)
            stored = _read(target)
    values, facts = stored
    return Features(np.asarray(rows), values, images.labels, facts["seconds"], facts["parameters"])


def _read(file: Path) -> tuple[np.ndarray, dict] | None:
    """Features and what was noted of them; None where there are none, or they are not as they were written."""
    note = file.with_suffix(".json")
    if not file.exists() or not note.exists():
        return None
    try:
        facts = read_json(note)
        if checksum(file) == facts["sha256"]:
            return np.load(file, mmap_mode="r"), facts
    except (KeyError, TypeError, ValueError):
        pass
    print(f"{file.name} in the cache is damaged, and is made again", flush=True)
    return None


def _compute(target: Path, images: Images, rows: np.ndarray, *, model, name: str) -> None:
    """Write the features of all rows to a file, going on where an earlier pass was killed."""
    import tensorflow as tf

    from lib.inputs.generators import make_eval_dataset
    from lib.training.steps import image_spec

    width, count, header = model.output_shape[-1], len(rows), io.BytesIO()
    description = {"descr": "<f4", "fortran_order": False, "shape": (count, width)}
    np.lib.format.write_array_header_1_0(header, description)
    step = tf.function(lambda pixels: model(pixels, training=False), input_signature=[image_spec(model)])
    partial, started = target.with_suffix(".partial"), time.monotonic()
    target.unlink(missing_ok=True)
    bar = progress_bar(f"Features of {name}", total=count, unit=" images")
    with writing(target.parent), open(partial, "ab") as file, bar:
        batches = max(0, file.tell() - header.tell()) // (4 * width * BATCH)  # whole ones, and not the last
        done = min(batches, (count - 1) // BATCH) * BATCH
        file.truncate(header.tell() + 4 * width * done if done else 0)
        file.write(b"" if done else header.getvalue())
        bar.update(done)
        for pixels, _ in make_eval_dataset(images, rows[done:], batch_size=BATCH):
            file.write(step(pixels).numpy().astype("<f4").data)
            bar.update(len(pixels))
    seconds = (time.monotonic() - started) * count / (count - done)
    try:
        _check(np.load(partial, mmap_mode="r"), images, rows, step=step)
    except FeaturesError:
        partial.unlink()
        raise
    os.replace(partial, target)
    facts = {"sha256": checksum(target), "seconds": seconds, "parameters": model.count_params()}
    write_json(target.with_suffix(".json"), facts)


def _check(values: np.ndarray, images: Images, rows: np.ndarray, *, step: Callable) -> None:
    """Compute a few features again, each alone and straight from its image: a pass that lost its order is found out."""
    for place in np.unique(np.linspace(0, len(rows) - 1, CHECKED).astype(int)):
        again = step(images.read(rows[place : place + 1])).numpy()[0]
        if not np.allclose(values[place], again, atol=NEAR * max(1e-6, np.abs(again).max())):
            raise FeaturesError(
                f"The features in row {place} are not those of image {rows[place]}: features and labels would not "
                "belong together, and any head on them would answer at chance. They are not kept."
            )
