"""Deep feature visualisation: images made from noise to excite a channel or a class most.

Gradient ascent on the image (Erhan et al. 2009; Simonyan et al. 2014) with the ingredients that make its results
readable (Olah et al. 2017, "Feature Visualization", Distill). Each ingredient can be left out, to see what it buys.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import keras
import numpy as np
import tensorflow as tf

from lib.explain.features.image_parameters import move_randomly, random_parameters, to_images
from lib.explain.network.layers import LayerGraph, Step
from lib.explain.network.logits import read_logits
from lib.explain.network.receptive_field import map_sizes

TRIALS = 8  # random moves that `Maximised.moved` averages


@dataclass(frozen=True)
class Unit:
    """What an image is made for: a channel of a layer, by the mean of its map, or a class."""

    layer: str | None  # None for a class, by its logit
    channel: int  # or the class


@dataclass(frozen=True)
class Recipe:
    """How images are made."""

    fourier: bool = True  # waves as parameters instead of pixels
    colour: bool = True  # the data set's own colours instead of red, green and blue
    transforms: bool = True  # random moves at every step
    steps: int = 128
    learning_rate: float = 0.05  # of Adam


# Each adds one ingredient to the one before.
LADDER = {
    "pixels": Recipe(fourier=False, colour=False, transforms=False),
    "+ waves": Recipe(colour=False, transforms=False),
    "+ colours": Recipe(transforms=False),
    "+ moves": Recipe(),
}


@dataclass(frozen=True, eq=False)
class Maximised:
    """Images made by `maximise`, one per unit."""

    images: np.ndarray  # uint8 (N, H, W, 3)
    reached: np.ndarray  # float32 (N,), of the images as they are
    moved: np.ndarray  # float32 (N,), of the images after small random moves, on average


def maximise(
    model: keras.Model,
    units: Sequence[Unit],
    *,
    colours: np.ndarray,
    recipe: Recipe = LADDER["+ moves"],
    seed: int = 0,
) -> Maximised:
    """Make one image for each unit, all in one optimisation.

    Args:
        model: functional model of images (N, H, W, 3) of one size, which is read at its logits.
        units: what to excite; they may lie in different layers.
        colours: (3, 3) of `image_parameters.colour_matrix`, for recipes with colour.
        recipe: the ingredients, and how long.
        seed: of the first image and the moves; the same seed gives the same bytes on the same machine.

    Returns:
        The images and the activations they reach.

    Raises:
        ValueError: if there are no units or steps, a layer, channel or class does not exist, or the colours are no
            such matrix.
    """
    if not len(units) or recipe.steps < 1:
        raise ValueError(
            f"maximise needs at least one unit and one step. Received: {len(units)} units, {recipe.steps} steps"
        )
    if recipe.colour and np.shape(colours) != (3, 3):
        raise ValueError(f"colours must be the (3, 3) matrix of colour_matrix. Received: shape {np.shape(colours)}")
    graph = read_logits(model)
    score, size = make_score(graph, units), graph.input_shape[1:3]
    look = {"fourier": recipe.fourier, "size": size, "colours": colours if recipe.colour else None}

    def climb(parameters, step):
        images = to_images(parameters, **look)
        return score(move_randomly(images, seed=[seed, step]) if recipe.transforms else images)[1]

    start = random_parameters((len(units), *size), fourier=recipe.fourier, seed=seed)
    images = tf.cast(tf.round(to_images(_ascend(climb, start, recipe=recipe), **look)), tf.uint8)
    reached, moved = _judge(score, tf.cast(images, tf.float32), seed=seed)
    return Maximised(images.numpy(), reached, moved)


def climb_ladder(
    model: keras.Model, units: Mapping[str, Unit], *, colours: np.ndarray, steps: int
) -> tuple[list[tuple[str, list[np.ndarray], list[float], list[float]]], dict[str, Maximised]]:
    """The same units by every recipe of `LADDER`, for `figures.maximised_ladder`.

    Args:
        model: as for `maximise`.
        units: by name.
        colours: (3, 3) of `image_parameters.colour_matrix`.
        steps: of each recipe.

    Returns:
        Rows (name, images, activations reached, those left after small moves), and what each recipe made, by its name.
    """
    made = {
        name: maximise(model, list(units.values()), recipe=replace(recipe, steps=steps), colours=colours)
        for name, recipe in LADDER.items()
    }
    rows = [
        (
            name,
            [one.images[i] for one in made.values()],
            [float(one.reached[i]) for one in made.values()],
            [float(one.moved[i]) for one in made.values()],
        )
        for i, name in enumerate(units)
    ]
    return rows, made


def make_score(graph: LayerGraph, units: Sequence[Unit]) -> Callable:
    """A function of images (N, H, W, 3), one per unit, to (N,) activations and (N,) aims to climb by.

    These are the same, but a unit that its ReLU silences aims at what stands in front of the ReLU, which else gives no
    gradient. The graph's output must be the logits.
    """
    layers = [graph.output.step if unit.layer is None else graph.find(unit.layer).name for unit in units]
    sizes, channels = map_sizes(graph, layers), []
    for unit, layer in zip(units, layers, strict=True):
        count = graph.find(layer).shape[-1]
        if not 0 <= unit.channel < count:
            raise ValueError(f"channels of {layer} are numbered from 0 to {count - 1}. Received: {unit}")
        channels.append(np.eye(1, count, unit.channel, dtype=np.float32)[0])
    owners = {layer: [i for i, other in enumerate(layers) if other == layer] for layer in layers}
    fronts = {layer: _before_relu(graph.find(layer)) for layer in owners}

    def read(maps: tf.Tensor, rows: list[int]) -> tf.Tensor:
        """The activations of one layer's units, (N,) with zero for units of other layers."""
        places = math.prod(sizes[layers[rows[0]]] or (1, 1))
        weights = np.stack([channels[i] for i in rows]), np.full((len(rows), places), 1 / places, np.float32)
        maps = tf.reshape(tf.cast(tf.gather(maps, rows), tf.float32), (len(rows), places, -1))
        return tf.scatter_nd([[i] for i in rows], tf.einsum("npc,nc,np->n", maps, *weights), [len(units)])

    names = [*owners, *(source for source, _ in fronts.values())]

    def score(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        outputs = graph.read(images, names)
        activations = tf.add_n([read(outputs[layer], rows) for layer, rows in owners.items()])
        aims = tf.add_n([read(fronts[layer][1](outputs[fronts[layer][0]]), rows) for layer, rows in owners.items()])
        return activations, tf.where(activations > 0, activations, aims)

    return score


def _ascend(climb: Callable, parameters: tf.Tensor, *, recipe: Recipe) -> tf.Tensor:
    """The parameters after steps of Adam (Kingma & Ba 2015), upwards."""

    @tf.function(autograph=False)
    def ascend(parameters, first, second, step):
        with tf.GradientTape() as tape:
            tape.watch(parameters)
            aims = climb(parameters, step)
        # Each image moves one aim only, so the gradient of their sum holds the gradient of each.
        gradient = tape.gradient(aims, parameters)
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        power = tf.cast(step + 1, tf.float32)
        mean, spread = first / (1 - 0.9**power), tf.sqrt(second / (1 - 0.999**power))
        return parameters + recipe.learning_rate * mean / (spread + 1e-8), first, second

    first = second = tf.zeros_like(parameters)
    for step in tf.range(recipe.steps):
        parameters, first, second = ascend(parameters, first, second, step)
    return parameters


def _judge(score: Callable, images: tf.Tensor, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Activations of finished images: as they are, and on average over small random moves."""

    @tf.function(autograph=False)
    def judge(images, trial):
        moved = move_randomly(images, seed=[seed + 1, trial])
        return score(tf.where(trial == 0, images, moved))[0]

    still, *moved = (judge(images, trial).numpy() for trial in tf.range(TRIALS + 1))
    return still, np.mean(moved, axis=0)


def _before_relu(step: Step) -> tuple[str, Callable]:
    """What a layer gives before its ReLU: the step to read, and what to do with its output."""
    layer, kind = step.layer, type(step.layer).__name__
    rectified = getattr(layer, "activation", None) is keras.activations.relu
    if kind in ("ReLU", "Relu") or (kind == "Activation" and rectified):
        return step.inputs[0], lambda maps: maps
    if kind == "Conv2D" and rectified:
        bias = layer.bias if layer.use_bias else 0.0
        return step.inputs[0], lambda maps: layer.convolution_op(maps, layer.kernel) + bias
    return step.name, lambda maps: maps
