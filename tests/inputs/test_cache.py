"""The decoded cache: resizing by hand, keys that follow the content, and no half-written file in use."""

import dataclasses
import os
import platform

import numpy as np
import pytest
from PIL import Image

from lib import datasets
from lib.config import paths
from lib.datasets import DataError
from lib.datasets.images import read_pixels
from lib.inputs.cache import CachedImages, StreamedImages, decode_rows, fill_cache, open_images, resize_image


@pytest.fixture
def flag() -> np.ndarray:
    """8 x 4 pixels: two columns red, four green, two blue."""
    pixels = np.zeros((4, 8, 3), np.uint8)
    pixels[:, :2, 0] = pixels[:, 2:6, 1] = pixels[:, 6:, 2] = 255
    return pixels


RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def test_stretch_averages_the_longer_side(flag):
    assert np.array_equal(resize_image(flag, size=4, resize="stretch"), [[RED, GREEN, GREEN, BLUE]] * 4)


def test_stretch_weighs_pixels_by_the_part_they_cover():
    row = np.array([[0, 90, 210]], np.uint8)  # onto two pixels: one and a half each
    assert resize_image(row, size=2, resize="stretch").tolist() == [[30, 170]] * 2


def test_a_side_that_grows_is_interpolated_while_the_other_is_averaged():
    columns = np.tile(np.array([0, 100], np.uint8), (2, 8))  # 2 high, 16 wide, striped
    assert np.array_equal(resize_image(columns, size=4, resize="stretch"), np.full((4, 4), 50))
    steps = resize_image(np.array([[0], [100]], np.uint8), size=4, resize="stretch")
    assert steps[:, 0].tolist() == [0, 25, 75, 100]


def test_crop_keeps_the_centre_square(flag):
    assert np.array_equal(resize_image(flag, size=4, resize="crop"), np.full((4, 4, 3), GREEN))


@pytest.mark.parametrize("resize", ["stretch", "crop"])
def test_a_square_image_is_only_scaled(resize):
    image = np.random.default_rng(0).integers(0, 256, (6, 6, 3)).astype(np.uint8)
    assert np.array_equal(resize_image(image, size=6, resize=resize), image)
    assert np.array_equal(resize_image(Image.fromarray(image), size=6, resize=resize), image)
    assert resize_image(image, size=15, resize=resize).shape == (15, 15, 3)


@pytest.mark.parametrize("resize", ["stretch", "crop"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1), (3, 2)])
def test_any_shape_becomes_a_square(shape, resize):
    assert np.array_equal(np.unique(resize_image(np.full(shape, 7, np.uint8), size=5, resize=resize))[-1:], [7])


def test_an_unknown_resize_is_refused(flag):
    with pytest.raises(ValueError, match="resize must be stretch or crop. Received: 'squash'"):
        resize_image(flag, size=4, resize="squash")


def test_a_large_jpeg_is_decoded_close_to_its_full_decoding(tmp_path):
    ramp = np.add.outer(np.arange(200), np.arange(300)) // 2
    Image.fromarray(np.stack([ramp, 255 - ramp, ramp], axis=2).astype(np.uint8)).save(tmp_path / "large.jpg")
    full = np.asarray(Image.open(tmp_path / "large.jpg").resize((16, 16), Image.Resampling.BOX), float)
    part = read_pixels(tmp_path / "large.jpg", at_least=16)
    assert part.shape == (25, 38, 3)
    np.testing.assert_allclose(resize_image(part, size=16, resize="stretch").astype(float), full, atol=4)


def test_the_cache_is_a_memory_map_in_index_order(photos):
    images = open_images(photos, size=8)
    assert isinstance(images, CachedImages) and isinstance(images.pixels, np.memmap)
    assert images.pixels.shape == (18, 8, 8, 3) and images.pixels.dtype == np.uint8
    assert not images.pixels.flags.writeable
    rows = np.array([5, 0, 5])
    batch = images.read(rows)
    assert type(batch) is np.ndarray and batch.shape == (3, 8, 8, 3)
    assert np.array_equal(batch, decode_rows(photos, rows, size=8, resize="stretch"))
    image = np.asarray(photos.open_image(5))
    differences = np.abs(batch.astype(float) - resize_image(image, size=8, resize="stretch")).mean(axis=(1, 2, 3))
    assert differences[0] < 8 < differences[1]  # noise, decoded at a fraction of its size


