"""What one layer reads: the rows and columns of its input that some rows and columns of its output depend on."""

import numpy as np

# By the name of the class, because Keras writes `x + y` as an operation of its own beside the layer Add.
WINDOWED = {"Conv2D", "DepthwiseConv2D", "SeparableConv2D", "MaxPooling2D", "AveragePooling2D"}
SUMMING = {"GlobalAveragePooling2D", "GlobalMaxPooling2D", "Flatten"}
POINTWISE = {
    *("Activation", "ReLU", "LeakyReLU", "ELU", "Relu", "Relu6", "Silu", "Gelu", "Elu", "Selu", "Sigmoid", "Tanh"),
    *("HardSigmoid", "HardSilu", "Softplus", "Softsign", "Mish", "Identity", "Rescaling", "Normalization"),
    *("BatchNormalization", "Dropout", "SpatialDropout2D", "AlphaDropout", "GaussianNoise", "GaussianDropout"),
    *("Add", "Subtract", "Multiply", "Divide", "TrueDivide", "Maximum", "Minimum", "Average", "Negative", "Absolute"),
    *("Clip", "Power", "Sqrt", "Square", "Exp", "Log", "ActivityRegularization", "Cast", "LayerScale"),
}
CHANNEL_AXIS = {"Softmax", "LayerNormalization", "Concatenate", "PReLU", "Dense"}  # pointwise under a condition


class UntraceableError(ValueError):
    """A layer mixes positions in a way that is not known here."""


def sides(shape: tuple[int | None, ...]) -> tuple[int, int] | None:
    """Height and width of a map (B, h, w, C); None for tensors of other ranks."""
    return tuple(shape[1:3]) if len(shape) == 4 else None


def is_gate(size: tuple[int, int] | None, *, out: tuple[int, int] | None) -> bool:
    """Whether an input is one value a channel that acts on a whole map, as in squeeze-and-excite (Hu et al. 2018).

    Args:
        size: height and width of the input, None without a map.
        out: height and width of the output, None without a map.
    """
    return out is not None and max(out) > 1 and (size is None or max(size) == 1)


def positions_read(operation, masks: list[np.ndarray], *, size: tuple[int, int] | None) -> list[np.ndarray]:
    """The positions of one input that an operation reads to make some positions of its output.

    Args:
        operation: Keras layer or operation with channels last.
        masks: bool (h,) and (w,), the rows and columns of the output; one bool each for an output without a map.
        size: height and width of the input, None for an input without a map.

    Returns:
        bool (H,) and (W,), the rows and columns of the input; one bool each for an input without a map.

    Raises:
        UntraceableError: if the operation is of a kind that is not known here.
    """
    name = type(operation).__name__
    lengths = (1, 1) if size is None else size
    if name in WINDOWED and operation.data_format == "channels_last":
        return [_window(operation, mask, length=length, axis=i) for i, (mask, length) in _axes(masks, lengths)]
    if name in SUMMING or size is None or (name == "Reshape" and all(len(mask) == 1 for mask in masks)):
        return [np.ones(length, bool) for length in lengths]
    if name in POINTWISE or (name in CHANNEL_AXIS and _keeps_positions(operation, name)):
        return [_broadcast(mask, length=length) for _, (mask, length) in _axes(masks, lengths)]
    if name in ("ZeroPadding2D", "Cropping2D"):
        return [_shift(operation, mask, length=length, axis=i) for i, (mask, length) in _axes(masks, lengths)]
    if name == "UpSampling2D" and operation.interpolation == "nearest":
        steps = operation.size
        return [mask.reshape(-1, step).any(axis=1) for mask, step in zip(masks, steps, strict=True)]
    raise UntraceableError(
        f"a receptive field can only be traced through known layers. Received: {operation.name!r} of type {name}"
    )


def _axes(masks, lengths):
    return enumerate(zip(masks, lengths, strict=True))


def _window(operation, mask: np.ndarray, *, length: int, axis: int) -> np.ndarray:
    """Sliding windows: kernels and pools, with their stride, dilation and padding."""
    kernel = getattr(operation, "kernel_size", None) or operation.pool_size
    dilation = getattr(operation, "dilation_rate", (1, 1))[axis]
    stride = operation.strides[axis]
    extent = (kernel[axis] - 1) * dilation + 1
    # TensorFlow pads as little as it must, and the odd row at the bottom or right.
    padding = max((len(mask) - 1) * stride + extent - length, 0) if operation.padding == "same" else 0
    read = np.flatnonzero(mask)[:, None] * stride - padding // 2 + np.arange(kernel[axis]) * dilation
    result = np.zeros(length, bool)
    result[read[(read >= 0) & (read < length)]] = True
    return result


def _shift(operation, mask: np.ndarray, *, length: int, axis: int) -> np.ndarray:
    """Rows and columns added or cut off at the borders."""
    added = hasattr(operation, "padding")
    before, _ = operation.padding[axis] if added else operation.cropping[axis]
    read = np.flatnonzero(mask) + (-before if added else before)
    result = np.zeros(length, bool)
    result[read[(read >= 0) & (read < length)]] = True
    return result


def _broadcast(mask: np.ndarray, *, length: int) -> np.ndarray:
    """The same positions; one position that acts on all of them is read if any is."""
    return mask.copy() if len(mask) == length else np.full(length, mask.any())


def _keeps_positions(operation, name: str) -> bool:
    """Whether an operation that may mix positions, by its axis, works on the channels alone."""
    axis = getattr(operation, "axis", -1)
    if name == "PReLU":
        return True
    return axis in (-1, 3, [-1], [3], (-1,), (3,))
