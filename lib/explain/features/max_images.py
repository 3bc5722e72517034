"""The images that excite a channel most, and the parts of them that do: what it looks for, by example."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from lib.explain.features.activation_maximisation import Unit
from lib.explain.features.feature_maps import block_layers, map_reader
from lib.explain.network.layers import read_layers
from lib.explain.network.receptive_field import Patch, ReceptiveFields


@dataclass(frozen=True, eq=False)
class TopImages:
    """The images that excite the channels of a layer most."""

    rows: np.ndarray  # (C, k) int, by channel, which images, counted in the order they came, the strongest first
    values: np.ndarray  # (C, k) float32, the highest activation in each image
    positions: np.ndarray  # (C, k, 2) int, row and column of it in the map
    labels: np.ndarray  # (C, k) int, classes of the images
    pixels: dict[int, np.ndarray]  # the images by row, as they came
    fields: ReceptiveFields

    def patch(self, channel: int, place: int) -> Patch:
        """What the strongest position of the image at a place of `rows` sees."""
        return self.fields.patch(*self.positions[channel, place].tolist())

    def crops(self, channel: int) -> list[np.ndarray]:
        """The k image parts that excite a channel most."""
        return [self.patch(channel, i).crop(self.pixels[int(row)]) for i, row in enumerate(self.rows[channel])]

    def purity(self) -> np.ndarray:
        """Share of each channel's images that are of its commonest class, (C,) in (0, 1]."""
        return np.array([np.bincount(labels).max() / len(labels) for labels in self.labels])


def max_images(model: keras.Model, batches: Iterable[tuple], *, k: int = 9) -> dict[str, TopImages]:
    """The images that excite each channel at the end of each block most, with the place in them, in one pass.

    Memory does not grow with the number of images: of those seen, only the k best of each channel are kept.

    Args:
        model: functional model.
        batches: of images (B, H, W, 3) in [0, 255] and labels (B,), e.g. a data set of `generators.make_eval_dataset`.
        k: how many images per channel; fewer where there are fewer images.

    Returns:
        Layer name, see `feature_maps.block_layers` -> its channels' images, the strongest first, the earlier first
        among equals.

    Raises:
        ValueError: if k is below 1, the images are not as asked, or a receptive field cannot be traced.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1. Received: {k}")
    layers = list(block_layers(model).values())
    read = map_reader(model, layers, measure=_strongest)
    fields = {layer: ReceptiveFields(model, layer) for layer in layers}
    best: dict[str, dict] = {}
    pixels: dict[int, np.ndarray] = {}
    count = 0
    for images, labels in batches:
        images = read_layers(model).check_images(images)
        rows = np.arange(count, count + len(images))
        for layer, (values, places) in read(images).items():
            new = {"values": values.numpy().T, "places": places.numpy().T, "rows": rows, "labels": np.asarray(labels)}
            best[layer] = _keep_best(best.get(layer), new, k=k)
        held = np.unique(np.concatenate([kept["rows"].ravel() for kept in best.values()])).tolist()
        pixels = {row: pixels[row] if row < count else images[row - count].copy() for row in held}
        count += len(images)
    if not count:
        raise ValueError("there must be at least one image. Received: none")
    return {
        layer: TopImages(
            rows=kept["rows"],
            values=kept["values"],
            positions=np.stack(np.divmod(kept["places"], fields[layer].map_size[1]), axis=2),
            labels=kept["labels"],
            pixels={row: pixels[row] for row in np.unique(kept["rows"]).tolist()},
            fields=fields[layer],
        )
        for layer, kept in best.items()
    }


def purest_units(top: Mapping[str, TopImages], *, each: int = 2) -> list[Unit]:
    """The channels of each layer whose most exciting images are most of one class.

    Args:
        top: of `max_images`.
        each: how many per layer; fewer where it has fewer channels.

    Returns:
        Units, layer by layer; among equally pure ones the more excited first.
    """
    units = []
    for layer, own in top.items():
        order = np.lexsort((-own.values.mean(axis=1), -own.purity()))[:each]
        units += [Unit(layer, int(channel)) for channel in order]
    return units


def image_rows(
    top: Mapping[str, TopImages], units: Sequence[Unit], *, class_names: Sequence[str], blocks: Mapping[str, str]
) -> tuple[list[tuple[str, list[np.ndarray], list[str]]], list[str]]:
    """The most exciting image parts of some channels, for `figures.max_image_rows`.

    Args:
        top: of `max_images`.
        units: channels of its layers.
        class_names: by class number; the class of its image stands over each part.
        blocks: block name -> layer, as `feature_maps.block_layers` gives it.

    Returns:
        Rows (name, parts, texts), and a note for each: how many pixels a position sees from side to side, and whether
        that leaves out gates that see the whole image.
    """
    names = {layer: block for block, layer in blocks.items()}
    rows, notes = [], []
    for unit in units:
        own, i = top[unit.layer], unit.channel
        texts = [
            f"{class_names[label]}\n{value:.2g}" for label, value in zip(own.labels[i], own.values[i], strict=True)
        ]
        rows.append((f"{names[unit.layer]}\nchannel {i}", own.crops(i), texts))
        sides = [max(own.patch(i, place)[2:]) for place in range(own.rows.shape[1])]
        notes.append(f"sees {max(sides)} pixels{own.fields.gated * ' beside gates'}")
    return rows, notes


def _strongest(maps: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Highest value of each map and its position, counted row by row: both (N, C)."""
    flat = tf.reshape(maps, (tf.shape(maps)[0], -1, maps.shape[3]))
    return tf.reduce_max(flat, axis=1), tf.argmax(flat, axis=1)


def _keep_best(held: dict | None, new: dict, *, k: int) -> dict:
    """The k strongest of those held and a new batch, channel by channel; arrays of shape (C, k)."""
    shape = new["values"].shape
    merged = {key: np.broadcast_to(values, shape) for key, values in new.items()}
    if held is not None:
        merged = {key: np.concatenate([held[key], values], axis=1) for key, values in merged.items()}
    order = np.argsort(-merged["values"], axis=1, kind="stable")[:, :k]
    return {key: np.take_along_axis(values, order, axis=1) for key, values in merged.items()}
