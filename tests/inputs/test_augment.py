"""Augmentation: each option moves planted pixels the way it says, and labels follow the pixels."""

import numpy as np
import pytest
import tensorflow as tf

from lib.config import Augment
from lib.inputs.augment import GEOMETRIC, augment_batch, cutmix, jitter_colour, random_boxes, random_transforms, warp

SEED = tf.constant([3, 7])
OPTIONS = {
    "flip": True,
    "rotation": 30.0,
    "shift": 0.2,
    "zoom": 0.5,
    "aspect": 0.5,
    "shear": 20.0,
    "crop": 0.5,
    "perspective": 0.3,
    "colour": 0.5,
    "cutmix": 1.0,
}
EVERYTHING = Augment(**OPTIONS | {"cutmix": 0.4})


def noise(count=6, height=12, width=12) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3)).astype(np.uint8)


def augmented(images, config, *, labels=None, num_classes=3, seed=SEED):
    labels = np.arange(len(images), dtype=np.int32) % num_classes if labels is None else labels
    images, labels = augment_batch(
        tf.constant(images), tf.constant(labels), config=config, num_classes=num_classes, seed=seed
    )
    return images.numpy(), labels.numpy()


def drawn(config, *, count=2000, sides=(20, 40)) -> np.ndarray:
    """Many random maps as (count, 6): a, b, c, d, e, f."""
    transforms = random_transforms(count, config=config, sides=tf.constant(sides), seed=SEED).numpy()
    assert transforms.shape == (count, 8) and transforms[:, 6:].any() == (config.perspective > 0)
    return transforms[:, :6]


def moments(image) -> tuple[np.ndarray, np.ndarray]:
    """Centre (x, y) and covariance of a bright shape on black."""
    weight = image[..., 0] / image[..., 0].sum()
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    centre = np.array([(weight * x).sum(), (weight * y).sum()])
    dx, dy = x - centre[0], y - centre[1]
    return centre, np.array([[(weight * dx * dx).sum(), (weight * dx * dy).sum()], [0, (weight * dy * dy).sum()]])


def rectangle(rows: slice, columns: slice, *, count=40, side=33) -> np.ndarray:
    images = np.zeros((count, side, side, 3), np.uint8)
    images[:, rows, columns] = 255
    return images


