"""Small random moves of an image, so that what is found in it does not hang on single pixels.

The recipe of Olah et al. 2017 ("Feature Visualization", Distill) for images of 224 pixels, its lengths scaled to the
image's size: pad by 12 pixels of grey, shift by up to 8, scale by 0.9 to 1.1, turn by up to 10 degrees, shift by up to
4. Each is one affine map, so all are one warp here.
"""

import math

import tensorflow as tf

from lib.inputs.augment import GREY, warp

SIZE, PAD, SHIFTS = 224, 12, (8, 4)  # pixels
ZOOM, TURN = 0.1, 10  # share, degrees


def move_randomly(images: tf.Tensor, *, seed: tf.Tensor) -> tf.Tensor:
    """Move each image at random, on grey ground.

    Args:
        images: float32 (N, H, W, 3) in [0, 255].
        seed: (2,) int; the same seed gives the same moves.

    Returns:
        float32 (N, H, W, 3) in [0, 255], with the grey border in view.
    """
    count, height, width = tf.unstack(tf.shape(images)[:3])
    maps = random_moves(count, side=tf.cast(tf.stack([height, width]), tf.float32), seed=seed)
    # The ground is black in `warp`, so grey is made black meanwhile.
    return warp(images - GREY, maps, fill="constant") + GREY


def random_moves(count: tf.Tensor, *, side: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Draw one affine map an image.

    Args:
        count: number of images.
        side: (2,) float height and width in pixels.
        seed: (2,) int.

    Returns:
        (count, 8) float32 rows as `augment.warp` takes them: where in the image each pixel is read from.
    """
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
