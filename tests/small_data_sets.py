"""Small generated copies of the data sets in their official layouts, for tests and for smoke runs of the notebooks.

Each function writes into a raw folder what the official archive would unpack to, or the archive itself, and returns
what it wrote. No two images are alike; each class has a tint of its own, so there is something to learn.
"""

import gzip
import struct
import tarfile
import zipfile
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

CIFAR10_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
WNIDS = {
    "n02486410": "baboon",
    "n07753592": "banana",
    "n07747607": "orange",
    "n03179701": "desk",
    "n03255030": "dumbbell",
    "n02124075": "Egyptian cat",
    "n04118538": "rugby ball",
    "n04259630": "sombrero",
    "n04398044": "teapot",
    "n02769748": "backpack, back pack, knapsack, packsack, rucksack, haversack",
}


def pixels(labels: np.ndarray, shape: tuple[int, ...], *, seed: int = 0) -> np.ndarray:
    """(N, *shape) uint8 noise, brighter in another stripe for each class."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 120, (len(labels), *shape), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[label % shape[0] :: 5] += 100
    return images


def labels(classes: int, per_class: int) -> np.ndarray:
    """Labels in turn: 0, 1, ..., 0, 1, ..."""
    return np.tile(np.arange(classes), per_class)


def save_image(path: Path, image: np.ndarray) -> Path:
    """Write an image file in the format that its suffix names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, {".jpeg": "JPEG", ".jpg": "JPEG", ".png": "PNG"}[path.suffix.lower()])
    return path


