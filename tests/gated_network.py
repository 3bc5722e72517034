"""A residual network whose blocks weigh their channels by a gate that sees the whole map (Hu et al. 2018)."""

import keras
from keras import layers

from lib.models import blocks


def gated_network(widths: tuple[int, ...], *, image_size: int, gates: bool = True) -> keras.Model:
    """Three classes; a block per width, each but the first at half the side; `gates` False leaves the gates out."""
    image = keras.Input((image_size, image_size, 3), name="image")
    x = blocks.stem(layers.Rescaling(1 / 64, offset=-2.0, name="rescale")(image), widths[0], strides=1)
    for number, width in enumerate(widths):
        name = f"Block_{width}__block_1"
        x = blocks.residual_block(x, width, name=name, strides=2 if number else 1)
        if gates:
            mean = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}__gate_pool")(x)
            gate = layers.Conv2D(width, 1, activation="sigmoid", name=f"{name}__gate_conv")(mean)
            x = layers.Multiply(name=f"{name}__gate")([x, gate])
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, layers.Dense(3, name="logits")(x))
