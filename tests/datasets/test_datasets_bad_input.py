"""A table of damaged, odd and hostile inputs. Each ends in a one-line error, or in a row of what was left out.

Whatever happens, no traceback reaches the user, no file vanishes without a word, and no raw file is changed.
"""

import contextlib
import errno
import functools
import gzip
import hashlib
import io
import os
import pickle
import random
import re
import shutil
import stat
import tarfile
import zlib
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pytest
import small_data_sets as small
from PIL import Image

from lib import briefs
from lib.__main__ import main
from lib.config import paths
from lib.datasets import load
from lib.datasets.fetch import archives
from lib.datasets.readers import folders


class Case(NamedTuple):
    """One bad input: who reads it, how it is made, and what must be said of it."""

    dataset: str
    make: object  # writes into the raw folder
    says: str  # pattern of the error, or of the reason for being left out; empty: every image is kept
    path: str = ""  # of what is left out; empty: it is an error, or nothing is said
    patch: object = None  # changes the machine


CASES = {}


def case(dataset, says="", *, path="", patch=None, **variants):
    """Register the decorated function as a case, or once for each keyword with its value as a further argument."""

    def register(make):
        machine = patch.__name__ if callable(patch) else ""
        for variant, value in (variants or {machine: None}).items():
            build = functools.partial(make, value=value) if variants else make
            name = f"{dataset}: {make.__name__} {variant}".replace("_", " ").strip()
            if name in CASES:
                raise ValueError(f"two cases of one name: {name}")
            CASES[name] = Case(dataset, build, says, path, patch)
        return make

    return register


def photo(seed=0, size=(12, 8), mode="RGB", kind="JPEG", **options):
    """An image file's bytes."""
    out = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(out, kind, **options)
    return out.getvalue()


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def photos(raw, classes=("cat", "dog")):
    for name in classes:
        for number in range(3):
            put(raw / "photos" / name / f"{number}.jpg", photo(f"{name}{number}".encode()[-1] + 7 * len(name) + number))
    return raw / "photos"


# files that are no images, or damaged ones


@case("folder", "zero bytes", path="cat/odd.jpg")
def empty_file(raw):
    put(photos(raw) / "cat" / "odd.jpg", b"")


def png_claiming(side):
    """A PNG of 57 bytes whose header names a side of so many pixels."""
    head = b"IHDR" + side.to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    chunk = (13).to_bytes(4, "big") + head + zlib.crc32(head).to_bytes(4, "big")
    return b"\x89PNG\r\n\x1a\n" + chunk + bytes(4) + b"IDAT" + zlib.crc32(b"IDAT").to_bytes(4, "big")


NO_IMAGES = {
    "text": b"a cat sits on the mat",
    "web page": b"<html><body>404 not found</body></html>",
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "film": b"\x00\x00\x00\x18ftypmp42" + bytes(300),
    "noise": random.Random(0).randbytes(3000),
    "header of a JPEG": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00",
    "half a JPEG, then noise": photo(size=(90, 70))[:700] + random.Random(0).randbytes(500),
}


@case("folder", "not an image, or damaged|damaged image", path="cat/odd.jpg", **NO_IMAGES)
def disguised(raw, value):
    put(photos(raw) / "cat" / "odd.jpg", value)


