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
    output: str
    inputs: tuple[str, ...]
    options: tuple = ()  # of the kind


def run_forward(operations: Sequence[Operation], weights: Sequence[tuple], known: dict[str, tf.Tensor]) -> dict:
    """Compute every operation.

    Args:
        operations: in an order in which they can be computed.
        weights: of each operation.
        known: tensors to begin with, by name.

    Returns:
        `known` and all outputs by name.
    """
    values = dict(known)
    for operation, own in zip(operations, weights, strict=True):
        forward, _ = KINDS[operation.kind]
        values[operation.output] = forward([values[name] for name in operation.inputs], own, operation.options)
    return values


def run_backward(
    operations: Sequence[Operation], weights: Sequence[tuple], values: dict, *, ends: dict, at: str, guided: bool
) -> tf.Tensor:
    """Gradient of the outputs `ends`, each weighted by its tensor, with respect to the tensor named `at`.

    Args:
        operations: as they were computed.
        weights: of each operation.
        values: of `run_forward`.
        ends: gradients to begin with, by name.
        at: name of the tensor to arrive at.
        guided: let no negative gradient through a ReLU.

    Returns:
        Gradient of the shape of the tensor; zeros where nothing leads there.
    """
    behind = {at}  # what the tensor has an effect on
    for operation in operations:
        if behind.intersection(operation.inputs) and operation.output != at:
            behind.add(operation.output)
    gradients = dict(ends)
    for operation, own in reversed(list(zip(operations, weights, strict=True))):
        if operation.output not in gradients or operation.output == at or operation.output not in behind:
            continue
        gradient = gradients.pop(operation.output)
        if guided and operation.kind in RELUS:
            gradient = tf.nn.relu(gradient)
        inputs = [values[name] for name in operation.inputs]
        _, backward = KINDS[operation.kind]
        parts = backward(gradient, inputs, values[operation.output], own, operation.options)
        for name, part in zip(operation.inputs, parts, strict=True):
            gradients[name] = gradients[name] + part if name in gradients else part
    return gradients[at] if at in gradients else tf.zeros_like(values[at])


def _conv(inputs, weights, options):
    kernel, bias = _kernel_and_bias(weights, options[2:])
    return tf.nn.bias_add(tf.nn.conv2d(inputs[0], kernel, options[0], options[1]), bias)


def _conv_back(gradient, inputs, output, weights, options):
    kernel, _ = _kernel_and_bias(weights, options[2:])
    return [tf.nn.conv2d_transpose(gradient, kernel, tf.shape(inputs[0]), options[0], options[1])]


def _dense(inputs, weights, options):
    kernel, bias = _kernel_and_bias(weights, options)
    return tf.nn.bias_add(tf.matmul(inputs[0], kernel), bias)


def _dense_back(gradient, inputs, output, weights, options):
    kernel, _ = _kernel_and_bias(weights, options)
    return [tf.matmul(gradient, kernel, transpose_b=True)]


def _kernel_and_bias(weights, folded):
    """The kernel and bias of a layer, with those of a batch norm behind it where there are options of one."""
    kernel, bias, *norm = weights
    if not folded:
        return kernel, bias
    scale, shift = _scale_and_shift(norm, folded)
    return kernel * scale, bias * scale + shift


def _scale_and_shift(weights, options):
    (mean, variance, scale, shift), (epsilon,) = weights, options
    scale = scale * tf.math.rsqrt(variance + epsilon)
    return scale, shift - mean * scale


def _norm(inputs, weights, options):
    return _affine(inputs, _scale_and_shift(weights, options), ())


def _norm_back(gradient, inputs, output, weights, options):
    return _affine_back(gradient, inputs, output, _scale_and_shift(weights, options), ())


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
    "norm": (_norm, _norm_back),
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
