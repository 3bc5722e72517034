"""What all attribution methods have in common, each run through the same assertions."""

import functools
import importlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from lib.explain import METHODS
from lib.explain.attributions.integrated_gradients import IntegratedGradients, integrated_gradients
from lib.explain.attributions.occlusion import Occlusion, occlusion
from lib.explain.attributions.rise import Rise, rise
from lib.explain.attributions.smooth_gradient import SmoothGradient, smooth_gradient
from lib.explain.network import passes

NAMES = ["gradient", "gradient_x_input", "smooth_gradient", "integrated_gradients", "guided_backprop"]
NAMES += ["grad_cam", "grad_cam_plus_plus", "occlusion", "rise"]
AT_LAYERS = [name for name in NAMES if name not in ("occlusion", "rise")]
each_method = pytest.mark.parametrize("name", NAMES)

# Small settings: what is tested does not depend on them.
QUICK = {
    "smooth_gradient": {"settings": SmoothGradient(samples=3)},
    "integrated_gradients": {"settings": IntegratedGradients(steps=4)},
    "occlusion": {"settings": Occlusion(size=4, stride=3)},
    "rise": {"settings": Rise(masks=12, cells=3)},
}


def explain(name: str, model, images, class_index, **options) -> np.ndarray:
    return METHODS[name](model, images, class_index, **QUICK.get(name, {}) | options)


def parts() -> list:
    """Layers of a small network whose last one with rows and columns is "last"."""
    return [
        layers.Rescaling(1 / 64, offset=-2, name="rescale"),
        layers.Conv2D(4, 3, strides=2, name="first"),
        layers.BatchNormalization(name="norm"),
        layers.ReLU(name="relu"),
        layers.Conv2D(5, 3, padding="same", activation="relu", name="last"),
        layers.GlobalAveragePooling2D(name="pool"),
        layers.Dense(3, name="logits"),
    ]


def flat_model(end: str = "linear", last: list | None = None) -> keras.Model:
    keras.utils.set_random_seed(5)
    image = keras.Input((14, 12, 3))
    x = image
    for layer in parts() + (last or []):
        x = layer(x)
    model = keras.Model(image, layers.Activation(end, name="end")(x) if end != "linear" else x)
    rng = np.random.default_rng(0)
    # Norms and biases that matter, and a head in which every map speaks for every class: no Grad-CAM is empty.
    raised = {1: lambda w: w + rng.random(w.shape), 2: np.abs, 4: np.array}
    model.set_weights([raised[w.ndim](w) for w in model.get_weights()])
    return model


def nested_model(weights: list[np.ndarray]) -> keras.Model:
    """The same network as models inside a model."""
    rescale, *body, last, pool, logits = parts()
    stem = keras.Sequential([keras.Input((14, 12, 3)), *body], name="stem")
    image = keras.Input((14, 12, 3))
    backbone = keras.Model(image, last(stem(rescale(image))), name="backbone")
    head = keras.Sequential([pool, logits], name="head")
    image = keras.Input((14, 12, 3))
    model = keras.Model(image, head(backbone(image)))
    model.set_weights(weights)
    return model


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return flat_model()


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 14, 12, 3)).astype(np.uint8)


def test_the_names_are_those_that_reports_use():
    assert list(METHODS) == NAMES


@each_method
def test_one_map_an_image_in_0_to_1(name, model, images):
    maps = explain(name, model, images, [0, 1, 2, 0, 1])
    assert maps.shape == (5, 14, 12) and maps.dtype == np.float32
    assert (maps.min(axis=(1, 2)) == 0).all() and (maps.max(axis=(1, 2)) == 1).all()
    np.testing.assert_array_equal(maps, explain(name, model, images, [0, 1, 2, 0, 1]))


@each_method
def test_a_map_depends_on_its_image_and_class_and_on_nothing_else(name, model, images):
    maps = explain(name, model, images, [0, 1, 2, 0, 1])
    for place, label in [(1, 1), (4, 1)]:
        alone = explain(name, model, images[place : place + 1], label)
        np.testing.assert_allclose(alone[0], maps[place], atol=2e-4)
    others = explain(name, model, images, [1, 2, 0, 1, 2])
    assert (np.abs(maps - others).max(axis=(1, 2)) > 1e-3).all()


