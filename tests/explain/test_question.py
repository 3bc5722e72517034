"""What is asked of a model: images and classes that are refused, batches, plain images."""

import keras
import numpy as np
import pytest
from keras import layers

from lib.explain.attributions.attribution import ask, plain_images
from lib.explain.network.gradients import in_batches


@pytest.fixture(scope="module")
def model() -> keras.Model:
    image = keras.Input((4, 6, 3))
    return keras.Model(image, layers.Dense(5, name="logits")(layers.Flatten()(image)))


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, 4, 6, 3)).astype(np.uint8)


def test_a_question_that_is_in_order(model, images):
    for kind in (np.uint8, np.float16, np.float32, np.float64):
        question = ask(model, images.astype(kind), 2)
        assert question.images.dtype == kind and question.classes.tolist() == [2, 2, 2]
        assert question.graph.output.step == "logits"
    assert ask(model, images, [0, 4, 1]).classes.tolist() == [0, 4, 1]
    assert ask(model, images[:1], np.int64(3)).classes.dtype == np.int32


@pytest.mark.parametrize(
    "spoil, complaint",
    [
        (lambda x: x[0], r"shape \(N, H, W, C\); one alone is image\[None\]. Received: \(4, 6, 3\)"),
        (lambda x: x[:0], r"at least one image with pixels. Received: shape \(0, 4, 6, 3\)"),
        (lambda x: x[:, :0], r"at least one image with pixels. Received: shape \(3, 0, 6, 3\)"),
        (lambda x: x.astype(int), "must be uint8 or float. Received: int64"),
        (lambda x: x > 0, "must be uint8 or float. Received: bool"),
        (lambda x: x.astype(str), "must be uint8 or float. Received: <U3"),
        (lambda x: x - 300.0, r"must lie in \[0, 255\]; scaling is inside the model. Received: -"),
        (lambda x: x * 2.0, r"must lie in \[0, 255\].* to 5\d\d"),
        (lambda x: x * np.nan, r"must lie in \[0, 255\].*Received: nan to nan"),
        (lambda x: np.where(x == x.max(), np.inf, x), r"must lie in \[0, 255\].* to inf"),
        (lambda x: x[:, :3], r"the model takes images of shape \(4, 6, 3\). Received: \(3, 6, 3\)"),
        (lambda x: x[..., :1], r"the model takes images of shape \(4, 6, 3\). Received: \(4, 6, 1\)"),
    ],
)
def test_images_that_are_refused(model, images, spoil, complaint):
    with pytest.raises(ValueError, match=complaint):
        ask(model, spoil(images), 0)


@pytest.mark.parametrize(
    "class_index, complaint",
    [
        (5, r"must lie in \[0, 4\]. Received: 5 to 5"),
        (-1, r"must lie in \[0, 4\]. Received: -1 to -1"),
        ([0, 1, 9], r"must lie in \[0, 4\]. Received: 0 to 9"),
        ([0, 1], r"must be one number or 3, one per image. Received: \(2,\)"),
        ([[0, 1, 2]], r"must be one number or 3, one per image. Received: \(1, 3\)"),
        (1.0, "must be whole numbers. Received: float64"),
        (True, "must be whole numbers. Received: bool"),
        ("cup", "must be whole numbers. Received: <U3"),
        (None, "must be whole numbers. Received: object"),
    ],
)
def test_classes_that_are_refused(model, images, class_index, complaint):
    with pytest.raises(ValueError, match=complaint):
        ask(model, images, class_index)


def test_a_model_must_take_images_and_give_classes(images):
    flat, image = keras.Input((7,)), keras.Input((4, 6, 3))
    with pytest.raises(ValueError, match=r"the model takes images of shape \(7,\). Received: \(4, 6, 3\)"):
        ask(keras.Model(flat, layers.Dense(2)(flat)), images, 0)
    with pytest.raises(ValueError, match=r"one row of classes per image. Received: output \(None, 4, 6, 2\)"):
        ask(keras.Model(image, layers.Conv2D(2, 1)(image)), images, 0)


def test_a_model_of_any_size_takes_any_size(images):
    image = keras.Input((None, None, 3))
    model = keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling2D()(image)))
    assert len(ask(model, images[:, :2], 1).classes) == 3


def test_plain_images_are_grey_or_of_the_mean_colour(images):
    assert plain_images(images, 7.5).shape == (3, 1, 1, 3) and (plain_images(images, 7.5) == 7.5).all()
    np.testing.assert_allclose(plain_images(images, None)[1, 0, 0], images[1].reshape(-1, 3).mean(axis=0))


def test_batches_cover_all_rows_once():
    assert [(part.start, part.stop) for part in in_batches(7, 3)] == [(0, 3), (3, 6), (6, 7)]
    assert [(part.start, part.stop) for part in in_batches(2, 64)] == [(0, 2)]
    with pytest.raises(ValueError, match="batch_size must be at least 1. Received: 0"):
        in_batches(2, 0)
