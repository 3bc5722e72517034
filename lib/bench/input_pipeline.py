"""The input pipeline measured beside Keras' own, on the same images, in one process: `make bench`.

A route reads all images and tells how many come with each batch. Its first value is not timed: what comes before it is
set-up. Where images are augmented, that is the first batch, which builds the graph: training meets that once and not
every epoch. On a first pass it is 0. TensorFlow is imported, quietly, by `run`.
"""

import contextlib
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lib import datasets
from lib.bench import measure, summarise
from lib.config import Augment, paths
from lib.datasets import Dataset
from lib.datasets.catalogue import find
from lib.datasets.fetch.acquire import find_here
from lib.inputs.cache import StreamedImages, fill_cache, open_images
from lib.training.device import import_tensorflow

AUGMENTED, FIRST_PASS = "augmented", "first pass"
BATCH_SIZE = 64
SEED = 0
EPOCHS = 5  # of our cached route, read without a pause as in training: a single one is over in a second
# The same changes in the words of each library: degrees, shares of the side, shares of the scale.
ROTATION, SHIFT, ZOOM = 15.0, 0.1, 0.2
FILL = "nearest"  # the border is repeated, as ImageDataGenerator does by default
AUGMENT = Augment(flip=True, rotation=ROTATION, shift=SHIFT, zoom=ZOOM, fill=FILL)


@dataclass(frozen=True)
class Source:
    """The images that every route reads."""

    dataset: Dataset
    folder: Path  # one folder per class, with the very files of the index, for Keras' loaders
    size: int  # pixels per side


def link_images(dataset: Dataset, folder: Path) -> Path:
    """Fill an empty folder with class folders of the indexed images alone; Keras' loaders would take stray files."""
    for row in dataset.index.itertuples():
        link = folder / f"{row.label:03d}" / f"{row.Index:06d}.jpg"
        link.parent.mkdir(exist_ok=True)
        try:
            os.symlink(dataset.root / row.path, link)
        except OSError:  # Windows allows links to administrators only
            shutil.copyfile(dataset.root / row.path, link)
    return folder


def image_data_generator(source: Source) -> Iterator[int]:
    """Keras' `ImageDataGenerator` with its own augmentation, as older notebooks use it: one thread."""
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    changes = ImageDataGenerator(
        rotation_range=ROTATION,
        width_shift_range=SHIFT,
        height_shift_range=SHIFT,
        zoom_range=ZOOM,
        horizontal_flip=True,
        fill_mode=FILL,
    )
    with contextlib.redirect_stdout(io.StringIO()):  # it prints what it found
        batches = changes.flow_from_directory(
            source.folder,
            target_size=(source.size, source.size),
            interpolation="bilinear",
            class_mode="sparse",
            batch_size=BATCH_SIZE,
            seed=SEED,
        )
    for _ in range(len(batches)):
        yield len(next(batches)[1])


def random_layers(source: Source) -> Iterator[int]:
    """`image_dataset_from_directory`, then Keras' random layers in a parallel map."""
    import keras
    import tensorflow as tf

    changes = [
        keras.layers.RandomFlip("horizontal", seed=SEED),
        keras.layers.RandomRotation(ROTATION / 360, fill_mode=FILL, seed=SEED),
        keras.layers.RandomTranslation(SHIFT, SHIFT, fill_mode=FILL, seed=SEED),
        keras.layers.RandomZoom(ZOOM, fill_mode=FILL, seed=SEED),
    ]

    def change(images, labels):
        for layer in changes:
            images = layer(images, training=True)
        return images, labels

    data = _from_directory(source, shuffle=True).map(change, num_parallel_calls=tf.data.AUTOTUNE)
    yield from _count(data.prefetch(tf.data.AUTOTUNE))


def cached(source: Source) -> Iterator[int]:
    """Our training batches: decoded images in a memory map, one warp per batch."""
    from lib.inputs.generators import make_train_dataset

    images, rows = open_images(source.dataset, size=source.size), np.arange(len(source.dataset.index))
    yield from _count(
        make_train_dataset(images, rows, batch_size=BATCH_SIZE, seed=SEED, augment=AUGMENT, epochs=range(EPOCHS))
    )


