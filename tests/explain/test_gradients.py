"""Passes traced through the layers, against Keras and a gradient tape; and what is kept of them."""

import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from lib.explain.attributions.gradient import gradient
from lib.explain.network.gradients import backward, forward, is_relu
from lib.explain.network.logits import read_logits
from lib.models import ConvBlocks, Residual, Softmax

CONFIGS = {
    "softmax": Softmax(),
    "conv_blocks": ConvBlocks(filters=(4, 6), dropout=0.3),
    "conv_blocks early_pooling": ConvBlocks(filters=(4, 6), stem=4, early_pooling=True),
    "residual": Residual(filters=(4, 6), blocks=(1, 2), stem_stride=2),
}
CLASSES = np.array([0, 1, 2, 0, 1])


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3)).astype(np.uint8)


def shake(model: keras.Model) -> keras.Model:
    """Weights that make every layer matter, those of batch norm among them."""
    rng = np.random.default_rng(0)
    model.set_weights([np.abs(w + 0.3 * rng.normal(size=w.shape)) if w.ndim == 1 else w for w in model.get_weights()])
    return model


def small(*, end=None, **options) -> keras.Model:
    """A convolution with batch norm, a ReLU and a pooled head."""
    keras.utils.set_random_seed(3)
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, name="conv", **options)(layers.Rescaling(1 / 64, offset=-2)(image))
    x = layers.ReLU(name="relu")(layers.BatchNormalization(name="norm")(x))
    head = layers.Dense(3, activation=end, name="logits")
    return shake(keras.Model(image, head(layers.GlobalAveragePooling2D()(x))))


