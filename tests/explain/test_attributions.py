"""What all attribution methods have in common, each run through the same assertions."""

import functools
import importlib
import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from lib.explain import methods
from lib.explain.attributions.attribution import positive_sum, to_maps
from lib.explain.attributions.gradient import SmoothGradient, smooth_gradient, strongest_channel
from lib.explain.attributions.integrated_gradients import IntegratedGradients, integrated_gradients
from lib.explain.attributions.occlusion import Occlusion, occlusion
from lib.explain.attributions.rise import Rise, rise
from lib.explain.network import gradients

NAMES = list(methods.METHODS)
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
    return methods.load(name)(model, images, class_index, **QUICK.get(name, {}) | options)


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
def test_the_batch_size_changes_nothing(name, model, images):
    maps = explain(name, model, images, 1)
    for batch_size in (1, 3):
        np.testing.assert_allclose(explain(name, model, images, 1, batch_size=batch_size), maps, atol=2e-4)


@each_method
def test_no_batch_is_larger_than_asked(name, model, images, monkeypatch):
    sizes = []

    def watched(pass_):
        return lambda graph, x, *more, **options: (sizes.append(len(x)), pass_(graph, x, *more, **options))[1]

    places = [gradients, importlib.import_module(f"lib.explain.attributions.{methods.METHODS[name].file}")]
    for place in places:
        for pass_ in {"forward", "backward"} & set(vars(place)):
            monkeypatch.setattr(place, pass_, watched(getattr(place, pass_)))
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
def test_bad_input_is_one_clear_sentence(name, model):
    cases = [
        ({"images": np.zeros((14, 12, 3), np.uint8)}, r"shape \(N, H, W, C\)"),
        ({"images": np.zeros((0, 14, 12, 3), np.uint8)}, "at least one image"),
        ({"images": np.zeros((2, 12, 14, 3), np.uint8)}, r"the model takes images of shape \(14, 12, 3\)"),
        ({"images": np.zeros((2, 14, 12, 3), np.int32)}, "must be uint8 or float"),
        ({"images": np.full((2, 14, 12, 3), 256.0)}, r"must lie in \[0, 255\]"),
        ({"class_index": 3}, r"class_index must lie in \[0, 2\]"),
        ({"class_index": [0, 1, 2]}, "one number or 2, one per image"),
        ({"batch_size": 0}, "batch_size must be at least 1. Received: 0"),
    ]
    if name in ("occlusion", "rise"):
        cases.append(({"layer": "last"}, "takes no layer. Received: layer='last'"))
    else:
        cases.append(({"layer": "nope"}, "Unknown layer 'nope'. Layers: rescale, .*, logits$"))
        cases.append(({"layer": "pool"}, "'pool' has no rows and columns"))
    cases.append(({"settings": Occlusion if name == "occlusion" else Occlusion()}, "settings must be of type"))
    for changes, complaint in cases:
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


def test_impossible_settings_are_refused():
    cases = [
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
    ]
    for make, complaint in cases:
        with pytest.raises(ValueError, match=complaint):
            make()


def test_tensors_are_taken_too(model, images):
    maps = explain("gradient", model, tf.constant(images), tf.constant([1] * 5))
    np.testing.assert_array_equal(maps, explain("gradient", model, images, 1))


def test_a_method_says_what_it_takes():
    signature = inspect.signature(methods.load("rise"))
    assert list(signature.parameters) == ["model", "images", "class_index", "layer", "settings", "batch_size"]
    assert "Args:" in methods.load("rise").__doc__ and "see Rise." in methods.load("rise").__doc__
    with pytest.raises(ValueError, match="Unknown method 'nope'. Methods: gradient, .*rise$"):
        methods.load("nope")


# From attributions to maps


def test_maps_are_stretched_to_0_and_1():
    stretched = to_maps(np.array([[[1.0, 3], [2, 5]], [[-4, -4], [-4, -2]]]), size=(2, 2))
    assert stretched.dtype == np.float32
    np.testing.assert_allclose(stretched, [[[0, 0.5], [0.25, 1]], [[0, 0], [0, 1]]])


def test_flat_maps_are_zero():
    for value in (0.0, 5.0, -3.0, 1e-30):
        np.testing.assert_array_equal(to_maps(np.full((1, 3, 3), value), size=(6, 6)), 0)


def test_rounding_is_not_stretched_into_a_pattern():
    noise = 5 + 5e-7 * np.random.default_rng(0).random((1, 4, 4))
    assert to_maps(noise, size=(4, 4)).max() == 0
    assert to_maps(noise - 5, size=(4, 4)).max() == 1


def test_coarse_maps_are_enlarged_bilinearly():
    large = to_maps(np.array([[[0.0, 1]]]), size=(2, 4))
    np.testing.assert_allclose(large[0], [[0, 0.25, 0.75, 1]] * 2)


def test_maps_of_a_diverged_model_are_refused():
    with pytest.raises(ValueError, match="not finite numbers; its training may have diverged"):
        to_maps(np.array([[[0.0, np.nan]]]), size=(1, 2))


def test_channels_are_joined_by_strength_or_by_sum():
    values = np.array([[[[1.0, -3, 2], [-1, 0.5, 0.25]]]], np.float32)
    np.testing.assert_allclose(strongest_channel(values), [[[3, 1]]])
    np.testing.assert_allclose(positive_sum(values), [[[0, 0]]])
    np.testing.assert_allclose(positive_sum(-4 * values), [[[0, 1]]])
