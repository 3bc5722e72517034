"""Passes by plain operations, against Keras' own layers and a gradient tape; and what they keep."""

import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from lib.config import Model
from lib.explain.attributions import gradient
from lib.explain.network import fused, passes
from lib.explain.network.inputs import read_logits
from lib.explain.network.taps import IMAGE
from lib.models import families

CONFIGS = {
    "softmax": Model("softmax", filters=(4,), blocks=(1,)),
    "simple_cnn": Model("simple_cnn", filters=(4, 6), blocks=(1, 2)),
    "conv_blocks": Model("conv_blocks", filters=(4, 6), blocks=(2, 1), batch_norm=True, dropout=0.3),
    "residual": Model("residual", filters=(4, 6), blocks=(1, 2), stem_stride=2, batch_norm=True),
    "preactivation": Model(
        "residual", filters=(4, 6), blocks=(1, 1), batch_norm=True, preactivation=True, stochastic_depth=0.2
    ),
    "gates": Model("residual", filters=(4, 6), blocks=(1, 1), batch_norm=True, squeeze_excite=True),
}


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3)).astype(np.uint8)


def shake(model: keras.Model, *, seed: int = 0) -> keras.Model:
    """Weights that make every layer matter, those of batch norm among them."""
    rng = np.random.default_rng(seed)
    model.set_weights([np.abs(w + 0.3 * rng.normal(size=w.shape)) if w.ndim == 1 else w for w in model.get_weights()])
    return model


def small(**options) -> keras.Model:
    """A convolution with batch norm, a ReLU and a pooled head."""
    keras.utils.set_random_seed(3)
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, name="conv", **options)(layers.Rescaling(1 / 64, offset=-2)(image))
    x = layers.ReLU(name="relu")(layers.BatchNormalization(name="norm")(x))
    return shake(keras.Model(image, layers.Dense(3, name="logits")(layers.GlobalAveragePooling2D()(x))))


def reference(model: keras.Model, images: np.ndarray, classes: np.ndarray, at: keras.KerasTensor | None = None):
    """Values, gradients and logits by Keras and a tape, on a flat model."""
    image = tf.constant(images, tf.float32)
    head = None if at is None else keras.Model(model.input, at)
    value = image if head is None else head(image)
    with tf.GradientTape() as tape:
        tape.watch([image, value])
        if head is None:
            logits = model(image)
        else:
            value, logits = keras.Model(model.input, [at, model.output])(image)
        scores = tf.gather(logits, classes, batch_dims=1)
    return value, tape.gradient(scores, value), scores


def assert_alike(mine, theirs):
    """Equal but for rounding, which now and then moves a value across the kink of a ReLU."""
    mine, theirs = np.asarray(mine), np.asarray(theirs)
    assert mine.shape == theirs.shape
    assert np.linalg.norm(mine - theirs) <= 0.01 * np.linalg.norm(theirs)
    assert np.mean(np.isclose(mine, theirs, rtol=1e-3, atol=1e-4 * np.abs(theirs).max())) > 0.9


@pytest.mark.parametrize("name", CONFIGS)
def test_every_model_of_the_repository_has_plain_operations(name, images):
    keras.utils.set_random_seed(0)
    model = shake(families.build_model(CONFIGS[name], 5, image_size=16))
    network = read_logits(model)
    assert fused.fuse(network, start=IMAGE, wanted=[network.output.step]) is not None
    np.testing.assert_allclose(passes.make_forward(network)(images), model(images), rtol=1e-4, atol=1e-5)
    classes = np.array([0, 1, 2, 3, 4])
    _, wanted, scores = reference(model, images, classes)
    values, gradients, logits = passes.make_backward(network)(images, classes)
    np.testing.assert_array_equal(values, images)
    np.testing.assert_allclose(logits, scores, rtol=1e-4, atol=1e-5)
    assert_alike(gradients, wanted)


@pytest.mark.parametrize("layer", ["Stem__relu", "Block_4__block_1__unit_1__conv", "Block_6__block_1__relu", "pool"])
def test_gradients_at_a_layer_in_the_middle(layer, images):
    keras.utils.set_random_seed(0)
    model = shake(families.build_model(CONFIGS["residual"], 5, image_size=16))
    classes = np.array([0, 1, 2, 3, 4])
    wanted = reference(model, images, classes, model.get_layer(layer).output)
    got = passes.make_backward(read_logits(model), at=layer)(images, classes)
    for mine, theirs in zip(got, wanted, strict=True):
        assert_alike(mine, theirs)


def test_batch_norm_is_folded_but_not_into_a_layer_that_is_read(images):
    network = read_logits(small())
    kinds = [one.kind for one in fused.fuse(network, start=IMAGE, wanted=["logits"]).operations]
    assert kinds == ["affine", "conv", "relu", "global_pool", "dense"]
    read = fused.fuse(network, start=IMAGE, wanted=["conv", "logits"])
    assert [one.kind for one in read.operations] == ["affine", "conv", "affine", "relu", "global_pool", "dense"]
    values, _, _ = passes.make_backward(network, at="conv")(images, np.zeros(5, int))
    conv = network.steps["conv"].layer
    np.testing.assert_allclose(values, conv(images / np.float32(64) - 2), rtol=1e-4, atol=1e-4)


