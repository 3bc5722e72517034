"""What the figures of features show: channels and units picked by rule, never by eye, with the words beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import keras
import numpy as np

from lib.explain.features.activation_maximisation import LADDER, Maximised, maximise
from lib.explain.features.feature_maps import block_layers, feature_maps, most_active
from lib.explain.features.filters import convolutions
from lib.explain.features.max_images import TopImages
from lib.explain.features.units import Unit
from lib.explain.network.taps import read


def map_rows(model: keras.Model, image: np.ndarray, *, k: int = 8) -> list[tuple[str, np.ndarray, np.ndarray, int]]:
    """The most active channels of every block for one image, for `figures.feature_map_rows`.

    Args:
        model: functional model.
        image: (H, W, 3) uint8 or float in [0, 255].
        k: channels a block.

    Returns:
        Per block its name, the maps (h, w, k), the numbers of their channels, and how many channels it has.
    """
    maps = feature_maps(model, np.asarray(image)[None])
    rows = []
    for block, layer in block_layers(model).items():
        channels = most_active(maps[layer], k=k)
        rows.append((block, maps[layer][0][..., channels], channels, maps[layer].shape[3]))
    return rows


def spread_convolutions(model: keras.Model, *, k: int = 3) -> list[str]:
    """Convolutions spread evenly over the depth of a network, the first and the last among them.

    Args:
        model: functional model.
        k: how many, at least 2; fewer where there are fewer. Filters of a single pixel, which have nothing to be seen
            in, are left out.

    Returns:
        Names of layers for `filters.filter_pairs`, from input to output.

    Raises:
        ValueError: if k is below 2 or there is no such convolution.
    """
    steps = read(model).steps
    names = [name for name in convolutions(model) if max(steps[name].layer.kernel_size) > 1]
    if k < 2 or not names:
        raise ValueError(f"filters are spread over convolutions wider than a pixel. Received: k={k}, {len(names)} such")
    return [names[i] for i in np.unique(np.linspace(0, len(names) - 1, k).round().astype(int))]


def purest_units(top: Mapping[str, TopImages], *, each: int = 2) -> list[Unit]:
    """The channels of each layer whose most exciting images are most of one class.

    Args:
        top: of `max_images.max_images`, from batches with labels.
        each: how many a layer; fewer where it has fewer channels.

    Returns:
        Units, layer by layer; among equally pure ones the more excited first.
    """
    units = []
    for layer, own in top.items():
        order = np.lexsort((-own.values.mean(axis=1), -own.purity()))[:each]
        units += [Unit(layer, int(own.channels[i])) for i in order]
    return units


def image_rows(
    top: Mapping[str, TopImages], units: Sequence[Unit], *, class_names: Sequence[str] = (), blocks: Mapping[str, str]
) -> tuple[list[tuple[str, list[np.ndarray], list[str]]], list[str]]:
    """The most exciting image parts of some channels, for `figures.max_image_rows`.

    Args:
        top: of `max_images.max_images`.
        units: channels of its layers.
        class_names: by class number; where given, and the images have labels, the class stands over each part.
        blocks: block name -> layer, as `feature_maps.block_layers` gives it; other layers go by their own name.

    Returns:
        Rows (name, parts, texts), and a note for each: how many pixels a position sees from side to side, and whether
        that leaves out gates that see the whole image.

    Raises:
        ValueError: if a unit is not among the channels of `top`.
    """
    names = {layer: block for block, layer in blocks.items()}
    rows, notes = [], []
    for unit in units:
        own = top.get(unit.layer)
        if own is None or unit.channel not in own.channels:
            raise ValueError(f"units must be among the channels of the top images. Received: {unit}")
        i = int(np.flatnonzero(own.channels == unit.channel)[0])
        texts = [f"{value:.2g}" for value in own.values[i]]
        if own.labels is not None and len(class_names):
            texts = [f"{class_names[label]}\n{text}" for label, text in zip(own.labels[i], texts, strict=True)]
        rows.append((f"{names.get(unit.layer, unit.layer)}\nchannel {unit.channel}", own.crops(i), texts))
        sides = [max(own.patch(i, place)[2:]) for place in range(own.rows.shape[1])]
        notes.append(f"sees {max(sides)} pixels{own.fields.gated * ' beside gates'}")
    return rows, notes


def climb_ladder(
    model: keras.Model, units: Mapping[str, Unit], *, colours: np.ndarray, steps: int = 128, seed: int = 0
) -> tuple[list[tuple[str, list[np.ndarray], list[float], list[float]]], dict[str, Maximised]]:
    """The same units by every recipe of `LADDER`, for `figures.maximised_ladder`.

    Args:
        model: functional model with an image size of its own.
        units: by name.
        colours: of `fourier_image.colour_matrix`.
        steps: of each recipe.
        seed: of all recipes.

    Returns:
        Rows (name, images, activations reached, those left after small moves), and what each recipe made, by its name.
    """
    made = {
        name: maximise(model, list(units.values()), recipe=replace(recipe, steps=steps), colours=colours, seed=seed)
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
