"""The data sets that this project draws: made in the cache once, and anew when the code that draws them changes."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from lib.config import paths
from lib.datasets import storage
from lib.datasets.drawn import letters, objects


def draw_demo() -> Path:
    """The folder `images` of the demo set in the cache; the folder `masks` lies beside it."""
    sources = Path(objects.__file__).parent.glob("*.py")
    return _draw("demo", sources, objects.draw) / "images"


def draw_letters() -> Path:
    """The folder of the four IDX files of the letters in the cache."""
    return _draw("letters", [Path(letters.__file__)], letters.draw)


def _draw(name: str, sources: Iterable[Path], fill: Callable[[Path], None]) -> Path:
    """The folder that `fill` filled, under a name that depends on the code: never a mixture of two drawings."""
    key = hashlib.sha256(b"".join(source.read_bytes() for source in sorted(sources))).hexdigest()[:16]
    home = paths.cache() / name / key
    if not home.is_dir():
        with storage.whole_folder(home) as partial:
            fill(partial)
    return home
