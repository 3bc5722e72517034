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
REFUSED = " Features and labels would not belong together, and any head would answer at chance: they are not kept."
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
        """Copy some rows: (B, F) float32.

        Raises:
            FeaturesError: if one of them has no features here.
        """
        places = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
        if not np.array_equal(self.rows[places], rows):
            raise FeaturesError("Features were asked for of images whose features were not computed.")
        return self.values[places]


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
        stored = _read(target, images, rows)
        if stored is None:
            _compute(target, images, rows, model=model_of(), name=name)
            stored = _read(target, images, rows)
    return stored


def _read(file: Path, images: Images, rows: np.ndarray) -> Features | None:
    """Features as they were written; None where there are none, or they are damaged."""
    note = file.with_suffix(".json")
    if not file.exists() or not note.exists():
        return None
    try:
        facts = read_json(note)
        if checksum(file) == facts["sha256"]:
            return Features(rows, np.load(file, mmap_mode="r"), images.labels, facts["seconds"], facts["parameters"])
    except (KeyError, TypeError, ValueError):
        pass
    print(f"{file.name} in the cache is damaged, and is made again", flush=True)
    return None


def _compute(target: Path, images: Images, rows: np.ndarray, *, model, name: str) -> None:
    """Write the features of all rows to a file, going on where an earlier pass was killed."""
    import tensorflow as tf

    from lib.training.steps import image_spec

    step = tf.function(lambda pixels: model(pixels, training=False), input_signature=[image_spec(model)])
    partial, started = target.with_suffix(".partial"), time.monotonic()
    try:
        with writing(target.parent):
            target.unlink(missing_ok=True)
            done = _pass(partial, images, rows, step=step, width=model.output_shape[-1], name=name)
        seconds = (time.monotonic() - started) * len(rows) / (len(rows) - done)
        _check(np.load(partial, mmap_mode="r"), images, rows, step=step)
    except FeaturesError:
        partial.unlink()
        raise
    facts = {"sha256": checksum(partial), "seconds": seconds, "parameters": model.count_params()}
    write_json(target.with_suffix(".json"), facts)
    os.replace(partial, target)


def _pass(partial: Path, images: Images, rows: np.ndarray, *, step: Callable, width: int, name: str) -> int:
    """Append to a file what it lacks of the features; returns how many of them were there before."""
    from lib.inputs.generators import make_eval_dataset

    header, count = io.BytesIO(), len(rows)
    description = {"descr": "<f4", "fortran_order": False, "shape": (count, width)}
    np.lib.format.write_array_header_1_0(header, description)
    size, batch = len(header.getvalue()), 4 * width * BATCH
    bar = progress_bar(f"Features of {name}", total=count, unit=" images")
    with open(partial, "a+b") as file, bar:
        written = file.tell() - size
        file.seek(0)
        whole = written // batch if file.read(size) == header.getvalue() else 0
        done = min(whole, (count - 1) // BATCH) * BATCH  # never the last ones: what a longer file holds is not known
        file.truncate(size + done * 4 * width if done else 0)
        file.write(b"" if done else header.getvalue())
        bar.update(done)
        batches = make_eval_dataset(images, rows[done:], batch_size=BATCH)
        for start, (pixels, labels) in zip(range(done, count, BATCH), batches, strict=True):
            if not np.array_equal(labels, images.labels[rows[start : start + BATCH]]):
                raise FeaturesError(f"The images from row {start} on came in another order than their rows.{REFUSED}")
            file.write(step(pixels).numpy().astype("<f4").data)
            bar.update(len(pixels))
    return done


def _check(values: np.ndarray, images: Images, rows: np.ndarray, *, step: Callable) -> None:
    """Compute a few features again, each alone and straight from its image: a pass that lost its order is found out."""
    for place in np.unique(np.linspace(0, len(rows) - 1, CHECKED).astype(int)):
        again = step(images.read(rows[place : place + 1])).numpy()[0]
        if not np.allclose(values[place], again, atol=NEAR * np.abs(again).max()):
            raise FeaturesError(f"The features in row {place} are not those of image {rows[place]}.{REFUSED}")
