"""The drawn demo set: the same bytes every time, the promised layout, pictures that are legible but not trivial."""

import functools
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib.config import paths
from lib.datasets import DataError
from lib.datasets.drawn import draw_demo, objects, scene, shapes

PER_CLASS = 3
LUMA = np.array([0.299, 0.587, 0.114])


def digests(root: Path) -> dict[str, str]:
    """SHA-256 of every file under a folder, by relative path."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    """A small demo set: its parent folder."""
    root = tmp_path_factory.mktemp("drawn")
    objects.draw(root, images_per_class=PER_CLASS)
    return root


@pytest.fixture(scope="module")
def sample() -> list[tuple[Image.Image, Image.Image]]:
    """Eight pictures of every object, with their masks."""
    return [objects.draw_image(category, number) for category in objects.CATEGORIES[:-1] for number in range(1, 9)]


def test_categories_are_sorted_objects_and_clutter_last():
    drawn = objects.CATEGORIES[:-1]
    assert len(drawn) == 12 and list(drawn) == sorted(drawn) == list(shapes.OBJECTS)
    assert objects.CATEGORIES[-1] == "clutter"


def test_layout_and_counts(drawn):
    images, masks = digests(drawn / "images"), digests(drawn / "masks")
    expected = [
        f"{i:03d}.{category}/{i:03d}_{number:04d}"
        for i, category in enumerate(objects.CATEGORIES, start=1)
        for number in range(1, PER_CLASS + 1)
    ]
    assert sorted(images) == [f"{stem}.jpg" for stem in expected]
    assert sorted(masks) == [f"{stem}.png" for stem in expected if "clutter" not in stem]
    assert sorted(path.name for path in drawn.iterdir()) == ["images", "masks"]


def test_no_two_images_are_alike(drawn):
    assert len(set(digests(drawn / "images").values())) == PER_CLASS * len(objects.CATEGORIES)


def test_same_bytes_every_time_and_fewer_images_are_the_first_ones(drawn, tmp_path):
    objects.draw(tmp_path, images_per_class=PER_CLASS - 1)
    first, second = digests(drawn), digests(tmp_path)
    assert second == {name: digest for name, digest in first.items() if f"_{PER_CLASS:04d}." not in name}


def test_files_are_jpegs_of_the_promised_sizes_with_masks_that_match(drawn):
    for path in (drawn / "images").glob("*/*.jpg"):
        with Image.open(path) as image:
            assert image.format == "JPEG" and image.mode in ("RGB", "L")
            assert all(80 <= side <= 400 for side in image.size)
        if "clutter" in path.parent.name:
            continue
        with Image.open(drawn / "masks" / path.parent.name / f"{path.stem}.png") as mask:
            assert mask.size == image.size and mask.mode == "L"
            values, counts = np.unique(np.asarray(mask), return_counts=True)
            assert values.tolist() == [0, 255] and counts[1] > 50


def test_sizes_and_aspect_ratios_are_mixed(sample):
    ratios = np.array([image.width / image.height for image, _ in sample])
    assert ratios.min() < 0.8 and ratios.max() > 1.25
    assert len({image.size for image, _ in sample}) > 80


def test_some_images_are_grey():
    grey = [objects.draw_image("star", number)[0].mode == "L" for number in range(1, 101)]
    assert 1 <= sum(grey) <= 12


def test_objects_measure_a_third_to_most_of_the_short_side(sample):
    for _, mask in sample:
        left, top, right, bottom = mask.getbbox()
        assert 0.33 <= max(right - left, bottom - top) / min(mask.size) <= 0.88


def test_objects_stand_out_from_their_surroundings(sample):
    for image, mask in sample:
        inside = np.asarray(mask) > 0
        left, top, right, bottom = mask.getbbox()
        near = np.zeros_like(inside)
        near[max(0, top - 4) : bottom + 4, max(0, left - 4) : right + 4] = True
        luma = np.asarray(image.convert("RGB")) @ LUMA / 255
        assert abs(luma[inside].mean() - luma[near & ~inside].mean()) > 0.15


def test_the_centre_of_the_image_is_usually_not_the_object(sample):
    hits = [mask.getpixel((mask.width // 2, mask.height // 2)) == 255 for _, mask in sample]
    assert np.mean(hits) <= 0.55


def test_clutter_has_no_mask():
    assert objects.draw_image("clutter", 1)[1] is None


def test_every_outline_varies_and_stays_in_its_square():
    for name, shape in shapes.OBJECTS.items():
        outlines = [shape(np.random.default_rng(seed)) for seed in (1, 2)]
        points = [np.concatenate([part.points for part in outline]) for outline in outlines]
        assert all(np.abs(corners).max() < 1.3 for corners in points), name
        assert points[0].shape != points[1].shape or not np.allclose(*points), name


def test_rasterise_paints_in_order_and_cuts_holes():
    square = shapes.polygon((0, 0), (12, 0), (12, 12), (0, 12))
    hole = shapes.polygon((3, 3), (9, 3), (9, 9), (3, 9), kind=shapes.HOLE)
    spot = shapes.polygon((5, 5), (7, 5), (7, 7), (5, 7), kind=shapes.DETAIL)
    cover, tone = scene.rasterise(square + hole + spot)
    assert cover[1, 1] == 1 and cover[4, 4] == 0 and cover[5, 5] == 1
    assert tone[1, 1] == 0 and tone[4, 4] == 0 and tone[5, 5] == 1


def test_posed_outline_has_the_asked_span_and_starts_at_the_origin():
    quarter_turn = np.array([[0, -1], [1, 0]])
    (part,) = scene.posed(shapes.polygon((-1, 0), (1, 0), (1, 1)), quarter_turn, span=50)
    assert part.points.min(axis=0).tolist() == [0, 0]
    assert part.points.max(axis=0).tolist() == [25, 50]


def test_set_apart_moves_only_what_is_too_close():
    surface, cover = np.full((4, 4, 3), 0.5, np.float32), np.ones((4, 4), np.float32)
    moved = scene.set_apart(surface, cover, around=0.45)
    assert moved.mean() == pytest.approx(0.45 + scene.MIN_CONTRAST, abs=1e-5)
    assert scene.set_apart(surface, cover, around=0.1).mean() == pytest.approx(0.5)


def test_progress_is_reported_on_standard_error(tmp_path, capsys, terminal):
    objects.draw(tmp_path, images_per_class=1)
    assert "Drawing the demo set: 100%" in capsys.readouterr().err


def test_a_draw_that_cannot_write_leaves_nothing_behind(own_folders):
    resource = pytest.importorskip("resource", reason="Windows has no limit on file sizes")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(DataError, match="Drawing the demo set failed: .*File too large"):
            draw_demo()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list((own_folders / "cache" / "demo").iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX process groups")
def test_a_killed_draw_does_not_count_and_can_be_repeated(own_folders, monkeypatch):
    home = own_folders / "cache" / "demo"
    code = "from lib.datasets.drawn import draw_demo; draw_demo()"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=paths.ROOT, start_new_session=True)
    deadline = time.monotonic() + 60
    while not list(home.glob(".partial-*/images/*/*.jpg")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    (left,) = home.iterdir()
    assert left.name.startswith(".partial-")
    monkeypatch.setattr(objects, "draw", functools.partial(objects.draw, images_per_class=1))
    images = draw_demo()
    assert len(digests(images)) == 13 and len(digests(images.with_name("masks"))) == 12
