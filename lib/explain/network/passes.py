"""Compiled passes through a network: forwards to a layer, and backwards from the logit of a class.

Where all layers have a plain operation (`fused`), the compiled graph takes the weights as an argument. The graphs of
the last few architectures are kept, without any weights: a second call, another model of the same architecture, or
the same model with other weights finds its graph ready. Other networks run through their Keras layers, compiled anew
at each call.
"""

import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from lib.explain.network.fused import Fused, fuse
from lib.explain.network.inputs import in_batches
from lib.explain.network.operations import RELUS, fold_norms, run_backward, run_forward
from lib.explain.network.taps import IMAGE, Network, Step

Shapes = tuple[tuple[tuple[int, ...], ...], ...]  # of the weights of each operation


def make_forward(network: Network, *, end: str | None = None) -> Callable:
    """Compile the pass from the image to a layer.

    Args:
        network: of `inputs.read_logits`.
        end: name of a step; None takes the logits.

    Returns:
        Function: (B, H, W, C) images of [0, 255] -> the step's output, a float32 tensor.
    """
    end = end or network.output.step
    fused = fuse(network, start=IMAGE, wanted=[end])
    if fused is None:
        run = tf.function(lambda x: network.run({IMAGE: x}, [end])[end], autograph=False, reduce_retracing=True)
        return lambda x: tf.cast(run(_floats(x)), tf.float32)

    def forward(x):
        run = _compile_forward(fused.operations, fused.numbers[end], _shapes(fused), tuple(x.shape[1:]))
        return run(fused.weights, _floats(x))

    return forward


def make_backward(network: Network, *, start: str = IMAGE, at: str = IMAGE, guided: bool = False) -> Callable:
    """Compile the pass from a tensor to the logits, and back to a layer or the image.

    Args:
        network: of `inputs.read_logits`.
        start: name of the step whose output the pass is given; `IMAGE` for the images.
        at: name of the step to which the gradients lead; not before `start`.
        guided: let no negative gradient through a ReLU (Springenberg et al. 2014).

    Returns:
        Function of (B, ...) values of `start` and (B,) int classes, that gives float32 tensors: the values (B, ...) of
        `at`, the gradients (B, ...) of the classes' logits with respect to them, and these logits (B,).

    Raises:
        ValueError: if the logits depend on more than what `start` gives.
    """
    end = network.output.step
    fused = fuse(network, start=start, wanted=[at, end])
    if fused is None:
        return _through_layers(network, start=start, at=at, guided=guided)
    numbers = (fused.numbers[at], fused.numbers[end])

    def backward(x, classes):
        run = _compile_backward(fused.operations, numbers, guided, _shapes(fused), tuple(x.shape[1:]))
        return run(fused.weights, _floats(x), tf.cast(classes, tf.int32))

    return backward


def sum_over_copies(
    backward: Callable, values: tf.Tensor, classes: np.ndarray, *, alter: Callable, weights: np.ndarray, batch_size: int
) -> np.ndarray:
    """Weighted sum of the gradients at altered copies of each value, however many fit a batch.

    Args:
        backward: of `make_backward`.
        values: (N, ...) images, or outputs of a layer.
        classes: (N,) int.
        alter: function of (B, ...) values, (B,) numbers of the images and (B,) numbers of the copies that gives the
            (B, ...) copies.
        weights: (copies,) float.
        batch_size: copies at once.

    Returns:
        (N, ...) float32, of the shape of the gradients.
    """
    copies, total = len(weights), None
    for rows in in_batches(len(values) * copies, batch_size):
        image, copy = np.divmod(np.arange(rows.start, rows.stop), copies)
        _, gradients, _ = backward(alter(tf.gather(values, image), image, copy), classes[image])
        if total is None:
            total = np.zeros((len(values), *gradients.shape[1:]), np.float32)
        gradients = gradients * tf.reshape(tf.constant(weights[copy], tf.float32), (-1, *[1] * (total.ndim - 1)))
        sums = tf.math.segment_sum(gradients, image - image[0]).numpy()
        total[image[0] : image[-1] + 1] += sums
    return total


def forget_graphs() -> None:
    """Drop the compiled graphs that are kept, e.g. to measure a first call."""
    _compile_forward.cache_clear()
    _compile_backward.cache_clear()


@functools.lru_cache(maxsize=16)
def _compile_forward(operations: tuple, end: int, weights: Shapes, shape: tuple):
    @tf.function(input_signature=[_specs(weights), tf.TensorSpec((None, *shape))], autograph=False)
    def forward(weights, x):
        return run_forward(operations, fold_norms(operations, weights), x)[end]

    return forward


@functools.lru_cache(maxsize=32)
def _compile_backward(operations: tuple, numbers: tuple[int, int], guided: bool, weights: Shapes, shape: tuple):
    at, end = numbers
    batch = [tf.TensorSpec((None, *shape)), tf.TensorSpec((None,), tf.int32)]

    @tf.function(input_signature=[_specs(weights), *batch], autograph=False)
    def backward(weights, x, classes):
        weights = fold_norms(operations, weights)
        values = run_forward(operations, weights, x)
        chosen = tf.one_hot(classes, tf.shape(values[end])[-1])
        gradients = run_backward(operations, weights, values, end=chosen, at=at, guided=guided)
        return values[at], gradients, tf.reduce_sum(values[end] * chosen, axis=-1)

    return backward


def _through_layers(network: Network, *, start: str, at: str, guided: bool) -> Callable:
    """As `make_backward`, by the Keras layers and a gradient tape."""
    end = network.output.step
    network.needed([start], [end])
    after = (lambda step, output: _clip_gradient(output) if is_relu(step) else output) if guided else None

    @tf.function(autograph=False, reduce_retracing=True)
    def backward(x, classes):
        known = {start: x}
        known |= network.run(known, [at])
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(known[at])
            logits = network.run(known, [end], after=after)[end]
            scores = tf.reduce_sum(logits * tf.one_hot(classes, tf.shape(logits)[-1], dtype=logits.dtype), axis=-1)
        gradients = tape.gradient(scores, known[at], unconnected_gradients="zero")
        return [tf.cast(tensor, tf.float32) for tensor in (known[at], gradients, scores)]

    return lambda x, classes: backward(_floats(x), tf.cast(classes, tf.int32))


def is_relu(step: Step) -> bool:
    """Whether a layer is, or ends in, a ReLU."""
    layer = step.layer
    kind = getattr(getattr(layer, "activation", None), "__name__", type(layer).__name__.lower())
    return kind in RELUS and not getattr(layer, "negative_slope", 0)


@tf.custom_gradient
def _clip_gradient(x):
    return x, tf.nn.relu


def _floats(x) -> tf.Tensor:
    return tf.cast(tf.convert_to_tensor(x), tf.float32)


def _shapes(fused: Fused) -> Shapes:
    return tuple(tuple(tuple(tensor.shape) for tensor in own) for own in fused.weights)


def _specs(shapes: Shapes) -> list:
    return [tuple(tf.TensorSpec(shape) for shape in own) for own in shapes]
