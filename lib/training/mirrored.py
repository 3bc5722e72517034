"""One training on several GPUs: each holds all weights and computes on its share of every batch.

Up to rounding the numbers are those of one device: gradients and batch normalisation are over all shares. Only dropout
differs: the devices draw alike, each for its own share."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import keras
import tensorflow as tf

from lib.config import Training
from lib.training import steps


def scope(batch_size: int) -> contextlib.AbstractContextManager:
    """The block in which a network and its optimizer are made; on one device it changes nothing.

    All GPUs take part, else all logical CPU devices, unless there are more of them than images in a batch.
    """
    names = [one.name for one in tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")]
    return _strategy(*names).scope() if 1 < len(names) <= batch_size else contextlib.nullcontext()


@functools.cache  # two strategies in one process would take each other's sums for their own
def _strategy(*names: str) -> tf.distribute.Strategy:
    return tf.distribute.MirroredStrategy(names)


def make_train_step(model: keras.Model, optimizer, config: Training, *, compile_graph: bool = False) -> Callable:
    """What `steps.make_train_step` returns, on all devices on which the model was made; on several without XLA."""
    weights = model.trainable_variables[0].value
    if not isinstance(weights, tf.distribute.DistributedValues):
        return steps.make_train_step(model, optimizer, config, compile_graph=compile_graph)
    strategy, devices = weights.distribute_strategy, len(weights.values)

    @tf.function
    def step(images, labels):
        def on_share():
            place, count = tf.distribute.get_replica_context().replica_id_in_sync_group, tf.shape(images)[0]
            start, end = place * count // devices, (place + 1) * count // devices
            with tf.device("CPU:0"):  # so that a device is sent its share only
                share = images[start:end], labels[start:end]
            shared = _SharedOptimizer(optimizer, (end - start) / count)
            return steps.make_train_step(model, shared, config).python_function(*share)

        with _synchronised(model):
            return strategy.reduce(tf.distribute.ReduceOp.SUM, strategy.run(on_share), axis=None)

    return step


@dataclass(frozen=True)
class _SharedOptimizer:
    """An optimizer that is given the mean loss of one share of the batch, and adds up what all of them give."""

    optimizer: keras.optimizers.Optimizer
    weight: tf.Tensor  # of the share, in (0, 1]

    def scale_loss(self, loss: tf.Tensor) -> tf.Tensor:
        return self.optimizer.scale_loss(loss * tf.cast(self.weight, loss.dtype))

    def apply(self, gradients: list, variables: list) -> None:
        # Where float16 overflows on one device, all must leave the step out: 0 becomes NaN there, and so in the sum.
        zero = tf.add_n([0.0 * tf.reduce_sum(gradient) for gradient in gradients])
        zero = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, zero)
        self.optimizer.apply([gradient + zero for gradient in gradients], variables)


@contextlib.contextmanager
def _synchronised(model: keras.Model) -> Iterator[None]:
    """Batch normalisation computes over all devices in the graph that is traced in the block; what is saved is not."""
    layers = [one for one in model._flatten_layers() if isinstance(one, keras.layers.BatchNormalization)]
    with contextlib.ExitStack() as stack:
        for layer in layers:
            stack.callback(setattr, layer, "synchronized", layer.synchronized)
            layer.synchronized = True
        yield