CUT = {kind: photo(size=(90, 70), kind=kind) for kind in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP")}


@case("folder", "damaged image|not an image, or damaged", path="cat/odd.jpg", **CUT)
def cut_in_half(raw, value):
    put(photos(raw) / "cat" / "odd.jpg", value[: len(value) // 2])


@case("folder", "damaged image: image file is truncated", path="cat/odd.jpg")
def two_bytes_short(raw):
    put(photos(raw) / "cat" / "odd.jpg", CUT["JPEG"][:-2])


@case("folder", "damaged image", path="cat/odd.jpg")
def wrong_sum_in_a_png(raw):
    data = bytearray(photo(size=(60, 60), kind="PNG"))
    data[data.index(b"IDAT") + 8] ^= 255
    put(photos(raw) / "cat" / "odd.jpg", bytes(data))


@case("folder", "too large|damaged image", path="cat/odd.png", nine=9_000, sixty=60_000, most=2**31 - 1)
def small_file_that_claims_a_huge_image(raw, value):
    put(photos(raw) / "cat" / "odd.png", png_claiming(value))


@case("folder", "floating-point pixels", path="cat/odd.tif")
def image_of_floats(raw):
    out = io.BytesIO()
    Image.fromarray(np.zeros((4, 4), np.float32)).save(out, "TIFF")
    put(photos(raw) / "cat" / "odd.tif", out.getvalue())


def damaged_inside(change, **options):
    """A JPEG that begins and ends properly, changed from the middle of its scan on."""
    data = photo(size=(90, 70), **options)
    middle = (data.rindex(b"\xff\xda") + len(data)) // 2
    return data[:middle] + change(data[middle:])


def half_gone(rest):
    return b"\xff\xd9"


def zeros(rest):
    return bytes(150) + rest[150:]


INSIDE = {
    "half gone": damaged_inside(half_gone),
    "half of a grey one gone": damaged_inside(half_gone, mode="L"),
    "half of a CMYK one gone": damaged_inside(half_gone, mode="CMYK"),
    "half of a progressive one gone": damaged_inside(half_gone, progressive=True),
    "zeros inside": damaged_inside(zeros),
    "zeros inside a large one": damaged_inside(zeros, quality=98, subsampling=0),
}


@case("folder", "damaged image: Corrupt JPEG data", path="cat/odd.jpg", **INSIDE)
@case("folder", "a HEIC photo, .* save it as JPEG", path="cat/odd.jpg", heic=b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf")
@case("folder", "a HEIC photo, .* save it as JPEG", path="cat/odd.jpg", mif1=b"\0\0\0\x18ftypmif1\0\0\0\0mif1heix")
@case("folder", "not an image, or damaged", path="cat/odd.jpg", avif=b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf")
def beginning_well(raw, value):
    put(photos(raw) / "cat" / "odd.jpg", value)


# odd images that are fine

FINE = {
    "1x1": photo(size=(1, 1)),
    "20,000x1": photo(size=(20_000, 1)),
    "1x20,000": photo(size=(1, 20_000)),
    "progressive": photo(size=(80, 80), progressive=True),
    "bytes after its end": photo() + b"appended",
    "unknown JFIF revision": photo()[:11] + b"\0\0" + photo()[13:],  # the decoder warns, the pixels are whole
    "animated": photo(kind="GIF", save_all=True, append_images=[Image.new("RGB", (12, 8))]),
}


@case("folder", **FINE)
def unusual(raw, value):
    put(photos(raw) / "cat" / "odd.jpg", value)


LONG = "n" * 196 + ".jpg"


@case("folder", accents="été.jpg", chinese="猫.jpg", long=LONG, blank=" a b .jpg", comma='a,"b".jpg', none="IMG")
def file_named(raw, value):
    put(photos(raw) / "cat" / value, photo())


@case("folder", accents="été", chinese="猫", long="n" * 200, comma='a,"b"', formula="=1+1", hash="a#b", percent="%s{x}")
def class_named(raw, value):
    put(photos(raw) / value / "1.jpg", photo())


@case("folder")
def same_image_in_two_classes(raw):
    for name in ("cat", "dog"):
        put(photos(raw) / name / "same.jpg", photo(99))


# names, links and things that are no files


@case("folder", "empty class folder", path="eel")
def empty_class(raw):
    put(photos(raw) / "eel" / ".DS_Store", b"hidden")


@case("folder", "empty class folder", path="train/eel")
def empty_class_of_train(raw):
    photos(raw / "photos").rename(raw / "photos" / "train")
    (raw / "photos" / "train" / "eel").mkdir()


@case("folder", "cannot be read|broken link", path="cat/odd.jpg")
def link_to_itself(raw):
    (photos(raw) / "cat" / "odd.jpg").symlink_to("odd.jpg")


@case("folder", "folder inside a class folder", path="cat/odd")
def link_back_to_the_root(raw):
    (photos(raw) / "cat" / "odd").symlink_to("..")


@case("folder", "Class folders with no usable image in .*photos: again")
def class_that_links_to_the_root(raw):
    (photos(raw) / "again").symlink_to(".")


@case("folder", "no class folders: 2 files without labels", path="test")
def folder_of_test_images_without_labels(raw):
    photos(raw / "photos").rename(raw / "photos" / "train")
    for number in range(2):
        put(raw / "photos" / "test" / f"{number}.jpg", photo(number))


# layouts that nothing can be learnt from


@case("folder", "At least two class folders .* Received: none")
def no_class(raw):
    (raw / "photos").mkdir()


@case("folder", "At least two class folders .* Received: cat$")
def one_class(raw):
    photos(raw, ["cat"])


@case("folder", "Received: all. Did you mean .*photos/all")
def one_folder_too_high(raw):
    photos(raw).rename(raw / "all")
    (raw / "photos").mkdir()
    (raw / "all").rename(raw / "photos" / "all")


@case("folder", "Left out there: eel/1.jpg: zero bytes")
def class_of_damaged_images(raw):
    put(photos(raw) / "eel" / "1.jpg", b"")


@case("folder", "no image to train on in .*photos: eel")
def class_that_is_only_tested(raw):
    photos(raw / "photos").rename(raw / "photos" / "train")
    for name in ("cat", "dog", "eel"):
        put(raw / "photos" / "test" / name / "1.jpg", photo(len(name)))


@case("folder", "Received: all. Did you mean .*photos/all")
def two_folders_too_high(raw):
    photos(raw / "photos" / "all" / "data")


@case("folder", "there: seen/cat: folder inside .* Parts are known by the names train, val and test .* must hold two")
def parts_of_unknown_names(raw):
    for path in ("seen/cat", "seen/dog", "unseen/cat", "unseen/dog"):
        put(raw / "photos" / path / "1.jpg", photo(len(path)))


@case("folder", "photos: dog, eel. Fill .* Left out there: dog/a.heic: a HEIC photo[^;]*$")
def classes_of_one_fault(raw):
    photos(raw, ["cat"])
    for path in ("dog/a", "dog/b", "eel/a", "eel/b"):
        put(raw / "photos" / f"{path}.heic", b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf")


# too little for train, val and test


def images_per_class(raw, value, *, equal=False):
    """Class folders with so many images each, all of them different unless equal."""
    for label, (name, count) in enumerate(value.items()):
        for number in range(count):
            put(raw / "photos" / name / f"{number}.jpg", photo(1000 * label + number * (not equal), size=(24, 24)))


TOO_SMALL = {
    "one each": ({"cat": 1, "dog": 1}, 1),
    "two each": ({"cat": 2, "dog": 2}, 2),
    "many classes of one": ({f"c{number:03d}": 1 for number in range(40)}, 1),
}
SMALL = "photos is too small: val and test would be empty, as a class must have 3 different images .*, has {}$"

for variant, (counts, most) in TOO_SMALL.items():
    case("folder", SMALL.format(most), **{variant: counts})(images_per_class)


@case("folder", SMALL.format(1))
def identical_images(raw):
    images_per_class(raw, {"cat": 4, "dog": 4, "eel": 4}, equal=True)


@case("folder", "photos: train would be empty, as each of its images is in val or test too, byte for byte")
def tested_on_what_is_trained(raw):
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            for number in range(3):
                put(raw / "photos" / part / name / f"{number}.jpg", photo(len(name) * number, size=(24, 24)))


# archives


def tar(*members):
    """A packed tar of (name, content or a link's target) pairs."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as packed:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                content = b""
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))
    return gzip.compress(out.getvalue())


WHOLE = [
    (f"101_ObjectCategories/{name}/{n}.jpg", photo(n + 9 * len(name))) for name in ("ant", "camera") for n in range(3)
]
BROKEN = {
    "empty": b"",
    "noise": random.Random(2).randbytes(4000),
    "cut gzip": tar(*WHOLE)[:-40],
}


@case("caltech101", "caltech101.tar is cut short, damaged or no archive", **BROKEN)
def broken_archive(raw, value):
    put(raw / "caltech101.tar", value)


HOSTILE = {
    "leads up": ("leads out of its folder", tar(*WHOLE, ("../../evil.jpg", b"x"))),
    "link": ("holds a link or a device", tar(*WHOLE, ("101_ObjectCategories/ant/link.jpg", "/etc/passwd"))),
    "bomb": ("grows to more than 20 times", tar(*WHOLE, ("101_ObjectCategories/ant/zeros.jpg", bytes(3_000_000)))),
}


def hostile_archive(raw, value):
    put(raw / "caltech101.tar", value)


for variant, (words, content) in HOSTILE.items():
    case("caltech101", words, patch=(archives, "MIN_LIMIT", 500_000), **{variant: content})(hostile_archive)


@case("caltech101", "holds no class folders: it does not seem to be Caltech-101")
def archive_of_something_else(raw):
    put(raw / "caltech101.tar.gz", tar(("readme.txt", b"hello")))


@case("cifar10", "holds none of data_batch_.*: it does not seem to be CIFAR-10")
def archive_of_another_set(raw):
    put(raw / "cifar-10-python.tar.gz", tar(*WHOLE))


# Fashion-MNIST


def change(path, content):
    """Replace a file's content, packed again where it was packed."""
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def unpacked(path):
    return gzip.decompress(path.read_bytes())


FILES = {
    name: f"{name}-ubyte.gz"
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
}


@case("fashion_mnist", r"labels?-idx1-ubyte.gz is missing in .*fashion-mnist|images-idx3-ubyte.gz is missing", **FILES)
def missing_file(raw, value):
    """In a folder that is only read; what is missing in data/raw would be downloaded."""
    (small.fashion_mnist(raw.parent / "share") / value).unlink()


@case("fashion_mnist", "train-images-idx3-ubyte.gz is cut short or damaged")
def cut_gzip(raw):
    file = small.fashion_mnist(raw) / FILES["train-images-idx3"]
    file.write_bytes(file.read_bytes()[:-100])


@case("fashion_mnist", "holds no IDX images: it must begin with 00000803. Received: 00000801")
def labels_where_images_should_be(raw):
    folder = small.fashion_mnist(raw)
    shutil.copy(folder / FILES["train-labels-idx1"], folder / FILES["train-images-idx3"])


IDX = {
    "empty": (lambda data: b"", "holds no IDX images"),
    "only a header": (lambda data: data[:16], "it is cut short or damaged"),
    "half a header": (lambda data: data[:9], "holds no IDX images"),
    "cut": (lambda data: data[:-100], "holds only [0-9,]+: it is cut short or damaged"),
    "longer": (lambda data: data + b"x", "holds more: it is cut short or damaged"),
    "no images": (lambda data: data[:4] + bytes(4) + data[8:16], "train is empty"),
    "one image more": (lambda data: small.idx(np.zeros((61, 28, 28))), "train has 61 images and 60 labels"),
}


def damaged_images(raw, value):
    file = small.fashion_mnist(raw) / FILES["train-images-idx3"]
    change(file, value(unpacked(file)))


for variant, (damage, words) in IDX.items():
    case("fashion_mnist", words, **{variant: damage})(damaged_images)


@case("fashion_mnist", r"labels of train must lie in 0..9. Received: 10 \(1 such images\)")
def label_out_of_range(raw):
    labels = small.labels(10, 6)
    labels[3] = 10
    change(small.fashion_mnist(raw) / FILES["train-labels-idx1"], small.idx(labels))


@case("fashion_mnist", "no image to train on in .*: Trouser")
def class_without_images(raw):
    change(
        small.fashion_mnist(raw) / FILES["train-labels-idx1"],
        small.idx(np.where(small.labels(10, 6) == 1, 0, small.labels(10, 6))),
    )


# notMNIST


def with_value(row, column, value):
    table = small.notmnist_table(3)
    table[row, column] = value
    return table


TABLES = {
    "no keys": ({}, "holds no trainData. It holds: nothing"),
    "other keys": ({"images": np.zeros(3)}, "holds no trainData. It holds: images"),
    "narrow": ({"trainData": small.notmnist_table(3)[:, 1:]}, "trainData must have 785 columns.* Received: 784"),
    "wide": ({"trainData": np.zeros((20, 800), np.float32)}, "trainData must have 785 columns.* Received: 800"),
    "flat": ({"trainData": np.zeros(785, np.float32)}, "trainData must be a table of numbers"),
    "cube": ({"trainData": np.zeros((3, 28, 28), np.float32)}, "trainData must be a table of numbers"),
    "text": ({"trainData": np.full((3, 785), b"a")}, "trainData must be a table of numbers"),
    "empty": ({"trainData": np.zeros((0, 785), np.float32)}, "train is empty"),
    "label 10": (
        {"trainData": with_value(4, -1, 10)},
        "rows 0 to 29: labels must be .* in 0..9. Received: 10",
    ),
    "label -1": ({"trainData": with_value(4, -1, -1)}, "labels must be whole numbers in 0..9. Received: -1"),
    "label 2.5": ({"trainData": with_value(4, -1, 2.5)}, "labels must be whole numbers in 0..9. Received: 2.5"),
    "label NaN": ({"trainData": with_value(4, -1, np.nan)}, "labels must be whole numbers in 0..9. Received: nan"),
    "pixel NaN": ({"trainData": with_value(4, 9, np.nan)}, "pixels must be numbers. Received: NaN or infinity"),
    "pixel 255": ({"trainData": with_value(4, 9, 255)}, r"pixels must lie in \[0, 1\]. Received: 0 to 255"),
    "bad test part": (
        {"trainData": small.notmnist_table(3), "testData": np.zeros((3, 9))},
        "testData must have 785 columns.* Received: 9",
    ),
}


def wrong_tables(raw, value):
    with h5py.File(raw / "data.h5", "w") as file:
        for key, table in value.items():
            file[key] = table


for variant, (tables, words) in TABLES.items():
    case("notmnist", words, **{variant: tables})(wrong_tables)


@case("notmnist", "is no HDF5 file, or a damaged one", text=b"not HDF5", empty=b"", cut=None)
def broken_hdf5(raw, value):
    file = small.notmnist_hdf5(raw)
    file.write_bytes(file.read_bytes()[:3000] if value is None else value)


@case("notmnist", "zero bytes", path="A/RGVtb2NyYXRpY2FCb2xkT2xkc3R5bGUgQm9sZC50dGY=.png")
def empty_letters(raw):
    small.notmnist_folders(raw)


# CIFAR


@case("cifar10", "data_batch_3 of the official archive is not in .*cifar-10-batches-py", one="data_batch_3")
@case("cifar10", "batches.meta cannot be read: No such file", meta="batches.meta")
def missing_batch(raw, value):
    (small.cifar10(raw) / value).unlink()


def batch(**changes):
    of_part = small.labels(10, 1)
    return small.python2_pickle(small.cifar_batch(of_part, labels=of_part.tolist()) | changes)


BATCHES = {
    "empty": (b"", "data_batch_1 was not read"),
    "text": (b"import os", "data_batch_1 was not read"),
    "cut": (batch()[:-500], "data_batch_1 was not read"),
    "malicious": (b"cos\nsystem\n(S'touch it_ran'\ntR.", "data_batch_1 was not read: it asks for os.system"),
    "no images": (batch(data="x"), "data must be bytes of shape .* Received: str"),
    "narrow": (batch(data=np.zeros((10, 3071), np.uint8)), r"Received: uint8 \(10, 3071\)"),
    "few labels": (batch(labels=[1, 2]), "labels must hold one number per image. Received: 2 for 10 images"),
    "no labels": (batch(labels="x"), "labels must be a list of whole numbers"),
    "label 10": (batch(labels=[10] * 10), r"labels of train must lie in 0..9. Received: 10 \(10 such images\)"),
    "float images": (pickle.dumps({"data": np.zeros((10, 3072)), "labels": [0] * 10}, 2), "an array of type 'f8'"),
}


def bad_batch(raw, value):
    put(small.cifar10(raw) / "data_batch_1", value)


for variant, (content, words) in BATCHES.items():
    case("cifar10", words, **{variant: content})(bad_batch)


@case("cifar100", "meta must hold 100 different names as fine_label_names", none={}, few={"fine_label_names": ["a"]})
def class_names(raw, value):
    put(small.cifar100(raw) / "meta", small.python2_pickle(value))


# Tiny-ImageNet and ten classes of ImageNet


def tiny(raw):
    return small.tiny_imagenet(raw, wnids={"n01443537": "goldfish", "n02106662": "German shepherd"})


@case("tiny_imagenet", "holds no folder train, with one folder per class")
def no_train_folder(raw):
    shutil.rmtree(tiny(raw) / "train")


@case("tiny_imagenet", "holds neither val_annotations.txt nor the class folders of train")
def no_annotations(raw):
    (tiny(raw) / "val" / "val_annotations.txt").unlink()


@case("tiny_imagenet", "line 2 must hold a file name and a class. Received: 'val_1.JPEG'", short="val_1.JPEG")
@case("tiny_imagenet", "val_annotations.txt is no text file in UTF-8", utf16="".join(map(chr, range(200, 250))))
def annotations_with(raw, value):
    first = b"val_0.JPEG\tn01443537\n"
    (tiny(raw) / "val" / "val_annotations.txt").write_bytes(first + value.encode("latin-1"))


@case("tiny_imagenet", "no label in val_annotations.txt", path="val/images/val_3.JPEG")
def image_without_a_label(raw):
    notes = tiny(raw) / "val" / "val_annotations.txt"
    notes.write_text("\n".join(notes.read_text().splitlines()[:3]))


@case("tiny_imagenet", "damaged image", path="val/images/val_3.JPEG")
def damaged_val_image(raw):
    file = tiny(raw) / "val" / "images" / "val_3.JPEG"
    file.write_bytes(file.read_bytes()[:-300])


BOXES = "train/n01443537/n01443537_boxes.txt"


@case("tiny_imagenet", "line 1 is no box", path=BOXES, few="x\t1\t2", text="x\ta\tb\tc\td")
def boxes_with(raw, value):
    (tiny(raw) / BOXES).write_text(value)


@case("tiny_imagenet", "no usable image in .*|no image to train on in .*: n02106662")
def train_class_without_images(raw):
    shutil.rmtree(tiny(raw) / "train" / "n02106662" / "images")


@case("imagenet10", "neither the ten classes of the coursework nor those of Tiny-ImageNet")
def other_classes(raw):
    tiny(raw)


@case("imagenet10", "no image to train on in .*: cat. Fill .* Left out there: train_set/cat: empty class folder")
def coursework_class_without_images(raw):
    """The labels of test images may be numbers of classes, so none of the ten can be left out."""
    root = small.imagenet10(raw)
    shutil.rmtree(root / "train_set" / "cat")
    (root / "train_set" / "cat").mkdir()


# the machine


def no_space(monkeypatch):
    usage = type("Usage", (), {"free": 0})
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)


def full_disk(monkeypatch):
    def write(*args, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", write)


def read_only_cache(monkeypatch):
    def mkdir(self, *args, **options):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", mkdir)


def forbidden_folder(monkeypatch):
    scan = os.scandir

    def scandir(folder="."):
        if str(folder).endswith("dog"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return scan(folder)

    monkeypatch.setattr(folders.os, "scandir", scandir)


def forbidden_file(monkeypatch):
    read = Path.read_bytes

    def read_bytes(self):
        if self.name == "1.jpg":
            raise PermissionError(errno.EACCES, "Permission denied")
        return read(self)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)


def share_that_is_gone(monkeypatch):
    monkeypatch.setenv("COURSEWORK_DATA", "nowhere")


def no_network(monkeypatch):
    monkeypatch.setattr(
        "urllib.request.urlopen", lambda *args, **options: (_ for _ in ()).throw(OSError("unreachable"))
    )
    monkeypatch.setattr("time.sleep", lambda seconds: None)


@case("caltech101", "No disk space: .* are needed in .*extracted", patch=no_space)
@case(
    "caltech101",
    "extracted cannot be written to: .*COURSEWORK_CACHE for the cache",
    patch=read_only_cache,
)
def archive_and_a_machine(raw):
    put(raw / "caltech101.tar.gz", tar(*WHOLE))


@case("fashion_mnist", "No disk space: .* are needed in .*arrays", patch=no_space)
def arrays_and_no_room(raw):
    small.fashion_mnist(raw)


@case("folder", "No room is left on the disk of .*index", patch=full_disk)
@case("folder", "photos/dog cannot be read: Permission denied", patch=forbidden_folder)
@case("folder", "Left out there: cat/1.jpg: cannot be read: Permission denied", patch=forbidden_file)
def photos_and_a_machine(raw):
    for path in [photos(raw) / name / f"{number}.jpg" for name in ("cat", "dog") for number in (0, 2)]:
        path.unlink()


@case("caltech101", "COURSEWORK_DATA names a folder that does not exist: .*nowhere", patch=share_that_is_gone)
@case("cifar100", "www.cs.toronto.edu could not be reached, or broke off: unreachable", patch=no_network)
def nothing_here(raw):
    pass


# the checks


def state_of(folder):
    """Every entry of a tree: kind, permissions, time, and content or target."""
    found = {}
    for path in [folder, *folder.rglob("*"), *folder.with_name("share").rglob("*")]:
        facts = path.lstat()
        content = ""
        if path.is_symlink():
            content = os.readlink(path)
        elif stat.S_ISREG(facts.st_mode):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        found[os.fsencode(path)] = (facts.st_mode, facts.st_mtime_ns if not path.is_dir() else 0, content)
    return found


def unaccounted(folder, data):
    """Files below a folder that are neither in the index nor left out, in it or with a folder around them."""
    named = set(data.index["path"]) | set(data.left_out["path"])
    files = [path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]
    names = [folders.spell_out(path.relative_to(folder).as_posix()) for path in files]
    return [name for name in names if not {name, *map(str, Path(name).parents)} & named]


@contextlib.contextmanager
def machine(tmp_path, case):
    """The raw folder of a machine that has nothing else but the case; a folder `share` becomes COURSEWORK_DATA."""
    home = tmp_path / str(len(list(tmp_path.iterdir())))
    raw = home / "raw"
    raw.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "RAW", raw)
        patch.setenv("COURSEWORK_CACHE", str(home / "cache"))
        patch.setenv("VENV", "none")
        patch.delenv("COURSEWORK_DATA", raising=False)
        patch.chdir(home)
        case.make(raw)
        before = state_of(raw)
        if (home / "share").is_dir():
            patch.setenv("COURSEWORK_DATA", str(home / "share"))
        with pytest.MonkeyPatch.context() as machine_patch:
            if isinstance(case.patch, tuple):
                machine_patch.setattr(*case.patch)
            elif case.patch:
                case.patch(machine_patch)
            yield raw
        assert state_of(raw) == before


WRONG = {name: case for name, case in CASES.items() if case.says and not case.path}
ODD = {name: case for name, case in CASES.items() if case.path or not case.says}
each_set = pytest.mark.parametrize("dataset", sorted({case.dataset for case in CASES.values()}))


@each_set
def test_a_wrong_input_ends_in_one_line(dataset, tmp_path, monkeypatch, capsys):
    brief = briefs.load("folder").replace(dataset=dataset)
    monkeypatch.setattr(briefs, "load", lambda name: brief)
    for name, case in ((name, case) for name, case in WRONG.items() if case.dataset == dataset):
        with machine(tmp_path, case) as raw:
            data = ["--data", str(raw / "photos")] if dataset == "folder" else []
            status = main(["data", "--brief", "folder", *data])
        shown = capsys.readouterr().err
        assert status == 2, name
        assert "Traceback" not in shown, name
        (line,) = [line for line in shown.splitlines() if line.startswith("error: ")]
        assert re.search(case.says, line), (name, line)
        assert shown.rstrip().endswith(line)
        assert not (raw.parent / "it_ran").exists()


def test_what_is_too_small_is_refused_before_anything_is_trained(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COURSEWORK_REPORTS", str(tmp_path / "reports"))
    with machine(tmp_path, WRONG["folder: images per class two each"]) as raw:
        assert main(["train", "--brief", "folder", "--profile", "smoke", "--data", str(raw / "photos")]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: photos is too small: val and test would")
    assert not (tmp_path / "reports").exists()


@each_set
def test_an_odd_input_is_kept_or_listed(dataset, tmp_path):
    for name, case in ((name, case) for name, case in ODD.items() if case.dataset == dataset):
        with machine(tmp_path, case) as raw:
            options = {"path": raw / "photos"} if dataset == "folder" else {}
            data = load(dataset, **options)
            left_out = dict(data.left_out.itertuples(index=False, name=None))
            if case.path:
                assert re.search(case.says, left_out[case.path]), (name, left_out)
                assert case.path not in set(data.index["path"])
            else:
                assert not left_out, name
                assert {data.open_image(row).mode for row in range(len(data.index))} == {"RGB"}, name
            if dataset == "folder":
                assert unaccounted(raw / "photos", data) == [], name


def test_a_file_that_vanishes_would_be_noticed(own_folders):
    data = load("folder", path=photos(own_folders))
    assert unaccounted(own_folders / "photos", data) == []
    assert unaccounted(own_folders / "photos", data.keep(np.arange(5))) == ["dog/2.jpg"]
