"""Muon against numpy; what it leaves to SGD; that it is kept and read again."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lib.config import Training
from lib.models import Residual
from lib.training.device import reproducible
from lib.training.muon import MOMENTUM, SHARE, Muon, is_inner_kernel, orthogonal
from lib.training.steps import make_optimizer, make_train_step

RATE = 0.2


def newton_schulz(matrix: np.ndarray) -> np.ndarray:
    """Three steps with Jordan's coefficients, on singular values: the polynomial acts on each of them alone."""
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    values /= np.sqrt(np.sum(values**2))
    for _ in range(3):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    return left * values @ right


@pytest.mark.parametrize("shape", [(90, 16), (16, 90), (24, 24), (1, 8)])
def test_the_steps_are_those_of_the_polynomial_on_singular_values(shape):
    matrix = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    np.testing.assert_allclose(orthogonal(tf.constant(matrix)), newton_schulz(matrix.astype(float)), atol=2e-5)


def test_singular_values_end_near_one():
    matrix = np.random.default_rng(1).normal(size=(288, 32)).astype(np.float32)
    values = np.linalg.svd(orthogonal(tf.constant(matrix)).numpy(), compute_uv=False)
    assert 0.5 < values.min() and values.max() < 1.3


def test_only_kernels_beyond_the_first_layer_take_orthogonal_steps():
    assert is_inner_kernel((3, 3, 16, 32)) and is_inner_kernel((1, 1, 16, 32))
    left_to_sgd = {"pixels": (7, 7, 3, 32), "depthwise": (3, 3, 16, 1), "dense": (128, 10), "bias": (10,)}
    assert not any(is_inner_kernel(shape) for shape in left_to_sgd.values())


def steps_of(optimizer, start: np.ndarray, gradients: list[np.ndarray]) -> np.ndarray:
    variable = keras.Variable(start)
    optimizer.build([variable])
    for gradient in gradients:
        optimizer.apply([tf.constant(gradient)], [variable])
    return variable.numpy()


def test_a_kernel_is_scaled_and_moved_along_the_orthogonal_momentum():
    draws = np.random.default_rng(2).normal(size=(4, 3, 3, 8, 16)).astype(np.float32)
    kernel, momentum = draws[0].astype(float), np.zeros((3, 3, 8, 16))
    for gradient in draws[1:]:
        momentum = MOMENTUM * momentum + gradient
        step = newton_schulz((gradient + MOMENTUM * momentum).reshape(-1, 16)).reshape(kernel.shape)
        kernel = kernel * np.sqrt(16) / np.linalg.norm(kernel) - SHARE * RATE * step
    moved = steps_of(Muon(RATE, momentum=0.9, nesterov=True), draws[0], list(draws[1:]))
    np.testing.assert_allclose(moved, kernel, atol=1e-5)


def test_all_else_moves_as_with_sgd():
    draws = np.random.default_rng(3).normal(size=(4, 20, 5)).astype(np.float32)
    settings = {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01}
    moved = [steps_of(kind(RATE, **settings), draws[0], list(draws[1:])) for kind in (Muon, keras.optimizers.SGD)]
    np.testing.assert_array_equal(*moved)


def test_it_is_kept_with_its_settings_and_read_again():
    optimizer = Muon(RATE, momentum=0.8, nesterov=True, weight_decay=0.005)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(again) is Muon and again.get_config() == optimizer.get_config()


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_a_network_learns_a_batch_by_heart(precision):
    config = Training(optimizer="muon", learning_rate=RATE)
    images = np.random.default_rng(4).integers(0, 256, (8, 16, 16, 3)).astype(np.uint8)
    with reproducible(0, precision=precision):
        model = Residual(filters=(8, 16), blocks=(1, 1)).build(4, image_size=16)
        optimizer = make_optimizer(config)
        step = make_train_step(model, optimizer, config)
        losses = [float(step(tf.constant(images), tf.constant([0, 1, 2, 3] * 2))[0]) / 8 for _ in range(12)]
    assert losses[0] > 1 and losses[-1] < 0.1
    kernels = [weight for weight in model.trainable_weights if is_inner_kernel(weight.shape)]
    assert len(kernels) == 5
