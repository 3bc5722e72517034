"""The images that excite a channel most, and the parts of them that do: what it looks for, by example."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from lib.explain.features.activation_maximisation import Unit
from lib.explain.features.feature_maps import block_layers, measure_batches
from lib.explain.network.receptive_field import Patch, ReceptiveFields


@dataclass(frozen=True, eq=False)
class TopImages:
    """The images that excite the channels of a layer most."""

    layer: str
    rows: np.ndarray  # (C, k) int, by channel, which images, counted in the order they came, the strongest first
    values: np.ndarray  # (C, k) float32, the highest activation in each image
    positions: np.ndarray  # (C, k, 2) int, row and column of it in the map
    labels: np.ndarray | None  # (C, k) int, classes of the images, where the batches held them
    pixels: dict[int, np.ndarray]  # the images by row, as they came
    fields: ReceptiveFields

    def patch(self, channel: int, place: int) -> Patch:
        """What the strongest position of the image at a place of `rows` sees."""
        return self.fields.patch(*self.positions[channel, place].tolist())

    def crops(self, channel: int) -> list[np.ndarray]:
        """The k image parts that excite a channel most."""
        return [self.patch(channel, i).crop(self.pixels[int(row)]) for i, row in enumerate(self.rows[channel])]

    def purity(self) -> np.ndarray:
        """Share of each channel's images that are of its commonest class, (C,) in (0, 1].

        Raises:
            ValueError: if the images came without labels.
        """
        if self.labels is None:
            raise ValueError("purity needs the labels of the images. Received: images without labels")
        return np.array([np.bincount(labels).max() / len(labels) for labels in self.labels])


def max_images(model: keras.Model, images, *, k: int = 9, batch_size: int = 64) -> dict[str, TopImages]:
    """The images that excite each channel at the end of each block most, with the place in them, in one pass.

    Memory does not grow with the number of images: of those seen, only the k best of each channel are kept.

    Args:
        model: functional model.
        images: (N, H, W, 3) array in [0, 255] or batches, e.g. of `generators.make_eval_dataset`, see `batches`.
        k: how many images per channel; fewer where there are fewer images.
        batch_size: images at once, where they come as an array.

    Returns:
        Layer name, see `feature_maps.block_layers` -> its channels' images, the strongest first, the earlier first
        among equals.

    Raises:
        ValueError: if k is below 1, the images are not as asked, or a receptive field cannot be traced.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1. Received: {k}")
    layers = list(block_layers(model).values())
    best: dict[str, dict] = {}
    pixels: dict[int, np.ndarray] = {}
    fields: dict[str, ReceptiveFields] = {}
    count = 0
    passes = measure_batches(model, images, layers, measure=_strongest, batch_size=batch_size)
    for batch, labels, measured in passes:
        if not fields:  # at the first batch, so that a layer that cannot be traced is told of at once
            fields = {layer: ReceptiveFields(model, layer, image_size=batch.shape[1:3]) for layer in layers}
        rows = np.arange(count, count + len(batch))
        found = {"rows": rows} if labels is None else {"rows": rows, "labels": labels}
        for layer, (values, places) in measured.items():
            new = {"values": values.numpy().T, "places": places.numpy().T, **found}
            best[layer] = _keep_best(best.get(layer), new, k=k)
        held = np.unique(np.concatenate([kept["rows"].ravel() for kept in best.values()])).tolist()
        pixels = {row: pixels[row] if row < count else batch[row - count].copy() for row in held}
        count += len(batch)
    return {
        layer: TopImages(
            layer=layer,
            rows=kept["rows"],
            values=kept["values"],
            positions=np.stack(np.divmod(kept["places"], fields[layer].map_size[1]), axis=2),
            labels=kept.get("labels"),
            pixels={row: pixels[row] for row in np.unique(kept["rows"]).tolist()},
            fields=fields[layer],
        )
        for layer, kept in best.items()
    }


def purest_units(top: Mapping[str, TopImages], *, each: int = 2) -> list[Unit]:
    """The channels of each layer whose most exciting images are most of one class.

    Args:
        top: of `max_images.max_images`, from batches with labels.
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
        i = unit.channel
        if own is None or not 0 <= i < len(own.rows):
            raise ValueError(f"units must be among the channels of the top images. Received: {unit}")
        texts = [f"{value:.2g}" for value in own.values[i]]
        if own.labels is not None and len(class_names):
            texts = [f"{class_names[label]}\n{text}" for label, text in zip(own.labels[i], texts, strict=True)]
        rows.append((f"{names.get(unit.layer, unit.layer)}\nchannel {i}", own.crops(i), texts))
        sides = [max(own.patch(i, place)[2:]) for place in range(own.rows.shape[1])]
        notes.append(f"sees {max(sides)} pixels{own.fields.gated * ' beside gates'}")
    return rows, notes


def _strongest(name: str, maps: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
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
