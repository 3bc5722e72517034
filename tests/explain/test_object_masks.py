"""Objects from mask files and boxes: resized as their images are, and said to be missing where they are."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import small_data_sets
from PIL import Image

from lib import datasets
from lib.config import paths
from lib.datasets import DataError
from lib.explain.scoring.object_masks import object_masks
from lib.inputs.cache import open_images

BOX = (10, 4, 29, 15)  # x0, y0, x1, y1 of the object in every image, both corners inside


@pytest.fixture
def data(own_folders):
    """Two classes of two images, 40 x 24 pixels: the object is white, all else black; its masks lie beside."""
    x0, y0, x1, y1 = BOX
    pixels = np.zeros((24, 40), np.uint8)
    pixels[y0 : y1 + 1, x0 : x1 + 1] = 255
    for number in range(4):
        name = f"{'ab'[number // 2]}/{number}.png"
        for folder, image in (("images", np.stack([pixels] * 3, axis=-1)), ("masks", pixels)):
            file = own_folders / folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            image = image.copy()
            image[0, number] = 1 if folder == "images" else 0  # no two images are alike
            Image.fromarray(image).save(file)
    loaded = datasets.load("folder", path=own_folders / "images")
    return dataclasses.replace(loaded, masks=own_folders / "masks")


def with_boxes(data, *corners, path="a/0.png"):
    table = pd.DataFrame([(path, *box) for box in corners], columns=["path", "x0", "y0", "x1", "y1"])
    return dataclasses.replace(data, masks=None, boxes=table)


def seen(data, *, size, resize):
    """Where the image itself is white at that size."""
    return open_images(data, size=size, resize=resize).read(np.array([0]))[..., 0] >= 128


@pytest.mark.parametrize("resize", ["stretch", "crop"])
@pytest.mark.parametrize("size", [7, 64])
def test_a_mask_and_a_box_lie_where_the_object_of_the_resized_image_is(data, size, resize):
    expected = seen(data, size=size, resize=resize)
    assert 0 < expected.sum() < size * size
    for truth in (data, with_boxes(data, BOX)):
        found = object_masks(truth, [0], size=size, resize=resize)
        assert found.dtype == bool and found.shape == (1, size, size)
        np.testing.assert_array_equal(found, expected)


def test_a_mask_at_half_the_size_counted_by_hand(data):
    (mask,) = object_masks(with_boxes(data, (0, 0, 39, 11)), [0], size=2)
    assert mask.tolist() == [[True, True], [False, False]]


def test_the_ways_to_resize_differ(data):
    masks = [object_masks(data, [0], size=20, resize=resize) for resize in ("stretch", "crop")]
    assert masks[0].sum() != masks[1].sum()


def test_all_boxes_of_an_image_count_and_masks_come_first(data):
    both = object_masks(with_boxes(data, (0, 0, 9, 5), (30, 18, 39, 23)), [0], size=40)
    apart = [object_masks(with_boxes(data, box), [0], size=40) for box in ((0, 0, 9, 5), (30, 18, 39, 23))]
    np.testing.assert_array_equal(both, apart[0] | apart[1])
    masked = dataclasses.replace(data, boxes=with_boxes(data, (0, 0, 3, 3)).boxes)
    np.testing.assert_array_equal(object_masks(masked, [0], size=40), object_masks(data, [0], size=40))


def test_boxes_of_tiny_imagenet_become_masks(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RAW", tmp_path / "raw")
    monkeypatch.setenv("COURSEWORK_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("COURSEWORK_DATA", raising=False)
    small_data_sets.tiny_imagenet(tmp_path / "raw", per_class=4)
    tiny = datasets.load("tiny_imagenet")
    found = object_masks(tiny, range(len(tiny.index)), size=64)
    assert found.any(axis=(1, 2)).all()
    corners = tiny.boxes.set_index("path").loc[tiny.index["path"]]
    areas = (corners["x1"] - corners["x0"] + 1) * (corners["y1"] - corners["y0"] + 1)
    assert found.sum(axis=(1, 2)).tolist() == areas.tolist()
    for mask, (x0, y0, x1, y1) in zip(found, corners.to_numpy(), strict=True):
        assert mask[y0, x0] and mask[y1, x1] and mask[y0 : y1 + 1, x0 : x1 + 1].all()


def test_rows_are_answered_in_the_order_asked_for(data):
    some = object_masks(with_boxes(data, (0, 0, 19, 23), path="b/2.png"), [3, 2, 2], size=8)
    assert some.mean(axis=(1, 2)).tolist() == [0.0, 0.5, 0.5]


def test_what_is_not_known_is_empty(data):
    assert not object_masks(dataclasses.replace(data, masks=None), [0, 1], size=8).any()
    data.mask_path(1).unlink()
    assert object_masks(data, [0, 1], size=8).any(axis=(1, 2)).tolist() == [True, False]
    assert not object_masks(with_boxes(data, (0, 0, 0, 0)), [0], size=4).any()  # covers no half pixel
    assert object_masks(data, [], size=4).shape == (0, 4, 4)


@pytest.mark.parametrize("box", [(-1, 0, 5, 5), (0, 0, 40, 5), (0, 0, 5, 24), (6, 0, 5, 5)])
def test_a_box_outside_its_image_is_refused(data, box):
    with pytest.raises(DataError, match="a box must lie in its image, 40 x 24.*Received.*a/0.png"):
        object_masks(with_boxes(data, box), [0], size=8)


def test_damaged_and_misfitting_masks_are_refused(data):
    Image.new("L", (24, 40)).save(data.mask_path(0))
    with pytest.raises(DataError, match="must have the size of its image, 40 x 24. Received: 24 x 40"):
        object_masks(data, [0], size=8)
    data.mask_path(0).write_bytes(b"no image")
    with pytest.raises(DataError, match="0.png: the object mask is damaged"):
        object_masks(data, [0], size=8)


def test_an_unknown_way_to_resize_is_refused(data):
    with pytest.raises(ValueError, match="resize must be stretch or crop. Received: 'bend'"):
        object_masks(data, [0], size=8, resize="bend")
