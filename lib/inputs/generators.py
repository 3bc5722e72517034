"""Keras-fed input: `tf.data` datasets that read, shuffle, augment and batch images.

What an epoch holds is a pure function of (seed, epoch): a run that was interrupted sees the same batches again.
"""

import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from lib.config import Augment
from lib.inputs.augment import augment_batch
from lib.inputs.cache import CachedImages, StreamedImages

Images = CachedImages | StreamedImages


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Batches an epoch: only full ones, so a few images sit out each epoch, others every time."""
    return max(1, count // batch_size)


def make_train_dataset(
    images: Images, rows: np.ndarray, *, labels: np.ndarray, batch_size: int, seed: int, augment: Augment | None = None
) -> "TrainDataset":
    """Shuffled, augmented batches of some rows, epoch by epoch.

    Args:
        images: decoded images of the whole data set.
        rows: (N,) int, the rows to train on.
        labels: int class numbers of the whole data set.
        batch_size: images a step; fewer where there are fewer rows.
        seed: decides the order of the images and every random change to them.
        augment: random changes; None for none.

    Returns:
        A recipe whose `epochs(first, last)` is the `tf.data.Dataset`.
    """
    if len(rows) == 0:
        raise ValueError("make_train_dataset needs at least one row. Received: none")
    return TrainDataset(images, np.asarray(rows), np.asarray(labels), min(batch_size, len(rows)), seed, augment)


class TrainDataset:
    """The batches of every epoch; see `make_train_dataset`."""

    def __init__(self, images, rows, labels, batch_size, seed, augment):
        self.images = images
        self.rows = rows
        self.labels = labels
        self.batch_size = batch_size
        self.seed = seed
        self.augment = augment or Augment()
        self.steps = steps_per_epoch(len(rows), batch_size)
        self.num_classes = int(labels.max()) + 1

    def epochs(self, first: int, last: int) -> tf.data.Dataset:
        """Batches of epochs `first` to `last - 1`, one after the other.

        Returns:
            `tf.data.Dataset` of (float32 (B, H, W, 3) in [0, 255], int32 (B,) labels); the labels are float32 rows
            (B, num_classes) where images are mixed.
        """
        steps = tf.data.Dataset.range(first, last).flat_map(self._epoch)
        return _read_ahead(_map(_map(steps, self._read), self._augment))

    def _epoch(self, epoch):
        """Row numbers of each step of an epoch, with the step's own seed."""
        draw = tf.random.stateless_uniform((len(self.rows),), tf.stack([self.seed, tf.cast(epoch, tf.int32)]))
        shuffled = tf.gather(self.rows, tf.argsort(draw, stable=True))[: self.steps * self.batch_size]
        batches = tf.reshape(shuffled, (self.steps, self.batch_size))
        steps = tf.range(self.steps, dtype=tf.int32) + tf.cast(epoch, tf.int32) * self.steps
        seeds = tf.stack([tf.fill((self.steps,), self.seed + 1_000_003), steps], axis=1)
        return tf.data.Dataset.from_tensor_slices((batches, seeds))

    def _read(self, rows, seed):
        return *_read_batch(self.images, self.labels, rows), seed

    def _augment(self, images, labels, seed):
        return augment_batch(images, labels, config=self.augment, num_classes=self.num_classes, seed=seed)


def make_eval_dataset(images: Images, rows: np.ndarray, *, labels: np.ndarray, batch_size: int = 256):
    """Batches of some rows in the given order, unchanged.

    Args:
        images: decoded images of the whole data set.
        rows: (N,) int, the rows to read.
        labels: int class numbers of the whole data set.
        batch_size: images a step; the last batch may be smaller.

    Returns:
        `tf.data.Dataset` of (uint8 (B, H, W, 3) in [0, 255], int32 (B,) labels).
    """
    batches = tf.data.Dataset.from_tensor_slices(np.asarray(rows)).batch(batch_size)
    return _read_ahead(_map(batches, lambda batch: _read_batch(images, labels, batch)))


def _map(data: tf.data.Dataset, change: Callable) -> tf.data.Dataset:
    """Apply `change` to several batches at once, one a core, and keep their order."""
    return data.map(change, num_parallel_calls=os.cpu_count(), deterministic=True)


def _read_ahead(data: tf.data.Dataset) -> tf.data.Dataset:
    """Make the next batches while one is in use.

    The tuner that tf.data brings stays off: it finds nothing faster than a batch a core, and a pipeline that ends
    while the tuner's thread sleeps waits until it wakes: for seconds, and the longer the longer it ran.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return data.prefetch(2).with_options(options)


def _read_batch(images: Images, labels: np.ndarray, rows: tf.Tensor):
    """Pixels and labels of a batch of rows, read by numpy inside the graph."""

    def read(batch):
        return images.read(batch), labels[batch].astype(np.int32)

    pixels, classes = tf.numpy_function(read, [rows], (tf.uint8, tf.int32), stateful=False)
    count = rows.shape[0]
    return tf.ensure_shape(pixels, (count, images.size, images.size, 3)), tf.ensure_shape(classes, (count,))
