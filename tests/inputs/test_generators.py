"""Input pipelines: what an epoch holds, in which order, and that an interrupted run sees the same batches again."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lib.config import Augment
from lib.inputs.cache import CachedImages, open_images
from lib.inputs.generators import make_eval_dataset, make_train_dataset, steps_per_epoch
from lib.models import Softmax

ALL_KINDS = Augment(flip=True, rotation=20, shift=0.1, zoom=0.2, aspect=0.2, shear=5, colour=0.3)
LABELS = np.arange(40) % 4


@pytest.fixture
def numbered() -> CachedImages:
    """Forty plain images of 4 x 4 pixels, each of its row's value."""
    return CachedImages(np.broadcast_to(np.arange(40, dtype=np.uint8)[:, None, None, None], (40, 4, 4, 3)), LABELS)


def read_rows(dataset) -> list[list[int]]:
    """Row numbers of each batch, read off the pixels."""
    return [images.numpy()[:, 0, 0, 0].astype(int).tolist() for images, _ in dataset]


def equal(first, second) -> bool:
    pairs = list(zip(first, second, strict=True))
    return all(np.array_equal(a, b) and np.array_equal(c, d) for (a, c), (b, d) in pairs)


@pytest.mark.parametrize("count, batch_size, steps", [(10, 5, 2), (11, 5, 2), (9, 5, 1), (3, 5, 1), (5, 5, 1)])
def test_steps_per_epoch(count, batch_size, steps):
    assert steps_per_epoch(count, batch_size) == steps


def test_an_epoch_holds_each_row_at_most_once_and_nearly_all(numbered):
    rows = np.arange(7, 30)  # 23 rows, of which 20 fill the batches
    epochs = [
        read_rows(make_train_dataset(numbered, rows, batch_size=5, seed=0, epochs=range(epoch, epoch + 1)))
        for epoch in range(6)
    ]
    for batches in epochs:
        assert [len(batch) for batch in batches] == [5] * 4
        seen = sum(batches, [])
        assert len(set(seen)) == 20 and set(seen) <= set(rows)
        assert seen != sorted(seen)
    assert len({tuple(sum(batches, [])) for batches in epochs}) == 6  # another order each time
    assert len({frozenset(sum(batches, [])) for batches in epochs}) > 1  # others sit out each time
    assert set(sum(sum(epochs, []), [])) == set(rows)


def test_labels_stay_with_their_images(numbered):
    for images, labels in make_train_dataset(numbered, np.arange(40), batch_size=8, seed=1, epochs=range(3)):
        assert np.array_equal(labels, LABELS[images.numpy()[:, 0, 0, 0].astype(int)])


def test_batches_have_known_shapes_and_types(numbered):
    train = make_train_dataset(numbered, np.arange(40), batch_size=8, seed=0, augment=ALL_KINDS)
    images, labels = train.element_spec
    assert images == tf.TensorSpec((8, 4, 4, 3), tf.float32) and labels == tf.TensorSpec((8,), tf.int32)
    images, labels = next(iter(train))
    assert images.shape == (8, 4, 4, 3) and images.dtype == tf.float32
    assert images.numpy().min() >= 0 and images.numpy().max() <= 255
    images, labels = make_eval_dataset(numbered, np.arange(40), batch_size=8).element_spec
    assert images == tf.TensorSpec((None, 4, 4, 3), tf.uint8) and labels == tf.TensorSpec((None,), tf.int32)


def test_mixed_labels_are_rows_over_all_classes(numbered):
    mixing = Augment(cutmix=1.0)
    # The rows read hold the classes 0 and 1 only; the label rows have room for all four.
    rows = np.flatnonzero(LABELS < 2)
    data = make_train_dataset(numbered, rows, batch_size=5, seed=0, augment=mixing)
    for _, labels in data:
        assert labels.shape == (5, 4) and labels.dtype == tf.float32
        np.testing.assert_allclose(labels.numpy().sum(axis=1), 1, atol=1e-6)


def test_a_continued_run_sees_the_batches_of_an_uninterrupted_one(numbered):
    settings = {"batch_size": 5, "seed": 9, "augment": ALL_KINDS.replace(cutmix=0.3)}
    data = make_train_dataset(numbered, np.arange(23), **settings, epochs=range(5))
    whole = list(data)
    assert len(whole) == 20 == data.cardinality()
    assert equal(whole[8:], make_train_dataset(numbered, np.arange(23), **settings, epochs=range(2, 5)))
    assert equal(whole, data)


