"""The fused layer against Keras' own: same results, same gradients, same file."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lib.models.batch_norm import BatchNormalization

SETTINGS = {"momentum": 0.9, "epsilon": 1e-5}


def pair(shape, **settings):
    """Both layers with the same weights, none of which is a start value."""
    made = [kind(**SETTINGS | settings) for kind in (BatchNormalization, keras.layers.BatchNormalization)]
    rng = np.random.default_rng(0)
    weights = None
    for layer in made:
        layer.build(shape)
        weights = weights or [rng.uniform(0.5, 2.0, variable.shape) for variable in layer.weights]
        layer.set_weights(weights)
    return made


def maps(*shape):
    return tf.constant(np.random.default_rng(1).normal(2.0, 3.0, shape).astype(np.float32))


def trained(layer, x):
    """Result and gradients of a loss that is no mere sum, which normalising would make constant."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=True)
        loss = tf.reduce_sum(tf.sin(y) * y)
    return [y, *tape.gradient(loss, [x, *(variable.value for variable in layer.trainable_variables)])]


def test_a_training_step_is_that_of_keras():
    x = maps(8, 6, 5, 3)
    ours, theirs = pair(x.shape)
    for mine, yours in zip(trained(ours, x), trained(theirs, x), strict=True):
        np.testing.assert_allclose(mine, yours, rtol=2e-4, atol=2e-4)
    np.testing.assert_allclose(ours.moving_mean, theirs.moving_mean, rtol=1e-5)


def test_it_trains_with_a_keras_that_knows_no_renormalisation():
    x = maps(4, 3, 2, 5)
    ours, today = (BatchNormalization(**SETTINGS) for _ in range(2))
    ours.build(x.shape)
    del ours.renorm  # as in Keras 3.10 to 3.12
    np.testing.assert_array_equal(ours(x, training=True), today(x, training=True))


def test_the_running_variance_is_the_unbiased_one():
    x = maps(4, 3, 2, 5)
    ours, _ = pair(x.shape)
    before = ours.moving_variance.numpy()
    ours(x, training=True)
    expected = 0.9 * before + 0.1 * np.var(x.numpy(), axis=(0, 1, 2), ddof=1)
    np.testing.assert_allclose(ours.moving_variance, expected, rtol=1e-5)


@pytest.mark.parametrize("shape", [(7, 4), (7, 6, 5, 4)], ids=["rows", "maps"])
def test_outside_training_it_is_keras_own(shape):
    ours, theirs = pair(shape)
    np.testing.assert_array_equal(ours(maps(*shape), training=False), theirs(maps(*shape), training=False))


@pytest.mark.parametrize("settings", [{"scale": False}, {"center": False}, {"axis": 1}], ids=str)
def test_what_the_fused_operation_cannot_do_is_left_to_keras(settings):
    x = maps(4, 3, 6, 5)
    ours, theirs = pair(x.shape, **settings)
    np.testing.assert_array_equal(ours(x, training=True), theirs(x, training=True))


def test_rows_are_normalised_over_the_batch():
    x = maps(9, 4)
    ours, theirs = pair(x.shape)
    np.testing.assert_array_equal(ours(x, training=True), theirs(x, training=True))


def test_a_frozen_layer_keeps_its_statistics():
    x = maps(4, 3, 3, 2)
    ours, theirs = pair(x.shape)
    ours.trainable = theirs.trainable = False
    before = ours.moving_mean.numpy()
    np.testing.assert_array_equal(ours(x, training=True), theirs(x, training=True))
    np.testing.assert_array_equal(ours.moving_mean, before)


def test_half_precision_keeps_statistics_in_full():
    x = maps(8, 6, 5, 3)
    half, full = (BatchNormalization(dtype=policy, **SETTINGS) for policy in ("mixed_float16", "float32"))
    outputs = half(x, training=True)
    assert outputs.dtype == tf.float16 and half.moving_mean.dtype == "float32"
    np.testing.assert_allclose(tf.cast(outputs, tf.float32), full(x, training=True), atol=5e-3)


def test_a_saved_model_comes_back_the_same(tmp_path):
    image = keras.Input((6, 5, 3))
    model = keras.Model(image, BatchNormalization(name="norm")(image))
    model(maps(8, 6, 5, 3), training=True)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert type(again.get_layer("norm")) is BatchNormalization
    np.testing.assert_array_equal(again(maps(2, 6, 5, 3)), model(maps(2, 6, 5, 3)))


def test_two_trainings_give_the_same_bits():
    def weights():
        keras.utils.set_random_seed(0)
        x, y = maps(16, 8, 8, 3), maps(16, 8, 8, 4)
        image = keras.Input((8, 8, 3))
        model = keras.Model(image, BatchNormalization()(keras.layers.Conv2D(4, 3, padding="same")(image)))
        model.compile(keras.optimizers.SGD(0.01), "mse")
        model.fit(x, y, epochs=3, batch_size=8, verbose=0)
        return model.get_weights()

    for one, two in zip(weights(), weights(), strict=True):
        np.testing.assert_array_equal(one, two)
