"""The max feature of an image: for each layer the channel that fires most on it, where, and what it sees there."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np

from lib.explain.features.feature_maps import feature_maps
from lib.explain.network.receptive_field import Patch, ReceptiveFields


@dataclass(frozen=True, eq=False)
class MaxFeature:
    """The channel of a layer that fires most on an image, and where."""

    layer: str
    channel: int
    channels: int  # how many the layer has
    row: int  # of the position that fires most
    column: int
    value: float
    map: np.ndarray  # float32 (h, w), of that channel
    patch: Patch  # what the position sees, beside gates
    gated: bool  # whether gates let it sum up the whole image, see `ReceptiveFields`


def max_features(model: keras.Model, image: np.ndarray, *, layers: Sequence[str] | None = None) -> list[MaxFeature]:
    """The channel and position that fire most on an image, layer by layer.

    Args:
        model: functional model.
        image: (H, W, 3) uint8 or float in [0, 255].
        layers: names of layers with maps; None takes one a block, see `feature_maps.block_layers`.

    Returns:
        One a layer, in the order given; the first position and the lowest channel among equals.

    Raises:
        ValueError: if a layer is unknown or has no maps, the image is not as asked, or a receptive field cannot be
            traced.
    """
    image = np.asarray(image)
    if image.ndim != 3:
        raise ValueError(f"the image must have shape (H, W, 3). Received: {image.shape}")
    found = []
    for layer, (maps,) in feature_maps(model, image[None], layers=layers).items():
        row, column, channel = (int(i) for i in np.unravel_index(maps.argmax(), maps.shape))
        fields = ReceptiveFields(model, layer, image_size=image.shape[:2], ignore_gates=True)
        patch, value = fields.patch(row, column), float(maps.max())
        found.append(
            MaxFeature(layer, channel, maps.shape[2], row, column, value, maps[..., channel], patch, fields.gated)
        )
    return found