def test_streamed_images_are_those_of_the_cache(photos):
    for resize in ("stretch", "crop"):
        cached, streamed = (open_images(photos, size=8, resize=resize, budget=budget) for budget in (None, 0))
        assert isinstance(streamed, StreamedImages)
        rows = np.arange(18)[::-1]
        assert np.array_equal(cached.read(rows), streamed.read(rows))


def test_the_budget_decides_between_cache_and_stream(photos):
    exact = 18 * 8 * 8 * 3
    assert isinstance(open_images(photos, size=8, budget=exact), CachedImages)
    assert isinstance(open_images(photos, size=8, budget=exact - 1), StreamedImages)


def test_streaming_writes_no_cache(photos):
    open_images(photos, size=8, budget=0)
    assert not (paths.cache() / "pixels").exists()


def cache_files() -> set[str]:
    return {file.name for file in (paths.cache() / "pixels").iterdir()}


def test_a_cache_is_reused_until_size_resize_or_content_changes(photos, photo_folder):
    open_images(photos, size=8)
    (first,) = (paths.cache() / "pixels").iterdir()
    written = first.stat().st_mtime_ns
    open_images(photos, size=8)
    assert cache_files() == {first.name} and first.stat().st_mtime_ns == written
    open_images(photos, size=9)
    open_images(photos, size=8, resize="crop")
    assert len(cache_files()) == 3
    Image.new("RGB", (20, 20), "red").save(photo_folder / "apple" / "0.jpg")
    changed = open_images(datasets.load("folder", path=photo_folder), size=8)
    assert len(cache_files()) == 4
    assert changed.read(np.array([0]))[0].mean(axis=(0, 1)).argmax() == 0


def test_a_sample_of_the_rows_has_a_cache_of_its_own(photos):
    whole, part = open_images(photos, size=8), open_images(photos.keep(np.array([3, 17])), size=8)
    assert part.pixels.shape[0] == 2 and len(cache_files()) == 2
    assert np.array_equal(part.pixels, whole.pixels[[3, 17]])


def test_a_failed_filling_leaves_nothing_behind(photos, photo_folder):
    victim = photo_folder / "cup" / "5.jpg"
    content = victim.read_bytes()
    victim.write_bytes(content[:100])
    with pytest.raises(DataError, match="cup/5.jpg"):
        open_images(photos, size=8)
    assert cache_files() == set()
    victim.write_bytes(content)
    assert open_images(photos, size=8).pixels.shape == (18, 8, 8, 3)


def test_a_half_written_cache_is_never_used(photos):
    open_images(photos, size=8)
    (whole,) = (paths.cache() / "pixels").iterdir()
    expected = np.load(whole)
    torn = whole.with_name(f".{whole.stem}.{platform.node()}.99999999.part.npy")  # what a killed process leaves
    alive = whole.with_name(f".{whole.stem}.{platform.node()}.{os.getppid()}.part.npy")
    for part in (torn, alive):
        part.write_bytes(whole.read_bytes()[:200])
    whole.unlink()
    assert np.array_equal(open_images(photos, size=8).pixels, expected)
    assert alive.exists() and not torn.exists()


def test_fill_cache_writes_the_file_it_is_asked_for(photos, tmp_path):
    target = tmp_path / "new" / "pixels.npy"
    fill_cache(target, photos, size=5, resize="stretch")
    assert [file.name for file in target.parent.iterdir()] == ["pixels.npy"]
    stored = np.load(target)
    assert np.array_equal(stored, decode_rows(photos, range(18), size=5, resize="stretch"))


def test_grey_arrays_become_three_equal_channels(photos):
    rows = np.array([2, 0])
    part = np.arange(3 * 4 * 4, dtype=np.uint8).reshape(3, 4, 4)
    index = photos.index.iloc[:3].assign(path=[f"train#{n:05d}" for n in range(3)])
    pixels = decode_rows(dataclasses.replace(photos, index=index, arrays={"train": part}), rows, size=4, resize="crop")
    assert np.array_equal(pixels, np.repeat(part[rows][..., None], 3, axis=-1))


def test_images_cannot_be_swapped_under_a_reader():
    with pytest.raises(dataclasses.FrozenInstanceError):
        CachedImages(np.zeros((1, 2, 2, 3), np.uint8), np.zeros(1, int)).pixels = None
