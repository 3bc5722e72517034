"""The update in one operation beside Keras' own: the same bits."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lib.training.sgd import Sgd

SETTINGS = {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.005}


def variables_after(kind, *, steps: int = 5, compile_graph: bool = False, half: bool = False, **settings):
    """Weights and the optimizer's variables after some steps at changing rates."""
    rng = np.random.default_rng(0)
    shapes = [(3, 3, 5, 7), (11,), (257, 3)]  # no multiple of what a processor takes at a time
    weights = [keras.Variable(rng.normal(size=shape).astype(np.float32)) for shape in shapes]
    optimizer = kind(**SETTINGS | settings)
    optimizer.build(weights)

    @tf.function(jit_compile=compile_graph)
    def step(gradients):
        optimizer.apply(gradients, weights)

    for number in range(steps):
        optimizer.learning_rate = 0.1 / (number + 1)
        gradients = [tf.constant(rng.normal(size=shape).astype(np.float32)) for shape in shapes]
        step([tf.cast(one, tf.bfloat16) for one in gradients] if half else gradients)
    return [variable.numpy() for variable in [*weights, *optimizer.variables]]


@pytest.mark.parametrize("settings", [{}, {"nesterov": False}, {"weight_decay": None}, {"half": True}], ids=str)
def test_every_bit_is_keras_own(settings):
    pairs = zip(variables_after(Sgd, **settings), variables_after(keras.optimizers.SGD, **settings), strict=True)
    for ours, theirs in pairs:
        np.testing.assert_array_equal(ours, theirs)


def test_a_compiled_graph_computes_the_same():
    for ours, theirs in zip(variables_after(Sgd, compile_graph=True), variables_after(Sgd), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_it_comes_back_from_its_settings():
    again = keras.optimizers.deserialize(keras.optimizers.serialize(Sgd(**SETTINGS)))
    assert type(again) is Sgd
    assert {name: again.get_config()[name] for name in ("momentum", "nesterov", "weight_decay")} == {
        name: SETTINGS[name] for name in ("momentum", "nesterov", "weight_decay")
    }
