"""A model as a flat list of calls of layers, so that any output can be read, nested models included.

Keras builds a model out of models, but a tensor inside an inner model is not connected to the outer one's input. Here
the layers are called one by one instead, in float32: the weights are the model's own, and nothing is added to it.
"""

import contextlib
import inspect
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import keras
import numpy as np

IMAGE = "image"  # the key of the model's input among the outputs of steps
# Model -> its output tensor and its graph; an entry lives as long as its model.
_READ = weakref.WeakKeyDictionary()


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
    changes: dict  # attributes of the layer that differ while this step is computed

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the steps that feed it; `IMAGE` for the model's input."""
        return tuple(output.step for output in _outputs_in((self.args, self.kwargs)))

    @property
    def convolves(self) -> bool:
        """Whether it slides kernels over rows and columns, alone or as a model that cannot be opened."""
        kernels = [weight for weight in getattr(self.layer, "weights", ()) if len(weight.shape) == 4]
        return bool(kernels) or "conv" in type(self.layer).__name__.lower()

    def arguments(self, fill: Callable) -> tuple[tuple, dict]:
        """Those of the call, with what `fill` gives for each `Output`."""
        return keras.tree.map_structure(
            lambda item: fill(item) if isinstance(item, Output) else item, (self.args, self.kwargs)
        )


@dataclass(frozen=True, eq=False)
class LayerGraph:
    """A model, read step by step."""

    steps: dict[str, Step]  # by name, in an order in which each can be computed after those before it
    output: Output  # what the model gives
    input_shape: tuple[int | None, ...]  # (None, H, W, C)
    compiled: dict = field(default_factory=dict)  # what was made of it: traced passes, the graph up to the logits

    def run(self, known: dict, wanted: Iterable[str], *, after: Callable | None = None) -> dict:
        """The (first) output of each wanted step, by its name.

        Args:
            known: outputs that need no computing, by name, e.g. `{IMAGE: images}` or those of a layer in the middle.
            wanted: names of steps; those named in `known` are answered from there.
            after: function of a step and its output that gives what shall stand for the output.
        """
        wanted = list(wanted)
        values = {name: (value,) for name, value in known.items()}
        for step in self.needed(known, wanted):
            args, kwargs = step.arguments(lambda output: values[output.step][output.index])
            with _changed(step.layer, step.changes):
                outputs = keras.tree.flatten(step.layer(*args, **kwargs))
            values[step.name] = tuple(outputs) if after is None else (after(step, outputs[0]), *outputs[1:])
        return {name: values[name][0] for name in wanted}

    def read(self, images, names: Iterable[str]) -> dict:
        """The outputs of layers, name -> float32 tensor, for images (N, H, W, C) in [0, 255]."""
        outputs = self.run({IMAGE: keras.ops.cast(images, "float32")}, dict.fromkeys(names))
        return {name: keras.ops.cast(output, "float32") for name, output in outputs.items()}

    def needed(self, known: Iterable[str], wanted: Iterable[str]) -> list[Step]:
        """The steps to compute, in order, for some outputs when others are known already."""
        known, steps = set(known), []
        missing = set(wanted) - known
        for step in reversed(self.steps.values()):
            if step.name in missing:
                steps.append(step)
                missing |= set(step.inputs) - known
        if IMAGE in missing:
            raise ValueError(f"not all that follows comes through {', '.join(known)}: it has a shortcut around it")
        return steps[::-1]

    def find(self, name: str) -> Step:
        """The step of that name; if there is none, the error lists those there are."""
        if name not in self.steps:
            raise ValueError(f"Unknown layer {name!r}. Layers: {', '.join(self.steps)}")
        return self.steps[name]

    def find_spatial(self, name: str | None = None) -> str:
        """The name, checked to be that of a layer whose output has rows and columns.

        None takes the last such layer with more than one pixel that comes after convolutions or is one: class
        activation maps are read there.
        """
        spatial = [step.name for step in self.steps.values() if len(step.shape) == 4]
        if name is not None and self.find(name).name not in spatial:
            raise ValueError(f"layer {name!r} has no rows and columns. Layers that have: {', '.join(spatial)}")
        first = next((place for place, step in enumerate(self.steps.values()) if step.convolves), len(self.steps))
        after = [step for step in list(self.steps)[first:] if step in spatial]
        larger = [step for step in after if self.steps[step].shape[1:3] != (1, 1)]  # pooled features are one pixel
        if name is None and not larger:
            raise ValueError(
                "class activation maps are read where convolutions have made rows and columns, and no layer of the "
                "model does; name a layer, or take a method that marks the pixels"
            )
        return name or larger[-1]

    def check_images(self, images) -> np.ndarray:
        """Images as an array, once they are what the model takes: (N, H, W, C) uint8 or float in [0, 255], N >= 1."""
        images, wanted = np.asarray(images), self.input_shape[1:]
        if images.ndim != 4:
            raise ValueError(f"images must have shape (N, H, W, C); one alone is image[None]. Received: {images.shape}")
        if images.size == 0:
            raise ValueError(f"images must hold at least one image with pixels. Received: shape {images.shape}")
        if images.dtype != np.uint8 and not np.issubdtype(images.dtype, np.floating):
            raise ValueError(f"images must be uint8 or float. Received: {images.dtype}")
        low, high = images.min(), images.max()
        if not (low >= 0 and high <= 255):  # written so that NaN is refused too
            received = f"{low:.4g} to {high:.4g}"
            raise ValueError(f"images must lie in [0, 255]; scaling is inside the model. Received: {received}")
        if len(wanted) != 3 or any(side not in (None, got) for side, got in zip(wanted, images.shape[1:], strict=True)):
            raise ValueError(f"the model takes images of shape {wanted}. Received: {images.shape[1:]}")
        return images


