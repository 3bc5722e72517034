"""Random changes to a batch of training images, each a pure function of the batch and a seed.

Flip, rotation, shift, zoom, aspect, shear, crop and perspective are drawn per image and applied together in one warp,
so each pixel is interpolated once.
"""

import math

import tensorflow as tf

from lib.config import Augment

GEOMETRIC = ("flip", "rotation", "shift", "zoom", "aspect", "shear", "crop", "perspective")
GREY = 127.5


def augment_batch(images: tf.Tensor, labels: tf.Tensor, *, config: Augment, num_classes: int, seed: tf.Tensor):
    """Apply every change that `config` switches on to one batch.

    Args:
        images: (B, H, W, 3) uint8 or float in [0, 255].
        labels: (B,) int class numbers.
        config: which changes, and how strong.
        num_classes: number of classes, for the label rows of mixed images.
        seed: (2,) int; the same seed gives the same batch.

    Returns:
        images (B, H, W, 3) float32 in [0, 255] and labels: (B,) int as given, or (B, num_classes) float32 rows that
        sum to one where images are mixed.
    """
    moves, colours, _, chances, boxes = tf.unstack(tf.random.split(tf.convert_to_tensor(seed, tf.int32), 5))
    if any(getattr(config, name) for name in GEOMETRIC):
        transforms = random_transforms(tf.shape(images)[0], config=config, sides=tf.shape(images)[1:3], seed=moves)
        images = warp(images, transforms, fill=config.fill, perspective=config.perspective > 0)
    images = tf.cast(images, tf.float32)
    if config.colour:
        images = jitter_colour(images, strength=config.colour, seed=colours)
    if config.cutmix:
        pasted = tf.random.stateless_uniform((tf.shape(images)[0],), chances) > 1 - config.cutmix
        images, labels = cutmix(images, tf.one_hot(labels, num_classes), pasted=pasted, seed=boxes)
    return images, labels