def odd_models() -> dict[str, keras.Model]:
    """Models with a layer that has no plain operation, or options of one that have none."""
    image = keras.Input((16, 16, 3))
    parts = {
        "another layer": [layers.SeparableConv2D(4, 3, activation="relu")],
        "groups": [layers.Conv2D(6, 3, groups=3)],
        "dilation": [layers.Conv2D(4, 3, dilation_rate=2)],
        "another activation": [layers.Conv2D(4, 3, activation="gelu")],
        "leaky": [layers.Conv2D(4, 3), layers.ReLU(negative_slope=0.1)],
        "capped": [layers.Conv2D(4, 3), layers.ReLU(max_value=3)],
        "padding": [layers.ZeroPadding2D(2), layers.Conv2D(4, 3)],
        "a lambda of Keras": [layers.Conv2D(4, 3)],
    }
    built = {}
    for name, own in parts.items():
        x = layers.Rescaling(1 / 64, offset=-2)(image)
        for layer in own:
            x = layer(x)
        x = keras.ops.tanh(x) if name == "a lambda of Keras" else x
        built[name] = keras.Model(image, layers.Dense(3)(layers.GlobalMaxPooling2D()(x)))
    x = layers.Conv2D(3, 3, padding="same")(image)
    wide = layers.Add()([x, layers.GlobalAveragePooling2D(keepdims=True)(x)])
    built["an addition along rows"] = keras.Model(image, layers.Dense(3)(layers.Flatten()(wide)))
    return built


@pytest.mark.parametrize("name, model", odd_models().items())
def test_other_models_go_through_their_layers(name, model, images):
    network = read_logits(model)
    assert fused.fuse(network, start=IMAGE, wanted=[network.output.step]) is None
    classes = np.array([0, 1, 2, 0, 1])
    _, wanted, scores = reference(model, images, classes)
    values, gradients, logits = passes.make_backward(network)(images, classes)
    np.testing.assert_allclose(passes.make_forward(network)(images), model(images), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(logits, scores, rtol=1e-4, atol=1e-4)
    assert_alike(gradients, wanted)


def test_both_ways_agree_from_a_layer_on_and_guided(images, monkeypatch):
    model = small()
    classes = np.array([0, 1, 2, 0, 1])
    network = read_logits(model)
    maps = passes.make_forward(network, end="relu")(images)
    cases = [({"start": "relu", "at": "relu"}, maps), ({"at": "norm"}, images), ({"guided": True}, images)]
    plain = [passes.make_backward(network, **options)(x, classes) for options, x in cases]
    monkeypatch.setattr(passes, "fuse", lambda *arguments, **options: None)
    for (options, x), wanted in zip(cases, plain, strict=True):
        for mine, theirs in zip(passes.make_backward(network, **options)(x, classes), wanted, strict=True):
            assert_alike(mine, theirs)


def test_a_start_that_is_bypassed_is_refused(images, monkeypatch):
    keras.utils.set_random_seed(0)
    network = read_logits(families.build_model(CONFIGS["residual"], 5, image_size=16))
    for _ in range(2):
        with pytest.raises(ValueError, match="not all that follows comes through Block_4__block_1__unit_1__relu"):
            passes.make_backward(network, start="Block_4__block_1__unit_1__relu", at="Block_4__block_1__unit_1__relu")
        monkeypatch.setattr(passes, "fuse", lambda *arguments, **options: None)


def test_one_graph_serves_all_weights_of_an_architecture(images):
    passes.forget_graphs()
    first, second = small(), small()
    second.set_weights([w + 0.2 for w in second.get_weights()])
    before = gradient(first, images, 0)
    other = gradient(second, images, 0)
    first.set_weights(second.get_weights())
    np.testing.assert_array_equal(gradient(first, images, 0), other)
    assert np.abs(before - other).max() > 0.1
    assert passes._compile_backward.cache_info().misses == 1
    gradient(small(strides=2), images, 0)
    assert passes._compile_backward.cache_info().misses == 2
    passes.forget_graphs()
    assert passes._compile_backward.cache_info().currsize == 0


@pytest.mark.parametrize("options", [{}, {"groups": 1, "dilation_rate": 2}])
def test_an_explained_model_can_be_freed(options, images):
    model = small(**options)
    gradient(model, images, 0)
    gone = weakref.ref(model.get_layer("conv"))
    del model
    keras.backend.clear_session()
    gc.collect()
    assert gone() is None


def test_mixed_precision_is_explained_in_float32(images):
    whole, half = small(), small(dtype="mixed_bfloat16")
    half.set_weights(whole.get_weights())
    np.testing.assert_allclose(gradient(half, images, 1), gradient(whole, images, 1), atol=1e-5)


def test_sums_over_copies_do_not_depend_on_the_batches(images):
    network = read_logits(small())
    values, classes = tf.constant(images, tf.float32), np.array([0, 1, 2, 0, 1])
    weights = np.array([0.5, 1.0, 2.0])
    alone = [passes.make_backward(network)(values * share, classes)[1].numpy() for share in (1.0, 0.5, 0.25)]
    wanted = sum(weight * one for weight, one in zip(weights, alone, strict=True))
    shares = tf.constant([1.0, 0.5, 0.25])[:, None, None, None]
    for batch_size in (1, 2, 4, 7, 64):
        total = passes.sum_over_copies(
            passes.make_backward(network),
            values,
            classes,
            alter=lambda rows, image, copy: rows * tf.gather(shares, copy),
            weights=weights,
            batch_size=batch_size,
        )
        np.testing.assert_allclose(total, wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max())


def test_relus_are_known():
    image = keras.Input((4, 4, 3))
    x = layers.Conv2D(2, 1, activation="relu", name="yes_1")(image)
    x = layers.Activation("relu6", name="yes_2")(x)
    x = layers.ReLU(negative_slope=0.2, name="no_1")(x)
    x = layers.LeakyReLU(name="no_2")(layers.ReLU(name="yes_3")(x))
    model = keras.Model(image, layers.Dense(2, name="no_3")(layers.Flatten(name="no_4")(x)))
    relus = [name for name, step in read_logits(model).steps.items() if passes.is_relu(step)]
    assert relus == ["yes_1", "yes_2", "yes_3"]