def test_without_options_only_the_type_changes():
    images, labels = augmented(noise(), Augment())
    assert images.dtype == np.float32 and np.array_equal(images, noise())
    assert labels.dtype == np.int32 and labels.tolist() == [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_changes_the_pixels(name):
    images, labels = augmented(noise(), Augment(**{name: OPTIONS[name]}))
    assert images.dtype == np.float32 and images.shape == (6, 12, 12, 3)
    assert images.min() >= 0 and images.max() <= 255
    assert not np.array_equal(images, noise())
    if name != "cutmix":
        assert labels.tolist() == [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize("name", OPTIONS)
def test_the_same_seed_gives_the_same_batch_and_another_seed_another(name):
    config = Augment(**{name: OPTIONS[name]})
    first, again, other = (augmented(noise(), config, seed=tf.constant(seed)) for seed in ([1, 2], [1, 2], [1, 3]))
    assert np.array_equal(first[0], again[0]) and np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize("name", [*OPTIONS, "everything"])
def test_a_tf_data_pipeline_gives_what_eager_code_gives(name):
    config = EVERYTHING if name == "everything" else Augment(**{name: OPTIONS[name]})
    labels = np.arange(6, dtype=np.int32) % 3
    stream = tf.data.Dataset.from_tensors((noise(), labels, SEED)).map(
        lambda images, labels, seed: augment_batch(images, labels, config=config, num_classes=3, seed=seed)
    )
    assert stream.element_spec[0].shape == (6, 12, 12, 3) and stream.element_spec[0].dtype == tf.float32
    (images, labels), eager = next(iter(stream)), augmented(noise(), config)
    np.testing.assert_allclose(images, eager[0], atol=1e-3)
    np.testing.assert_allclose(labels, eager[1], atol=1e-6)


def test_float_images_and_other_shapes_pass_too():
    config = EVERYTHING
    images = noise(5, 8, 14)
    whole, rows = augmented(images, config)
    fractions, _ = augmented(images.astype(np.float32), config)
    assert np.array_equal(whole, fractions) and whole.shape == (5, 8, 14, 3) and rows.shape == (5, 3)
    assert augmented(images[:1], config)[0].shape == (1, 8, 14, 3)


def test_flip_mirrors_about_half_of_the_images_exactly():
    images = noise(200, 6, 9)
    result, labels = augmented(images, Augment(flip=True))
    same = [np.array_equal(a, b) for a, b in zip(result, images, strict=True)]
    mirrored = [np.array_equal(a, b[:, ::-1]) for a, b in zip(result, images, strict=True)]
    assert all(a != b for a, b in zip(same, mirrored, strict=True))
    assert 70 <= sum(mirrored) <= 130
    assert labels.tolist() == [i % 3 for i in range(200)]


def test_warp_by_whole_pixels_moves_and_reflects():
    image = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.uint8)[None, :, :, None]
    identity, left, down = [1, 0, 0, 0, 1, 0, 0, 0], [1, 0, 1, 0, 1, 0, 0, 0], [1, 0, 0, 0, 1, -1, 0, 0]
    for row, expected in [
        (identity, [[1, 2, 3], [4, 5, 6], [7, 8, 9]]),
        (left, [[2, 3, 3], [5, 6, 6], [8, 9, 9]]),
        (down, [[1, 2, 3], [1, 2, 3], [4, 5, 6]]),
    ]:
        assert warp(tf.constant(image), tf.constant([row], tf.float32))[0, :, :, 0].numpy().tolist() == expected


def test_each_fill_brings_in_its_own_pixels():
    image = tf.constant([1.0, 2.0, 3.0, 4.0], shape=(1, 1, 4, 1))
    two_to_the_right = tf.constant([[1, 0, -2, 0, 1, 0, 0, 0]], tf.float32)
    for fill, expected in {"reflect": [2, 1, 1, 2], "nearest": [1, 1, 1, 2], "constant": [0, 0, 1, 2]}.items():
        assert warp(image, two_to_the_right, fill=fill).numpy().ravel().tolist() == expected
    photo = np.arange(3 * 8 * 8 * 3, dtype=np.uint8).reshape(3, 8, 8, 3)
    results = [augmented(photo, Augment(shift=0.5, fill=fill))[0] for fill in ("reflect", "nearest", "constant")]
    assert not np.array_equal(results[0], results[1]) and not np.array_equal(results[1], results[2])


def test_warp_by_half_a_pixel_interpolates():
    image = tf.constant([0.0, 10.0, 30.0, 70.0], shape=(1, 1, 4, 1))
    moved = warp(image, tf.constant([[1, 0, 0.5, 0, 1, 0, 0, 0]], tf.float32))
    assert moved[0, 0, :3, 0].numpy().tolist() == [5.0, 20.0, 50.0]


def test_maps_without_options_are_the_identity():
    assert np.array_equal(drawn(Augment(), count=2), [[1, 0, 0, 0, 1, 0]] * 2)


@pytest.mark.parametrize("name", [name for name in GEOMETRIC if name not in ("shift", "crop", "perspective")])
def test_all_maps_but_shifts_keep_the_centre(name):
    a, b, c, d, e, f = drawn(Augment(**{name: OPTIONS[name]})).T
    np.testing.assert_allclose(a * 19.5 + b * 9.5 + c, 19.5, atol=1e-4)
    np.testing.assert_allclose(d * 19.5 + e * 9.5 + f, 9.5, atol=1e-4)


def test_rotation_draws_angles_evenly_from_its_range():
    a, b, _, d, e, _ = drawn(Augment(rotation=30)).T
    angle = np.degrees(np.arctan2(d, a))
    assert -30 <= angle.min() < -29 and 29 < angle.max() <= 30 and abs(angle.mean()) < 1.5
    np.testing.assert_allclose(a, e, atol=1e-6)
    np.testing.assert_allclose(b, -d, atol=1e-6)
    np.testing.assert_allclose(a * a + d * d, 1, atol=1e-5)


def test_shift_draws_each_axis_from_a_fraction_of_the_side():
    a, b, c, d, e, f = drawn(Augment(shift=0.25)).T
    assert np.array_equal([a, b, d, e], [np.ones(2000), np.zeros(2000), np.zeros(2000), np.ones(2000)])
    assert -10 <= c.min() < -9.8 and 9.8 < c.max() <= 10  # a quarter of 40 pixels
    assert -5 <= f.min() < -4.9 and 4.9 < f.max() <= 5  # a quarter of 20
    assert abs(np.corrcoef(c, f)[0, 1]) < 0.1


def test_images_only_mirrored_and_shifted_stay_sharp():
    images = noise(count=400, height=32, width=32)
    changed, _ = augmented(images, Augment(flip=True, shift=0.12))
    assert np.array_equal(changed, np.round(changed))  # each pixel is one of the image, and no mean of several
    middle, moved = images[:, 4:28, 4:28].astype(int), set()
    for number, image in enumerate(changed):
        places = [(y, x) for y in range(9) for x in range(9) for turn in (1, -1)
                  if np.array_equal(image[:, ::turn][y : y + 24, x : x + 24], middle[number])]  # fmt: skip
        moved.add(places[0])
    assert len(moved) > 70 and {y for y, _ in moved} == set(range(9)), "all steps of up to four pixels"


def test_zoom_draws_enlargement_and_shrinking_alike():
    a, b, _, d, e, _ = drawn(Augment(zoom=0.5)).T
    assert np.array_equal(a, e) and not b.any() and not d.any()
    assert 1 / 1.5 - 1e-6 <= a.min() < 0.68 and 1.48 < a.max() <= 1.5 + 1e-6
    assert abs(np.log(a).mean()) < 0.02


def test_aspect_stretches_one_side_as_it_shrinks_the_other():
    a, _, _, _, e, _ = drawn(Augment(aspect=0.5)).T
    np.testing.assert_allclose(a * e, 1, atol=1e-5)
    assert 1 / 1.5 - 1e-5 <= (a / e).min() < 0.68 and 1.48 < (a / e).max() <= 1.5 + 1e-5


def test_shear_slants_by_up_to_its_angle():
    a, b, _, d, e, _ = drawn(Augment(shear=20)).T
    assert np.array_equal([a, d, e], [np.ones(2000), np.zeros(2000), np.ones(2000)])
    angle = np.degrees(np.arctan(b))
    assert -20 <= angle.min() < -19.5 and 19.5 < angle.max() <= 20.01


def test_crop_draws_a_window_of_the_image_that_lies_inside_it():
    a, b, c, d, e, f = drawn(Augment(crop=0.4)).T
    assert np.array_equal(a, e) and not b.any() and not d.any()
    assert 0.6 <= a.min() < 0.61 and 0.99 < a.max() <= 1 and abs(a.mean() - 0.8) < 0.01
    places = []
    for start, side, length in ((c, a, 40), (f, e, 20)):
        end = start + side * (length - 1)
        assert start.min() > -1e-4 and end.max() < length - 1 + 1e-4  # no pixel from outside
        place = (start / (length - 1) / (1 - side))[side < 0.95]  # 0 at one border, 1 at the other
        assert place.min() < 0.01 and place.max() > 0.99 and abs(place.mean() - 0.5) < 0.03
        places.append(place)
    assert abs(np.corrcoef(*places)[0, 1]) < 0.1


def test_perspective_tilts_about_the_centre_and_joins_the_other_changes_in_one_map():
    """Against the plain way: each pixel as a point, divided by its depth, then moved by the affine map."""
    rest = {"flip": True, "rotation": 30, "shift": 0.2, "zoom": 0.3, "shear": 10, "crop": 0.3}
    height, width = 21, 41
    maps, affine = (
        random_transforms(50, config=Augment(**rest, perspective=p), sides=tf.constant([height, width]), seed=SEED)
        for p in (0.4, 0.0)
    )
    maps, affine, image = maps.numpy(), affine.numpy(), noise(1, height, width).astype(np.float32)
    y, x = np.mgrid[:height, :width].astype(np.float64)
    tilts = []
    for tilted, (a, b, c, d, e, f, *_) in zip(maps, affine, strict=True):
        to_right, down = tilted[6:]
        middle = 1 + to_right * 20 + down * 10  # depth at the centre, in which the first pixel has 1
        depth = (1 + to_right * x + down * y) / middle
        tilts.append((to_right / middle * 20, down / middle * 10))
        u, v = (x - 20) / depth + 20, (y - 10) / depth + 10
        expected = np.stack([a * u + b * v + c, d * u + e * v + f])
        first, second = tilted[:3], tilted[3:6]
        here = np.stack([row[0] * x + row[1] * y + row[2] for row in (first, second)]) / (depth * middle)
        np.testing.assert_allclose(here, expected, atol=2e-3)
    assert 0.37 < np.abs(tilts).max() <= 0.4001
    moved = warp(tf.constant(image), tf.constant(maps[:1]), fill="nearest", perspective=True).numpy()[0, ..., 0]
    a, b, c, d, e, f, g, h = maps[0].astype(np.float64)
    left = np.clip((a * x + b * y + c) / (g * x + h * y + 1), 0, width - 1)
    top = np.clip((d * x + e * y + f) / (g * x + h * y + 1), 0, height - 1)
    corner_x, corner_y = np.minimum(left.astype(int), width - 2), np.minimum(top.astype(int), height - 2)
    across, below, pixels = left - corner_x, top - corner_y, image[0, ..., 0]
    rows = [
        pixels[corner_y + step, corner_x] * (1 - across) + pixels[corner_y + step, corner_x + 1] * across
        for step in (0, 1)
    ]
    np.testing.assert_allclose(moved, rows[0] * (1 - below) + rows[1] * below, atol=0.2)


def test_crop_and_perspective_leave_the_other_draws_as_they_were():
    config = Augment(flip=True, rotation=30, shift=0.2, colour=0.3)
    plain = random_transforms(9, config=config, sides=tf.constant([8, 8]), seed=SEED).numpy()
    cropped = random_transforms(9, config=config.replace(crop=1e-7), sides=tf.constant([8, 8]), seed=SEED).numpy()
    np.testing.assert_allclose(cropped, plain, atol=1e-5)


def test_flip_negates_one_column_of_about_half_the_maps():
    a = drawn(Augment(flip=True))[:, 0]
    assert set(a.tolist()) == {1.0, -1.0} and 850 < (a < 0).sum() < 1150


def test_options_are_drawn_one_from_another_independently():
    a, _, c, d, _, _ = drawn(Augment(flip=True, rotation=30, shift=0.2)).T
    alone = drawn(Augment(shift=0.2, rotation=1e-7))[:, 2]
    turned = c + a * 19.5 + drawn(Augment(flip=True, rotation=30))[:, 1] * 9.5 - 19.5
    np.testing.assert_allclose(turned, alone, atol=1e-4)
    assert abs(np.corrcoef(np.sign(a), d * np.sign(a))[0, 1]) < 0.1


def test_rotation_turns_a_bar_by_the_drawn_angle():
    bars = rectangle(slice(15, 18), slice(6, 27))
    maps = random_transforms(40, config=Augment(rotation=60), sides=tf.constant([33, 33]), seed=SEED)
    for image, (a, _, _, d, *_) in zip(warp(tf.constant(bars), maps).numpy(), maps.numpy(), strict=True):
        centre, ((xx, xy), (_, yy)) = moments(image)
        measured = np.degrees(0.5 * np.arctan2(2 * xy, xx - yy))
        assert measured == pytest.approx(-np.degrees(np.arctan2(d, a)), abs=1.5)
        np.testing.assert_allclose(centre, 16, atol=0.2)


def test_shift_moves_a_blob_by_at_most_its_share_of_the_side():
    result, _ = augmented(rectangle(slice(14, 19), slice(14, 19)), Augment(shift=0.2))
    centres = np.array([moments(image)[0] for image in result])
    assert np.abs(centres - 16).max() <= round(0.2 * 33) + 1e-3
    assert (centres.max(axis=0) > 20).all() and (centres.min(axis=0) < 12).all()
    np.testing.assert_allclose(result.sum(axis=(1, 2, 3)), 25 * 3 * 255, rtol=1e-4)


def test_zoom_enlarges_and_shrinks_a_square_within_its_range():
    result, _ = augmented(rectangle(slice(12, 21), slice(12, 21)), Augment(zoom=0.5))
    side = np.sqrt(result[..., 0].sum(axis=(1, 2)) / 255) / 9
    assert 1 / 1.5 - 0.05 < side.min() < 0.8 and 1.3 < side.max() < 1.5 + 0.05


def test_aspect_makes_a_square_wide_or_high_and_keeps_its_area():
    result, _ = augmented(rectangle(slice(10, 23), slice(10, 23)), Augment(aspect=0.5))
    ratio = [np.sqrt(spread[0, 0] / spread[1, 1]) for _, spread in map(moments, result)]
    assert 0.6 < min(ratio) < 0.8 and 1.25 < max(ratio) < 1.6
    np.testing.assert_allclose(result[..., 0].sum(axis=(1, 2)) / 255, 169, rtol=0.03)


def test_shear_leans_a_pillar_and_keeps_its_rows():
    pillar = rectangle(slice(6, 27), slice(15, 18))
    maps = random_transforms(40, config=Augment(shear=20), sides=tf.constant([33, 33]), seed=SEED)
    for image, (_, b, *_) in zip(warp(tf.constant(pillar), maps).numpy(), maps.numpy(), strict=True):
        assert image[:6].max() == 0 and image[27:].max() == 0
        _, ((_, xy), (_, yy)) = moments(image)
        assert xy / yy == pytest.approx(-b, abs=0.02)


def test_outside_pixels_are_reflections_of_inside_ones():
    config = Augment(rotation=45, shift=0.3, zoom=0.5, shear=20)
    result, _ = augmented(np.full((8, 16, 16, 3), 77, np.uint8), config)
    np.testing.assert_allclose(result, 77, atol=1e-3)


def test_brightness_moves_a_grey_image_by_up_to_half_the_strength():
    result = jitter_colour(tf.fill((300, 4, 4, 3), 100.0), strength=0.4, seed=SEED).numpy()
    assert np.ptp(result, axis=(1, 2, 3)).max() < 1e-3  # neither contrast nor saturation acts on plain grey
    moved = result[:, 0, 0, 0] - 100
    assert -51 <= moved.min() < -48 and 48 < moved.max() <= 51  # 0.4 * 127.5


def test_saturation_scales_the_distance_from_grey():
    halves = np.full((300, 4, 4, 3), 100.0, np.float32)
    halves[:, :2] = [140.0, 120.0, 100.0]
    result = jitter_colour(tf.constant(halves), strength=0.3, seed=SEED).numpy()
    colour, grey = result[:, 0, 0], result[:, 3, 0, 0]
    np.testing.assert_allclose(colour[:, 0] - colour[:, 1], colour[:, 1] - colour[:, 2], atol=1e-3)
    contrast = (colour.mean(axis=1) - grey) / 20
    scale = (colour[:, 0] - colour[:, 2]) / 40 / contrast
    assert 0.7 <= scale.min() < 0.72 and 1.28 < scale.max() <= 1.3001


def test_contrast_scales_the_distance_from_the_mean():
    halves = np.full((300, 4, 4, 3), 110.0, np.float32)
    halves[:, :2] = 130.0
    result = jitter_colour(tf.constant(halves), strength=0.3, seed=SEED).numpy()
    scale = (result[:, 0, 0, 0] - result[:, 3, 0, 0]) / 20
    assert 0.7 <= scale.min() < 0.72 and 1.28 < scale.max() <= 1.3001


def test_colour_stays_in_range_and_strength_zero_changes_nothing():
    images = tf.cast(noise(), tf.float32)
    result = jitter_colour(images, strength=1.0, seed=SEED).numpy()
    assert result.min() == 0 and result.max() == 255
    np.testing.assert_allclose(jitter_colour(images, strength=0.0, seed=SEED), images, atol=1e-3)


def test_boxes_cover_the_area_asked_for_where_they_fit():
    images = tf.zeros((400, 50, 50, 3))
    boxes = random_boxes(images, tf.fill((400,), 0.16), seed=SEED).numpy()
    assert boxes.shape == (400, 50, 50, 1) and set(np.unique(boxes)) == {0.0, 1.0}
    rows, columns = boxes.any(axis=2).sum(axis=(1, 2)), boxes.any(axis=1).sum(axis=(1, 2))
    np.testing.assert_array_equal(boxes.sum(axis=(1, 2, 3)), rows * columns)  # filled rectangles
    assert rows.max() == 20 and columns.max() == 20  # 0.4 of the side
    whole = (rows == 20) & (columns == 20)
    assert 0.25 < whole.mean() < 0.5  # the centre is at least 0.2 from every border: 0.6 * 0.6
    assert boxes.mean(axis=(0, 3)).min() > 0.02  # every place is met


def test_boxes_of_no_area_are_empty_and_of_full_area_reach_the_border():
    images = tf.zeros((50, 10, 10, 3))
    assert not random_boxes(images, tf.zeros(50), seed=SEED).numpy().any()
    assert random_boxes(images, tf.ones(50), seed=SEED).numpy().mean(axis=(1, 2, 3)).min() >= 0.25


def coded(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Plain images of one class each, whose value is ten times the class."""
    labels = np.arange(count, dtype=np.int32)
    return np.broadcast_to((10.0 * labels[:, None, None, None]).astype(np.float32), (count, 16, 16, 3)), labels


@pytest.mark.parametrize("share", [1.0, 0.5])
@pytest.mark.parametrize("count", [8, 9])
def test_rows_hold_the_true_share_of_the_pixels_of_each_image(share, count):
    images, labels = coded(count)
    for number in range(5):
        seed = tf.constant([number, 1])
        mixed, rows = augmented(images, Augment(cutmix=share), labels=labels, num_classes=count, seed=seed)
        assert rows.shape == (count, count) and rows.dtype == np.float32
        np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-6)
        assert rows.min() >= 0
        np.testing.assert_allclose(mixed.mean(axis=(1, 2, 3)), rows @ (10.0 * labels), atol=1e-3)
        partners = np.eye(count)[labels] + np.eye(count)[labels[::-1]]
        assert not rows[partners == 0].any()  # nothing but the image and its partner
    if count == 9:
        assert rows[4, 4] == 1 and (mixed[4] == 40).all()  # the middle one is its own partner


def test_cutmix_pastes_rectangles():
    images, labels = coded(8)
    pasted, _ = augmented(images, Augment(cutmix=1.0), labels=labels, num_classes=8)
    for label, image in enumerate(pasted):
        foreign = image[..., 0] != 10 * label
        assert (image[foreign] == 10 * (7 - label)).all()
        assert foreign.sum() == foreign.any(axis=1).sum() * foreign.any(axis=0).sum()


def test_only_the_chosen_images_are_pasted_into():
    count = 600
    images, rows = tf.cast(noise(count, 8, 8), tf.float32), tf.one_hot(tf.range(count), count)
    mixed, weights = cutmix(images, rows, pasted=tf.range(count) < 200, seed=SEED)
    touched = (mixed.numpy() != images.numpy()).any(axis=(1, 2, 3))
    assert 150 <= touched[:200].sum() <= 200 and not touched[200:].any()  # the smallest rectangles hold no pixel
    assert np.array_equal(touched, np.diag(weights) < 1)
    for share, low, high in ((0.0, 0, 0), (0.3, 140, 220)):
        mixed, _ = augmented(images.numpy(), Augment(cutmix=share), labels=np.arange(count), num_classes=count)
        assert low <= (mixed != images.numpy()).any(axis=(1, 2, 3)).sum() <= high


def test_two_images_of_one_class_keep_their_label_when_mixed():
    labels = np.full(6, 2, np.int32)
    _, rows = augmented(noise(), Augment(cutmix=1.0), labels=labels)
    np.testing.assert_allclose(rows, [[0, 0, 1]] * 6, atol=1e-6)
