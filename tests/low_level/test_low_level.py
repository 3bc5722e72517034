"""The pieces of hand-written training, each against a computation by hand."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from lib.low_level import loop
from lib.low_level.network import BatchNorm, Dense, Network, cross_entropy, is_right, probabilities
from lib.low_level.updates import Adam, GradientDescent

RNG = np.random.default_rng(0)


def batch(count, inputs, classes, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=count)
    targets = labels if classes == 2 else np.eye(classes)[labels]
    return rng.random((count, inputs)).astype(np.float32), targets.astype(np.float32)


# An independent network in numpy and float64: what the gradients are checked against


def numpy_loss(weights, images, targets, batch_norm):
    """Mean cross entropy of a network whose weights are a dict by variable name."""
    x = images.astype(np.float64)
    for number in itertools.count(1):
        name = f"hidden_{number}"
        if f"{name}/kernel:0" not in weights:
            break
        x = x @ weights[f"{name}/kernel:0"]
        if batch_norm:
            x = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5)
            x = weights[f"{name}_norm/gamma:0"] * x + weights[f"{name}_norm/beta:0"]
        else:
            x = x + weights[f"{name}/bias:0"]
        x = np.maximum(x, 0)
    logits = x @ weights["logits/kernel:0"] + weights["logits/bias:0"]
    if logits.shape[1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
        targets = np.eye(2)[targets.astype(int)]
    logits = logits - logits.max(axis=1, keepdims=True)
    return -np.mean(np.sum(targets * (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))), axis=1))


@pytest.mark.parametrize(("classes", "hidden", "batch_norm"), [(2, (5,), False), (4, (6, 5), False), (4, (6, 5), True)])
def test_gradients_agree_with_finite_differences(classes, hidden, batch_norm):
    images, targets = batch(12, 7, classes)
    network = Network(7, hidden, num_classes=classes, batch_norm=batch_norm, seed=3)
    for variable in network.trainable_variables:  # biases and shifts that are not zero
        variable.assign_add(RNG.normal(scale=0.1, size=variable.shape))
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(cross_entropy(network(images, training=True), targets))
    gradients = tape.gradient(loss, network.trainable_variables)
    weights = {variable.name: variable.numpy().astype(np.float64) for variable in network.trainable_variables}
    assert float(loss) == pytest.approx(numpy_loss(weights, images, targets, batch_norm), rel=1e-5)
    assert len(weights) == len(network.trainable_variables)
    for variable, gradient in zip(network.trainable_variables, gradients, strict=True):
        for place in [np.unravel_index(i, variable.shape) for i in RNG.permutation(gradient.numpy().size)[:8]]:
            sides = []
            for step in (1e-6, -1e-6):
                moved = weights[variable.name].copy()
                moved[place] += step
                sides.append(numpy_loss(weights | {variable.name: moved}, images, targets, batch_norm))
            assert gradient.numpy()[place] == pytest.approx((sides[0] - sides[1]) / 2e-6, abs=2e-5), variable.name


# Network


def names_of(variables):
    return {variable.name for variable in variables}


def test_shapes_types_and_names():
    network = Network(6, (5, 4), num_classes=3)
    images, _ = batch(7, 6, 3)
    assert network(images).shape == (7, 3) and network(images).dtype == tf.float32
    assert Network(6, (5,), num_classes=2)(images).shape == (7,)
    assert Network(6, (), num_classes=3)(images).shape == (7, 3)  # softmax regression
    names = [variable.name for variable in network.trainable_variables]
    assert sorted(names) == [
        f"{layer}/{kind}:0" for layer in ("hidden_1", "hidden_2", "logits") for kind in ("bias", "kernel")
    ]
    normed = Network(6, (5,), num_classes=3, batch_norm=True)
    assert "hidden_1/bias:0" not in names_of(normed.variables)  # the mean would cancel it
    kept = names_of(normed.variables) - names_of(normed.trainable_variables)
    assert kept == {"hidden_1_norm/mean:0", "hidden_1_norm/variance:0"}
    with pytest.raises(ValueError, match="num_classes must be at least 2. Received: 1"):
        Network(6, (5,), num_classes=1)


def test_kernels_follow_the_seed_and_have_the_variance_of_he():
    def kernel(seed):
        return Dense(400, 300, rng=np.random.default_rng(seed), name="layer").kernel.numpy()

    assert np.array_equal(kernel(0), kernel(0)) and not np.array_equal(kernel(0), kernel(1))
    assert kernel(0).var() == pytest.approx(2 / 400, rel=0.02)


def test_a_dense_layer_by_hand():
    layer = Dense(2, 1, rng=RNG, name="layer")
    layer.kernel.assign([[2.0], [3.0]])
    layer.bias.assign([0.5])
    assert layer(tf.constant([[1.0, -1.0], [0.0, 2.0]])).numpy().tolist() == [[-0.5], [6.5]]


def test_negative_values_do_not_pass_a_hidden_layer():
    network = Network(1, (1,), num_classes=2)
    network.hidden[0].kernel.assign([[1.0]])
    network.output.kernel.assign([[3.0]])
    assert network(tf.constant([[-2.0], [2.0]])).numpy().tolist() == [0.0, 6.0]


def test_batch_norm_normalises_by_the_batch_and_remembers_for_later():
    norm = BatchNorm(1, name="norm")
    x = tf.constant([[1.0], [3.0]])  # mean 2, variance 1
    assert norm(x, training=True).numpy() == pytest.approx(np.array([[-1.0], [1.0]]), abs=1e-4)
    assert norm.mean.numpy() == pytest.approx([0.2]) and norm.variance.numpy() == pytest.approx([1.0])
    norm.gamma.assign([2.0])
    norm.beta.assign([5.0])
    assert norm(x, training=True).numpy() == pytest.approx(np.array([[3.0], [7.0]]), abs=1e-4)
    mean, variance = float(norm.mean[0]), float(norm.variance[0])
    assert norm(x, training=False).numpy().ravel() == pytest.approx(
        (np.array([1, 3]) - mean) / variance**0.5 * 2 + 5, 1e-4
    )
    assert float(norm.mean[0]) == mean  # judging changes nothing


def test_batch_norm_agrees_with_keras():
    x = RNG.normal(2, 3, (20, 4)).astype(np.float32)
    ours, theirs = BatchNorm(4, name="norm"), keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
    for training in (True, True, False):
        assert ours(tf.constant(x), training=training).numpy() == pytest.approx(
            theirs(x, training=training).numpy(), abs=1e-5
        )


# Losses and answers


def test_losses_by_hand():
    assert cross_entropy(tf.zeros(2), tf.constant([0.0, 1.0])).numpy() == pytest.approx([np.log(2)] * 2)
    assert cross_entropy(tf.constant([np.log(3.0)], tf.float32), tf.ones(1)).numpy() == pytest.approx([-np.log(0.75)])
    rows = tf.constant([[np.log(2.0), 0.0, 0.0]], tf.float32)
    assert cross_entropy(rows, tf.constant([[0.0, 1.0, 0.0]])).numpy() == pytest.approx([np.log(4)])


def test_extreme_logits_keep_the_loss_finite():
    assert cross_entropy(tf.constant([1e4, -1e4, 1e4]), tf.constant([1.0, 0.0, 0.0])).numpy().tolist() == [0, 0, 1e4]
    rows = cross_entropy(tf.constant([[1e4, -1e4, 0.0]] * 2), tf.constant([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
    assert rows.numpy().tolist() == [0, 2e4]


def test_right_answers_and_probabilities():
    assert is_right(tf.constant([0.1, -0.1, 0.0]), tf.constant([1.0, 1.0, 0.0])).numpy().tolist() == [1, 0, 1]
    rows = tf.constant([[0.0, 2.0], [3.0, 2.0]])
    assert is_right(rows, tf.constant([[0.0, 1.0], [0.0, 1.0]])).numpy().tolist() == [1, 0]
    assert probabilities(np.array([0.0, np.log(3)], np.float32)) == pytest.approx(np.array([[0.5, 0.5], [0.25, 0.75]]))
    assert probabilities(np.array([[0.0, np.log(3)]], np.float32)) == pytest.approx(np.array([[0.25, 0.75]]))


# Updates


def test_one_step_of_gradient_descent_by_hand():
    network = Network(2, (), num_classes=2)
    network.output.kernel.assign([[0.5], [-0.5]])
    step = loop.make_step(network, GradientDescent(0.1))
    loss, right = step(tf.constant([[1.0, 0.0], [1.0, 1.0]]), tf.constant([1.0, 0.0])).numpy()
    # logits 0.5 and 0, so errors p - y are sigmoid(0.5) - 1 and 0.5; the gradient is their mean over two images
    error = 1 / (1 + np.exp(-0.5)) - 1
    assert loss == pytest.approx(np.log1p(np.exp(-0.5)) + np.log(2))
    assert right == 2  # a logit of 0 counts as class 0
    assert network.output.kernel.numpy().ravel() == pytest.approx([0.5 - 0.05 * (error + 0.5), -0.5 - 0.05 * 0.5])
    assert network.output.bias.numpy() == pytest.approx([-0.05 * (error + 0.5)])


@pytest.mark.parametrize("bias_correction", [True, False])
def test_two_steps_of_adam_by_hand(bias_correction):
    variable = tf.Variable([1.0, -2.0])
    adam = Adam(0.1, [variable], bias_correction=bias_correction)
    w, m, v = np.array([1.0, -2.0]), np.zeros(2), np.zeros(2)
    for number, gradient in enumerate((np.array([0.5, -4.0]), np.array([1.0, 1.0])), start=1):
        adam.apply([tf.constant(gradient, tf.float32)], [variable])
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        first, second = (1 - 0.9**number, 1 - 0.999**number) if bias_correction else (1, 1)
        w = w - 0.1 * (m / first) / (np.sqrt(v / second) + 1e-8)
        assert variable.numpy() == pytest.approx(w, rel=1e-4)


def test_adams_first_step_is_one_rate_or_without_correction_more_than_three():
    for bias_correction, length in ((True, 0.01), (False, 0.01 * 0.1 / np.sqrt(0.001))):
        variable = tf.Variable([3.0])
        Adam(0.01, [variable], bias_correction=bias_correction).apply([tf.constant([7.0])], [variable])
        assert 3 - float(variable[0]) == pytest.approx(length, rel=1e-3)


def test_adam_agrees_with_keras():
    ours, theirs = tf.Variable([1.0, -2.0]), keras.Variable([1.0, -2.0])
    adam, optimizer = Adam(0.05, [ours]), keras.optimizers.Adam(0.05, epsilon=1e-8)
    for number in range(5):
        gradient = tf.constant([0.3 * number - 1, 2.0])
        adam.apply([gradient], [ours])
        optimizer.apply([gradient], [theirs])
    assert ours.numpy() == pytest.approx(theirs.numpy(), rel=1e-4)


# The loop in the graph


def run_epoch(batch_size, order):
    """Loss, accuracy and weights after one epoch over ten images."""
    images, targets = batch(10, 6, 3)
    network = Network(6, (5,), num_classes=3)
    epoch = loop.make_epoch(loop.make_step(network, GradientDescent(0.5)), batch_size=batch_size)
    sums = epoch(tf.constant(images), tf.constant(targets), tf.constant(order, tf.int32)).numpy()
    return sums, network.hidden[0].kernel.numpy()


@pytest.mark.parametrize(
    ("batch_size", "bounds"),
    [
        (1, range(11)),
        (4, [0, 3, 6, 10]),
        (5, [0, 5, 10]),
        (6, [0, 5, 10]),
        (9, [0, 5, 10]),
        (64, [0, 10]),
        (None, [0, 10]),
    ],
    ids=str,
)
def test_an_epoch_takes_every_image_once_in_even_batches(batch_size, bounds):
    order = np.random.default_rng(1).permutation(10)
    sums, kernel = run_epoch(batch_size, order)
    images, targets = batch(10, 6, 3)
    network = Network(6, (5,), num_classes=3)
    step, total = loop.make_step(network, GradientDescent(0.5)), np.zeros(2)
    for start, stop in itertools.pairwise(bounds):
        rows = order[start:stop] if batch_size else np.arange(10)
        total += step(tf.constant(images[rows]), tf.constant(targets[rows])).numpy()
    assert sums == pytest.approx(total / 10, abs=1e-6)
    assert kernel == pytest.approx(network.hidden[0].kernel.numpy(), abs=1e-6)


def test_the_order_of_the_images_counts_but_for_the_full_batch():
    there, back = np.arange(10), np.arange(10)[::-1].copy()
    assert not np.allclose(run_epoch(4, there)[1], run_epoch(4, back)[1])
    assert np.allclose(run_epoch(None, there)[1], run_epoch(None, back)[1])


def test_python_runs_once_for_all_batches():
    images, targets = batch(10, 6, 3)
    network = Network(6, (5,), num_classes=3)
    step, calls = loop.make_step(network, GradientDescent(0.1)), []

    def counted(*inputs):
        calls.append(1)
        return step(*inputs)

    epoch = loop.make_epoch(counted, batch_size=3)
    for _ in range(3):
        epoch(tf.constant(images), tf.constant(targets), tf.range(10))
    assert len(calls) <= 2  # tracing, of the loop's body too; not nine steps
    assert "While" in {
        node.type for node in epoch.get_concrete_function(images, targets, tf.range(10)).graph.get_operations()
    }


def test_graph_and_line_by_line_agree():
    images, targets = batch(8, 6, 3)
    kernels = []
    for wrap in (lambda step: step, tf.function, lambda step: tf.function(step, jit_compile=True)):
        network = Network(6, (5,), num_classes=3, batch_norm=True)
        step = wrap(loop.make_step(network, GradientDescent(0.5)))
        for _ in range(3):
            step(tf.constant(images), tf.constant(targets))
        kernels.append(network.hidden[0].kernel.numpy())
    assert kernels[0] == pytest.approx(kernels[1], abs=1e-5) and kernels[0] == pytest.approx(kernels[2], abs=1e-5)


def test_evaluation_changes_nothing_and_uses_the_running_statistics():
    images, targets = batch(10, 6, 3)
    network = Network(6, (5,), num_classes=3, batch_norm=True)
    before = [variable.numpy() for variable in network.variables]
    loss, accuracy = loop.make_evaluate(network)(images, targets).numpy()
    logits = network(images)
    assert loss == pytest.approx(float(tf.reduce_mean(cross_entropy(logits, targets))))
    assert accuracy == pytest.approx(float(tf.reduce_mean(is_right(logits, targets))))
    assert all(np.array_equal(old, new.numpy()) for old, new in zip(before, network.variables, strict=True))
