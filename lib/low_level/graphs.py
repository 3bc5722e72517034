"""A perceptron's network, its way of descending, and the graphs that train and judge it."""

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from lib.config import Perceptron
from lib.low_level.images import FlatImages
from lib.low_level.loop import make_epoch, make_evaluate, make_step
from lib.low_level.network import Network
from lib.low_level.updates import Adam, GradientDescent


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
