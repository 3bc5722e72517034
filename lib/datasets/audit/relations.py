"""Images that are known to show the same photograph, though no comparison of whole images would tell."""

import numpy as np
import pandas as pd

# Files of the same name in these class folders are the same photograph: the second is cut out of the first. Found by
# looking for each of the 435 images of Faces_easy inside the one of Faces with its number: the best correlation is at
# least 0.91 for all, and at most 0.79 inside an image with another number.
CUT_OUT = {"caltech101": (("Faces", "Faces_easy"),)}


def known_pairs(name: str, paths: pd.Series) -> np.ndarray:
    """Pairs of images that are the same photograph by what is known of a data set.

    Args:
        name: of the data set.
        paths: of its images, `folder/file`.

    Returns:
        (M, 2) int64 row numbers.
    """
    rows = {path: row for row, path in enumerate(paths)}
    pairs = [
        (row, rows[f"{second}/{path.removeprefix(f'{first}/')}"])
        for first, second in CUT_OUT.get(name, ())
        for path, row in rows.items()
        if path.startswith(f"{first}/") and f"{second}/{path.removeprefix(f'{first}/')}" in rows
    ]
    return np.array(pairs, np.int64).reshape(-1, 2)
