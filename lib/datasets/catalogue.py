"""The data sets by name. Adding one is adding an entry here, and a reader if its files are laid out differently."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import pandas as pd

from lib.config import paths
from lib.datasets.drawn import letters
from lib.datasets.readers.arrays import Arrays
from lib.datasets.readers.cifar import list_cifar
from lib.datasets.readers.folders import Listing, list_class_folders
from lib.datasets.readers.idx import list_idx
from lib.datasets.readers.imagenet import list_imagenet10, list_tiny_imagenet
from lib.datasets.readers.notmnist import list_notmnist
from lib.datasets.storage import DataError


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
    """What is known about one data set before any of its files is opened."""

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
    of_imagenet: bool = False  # whether its images are ImageNet's, which networks trained on that have seen


CALTECH = "https://data.caltech.edu/records"
TORONTO = "https://www.cs.toronto.edu/~kriz"
FASHION = "https://storage.googleapis.com/tensorflow/tf-keras-datasets"
FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"
)  # fmt: skip

CALTECH101 = Entry(
    name="caltech101",
    title="Caltech-101",
    licence="CC BY 4.0",
    citation=(
        "L. Fei-Fei, R. Fergus, P. Perona (2004). Learning generative visual models from few training examples: an "
        "incremental Bayesian approach tested on 101 object categories. CVPR Workshop on Generative-Model Based "
        "Vision. Data: CaltechDATA, doi:10.22002/D1.20086"
    ),
    downloads=(
        Download(f"{CALTECH}/mzrjq-6wc02/files/caltech-101.zip", 137_414_764, "3138e1922a9193bfa496528edbbc45d0"),
    ),
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
    downloads=(
        Download(
            f"{CALTECH}/nyy15-4j048/files/256_ObjectCategories.tar", 1_183_006_720, "67b4f42ca05d46448c6bb8ecd2220f6d"
        ),
    ),
    names=("256_ObjectCategories", "caltech256"),
    images=30_607,
    clutter=("257.clutter",),
    stray={
        "056.dog/greg": "folder inside a class folder, stray in the official archive",
        "198.spider/RENAME2": "stray file of the official archive, not an image",
    },
)

FASHION_MNIST = Entry(
    name="fashion_mnist",
    title="Fashion-MNIST",
    licence="MIT",
    citation=(
        "H. Xiao, K. Rasul, R. Vollgraf (2017). Fashion-MNIST: a novel image dataset for benchmarking machine learning "
        "algorithms. arXiv:1708.07747"
    ),
    downloads=(
        Download(f"{FASHION}/train-images-idx3-ubyte.gz", 26_421_880, "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        Download(f"{FASHION}/train-labels-idx1-ubyte.gz", 29_515, "25c81989df183df01b3e8a0aad5dffbe"),
        Download(f"{FASHION}/t10k-images-idx3-ubyte.gz", 4_422_102, "bef4ecab320f06d8554ea6380940ec79"),
        Download(f"{FASHION}/t10k-labels-idx1-ubyte.gz", 5_148, "bb300cfdad3c16e7a12a480ee83cd310"),
    ),
    names=("fashion-mnist",),
    marks=("train-images*idx3-ubyte*", "train-labels*idx1-ubyte*", "t10k-*idx?-ubyte*"),
    images=70_000,
    reader=partial(list_idx, classes=FASHION_CLASSES),
)

NOTMNIST = Entry(
    name="notmnist",
    title="notMNIST",
    licence="none stated by its author",
    citation="Y. Bulatov (2011). notMNIST dataset. http://yaroslavvb.blogspot.com/2011/09/notmnist-dataset.html",
    downloads=(Download("https://commondatastorage.googleapis.com/books1000/notMNIST_small.tar.gz", 8_458_043),),
    names=("notMNIST", "notmnist-data", "notMNIST_small", "notMNIST_large", "data"),
    marks=("*.h5", "A"),
    loose="data.h5",
    reader=list_notmnist,
)

TINY = Download("http://cs231n.stanford.edu/tiny-imagenet-200.zip", 248_100_043, "90528d7ca1a48142e341f4ef8d21d0de")
IMAGENET_LICENCE = "research and teaching, by the terms of image-net.org; the photographs belong to their authors"

TINY_IMAGENET = Entry(
    name="tiny_imagenet",
    title="Tiny-ImageNet",
    licence=IMAGENET_LICENCE,
    citation=(
        "Y. Le, X. Yang (2015). Tiny ImageNet visual recognition challenge. Stanford CS 231N. After O. Russakovsky and "
        "others (2015). ImageNet large scale visual recognition challenge. IJCV 115"
    ),
    downloads=(TINY,),
    names=("tiny-imagenet-200", "tiny-imagenet", "tiny-imagenet-10"),
    marks=("wnids.txt", "train/n[0-9]*"),
    images=110_000,
    reader=list_tiny_imagenet,
    of_imagenet=True,
)

IMAGENET10 = Entry(
    name="imagenet10",
    title="Ten classes of ImageNet",
    licence=IMAGENET_LICENCE,
    citation=(
        "O. Russakovsky and others (2015). ImageNet large scale visual recognition challenge. International Journal of "
        "Computer Vision 115"
    ),
    downloads=(TINY,),
    names=("imagenet10", "imagenet", "ILSVRC2012", "CLS-LOC", *TINY_IMAGENET.names),
    marks=("train_set", "wnids.txt", "train/n[0-9]*"),
    reader=list_imagenet10,
    of_imagenet=True,
)

CIFAR_LICENCE = "none stated; to be cited"
CIFAR_CITATION = (
    "A. Krizhevsky (2009). Learning multiple layers of features from tiny images. Technical report, University of "
    "Toronto"
)

CIFAR10 = Entry(
    name="cifar10",
    title="CIFAR-10",
    licence=CIFAR_LICENCE,
    citation=CIFAR_CITATION,
    downloads=(Download(f"{TORONTO}/cifar-10-python.tar.gz", 170_498_071, "c58f30108f718f92721af3b95e74349a"),),
    names=("cifar-10-python", "cifar-10-batches-py", "cifar10", "cifar10-images"),
    marks=("data_batch_[1-5]", "batches.meta", "train"),
    images=60_000,
    reader=partial(
        list_cifar,
        train=tuple(f"data_batch_{number}" for number in range(1, 6)),
        test=("test_batch",),
        names="batches.meta",
        prefix="",
        count=10,
    ),
)

CIFAR100 = Entry(
    name="cifar100",
    title="CIFAR-100",
    licence=CIFAR_LICENCE,
    citation=CIFAR_CITATION,
    downloads=(Download(f"{TORONTO}/cifar-100-python.tar.gz", 169_001_437, "eb9058c3a382ffc7106e4002c42a8d85"),),
    names=("cifar-100-python", "cifar100"),
    marks=("train", "meta"),
    images=60_000,
    reader=partial(list_cifar, train=("train",), test=("test",), names="meta", prefix="fine_", count=100),
)

DEMO = Entry(
    name="demo",
    title="Drawn demo set",
    licence="made by this project, under its licence",
    citation="Drawn by lib/datasets/drawn of this project",
    clutter=("013.clutter",),
)

LETTERS = Entry(
    name="letters",
    title="Drawn letters",
    licence="made by this project, under its licence",
    citation="Drawn by lib/datasets/drawn/letters.py of this project, from the fonts that matplotlib ships",
    reader=partial(list_idx, classes=letters.CLASSES),
)

FOLDER = Entry(
    name="folder",
    title="A folder of images",
    licence="that of your images",
    citation="that of your images",
)

ENTRIES = {
    entry.name: entry
    for entry in (
        *(CALTECH101, CALTECH256, TINY_IMAGENET, IMAGENET10, CIFAR10, CIFAR100, FASHION_MNIST, NOTMNIST),
        *(DEMO, LETTERS, FOLDER),
    )
}


def find(name: str) -> Entry:
    """The entry of that name, or a `DataError` that lists the ones there are."""
    if name not in ENTRIES:
        raise DataError(f"Unknown data set {name!r}. Data sets: {', '.join(sorted(ENTRIES))}")
    return ENTRIES[name]


def published_results(name: str) -> pd.DataFrame:
    """What others have reached on a data set, for orientation: rows of `data/published.csv`, with their source.

    Returns:
        Columns result, accuracy (%), measured on, protocol, pretrained and source, in the order of the file: results
        without pretraining first; no rows if none is known. Protocols differ, so they compare only roughly.
    """
    table = pd.read_csv(paths.DATA / "published.csv", keep_default_na=False, dtype=str)
    table = table[table["data_set"] == name]
    spread = table["spread"].map(lambda text: f" ± {text}" if text else "")
    columns = ["result", "accuracy (%)", "measured on", "protocol", "pretrained", "source"]
    return table.assign(**{"accuracy (%)": table["accuracy"] + spread})[columns].reset_index(drop=True)


def earlier_answer(published: pd.DataFrame) -> pd.DataFrame:
    """What an earlier answer to the same coursework reports: accuracy in [0, 1] and protocol, a row per network.

    Args:
        published: as `published_results` gives.
    """
    words = published["result"].str.extract(r"^earlier answer: (.+)")[0]
    table = published.set_index(words)[words.notna().to_numpy()]
    return table[["protocol"]].assign(accuracy=table["accuracy (%)"].astype(float) / 100)
