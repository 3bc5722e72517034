"""Keras-fed input: `tf.data` datasets that read, shuffle, augment and batch images.

What an epoch holds is a pure function of (seed, epoch): a run that was interrupted sees the same batches again.
"""

import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from lib.config import Augment
from lib.inputs.augment import augment_batch
from lib.inputs.cache import Images


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Batches per epoch: only full ones, so a few images sit out each epoch, others every time."""
    return max(1, count // batch_size)


def make_train_dataset(
    images: Images,
    rows: np.ndarray,
    *,
    batch_size: int,
    seed: int,
    augment: Augment | None = None,
    epochs: range = range(1),
) -> tf.data.Dataset:
    """Shuffled, augmented batches of some rows, one epoch after the other: what `model.fit` takes.

    Args:
        images: decoded images of the whole data set, with their labels.
        rows: (N,) int, the rows to train on.
        batch_size: images per step; fewer where there are fewer rows.
        seed: decides the order of the images and every random change to them.
        augment: random changes; None for none.
        epochs: numbers of the epochs; a training that continues after its third asks for `range(3, last)`.

    Returns:
        `len(epochs)` times `steps_per_epoch` batches of (float32 (B, S, S, 3) in [0, 255], int32 (B,) labels); the
        labels are float32 rows (B, num_classes) where images are mixed.

    Raises:
        ValueError: if there are no rows.
    """
    if len(rows) == 0:
        raise ValueError("make_train_dataset needs at least one row. Received: none")
    augment, rows, labels = augment or Augment(), np.asarray(rows), images.labels
    batch_size, steps = min(batch_size, len(rows)), steps_per_epoch(len(rows), batch_size)
    num_classes = int(labels.max()) + 1

    def draw_epoch(epoch):
        """Row numbers of each step of an epoch, with the step's own seed."""
        epoch = tf.cast(epoch, tf.int32)
        draw = tf.random.stateless_uniform((len(rows),), tf.stack([seed, epoch]))
        shuffled = tf.gather(rows, tf.argsort(draw, stable=True))[: steps * batch_size]
        numbers = tf.range(steps, dtype=tf.int32) + epoch * steps
        seeds = tf.stack([tf.fill((steps,), seed + 1_000_003), numbers], axis=1)
        return tf.data.Dataset.from_tensor_slices((tf.reshape(shuffled, (steps, batch_size)), seeds))

    def read(batch, step_seed):
        return *_read_batch(images, batch), step_seed

    def change(pixels, classes, step_seed):
        return augment_batch(pixels, classes, config=augment, num_classes=num_classes, seed=step_seed)

    batches = tf.data.Dataset.range(epochs.start, epochs.stop).flat_map(draw_epoch)
    batches = batches.apply(tf.data.experimental.assert_cardinality(len(epochs) * steps))
    return _read_ahead(_map(_map(batches, read), change))


def make_eval_dataset(
    images: Images, rows: np.ndarray, *, batch_size: int = 256, augment: Augment | None = None, seed: int = 0
) -> tf.data.Dataset:
    """Batches of some rows in the given order.

    Args:
        images: decoded images of the whole data set, with their labels.
        rows: (N,) int, the rows to read.
        batch_size: images per step; the last batch may be smaller.
        augment: random changes, all but mixing; None for none.
        seed: decides each change.

    Returns:
        Batches of (uint8 (B, S, S, 3) in [0, 255], int32 (B,) labels).
    """
    batches = tf.data.Dataset.from_tensor_slices(np.asarray(rows)).batch(batch_size)
    if augment is None:
        return _read_ahead(_map(batches, lambda batch: _read_batch(images, batch)))
    config = augment.replace(cutmix=0.0)

    def change(number, batch):
        pixels, classes = _read_batch(images, batch)
        step_seed = tf.stack([seed, tf.cast(number, tf.int32)])
        changed, _ = augment_batch(pixels, classes, config=config, num_classes=0, seed=step_seed)
        return tf.cast(tf.round(changed), tf.uint8), classes

    return _read_ahead(_map(batches.enumerate(), change))


def _map(data: tf.data.Dataset, change: Callable) -> tf.data.Dataset:
    """Apply `change` to several batches at once, one per core, and keep their order."""
    return data.map(change, num_parallel_calls=os.cpu_count(), deterministic=True)


def _read_ahead(data: tf.data.Dataset) -> tf.data.Dataset:
    """Make the next batches while one is in use.

    The tuner that tf.data brings stays off: it finds nothing faster than one batch per core, and a pipeline that ends
    while the tuner's thread sleeps waits until it wakes: for seconds, and the longer the longer it ran.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return data.prefetch(2).with_options(options)


def _read_batch(images: Images, rows: tf.Tensor):
    """Pixels and labels of a batch of rows, read by numpy inside the graph."""

    def read(batch):
        return images.read(batch), images.labels[batch].astype(np.int32)

    pixels, classes = tf.numpy_function(read, [rows], (images.dtype, tf.int32), stateful=False)
    count = rows.shape[0]
    return tf.ensure_shape(pixels, (count, *images.shape)), tf.ensure_shape(classes, (count,))
