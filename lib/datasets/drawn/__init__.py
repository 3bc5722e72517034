"""The data sets that this project draws: made in the cache once, and anew when the code that draws them changes."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from lib.config import paths
from lib.datasets.drawn import letters, objects
from lib.datasets.fetch import disk


def draw_demo(*, progress: bool = True) -> Path:
    """Draw the demo set into the cache, unless it is there already.

    Args:
        progress: whether to show a progress bar.

    Returns:
        The folder `images`; the folder `masks` lies beside it.

    Raises:
        DataError: if the cache cannot be written to.
    """
    sources = Path(objects.__file__).parent.glob("*.py")
    home = _draw("demo", sources, lambda folder: objects.draw(folder / "images", progress=progress))
    return home / "images"


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
        try:
            with disk.whole_folder(home) as partial:
                fill(partial)
        except OSError as error:
            raise disk.write_error(error, home.parent) from error
    return home
