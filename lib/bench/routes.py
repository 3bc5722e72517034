"""The routes that `make bench` compares: each reads all images and tells how many come with each batch.

The first value of a route is not timed: what comes before it is set-up. Where images are augmented, that is the first
batch, which builds the graph: training meets that once and not every epoch. On a first pass it is 0.
"""

import contextlib
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.config import Augment
from lib.datasets import Dataset
from lib.inputs.cache import StreamedImages, fill_cache, open_images

BATCH_SIZE = 64
SEED = 0
EPOCHS = 5  # of our cached route, read without a pause as in training: a single one is over in a second
# The same changes in the words of each library: degrees, shares of the side, shares of the scale.
ROTATION, SHIFT, ZOOM = 15.0, 0.1, 0.2
FILL = "nearest"  # the border repeated, the default of ImageDataGenerator
AUGMENT = Augment(flip=True, rotation=ROTATION, shift=SHIFT, zoom=ZOOM, fill=FILL)


@dataclass(frozen=True)
class Source:
    """The images that every route reads."""

    dataset: Dataset
    folder: Path  # one folder a class, with the very files of the index, for Keras' loaders
    size: int  # pixels a side

    def rows(self) -> np.ndarray:
        """Row numbers of all images."""
        return np.arange(len(self.dataset.index))

    def labels(self) -> np.ndarray:
        """Class numbers of all images."""
        return self.dataset.index["label"].to_numpy()


def link_images(dataset: Dataset, folder: Path) -> Path:
    """Class folders with just the images of the index: Keras' loaders would take stray files too.

    Args:
        dataset: the images.
        folder: an empty folder.

    Returns:
        That folder.
    """
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
    """Our training batches: decoded images in a memory map, one warp a batch."""
    from lib.inputs.generators import make_train_dataset

    images = open_images(source.dataset, size=source.size)
    train_data = make_train_dataset(
        images, source.rows(), batch_size=BATCH_SIZE, seed=SEED, augment=AUGMENT, epochs=range(EPOCHS)
    )
    yield from _count(train_data)


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
    data = make_eval_dataset(images, source.rows(), batch_size=BATCH_SIZE)
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
