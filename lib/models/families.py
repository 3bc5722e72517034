"""Named models, from scratch: flat functional Keras models that take pixels in [0, 255] and return logits."""

import keras
from keras import layers

from lib.config import Model
from lib.models import blocks


def build_model(config: Model, num_classes: int, *, image_size: int | None = None) -> keras.Model:
    """Build a model by its config.

    Args:
        config: name, widths, depths and options.
        num_classes: number of logits, at least 2.
        image_size: side of the images in pixels; None accepts any size (only for models that pool globally).

    Returns:
        Untrained flat functional model: (B, S, S, 3) uint8 or float in [0, 255] -> (B, num_classes) float32 logits.

    Raises:
        ValueError: if the name is unknown, the images are too small for the number of stages, or the model needs an
            image_size and gets none.
    """
    if config.name not in MODELS:
        raise ValueError(f"Unknown model {config.name!r}. Models: {', '.join(MODELS)}")
    if num_classes < 2:
        raise ValueError(f"num_classes must be at least 2. Received: {num_classes}")
    if image_size is None and config.name not in POOLED:
        raise ValueError(f"{config.name} needs an image_size; any size suits only {', '.join(POOLED)}. Received: None")
    smallest = _smallest_side(config)
    if image_size is not None and image_size < smallest:
        raise ValueError(f"{config.name} with {len(config.filters)} stages needs {smallest} px. Received: {image_size}")
    image = keras.Input((image_size, image_size, 3), name="image")
    # About zero mean and unit spread for natural images, without statistics that would have to travel with the model.
    x = layers.Rescaling(1 / 64, offset=-2.0, name="rescale")(image)
    features = MODELS[config.name](x, config)
    # float32 logits keep the loss exact under mixed precision.
    logits = layers.Dense(num_classes, dtype="float32", name="logits")(features)
    return keras.Model(image, logits, name=config.name)


def softmax(x, config: Model):
    """Multinomial logistic regression on the pixels: the floor that every network must beat."""
    return _pixels(x, config)


def mlp(x, config: Model):
    """Fully connected layers on the pixels, each with ReLU, and batch norm, dropout and penalties where asked."""
    x = _pixels(x, config)
    for units, name, depth in _stages(config):
        for number in range(1, depth + 1):
            prefix = f"{name}__" if depth == 1 else f"{name}__unit_{number}__"
            x = blocks.dense_unit(
                x,
                units,
                name=prefix,
                batch_norm=config.batch_norm,
                dropout=config.dropout,
                penalty=keras.regularizers.L1L2(config.l1, config.l2) if config.l1 or config.l2 else None,
            )
    return x


def simple_cnn(x, config: Model):
    """Three (or more) blocks of convolution, ReLU and max pooling, then one hidden layer: the naive start."""
    for filters, name, convolutions in _stages(config):
        x = blocks.conv_block(x, filters, name=name, convolutions=convolutions, batch_norm=config.batch_norm)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(2 * config.filters[-1], activation="relu", name="hidden")(x)
    return _dropout(x, config)


def conv_blocks(x, config: Model):
    """VGG-like stages of convolutions with batch norm and dropout, pooled globally (Simonyan & Zisserman 2014)."""
    if config.stem_stride > 1:
        x = _stem(x, config)
    for filters, name, convolutions in _stages(config):
        x = blocks.conv_block(
            x,
            filters,
            name=name,
            convolutions=convolutions,
            batch_norm=config.batch_norm,
            dropout=config.dropout / 2,
        )
    return _dropout(layers.GlobalAveragePooling2D(name="pool")(x), config)


def residual(x, config: Model):
    """ResNet: a stem, stages of residual blocks, global average pooling (He et al. 2016)."""
    block = blocks.preactivation_block if config.preactivation else blocks.residual_block
    x = _stem(x, config)
    total, done = sum(config.blocks), 0
    for stage, (filters, name, depth) in enumerate(_stages(config)):
        for number in range(1, depth + 1):
            done += 1
            x = block(
                x,
                filters,
                name=f"{name}__block_{number}",
                strides=2 if stage > 0 and number == 1 else 1,
                squeeze=config.squeeze_excite,
                drop_path=config.stochastic_depth * done / total,
            )
    if config.preactivation:
        x = blocks.normalise(x, "final__batchnorm")
        x = layers.ReLU(name="final__relu")(x)
    return _dropout(layers.GlobalAveragePooling2D(name="pool")(x), config)


MODELS = {"softmax": softmax, "mlp": mlp, "simple_cnn": simple_cnn, "conv_blocks": conv_blocks, "residual": residual}
POOLED = ("conv_blocks", "residual")  # pooled globally: their weights fit images of any size


def _smallest_side(config: Model) -> int:
    """Pixels a side that leave at least one pixel after the last stage: pooling rounds down, strides round up."""
    stages = len(config.filters)
    return {
        "softmax": 1,
        "mlp": 1,
        "simple_cnn": 2**stages,
        "conv_blocks": config.stem_stride * 2**stages,
        "residual": config.stem_stride * 2 ** (stages - 1),
    }[config.name]


def _pixels(x, config: Model):
    """All values of an image in one row; one a pixel where `grey` asks for the mean of its channels."""
    if not config.grey:
        return layers.Flatten(name="flatten")(x)
    pixels = layers.Reshape((-1, x.shape[-1]), name="flatten")(x)
    return layers.GlobalAveragePooling1D(data_format="channels_first", name="grey")(pixels)


def _stages(config: Model) -> list[tuple[int, str, int]]:
    """Filters, block name and depth of each stage; a width that comes twice gets a letter."""
    names = [f"Block_{filters}" for filters in config.filters]
    unique = [name + "bcdefgh"[names[:i].count(name) - 1] * (name in names[:i]) for i, name in enumerate(names)]
    return list(zip(config.filters, unique, config.blocks, strict=True))


def _stem(x, config: Model):
    """First convolution; its patches overlap, so that no pixel is skipped."""
    size = max(3, 2 * config.stem_stride - 1)
    x = layers.Conv2D(
        config.filters[0],
        size,
        strides=config.stem_stride,
        padding="same",
        use_bias=False,
        kernel_initializer=keras.initializers.HeNormal(),
        name="Stem__conv",
    )(x)
    x = blocks.normalise(x, "Stem__batchnorm")
    return layers.ReLU(name="Stem__relu")(x)


def _dropout(x, config: Model):
    return layers.Dropout(config.dropout, name="dropout")(x) if config.dropout else x
