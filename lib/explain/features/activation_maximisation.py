"""Deep feature visualisation: images made from noise to excite a channel, one of its units or a class most.

Gradient ascent on the image (Erhan et al. 2009; Simonyan et al. 2014) with the ingredients that make its results
readable (Olah et al. 2017, "Feature Visualization", Distill). Each ingredient can be left out, to see what it buys.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from lib.explain.features.fourier_image import random_parameters, to_images
from lib.explain.features.transforms import move_randomly
from lib.explain.features.units import Unit, make_score
from lib.explain.network.inputs import read_logits
from lib.explain.network.receptive_field import known_size

TRIALS = 8  # random moves that `Maximised.moved` averages


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
    """Images made by `maximise`, one a unit."""

    images: np.ndarray  # uint8 (N, H, W, 3)
    activations: np.ndarray  # float32 (steps, N), as the optimiser met them: of moved images where the recipe moves
    reached: np.ndarray  # float32 (N,), of the images as they are
    moved: np.ndarray  # float32 (N,), of the images after small random moves, on average


def maximise(
    model: keras.Model,
    units: Sequence[Unit],
    *,
    recipe: Recipe = LADDER["+ moves"],
    colours: np.ndarray | None = None,
    image_size: tuple[int, int] | None = None,
    seed: int = 0,
) -> Maximised:
    """Make one image for each unit, all in one optimisation.

    Args:
        model: functional model of images (N, H, W, 3) in [0, 255]; one that ends in softmax is read at its logits.
        units: what to excite; they may lie in different layers.
        recipe: the ingredients, and how long.
        colours: (3, 3) of `fourier_image.colour_matrix`, which a recipe with colour needs.
        image_size: height and width of the images; None takes the model's own.
        seed: of the first image and the moves; the same seed gives the same bytes on the same machine.

    Returns:
        The images and the activations they reach.

    Raises:
        ValueError: if there are no units or steps, a layer, channel, position or class does not exist, or the colours
            or the size are missing.
    """
    if not len(units) or recipe.steps < 1:
        raise ValueError(
            f"maximise needs at least one unit and one step. Received: {len(units)} units, {recipe.steps} steps"
        )
    network = read_logits(model)
    size = known_size(network, image_size)
    colours = _check_colours(recipe, colours)
    score = make_score(network, units, image_size=size)
    look = {"fourier": recipe.fourier, "size": size, "colours": colours}

    def climb(parameters, step):
        images = to_images(parameters, **look)
        return score(move_randomly(images, seed=[seed, step]) if recipe.transforms else images)

    start = random_parameters((len(units), *size), fourier=recipe.fourier, seed=seed)
    parameters, activations = _ascend(climb, start, recipe=recipe)
    images = tf.cast(tf.round(to_images(parameters, **look)), tf.uint8)
    reached, moved = _judge(score, tf.cast(images, tf.float32), seed=seed)
    return Maximised(images.numpy(), activations, reached, moved)


def _ascend(climb: Callable, parameters: tf.Tensor, *, recipe: Recipe) -> tuple[tf.Tensor, np.ndarray]:
    """Adam (Kingma & Ba 2015), upwards; returns the last parameters and the activations met at each step."""

    @tf.function(autograph=False)
    def ascend(parameters, first, second, step):
        with tf.GradientTape() as tape:
            tape.watch(parameters)
            activations, aims = climb(parameters, step)
        # Each image moves one aim only, so the gradient of their sum holds the gradient of each.
        gradient = tape.gradient(aims, parameters)
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        power = tf.cast(step + 1, tf.float32)
        mean, spread = first / (1 - 0.9**power), tf.sqrt(second / (1 - 0.999**power))
        return parameters + recipe.learning_rate * mean / (spread + 1e-8), first, second, activations

    first = second = tf.zeros_like(parameters)
    met = []
    for step in tf.range(recipe.steps):
        parameters, first, second, activations = ascend(parameters, first, second, step)
        met.append(activations.numpy())
    return parameters, np.stack(met)


def _judge(score: Callable, images: tf.Tensor, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Activations of finished images: as they are, and on average over small random moves."""

    @tf.function(autograph=False)
    def judge(images, trial):
        moved = move_randomly(images, seed=[seed + 1, trial])
        return score(tf.where(trial == 0, images, moved))[0]

    still, *moved = (judge(images, trial).numpy() for trial in tf.range(TRIALS + 1))
    return still, np.mean(moved, axis=0)


def _check_colours(recipe: Recipe, colours: np.ndarray | None) -> np.ndarray | None:
    if not recipe.colour:
        return None
    if colours is None or np.shape(colours) != (3, 3):
        received = None if colours is None else f"shape {np.shape(colours)}"
        raise ValueError(f"a recipe with colour needs the (3, 3) matrix of colour_matrix. Received: {received}")
    return np.asarray(colours, np.float32)
