"""Does a map point at the object? Scored against masks, beside pointers that know nothing of the model."""

from collections.abc import Mapping

import keras
import numpy as np
import pandas as pd

from lib.explain.attributions.grad_cam import grad_cam
from lib.explain.attributions.grad_cam_plus_plus import grad_cam_plus_plus
from lib.explain.features.feature_maps import block_layers
from lib.explain.scoring.baselines import CENTRE, CONTRAST, RANDOM, centre_maps, contrast_maps, mean_intervals

COLUMNS = ("method", "hit", "hit_low", "hit_high", "energy", "energy_low", "energy_high", "gain", "gain_low", "images")


def hits(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Whether the strongest pixel of each map lies on the object (Zhang et al. 2018, without their margin of 15 px).

    Where several pixels share the maximum, the hit is the share of them on the object: the chance that one drawn among
    them hits. A flat map, which points nowhere, so scores as a random pixel does.

    Args:
        maps: (N, S, S) finite numbers.
        masks: (N, S, S) bool, True on the object, which no image may lack.

    Returns:
        (N,) float64 in [0, 1].

    Raises:
        ValueError: if the shapes differ, a map is not finite or a mask is empty.
    """
    maps, masks = check_maps(maps, masks)
    strongest = maps == maps.max(axis=(1, 2), keepdims=True)
    return (strongest & masks).sum(axis=(1, 2)) / strongest.sum(axis=(1, 2))


def energy_inside(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Share of each map's sum that lies on the object (Wang et al. 2020, "energy-based pointing game").

    Args:
        maps: (N, S, S) finite numbers, none negative; a map of zeros counts as one that is the same everywhere.
        masks: (N, S, S) bool, True on the object.

    Returns:
        (N,) float64 in [0, 1].

    Raises:
        ValueError: as for `hits`, and if a map has a negative value.
    """
    maps, masks = check_maps(maps, masks)
    if maps.min() < 0:
        raise ValueError(f"maps must not be negative: energy has no sign. Received: a minimum of {maps.min():.4g}")
    total = maps.sum(axis=(1, 2), keepdims=True)
    maps, total = np.where(total > 0, maps, 1.0), np.where(total > 0, total, maps[0].size)
    return (maps * masks).sum(axis=(1, 2)) / total[:, 0, 0]


def baseline_scores(masks: np.ndarray, images: np.ndarray | None = None) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What pointing without the model scores.

    Args:
        masks: (N, S, S) bool.
        images: (N, S, S, 3) in [0, 255]; None leaves contrast out.

    Returns:
        By name (N,) hits and (N,) energy: "centre" always points at the centre of the image, "contrast" at the pixel
        whose colour is farthest from the image's mean, "random" anywhere. The energy of centre and random is the
        object's share of the image, that of a flat map.
    """
    share = masks.mean(axis=(1, 2))
    scores = {CENTRE: (hits(centre_maps(len(masks), masks.shape[1:]), masks), share)}
    if images is not None:
        contrast = contrast_maps(images)
        scores[CONTRAST] = (hits(contrast, masks), energy_inside(contrast, masks))
    return scores | {RANDOM: (share, share)}


def pointing_game(
    maps: Mapping[str, np.ndarray], masks: np.ndarray, *, images: np.ndarray | None = None
) -> pd.DataFrame:
    """Every method's hits and energy, with 95 % bootstrap intervals over the images.

    Args:
        maps: per method (N, S, S) in [0, 1].
        masks: (N, S, S) bool, True on the object.
        images: (N, S, S, 3) in [0, 255], for the baseline "contrast"; None leaves it out.

    Returns:
        One row per method in the given order, then the baselines, see `baseline_scores`: `COLUMNS`. hit and energy are
        means over the images in [0, 1]; gain is hit minus that of the centre, image by image, and gain_low the lower
        end of its interval.

    Raises:
        ValueError: if there are no methods or a map or mask breaks a rule.
    """
    if not maps:
        raise ValueError("the pointing game needs the maps of at least one method. Received: none")
    scores = {name: (hits(own, masks), energy_inside(own, masks)) for name, own in maps.items()}
    scores |= baseline_scores(masks, images)
    hit_values, energy_values = np.stack(list(scores.values()), axis=1)
    gains = hit_values - scores[CENTRE][0]
    hit_ends, energy_ends, gain_ends = mean_intervals(np.stack([hit_values, energy_values, gains]))
    columns = (
        list(scores),
        hit_values.mean(axis=1),
        *hit_ends.T,
        energy_values.mean(axis=1),
        *energy_ends.T,
        gains.mean(axis=1),
        gain_ends[:, 0],
        len(masks),
    )
    return pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))


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
    methods = {"grad_cam": grad_cam, "grad_cam_plus_plus": grad_cam_plus_plus}
    rows = []
    for block, layer in block_layers(model).items():
        maps = {name: method(model, images, class_index, layer=layer) for name, method in methods.items()}
        side = model.get_layer(layer).output.shape[1]
        for score in pointing_game(maps, masks)[: len(maps)].itertuples():
            rows.append((block, layer, side, score.method, score.hit, score.energy))
    return pd.DataFrame(rows, columns=["block", "layer", "side", "method", "hit", "energy"])


def check_maps(maps: np.ndarray, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Maps as float64 and masks as bool, once they fit each other.

    Raises:
        ValueError: if they do not; the message states the rule.
    """
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
    if not np.isfinite(maps).all():
        raise ValueError("maps must be finite. Received: NaN or infinity")
    return maps, masks
