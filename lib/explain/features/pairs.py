"""One filter and the map it makes of one image: chosen by measure, said in words by measure, at several depths."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import pandas as pd

from lib.explain.features.feature_maps import feature_maps
from lib.explain.features.filters import read_filters, spread_convolutions
from lib.explain.features.tuning import (
    COLOURED,
    FOLLOWS,
    ORIENTED,
    Answers,
    Preference,
    Shape,
    agreement,
    draw_preference,
    measure_answers,
    read_shape,
)
from lib.explain.network.layers import read_layers
from lib.explain.network.receptive_field import Patch, ReceptiveFields

CONFIRMED = "confirms it"
FEWEST = 25  # positions of a map of one image that say whether it follows a pattern; with fewer, all images do


@dataclass(frozen=True, eq=False)
class Pair:
    """A filter and the map of the same output channel."""

    layer: str
    channel: int  # number of the filter and of the map: one output channel of the layer
    channels: int  # how many the layer has
    image: np.ndarray  # (H, W, 3)
    filter: np.ndarray  # float32 (h, w, 3) where it reads red, green and blue, else (h, w): its strongest slice
    source: int  # the input channel that a slice reads
    share: float  # in [0, 1], of the filter's squared weights: those shown
    map: np.ndarray  # float32 (h, w), before a ReLU that comes after the layer
    row: int  # of the strongest answer
    column: int
    patch: Patch  # what that position sees
    beyond: float  # highest answer on the image over the highest to any drawn pattern, both above that to grey
    alive: bool  # whether its highest answer differs from image to image
    standing_out: float  # highest answer on the image above the channel's usual one, in standard deviations
    preference: Preference
    pattern: np.ndarray  # (H, W, 3), what it answers to most
    shape: Shape | None  # of a filter that reads red, green and blue
    follows: tuple[float, float]  # of `agreement` on this image, with what is preferred and with what is compared
    follows_all: tuple[float, float]  # the same on all images

    @property
    def verdict(self) -> str:
        """Whether the map follows what the channel prefers, and more than it follows what is compared."""
        own, other = self.follows_all if self.map.size < FEWEST else self.follows
        if self.preference.kind == "nothing" or own < FOLLOWS:
            return "does not confirm it"
        return CONFIRMED if own > other else f"fits it, but fits {self._compared} as well"

    @property
    def _compared(self) -> str:
        return "crossed bars" if self.preference.kind == "bars" else "another colour"

    def sentences(self) -> str:
        """What the filter detects, and whether the map confirms it."""
        text = self.preference.sentence()
        text = text[0].upper() + text[1:]
        if self.shape:
            text += f"; {self.shape.sentence()}"
        if self.preference.kind == "nothing":
            return f"{text}, but not to every image." if self.alive else f"{text}, and to every image: it is dead."
        few, where = self.map.size < FEWEST, "The map"
        if few:
            where = f"Over all images, since a map of {self.map.shape[0]} x {self.map.shape[1]} says little, the map"
        own, compared = (round(one, 2) + 0.0 for one in (self.follows_all if few else self.follows))  # no minus zero
        often = f"{self.beyond:.1f}" if self.beyond < 100 else "more than 100"
        return (
            f"{text}. {where} {self.verdict}: r = {own:.2f} with where the image holds this, {compared:.2f} with "
            f"{self._compared}. Its strongest answer here is {often} times the one to any drawn pattern."
        )


def measure_depths(model: keras.Model) -> dict[str, Answers]:
    """The answers to drawn patterns early, midway and deep in a network: first, third and fifth of five convolutions.

    Raises:
        ValueError: if the model has no convolution wider than a pixel, or takes images of several sizes.
    """
    return {layer: measure_answers(model, layer) for layer in spread_convolutions(model)}


def find_pairs(
    model: keras.Model, images: np.ndarray, answers: dict[str, Answers], *, others: np.ndarray
) -> list[Pair]:
    """The filters that stand out most on some images, one for each image and layer, each with its map.

    A channel stands out on an image by how far its highest answer lies above its mean highest answer on the other
    images, in standard deviations. Those come first whose answer is above zero, which a ReLU lets pass, and dead ones
    last. No two images get the same one.

    Args:
        model: functional model.
        images: (N, H, W, 3) uint8 or float in [0, 255].
        answers: of `measure_depths`.
        others: (K, H, W, 3) images that say what is usual; two at least.

    Returns:
        Layer by layer, in each of them image by image.

    Raises:
        ValueError: if there are too few other images, or they are not what the model takes.
    """
    if len(others) < 2:
        raise ValueError(f"what stands out is told by two other images at least. Received: {len(others)}")
    own, usual = (feature_maps(model, some, layers=list(answers)) for some in (images, others))
    found = []
    for layer, measured in answers.items():
        peaks = usual[layer].max(axis=(1, 2))
        spread = peaks.std(axis=0)
        alive = spread > 1e-6 * max(float(np.abs(peaks).max()), 1e-6)
        highest = own[layer].max(axis=(1, 2))
        score = (highest - peaks.mean(axis=0)) / np.where(alive, spread, 1)
        taken: list[int] = []
        for number, image in enumerate(images):
            order = np.lexsort((-score[number], highest[number] <= 0, ~alive))
            channel = next((int(one) for one in order if one not in taken), int(order[0]))
            taken.append(channel)
            pair = _pair(model, image, measured.preference(channel), own[layer][number, ..., channel])
            above, usually = (
                np.maximum(maps[layer][..., channel] - measured.grey[channel], 0) for maps in (own, usual)
            )
            compared, strongest = {"field": measured.field}, pair["preference"].strongest
            found.append(
                Pair(
                    **pair,
                    channels=peaks.shape[1],
                    beyond=float(above[number].max() / strongest) if strongest else 0.0,
                    alive=bool(alive[channel]),
                    standing_out=float(score[number, channel]) if alive[channel] else 0.0,
                    follows=agreement(pair["preference"], image[None], above[[number]], **compared),
                    follows_all=agreement(pair["preference"], others, usually, **compared),
                )
            )
    return found


def _pair(model: keras.Model, image: np.ndarray, preference: Preference, map_: np.ndarray) -> dict:
    """What one filter and its map show, as fields of `Pair`."""
    layer, channel = preference.layer, preference.channel
    kernels, inputs, colours = read_filters(model, layer, images=image[None])
    kernel, energy = kernels[channel], np.square(kernels[channel]).sum(axis=(1, 2))
    strongest = int(energy.argmax())
    row, column = (int(place) for place in np.unravel_index(map_.argmax(), map_.shape))
    return {
        "layer": layer,
        "channel": channel,
        "image": image,
        "filter": np.moveaxis(kernel, 0, 2) if colours else kernel[strongest],
        "source": int(inputs[channel, strongest]),
        "share": 1.0 if colours else float(energy[strongest] / max(energy.sum(), 1e-12)),
        "map": map_,
        "row": row,
        "column": column,
        "patch": ReceptiveFields(model, layer).patch(row, column),
        "preference": preference,
        "pattern": draw_preference(preference, image.shape[:2]),
        "shape": read_shape(np.moveaxis(kernel, 0, 2)) if colours else None,
    }


def pairs_table(pairs: Sequence[Pair], names: Sequence[str]) -> pd.DataFrame:
    """One row per pair: what was measured, and in words what the filter detects.

    Args:
        pairs: of `find_pairs`.
        names: of the images' classes, in the order of the images.
    """
    rows = []
    for number, pair in enumerate(pairs):
        likes = pair.preference
        rows.append(
            {
                "layer": pair.layer,
                "class_name": names[number % len(names)],
                "channel": pair.channel,
                "standing_out": pair.standing_out,
                "prefers": likes.kind,
                "orientation": likes.orientation,
                "period": likes.period,
                "selectivity": likes.selectivity,
                "colours": likes.colours,
                "colour_share": likes.colour_share,
                "correlation": pair.follows[0],
                "compared": pair.follows[1],
                "correlation_all": pair.follows_all[0],
                "compared_all": pair.follows_all[1],
                "beyond": pair.beyond,
                "verdict": pair.verdict,
                "detects": pair.sentences(),
            }
        )
    return pd.DataFrame(rows)


def compare_depths(model: keras.Model, answers: dict[str, Answers], images: np.ndarray) -> pd.DataFrame:
    """How filters and maps change with depth.

    Args:
        model: functional model.
        answers: of `measure_depths`.
        images: (N, H, W, 3) in [0, 255], whose maps are looked at.

    Returns:
        One row per layer: filters and kernel side; side of the map; `receptive_field` in pixels (NaN where unknown) and
        `fits`, whether it lies within the image; of the channels that patterns move the shares that prefer `bars`, that
        are `oriented` (bars, and crossed ones much less) and that tell colours apart (`coloured`), and the median
        `selectivity` for a direction; `beyond`, the median of their highest answer on the images over that to any
        pattern; the shares of channels that no pattern moves (`unmoved`) and that nothing does (`dead`), and that of
        values on the images at or below zero (`silent`). Shares and selectivity lie in [0, 1].
    """
    maps, steps, rows = feature_maps(model, images, layers=list(answers)), read_layers(model).steps, []
    for layer, measured in answers.items():
        known = measured.preferences()
        alive = [one for one in known if one.kind != "nothing"]
        bars = [one for one in alive if one.kind == "bars"]
        count = max(len(alive), 1)
        lows, peaks = maps[layer].min(axis=(0, 1, 2)), maps[layer].max(axis=(0, 1, 2))
        beyond = [(peaks - measured.grey)[one.channel] / one.strongest for one in alive]
        dead = sum(one.kind == "nothing" and lows[one.channel] == peaks[one.channel] for one in known)
        rows.append(
            {
                "layer": layer,
                "filters": len(known),
                "kernel": max(steps[layer].layer.kernel_size),
                "map_side": maps[layer].shape[1],
                "receptive_field": measured.field,
                "fits": measured.field <= min(images.shape[1:3]),
                "bars": len(bars) / count,
                "oriented": sum(one.times >= ORIENTED for one in bars) / count,
                "coloured": sum(one.contrast >= COLOURED for one in alive) / count,
                "selectivity": float(np.median([one.selectivity for one in alive])) if alive else 0.0,
                "beyond": float(np.median(beyond)) if alive else 0.0,
                "unmoved": 1 - len(alive) / len(known),
                "dead": dead / len(known),
                "silent": float(np.mean(maps[layer] <= 0)),
            }
        )
    return pd.DataFrame(rows)