@each_method
@pytest.mark.parametrize("batch_size", [1, 3, 7])
def test_the_batch_size_changes_nothing(name, batch_size, model, images):
    maps = explain(name, model, images, 1)
    np.testing.assert_allclose(explain(name, model, images, 1, batch_size=batch_size), maps, atol=2e-4)


def watched(make, sizes: list[int]):
    """A maker of passes as `make`, whose passes note how many rows they get."""

    def watched_make(*arguments, **options):
        run = make(*arguments, **options)

        def watched_run(x, *more):
            sizes.append(len(x))
            return run(x, *more)

        return watched_run

    return watched_make


@each_method
def test_no_batch_is_larger_than_asked(name, model, images, monkeypatch):
    sizes = []
    file = importlib.import_module(f"lib.explain.{'grad_cam' if name == 'grad_cam_plus_plus' else name}")
    for maker in {"make_forward", "make_backward"} & set(vars(file)):
        monkeypatch.setattr(file, maker, watched(getattr(passes, maker), sizes))
    explain(name, model, images, 1, batch_size=2)
    assert max(sizes) == 2


@each_method
def test_bytes_and_floats_are_explained_alike(name, model, images):
    np.testing.assert_array_equal(explain(name, model, images, 1), explain(name, model, images.astype(np.float64), 1))


@each_method
def test_nested_models_are_explained_like_flat_ones(name, model, images):
    nested = nested_model(model.get_weights())
    np.testing.assert_allclose(nested(images), model(images), rtol=1e-5)
    np.testing.assert_allclose(explain(name, nested, images, 2), explain(name, model, images, 2), atol=2e-4)


@pytest.mark.parametrize("name", AT_LAYERS)
def test_layers_inside_a_model_can_be_named(name, model, images):
    nested = nested_model(model.get_weights())
    inner = explain(name, nested, images, 2, layer="backbone/stem/relu")
    outer = explain(name, model, images, 2, layer="relu")
    np.testing.assert_allclose(inner, outer, atol=2e-4)
    assert np.abs(outer - explain(name, model, images, 2)).max() > 0.05


@each_method
def test_layers_of_keras_and_plain_operations_give_the_same(name, model, images, monkeypatch):
    maps = explain(name, model, images, 0)
    monkeypatch.setattr(passes, "fuse", lambda *arguments, **options: None)
    np.testing.assert_allclose(explain(name, model, images, 0), maps, atol=1e-3)


@each_method
def test_logits_are_explained_where_a_model_ends_in_softmax(name, model, images):
    ended = flat_model(end="softmax")
    ended.set_weights(model.get_weights())
    np.testing.assert_allclose(explain(name, ended, images, 1), explain(name, model, images, 1), atol=2e-4)


@each_method
def test_a_model_that_sees_nothing_gives_zeros(name, images):
    blind = flat_model()
    blind.get_layer("first").set_weights([0 * w for w in blind.get_layer("first").get_weights()])
    blind.get_layer("norm").set_weights([np.ones(4, np.float32)] * 4)
    maps = explain(name, blind, images, 1)
    if name.startswith("grad_cam"):  # the last maps differ at the border, where padding ends
        assert np.isfinite(maps).all()
        blind.get_layer("logits").set_weights([np.zeros((5, 3)), np.ones(3)])
        maps = explain(name, blind, images, 1)
    np.testing.assert_array_equal(maps, 0)


@each_method
def test_images_without_contrast_give_no_nan(name, model):
    for value in (0, 128, 255):
        assert np.isfinite(explain(name, model, np.full((2, 14, 12, 3), value, np.uint8), 0)).all()


@each_method
def test_random_layers_rest(name, images):
    restless = flat_model(last=[layers.Dropout(0.5)])
    augmented = keras.Sequential(
        [keras.Input((14, 12, 3)), layers.RandomFlip(), flat_model(last=[layers.Dropout(0.5)])]
    )
    augmented.set_weights(restless.get_weights())
    np.testing.assert_allclose(explain(name, augmented, images, 1), explain(name, restless, images, 1), atol=1e-3)


