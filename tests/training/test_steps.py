"""One step of gradient descent against hand computation; evaluation and prediction on small linear models."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lib.config import Experiment, Training, View, views_of
from lib.models import ConvBlocks, Residual
from lib.training.device import reproducible
from lib.training.muon import Muon
from lib.training.steps import (
    flexible,
    image_spec,
    make_evaluate,
    make_optimizer,
    make_train_step,
    predict,
    smoothed_cross_entropy,
)

KERNEL = np.array([[0.1, -0.2], [0.3, 0.0], [-0.1, 0.2]], np.float32)
BIAS = np.array([0.05, -0.05], np.float32)
IMAGES = np.array([[1, 0, 2], [0, 3, 1], [2, 2, 0]], np.float32).reshape(3, 1, 1, 3)
LABELS = np.array([0, 1, 1], np.int32)


def linear() -> keras.Model:
    """One pixel of three channels -> two logits."""
    image = keras.Input((1, 1, 3), name="image")
    model = keras.Model(image, keras.layers.Dense(2, name="logits")(keras.layers.Flatten()(image)))
    model.set_weights([KERNEL, BIAS])
    return model


def trained(config: Training, *, steps: int = 1, labels=LABELS, compile_graph: bool = False):
    """Weights after some steps on the same batch, and what the last step returned."""
    model, sums = linear(), None
    optimizer = make_optimizer(config)
    step = make_train_step(model, optimizer, config, compile_graph=compile_graph)
    for _ in range(steps):
        sums = step(tf.constant(IMAGES), tf.constant(labels))
    return model.get_weights(), sums.numpy()


def softmax(logits) -> np.ndarray:
    exponents = np.exp(logits)
    return exponents / exponents.sum(axis=1, keepdims=True)


def by_hand(kernel=KERNEL, bias=BIAS, rows=None):
    """Gradients of the mean cross entropy, and its value for each image."""
    rows = np.eye(2)[LABELS] if rows is None else rows
    x = IMAGES.reshape(3, 3)
    probabilities = softmax(x @ kernel + bias)
    error = (probabilities - rows) / 3
    return x.T @ error, error.sum(axis=0), -(rows * np.log(probabilities)).sum(axis=1)


def sgd(**settings) -> Training:
    return Training(**{"optimizer": "sgd", "learning_rate": 0.1} | settings)


def close(actual, expected):
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_penalties_move_the_weights_but_are_not_shown_as_loss():
    image = keras.Input((1, 1, 3), name="image")
    dense = keras.layers.Dense(2, kernel_regularizer=keras.regularizers.L2(0.5), name="logits")
    model = keras.Model(image, dense(keras.layers.Flatten()(image)))
    model.set_weights([KERNEL, BIAS])
    config = sgd(learning_rate=0.1)
    sums = make_train_step(model, make_optimizer(config), config)(tf.constant(IMAGES), tf.constant(LABELS))
    gradient, _, losses = by_hand()
    close([model.get_weights()[0]], [KERNEL - 0.1 * 1.9 * (gradient + 2 * 0.5 * KERNEL)])  # 1 + momentum 0.9: Nesterov
    np.testing.assert_allclose(sums[0], losses.sum(), rtol=1e-5)


def test_the_first_step_of_sgd_is_nesterovs():
    d_kernel, d_bias, losses = by_hand()
    weights, sums = trained(sgd())
    close(weights, [KERNEL - 0.19 * d_kernel, BIAS - 0.19 * d_bias])  # 0.1 * (1 + 0.9)
    right = (IMAGES.reshape(3, 3) @ KERNEL + BIAS).argmax(axis=1) == LABELS
    close(sums, [losses.sum(), right.sum(), 3])


def test_the_second_step_of_sgd_carries_momentum():
    first_kernel, first_bias, _ = by_hand()
    kernel, bias = KERNEL - 0.19 * first_kernel, BIAS - 0.19 * first_bias
    d_kernel, d_bias, _ = by_hand(kernel, bias)
    momenta = [-0.1 * (0.9 * first + now) for first, now in ((first_kernel, d_kernel), (first_bias, d_bias))]
    expected = [kernel + 0.9 * momenta[0] - 0.1 * d_kernel, bias + 0.9 * momenta[1] - 0.1 * d_bias]
    close(trained(sgd(), steps=2)[0], expected)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_weight_decay_shrinks_kernels_and_spares_biases(name):
    plain, _ = trained(sgd(optimizer=name))
    decayed, _ = trained(sgd(optimizer=name, weight_decay=0.5))
    close(decayed, [plain[0] - 0.1 * 0.5 * KERNEL, plain[1]])


def test_weight_decay_spares_normalisation():
    image = keras.Input((1, 1, 3))
    x = keras.layers.BatchNormalization(name="norm")(keras.layers.Conv2D(4, 1, name="conv")(image))
    model = keras.Model(image, keras.layers.Dense(2, name="logits")(keras.layers.Flatten()(x)))
    for config in (sgd(weight_decay=0.5), sgd(optimizer="adamw", weight_decay=0.5)):
        optimizer = make_optimizer(config)
        optimizer.build(model.trainable_variables)
        spared = {v.path for v in model.trainable_variables if not optimizer._use_weight_decay(v)}
        assert spared == {"conv/bias", "norm/gamma", "norm/beta", "logits/bias"}


def test_the_first_step_of_adamw_is_the_learning_rate_in_each_direction():
    d_kernel, d_bias, _ = by_hand()
    weights, _ = trained(sgd(optimizer="adamw"))
    np.testing.assert_allclose(weights[0], KERNEL - 0.1 * np.sign(d_kernel), atol=1e-4)
    np.testing.assert_allclose(weights[1], BIAS - 0.1 * np.sign(d_bias), atol=1e-4)


def test_label_smoothing_spreads_weight_over_all_classes():
    rows = np.eye(2)[LABELS] * 0.7 + 0.15
    d_kernel, d_bias, losses = by_hand(rows=rows)
    weights, sums = trained(sgd(label_smoothing=0.3))
    close(weights, [KERNEL - 0.19 * d_kernel, BIAS - 0.19 * d_bias])
    assert sums[0] == pytest.approx(losses.sum(), rel=1e-5)


def test_smoothed_cross_entropy_by_hand():
    rows, logits = tf.constant([[1.0, 0.0, 0.0, 0.0]]), tf.math.log([[0.5, 0.25, 0.125, 0.125]])
    assert float(smoothed_cross_entropy(rows, logits, smoothing=0.0)[0]) == pytest.approx(np.log(2))
    # 0.6 on the class and 0.1 on each of the four, times 1, 2, 3 and 3 bits
    smoothed = (0.7 * 1 + 0.1 * 2 + 0.1 * 3 + 0.1 * 3) * np.log(2)
    assert float(smoothed_cross_entropy(rows, logits, smoothing=0.4)[0]) == pytest.approx(smoothed)


def test_label_rows_of_mixed_images_are_used_as_they_are():
    rows = np.array([[0.75, 0.25], [0.0, 1.0], [0.4, 0.6]], np.float32)
    d_kernel, d_bias, losses = by_hand(rows=rows)
    weights, sums = trained(sgd(), labels=rows)
    close(weights, [KERNEL - 0.19 * d_kernel, BIAS - 0.19 * d_bias])
    assert sums[0] == pytest.approx(losses.sum(), rel=1e-5)
    assert sums[1] == trained(sgd())[1][1]  # right where the largest weight is met
    close(trained(sgd(), labels=np.eye(2, dtype=np.float32)[LABELS])[0], trained(sgd())[0])


def test_compiled_graphs_compute_the_same():
    close(trained(sgd(), steps=2, compile_graph=True)[0], trained(sgd(), steps=2)[0])


def test_the_learning_rate_can_change_between_steps():
    model = linear()
    optimizer = make_optimizer(sgd())
    step = make_train_step(model, optimizer, sgd())
    for rate, moved in ((0.0, False), (0.1, True)):
        optimizer.learning_rate = rate
        step(tf.constant(IMAGES), tf.constant(LABELS))
        assert np.array_equal(model.get_weights()[0], KERNEL) is not moved


def test_the_optimizer_follows_its_config():
    plain = make_optimizer(sgd())
    assert isinstance(plain, keras.optimizers.SGD) and plain.nesterov and plain.momentum == 0.9
    assert plain.weight_decay is None
    full = make_optimizer(Training(optimizer="adamw", learning_rate=0.01, weight_decay=0.02))
    assert isinstance(full, keras.optimizers.AdamW) and float(full.learning_rate) == pytest.approx(0.01)
    assert full.weight_decay == 0.02
    muon = make_optimizer(Training(optimizer="muon", learning_rate=0.2, weight_decay=0.005))
    assert isinstance(muon, Muon) and muon.nesterov and muon.momentum == 0.9 and muon.weight_decay == 0.005


def test_mixed_precision_scales_the_loss():
    with reproducible(0, precision="mixed_float16"):
        optimizer = make_optimizer(sgd())
    assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    model = linear()
    sums = make_train_step(model, optimizer, sgd())(tf.constant(IMAGES), tf.constant(LABELS))
    close(sums, trained(sgd())[1])
    close(model.get_weights(), trained(sgd())[0])


def whole_pixels(count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.integers(0, 9, (count, 1, 1, 3)).astype(np.uint8), rng.integers(0, 2, count).astype(np.int32)


def test_evaluate_means_over_images_and_not_over_batches():
    images, labels = whole_pixels(5)
    probabilities = softmax(images.reshape(5, 3) @ KERNEL + BIAS)
    evaluate = make_evaluate(linear())
    for size in (2, 5):  # batches of 2, 2 and 1
        loss, accuracy = evaluate(tf.data.Dataset.from_tensor_slices((images, labels)).batch(size))
        assert isinstance(loss, float) and isinstance(accuracy, float)
        assert loss == pytest.approx(-np.log(probabilities[np.arange(5), labels]).mean(), rel=1e-5)
        assert accuracy == pytest.approx((probabilities.argmax(axis=1) == labels).mean())


def test_evaluate_and_predict_switch_dropout_off():
    image = keras.Input((1, 1, 3), name="image")
    dropped = keras.layers.Dropout(0.9)(keras.layers.Flatten()(image))
    model = keras.Model(image, keras.layers.Dense(2)(dropped))
    data = tf.data.Dataset.from_tensor_slices(whole_pixels(8)).batch(4)
    assert make_evaluate(model)(data) == make_evaluate(model)(data)
    assert np.array_equal(predict(model, data), predict(model, data))


def test_predict_joins_the_batches():
    images, labels = whole_pixels(5)
    result = predict(linear(), tf.data.Dataset.from_tensor_slices((images, labels)).batch(2))
    assert result.shape == (5, 2) and result.dtype == np.float32
    np.testing.assert_allclose(result, softmax(images.reshape(5, 3) @ KERNEL + BIAS), rtol=1e-5)


def test_predict_averages_the_views_of_each_image():
    image = keras.Input((3, 2, 3), name="image")
    model = keras.Model(image, keras.layers.Dense(2)(keras.layers.Flatten()(image)))
    images = np.random.default_rng(0).integers(0, 5, (3, 3, 2, 3)).astype(np.uint8)
    data = tf.data.Dataset.from_tensors((images, np.zeros(3, np.int32)))
    right_down = np.concatenate([images[:, :1], images[:, :-1]], axis=1)
    right_down = np.concatenate([right_down[:, :, :1], right_down[:, :, :-1]], axis=2)
    left_up = np.concatenate([images[:, 1:], images[:, -1:]], axis=1)
    left_up = np.concatenate([left_up[:, :, 1:], left_up[:, :, -1:]], axis=2)
    seen = {View(): images, View(mirrored=True): images[:, :, ::-1], View(shift=1): right_down, View(shift=-1): left_up}
    answers = {view: softmax(model(batch).numpy()) for view, batch in seen.items()}
    np.testing.assert_allclose(predict(model, data), answers[View()], rtol=1e-5)
    for view, expected in answers.items():
        np.testing.assert_allclose(predict(model, data, views=[view]), expected, rtol=1e-5)
        assert view == View() or not np.allclose(expected, answers[View()])
    np.testing.assert_allclose(predict(model, data, views=list(answers)), sum(answers.values()) / 4, rtol=1e-5)


def test_the_views_of_two_settings():
    assert views_of(False, 0) == (View(),)
    assert views_of(True, 0) == (View(), View(mirrored=True))
    assert views_of(False, 2) == (View(), View(shift=-2), View(shift=2))
    assert len(set(views_of(True, 1))) == 6
    for shift in (-1, 32):
        with pytest.raises(ValueError, match="shift_average is at least 0 and less than image_size"):
            Experiment("Moved too far?", model=ConvBlocks(), shift_average=shift)


def test_image_spec_takes_batches_of_any_length():
    assert image_spec(linear()) == tf.TensorSpec((None, 1, 1, 3), tf.uint8)


@pytest.mark.parametrize("family", [ConvBlocks(filters=(4, 8)), Residual(filters=(4, 8), blocks=(1, 1))])
def test_flexible_models_share_their_weights_at_every_size(family):
    model = family.build(3, image_size=16)
    loose = flexible(model, [8, 16])
    assert loose.input_shape == (None, None, None, 3)
    images = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3)).astype(np.uint8)
    assert loose(images[:, :8, :8]).shape == (2, 3)
    np.testing.assert_array_equal(loose(images), model(images))
    model.get_layer("logits").bias.assign([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(loose(images), model(images))
    assert [variable.path for variable in loose.variables] == [variable.path for variable in model.variables]


def test_one_size_needs_no_flexible_model():
    model = linear()
    assert flexible(model, [16, 16]) is model
