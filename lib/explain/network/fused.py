"""A network as few plain operations: batch norm is folded into the convolution before it, activations stand alone.

They compute what the model's layers compute, in float32. That is faster and, as no Keras layer is called, much quicker
to compile; and since the weights are an argument, one compiled graph serves every model of an architecture, whatever
its weights are by then. A network with a layer that is not listed here is left to Keras: see `passes`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import keras
import tensorflow as tf
from keras import layers

from lib.explain.network.operations import FOLDABLE, Operation
from lib.explain.network.taps import Network, Step
from lib.models.batch_norm import BatchNormalization

ACTIVATIONS = {"linear": [], "relu": [("relu", (), ())], "relu6": [("relu6", (), ())], "sigmoid": [("sigmoid", (), ())]}


@dataclass(frozen=True, eq=False)
class Fused:
    """Part of a network as operations on numbered tensors."""

    operations: tuple[Operation, ...]
    weights: list[tuple[tf.Tensor, ...]]  # of each operation
    numbers: dict[str, int]  # of the tensor that holds the output of each step


def fuse(network: Network, *, start: str, wanted: Sequence[str]) -> Fused | None:
    """Read the steps behind `start` that the wanted ones need as plain operations.

    Args:
        network: of `inputs.read_logits`.
        start: name of the step whose output is known, or `IMAGE`: tensor 0.
        wanted: names of steps whose outputs will be read.

    Returns:
        The operations, with the weights of this moment; None if a layer is of a kind that is not known here.
    """
    steps = network.needed([start], wanted)
    uses = Counter(name for step in steps for name in step.inputs)
    numbers, computing = {start: 0}, set()
    operations: list[Operation] = []
    weights: list[tuple[tf.Tensor, ...]] = []
    for step in steps:
        readings = _read(step, network)
        if readings is None:
            return None
        inputs = tuple(numbers[name] for name in step.inputs)
        source, place = step.inputs[0], inputs[0] - 1
        lone = source in computing and uses[source] == 1 and source not in wanted
        if isinstance(step.layer, layers.BatchNormalization) and lone and operations[place].kind in FOLDABLE:
            operations[place] = replace(operations[place], epsilon=step.layer.epsilon)
            weights[place] += readings[0][2]
            readings = []
        for kind, options, own in readings:
            epsilon = step.layer.epsilon if kind == "affine" and len(own) == 1 else None
            operations.append(Operation(kind, inputs, options, epsilon))
            weights.append(own)
            inputs = (len(operations),)
            computing.add(step.name)
        numbers[step.name] = inputs[0]
    return Fused(tuple(operations), weights, numbers)


def _read(step: Step, network: Network) -> list[tuple[str, tuple, tuple]] | None:
    """Kind, options and weights of the operations that do the work of a step; None if there are none."""
    reader = READERS.get(type(step.layer))
    plain = all(name == "training" or value is None for name, value in step.kwargs.items())
    if reader is None or not plain or getattr(step.layer, "data_format", "channels_last") != "channels_last":
        return None
    shapes = [network.shape(name) for name in step.inputs]
    return reader(step.layer, shapes)


def _conv(layer, shapes):
    if layer.groups != 1 or any(rate != 1 for rate in layer.dilation_rate):
        return None
    return _with_bias(layer, "conv", (tuple(layer.strides), layer.padding.upper()))


def _dense(layer, shapes):
    return _with_bias(layer, "dense", ()) if len(shapes[0]) == 2 else None


def _with_bias(layer, kind: str, options: tuple):
    bias = (_value(layer.bias),) if layer.use_bias else ()
    activation = _activation(layer, shapes=None)
    return None if activation is None else [(kind, options, (_value(layer.kernel), *bias)), *activation]


def _activation(layer, shapes):
    for name, readings in ACTIVATIONS.items():
        if layer.activation is getattr(keras.activations, name):
            return readings
    return None


def _relu(layer, shapes):
    if layer.negative_slope or layer.threshold or layer.max_value not in (None, 6):
        return None
    return ACTIVATIONS["relu" if layer.max_value is None else "relu6"]


def _batch_norm(layer, shapes):
    if layer.axis not in (-1, len(shapes[0]) - 1) or getattr(layer, "renorm", False):
        return None
    mean, variance = _value(layer.moving_mean), _value(layer.moving_variance)
    scale = _value(layer.gamma) if layer.scale else tf.ones_like(mean)
    shift = _value(layer.beta) if layer.center else tf.zeros_like(mean)
    return [("affine", (), (tf.stack([mean, variance, scale, shift]),))]


def _rescale(layer, shapes):
    return [("affine", (), (tf.constant(layer.scale, tf.float32), tf.constant(layer.offset, tf.float32)))]


def _add(layer, shapes):
    return [("add", (), ())] if len(set(shapes)) == 1 else None  # else it would repeat values along an axis


def _multiply(layer, shapes):
    gate = len(shapes) == 2 and len(shapes[0]) == 4 and shapes[1] == (None, 1, 1, shapes[0][3])
    return [("gate", (), ())] if gate else None


def _pool(kind: str):
    def read(layer, shapes):
        return [(kind, (tuple(layer.pool_size), tuple(layer.strides), layer.padding.upper()), ())]

    return read


def _global_pool(layer, shapes):
    return [("global_pool", (bool(layer.keepdims),), ())]


def _flatten(layer, shapes):
    return [("flatten", (), ())]


def _nothing(layer, shapes):
    return []  # it has an effect in training only


def _value(variable) -> tf.Tensor:
    return tf.cast(tf.convert_to_tensor(variable), tf.float32)


READERS = {
    layers.Conv2D: _conv,
    layers.Dense: _dense,
    layers.BatchNormalization: _batch_norm,
    BatchNormalization: _batch_norm,
    layers.Rescaling: _rescale,
    layers.ReLU: _relu,
    layers.Activation: _activation,
    layers.Add: _add,
    layers.Multiply: _multiply,
    layers.MaxPooling2D: _pool("max_pool"),
    layers.AveragePooling2D: _pool("average_pool"),
    layers.GlobalAveragePooling2D: _global_pool,
    layers.Flatten: _flatten,
    layers.Dropout: _nothing,
    layers.SpatialDropout2D: _nothing,
}
