"""Where the logits of a model are, and what makes probabilities of them: told by what its last layers compute.

A softmax or sigmoid can be written in many ways. All of them give the same numbers, so random numbers that are sent
through the last layers show which of them it is.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import keras
import numpy as np
import tensorflow as tf

from lib.explain.network.layers import IMAGE, LayerGraph, Output, Step, read_layers

# What a model may make of its logits, and what makes probabilities of these. Probabilities flatten where the model is
# sure, and a softmax also moves with the other classes: neither asks "why this class?", so the logits are explained.
ENDS = (
    ("logits", lambda x: x, None),
    ("probabilities", tf.nn.softmax, tf.nn.softmax),
    ("logarithms of probabilities", tf.nn.log_softmax, tf.nn.softmax),
    ("probabilities", tf.nn.sigmoid, tf.nn.sigmoid),
    ("logarithms of probabilities", tf.math.log_sigmoid, tf.nn.sigmoid),
)
OF_ONE = {ENDS[0][0]: "the logit", ENDS[1][0]: "the probability", ENDS[2][0]: "the logarithm of the probability"}
ROWS = 4  # of random numbers or images: an accident in one row is none in all
UNKNOWN_SIDE = 128  # pixels, of random images for a model that takes any size


@dataclass(frozen=True, eq=False)
class LogitGraph(LayerGraph):
    """A model that is read up to its logits (N, classes)."""

    gives: str = "logits"  # what the whole model gives, in words
    link: Callable = tf.nn.softmax  # makes the probabilities (N, classes) of the logits


def read_logits(model: keras.Model) -> LogitGraph:
    """As `read_layers`, but `output` names the logits: a softmax or sigmoid at the model's end is left out.

    One unit says how likely class 1 is. There are two classes then, and the logits are (minus its logit, its logit).

    Raises:
        ValueError: if the model gives probabilities, and none of its layers their logits.
    """
    graph = read_layers(model)
    if LogitGraph not in graph.compiled:
        graph.compiled[LogitGraph] = _at_logits(graph)
    return graph.compiled[LogitGraph]


def explained_at(model: keras.Model) -> str:
    """Which output of a model is explained, as a sentence for the reader."""
    gives, last = read_logits(model).gives, read_layers(model).output.step
    ends = gives != "logits"
    if model.output_shape[-1] == 1:
        at = f"it is explained{ends * ' at the logit before it'}, for class 0 with its sign turned"
        gives = f"{OF_ONE[gives]} of class 1"
    else:
        at = "it is explained at the logits before them" if ends else "these are explained"
    return f"The model {'ends in' if ends else 'gives'} {gives} ({last}); {at}."


def _at_logits(graph: LayerGraph) -> LogitGraph:
    whole = graph.steps[graph.output.step]
    step, (gives, _, link) = _find_end(graph)
    one = whole.shape[1:] == (1,)
    if one and link is tf.nn.softmax:
        raise ValueError(f"a softmax over one unit is 1 for every image: there is nothing to explain in {whole.name!r}")
    if gives == "logits":
        _refuse_probabilities(graph, step)
        step, link = whole, tf.nn.sigmoid if one else tf.nn.softmax
    steps = {own.name: own for own in graph.needed([IMAGE], [step.name])} | {step.name: step}
    output = Output(step.name) if step.name != whole.name else graph.output
    if one or step.shape[1:] != whole.shape[1:]:
        last = _rows_of_classes(output, whole.shape[1:])
        steps[last.name], output = last, Output(last.name)
    return LogitGraph(steps, output, graph.input_shape, gives=gives, link=link)


def _rows_of_classes(source: Output, shape: tuple[int, ...]) -> Step:
    """A step that gives logits of another shape that of the model's output, and a single one beside its minus."""
    one = shape == (1,)

    def arrange(x):
        x = keras.ops.reshape(x, (-1, *shape))
        return keras.ops.concatenate([-x, x], axis=-1) if one else x

    layer = keras.layers.Lambda(arrange, name="rows_of_classes", dtype="float32")
    return Step(f"logits of {source.step}", layer, (source,), {}, (None, *((2,) if one else shape)), {})