def idx(array: np.ndarray) -> bytes:
    """An array of bytes in IDX format."""
    return struct.pack(f">I{array.ndim}I", 0x0800 | array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def fashion_mnist(raw: Path, *, per_class: int = 6, seed: int = 0) -> Path:
    """The four gzipped IDX files."""
    folder = raw / "fashion-mnist"
    folder.mkdir(parents=True)
    for number, (stem, count) in enumerate({"train": per_class, "t10k": max(1, per_class // 3)}.items()):
        of_part = labels(10, count)
        images = pixels(of_part, (28, 28), seed=seed + number)
        (folder / f"{stem}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images), mtime=0))
        (folder / f"{stem}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(of_part), mtime=0))
    return folder


def notmnist_table(per_class: int, *, seed: int = 0) -> np.ndarray:
    """(N, 785) float32: pixels in [0, 1], then the label."""
    of_part = labels(10, per_class)
    flat = pixels(of_part, (28, 28), seed=seed).reshape(len(of_part), -1)
    return np.column_stack([flat / np.float32(255), of_part]).astype(np.float32)


def notmnist_hdf5(raw: Path, *, per_class: int = 6, test_labels: bool = True) -> Path:
    """The coursework's `data.h5`."""
    raw.mkdir(parents=True, exist_ok=True)
    test = notmnist_table(max(1, per_class // 3), seed=1)
    with h5py.File(raw / "data.h5", "w") as file:
        file.create_dataset("trainData", data=notmnist_table(per_class), compression="gzip")
        file.create_dataset("testData", data=test if test_labels else test[:, :-1], compression="gzip")
    return raw / "data.h5"


def notmnist_folders(raw: Path, *, per_class: int = 3) -> Path:
    """Folders A to J of PNG files, two of them empty, as in the real archive."""
    folder = raw / "notMNIST_small"
    of_part = labels(10, per_class)
    for number, (image, label) in enumerate(zip(pixels(of_part, (28, 28)), of_part, strict=True)):
        save_image(folder / "ABCDEFGHIJ"[label] / f"font {number}.png", image)
    (folder / "A" / "RGVtb2NyYXRpY2FCb2xkT2xkc3R5bGUgQm9sZC50dGY=.png").write_bytes(b"")
    (folder / "F" / "Q3Jvc3NvdmVyIEJvbGRPYmxpcXVlLnR0Zg==.png").write_bytes(b"")
    return folder


def python2_pickle(value) -> bytes:
    """A pickle as Python 2 wrote it, as the official CIFAR files are: protocol 2, text as bytes, NumPy 1 arrays."""
    return b"\x80\x02" + _opcodes(value) + b"."


def _opcodes(value) -> bytes:
    if isinstance(value, dict):
        return b"}(" + b"".join(_opcodes(part) for pair in value.items() for part in pair) + b"u"
    if isinstance(value, list):
        return b"](" + b"".join(map(_opcodes, value)) + b"e"
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return b"U" + bytes([len(value)]) + value if len(value) < 256 else b"T" + struct.pack("<i", len(value)) + value
    if isinstance(value, (int, np.integer)):
        return b"K" + bytes([value]) if 0 <= value < 256 else b"J" + struct.pack("<i", value)
    empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    kind = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    shape = b"".join(map(_opcodes, value.shape)) + {1: b"\x85", 2: b"\x86"}[value.ndim]
    return empty + b"(K\x01" + shape + kind + b"\x89" + _opcodes(value.tobytes()) + b"tb"


def cifar_batch(of_part: np.ndarray, *, seed: int = 0, **more) -> dict:
    """What one file of CIFAR holds: images as rows of a red, a green and a blue plane."""
    planes = pixels(of_part, (32, 32, 3), seed=seed).transpose(0, 3, 1, 2)
    return {"data": np.ascontiguousarray(planes).reshape(len(of_part), -1), **more}


def cifar10(raw: Path, *, per_class: int = 6) -> Path:
    """The batches of the official archive."""
    folder = raw / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for number in range(6):
        of_part = labels(10, max(1, per_class // 5))
        batch = cifar_batch(of_part, seed=number, labels=of_part.tolist(), filenames=["x.png"] * len(of_part))
        name = f"data_batch_{number}" if number else "test_batch"
        (folder / name).write_bytes(python2_pickle(batch))
    (folder / "batches.meta").write_bytes(python2_pickle({"label_names": list(CIFAR10_NAMES), "num_vis": 3072}))
    (folder / "readme.html").write_text("<html>")
    return folder


def cifar10_folders(raw: Path, *, per_class: int = 3) -> Path:
    """CIFAR-10 as image files."""
    for number, part in enumerate(("train", "test")):
        of_part = labels(10, per_class)
        for row, (image, label) in enumerate(zip(pixels(of_part, (32, 32, 3), seed=number), of_part, strict=True)):
            save_image(raw / "cifar10" / part / CIFAR10_NAMES[label] / f"{row:04d}.png", image)
    return raw / "cifar10"


def cifar100(raw: Path, *, per_class: int = 3) -> Path:
    """The three files of the official archive; class number n belongs to superclass n // 5."""
    folder = raw / "cifar-100-python"
    folder.mkdir(parents=True)
    for number, (name, count) in enumerate({"train": per_class, "test": max(1, per_class // 3)}.items()):
        of_part = labels(100, count)
        lists = {"fine_labels": of_part.tolist(), "coarse_labels": (of_part // 5).tolist()}
        (folder / name).write_bytes(python2_pickle(cifar_batch(of_part, seed=number, **lists)))
    names = {
        "fine_label_names": [f"fine_{number:02d}" for number in range(100)],
        "coarse_label_names": [f"coarse_{number:02d}" for number in range(20)],
    }
    (folder / "meta").write_bytes(python2_pickle(names))
    return folder


def tiny_imagenet(raw: Path, *, per_class: int = 4, wnids: dict[str, str] = WNIDS) -> Path:
    """The unpacked official archive: train with boxes, val with annotations, test without labels."""
    root = raw / "tiny-imagenet-200"
    for number, wnid in enumerate(wnids):
        images = pixels(np.full(per_class, number), (64, 64, 3), seed=number)
        names = [f"{wnid}_{row}.JPEG" for row in range(per_class)]
        for name, image in zip(names, images, strict=True):
            save_image(root / "train" / wnid / "images" / name, image)
        boxes = "".join(f"{name}\t{row}\t1\t63\t47\n" for row, name in enumerate(names))
        (root / "train" / wnid / f"{wnid}_boxes.txt").write_text(boxes)
    of_val = labels(len(wnids), 2)
    notes = []
    for row, (image, label) in enumerate(zip(pixels(of_val, (64, 64, 3), seed=99), of_val, strict=True)):
        save_image(root / "val" / "images" / f"val_{row}.JPEG", image)
        notes.append(f"val_{row}.JPEG\t{list(wnids)[label]}\t0\t0\t{row}\t62\n")
    (root / "val" / "val_annotations.txt").write_text("".join(notes))
    for row, image in enumerate(pixels(np.zeros(3, int), (64, 64, 3), seed=98)):
        save_image(root / "test" / "images" / f"test_{row}.JPEG", image)
    (root / "wnids.txt").write_text("\n".join(wnids))
    (root / "words.txt").write_text("".join(f"{wnid}\t{words}\n" for wnid, words in wnids.items()))
    return root


def imagenet10(raw: Path, *, per_class: int = 4) -> Path:
    """The coursework's folders: train_set with one folder per class, and test_set without labels."""
    names = ("baboon", "banana", "canoe", "cat", "desk", "drill", "dumbbell", "football", "mug", "orange")
    root = raw / "imagenet10"
    of_part = labels(10, per_class)
    for row, (image, label) in enumerate(zip(pixels(of_part, (48, 64, 3)), of_part, strict=True)):
        save_image(root / "train_set" / names[label] / f"{row}.JPEG", image)
    for row, image in enumerate(pixels(labels(10, 1), (48, 64, 3), seed=1)):
        save_image(root / "test_set" / f"unknown{row}.JPEG", image)
    (root / "mapping.txt").write_text("".join(f"{label}\t{name}\n" for label, name in enumerate(names)))
    return root


def pack(folder: Path, archive: Path) -> Path:
    """Pack a folder under its own name, as `.zip` or `.tar.gz`, and leave the folder."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as packed:
            for path in sorted(folder.rglob("*")):
                packed.write(path, path.relative_to(folder.parent))
    else:
        with tarfile.open(archive, "w:gz") as packed:
            packed.add(folder, folder.name)
    return archive
