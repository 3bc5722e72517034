"""The operations that convolutional networks are made of, each forwards and backwards, in float32.

Written out instead of left to a gradient tape: a graph of them is built in a third of the time, and guided
backpropagation, which changes one of them, needs nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class Operation:
    """One operation of a network; equal ones compute the same from the same weights."""

    kind: str  # a key of `KINDS`
    inputs: tuple[int, ...]  # numbers of tensors: 0 is what the network is given, k what its k-th operation gives
    options: tuple = ()  # of the kind
    epsilon: float | None = None  # of a batch norm whose weights come last, to be folded into those before them


def fold_norms(operations: Sequence[Operation], weights: Sequence[tuple]) -> list[tuple]:
    """The weights of each operation once batch norms are part of them, which then cost nothing.

    Args:
        operations: in any order.
        weights: of each: a kernel, and a bias where it has one, for "conv" and "dense"; a factor and an offset for
            "affine"; last, where there is an epsilon, a norm's mean, variance, scale and shift as (4, C).

    Returns:
        A kernel and a bias for "conv" and "dense", a factor and an offset for "affine", nothing for the others.
    """
    folded = []
    for operation, own in zip(operations, weights, strict=True):
        own, factor, offset = list(own), 1.0, 0.0
        if operation.epsilon is not None:
            mean, variance, scale, shift = tf.unstack(own.pop())
            factor = scale * tf.math.rsqrt(variance + operation.epsilon)
            offset = shift - mean * factor
        if operation.kind in FOLDABLE:
            kernel, *bias = own
            bias = bias[0] if bias else tf.zeros(kernel.shape[-1])
            own = [kernel * factor, bias * factor + offset]
        elif operation.epsilon is not None:
            own = [factor, offset]
        folded.append(own)
    return folded


def run_forward(operations: Sequence[Operation], weights: Sequence[tuple], start: tf.Tensor) -> list[tf.Tensor]:
    """Compute every operation.

    Args:
        operations: in an order in which they can be computed.
        weights: of each operation, of `fold_norms`.
        start: tensor 0.

    Returns:
        All tensors by their numbers.
    """
    values = [start]
    for operation, own in zip(operations, weights, strict=True):
        forward, _ = KINDS[operation.kind]
        values.append(forward([values[number] for number in operation.inputs], own, operation.options))
    return values


def run_backward(
    operations: Sequence[Operation], weights: Sequence[tuple], values: list, *, end: tf.Tensor, at: int, guided: bool
) -> tf.Tensor:
    """Gradient of the last tensor, weighted by `end`, with respect to the tensor numbered `at`.

    Args:
        operations: as they were computed.
        weights: of each operation, of `fold_norms`.
        values: of `run_forward`.
        end: gradient to begin with, of the shape of the last tensor.
        at: number of the tensor to arrive at.
        guided: let no negative gradient through a ReLU.

    Returns:
        Gradient of the shape of that tensor; zeros where nothing leads there.
    """
    behind = {at}  # what the tensor has an effect on
    for number, operation in enumerate(operations, start=1):
        if number != at and behind.intersection(operation.inputs):
            behind.add(number)
    gradients = {len(operations): end}
    for number in range(len(operations), at, -1):
        if number not in gradients or number not in behind:
            continue
        operation, gradient = operations[number - 1], gradients.pop(number)
        if guided and operation.kind in RELUS:
            gradient = tf.nn.relu(gradient)
        _, backward = KINDS[operation.kind]
        inputs = [values[source] for source in operation.inputs]
        parts = backward(gradient, inputs, values[number], weights[number - 1], operation.options)
        for source, part in zip(operation.inputs, parts, strict=True):
            gradients[source] = gradients[source] + part if source in gradients else part
    return gradients[at] if at in gradients else tf.zeros_like(values[at])


def _conv(inputs, weights, options):
    strides, padding = options
    return tf.nn.bias_add(tf.nn.conv2d(inputs[0], weights[0], strides, padding), weights[1])


def _conv_back(gradient, inputs, output, weights, options):
    strides, padding = options
    return [tf.nn.conv2d_transpose(gradient, weights[0], tf.shape(inputs[0]), strides, padding)]


def _dense(inputs, weights, options):
    return tf.nn.bias_add(tf.matmul(inputs[0], weights[0]), weights[1])


def _dense_back(gradient, inputs, output, weights, options):
    return [tf.matmul(gradient, weights[0], transpose_b=True)]


def _affine(inputs, weights, options):
    return inputs[0] * weights[0] + weights[1]


def _affine_back(gradient, inputs, output, weights, options):
    return [gradient * weights[0]]


def _relu(inputs, weights, options):
    return tf.nn.relu(inputs[0])


def _relu_back(gradient, inputs, output, weights, options):
    return [tf.raw_ops.ReluGrad(gradients=gradient, features=output)]


def _relu6(inputs, weights, options):
    return tf.nn.relu6(inputs[0])


def _relu6_back(gradient, inputs, output, weights, options):
    return [tf.raw_ops.Relu6Grad(gradients=gradient, features=output)]


def _sigmoid(inputs, weights, options):
    return tf.sigmoid(inputs[0])


def _sigmoid_back(gradient, inputs, output, weights, options):
    return [gradient * output * (1 - output)]


def _add(inputs, weights, options):
    return tf.add_n(inputs)


def _add_back(gradient, inputs, output, weights, options):
    return [gradient] * len(inputs)


def _gate(inputs, weights, options):
    """Maps times a gate for each channel, (B, 1, 1, C), as in squeeze-and-excitation."""
    return inputs[0] * inputs[1]


def _gate_back(gradient, inputs, output, weights, options):
    return [gradient * inputs[1], tf.reduce_sum(gradient * inputs[0], axis=(1, 2), keepdims=True)]


def _max_pool(inputs, weights, options):
    size, strides, padding = options
    return tf.nn.max_pool2d(inputs[0], size, strides, padding)


def _max_pool_back(gradient, inputs, output, weights, options):
    size, strides, padding = options
    windows = {"ksize": [1, *size, 1], "strides": [1, *strides, 1], "padding": padding}
    return [tf.raw_ops.MaxPoolGrad(orig_input=inputs[0], orig_output=output, grad=gradient, **windows)]


def _average_pool(inputs, weights, options):
    size, strides, padding = options
    return tf.nn.avg_pool2d(inputs[0], size, strides, padding)


def _average_pool_back(gradient, inputs, output, weights, options):
    size, strides, padding = options
    windows = {"ksize": [1, *size, 1], "strides": [1, *strides, 1], "padding": padding}
    return [tf.raw_ops.AvgPoolGrad(orig_input_shape=tf.shape(inputs[0]), grad=gradient, **windows)]


def _global_pool(inputs, weights, options):
    return tf.reduce_mean(inputs[0], axis=(1, 2), keepdims=options[0])


def _global_pool_back(gradient, inputs, output, weights, options):
    shape = tf.shape(inputs[0])
    share = gradient / tf.cast(shape[1] * shape[2], gradient.dtype)
    return [tf.broadcast_to(share if options[0] else share[:, None, None, :], shape)]


def _flatten(inputs, weights, options):
    return tf.reshape(inputs[0], (tf.shape(inputs[0])[0], -1))


def _flatten_back(gradient, inputs, output, weights, options):
    return [tf.reshape(gradient, tf.shape(inputs[0]))]


# Forwards: (inputs, weights, options) -> output. Backwards: (gradient of the output, inputs, output, weights, options)
# -> gradient of each input.
KINDS = {
    "conv": (_conv, _conv_back),
    "dense": (_dense, _dense_back),
    "affine": (_affine, _affine_back),
    "relu": (_relu, _relu_back),
    "relu6": (_relu6, _relu6_back),
    "sigmoid": (_sigmoid, _sigmoid_back),
    "add": (_add, _add_back),
    "gate": (_gate, _gate_back),
    "max_pool": (_max_pool, _max_pool_back),
    "average_pool": (_average_pool, _average_pool_back),
    "global_pool": (_global_pool, _global_pool_back),
    "flatten": (_flatten, _flatten_back),
}
RELUS = ("relu", "relu6")
FOLDABLE = ("conv", "dense")  # a batch norm behind them is no work: it changes their kernel and bias
