"""The data sets that this project draws: made in the cache once, and anew when the code that draws them changes."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from lib.config import paths
from lib.datasets import storage
from lib.datasets.drawn import letters, objects


def draw_demo(*, progress: bool = True) -> Path:
    """Draw the demo set into the cache, unless it is there already.

    Args:
        progress: whether to show a progress bar.

    Returns:
        The folder `images`; the folder `masks` lies beside it.

    Raises:
        DataError: if it cannot be drawn, e.g. because the disk is full.
    """
    sources = Path(objects.__file__).parent.glob("*.py")
    return _draw("demo", sources, lambda folder: objects.draw(folder, progress=progress)) / "images"


def draw_letters() -> Path:
    """Draw the letters into the cache, unless they are there already.

    Returns:
        The folder with their four IDX files.

    Raises:
        DataError: if the cache cannot be written to.
    """
    return _draw("letters", [Path(letters.__file__)], letters.draw)


def _draw(name: str, sources: Iterable[Path], fill: Callable[[Path], None]) -> Path:
    """The folder that `fill` filled, under a name that depends on the code: never a mixture of two drawings."""
    key = hashlib.sha256(b"".join(source.read_bytes() for source in sorted(sources))).hexdigest()[:16]
    home = paths.cache() / name / key
    if not home.is_dir():
        with storage.whole_folder(home) as partial:
            fill(partial)
    return home
