"""What explanations refuse, where a softmax is cut off, and how attributions become maps."""

import keras
import numpy as np
import pytest
from keras import layers

from lib.explain.attributions import maps
from lib.explain.network import inputs


@pytest.fixture(scope="module")
def model() -> keras.Model:
    image = keras.Input((4, 6, 3))
    return keras.Model(image, layers.Dense(5, name="logits")(layers.Flatten()(image)))


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, 4, 6, 3)).astype(np.uint8)


def test_a_question_that_is_in_order(model, images):
    for kind in (np.uint8, np.float16, np.float32, np.float64):
        network, same, classes = inputs.check_question(model, images.astype(kind), 2)
        assert same.dtype == kind and classes.tolist() == [2, 2, 2] and network.output.step == "logits"
    assert inputs.check_question(model, images, [0, 4, 1])[2].tolist() == [0, 4, 1]
    assert inputs.check_question(model, images.tolist() and images[:1], np.int64(3))[2].dtype == np.int32


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
        inputs.check_question(model, spoil(images), 0)


@pytest.mark.parametrize(
    "class_index, complaint",
    [
        (5, r"must lie in \[0, 4\]. Received: 5 to 5"),
        (-1, r"must lie in \[0, 4\]. Received: -1 to -1"),
        ([0, 1, 9], r"must lie in \[0, 4\]. Received: 0 to 9"),
        ([0, 1], r"must be one number or 3, one an image. Received: \(2,\)"),
        ([[0, 1, 2]], r"must be one number or 3, one an image. Received: \(1, 3\)"),
        (1.0, "must be whole numbers. Received: float64"),
        (True, "must be whole numbers. Received: bool"),
        ("cup", "must be whole numbers. Received: <U3"),
        (None, "must be whole numbers. Received: object"),
    ],
)
def test_classes_that_are_refused(model, images, class_index, complaint):
    with pytest.raises(ValueError, match=complaint):
        inputs.check_question(model, images, class_index)


def test_a_model_must_take_images_and_give_classes(images):
    flat, image = keras.Input((7,)), keras.Input((4, 6, 3))
    with pytest.raises(ValueError, match=r"the model takes images of shape \(7,\). Received: \(4, 6, 3\)"):
        inputs.check_question(keras.Model(flat, layers.Dense(2)(flat)), images, 0)
    with pytest.raises(ValueError, match=r"one row of classes an image. Received: output \(None, 4, 6, 2\)"):
        inputs.check_question(keras.Model(image, layers.Conv2D(2, 1)(image)), images, 0)


def test_a_model_of_any_size_takes_any_size(images):
    image = keras.Input((None, None, 3))
    model = keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling2D()(image)))
    assert len(inputs.check_question(model, images[:, :2], 1)[2]) == 3


def ends(kind: str) -> keras.Model:
    """Five logits of an image, and an end of some kind behind them."""
    image = keras.Input((4, 6, 3))
    x = layers.Flatten()(layers.Rescaling(1 / 255)(image))
    keras.utils.set_random_seed(1)
    if kind in ("softmax", "sigmoid", "linear"):
        return keras.Model(image, layers.Dense(5, activation=kind, name="last")(x))
    if kind == "inside a model":
        head = keras.Sequential([keras.Input((72,)), layers.Dense(5, activation="softmax", name="last")], name="head")
        return keras.Model(image, head(x))
    logits = layers.Dense(5, name="last")(x)
    end = {"Softmax": layers.Softmax(), "Activation": layers.Activation("softmax"), "conv": None}[kind]
    return keras.Model(image, end(logits))


@pytest.mark.parametrize("kind", ["softmax", "sigmoid", "inside a model", "Softmax", "Activation"])
def test_a_final_softmax_is_left_out_and_said_to_be(kind, images):
    model, plain = ends(kind), ends("linear")
    weights = model.get_weights()
    plain.set_weights(weights)
    network = inputs.read_logits(model)
    logits = network.run({"image": images.astype(np.float32)}, [network.output.step])[network.output.step]
    np.testing.assert_allclose(logits, plain(images), rtol=1e-5)
    assert "ends in probabilities" in inputs.explained_at(model) and "logits before them" in inputs.explained_at(model)
    assert np.asarray(model(images)).max() <= 1  # the model itself is what it was
    for now, before in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(now, before)


def test_logits_are_left_alone_and_said_to_be():
    model = ends("linear")
    assert inputs.read_logits(model).steps["last"].layer is model.get_layer("last")
    assert inputs.explained_at(model) == "The model gives logits (last); these are explained."


def test_plain_images_are_grey_or_of_the_mean_colour(images):
    assert inputs.plain_images(images, 7.5).shape == (3, 1, 1, 3) and (inputs.plain_images(images, 7.5) == 7.5).all()
    np.testing.assert_allclose(inputs.plain_images(images, None)[1, 0, 0], images[1].reshape(-1, 3).mean(axis=0))


def test_batches_cover_all_rows_once():
    assert [(part.start, part.stop) for part in inputs.in_batches(7, 3)] == [(0, 3), (3, 6), (6, 7)]
    assert [(part.start, part.stop) for part in inputs.in_batches(2, 64)] == [(0, 2)]
    with pytest.raises(ValueError, match="batch_size must be at least 1. Received: 0"):
        inputs.in_batches(2, 0)


def test_maps_are_stretched_to_0_and_1():
    stretched = maps.to_maps(np.array([[[1.0, 3], [2, 5]], [[-4, -4], [-4, -2]]]), size=(2, 2))
    assert stretched.dtype == np.float32
    np.testing.assert_allclose(stretched, [[[0, 0.5], [0.25, 1]], [[0, 0], [0, 1]]])


def test_flat_maps_are_zero():
    for value in (0.0, 5.0, -3.0, 1e-30):
        np.testing.assert_array_equal(maps.to_maps(np.full((1, 3, 3), value), size=(6, 6)), 0)


def test_rounding_is_not_stretched_into_a_pattern():
    noise = 5 + 5e-7 * np.random.default_rng(0).random((1, 4, 4))
    assert maps.to_maps(noise, size=(4, 4)).max() == 0
    assert maps.to_maps(noise - 5, size=(4, 4)).max() == 1
    assert maps.to_maps(noise - 5, size=(4, 4), scale=np.array([5.0])).max() == 0


def test_coarse_maps_are_enlarged_bilinearly():
    large = maps.to_maps(np.array([[[0.0, 1]]]), size=(2, 4))
    np.testing.assert_allclose(large[0], [[0, 0.25, 0.75, 1]] * 2)


def test_maps_of_a_diverged_model_are_refused():
    with pytest.raises(ValueError, match="not finite numbers; its training may have diverged"):
        maps.to_maps(np.array([[[0.0, np.nan]]]), size=(1, 2))


def test_channels_are_joined_by_strength_or_by_sum():
    values = np.array([[[[1.0, -3, 2], [-1, 0.5, 0.25]]]], np.float32)
    np.testing.assert_allclose(maps.strongest_channel(values), [[[3, 1]]])
    np.testing.assert_allclose(maps.positive_sum(values), [[[0, 0]]])
    np.testing.assert_allclose(maps.positive_sum(-4 * values), [[[0, 1]]])