def from_directory(source: Source) -> Iterator[int]:
    """`image_dataset_from_directory` alone."""
    data = _from_directory(source, shuffle=False)
    yield 0
    yield from _count(data)


def filling_the_cache(source: Source) -> Iterator[int]:
    """What our first epoch costs: every file decoded and written to the cache."""
    yield 0
    with tempfile.TemporaryDirectory() as folder:
        fill_cache(Path(folder) / "pixels.npy", source.dataset, size=source.size, resize="stretch")
    yield len(source.dataset.index)


def streamed(source: Source) -> Iterator[int]:
    """Our batches where the cache would not fit: read from the files every time."""
    from lib.inputs.generators import make_eval_dataset

    images = StreamedImages(source.dataset, source.size, "stretch")
    data = make_eval_dataset(images, np.arange(len(source.dataset.index)), batch_size=BATCH_SIZE)
    yield 0
    yield from _count(data)


def _from_directory(source: Source, *, shuffle: bool):
    import keras

    sides = (source.size, source.size)
    return keras.utils.image_dataset_from_directory(
        source.folder, image_size=sides, batch_size=BATCH_SIZE, shuffle=shuffle, seed=SEED, verbose=False
    )


def _count(data) -> Iterator[int]:
    for _, labels in data:
        yield len(labels)


ROUTES: dict[tuple[str, str], Callable[[Source], Iterator[int]]] = {
    ("ImageDataGenerator", AUGMENTED): image_data_generator,
    ("image_dataset_from_directory + layers", AUGMENTED): random_layers,
    ("ours, cached", AUGMENTED): cached,
    ("image_dataset_from_directory", FIRST_PASS): from_directory,
    ("ours, filling the cache", FIRST_PASS): filling_the_cache,
    ("ours, streamed", FIRST_PASS): streamed,
}
BARS = (  # ours, theirs, case, and how many times as fast ours must be
    ("ours, cached", "ImageDataGenerator", AUGMENTED, 10),
    ("ours, cached", "image_dataset_from_directory + layers", AUGMENTED, 5),
    ("ours, filling the cache", "image_dataset_from_directory", FIRST_PASS, 1),
    ("ours, streamed", "image_dataset_from_directory", FIRST_PASS, 1),
)


def run(dataset: Dataset | None = None, *, size: int = 64, rounds: int = 3) -> pd.DataFrame:
    """Measure every route, print the table and write `reports/bench/input_pipeline.csv`.

    Args:
        dataset: images to read; by default Caltech-101 where it needs no download, else the demo set.
        size: side in pixels to which every route resizes.
        rounds: how often each route is measured.

    Returns:
        The table of `summarise`.
    """
    import_tensorflow()
    if dataset is None:
        name = "caltech101" if find_here(find("caltech101")) else "demo"
        dataset = datasets.load(name, include_clutter=True)
    taken = {key: [] for key in ROUTES}
    with tempfile.TemporaryDirectory() as folder:
        source = Source(dataset, link_images(dataset, Path(folder)), size)
        open_images(dataset, size=size)
        for number in range(1, rounds + 1):
            for (route, case), batches in ROUTES.items():
                print(f"round {number} of {rounds}: {route}, {case}", flush=True)
                taken[route, case].append(measure(batches(source)))
    table = summarise(taken, images=len(dataset.index))
    target = paths.reports() / "bench" / "input_pipeline.csv"
    target.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(target, index=False)
    print(f"\n{dataset.title}: {len(dataset.index):,} images at {size} px, median of {rounds} rounds\n")
    print(f"{table.round(1).to_string(index=False)}\n")
    print("\n".join(judge(table)))
    return table


def judge(table: pd.DataFrame) -> list[str]:
    """One line per bar: how many times as fast, what is asked, met or missed."""
    speed = table.set_index(["route", "case"])["images_per_second"]
    lines = []
    for ours, theirs, case, asked in BARS:
        ratio = speed[ours, case] / speed[theirs, case]
        verdict = "met" if ratio >= asked else "missed"
        lines.append(f"{case}: {ours} is {ratio:.1f} times as fast as {theirs} (at least {asked:g} asked: {verdict})")
    return lines
