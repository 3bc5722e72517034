"""Does a map point at the object? Scored against masks, beside pointers that know nothing of the model.

Maps are (N, S, S) float64, finite and not negative; masks are (N, S, S) bool, True on the object, which no image lacks.
"""

from collections.abc import Mapping

import keras
import numpy as np
import pandas as pd

from lib.explain.attributions.grad_cam import grad_cam, grad_cam_plus_plus
from lib.explain.features.feature_maps import block_layers
from lib.explain.network.layers import read_layers
from lib.explain.scoring.baselines import CENTRE, CONTRAST, RANDOM, baseline_maps, interval_columns


def hits(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """(N,) in [0, 1], whether the strongest pixel of each map lies on the object (Zhang et al. 2018, without a margin).

    Where several pixels share the maximum, the hit is the share of them on the object: the chance that one drawn among
    them hits. A flat map, which points nowhere, so scores as a random pixel does.
    """
    strongest = maps == maps.max(axis=(1, 2), keepdims=True)
    return (strongest & masks).sum(axis=(1, 2)) / strongest.sum(axis=(1, 2))


def energy_inside(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """(N,) in [0, 1], share of each map's sum that lies on the object (Wang et al. 2020, "energy-based pointing game").

    A map of zeros counts as one that is the same everywhere.
    """
    total = maps.sum(axis=(1, 2), keepdims=True)
    maps, total = np.where(total > 0, maps, 1.0), np.where(total > 0, total, maps[0].size)
    return (maps * masks).sum(axis=(1, 2)) / total[:, 0, 0]


def baseline_scores(masks: np.ndarray, images: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What pointing without the model scores: by name (N,) hits and (N,) energy.

    "centre" always points at the centre of the image, "contrast" at the pixel whose colour is farthest from the image's
    mean, "random" anywhere. The energy of centre and random is the object's share of the image, that of a flat map.
    """
    maps, share = baseline_maps(images), masks.mean(axis=(1, 2))
    contrast = hits(maps[CONTRAST], masks), energy_inside(maps[CONTRAST], masks)
    return {CENTRE: (hits(maps[CENTRE], masks), share), CONTRAST: contrast, RANDOM: (share, share)}


def pointing_game(maps: Mapping[str, np.ndarray], masks: np.ndarray, *, images: np.ndarray) -> pd.DataFrame:
    """Every method's hits and energy, with 95 % bootstrap intervals over the images.

    Args:
        maps: per method (N, S, S) in [0, 1].
        masks: (N, S, S) bool, True on the object, which no image may lack.
        images: (N, S, S, 3) in [0, 255].

    Returns:
        One row per method in the given order, then the baselines, see `baseline_scores`: method; hit and energy, means
        over the images in [0, 1], with `_low` and `_high`; gain, hit minus that of the centre, image by image, and
        gain_low, the lower end of its interval; images, their number.

    Raises:
        ValueError: if there are no methods or a map or mask breaks a rule.
    """
    if not maps:
        raise ValueError("the pointing game needs the maps of at least one method. Received: none")
    scores = {name: _score(own, masks) for name, own in maps.items()} | baseline_scores(masks, images)
    hit, energy = np.stack(list(scores.values()), axis=1)
    columns = interval_columns("hit", hit) | interval_columns("energy", energy)
    columns |= interval_columns("gain", hit - scores[CENTRE][0])
    return pd.DataFrame({"method": list(scores), **columns, "images": len(masks)}).drop(columns="gain_high")


def compare_layers(model: keras.Model, images: np.ndarray, class_index, *, masks: np.ndarray) -> pd.DataFrame:
    """Where class activation maps point best: the game for Grad-CAM and Grad-CAM++ read at the end of every block.

    Early maps are fine but know little of classes; late ones know the classes but are coarse.

    Args:
        model: functional model.
        images: (N, S, S, 3) uint8 or float in [0, 255].
        class_index: class to explain, one for all images or (N,) one per image.
        masks: (N, S, S) bool, True on the object, which no image may lack.

    Returns:
        One row per block and method: block, layer, side (of its maps, in places), method, hit, energy, both in [0, 1].
    """
    rows = []
    for block, layer in block_layers(model).items():
        side = read_layers(model).steps[layer].shape[1]
        for name, method in (("grad_cam", grad_cam), ("grad_cam_plus_plus", grad_cam_plus_plus)):
            hit, energy = _score(method(model, images, class_index, layer=layer), masks)
            rows.append((block, layer, side, name, hit.mean(), energy.mean()))
    return pd.DataFrame(rows, columns=["block", "layer", "side", "method", "hit", "energy"])


def _score(maps: np.ndarray, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) hits and (N,) energy of maps, once they and the masks fit each other."""
    maps, masks = np.asarray(maps, dtype=np.float64), np.asarray(masks)
    if maps.ndim != 3 or maps.shape != masks.shape or maps.size == 0:
        raise ValueError(
            f"maps and masks must both have shape (N, S, S), N at least 1. Received: {maps.shape} and {masks.shape}"
        )
    if masks.dtype != bool:
        raise ValueError(f"masks must be bool, True on the object. Received: {masks.dtype}")
    empty = np.flatnonzero(~masks.any(axis=(1, 2)))
    if empty.size:
        raise ValueError(f"every mask must hold some of the object. Received: {empty.size} empty, first {empty[0]}")
    if not (np.isfinite(maps).all() and maps.min() >= 0):
        raise ValueError(f"maps must be finite and not negative. Received: a minimum of {maps.min():.4g}")
    return hits(maps, masks), energy_inside(maps, masks)