def read_layers(model: keras.Model) -> LayerGraph:
    """Read a functional or sequential model step by step, with inner models opened.

    Args:
        model: one input (N, H, W, C), one output.

    Returns:
        Its graph. A layer that is called several times has a step for each; later ones are named "conv:2".

    Raises:
        ValueError: if the model was written as a class of its own, or has several inputs or outputs.
    """
    if not isinstance(model, keras.Model) or not _can_be_opened(model):
        kind = type(model).__name__
        raise ValueError(f"the model must be a functional or sequential Keras model that was built. Received: {kind}")
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        counts = f"{len(model.inputs)} inputs and {len(model.outputs)} outputs"
        raise ValueError(f"the model must have one input and one output. Received: {counts}")
    made = model.outputs[0]
    if model not in _READ or _READ[model][0] is not made:  # another one where layers were added to a sequential model
        steps: dict[str, Step] = {}
        (output,) = _add_model(model, [Output(IMAGE)], "", steps)
        _READ[model] = made, LayerGraph(steps, output, tuple(model.inputs[0].shape))
    return _READ[model][1]


@contextlib.contextmanager
def _changed(layer, changes: dict) -> Iterator[None]:
    before = {name: getattr(layer, name) for name in changes}
    try:
        for name, value in changes.items():
            setattr(layer, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(layer, name, value)


def _can_be_opened(operation) -> bool:
    """Whether calling a model means calling its layers, and nothing else: not so where a class has its own `call`."""
    if isinstance(operation, keras.Sequential):
        return type(operation).call is keras.Sequential.call and operation.built
    functional = next((kind for kind in type(operation).__mro__ if kind.__name__ == "Functional"), None)
    return functional is not None and type(operation).call is functional.call


def _add_model(model: keras.Model, feeds: list[Output], prefix: str, steps: dict[str, Step]) -> list[Output]:
    """Add the steps of a model that is fed by `feeds`; returns what it gives."""
    if isinstance(model, keras.Sequential):
        model = model._functional
    values = dict(zip(map(id, model.inputs), feeds, strict=True))
    # Keras has no public way to its graph but get_config, which writes every layer out.
    depths = sorted(model._nodes_by_depth, reverse=True)  # in an order in which the calls can be computed
    for node in (node for depth in depths for node in model._nodes_by_depth[depth] if not node.is_input):
        args, kwargs = keras.tree.map_structure(
            lambda item: values[id(item)] if isinstance(item, keras.KerasTensor) else item,
            (node.arguments.args, node.arguments.kwargs),
        )
        shapes = [tensor.shape for tensor in node.outputs]
        outputs = _add_layer(node.operation, args, kwargs, shapes=shapes, prefix=prefix, steps=steps)
        values.update(zip(map(id, node.outputs), outputs, strict=True))
    return [values[id(tensor)] for tensor in model.outputs]


def _add_layer(layer, args: tuple, kwargs: dict, *, shapes: list, prefix: str, steps: dict[str, Step]) -> list[Output]:
    if _can_be_opened(layer):
        return _add_model(layer, list(_outputs_in((args, kwargs))), f"{prefix}{layer.name}/", steps)
    if "training" in inspect.signature(layer.call).parameters:
        kwargs = kwargs | {"training": False}  # else layers that augment would change the images
    name, number = prefix + layer.name, 1
    while name in steps or name == IMAGE:
        number += 1
        name = f"{prefix}{layer.name}:{number}"
    half = getattr(layer, "compute_dtype", None) in ("float16", "bfloat16")  # too coarse for gradients of pixels
    changes = {"dtype_policy": keras.dtype_policies.DTypePolicy("float32")} if half else {}
    steps[name] = Step(name, layer, args, kwargs, tuple(shapes[0]), changes)
    return [Output(name, index) for index in range(len(shapes))]


def _outputs_in(structure) -> Iterator[Output]:
    return (item for item in keras.tree.flatten(structure) if isinstance(item, Output))
