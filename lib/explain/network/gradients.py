"""Passes through a model: forwards to a layer, and backwards from the logit of a class.

Each pass is traced once per model and kept with the model's graph, so that a second call costs no tracing. It reads the
model's variables when it is called: weights that were changed since are seen. Graphs are those of `logits.read_logits`,
steps go by their names in them, images are (B, H, W, C) in [0, 255], and all that is returned is float32.
"""

import inspect
from collections.abc import Callable, Iterator

import tensorflow as tf

from lib.explain.network.layers import IMAGE, LayerGraph, Step


def in_batches(count: int, batch_size: int) -> Iterator[slice]:
    """Slices of at most `batch_size` that cover `count` rows."""
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1. Received: {batch_size}")
    return (slice(first, min(first + batch_size, count)) for first in range(0, count, batch_size))


def forward(graph: LayerGraph, images, *, end: str | None = None) -> tf.Tensor:
    """The output of the step `end`; None takes the logits (B, classes)."""
    end = end or graph.output.step
    if end not in graph.compiled:
        signature = [tf.TensorSpec((None, *graph.input_shape[1:]))]
        run = tf.function(lambda x: graph.read(x, [end])[end], input_signature=signature, autograph=False)
        graph.compiled[end] = run
    return graph.compiled[end](tf.cast(images, tf.float32))


def backward(
    graph: LayerGraph, values, classes, *, start: str = IMAGE, at: str = IMAGE, guided: bool = False
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The output (B, ...) of the step `at`, the gradients (B, ...) with respect to it, and the logits (B,) of classes.

    Values (B, ...) are the output of the step `start`, which all that follows must pass through; classes are (B,) int.
    Guided gradients let nothing negative through a ReLU (Springenberg et al. 2014).
    """
    key = (start, at, guided)
    if key not in graph.compiled:
        graph.compiled[key] = _trace_backward(graph, *key)
    return graph.compiled[key](tf.cast(values, tf.float32), tf.cast(classes, tf.int32))


def is_relu(step: Step) -> bool:
    """Whether a layer is, or ends in, a ReLU."""
    ending = getattr(step.layer, "activation", None) or step.layer
    if inspect.isfunction(ending):  # it may have any name
        with tf.init_scope():  # also while a pass is traced
            return ending(tf.constant([[-2.0, -0.5, 0.5]])).numpy().tolist() == [[0, 0, 0.5]]
    kind = getattr(ending, "__name__", type(ending).__name__.lower())
    return kind in ("relu", "relu6") and not getattr(ending, "negative_slope", 0)


def _trace_backward(graph: LayerGraph, start: str, at: str, guided: bool) -> Callable:
    end = graph.output.step
    graph.needed([start], [end])  # refuses a start that has a shortcut around it
    after = (lambda step, output: _clip_gradient(output) if is_relu(step) else output) if guided else None
    shape = graph.input_shape if start == IMAGE else graph.steps[start].shape
    signature = [tf.TensorSpec((None, *shape[1:])), tf.TensorSpec((None,), tf.int32)]

    @tf.function(input_signature=signature, autograph=False)
    def run(values, classes):
        known = {start: values}
        known |= graph.run(known, [at])
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(known[at])
            logits = graph.run(known, [end], after=after)[end]
            scores = tf.reduce_sum(logits * tf.one_hot(classes, tf.shape(logits)[-1], dtype=logits.dtype), axis=-1)
        gradients = tape.gradient(scores, known[at], unconnected_gradients="zero")
        return tuple(tf.cast(tensor, tf.float32) for tensor in (known[at], gradients, scores))

    return run


@tf.custom_gradient
def _clip_gradient(x):
    return x, tf.nn.relu
