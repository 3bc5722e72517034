"""Images as free parameters: pixel by pixel or as waves, in plain or in decorrelated colours.

What is optimised decides what is found. Steps of equal size in the spectrum, divided by frequency, change an image at
all scales at once, where steps in pixels favour high frequencies; steps along the colours' own axes change it in the
colours that occur together (Olah et al. 2017, "Feature Visualization", Distill).
"""

import math

import numpy as np
import tensorflow as tf

from lib.explain.network.gradients import in_batches
from lib.inputs.augment import GREY, warp

SPREAD = 0.01  # standard deviation of the first parameters: nearly grey images
# The random moves of Olah et al. 2017 for images of 224 pixels, their lengths scaled to the image's size: pad by 12
# pixels of grey, shift by up to 8, scale by 0.9 to 1.1, turn by up to 10 degrees, shift by up to 4.
SIZE, PAD, SHIFTS = 224, 12, (8, 4)  # pixels
ZOOM, TURN = 0.1, 10  # share, degrees


def random_parameters(shape: tuple[int, int, int], *, fourier: bool, seed: int) -> tf.Tensor:
    """Small random parameters of N images of height H and width W, to start from.

    float32 (N, 3, H, W) pixels, or if fourier (2, N, 3, H, W // 2 + 1), the real and imaginary parts of waves.
    """
    count, height, width = shape
    form = (2, count, 3, height, width // 2 + 1) if fourier else (count, 3, height, width)
    return tf.constant(np.random.default_rng(seed).normal(0, SPREAD, form), tf.float32)


def to_images(parameters: tf.Tensor, *, fourier: bool, size: tuple[int, int], colours: np.ndarray | None) -> tf.Tensor:
    """The images, float32 (N, H, W, 3) in (0, 255), that `random_parameters` stand for.

    Without colours, the (3, 3) of `colour_matrix`, the parameters are taken as red, green and blue.
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


def colour_matrix(images: np.ndarray) -> np.ndarray:
    """The colours that vary together in some images, as a matrix that turns independent numbers into such colours.

    Args:
        images: (N, H, W, 3) in [0, 255].

    Returns:
        float32 (3, 3), the symmetric square root of the colours' covariance, scaled so that its longest column is 1;
        the identity where all is of one colour: then nothing is known of how colours vary.
    """
    count, total, products = 0, np.zeros(3), np.zeros((3, 3))
    for rows in in_batches(len(images), 256):
        colours = images[rows].reshape(-1, 3).astype(np.float64) / 255
        count, total, products = count + len(colours), total + colours.sum(axis=0), products + colours.T @ colours
    mean = total / count
    values, axes = np.linalg.eigh(products / count - np.outer(mean, mean))
    if values.max() < 1e-8:
        return np.eye(3, dtype=np.float32)
    root = (axes * np.sqrt(np.maximum(values, 0))) @ axes.T
    return (root / np.linalg.norm(root, axis=0).max()).astype(np.float32)


def move_randomly(images: tf.Tensor, *, seed: tf.Tensor) -> tf.Tensor:
    """Move each image, float32 (N, H, W, 3) in [0, 255], a little at random on grey ground, by a seed of two numbers.

    What is found in the moved images does not hang on single pixels.
    """
    count, height, width = tf.unstack(tf.shape(images)[:3])
    maps = random_moves(count, side=tf.cast(tf.stack([height, width]), tf.float32), seed=seed)
    # The ground is black in `warp`, so grey is made black meanwhile.
    return warp(images - GREY, maps, fill="constant") + GREY


def random_moves(count: tf.Tensor, *, side: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """(count, 8) affine maps as `augment.warp` takes them, each all moves of an image; side: its height and width."""
    draw = tf.unstack(tf.random.stateless_uniform((6, count), seed, -1.0, 1.0))
    # The padded image is larger than the network's input by what the shifts leave of the padding: it is shrunk to fit.
    view = (SIZE + 2 * PAD - sum(SHIFTS)) / SIZE
    step = view / (1 + ZOOM * draw[0])
    angle = draw[1] * math.radians(TURN)
    cos, sin = step * tf.cos(angle), step * tf.sin(angle)
    height, width = tf.unstack(side)
    first, second = (shift / 2 / SIZE for shift in SHIFTS)
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    from_x, from_y = centre_x + draw[4] * second * width, centre_y + draw[5] * second * height
    c = centre_x - cos * from_x + sin * from_y + draw[2] * first * width
    f = centre_y - sin * from_x - cos * from_y + draw[3] * first * height
    zero = tf.zeros_like(cos)
    return tf.stack([cos, -sin, c, sin, cos, f, zero, zero], axis=1)
