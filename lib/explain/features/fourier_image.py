"""Images as free parameters: pixel by pixel or as waves, in plain or in decorrelated colours.

What is optimised decides what is found. Steps of equal size in the spectrum, divided by frequency, change an image at
all scales at once, where steps in pixels favour high frequencies; steps along the colours' own axes change it in the
colours that occur together (Olah et al. 2017, "Feature Visualization", Distill).
"""

import numpy as np
import tensorflow as tf

from lib.explain.network.batches import batches

SPREAD = 0.01  # standard deviation of the first parameters: nearly grey images


def random_parameters(shape: tuple[int, int, int], *, fourier: bool, seed: int) -> tf.Tensor:
    """Small random parameters to start from.

    Args:
        shape: number, height and width of the images.
        fourier: whether they are waves, else pixels.
        seed: of the random numbers.

    Returns:
        float32 (N, 3, H, W) pixels, or (2, N, 3, H, W // 2 + 1), the real and imaginary parts of waves.
    """
    count, height, width = shape
    form = (2, count, 3, height, width // 2 + 1) if fourier else (count, 3, height, width)
    return tf.constant(np.random.default_rng(seed).normal(0, SPREAD, form), tf.float32)


def to_images(parameters: tf.Tensor, *, fourier: bool, size: tuple[int, int], colours: np.ndarray | None) -> tf.Tensor:
    """The images that parameters stand for.

    Args:
        parameters: of `random_parameters`.
        fourier: as there.
        size: height and width of the images.
        colours: (3, 3) of `colour_matrix`; None takes the parameters as red, green and blue.

    Returns:
        float32 (N, H, W, 3) in (0, 255).
    """
    if fourier:
        real, imaginary = tf.unstack(parameters)
        parameters = tf.signal.irfft2d(tf.complex(real, imaginary) * wave_scale(size), size)
    channels_last = tf.transpose(parameters, (0, 2, 3, 1))
    if colours is not None:
        channels_last = tf.einsum("nhwc,rc->nhwr", channels_last, tf.constant(colours, tf.float32))
    return 255.0 * tf.sigmoid(channels_last)


def wave_scale(size: tuple[int, int]) -> np.ndarray:
    """How strongly each wave counts: one over its frequency, as in natural images; complex64 (H, W // 2 + 1)."""
    height, width = size
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    # The root of the area makes up for the inverse transform's division by it; the 4 is part of the published recipe.
    return (np.sqrt(height * width) / np.maximum(frequency, 1 / max(size)) / 4).astype(np.complex64)


def colour_matrix(images, *, batch_size: int = 256) -> np.ndarray:
    """The colours that vary together in some images, as a matrix that turns independent numbers into such colours.

    Args:
        images: (N, H, W, 3) array in [0, 255], or batches, see `batches`.
        batch_size: images at once, where they come as an array.

    Returns:
        float32 (3, 3), the symmetric square root of the colours' covariance, scaled so that its longest column is 1.

    Raises:
        ValueError: if the images are not as asked, or have one colour only.
    """
    count, total, products = 0, np.zeros(3), np.zeros((3, 3))
    for pixels, _ in batches(images, batch_size=batch_size):
        colours = pixels.reshape(-1, 3).astype(np.float64) / 255
        count, total, products = count + len(colours), total + colours.sum(axis=0), products + colours.T @ colours
    mean = total / count
    values, axes = np.linalg.eigh(products / count - np.outer(mean, mean))
    if values.max() < 1e-8:
        raise ValueError(f"colour_matrix needs images of more than one colour. Received: {255 * mean} everywhere")
    root = (axes * np.sqrt(np.maximum(values, 0))) @ axes.T
    return (root / np.linalg.norm(root, axis=0).max()).astype(np.float32)
