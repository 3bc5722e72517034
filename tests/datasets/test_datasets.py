"""Data sets found, checked and indexed: small folders with every oddity that real ones have."""

import csv
import dataclasses
import functools
import http.server
import os
import subprocess
import sys
import tarfile
import threading
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lib import briefs, datasets
from lib.config import paths
from lib.config.files import checksum
from lib.datasets import DataError, catalogue, images, load
from lib.datasets.catalogue import Download
from lib.datasets.drawn import objects
from lib.datasets.fetch import acquire
from lib.datasets.readers import folders


@pytest.fixture
def home(raw):
    """Raw data and cache of a machine that has nothing yet."""
    return raw.parent


def picture(path, *, seed=None, mode="RGB", size=(12, 8), kind="JPEG", **options):
    """Write a small image; without a seed its pixels follow from its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.Generator(np.random.PCG64(zlib.crc32(str(path.name if seed is None else seed).encode())))
    pixels = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    pixels.convert(mode).save(path, kind, **options)
    return path


def photos(folder, classes=("cat", "dog"), count=3):
    for name in classes:
        for number in range(count):
            picture(folder / name / f"{number}.jpg", seed=f"{name} {number}")
    return folder


def load_folder(folder, **options):
    return load("folder", path=folder, **options)


def reasons(dataset):
    return dict(dataset.left_out.itertuples(index=False, name=None))


# the index


def test_names():
    first = ["caltech101", "caltech256", "cifar10", "cifar100", "demo", "fashion_mnist", "folder", "imagenet10"]
    assert datasets.names() == [*first, "letters", "notmnist", "tiny_imagenet"]
    with pytest.raises(DataError, match="Unknown data set 'caltech'. Data sets: caltech101, caltech256, cifar10, "):
        load("caltech")


def test_index_of_a_folder(home):
    folder = photos(home / "photos")
    picture(folder / "cat" / "grey.jpg", mode="L", size=(30, 20))
    data = load_folder(folder)
    assert list(data.index.columns) == datasets.COLUMNS
    assert data.index["path"].tolist() == [f"cat/{n}.jpg" for n in ("0", "1", "2", "grey")] + [
        f"dog/{n}.jpg" for n in (0, 1, 2)
    ]
    assert data.index["label"].tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert data.index["class_name"].tolist() == ["cat"] * 4 + ["dog"] * 3
    assert data.class_names == ("cat", "dog")
    grey = data.index.iloc[3]
    assert (grey.width, grey.height, grey.channels) == (30, 20, 1)
    assert grey.bytes == (folder / "cat" / "grey.jpg").stat().st_size
    assert data.index["channels"].tolist() == [3, 3, 3, 1, 3, 3, 3]
    assert {str(data.index[name].dtype) for name in ("label", "width", "height", "channels", "bytes")} == {"int64"}
    assert data.index["role"].tolist() == [""] * 7
    assert (data.name, data.title, data.root, data.source) == ("folder", "photos", folder, "your folder")
    assert len(data.left_out) == 0
    assert list(data.left_out.columns) == ["path", "reason"]


def test_images_are_opened_by_row(home):
    data = load_folder(photos(home / "photos"))
    with Image.open(data.root / "cat" / "1.jpg") as image:
        expected = np.asarray(image)
    for row in (1, np.int64(1), data.index.iloc[1], list(data.index.itertuples())[1]):
        image = data.open_image(row)
        assert image.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(image), expected)
        assert data.mask_path(row) is None
    (data.root / "cat" / "1.jpg").unlink()
    with pytest.raises(DataError, match=r"1.jpg: cannot be read: No such file"):
        data.open_image(1)


def test_checksum_follows_the_contents(home):
    folder = photos(home / "photos")
    first = load_folder(folder)
    assert load_folder(folder).checksum == first.checksum
    picture(folder / "cat" / "1.jpg", seed="another")
    changed = load_folder(folder)
    assert changed.checksum != first.checksum
    assert changed.index["sha256"].tolist() != first.index["sha256"].tolist()


def test_class_names_lose_their_number_where_they_stay_unique(home):
    assert load_folder(photos(home / "a", ["001.ak47", "002.dog", "10"])).class_names == ("ak47", "dog", "10")
    assert load_folder(photos(home / "b", ["001.dog", "002.dog"])).class_names == ("001.dog", "002.dog")
    for names in (["0.5", "1.0", "1.25"], ["1.5 kg", "2.5 kg"], ["3.10.1", "3.9"]):  # a number is a name, not a prefix
        assert load_folder(photos(home / names[0], names)).class_names == tuple(names)
    assert load_folder(photos(home / "c", ["Zebra", "ant", "Ähre"])).class_names == ("Zebra", "ant", "Ähre")


def test_keep(home):
    data = load_folder(photos(home / "photos"))
    part = data.keep(np.array([4, 0]))
    assert part.index["path"].tolist() == ["cat/0.jpg", "dog/1.jpg"]
    assert part.index.index.tolist() == [0, 1]
    assert part.checksum != data.checksum
    assert len(data.index) == 6


# odd files


ODD = [
    ("L", "JPEG", {}, 1),
    ("CMYK", "JPEG", {}, 4),
    ("RGBA", "PNG", {}, 4),
    ("LA", "PNG", {}, 2),
    ("P", "PNG", {}, 3),
    ("P", "PNG", {"transparency": 0}, 4),
    ("1", "PNG", {}, 1),
    ("I;16", "PNG", {}, 1),
    ("P", "GIF", {}, 3),
    ("RGB", "WEBP", {}, 3),
    ("RGB", "BMP", {}, 3),
    ("RGB", "TIFF", {}, 3),
    ("RGB", "PPM", {}, 3),
]


def test_every_decodable_image_stays_whatever_its_suffix(home):
    folder = photos(home / "photos")
    for number, (mode, kind, options, _) in enumerate(ODD):
        file = folder / "cat" / f"odd{number:02d}.jpg"
        if mode == "I;16":
            Image.fromarray(np.full((8, 12), 300, np.uint16)).save(file, kind)
        else:
            picture(file, mode=mode, kind=kind, **options)
    picture(folder / "cat" / "without suffix")
    data = load_folder(folder)
    assert len(data.left_out) == 0
    odd = data.index.index[data.index["path"].str.contains("odd")]
    assert data.index["channels"].iloc[odd].tolist() == [channels for *_, channels in ODD]
    assert {data.open_image(row).mode for row in odd} == {"RGB"}
    assert "cat/without suffix" in set(data.index["path"])


def test_rgb_pixels(tmp_path):
    def read(image, kind="PNG", **options):
        image.save(tmp_path / "image", kind, **options)
        return images.read_pixels(tmp_path / "image")[0, 0].tolist()

    def new(mode, colour):
        return Image.new(mode, (2, 2), colour)

    assert read(new("RGB", (10, 20, 30))) == [10, 20, 30]
    assert read(new("L", 40)) == [40, 40, 40]
    assert read(new("RGBA", (200, 100, 50, 255))) == [200, 100, 50]
    assert read(new("RGBA", (200, 100, 50, 0))) == [0, 0, 0]  # alpha over black
    assert read(new("RGBA", (200, 100, 50, 51))) == [40, 20, 10]
    assert read(new("LA", (100, 51))) == [20, 20, 20]
    assert read(new("RGB", (9, 9, 9)), transparency=(9, 9, 9)) == [0, 0, 0]
    assert read(Image.fromarray(np.full((2, 2), 0x8040, np.uint16))) == [0x80, 0x80, 0x80]
    assert read(new("CMYK", (0, 255, 255, 0)), "TIFF") == [255, 0, 0]
    frames = [new("RGB", (255, 0, 0)), new("RGB", (0, 0, 255))]
    assert read(frames[0], "GIF", save_all=True, append_images=frames[1:]) == [255, 0, 0]
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (4, 2)).save(tmp_path / "turned", "JPEG", exif=turned)
    assert images.read_pixels(tmp_path / "turned").shape == (2, 4, 3)
    Image.fromarray(np.zeros((2, 2), np.float32)).save(tmp_path / "float", "TIFF")
    with pytest.raises(DataError, match="float: floating-point pixels"):
        images.read_pixels(tmp_path / "float")


def test_jpegs_are_decoded_smaller_where_that_suffices(tmp_path):
    file = picture(tmp_path / "1.jpg", size=(400, 240))
    for at_least, shape in {0: (240, 400, 3), 100: (120, 200, 3), 60: (60, 100, 3), 300: (240, 400, 3)}.items():
        assert images.read_pixels(file, at_least=at_least).shape == shape
    assert images.read_pixels(picture(tmp_path / "1.png", size=(400, 240), kind="PNG"), at_least=60).shape[0] == 240


def test_pixels_of_a_jpeg_are_those_that_pillow_reads(tmp_path):
    for mode in ("RGB", "L", "CMYK"):
        file = picture(tmp_path / "1.jpg", mode=mode, size=(40, 24))
        with Image.open(file) as image:
            np.testing.assert_allclose(images.read_pixels(file).astype(float), np.asarray(image.convert("RGB")), atol=3)


def test_a_damaged_jpeg_is_refused_by_name(tmp_path):
    file = picture(tmp_path / "half.jpg", size=(100, 100))
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(DataError, match="half.jpg: damaged image: image file is truncated"):
        images.read_pixels(file)
    with pytest.raises(DataError, match="nothing.jpg: cannot be read"):
        images.read_pixels(tmp_path / "nothing.jpg")


def test_strays_are_listed_and_system_files_ignored(home):
    folder = photos(home / "photos")
    picture(folder / "cat" / "kittens" / "1.jpg")
    (folder / "cat" / "empty").mkdir()
    picture(folder / "lost.jpg")
    (folder / "cat" / "gone.jpg").symlink_to(home / "nowhere.jpg")
    os.mkfifo(folder / "cat" / "pipe.jpg")
    for ignored in (".DS_Store", "cat/.DS_Store", "cat/._0.jpg", "dog/Thumbs.db", "desktop.ini", ".git/config"):
        (folder / ignored).parent.mkdir(exist_ok=True)
        (folder / ignored).write_bytes(b"system")
    picture(folder / ".ipynb_checkpoints" / "0-checkpoint.jpg")
    picture(folder / "cat" / ".ipynb_checkpoints" / "0-checkpoint.jpg")
    data = load_folder(folder)
    assert data.class_names == ("cat", "dog")
    assert len(data.index) == 6
    assert reasons(data) == {
        "cat/empty": "folder inside a class folder (no files inside)",
        "cat/gone.jpg": "broken link",
        "cat/kittens": "folder inside a class folder (1 files inside)",
        "cat/pipe.jpg": "not a regular file",
        "lost.jpg": "file beside the class folders",
    }


def test_links_to_images_and_classes_are_followed(home):
    photos(home / "store", ["cat", "dog", "eel"])
    folder = photos(home / "photos")
    (folder / "eel").symlink_to(home / "store" / "eel")
    (folder / "cat" / "linked.jpg").symlink_to(home / "store" / "eel" / "0.jpg")
    assert len(load_folder(folder).index) == 10


def test_names_that_are_not_plain_text(home):
    folder = photos(home / "photos", ["cat", "dog, 'big'", "été"])
    for name in (b"line\nbreak.jpg", b"bell\x07.jpg", b"not-utf8-\xff.jpg"):
        picture(folder / "cat" / "plain.jpg").rename(os.fsdecode(os.fsencode(folder / "cat") + b"/" + name))
    data = load_folder(folder)
    assert data.class_names == ("cat", "dog, 'big'", "été")
    assert len(data.index) == 9
    assert set(data.left_out["reason"]) == {"the file's name is not plain text"}
    assert data.left_out["path"].tolist()[:2] == [r"cat/bell\x07.jpg", r"cat/line\nbreak.jpg"]


# the stored index


def test_index_is_reused_until_a_file_changes(home):
    folder = photos(home / "photos")
    (folder / "cat" / "bad.jpg").write_bytes(b"bad")
    first = load_folder(folder)
    file = folder / "cat" / "0.jpg"
    facts, size = file.stat(), file.stat().st_size
    file.write_bytes(b"x" * size)
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    second = load_folder(folder)  # same size and time: not opened again
    pd.testing.assert_frame_equal(second.index, first.index)
    pd.testing.assert_frame_equal(second.left_out, first.left_out)
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))
    assert len(load_folder(folder).index) == 5


def test_added_removed_and_renamed_files_are_noticed(home):
    folder = photos(home / "photos")
    load_folder(folder)
    picture(folder / "cat" / "new.jpg")
    assert len(load_folder(folder).index) == 7
    (folder / "cat" / "new.jpg").rename(folder / "dog" / "new.jpg")
    assert load_folder(folder).index["label"].tolist() == [0] * 3 + [1] * 4
    (folder / "dog" / "new.jpg").unlink()
    assert len(load_folder(folder).index) == 6


def test_damaged_stored_index_is_made_again(home):
    folder = photos(home / "photos")
    first = load_folder(folder)
    for stored in (home / "cache" / "index").iterdir():
        stored.write_text(stored.read_text()[:-20])
    assert load_folder(folder).checksum == first.checksum
    assert load_folder(folder).checksum == first.checksum


# users' mistakes


def test_wrong_paths(home):
    (home / "photos.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match="The data set 'folder' needs a path"):
        load("folder")
    with pytest.raises(DataError, match="The folder of images does not exist. Received: .*nowhere"):
        load_folder(home / "nowhere")
    with pytest.raises(DataError, match="is a file, not a folder: unpack it first"):
        load_folder(home / "photos.zip")
    with pytest.raises(DataError, match="A path is only for the data set 'folder'. Put caltech101 in data/raw"):
        load("caltech101", path=home)


# train, val and test folders


def test_layout_in_roles(home):
    for val in ("val", "valid", "validation", "VAL"):
        root = home / val / "photos"
        for role in ("train", val, "test"):
            photos(root / role, count=2)
        (root / "labels.csv").write_text("")
        (root / "extra").mkdir()
        data = load_folder(root)
        assert data.class_names == ("cat", "dog")
        roles = data.index.set_index("path")["role"]
        assert roles[f"{val}/cat/0.jpg"] == "val"
        assert roles.value_counts().to_dict() == {"train": 4, "val": 4, "test": 4}
        assert set(reasons(data)) == {"labels.csv", "extra"}
        assert set(data.left_out["reason"]) == {"beside the train, val and test folders"}


def test_names_of_the_parts(home):
    names = (("Train", "validation", "Testing"), ("training_set", "valid_set", "test_set"), ("TRAIN", "val images"))
    for number, parts in enumerate((*names, ("Training Data", "Validation-Set"), ("trainset", "testimages"))):
        for part in parts:
            photos(home / str(number) / part)
        data = load_folder(home / str(number))
        assert data.class_names == ("cat", "dog")
        roles = dict.fromkeys(data.index["path"].str.partition("/")[0])
        assert set(roles) == set(parts) and not len(data.left_out)
        expected = [next(role for role in ("train", "val", "test") if name.lower().startswith(role)) for name in parts]
        assert set(data.index["role"]) == set(expected)
    for name in ("trainers", "training_shoes", "values", "testimony"):
        assert not folders.PART.fullmatch(name)


def test_names_are_compared_composed(home):
    """An accented letter is one character or two, depending on the system that wrote the name."""
    composed, split = "café", "cafe\u0301"
    folder = photos(home / "photos" / "train", [composed, "dog"])
    photos(home / "photos" / "test", [split, "dog"])
    data = load_folder(folder.parent)
    assert data.class_names == (composed, "dog")
    assert data.index.groupby(["class_name", "role"]).size().tolist() == [3, 3, 3, 3]
    assert {data.open_image(row).size for row in range(12)} == {(12, 8)}  # the paths are those of the disk
    photos(folder, [split])
    assert load_folder(folder).class_names == (composed, "dog")


def test_train_may_be_the_name_of_a_class(home):
    data = load_folder(photos(home / "photos", ["bus", "test", "train"]))
    assert data.class_names == ("bus", "test", "train")
    assert data.index["role"].unique().tolist() == [""]


# Caltech: found on this machine, as a folder or an archive


CALTECH256 = {"001.ak47": 3, "056.dog": 3, "198.spider": 3, "257.clutter": 4}


def caltech256(folder):
    """A folder with the oddities of the real one."""
    for name, count in CALTECH256.items():
        for number in range(1, count + 1):
            picture(folder / name / f"{name[:3]}_{number:04d}.jpg", seed=f"{name} {number}")
    (folder / "056.dog" / "greg" / "vision309").mkdir(parents=True)
    (folder / "198.spider" / "RENAME2").write_text("mv a b\n")
    return folder


def caltech101(folder):
    photos(folder, ["BACKGROUND_Google", "accordion", "airplanes"])
    picture(folder / "BACKGROUND_Google" / "tmp")  # in the real one it is a JPEG, too
    return folder


def tar(folder, file, mode="w:gz"):
    with tarfile.open(file, mode) as packed:
        packed.add(folder, folder.name)
    return file


def official_zip(home, file):
    """A zip with the inner archive, a second archive and what macOS adds, as the official one."""
    inner = tar(caltech101(home / "made" / "101_ObjectCategories"), home / "made" / "inner.tar.gz")
    with zipfile.ZipFile(file, "w") as packed:
        packed.write(inner, "caltech-101/101_ObjectCategories.tar.gz")
        packed.writestr("caltech-101/Annotations.tar", b"outlines")
        packed.writestr("__MACOSX/caltech-101/._101_ObjectCategories.tar.gz", b"attributes")
    return file


def load_caltech(name, **options):
    return load(name, **options)


def test_caltech256_leaves_out_its_strays(home):
    caltech256(home / "raw" / "256_ObjectCategories")
    data = load_caltech("caltech256")
    assert data.class_names == ("ak47", "dog", "spider")
    assert len(data.index) == 9
    assert data.source == "unverified copy"
    assert reasons(data) == {
        "056.dog/greg": "folder inside a class folder, stray in the official archive",
        "198.spider/RENAME2": "stray file of the official archive, not an image",
        ".": "this copy holds 13 usable images, the official one 30,607",
        "257.clutter": "clutter class, not used by this brief (4 images)",
    }


def test_clutter_counts_where_the_brief_says_so(home):
    caltech256(home / "raw" / "caltech256")
    data = load_caltech("caltech256", include_clutter=True)
    assert data.class_names == ("ak47", "dog", "spider", "clutter")
    assert len(data.index) == 13
    assert "257.clutter" not in reasons(data)
    assert data.checksum != load_caltech("caltech256").checksum


def test_caltech101_leaves_out_tmp_although_it_is_an_image(home):
    caltech101(home / "raw" / "caltech-101")
    data = load_caltech("caltech101", include_clutter=True)
    assert data.class_names == ("BACKGROUND_Google", "accordion", "airplanes")
    assert len(data.index) == 9
    assert reasons(data)["BACKGROUND_Google/tmp"] == "stray JPEG of the official archive, outside its numbering"


def test_extracted_folder_is_found(home, monkeypatch):
    inner = "101_ObjectCategories"
    places = (inner, "caltech101", "Caltech 101", f"caltech101/{inner}", f"caltech-101/caltech-101/{inner}")
    for number, place in enumerate(places):
        data = home / f"data{number}"
        caltech101(data / place)
        (data / "other").mkdir()
        monkeypatch.setenv("COURSEWORK_DATA", str(data))
        assert load_caltech("caltech101").root == data / place
        assert not (home / "cache" / "extracted").exists()
        monkeypatch.setenv("COURSEWORK_DATA", str(data / place.partition("/")[0]))  # the folder itself
        assert load_caltech("caltech101").root == data / place


def test_archive_is_found_and_never_changed(home, monkeypatch):
    made = caltech101(home / "made" / "101_ObjectCategories")
    names = ("101_ObjectCategories.tar.gz", "caltech101.tar.xz", "caltech-101.ZIP")
    for place in (*names, "caltech-101/caltech-101.tgz", "caltech-101/Caltech_101.zip"):
        data_folder = home / f"data of {place.replace('/', ' ')}"
        file = data_folder / place
        file.parent.mkdir(parents=True)
        if place.lower().endswith("zip"):
            official_zip(home, file)
        else:
            tar(made, file, "w:xz" if place.endswith("xz") else "w:gz")
        before = (checksum(file, "md5"), file.stat().st_mtime_ns)
        monkeypatch.setenv("COURSEWORK_DATA", str(data_folder))
        data = load_caltech("caltech101")
        assert len(data.index) == 6
        assert data.source == "unverified copy"
        assert data.root == home / "cache" / "extracted" / f"caltech101-{before[0][:16]}" / "101_ObjectCategories"
        assert (checksum(file, "md5"), file.stat().st_mtime_ns) == before
        assert list(file.parent.iterdir()) == [file]
        assert list((home / "raw").iterdir()) == []
        monkeypatch.setenv("COURSEWORK_DATA", str(file))  # the archive itself
        assert load_caltech("caltech101").checksum == data.checksum


def test_archive_with_the_official_sum_is_verified(home, monkeypatch):
    file = tar(caltech256(home / "made" / "256_ObjectCategories"), home / "raw" / "256_ObjectCategories.tar", "w")
    official = dataclasses.replace(catalogue.CALTECH256.downloads[0], md5=checksum(file, "md5"))
    entry = dataclasses.replace(catalogue.CALTECH256, downloads=(official,), images=13)
    monkeypatch.setitem(catalogue.ENTRIES, "caltech256", entry)
    data = load_caltech("caltech256")
    assert data.source == "verified"
    assert "." not in reasons(data)
    with file.open("ab") as out:
        out.write(bytes(512))  # a re-packed copy with the same files
    assert load_caltech("caltech256").source == "unverified copy"


def test_inner_archive_alone_is_verified_as_well(home):
    file = tar(caltech101(home / "made" / "101_ObjectCategories"), home / "raw" / "101_ObjectCategories.tar.gz")
    entry = dataclasses.replace(catalogue.CALTECH101, inner_md5=checksum(file, "md5"))
    assert acquire.find_or_download(entry)[1] == "verified"


def test_raw_folder_comes_before_other_folders(home, monkeypatch):
    caltech101(home / "data" / "caltech101")
    tar(caltech101(home / "made" / "101_ObjectCategories"), home / "raw" / "101_ObjectCategories.tar.gz")
    monkeypatch.setenv("COURSEWORK_DATA", str(home / "data"))
    assert (home / "cache") in load_caltech("caltech101").root.parents


def test_download_when_it_is_nowhere(home, monkeypatch):
    (home / "site").mkdir()
    file = official_zip(home, home / "site" / "caltech-101.zip")
    serve = functools.partial(http.server.SimpleHTTPRequestHandler, directory=home / "site")
    monkeypatch.setattr(http.server.SimpleHTTPRequestHandler, "log_message", lambda *args: None)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
        address = f"http://127.0.0.1:{server.server_port}/caltech-101.zip"
        official = Download(address, size=file.stat().st_size, md5=checksum(file, "md5"))
        entry = dataclasses.replace(catalogue.CALTECH101, downloads=(official,), images=9)
        monkeypatch.setitem(catalogue.ENTRIES, "caltech101", entry)
        data = load_caltech("caltech101")
        server.shutdown()
    assert data.source == "verified"
    assert len(data.index) == 6
    assert [path.name for path in (home / "raw").iterdir()] == ["caltech-101.zip"]
    assert load_caltech("caltech101").checksum == data.checksum  # the server has gone


def test_catalogue():
    for name, entry in catalogue.ENTRIES.items():
        assert entry.name == name
        assert entry.title and entry.licence and entry.citation
        assert bool(entry.downloads) == (name not in ("demo", "letters", "folder"))
        for file in entry.downloads:
            assert file.size > 0
            # What cannot be compared with a sum must at least come from where it says.
            assert file.address.startswith("https://") or (file.address.startswith("http://") and file.md5)
            assert not file.md5 or (len(file.md5) == 32 and int(file.md5, 16))


def test_every_entry_is_described():
    page = (paths.DATA / "README.md").read_text(encoding="utf-8")
    for entry in catalogue.ENTRIES.values():
        assert f"`{entry.name}`" in page
        for file in entry.downloads:
            assert f"{file.size:,}" in page and file.md5 in page


# the demo set


@pytest.fixture
def small_demo(home, monkeypatch):
    monkeypatch.setattr(objects, "draw", functools.partial(objects.draw, images_per_class=1))
    return home


def test_demo_is_drawn_once_and_has_masks(small_demo):
    data = load("demo")
    assert data.source == "drawn"
    assert data.class_names == objects.CATEGORIES[:-1]
    assert reasons(data) == {"013.clutter": "clutter class, not used by this brief (1 images)"}
    with Image.open(data.mask_path(0)) as mask:
        assert (mask.size, mask.mode) == (data.open_image(0).size, "L")
    drawn = (data.root / data.index["path"][0]).stat().st_mtime_ns
    again = load("demo", include_clutter=True)
    assert (data.root / data.index["path"][0]).stat().st_mtime_ns == drawn
    assert again.class_names == objects.CATEGORIES
    assert again.mask_path(12) is None  # clutter has none
    assert len(list((small_demo / "cache" / "demo").iterdir())) == 1


def test_interrupted_drawing_leaves_nothing(home, monkeypatch):
    def draw(folder):
        picture(Path(folder) / "images" / "001.anchor" / "001_0001.jpg")
        raise KeyboardInterrupt

    monkeypatch.setattr(objects, "draw", draw)
    with pytest.raises(KeyboardInterrupt):
        load("demo")
    assert list((home / "cache" / "demo").iterdir()) == []


def test_progress_bars(home, capsys, terminal):
    tar(caltech101(home / "made" / "101_ObjectCategories"), home / "raw" / "caltech101.tar", "w")
    load("caltech101")
    shown = capsys.readouterr().err
    assert "Extracting caltech101.tar: 10 files" in shown
    assert "Checking images: 100%" in shown


def test_room_does_not_import_tensorflow():
    code = (
        "import sys; from lib.datasets import audit, splits; "
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=paths.ROOT, check=False).returncode == 0


# published results


def test_published_results_are_whole_and_name_their_source():
    with (paths.DATA / "published.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        assert row["data_set"] in datasets.names()
        assert 0 < float(row["accuracy"]) < 100
        assert row["spread"] == "" or 0 < float(row["spread"]) < 10
        assert row["pretrained"] in ("yes", "no")
        assert all(row[name] for name in ("result", "measured on", "protocol", "source"))


def test_published_results_of_one_data_set_come_with_their_spread():
    table = catalogue.published_results("caltech256")
    assert list(table.columns) == ["result", "accuracy (%)", "measured on", "protocol", "pretrained", "source"]
    assert table["accuracy (%)"].iloc[0] == "38.8 ± 1.4"
    assert table["pretrained"].tolist() == sorted(table["pretrained"])
    assert table.index.tolist() == list(range(len(table)))
    assert catalogue.published_results("demo").empty
    for name in datasets.names():
        table = catalogue.published_results(name)
        assert table["pretrained"].tolist() == sorted(table["pretrained"])


def test_earlier_answers_stand_beside_published_results():
    basic, improved, augmented = catalogue.published_results("cifar100")["accuracy (%)"][:3]
    assert (basic, improved, augmented) == ("38.7", "43.9", "48.8")
    versions = catalogue.published_results("imagenet10")["accuracy (%)"].tolist()
    assert versions == ["51.3", "61.9", "64.3", "66.3", "75.1", "80.4", "83.8"]
    published = catalogue.published_results("cifar100")
    earlier = catalogue.earlier_answer(published)
    assert earlier["accuracy"][list(briefs.load("cifar100").judged)].tolist() == pytest.approx([0.387, 0.439, 0.488])
    others = published[~published["result"].str.startswith("earlier answer: ")]
    assert len(others) and catalogue.earlier_answer(others).empty  # what others published is no version of ours
    assert catalogue.earlier_answer(catalogue.published_results("demo")).empty


def test_the_catalogue_knows_which_images_are_those_of_imagenet():
    known = {entry.name for entry in catalogue.ENTRIES.values() if entry.of_imagenet}
    assert known == {"tiny_imagenet", "imagenet10"}
