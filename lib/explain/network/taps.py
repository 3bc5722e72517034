"""The layers of a model as a flat list of steps, so that any output can be read, nested models included.

Keras builds a model out of models, but a tensor inside an inner model is not connected to the outer one's input. Here
the layers are called one by one instead: the weights are the model's own, and nothing is added to the model.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import keras

IMAGE = "image"  # the key of the model's input among the outputs of steps


@dataclass(frozen=True)
class Output:
    """Stands in the arguments of a step for what an earlier step gave."""

    step: str
    index: int = 0  # which of its outputs; nearly all layers have one


@dataclass(frozen=True, eq=False)
class Step:
    """One call of one layer."""

    name: str  # as the layer is called, behind the names of the models around it: "backbone/conv_1"
    layer: keras.Operation
    args: tuple  # of the call, with an `Output` where a tensor goes
    kwargs: dict
    shape: tuple[int | None, ...]  # of its (first) output, as its model was built: (None, H, W, C) for a convolution

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the steps that feed it; `IMAGE` for the model's input."""
        return tuple(output.step for output in _outputs_in((self.args, self.kwargs)))


@dataclass(frozen=True, eq=False)
class Network:
    """A model, read step by step."""

    steps: dict[str, Step]  # by name, in an order in which each can be computed after those before it
    output: Output  # what the model gives: logits, where `inputs.read_logits` made the network
    input_shape: tuple[int | None, ...]  # (None, H, W, C)
    input_dtype: str

    def run(self, known: dict, wanted: Iterable[str], *, after: Callable | None = None) -> dict:
        """Compute the outputs of steps.

        Args:
            known: outputs that need no computing, by name, e.g. `{IMAGE: images}` or those of a layer in the middle.
            wanted: names of steps.
            after: function of a step and its output that gives what shall stand for the output.

        Returns:
            The (first) output of each by its name, with what `known` held for those named there.
        """
        wanted = list(wanted)
        values = {name: (value,) for name, value in known.items()}
        for step in self.needed(known, wanted):
            args, kwargs = keras.tree.map_structure(
                lambda item: values[item.step][item.index] if isinstance(item, Output) else item,
                (step.args, step.kwargs),
            )
            outputs = keras.tree.flatten(step.layer(*args, **kwargs))
            values[step.name] = tuple(outputs) if after is None else (after(step, outputs[0]), *outputs[1:])
        return {name: values[name][0] for name in wanted}

    def needed(self, known: Iterable[str], wanted: Iterable[str]) -> list[Step]:
        """The steps to compute, in order, for some outputs when others are known already."""
        known, found = set(known), set()
        open_names = [name for name in wanted if name not in known]
        while open_names:
            name = open_names.pop()
            if name == IMAGE:
                raise ValueError(f"not all that follows comes through {', '.join(known)}: it has a shortcut around it")
            if name not in found:
                found.add(name)
                open_names += [source for source in self.steps[name].inputs if source not in known]
        return [step for name, step in self.steps.items() if name in found]

    def shape(self, name: str) -> tuple[int | None, ...]:
        """Shape of the output of a step or of the `IMAGE`, as the model was built."""
        return self.input_shape if name == IMAGE else self.steps[name].shape

    def find(self, name: str) -> Step:
        """The step of that name.

        Raises:
            ValueError: if there is none; the message lists those there are.
        """
        if name not in self.steps:
            raise ValueError(f"Unknown layer {name!r}. Layers: {', '.join(self.steps)}")
        return self.steps[name]


class Tap(keras.Model):
    """Gives the outputs of several layers at once: images -> dict from layer name to (N, ...) tensor."""

    def __init__(self, network: Network, names: Sequence[str]):
        super().__init__(name="tap")
        self.network, self.names = network, list(names)

    def call(self, images, training=False):
        """Outputs of the tapped layers by name; always as in inference."""
        images = keras.ops.cast(images, self.network.input_dtype)
        return self.network.run({IMAGE: images}, self.names)


def read(model: keras.Model) -> Network:
    """Read a functional or sequential model step by step, with inner models opened.

    Args:
        model: one input (N, H, W, C), one output.

    Returns:
        Its network. A layer that is called several times has a step for each; later ones are named "conv:2".

    Raises:
        ValueError: if the model was written as a class of its own, or has several inputs or outputs.
    """
    if not isinstance(model, keras.Model) or not _can_be_opened(model):
        kind = type(model).__name__
        raise ValueError(f"the model must be a functional or sequential Keras model that was built. Received: {kind}")
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        counts = f"{len(model.inputs)} inputs and {len(model.outputs)} outputs"
        raise ValueError(f"the model must have one input and one output. Received: {counts}")
    steps: dict[str, Step] = {}
    (output,) = _open(model, [Output(IMAGE)], "", steps)
    return Network(steps, output, tuple(model.inputs[0].shape), model.inputs[0].dtype)


