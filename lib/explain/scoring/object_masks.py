"""Where the object lies in an image, from mask files or boxes, at the size and in the shape a network sees it."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from lib.datasets import DataError, Dataset
from lib.inputs.cache import resize_image


def object_masks(dataset: Dataset, rows: Sequence[int], *, size: int, resize: str = "stretch") -> np.ndarray:
    """(N, size, size) bool, True on the object of each image, resized as the images are: see `cache.resize_image`.

    A pixel belongs to the object if the object covers at least half of it. Mask files come before boxes; of several
    boxes of an image, all count. A mask is empty where the object is not known, or covers no half pixel at this size.
    A mask file or box that does not fit its image is a DataError.
    """
    boxes = None if dataset.boxes is None else dataset.boxes.groupby("path")[["x0", "y0", "x1", "y1"]]
    masks = np.zeros((len(rows), size, size), bool)
    for place, row in enumerate(rows):
        cover = _cover(dataset, int(row), boxes)
        if cover is not None:
            masks[place] = np.asarray(resize_image(cover, size=size, resize=resize)) >= 128
    return masks


def _cover(dataset: Dataset, row: int, boxes) -> Image.Image | None:
    """The object at the image's own size (mode L, 255 on it), or None where it is not known."""
    entry = dataset.index.iloc[row]
    size = (int(entry["width"]), int(entry["height"]))
    file = dataset.mask_path(row)
    if file is not None:
        return _read_mask(file, size=size)
    if boxes is None or entry["path"] not in boxes.groups:
        return None
    cover = np.zeros(size[::-1], np.uint8)
    for x0, y0, x1, y1 in boxes.get_group(entry["path"]).itertuples(index=False):
        if not (0 <= x0 <= x1 < size[0] and 0 <= y0 <= y1 < size[1]):
            raise DataError(
                f"a box must lie in its image, {size[0]} x {size[1]} pixels, with both corners inside. "
                f"Received: x0={x0}, y0={y0}, x1={x1}, y1={y1} for {entry['path']}"
            )
        cover[int(y0) : int(y1) + 1, int(x0) : int(x1) + 1] = 255  # both corners belong to the box
    return Image.fromarray(cover)


def _read_mask(file, *, size: tuple[int, int]) -> Image.Image:
    try:
        with Image.open(file) as image:
            mask = image.convert("L")
    except (OSError, SyntaxError) as error:
        raise DataError(f"{file}: the object mask is damaged: {error}") from error
    if mask.size != size:
        raise DataError(
            f"{file}: an object mask must have the size of its image, {size[0]} x {size[1]}. "
            f"Received: {mask.size[0]} x {mask.size[1]}"
        )
    return mask
