"""The convolution of the blocks beside Keras' own: the same gradients, in float32 the same bits."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lib.models import Residual
from lib.models.convolution import FEWEST, Conv2D, kernel_gradient
from lib.training.steps import flexible

SHAPES = [  # height, width, channels, filters, kernel, strides
    (4, 4, FEWEST, 24, 3, 1),
    (5, 7, FEWEST, 24, 3, 2),
    (8, 6, FEWEST, 24, 3, 2),
    (9, 9, FEWEST, 24, 3, 1),
    (6, 6, FEWEST, 24, 1, 1),
    (9, 10, FEWEST, 24, 7, 4),
    (4, 4, FEWEST - 1, 24, 3, 1),
]


def draw(*shape: int, dtype: str = "float32") -> tf.Tensor:
    return tf.cast(np.random.default_rng(len(shape)).normal(size=shape), dtype)


def gradients(kind, shape: tuple, *, dtype: str, sizes_known: bool = True):
    """Result of a layer, and the gradients of its input and of its kernel."""
    height, width, channels, filters, kernel, strides = shape
    keras.utils.set_random_seed(0)
    layer, x = kind(filters, kernel, strides=strides, padding="same", dtype=dtype), draw(3, height, width, channels)
    layer.build(x.shape)
    spec = tf.TensorSpec(x.shape if sizes_known else (3, None, None, channels), layer.compute_dtype)

    @tf.function(input_signature=[spec])
    def learn(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            result = layer(x)
            loss = tf.reduce_sum(tf.cast(result, tf.float32) * draw(*layer(draw(3, height, width, channels)).shape))
        return result, *tape.gradient(loss, [x, layer.kernel])

    return learn(tf.cast(x, layer.compute_dtype))


def test_the_kernels_gradient_is_that_of_tensorflow():
    for height, width, channels, filters, kernel, strides in SHAPES:
        x, shape = draw(3, height, width, channels), (kernel, kernel, channels, filters)
        above = draw(*tf.nn.conv2d(x, draw(*shape), strides, "SAME").shape)
        settings = {"strides": [1, strides, strides, 1], "padding": "SAME"}
        expected = tf.raw_ops.Conv2DBackpropFilter(input=x, filter_sizes=shape, out_backprop=above, **settings)
        actual = kernel_gradient(x, above, shape, (strides, strides))
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("sizes_known", [True, False])
def test_in_bfloat16_it_learns_as_keras_own(sizes_known):
    for shape in SHAPES:
        exact = gradients(keras.layers.Conv2D, shape, dtype="float32")
        for one, other in zip(
            gradients(Conv2D, shape, dtype="mixed_bfloat16", sizes_known=sizes_known), exact, strict=True
        ):
            one, scale = tf.cast(one, tf.float32), float(tf.reduce_max(tf.abs(other)))
            np.testing.assert_allclose(one / scale, other / scale, atol=0.02)


def test_in_float32_every_bit_is_keras_own():
    for shape in SHAPES:
        pair = (gradients(kind, shape, dtype="float32") for kind in (Conv2D, keras.layers.Conv2D))
        for one, other in zip(*pair, strict=True):
            np.testing.assert_array_equal(one, other)


def test_what_the_products_cannot_do_is_left_to_keras():
    x = draw(2, 6, 6, 8)
    for settings in ({"padding": "valid"}, {"groups": 2}, {"dilation_rate": 2}):
        settings = {"padding": "same", "dtype": "mixed_bfloat16"} | settings
        ours, theirs = Conv2D(4, 3, **settings), keras.layers.Conv2D(4, 3, **settings)
        ours.build(x.shape), theirs.build(x.shape)
        theirs.set_weights(ours.get_weights())
        np.testing.assert_array_equal(tf.cast(ours(x), tf.float32), tf.cast(theirs(x), tf.float32))


def test_a_saved_network_comes_back_the_same(tmp_path):
    model = Residual(filters=(4, 8), blocks=(1, 1)).build(3, image_size=16)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert type(again.get_layer("Stem__conv")) is Conv2D
    images = draw(2, 16, 16, 3)
    np.testing.assert_array_equal(again(images), model(images))


def test_a_network_of_any_size_learns_the_same_in_bfloat16():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        keras.utils.set_random_seed(0)
        model = Residual(filters=(64, 72), blocks=(1, 1)).build(3, image_size=16)
    finally:
        keras.config.set_dtype_policy(before)
    images, learnt = draw(2, 16, 16, 3), []
    for network in (model, flexible(model, [8, 16])):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(network(images))
        learnt.append(tape.gradient(loss, model.trainable_variables))
    for one, other in zip(*learnt, strict=True):
        np.testing.assert_allclose(one, other, rtol=0.02, atol=0.02 * float(tf.reduce_max(tf.abs(other))))
