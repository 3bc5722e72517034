"""The traced graph of a training step: for TensorBoard, and as boxes for a figure."""

from collections.abc import Callable

import tensorflow as tf

from lib.config import Perceptron
from lib.low_level.images import FlatImages
from lib.low_level.loop import make_graphs
from lib.low_level.network import Network

BORING = {
    "Cast",
    "ConcatV2",
    "Const",
    "Identity",
    "NoOp",
    "Pack",
    "Placeholder",
    "ReadVariableOp",
    "Reshape",
    "Shape",
    "Slice",
    "Sub",
}


def trace_step(step: Callable, network: Network):
    """The concrete function of a training step for batches of any length: what TensorFlow runs."""
    inputs = network.hidden[0].kernel.shape[0] if network.hidden else network.output.kernel.shape[0]
    units = network.output.bias.shape[0]
    images = tf.TensorSpec((None, inputs), tf.float32, name="images")
    targets = tf.TensorSpec((None,) if units == 1 else (None, units), tf.float32, name="targets")
    return tf.function(step).get_concrete_function(images, targets)


def untrained_step(perceptron: Perceptron, images: FlatImages) -> tuple[Callable, Network]:
    """A step and its network, to be looked at and not to be run; what `boxes` takes."""
    graphs = make_graphs(perceptron, images, seed=0)
    return graphs.step, graphs.network


def boxes(step: Callable, network: Network) -> list[tuple[str, list[str], tuple, int]]:
    """The name scopes of a traced training step from images to update, as `figures.model_graph` draws them.

    Returns:
        Per scope its name, its operations in order (those that several variables share with their number), the shape
        of its result where it has one, and its number of parameters.
    """
    graph = trace_step(step, network).graph
    groups: dict[str, list] = {}
    for operation in graph.get_operations():
        scope, slash, rest = operation.name.partition("/")
        if slash and operation.type not in BORING:
            groups.setdefault(scope, []).append((rest, operation))
    parameters = {layer.name: _count(layer) for layer in (*network.hidden, *network.norms, network.output)}
    result = [("images", [], tuple(graph.get_tensor_by_name("images:0").shape), 0)]
    for scope in (*parameters, "loss", "gradient_tape", "update"):
        operations = groups[scope]
        if scope == "gradient_tape":
            labels = list(dict.fromkeys(f"to {name.split('/')[0]}" for name, _ in operations if "/" in name))
        else:
            labels = _labels([operation.type for _, operation in operations])
        shape = tuple(operations[-1][1].outputs[0].shape) if scope in parameters else ()
        result.append((scope, labels, shape, parameters.get(scope, 0)))
    return result


def _labels(types: list[str]) -> list[str]:
    return [f"{kind} × {types.count(kind)}" if types.count(kind) > 1 else kind for kind in dict.fromkeys(types)]


def _count(module: tf.Module) -> int:
    return sum(int(tf.size(variable)) for variable in module.trainable_variables)