@each_method
def test_the_model_is_left_as_it_was(name, model, images):
    weights = [w.copy() for w in model.get_weights()]
    nodes = [(len(layer._inbound_nodes), len(layer._outbound_nodes)) for layer in model.layers]
    explain(name, model, images, 1)
    assert [(len(layer._inbound_nodes), len(layer._outbound_nodes)) for layer in model.layers] == nodes
    for now, before in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(now, before)


@each_method
@pytest.mark.parametrize(
    "changes, complaint",
    [
        ({"images": np.zeros((14, 12, 3), np.uint8)}, r"shape \(N, H, W, C\)"),
        ({"images": np.zeros((0, 14, 12, 3), np.uint8)}, "at least one image"),
        ({"images": np.zeros((2, 12, 14, 3), np.uint8)}, r"the model takes images of shape \(14, 12, 3\)"),
        ({"images": np.zeros((2, 14, 12, 3), np.int32)}, "must be uint8 or float"),
        ({"images": np.full((2, 14, 12, 3), 256.0)}, r"must lie in \[0, 255\]"),
        ({"class_index": 3}, r"class_index must lie in \[0, 2\]"),
        ({"class_index": [0, 1, 2]}, "one number or 2, one an image"),
        (
            {"layer": "nope"},
            "Unknown layer 'nope'. Layers: rescale, .*, logits$|takes no layer. Received: .*nope",
        ),
        ({"layer": "pool"}, "'pool' has no rows and columns|takes no layer. Received: layer='pool'"),
        ({"batch_size": 0}, "batch_size must be at least 1. Received: 0"),
    ],
)
def test_bad_input_is_one_clear_sentence(name, changes, complaint, model):
    arguments = {"images": np.zeros((2, 14, 12, 3), np.uint8), "class_index": 0} | changes
    with pytest.raises(ValueError, match=complaint) as caught:
        explain(name, model, **arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "method, usual, changes",
    [
        (smooth_gradient, SmoothGradient(samples=3), {"samples": 5, "noise": 0.4, "seed": 1}),
        (integrated_gradients, IntegratedGradients(steps=4), {"steps": 9, "baseline": 0.0}),
        (occlusion, Occlusion(size=4, stride=3), {"size": 6, "stride": 1, "fill": 255.0}),
        (rise, Rise(masks=12, cells=3), {"masks": 30, "cells": 5, "keep": 0.2, "fill": 0.0, "seed": 7}),
    ],
)
def test_every_setting_changes_the_maps(method, usual, changes, model, images):
    explained = functools.partial(method, model, images, 1)
    maps = explained(settings=usual)
    assert set(changes) == set(usual.flat())
    for name, value in changes.items():
        assert np.abs(explained(settings=usual.replace(**{name: value})) - maps).max() > 1e-3, name


@pytest.mark.parametrize(
    "make, complaint",
    [
        (lambda: SmoothGradient(samples=0), "samples is positive"),
        (lambda: SmoothGradient(noise=-0.1), "noise is at least 0"),
        (lambda: IntegratedGradients(steps=1), "steps is at least 2"),
        (lambda: IntegratedGradients(baseline=256.0), r"baseline lies in \[0, 255\]"),
        (lambda: Occlusion(size=0), "size and stride are positive"),
        (lambda: Occlusion(stride=-1), "size and stride are positive"),
        (lambda: Occlusion(fill=-1.0), r"fill lies in \[0, 255\]"),
        (lambda: Rise(masks=0), "masks and cells are positive"),
        (lambda: Rise(keep=1.0), "keep lies between 0 and 1"),
        (lambda: Rise(fill=300.0), r"fill lies in \[0, 255\]"),
        (lambda: Rise(seed=0.5), "Rise.seed must be of type int"),
    ],
)
def test_impossible_settings_are_refused(make, complaint):
    with pytest.raises(ValueError, match=complaint):
        make()


def test_tensors_are_taken_too(model, images):
    maps = explain("gradient", model, tf.constant(images), tf.constant([1] * 5))
    np.testing.assert_array_equal(maps, explain("gradient", model, images, 1))
