"""From attributions to maps of the size of the image, in [0, 1]."""

import numpy as np
import tensorflow as tf

FLAT = 1e-6  # of the size of the values: differences below it are rounding, and stretching them would show noise


def strongest_channel(values: tf.Tensor) -> np.ndarray:
    """(N, H, W) largest absolute value over the channels of (N, H, W, C)."""
    return tf.reduce_max(tf.abs(values), axis=-1).numpy()


def positive_sum(values: np.ndarray | tf.Tensor) -> np.ndarray:
    """(N, H, W) sums over the channels of signed attributions (N, H, W, C), where they are positive; 0 elsewhere."""
    return tf.nn.relu(tf.reduce_sum(values, axis=-1)).numpy()


def to_maps(attributions: np.ndarray, *, size: tuple[int, int], scale: np.ndarray | None = None) -> np.ndarray:
    """Resize attributions to the image (bilinear) and stretch each map to [0, 1].

    Args:
        attributions: (N, h, w) finite numbers; larger ones mean more.
        size: height and width of the images.
        scale: (N,) size of the numbers that the attributions were computed from, where it is larger than their own,
            e.g. of scores whose differences they are.

    Returns:
        (N, H, W) float32: the least value of each map is 0 and the largest 1; a flat map is all zeros.

    Raises:
        ValueError: if a number is not finite.
    """
    attributions = np.asarray(attributions, np.float32)
    if not np.isfinite(attributions).all():
        raise ValueError("the model's answers to these images are not finite numbers; its training may have diverged")
    if attributions.shape[1:] != tuple(size):
        attributions = tf.image.resize(attributions[..., None], size).numpy()[..., 0]
    low, high = (end(attributions, axis=(1, 2), keepdims=True) for end in (np.min, np.max))
    size_of_values = np.maximum(np.abs(low), np.abs(high))
    if scale is not None:
        size_of_values = np.maximum(size_of_values, np.abs(scale).reshape(-1, 1, 1))
    spread = high - low
    flat = spread <= FLAT * size_of_values
    return np.where(flat, 0, (attributions - low) / np.where(flat, 1, spread)).astype(np.float32)