def layer_names(model: keras.Model) -> list[str]:
    """Names of all layers that can be tapped, from input to output."""
    return list(read(model).steps)


def tap(model: keras.Model, names: Sequence[str]) -> Tap:
    """A model that gives the outputs of several layers.

    Args:
        model: as `read` takes it.
        names: of its layers, as `layer_names` gives them.

    Returns:
        Model: images (N, H, W, C) uint8 or float -> dict from name to tensor. It shares the weights.

    Raises:
        ValueError: if a layer is unknown; the message lists the layers.
    """
    network = read(model)
    return Tap(network, [network.find(name).name for name in names])


def last_spatial_layer(model: keras.Model) -> str:
    """Name of the last layer whose output still has rows and columns: where class activation maps are read.

    Raises:
        ValueError: if there is none.
    """
    return find_last_spatial(read(model))


def find_last_spatial(network: Network) -> str:
    """As `last_spatial_layer`, of a network that was read already."""
    spatial = [step.name for step in network.steps.values() if _is_spatial(step.shape)]
    if not spatial:
        raise ValueError("no layer of the model has an output with rows and columns")
    return spatial[-1]


def find_spatial(network: Network, name: str) -> str:
    """The name itself, if it is that of a layer whose output has rows and columns.

    Raises:
        ValueError: if not; the message lists the layers.
    """
    if len(network.find(name).shape) != 4:
        spatial = [step.name for step in network.steps.values() if len(step.shape) == 4]
        raise ValueError(f"layer {name!r} has no rows and columns. Layers that have: {', '.join(spatial)}")
    return name


def _is_spatial(shape: tuple[int | None, ...]) -> bool:
    """Whether a shape is (N, H, W, C) with more than one pixel, which pooled features (N, 1, 1, C) have not."""
    return len(shape) == 4 and shape[1:3] != (1, 1)


def _can_be_opened(operation) -> bool:
    """Whether calling a model means calling its layers, and nothing else: not so where a class has its own `call`."""
    if isinstance(operation, keras.Sequential):
        return type(operation).call is keras.Sequential.call and operation.built
    functional = next((kind for kind in type(operation).__mro__ if kind.__name__ == "Functional"), None)
    return functional is not None and type(operation).call is functional.call


def _open(model: keras.Model, feeds: list[Output], prefix: str, steps: dict[str, Step]) -> list[Output]:
    """Add the steps of a model that is fed by `feeds`; returns what it gives."""
    if isinstance(model, keras.Sequential):
        for layer in model.layers:
            shapes = [tensor.shape for tensor in keras.tree.flatten(layer.output)]
            feeds = _add(layer, tuple(feeds), {}, shapes=shapes, prefix=prefix, steps=steps)
        return feeds
    values = dict(zip(map(id, model.inputs), feeds, strict=True))
    for node in _nodes(model):
        arguments = (node.arguments.args, node.arguments.kwargs)
        args, kwargs = keras.tree.map_structure(
            lambda item: values[id(item)] if isinstance(item, keras.KerasTensor) else item, arguments
        )
        shapes = [tensor.shape for tensor in node.outputs]
        outputs = _add(node.operation, args, kwargs, shapes=shapes, prefix=prefix, steps=steps)
        values.update(zip(map(id, node.outputs), outputs, strict=True))
    return [values[id(tensor)] for tensor in model.outputs]


def _add(layer, args: tuple, kwargs: dict, *, shapes: list, prefix: str, steps: dict[str, Step]) -> list[Output]:
    if _can_be_opened(layer):
        return _open(layer, list(_outputs_in((args, kwargs))), f"{prefix}{layer.name}/", steps)
    if "training" in inspect.signature(layer.call).parameters:
        kwargs = kwargs | {"training": False}  # else layers that augment would change the images
    name, number = prefix + layer.name, 1
    while name in steps or name == IMAGE:
        number += 1
        name = f"{prefix}{layer.name}:{number}"
    steps[name] = Step(name, layer, args, kwargs, tuple(shapes[0]))
    return [Output(name, index) for index in range(len(shapes))]


def _nodes(model: keras.Model) -> Iterator:
    """Calls of layers in a functional model, in an order in which they can be computed."""
    # Keras has no public way to its graph but get_config, which writes every layer out.
    for depth in sorted(model._nodes_by_depth, reverse=True):
        yield from (node for node in model._nodes_by_depth[depth] if not node.is_input)


def _outputs_in(structure) -> Iterator[Output]:
    return (item for item in keras.tree.flatten(structure) if isinstance(item, Output))
