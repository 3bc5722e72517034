"""The model as TensorBoard draws it: layers named `Block_32__conv` become `Block_32/conv`, one box per block."""

import re
from collections.abc import Mapping

import keras
import tensorflow as tf

from lib.config import Experiment


def graph_def(model: keras.Model) -> tf.compat.v1.GraphDef:
    """The training graph of a flat model, with scopes that a reader recognises.

    Keras opens each layer's scope twice, so TensorFlow names it `conv_1/conv`; and it has no scopes of its own above
    a layer. Both are mended here by renaming the nodes of the traced graph.

    Args:
        model: functional model with named layers.

    Returns:
        Graph for `tf.summary.graph`.

    Raises:
        ValueError: if two nodes would get the same name.
    """
    spec = [tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype, name=tensor.name) for tensor in model.inputs]
    # training=True, or dropout would be missing from the picture
    function = tf.function(lambda *inputs: model(*inputs, training=True)).get_concrete_function(*spec)
    source = function.graph.as_graph_def(add_shapes=True)
    layers = {layer.name for layer in model.layers} | {model.name}
    unused = {node.name for node in source.node if node.op == "NoOp"}
    result = tf.compat.v1.GraphDef(versions=source.versions)
    for node in source.node:
        if node.name in unused:
            continue
        copy = result.node.add()
        copy.CopyFrom(node)
        copy.name = _readable(node.name, layers, model.name)
        inputs = [name for name in node.input if name.lstrip("^") not in unused]
        copy.ClearField("input")
        copy.input.extend(_readable(name, layers, model.name) for name in inputs)
    names = [node.name for node in result.node]
    if len(names) != len(set(names)):
        raise ValueError("two nodes of the graph have one name; give the layers of the model different names")
    return result


def _readable(name: str, layers: set[str], model: str) -> str:
    """One node's name without Keras' numbering and without the model's own scope."""
    mark = "^" if name.startswith("^") else ""
    name, colon, port = name.lstrip("^").partition(":")
    *scopes, operation = name.split("/")
    scopes = [_layer(scope, layers) for scope in scopes]
    scopes = scopes[1:] if scopes[:1] == [model] else scopes
    return mark + "/".join([*scopes, operation]).replace("__", "/") + colon + port


def _layer(scope: str, layers: set[str]) -> str:
    match = re.fullmatch(r"(.+)_\d+", scope)
    return match.group(1) if match and match.group(1) in layers else scope


def blocks(model: keras.Model) -> list[tuple[str, list[str], tuple, int]]:
    """The boxes of the graph from input to output, as `figures.model_graph` draws them.

    Args:
        model: flat functional model with named layers.

    Returns:
        Per box its name, the labels of its layers, the shape of its last output and its number of parameters.
    """
    groups: dict[str, list] = {}
    for layer in model.layers:
        groups.setdefault(layer.name.split("__")[0], []).append(layer)
    return [
        (
            name,
            [layer.name.removeprefix(f"{name}__").replace("__", "/") for layer in layers],
            tuple(layers[-1].output.shape),
            sum(layer.count_params() for layer in layers),
        )
        for name, layers in groups.items()
    ]


def networks(experiments: Mapping[str, Experiment], num_classes: int) -> dict[str, list[tuple]]:
    """The boxes of each network that some experiments train, as `figures.network_strips` draws them.

    Returns:
        The names of all experiments that share a network, with commas between -> its `blocks`, but for the scaling of
        pixels, which all of them begin with.
    """
    shared: dict[tuple, list[str]] = {}
    for name, one in experiments.items():
        shared.setdefault((one.model, one.image_size), []).append(name)
    built = {", ".join(names): blocks(experiments[names[0]].build(num_classes)) for names in shared.values()}
    return {names: [box for box in boxes if box[0] != "rescale"] for names, boxes in built.items()}


def layers(model: keras.Model) -> list[dict]:
    """The rows of `model.summary()`, as `tables.model_table` takes them: layer, type, output_shape and parameters."""
    return [
        {
            "layer": layer.name,
            "type": type(layer).__name__,
            "output_shape": tuple(layer.output.shape),
            "parameters": layer.count_params(),
        }
        for layer in model.layers
    ]


def layer_sizes(model: keras.Model) -> list[dict]:
    """What happens to an image on its way: one row per layer of a flat model without branches.

    Returns:
        Records with layer, kind, kernel (also of pools), extras (strides, padding, rate), input and output (sizes of
        one image) and parameters.
    """
    return [
        {
            "layer": layer.name,
            "kind": type(layer).__name__,
            "kernel": _times(getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", ())),
            "extras": _extras(layer),
            "input": _times(layer.input.shape[1:]),
            "output": _times(layer.output.shape[1:]),
            "parameters": layer.count_params(),
        }
        for layer in model.layers[1:]
    ]


def _times(sizes: tuple) -> str:
    return " × ".join("any" if size is None else str(size) for size in sizes)


def _extras(layer: keras.Layer) -> str:
    extras = [f"strides {layer.strides[0]}", f"{layer.padding} padding"] if hasattr(layer, "strides") else []
    return ", ".join(extras + ([f"rate {layer.rate:g}"] if hasattr(layer, "rate") else []))