def _find_end(graph: LayerGraph) -> tuple[Step, tuple]:
    """The first step from which the model only goes on as one of `ENDS` does, and which; an activation is taken off it.

    The first after the last weights, because what softmax ignores may come before it: a maximum that is taken off all
    classes, for example.
    """
    end, rng = graph.output.step, np.random.default_rng(0)
    shape = graph.steps[end].shape[1:]
    found = graph.steps[end], ENDS[0]
    if None in shape:
        return found
    numbers = rng.normal(size=(ROWS, *shape)).astype(np.float32)
    missing = {end}
    for step in reversed(graph.needed([IMAGE], [end])):
        alone, missing = missing == {step.name}, missing - {step.name} | set(step.inputs)
        if alone and None not in step.shape[1:] and math.prod(step.shape[1:]) == math.prod(shape):
            own = numbers.reshape(ROWS, *step.shape[1:])
            for start, values in [(step, own), *_before_activation(graph, step, own)]:
                given = graph.run({step.name: values}, [end])[end]
                found = next(((start, kind) for kind in ENDS if _alike(given, kind[1](numbers))), found)
        if getattr(step.layer, "weights", ()):  # which may change: a batch norm does nothing before it is trained
            break
    return found


def _before_activation(graph: LayerGraph, step: Step, values: np.ndarray) -> Iterator[tuple[Step, tf.Tensor]]:
    """A step without the activation that it ends in, and what this activation makes of values; nothing if it has none.

    A layer may have an `activation` and use it elsewhere, so random inputs must come out alike.
    """
    activation, linear = getattr(step.layer, "activation", None), keras.activations.linear
    shapes = {name: graph.input_shape if name == IMAGE else graph.steps[name].shape for name in step.inputs}
    if not callable(activation) or activation is linear or any(None in shape[1:] for shape in shapes.values()):
        return
    rng = np.random.default_rng(1)
    inputs = {name: rng.normal(size=(ROWS, *shape[1:])).astype(np.float32) for name, shape in shapes.items()}
    without = replace(step, changes=step.changes | {"activation": linear})
    plain = replace(graph, steps=graph.steps | {step.name: without})
    given, before = (own.run(inputs, [step.name])[step.name] for own in (graph, plain))
    if _alike(given, activation(before)):
        yield without, activation(values)


def _refuse_probabilities(graph: LayerGraph, step: Step) -> None:
    """Refuse a model that gives probabilities of logits that no step gives; `step` is the last that changes numbers."""
    linear = getattr(step.layer, "activation", None) is keras.activations.linear
    if type(step.layer) is keras.layers.Dense and linear:  # gives any number: no need to try it
        return
    sides = [side or UNKNOWN_SIDE for side in graph.input_shape[1:]]
    images = np.random.default_rng(0).uniform(0, 255, (ROWS, *sides)).astype(np.float32)
    images[-2:] *= np.float32([100, -100]).reshape(2, *[1] * len(sides))  # logits that lie in [0, 1] by chance leave it
    given = np.asarray(graph.run({IMAGE: images}, [graph.output.step])[graph.output.step], np.float64)
    given = given[np.isfinite(given).reshape(ROWS, -1).all(axis=1)]
    sums = np.stack([given, np.exp(np.minimum(given, 1))]).sum(axis=-1)
    shares = len(given) and given.min() >= 0 and (given.max() <= 1 or np.ptp(sums[0]) <= 1e-3 * sums[0].max())
    if shares or (len(given) and np.allclose(sums[1], 1, atol=1e-3)):
        raise ValueError(
            "the model gives probabilities and no layer of it their logits, which are what is explained; let it end in "
            f"logits, or in a softmax or sigmoid of them. Received: the end {step.name!r} ({type(step.layer).__name__})"
        )


def _alike(given, wanted) -> bool:
    """Whether numbers are the same but for rounding, also in half precision, and the epsilon of a hand-made softmax."""
    return np.allclose(given, wanted, rtol=1e-2, atol=1e-6)