def reference(model: keras.Model, images: np.ndarray, layer: str | None = None):
    """Values, gradients and logits by Keras and a tape, on a flat model."""
    image = tf.constant(images, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(image)
        value = image
        if layer is None:
            logits = model(image)
        else:
            value, logits = keras.Model(model.input, [model.get_layer(layer).output, model.output])(image)
        scores = tf.gather(logits, CLASSES, batch_dims=1)
    return value, tape.gradient(scores, value), scores


def assert_alike(mine, theirs):
    """Equal but for rounding, which now and then moves a value across the kink of a ReLU."""
    for ours, other in zip(map(np.asarray, mine), map(np.asarray, theirs), strict=True):
        assert ours.shape == other.shape
        assert np.linalg.norm(ours - other) <= 0.01 * np.linalg.norm(other)


@pytest.mark.parametrize("name", CONFIGS)
def test_models_of_the_repository_have_the_gradients_that_a_tape_gives(name, images):
    keras.utils.set_random_seed(0)
    model = shake(CONFIGS[name].build(5, image_size=16))
    graph = read_logits(model)
    np.testing.assert_allclose(forward(graph, images), model(images), rtol=1e-4, atol=1e-5)
    assert_alike(backward(graph, images, CLASSES), reference(model, images))
    for layer in ("Stem__relu", "Block_4__block_1__unit_1__conv", "pool") if name == "residual" else ():
        assert_alike(backward(graph, images, CLASSES, at=layer), reference(model, images, layer))


def test_unusual_layers_have_the_gradients_that_a_tape_gives(images):
    parts = {
        "separable": [layers.SeparableConv2D(4, 3, activation="relu")],
        "groups": [layers.Conv2D(6, 3, groups=3)],
        "dilation": [layers.Conv2D(4, 3, dilation_rate=2, activation="gelu")],
        "leaky": [layers.Conv2D(4, 3), layers.ReLU(negative_slope=0.1)],
        "padding": [layers.ZeroPadding2D(2), layers.Conv2D(4, 3)],
        "an operation of Keras": [layers.Conv2D(4, 3), keras.ops.tanh],
    }
    for own in parts.values():
        image = keras.Input((16, 16, 3))
        x = layers.Rescaling(1 / 64, offset=-2)(image)
        for layer in own:
            x = layer(x)
        model = keras.Model(image, layers.Dense(3)(layers.GlobalMaxPooling2D()(x)))
        assert_alike(backward(read_logits(model), images, CLASSES), reference(model, images))


def test_passes_from_a_layer_on_are_the_later_part_of_the_whole(images):
    graph = read_logits(small())
    maps = forward(graph, images, end="relu")
    assert_alike(backward(graph, maps, CLASSES, start="relu", at="relu"), backward(graph, images, CLASSES, at="relu"))


def test_a_start_that_is_bypassed_is_refused(images):
    graph = read_logits(CONFIGS["residual"].build(5, image_size=16))
    layer = "Block_4__block_1__unit_1__relu"
    for _ in range(2):
        with pytest.raises(ValueError, match=f"not all that follows comes through {layer}"):
            backward(graph, images, CLASSES, start=layer, at=layer)


@pytest.mark.parametrize("end", [None, "softmax"])
def test_weights_that_were_changed_are_seen_without_tracing_again(end, images):
    first, second = small(end=end), small(end=end)
    second.set_weights([w + 0.2 * np.arange(w.size).reshape(w.shape) for w in second.get_weights()])
    before, other = forward(read_logits(first), images), forward(read_logits(second), images)
    gradient(first, images, 0)
    held = dict(read_logits(first).compiled)
    first.set_weights(second.get_weights())
    np.testing.assert_array_equal(forward(read_logits(first), images), other)
    np.testing.assert_array_equal(gradient(first, images, 0), gradient(second, images, 0))
    assert np.abs(before - other).max() > 0.1
    assert read_logits(first).compiled == held and len(held) == 2
    traced = [run.experimental_get_tracing_count() for run in held.values()]
    forward(read_logits(first), images[:2])  # another number of images needs no other graph
    assert [run.experimental_get_tracing_count() for run in held.values()] == traced == [1, 1]


@pytest.mark.parametrize("end", [None, "softmax"])
def test_an_explained_model_can_be_freed(end, images):
    model = small(end=end)
    gradient(model, images, 0)
    gone = weakref.ref(model), weakref.ref(model.get_layer("conv"))
    del model
    keras.backend.clear_session()
    gc.collect()
    assert [one() for one in gone] == [None, None]


def test_mixed_precision_is_explained_in_float32(images):
    whole, half = small(), small(dtype="mixed_bfloat16")
    half.set_weights(whole.get_weights())
    np.testing.assert_allclose(gradient(half, images, 1), gradient(whole, images, 1), atol=1e-5)
    assert half.get_layer("conv").compute_dtype == "bfloat16"


def test_relus_are_known_in_whatever_form_and_let_no_negative_gradient_through():
    def opposed(relu, **options):
        """Left pixel minus right pixel, each through a ReLU."""
        image = keras.Input((1, 2, 1))
        conv = layers.Conv2D(1, 1, use_bias=False, kernel_initializer="ones", **options)
        model = keras.Model(image, layers.Dense(1, use_bias=False)(layers.Flatten()(relu(conv(image)))))
        model.layers[-1].set_weights([np.array([[1.0], [-1.0]])])
        return read_logits(model)

    def same(x):
        return x

    pixels, both = np.full((1, 1, 2, 1), 2.0), [[[[1], [-1]]]]
    relus = [layers.ReLU(), layers.ReLU(max_value=6), layers.Activation("relu"), layers.Activation("relu6")]
    relus += [keras.activations.relu, keras.ops.relu6, layers.Activation(layers.ReLU())]
    functions = [lambda x: tf.nn.relu(x), lambda x: keras.ops.maximum(x, 0), tf.nn.relu, "relu"]
    named = [opposed(same, activation=function) for function in functions]
    for graph in [*map(opposed, relus), *named]:
        assert sum(map(is_relu, graph.steps.values())) == 1
        np.testing.assert_array_equal(backward(graph, pixels, [1])[1], both)
        np.testing.assert_array_equal(backward(graph, pixels, [1], guided=True)[1], [[[[1], [0]]]])
    for graph in map(opposed, [layers.LeakyReLU(), layers.ReLU(negative_slope=0.2), layers.Activation("gelu"), same]):
        assert not any(map(is_relu, graph.steps.values()))
