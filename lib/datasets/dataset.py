"""An indexed data set: which images there are, of which class, and what was left out."""

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from PIL import Image

from lib.datasets.images import read_rgb
from lib.datasets.storage import DataError

COLUMNS = ["path", "label", "class_name", "width", "height", "channels", "bytes", "sha256", "role"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """An indexed data set: which images there are, of which class, and what was left out."""

    name: str
    title: str
    root: Path
    # One row per image, columns COLUMNS; `path` is relative to root, with forward slashes, or names part and row of an
    # array, as in `train#00123`.
    index: pd.DataFrame
    class_names: tuple[str, ...]
    left_out: pd.DataFrame  # columns path, reason
    source: str  # verified, unverified copy, drawn, your folder
    licence: str
    citation: str
    checksum: str  # sha256 over the index's path, label and sha256
    masks: Path | None = None  # folder of object masks with the index's paths, as PNG
    arrays: Mapping[str, np.ndarray] | None = None  # by part (N, H, W) or (N, H, W, 3) uint8, where there are no files
    unlabelled: tuple[str, ...] = ()  # paths of images that have no label, to be predicted
    boxes: pd.DataFrame | None = None  # columns path, x0, y0, x1, y1: pixels, the last ones included

    def open_image(self, row: int | pd.Series | tuple | str) -> Image.Image:
        """Read one image.

        Args:
            row: row number of the index, a row of it (`index.iloc[n]`, or one from `itertuples()`), or a path as the
                index and `unlabelled` have them.

        Returns:
            A Pillow image of mode RGB.

        Raises:
            DataError: if the file has gone or was damaged since it was indexed.
        """
        path = self._path(row)
        if self.arrays is None:
            return read_rgb(self.root / path)
        return Image.fromarray(self._pixels(path)).convert("RGB")

    def read_pixels(self, rows: np.ndarray) -> np.ndarray:
        """Copy the pixels of some rows of a data set that lies in arrays.

        Args:
            rows: (B,) row numbers of the index.

        Returns:
            (B, H, W) or (B, H, W, 3) uint8 in [0, 255], as stored.

        Raises:
            DataError: if this data set consists of files.
        """
        if self.arrays is None:
            raise DataError(f"{self.name} consists of files, not of arrays: read it with open_image.")
        return np.stack([self._pixels(path) for path in self.index["path"].iloc[rows]])

    def mask_path(self, row: int | pd.Series | tuple) -> Path | None:
        """The mask of one image (8-bit PNG of the image's size, 255 on the object), or None if there is none."""
        if self.masks is None:
            return None
        mask = self.masks / PurePosixPath(self._path(row)).with_suffix(".png")
        return mask if mask.is_file() else None

    def keep(self, rows: np.ndarray) -> "Dataset":
        """The same data set with only some rows of the index, renumbered from 0; classes keep their labels.

        Args:
            rows: (N,) row numbers.
        """
        index = self.index.iloc[np.sort(rows)].reset_index(drop=True)
        boxes = self.boxes
        if boxes is not None:
            boxes = boxes[boxes["path"].isin(index["path"])].reset_index(drop=True)
        return dataclasses.replace(self, index=index, boxes=boxes, checksum=checksum_of(index))

    def _pixels(self, path: str) -> np.ndarray:
        part, _, number = path.partition("#")
        return self.arrays[part][int(number)]

    def _path(self, row: int | pd.Series | tuple | str) -> str:
        if isinstance(row, str):
            return row
        return self.index["path"].iloc[row] if isinstance(row, (int, np.integer)) else row.path


def checksum_of(index: pd.DataFrame) -> str:
    """sha256 over the path, label and sha256 of every row."""
    columns = (index[name].tolist() for name in ("path", "label", "sha256"))
    rows = "".join(map("{}\t{}\t{}\n".format, *columns))
    return hashlib.sha256(rows.encode()).hexdigest()
