"""What the catalogue says about one data set before any of its files is opened."""

from collections.abc import Callable
from dataclasses import dataclass, field

from lib.datasets.readers.arrays import Arrays
from lib.datasets.readers.tree import Listing, list_class_folders


@dataclass(frozen=True)
class Download:
    """One official file, and how to tell that it came whole."""

    address: str
    size: int  # bytes
    md5: str = ""  # empty where none was published

    @property
    def file_name(self) -> str:
        return self.address.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Entry:
    """What is known about one data set before it is opened."""

    name: str
    title: str
    licence: str
    citation: str
    downloads: tuple[Download, ...] = ()  # one archive, or several files that are read as they are
    inner: str = ""  # name of an archive inside the official one that holds the images
    inner_md5: str = ""
    names: tuple[str, ...] = ()  # what its folder or archive is called; case, "-", "_" and spaces do not matter
    marks: tuple[str, ...] = ()  # patterns: a folder that holds one of these is the root; none: class folders will do
    loose: str = ""  # pattern of a file that may also lie by itself in a raw folder
    images: int | None = None  # images in the official files, clutter included
    clutter: tuple[str, ...] = ()  # folders that show no one object
    stray: dict[str, str] = field(default_factory=dict)  # files and folders to leave out -> the reason
    reader: Callable[..., Listing | Arrays] = list_class_folders  # of the root folder
    chooses: bool = False  # whether the reader takes the names of the classes to read, as a second argument

    @property
    def sums(self) -> tuple[str, ...]:
        """md5 sums of the official files."""
        return tuple(value for value in (*(file.md5 for file in self.downloads), self.inner_md5) if value)