def random_transforms(count: tf.Tensor, *, config: Augment, sides: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """One map per image, drawn from the ranges of `config`; `sides` is height and width in pixels.

    Returns:
        (count, 8) float32 rows a to h for `warp`: output pixel (x, y) reads from (a x + b y + c, d x + e y + f), both
        divided by g x + h y + 1; g and h are 0 without perspective.
    """
    draw = tf.unstack(tf.random.stateless_uniform((7, count), seed, -1.0, 1.0))
    mirror = tf.where(draw[0] < 0, -1.0, 1.0) if config.flip else tf.ones_like(draw[0])
    angle = draw[1] * math.radians(config.rotation)
    slant = tf.tan(draw[2] * math.radians(config.shear))
    zoom = tf.exp(-draw[3] * math.log1p(config.zoom))  # reading from closer together enlarges
    stretch = tf.exp(0.5 * draw[4] * math.log1p(config.aspect))
    # By a seed of their own, so that the other draws are the same with and without them.
    window, across, down, *tilt = tf.unstack(
        tf.random.stateless_uniform((5, count), tf.random.fold_in(seed, 1), -1.0, 1.0)
    )
    side = 1 - config.crop * (window + 1) / 2
    if config.crop:
        zoom *= side
    a, b = mirror * zoom * stretch * tf.cos(angle), zoom * stretch * (slant * tf.cos(angle) - tf.sin(angle))
    d, e = mirror * zoom / stretch * tf.sin(angle), zoom / stretch * (slant * tf.sin(angle) + tf.cos(angle))
    height, width = tf.unstack(tf.cast(sides, tf.float32))
    right, below = draw[5] * config.shift * width, draw[6] * config.shift * height
    if not any(getattr(config, name) for name in GEOMETRIC if name not in ("flip", "shift")):
        # Steps between pixels would blur images that nothing else blurs, and those to be predicted are sharp.
        right, below = tf.round(right), tf.round(below)
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    c = centre_x - a * centre_x - b * centre_y + right
    f = centre_y - d * centre_x - e * centre_y + below
    if config.crop:
        c += across * (1 - side) * centre_x
        f += down * (1 - side) * centre_y
    rows, zero = [a, b, c, d, e, f], tf.zeros_like(a)
    if not config.perspective:
        return tf.stack([*rows, zero, zero], axis=1)
    g, h = tilt[0] * config.perspective / centre_x, tilt[1] * config.perspective / centre_y
    return _tilted(rows, (g, h), centre=(centre_x, centre_y))


def _tilted(rows: list, tilt: tuple, *, centre: tuple) -> tf.Tensor:
    """Affine maps applied to an image that is tilted about its centre: any perspective is a tilt and an affine map.

    `tilt` is how much the depth grows per pixel to the right and down; it is 1 at the centre.
    """
    a, b, c, d, e, f = rows
    (g, h), (x, y) = tilt, centre
    depth = 1 - g * x - h * y  # at the first pixel, by which everything is divided
    middle_x, middle_y = a * x + b * y + c, d * x + e * y + f
    above = [a + middle_x * g, b + middle_x * h, middle_x * depth - a * x - b * y]
    below = [d + middle_y * g, e + middle_y * h, middle_y * depth - d * x - e * y]
    return tf.stack([*above, *below, g, h], axis=1) / depth[:, None]


@tf.function(jit_compile=True)
def warp(images: tf.Tensor, transforms: tf.Tensor, *, fill: str = "reflect", perspective: bool = False) -> tf.Tensor:
    """Move the pixels of a batch by one map per image, bilinear.

    XLA makes one loop of it, four times as fast as TensorFlow's own ImageProjectiveTransform.

    Args:
        images: (B, H, W, C), any number type.
        transforms: (B, 8) float32 rows of `random_transforms`.
        fill: what moves in from outside the image: reflect, nearest or constant (black).
        perspective: whether any of the last two columns is not 0.

    Returns:
        (B, H, W, C) float32.
    """
    count, height, width, channels = tf.unstack(tf.shape(images))
    row, column = tf.range(height, dtype=tf.float32)[:, None], tf.range(width, dtype=tf.float32)
    a, b, c, d, e, f, g, h = tf.unstack(transforms[:, :, None, None], axis=1)
    depth = g * column + h * row + 1 if perspective else 1.0
    left, right, across, inside_x = _neighbours((a * column + b * row + c) / depth, width, fill)
    above, below, down, inside_y = _neighbours((d * column + e * row + f) / depth, height, fill)
    pixels = tf.reshape(tf.cast(images, tf.float32), (-1, channels))
    first = tf.range(count)[:, None, None] * height
    above, below = (first + above) * width, (first + below) * width
    top = tf.gather(pixels, above + left) * (1 - across) + tf.gather(pixels, above + right) * across
    bottom = tf.gather(pixels, below + left) * (1 - across) + tf.gather(pixels, below + right) * across
    return tf.ensure_shape((top * (1 - down) + bottom * down) * inside_x * inside_y, images.shape)


def _neighbours(position: tf.Tensor, side: tf.Tensor, fill: str):
    """The two pixels on either side of a position, the share of the second, and how much of both is in the image."""
    length, inside = tf.cast(side, tf.float32), 1.0
    if fill == "constant":
        inside = tf.clip_by_value(1 - tf.maximum(-position, position - (length - 1)), 0.0, 1.0)[..., None]
    if fill == "reflect":
        position = length - tf.abs(tf.math.floormod(position + 0.5, 2 * length) - length) - 0.5
    position = tf.clip_by_value(position, 0.0, length - 1)
    first = tf.floor(position)
    pixel = tf.cast(first, tf.int32)
    return pixel, tf.minimum(pixel + 1, side - 1), (position - first)[..., None], inside


def jitter_colour(images: tf.Tensor, *, strength: float, seed: tf.Tensor) -> tf.Tensor:
    """Change brightness, contrast and saturation per image by up to `strength` in [0, 1], clipped to [0, 255].

    0.3 scales contrast and saturation by 0.7 to 1.3, and moves brightness by up to 0.15 of the range.
    """
    draw = tf.random.stateless_uniform((3, tf.shape(images)[0], 1, 1, 1), seed, -strength, strength)
    brightness, contrast, saturation = tf.unstack(draw)
    grey = tf.reduce_mean(images, axis=3, keepdims=True)
    mean = tf.reduce_mean(grey, axis=(1, 2), keepdims=True)
    images = grey + (images - grey) * (1 + saturation)
    images = mean + (images - mean) * (1 + contrast) + brightness * GREY
    return tf.clip_by_value(images, 0.0, 255.0)


def random_boxes(images: tf.Tensor, area: tf.Tensor, *, seed: tf.Tensor) -> tf.Tensor:
    """One random rectangle per image, cut off at the border: (B, H, W, 1) float32, 1 inside.

    `area` (B,) is the fraction of the image that the uncut square covers.
    """
    count, height, width = tf.unstack(tf.shape(images)[:3])
    centre = tf.random.stateless_uniform((2, count, 1, 1), seed)
    half = tf.sqrt(area)[:, None, None] / 2
    rows = (tf.range(height, dtype=tf.float32)[None, :, None] + 0.5) / tf.cast(height, tf.float32)
    columns = (tf.range(width, dtype=tf.float32)[None, None, :] + 0.5) / tf.cast(width, tf.float32)
    inside = (tf.abs(rows - centre[0]) < half) & (tf.abs(columns - centre[1]) < half)
    return tf.cast(inside, tf.float32)[..., None]


def cutmix(images: tf.Tensor, rows: tf.Tensor, *, pasted: tf.Tensor, seed: tf.Tensor):
    """CutMix (Yun et al. 2019) with the batch in reverse order and Beta(1, 1), where `pasted` (B,) is true.

    Returns:
        The mixed images, and class weights (B, num_classes) by the share of pixels that each image really gave.
    """
    where, place = tf.unstack(tf.random.split(seed, 2))
    share = tf.random.stateless_uniform((tf.shape(images)[0],), where)
    weight = random_boxes(images, tf.where(pasted, share, 0.0), seed=place)
    images = images + (images[::-1] - images) * weight
    return images, rows + (rows[::-1] - rows) * tf.reduce_mean(weight, axis=(1, 2))
