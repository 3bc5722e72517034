"""What every explanation is given: checked images and classes, batch by batch."""

from collections.abc import Iterator

import keras
import numpy as np

from lib.explain.network.layers import LayerGraph, read_logits


def check_question(model: keras.Model, images: np.ndarray, class_index) -> tuple[LayerGraph, np.ndarray, np.ndarray]:
    """Check what is asked: why does the model see this class in this image?

    Args:
        model: functional or sequential, images (N, H, W, C) -> (N, classes).
        images: (N, H, W, C) uint8 or float in [0, 255], of the model's size.
        class_index: of all images, or (N,) one per image.

    Returns:
        The model read at its logits, the images as an array and (N,) int32 classes.

    Raises:
        ValueError: if one of them is not as described; the message states the rule.
    """
    graph = read_logits(model)
    images = check_images(images)
    check_size(graph, images)
    if len(model.output_shape) != 2:
        raise ValueError(f"the model must give one row of classes per image. Received: output {model.output_shape}")
    classes, count = np.asarray(class_index), model.output_shape[-1]
    if not np.issubdtype(classes.dtype, np.integer):
        raise ValueError(f"class_index must be whole numbers. Received: {classes.dtype}")
    if classes.shape not in ((), (len(images),)):
        raise ValueError(f"class_index must be one number or {len(images)}, one per image. Received: {classes.shape}")
    if classes.size and not (0 <= classes.min() and classes.max() < count):
        raise ValueError(f"class_index must lie in [0, {count - 1}]. Received: {classes.min()} to {classes.max()}")
    return graph, images, np.broadcast_to(classes, len(images)).astype(np.int32)


def check_size(graph: LayerGraph, images: np.ndarray) -> None:
    """Refuse images (N, H, W, C) of another size than the model's own.

    Raises:
        ValueError: naming both sizes.
    """
    wanted = graph.input_shape[1:]
    if len(wanted) != 3 or any(side not in (None, got) for side, got in zip(wanted, images.shape[1:], strict=True)):
        raise ValueError(f"the model takes images of shape {wanted}. Received: {images.shape[1:]}")


def check_images(images: np.ndarray) -> np.ndarray:
    """Images as an array, once they are what the models of this repository take.

    Args:
        images: (N, H, W, C) uint8 or float in [0, 255], N at least 1.

    Returns:
        The same values and dtype.

    Raises:
        ValueError: if the shape, the dtype or the range is wrong.
    """
    images = np.asarray(images)
    if images.ndim != 4:
        raise ValueError(f"images must have shape (N, H, W, C); one alone is image[None]. Received: {images.shape}")
    if images.size == 0:
        raise ValueError(f"images must hold at least one image with pixels. Received: shape {images.shape}")
    if images.dtype != np.uint8 and not np.issubdtype(images.dtype, np.floating):
        raise ValueError(f"images must be uint8 or float. Received: {images.dtype}")
    low, high = images.min(), images.max()
    if not (low >= 0 and high <= 255):  # written so that NaN is refused too
        raise ValueError(f"images must lie in [0, 255]; scaling is inside the model. Received: {low:.4g} to {high:.4g}")
    return images


def batches(images, *, batch_size: int = 64) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Go through images once, in order, whether they come as one array or as a data set.

    Args:
        images: array (N, H, W, 3) in [0, 255]; or batches of such images, alone or with (B,) int labels, e.g. of
            `generators.make_eval_dataset`.
        batch_size: images at once, where they come as an array.

    Yields:
        Images (B, H, W, 3) as they came, and their labels (B,), None where there are none.

    Raises:
        ValueError: if there are no images, or they are not as `check_images` wants them.
    """
    source = images
    if isinstance(images, np.ndarray):
        checked = check_images(images)
        source = (checked[rows] for rows in in_batches(len(checked), batch_size))
    empty = True
    for batch in source:
        pixels, labels = batch if isinstance(batch, tuple) else (batch, None)
        empty = False
        yield check_images(pixels), None if labels is None else np.asarray(labels)
    if empty:
        raise ValueError("there must be at least one image. Received: none")


def in_batches(count: int, batch_size: int) -> Iterator[slice]:
    """Slices of at most `batch_size` that cover `count` rows.

    Raises:
        ValueError: if batch_size is below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1. Received: {batch_size}")
    return (slice(first, min(first + batch_size, count)) for first in range(0, count, batch_size))


def plain_images(images: np.ndarray, grey: float | None) -> np.ndarray:
    """The image that shows nothing, which baselines and covers are made of.

    Args:
        images: (N, H, W, C) in [0, 255].
        grey: value of all its pixels; None takes the mean colour of each image.

    Returns:
        (N, 1, 1, C) float32.
    """
    if grey is None:
        return images.mean(axis=(1, 2), keepdims=True, dtype=np.float32)
    return np.full((len(images), 1, 1, images.shape[-1]), grey, np.float32)
