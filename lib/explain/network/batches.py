"""Images batch by batch, whether they come as one array or as a data set, so that a pass needs little memory."""

from collections.abc import Iterator

import numpy as np

from lib.explain.network.inputs import check_images, in_batches


def batches(images, *, batch_size: int = 64) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Go through images once, in order.

    Args:
        images: array (N, H, W, 3) in [0, 255]; or batches of such images, alone or with (B,) int labels, e.g. of
            `generators.make_eval_dataset`.
        batch_size: images at once, where they come as an array.

    Yields:
        Images (B, H, W, 3) as they came, and their labels (B,), None where there are none.

    Raises:
        ValueError: if there are no images, or they are not as `inputs.check_images` wants them.
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
