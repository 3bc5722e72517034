"""Keras building blocks: functions from tensor to tensor whose layers share a name prefix.

`Block_64__conv` is drawn inside a collapsible `Block_64` on TensorBoard's Graphs page, and can be tapped by name.
Further `__` nest: `Block_64__unit_2__conv_1`. Maps are (B, H, W, C), `filters` and `units` are the channels of the
result, `name` is the block's name or a prefix of layer names, and `strides` shrink the maps, rounding up.
"""

import keras
from keras import layers

from lib.models.batch_norm import BatchNormalization
from lib.models.convolution import Conv2D


def conv_unit(x, filters: int, *, name: str, strides: int = 1, batch_norm: bool = True, relu: bool = True):
    """Convolution 3 x 3, then batch norm and ReLU where asked; no bias where normalising would cancel it."""
    x = _conv(x, filters, name=f"{name}conv", strides=strides, use_bias=not batch_norm)
    return _activated(x, name, batch_norm=batch_norm, relu=relu)


def conv_block(x, filters: int, *, name: str, convolutions: int = 1, batch_norm: bool = True, dropout: float = 0.0):
    """Convolutions, then dropout of whole channels and 2 x 2 max pooling (Simonyan & Zisserman 2014, with batch norm).

    Maps (B, H, W, C) become (B, H // 2, W // 2, filters).
    """
    for number in range(1, convolutions + 1):
        prefix = f"{name}__" if convolutions == 1 else f"{name}__unit_{number}__"
        x = conv_unit(x, filters, name=prefix, batch_norm=batch_norm)
    if dropout:
        x = layers.SpatialDropout2D(dropout, name=f"{name}__dropout")(x)
    return layers.MaxPooling2D(2, name=f"{name}__pool")(x)


def pooled_block(x, filters: int, *, name: str, convolutions: int = 1, batch_norm: bool = True, dropout: float = 0.0):
    """As `conv_block`, but pooled after the first convolution: all others see a quarter of the map (Jordan 2024).

    Maps (B, H, W, C) become (B, H // 2, W // 2, filters).
    """
    x = _conv(x, filters, name=f"{name}__unit_1__conv", use_bias=not batch_norm)
    x = layers.MaxPooling2D(2, name=f"{name}__unit_1__pool")(x)
    x = _activated(x, f"{name}__unit_1__", batch_norm=batch_norm)
    for number in range(2, convolutions + 1):
        x = conv_unit(x, filters, name=f"{name}__unit_{number}__", batch_norm=batch_norm)
    return layers.SpatialDropout2D(dropout, name=f"{name}__dropout")(x) if dropout else x


def residual_block(x, filters: int, *, name: str, strides: int = 1, shortcut: bool = True):
    """Two convolutions beside a shortcut, ReLU after the sum (He et al. 2016a); or the two convolutions alone.

    Where the block halves the image, the shortcut averages 2 x 2 pixels (He et al. 2019, "ResNet-D").
    """
    passed = _shortcut(x, filters, name=name, strides=strides) if shortcut else None
    x = conv_unit(x, filters, name=f"{name}__unit_1__", strides=strides)
    x = conv_unit(x, filters, name=f"{name}__unit_2__", relu=False)
    x = layers.Add(name=f"{name}__add")([passed, x]) if shortcut else x
    return layers.ReLU(name=f"{name}__relu")(x)


def dense_unit(x, units: int, *, name: str, batch_norm: bool = False, dropout: float = 0.0, penalty=None):
    """Fully connected layer (B, N) -> (B, units), then batch norm where asked, ReLU, and dropout where asked.

    `penalty` is a Keras regulariser of the kernel, added to the training loss.
    """
    x = layers.Dense(
        units,
        use_bias=not batch_norm,
        kernel_initializer=keras.initializers.HeNormal(),
        kernel_regularizer=penalty,
        name=f"{name}dense",
    )(x)
    if batch_norm:
        x = normalise(x, f"{name}batchnorm")
    x = layers.ReLU(name=f"{name}relu")(x)
    return layers.Dropout(dropout, name=f"{name}dropout")(x) if dropout else x


def flat_pixels(x, *, grey: bool = False):
    """All values of each image in one row (B, H * W * C); with `grey` the mean of the channels, (B, H * W)."""
    if not grey:
        return layers.Flatten(name="flatten")(x)
    pixels = layers.Reshape((-1, x.shape[-1]), name="flatten")(x)
    return layers.GlobalAveragePooling1D(data_format="channels_first", name="grey")(pixels)


def stem(x, filters: int, *, strides: int):
    """First convolution with batch norm and ReLU; its patches overlap, so that no pixel is skipped."""
    x = _conv(x, filters, name="Stem__conv", strides=strides, kernel_size=max(3, 2 * strides - 1))
    return layers.ReLU(name="Stem__relu")(normalise(x, "Stem__batchnorm"))


def normalise(x, name: str):
    """Batch normalisation over all but the last axis, whose running statistics follow short trainings."""
    # Momentum 0.9 needs dozens of steps; Keras' 0.99 needs thousands.
    return BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)(x)


def _activated(x, name: str, *, batch_norm: bool, relu: bool = True):
    if batch_norm:
        x = normalise(x, f"{name}batchnorm")
    return layers.ReLU(name=f"{name}relu")(x) if relu else x


def _shortcut(x, filters: int, *, name: str, strides: int):
    if strides > 1:
        x = layers.AveragePooling2D(strides, padding="same", name=f"{name}__shortcut_pool")(x)
    if x.shape[-1] != filters:
        x = _conv(x, filters, name=f"{name}__shortcut_conv", kernel_size=1)
        x = normalise(x, f"{name}__shortcut_batchnorm")
    return x


def _conv(x, filters: int, *, name: str, strides: int = 1, kernel_size: int = 3, use_bias: bool = False):
    return Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding="same",
        use_bias=use_bias,
        kernel_initializer=keras.initializers.HeNormal(),
        name=name,
    )(x)
