"""Keras building blocks: functions from tensor to tensor whose layers share a name prefix.

`Block_64__conv` is drawn inside a collapsible `Block_64` on TensorBoard's Graphs page, and can be tapped by name.
Further `__` nest: `Block_64__unit_2__conv_1`.
"""

import keras
from keras import layers

from lib.models.batch_norm import BatchNormalization


def conv_unit(x, filters: int, *, name: str, strides: int = 1, batch_norm: bool = True, relu: bool = True):
    """Convolution 3 x 3, then batch norm and ReLU where asked.

    Args:
        x: (B, H, W, C) tensor.
        filters: channels of the result.
        name: prefix of the layer names.
        strides: step of the convolution.
        batch_norm: normalise, and leave out the bias that normalising would cancel.
        relu: apply ReLU.

    Returns:
        (B, ceil(H / strides), ceil(W / strides), filters) tensor.
    """
    x = _conv(x, filters, name=f"{name}conv", strides=strides, use_bias=not batch_norm)
    if batch_norm:
        x = normalise(x, f"{name}batchnorm")
    return layers.ReLU(name=f"{name}relu")(x) if relu else x


def conv_block(x, filters: int, *, name: str, convolutions: int = 1, batch_norm: bool = True, dropout: float = 0.0):
    """Convolutions, then dropout of whole channels and 2 x 2 max pooling (Simonyan & Zisserman 2014, with batch norm).

    Args:
        x: (B, H, W, C) tensor.
        filters: channels of the result.
        name: name of the block.
        convolutions: how many in a row.
        batch_norm: normalise after each convolution.
        dropout: share of channels dropped while training.

    Returns:
        (B, H // 2, W // 2, filters) tensor.
    """
    for number in range(1, convolutions + 1):
        prefix = f"{name}__" if convolutions == 1 else f"{name}__unit_{number}__"
        x = conv_unit(x, filters, name=prefix, batch_norm=batch_norm)
    if dropout:
        x = layers.SpatialDropout2D(dropout, name=f"{name}__dropout")(x)
    return layers.MaxPooling2D(2, name=f"{name}__pool")(x)


def residual_block(x, filters: int, *, name: str, strides: int = 1, squeeze: bool = False, drop_path: float = 0.0):
    """Two convolutions beside a shortcut, ReLU after the sum (He et al. 2016a).

    Args:
        x: (B, H, W, C) tensor.
        filters: channels of the result.
        name: name of the block.
        strides: 2 halves the image; the shortcut then averages 2 x 2 pixels (He et al. 2019, "ResNet-D").
        squeeze: weigh the channels by `squeeze_excite`.
        drop_path: chance that the branch is skipped for an image while training (stochastic depth, Huang et al. 2016).

    Returns:
        (B, H / strides, W / strides, filters) tensor.
    """
    shortcut = _shortcut(x, filters, name=name, strides=strides)
    branch = conv_unit(x, filters, name=f"{name}__unit_1__", strides=strides)
    branch = conv_unit(branch, filters, name=f"{name}__unit_2__", relu=False)
    branch = _finish_branch(branch, name=name, squeeze=squeeze, drop_path=drop_path)
    return layers.ReLU(name=f"{name}__relu")(layers.Add(name=f"{name}__add")([shortcut, branch]))


def preactivation_block(x, filters: int, *, name: str, strides: int = 1, squeeze: bool = False, drop_path: float = 0.0):
    """As `residual_block`, with batch norm and ReLU before each convolution and a clean sum (He et al. 2016b)."""
    active = layers.ReLU(name=f"{name}__unit_1__relu")(normalise(x, f"{name}__unit_1__batchnorm"))
    shortcut = _shortcut(active, filters, name=name, strides=strides) if strides > 1 or x.shape[-1] != filters else x
    branch = _conv(active, filters, name=f"{name}__unit_1__conv", strides=strides)
    branch = layers.ReLU(name=f"{name}__unit_2__relu")(normalise(branch, f"{name}__unit_2__batchnorm"))
    branch = _conv(branch, filters, name=f"{name}__unit_2__conv")
    branch = _finish_branch(branch, name=name, squeeze=squeeze, drop_path=drop_path)
    return layers.Add(name=f"{name}__add")([shortcut, branch])


def dense_unit(x, units: int, *, name: str, batch_norm: bool = False, dropout: float = 0.0, penalty=None):
    """Fully connected layer, then batch norm where asked, ReLU, and dropout where asked.

    Args:
        x: (B, N) tensor.
        units: length of the result.
        name: prefix of the layer names.
        batch_norm: normalise, and leave out the bias that normalising would cancel.
        dropout: share of the units dropped while training.
        penalty: Keras regulariser of the kernel, added to the training loss; None for none.

    Returns:
        (B, units) tensor.
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


def squeeze_excite(x, *, name: str, reduction: int = 8):
    """Weigh each channel by a gate computed from the channel means (Hu et al. 2018).

    Args:
        x: (B, H, W, C) tensor.
        name: prefix of the layer names.
        reduction: how much narrower the hidden layer is than C.
    """
    channels = x.shape[-1]
    gate = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}__squeeze")(x)
    gate = layers.Conv2D(max(4, channels // reduction), 1, activation="relu", name=f"{name}__reduce")(gate)
    gate = layers.Conv2D(channels, 1, activation="sigmoid", name=f"{name}__excite")(gate)
    return layers.Multiply(name=f"{name}__scale")([x, gate])


def normalise(x, name: str):
    """Batch normalisation whose running statistics follow short trainings.

    Args:
        x: (B, ..., C) tensor, normalised over all but its last axis.
        name: name of the layer.
    """
    # Momentum 0.9 needs dozens of steps; Keras' 0.99 needs thousands.
    return BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)(x)


def _shortcut(x, filters: int, *, name: str, strides: int):
    if strides > 1:
        x = layers.AveragePooling2D(strides, padding="same", name=f"{name}__shortcut_pool")(x)
    if x.shape[-1] != filters:
        x = _conv(x, filters, name=f"{name}__shortcut_conv", kernel_size=1)
        x = normalise(x, f"{name}__shortcut_batchnorm")
    return x


def _finish_branch(x, *, name: str, squeeze: bool, drop_path: float):
    if squeeze:
        x = squeeze_excite(x, name=name)
    if drop_path:
        # One draw an image: dropping "noise" of shape (B, 1, 1, 1) skips the whole branch.
        x = layers.Dropout(drop_path, noise_shape=(None, 1, 1, 1), name=f"{name}__drop_path")(x)
    return x


def _conv(x, filters: int, *, name: str, strides: int = 1, kernel_size: int = 3, use_bias: bool = False):
    return layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding="same",
        use_bias=use_bias,
        kernel_initializer=keras.initializers.HeNormal(),
        name=name,
    )(x)
