"""The data sets by name. Adding one is adding an entry here, and a reader if its folders are laid out differently."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lib.datasets.errors import DataError
from lib.datasets.tree import Listing, list_class_folders


@dataclass(frozen=True)
class Entry:
    """What is known about one data set before it is opened."""

    name: str
    title: str
    licence: str
    citation: str
    address: str = ""  # of the official archive; empty where there is nothing to download
    size: int | None = None  # bytes of that archive
    md5: str = ""  # of that archive
    inner: str = ""  # name of an archive inside it that holds the images
    inner_md5: str = ""
    names: tuple[str, ...] = ()  # what its folder or archive is called; case, "-", "_" and spaces do not matter
    images: int | None = None  # images in the official archive, clutter included
    clutter: tuple[str, ...] = ()  # folders that show no one object
    stray: dict[str, str] = field(default_factory=dict)  # files and folders to leave out -> the reason
    reader: Callable[[Path], Listing] = list_class_folders

    @property
    def sums(self) -> tuple[str, ...]:
        """md5 sums of official archives."""
        return tuple(value for value in (self.md5, self.inner_md5) if value)


CALTECH101 = Entry(
    name="caltech101",
    title="Caltech-101",
    licence="CC BY 4.0",
    citation=(
        "L. Fei-Fei, R. Fergus, P. Perona (2004). Learning generative visual models from few training examples: an "
        "incremental Bayesian approach tested on 101 object categories. CVPR Workshop on Generative-Model Based "
        "Vision. Data: CaltechDATA, doi:10.22002/D1.20086"
    ),
    address="https://data.caltech.edu/records/mzrjq-6wc02/files/caltech-101.zip",
    size=137_414_764,
    md5="3138e1922a9193bfa496528edbbc45d0",
    inner="101_ObjectCategories.tar.gz",
    inner_md5="b224c7392d521a49829488ab0f1120d9",
    names=("101_ObjectCategories", "caltech101"),
    images=9_144,
    clutter=("BACKGROUND_Google",),
    stray={"BACKGROUND_Google/tmp": "stray JPEG of the official archive, outside its numbering"},
)

CALTECH256 = Entry(
    name="caltech256",
    title="Caltech-256",
    licence="CC BY 4.0",
    citation=(
        "G. Griffin, A. Holub, P. Perona (2007). Caltech-256 object category dataset. Technical report, California "
        "Institute of Technology. Data: CaltechDATA, doi:10.22002/D1.20087"
    ),
    address="https://data.caltech.edu/records/nyy15-4j048/files/256_ObjectCategories.tar",
    size=1_183_006_720,
    md5="67b4f42ca05d46448c6bb8ecd2220f6d",
    names=("256_ObjectCategories", "caltech256"),
    images=30_607,
    clutter=("257.clutter",),
    stray={
        "056.dog/greg": "folder inside a class folder, stray in the official archive",
        "198.spider/RENAME2": "stray file of the official archive, not an image",
    },
)

DEMO = Entry(
    name="demo",
    title="Drawn demo set",
    licence="made by this project, under its licence",
    citation="Drawn by lib/demo_data.py of this project",
    clutter=("013.clutter",),
)

FOLDER = Entry(
    name="folder",
    title="A folder of images",
    licence="that of your images",
    citation="that of your images",
)

ENTRIES = {entry.name: entry for entry in (CALTECH101, CALTECH256, DEMO, FOLDER)}


def find(name: str) -> Entry:
    """The entry of that name.

    Raises:
        DataError: if there is none; the message lists the ones there are.
    """
    if name not in ENTRIES:
        raise DataError(f"Unknown data set {name!r}. Data sets: {', '.join(sorted(ENTRIES))}")
    return ENTRIES[name]
