"""The graphs of a training: one step, one epoch of steps inside the graph, and evaluation."""

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from lib.config import Perceptron
from lib.low_level.images import FlatImages
from lib.low_level.network import Network, cross_entropy, is_right
from lib.low_level.updates import Adam, GradientDescent


def make_step(network: Network, update) -> Callable:
    """One step of gradient descent, as plain Python: eager as it is, a graph inside `tf.function`.

    Args:
        network: its trainable variables are changed.
        update: `GradientDescent` or `Adam`.

    Returns:
        Function of images (B, inputs) float32 and targets that returns (2,) float32, before the change: the sum of the
        losses and the number of right answers.
    """
    variables = network.trainable_variables

    def step(images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = network(images, training=True)
            losses = cross_entropy(logits, targets)
            with tf.name_scope("loss/"):
                loss = tf.reduce_mean(losses)
        update.apply(tape.gradient(loss, variables), variables)
        with tf.name_scope("totals"):
            return tf.stack([tf.reduce_sum(losses), tf.reduce_sum(is_right(logits, targets))])

    return step


def make_epoch(step: Callable, *, batch_size: int | None) -> Callable:
    """All steps of an epoch in one graph: the loop over batches becomes a `tf.while_loop`, and Python is left once.

    Args:
        step: from `make_step`, or a graph made of it.
        batch_size: images per step at most. Images are dealt out evenly: a last batch of the few that are left would
            make a step of its own, as long as the others and far noisier. None takes all images at once.

    Returns:
        Function of images (N, inputs) float32, targets and their order, (N,) int32, that returns the mean loss and the
        share of right answers over the epoch, each batch before its own step.
    """

    @tf.function
    def epoch(images: tf.Tensor, targets: tf.Tensor, order: tf.Tensor) -> tf.Tensor:
        count = tf.size(order, out_type=tf.int64)
        if batch_size is None:  # the order does not matter
            sums = step(images, targets)
        else:
            sums, steps = tf.zeros(2), -(-count // batch_size)
            for number in tf.range(steps):
                rows = order[number * count // steps : (number + 1) * count // steps]
                sums += step(tf.gather(images, rows), tf.gather(targets, rows))
        return sums / tf.cast(count, tf.float32)

    return epoch


def make_evaluate(network: Network) -> Callable:
    """Function of images (N, inputs) float32 and targets that returns mean cross entropy and accuracy, (2,) float32."""

    @tf.function
    def evaluate(images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        logits = network(images)
        return tf.stack([tf.reduce_mean(cross_entropy(logits, targets)), tf.reduce_mean(is_right(logits, targets))])

    return evaluate


@dataclass(frozen=True)
class Graphs:
    """A network and the graphs that train and judge it."""

    network: Network
    update: GradientDescent | Adam
    step: Callable  # one step, as plain Python
    run_epoch: Callable
    evaluate: Callable

    def restart(self, perceptron: Perceptron, images: FlatImages, *, seed: int) -> None:
        """Draw the weights anew and forget all running means; the graphs stay."""
        fresh = make_network(perceptron, images, seed=seed)
        for variable, value in zip(self.network.variables, fresh.variables, strict=True):
            variable.assign(value)
        for variable in self.update.variables:
            variable.assign(tf.zeros_like(variable))


def make_network(perceptron: Perceptron, images: FlatImages, *, seed: int) -> Network:
    """The untrained network of a perceptron."""
    return Network(
        images.train.images.shape[1],
        perceptron.hidden,
        num_classes=len(images.class_names),
        batch_norm=perceptron.batch_norm,
        seed=seed,
    )


def make_update(perceptron: Perceptron, network: Network, *, rate: tf.Variable | None = None) -> GradientDescent | Adam:
    """How a perceptron descends, at its own learning rate or at one that may be changed."""
    rate = perceptron.learning_rate if rate is None else rate
    if perceptron.update == "gradient_descent":
        return GradientDescent(rate)
    return Adam(rate, network.trainable_variables, bias_correction=perceptron.bias_correction)


def make_graphs(perceptron: Perceptron, images: FlatImages, *, seed: int, rate: tf.Variable | None = None) -> Graphs:
    """The network of a perceptron and its graphs; `rate` as for `make_update`."""
    network = make_network(perceptron, images, seed=seed)
    update = make_update(perceptron, network, rate=rate)
    step = make_step(network, update)
    return Graphs(network, update, step, make_epoch(step, batch_size=perceptron.batch_size), make_evaluate(network))
