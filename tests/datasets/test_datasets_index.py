"""The index: a quick look at flawless JPEGs that must never disagree with Pillow, and files handed out in chunks."""

import io
import random

import numpy as np
import pytest
from PIL import Image

from lib.datasets import DataError, images, index
from lib.datasets.index import read_index
from lib.datasets.readers.folders import list_class_folders


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSEWORK_CACHE", str(tmp_path / "cache"))


def jpeg(size=(90, 70), mode="RGB", seed=0, **options):
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8))
    out = io.BytesIO()
    small.resize(size).convert(mode).save(out, "JPEG", **options)
    return out.getvalue()


def skim(data):
    try:
        found = images.decode_jpeg(data, at_least=1)
    except DataError:  # damaged inside
        return None
    return found and found[1]


def look(data):
    image = images.decode(data)
    return image.width, image.height, images.count_channels(image)


FLAWLESS = {
    "colour": jpeg(),
    "grey": jpeg(mode="L"),
    "progressive": jpeg(progressive=True),
    "full colour": jpeg(subsampling=0),
    "one pixel": jpeg((1, 1)),
    "one row": jpeg((5000, 1)),
    "poor": jpeg(quality=5),
    "bytes after its end": jpeg() + b"more",
}


def test_quick_look_says_what_pillow_says_and_leaves_all_else_to_it():
    for name, data in FLAWLESS.items():
        assert skim(data) == look(data), name
    for data in (jpeg(mode="CMYK"), jpeg()[:-300], jpeg()[:200], b"\xff\xd8\xff", b"", b"\x89PNG"):
        assert skim(data) is None


def test_quick_look_keeps_the_limit(monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 90 * 70)
    assert skim(jpeg()) is not None
    monkeypatch.setattr(images, "MAX_PIXELS", 90 * 70 - 1)
    assert skim(jpeg()) is None
    with pytest.raises(DataError, match="too large: 90 x 70 pixels"):
        look(jpeg())


def test_quick_look_never_passes_what_pillow_refuses():
    rng, accepted = random.Random(0), 0
    for number in range(300):
        data = bytearray(FLAWLESS["progressive" if number % 4 == 0 else "colour"])
        if number % 3 == 0:
            del data[rng.randrange(3, len(data)) :]
        for _ in range(number % 3):
            data[rng.randrange(3, len(data))] = rng.randrange(256)
        found = skim(bytes(data))
        if found is not None:
            accepted += 1
            assert found == look(bytes(data))
    assert 50 < accepted < 250


@pytest.mark.parametrize("count", [64, 150])  # one chunk, and more
def test_rows_keep_the_order_of_the_files(tmp_path, count):
    bad = {row for row in range(count) if row % 7 == 3}
    for row in range(count):
        path = tmp_path / "photos" / "cat" / f"{row:03d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"" if row in bad else jpeg((8 + row, 8), seed=row))
    listing = list_class_folders(tmp_path / "photos")
    for _ in ("made", "stored"):
        found, left_out = read_index(tmp_path / "photos", listing, name="photos")
        kept = [row for row in range(count) if row not in bad]
        assert list(found.columns) == list(index.COLUMNS)
        assert found["path"].tolist() == [f"cat/{row:03d}.jpg" for row in kept]
        assert found["width"].tolist() == [8 + row for row in kept]
        assert found["sha256"].is_unique
        assert left_out == [(f"cat/{row:03d}.jpg", "zero bytes") for row in sorted(bad)]


def test_every_fact_of_a_file_changes_the_fingerprint(tmp_path):
    path = tmp_path / "photos" / "cat" / "1.jpg"
    path.parent.mkdir(parents=True)
    path.write_bytes(jpeg())
    listing = list_class_folders(tmp_path / "photos")
    (file,) = listing.files
    seen = {index._fingerprint(tmp_path, listing), index._fingerprint(tmp_path / "photos", listing)}
    for changes in ({"path": "x"}, {"folder": "x"}, {"role": "val"}, {"size": 1}, {"mtime": 1}):
        listing.files[:] = [file._replace(**changes)]
        seen.add(index._fingerprint(tmp_path, listing))
    listing.files[:] = []
    seen.add(index._fingerprint(tmp_path, listing))
    assert len(seen) == 8