def test_model_fit_takes_it(numbered):
    model = Softmax().build(4, image_size=4)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    data = make_train_dataset(numbered, np.arange(40), batch_size=8, seed=0, augment=ALL_KINDS, epochs=range(3))
    evaluation = make_eval_dataset(numbered, np.arange(5))
    history = model.fit(data, epochs=3, steps_per_epoch=5, validation_data=evaluation, shuffle=False, verbose=0).history
    assert len(history["loss"]) == len(history["val_accuracy"]) == 3 and np.isfinite(history["loss"]).all()
    mixed = make_train_dataset(numbered, np.arange(40), batch_size=8, seed=0, augment=Augment(cutmix=1.0))
    model = Softmax().build(4, image_size=4)
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    assert np.isfinite(model.fit(mixed, shuffle=False, verbose=0).history["loss"]).all()


def test_random_changes_differ_from_epoch_to_epoch(numbered):
    changed = {"augment": Augment(colour=0.2), "epochs": range(8)}
    data = make_train_dataset(numbered, np.array([30]), batch_size=1, seed=0, **changed)
    values = [float(images[0, 0, 0, 0]) for images, _ in data]
    assert len(set(values)) == 8


def test_the_seed_decides_order_and_changes(numbered):
    def batches(seed, augment=None):
        data = make_train_dataset(numbered, np.arange(40), batch_size=8, seed=seed, augment=augment)
        return list(data)

    assert equal(batches(3, ALL_KINDS), batches(3, ALL_KINDS))
    assert read_rows(batches(3)) != read_rows(batches(4))
    one = make_train_dataset(numbered, np.array([30]), batch_size=1, seed=3, augment=ALL_KINDS)
    two = make_train_dataset(numbered, np.array([30]), batch_size=1, seed=4, augment=ALL_KINDS)
    assert not equal(one, two)


def test_augmentation_is_applied_to_training_only(numbered):
    rows, vivid = np.arange(40), Augment(colour=1.0)
    train = make_train_dataset(numbered, rows, batch_size=40, seed=0, augment=vivid)
    assert any((images.numpy() % 1 > 0).any() for images, _ in train)
    plain = make_train_dataset(numbered, rows, batch_size=40, seed=0)
    for images, _ in plain:
        assert np.ptp(images.numpy(), axis=(1, 2, 3)).max() == 0


def test_fewer_rows_than_a_batch_make_one_small_batch(numbered):
    data = make_train_dataset(numbered, np.array([4, 9, 2]), batch_size=64, seed=0)
    (batch,) = read_rows(data)
    assert sorted(batch) == [2, 4, 9]


def test_no_rows_are_refused(numbered):
    with pytest.raises(ValueError, match="make_train_dataset needs at least one row. Received: none"):
        make_train_dataset(numbered, np.array([], int), batch_size=4, seed=0)


def test_eval_keeps_the_given_order_and_the_last_small_batch(numbered):
    rows = np.array([9, 3, 3, 39, 0, 7, 21])
    data = make_eval_dataset(numbered, rows, batch_size=3)
    for _ in range(2):  # the same each time
        batches = list(data)
        assert [len(images) for images, _ in batches] == [3, 3, 1]
        assert sum(read_rows(batches), []) == rows.tolist()
        assert np.array_equal(np.concatenate([labels for _, labels in batches]), LABELS[rows])
        assert all(images.dtype == tf.uint8 and labels.dtype == tf.int32 for images, labels in batches)


def test_cached_and_streamed_images_give_equal_batches(photos):
    kinds = [open_images(photos, size=8, budget=budget) for budget in (None, 0)]
    settings = {"batch_size": 4, "seed": 2, "augment": ALL_KINDS, "epochs": range(2)}
    assert equal(*(make_train_dataset(kind, np.arange(17), **settings) for kind in kinds))
    tests = [make_eval_dataset(kind, np.array([17, 0, 5]), batch_size=2) for kind in kinds]
    assert equal(*tests)
    assert np.concatenate([labels for _, labels in tests[0]]).tolist() == [2, 0, 0]
