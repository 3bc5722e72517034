"""Colours that colour-blind readers tell apart, and numbers turned into coloured pictures."""

import numpy as np
from matplotlib import colormaps
from PIL import Image

# Okabe and Ito's palette, https://jfly.uni-koeln.de/color/
BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, BLACK, GREY = "#CC79A7", "#56B4E9", "#000000", "#8A8A8A"
PALE, PAPER, DARK_GREY = "#C9D6DF", "#F1F1F1", "#555555"
COLOURS = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY, BLACK)
MARKERS = "osD^vPX*h"
HEAT = colormaps["inferno"]  # from nothing to the most
SIGNED = colormaps["RdBu_r"]  # blue below zero, white at zero, red above


def heat_picture(shares: np.ndarray, image: np.ndarray | None = None, *, fade: float = 1.0) -> np.ndarray:
    """A map (h, w) in [0, 1] in the colours of `HEAT`, as numbers in [0, 255] (h, w, 3).

    With an image (H, W, 3) in [0, 255] the map is stretched over it in grey and covers it where it is strong: as much
    as its share with `fade` 1, more with a smaller exponent.
    """
    if image is None:
        return 255 * HEAT(shares)[..., :3]
    image = np.asarray(image, float)
    stretched = Image.fromarray(np.float32(shares)).resize(image.shape[1::-1], Image.Resampling.BILINEAR)
    shares = np.clip(np.asarray(stretched), 0, 1)
    cover = shares[..., None] ** fade
    return (1 - cover) * image.mean(axis=2, keepdims=True) + cover * 255 * HEAT(shares)[..., :3]


def activation_picture(values: np.ndarray, *, top: float, image: np.ndarray | None = None) -> np.ndarray:
    """Black where activations are zero or below, brightest at `top`."""
    return heat_picture(np.clip(np.asarray(values, float) / top, 0, 1) if top > 0 else np.zeros(values.shape), image)


def signed_picture(values: np.ndarray, *, top: float) -> np.ndarray:
    """Blue below zero, white at zero, red above, strongest at `top`."""
    share = np.asarray(values, float) / (top if top > 0 else 1)
    return 255 * SIGNED(np.clip((share + 1) / 2, 0, 1))[..., :3]
