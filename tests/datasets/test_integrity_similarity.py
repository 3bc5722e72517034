"""When two pictures count as copies: by their detail, within small shifts, and beyond what is usual in their class."""

import cv2
import numpy as np
import pytest
from pictures import picture, recoloured, shifted

from lib.datasets.audit.similarity import LEAST, MOST, NOISE, Details, usual_threshold


def thumbnails(*images):
    small = [cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (64, 64), interpolation=cv2.INTER_AREA)
             for image in images]  # fmt: skip
    return np.stack(small)


def similarity(first, second):
    return float(Details(thumbnails(first, second)).similarity(np.array([[0, 1]]))[0])


def silhouette(seed):
    """A white shape on black, of which each instance differs a little inside."""
    image = np.zeros((64, 64, 3), np.uint8)
    image[8:56, 20:44] = 215
    image[16:30, 6:58] = 215
    inside = cv2.resize(np.random.default_rng(seed).integers(0, 160, (16, 16)).astype(np.uint8), (64, 64))
    return np.where(image > 0, image - inside[..., None], 0).astype(np.uint8)


def test_an_image_is_like_itself_and_unlike_another():
    assert similarity(picture(1), picture(1)) > 0.97
    assert abs(similarity(picture(1), picture(2))) < 0.35


def test_copies_are_like_the_original():
    image = picture(3)
    for copy in (recoloured(image), shifted(image, 2), cv2.resize(image, (40, 32)), cv2.GaussianBlur(image, (3, 3), 0)):
        assert similarity(image, copy) > LEAST


def test_a_larger_shift_or_a_mirror_image_is_not_found():
    image = picture(4)
    assert similarity(image, shifted(image, 12)) < LEAST
    assert similarity(image, np.ascontiguousarray(image[:, ::-1])) < LEAST


def test_plain_images_are_like_nothing():
    grey, noisy = np.full((64, 64, 3), 90, np.uint8), np.full((64, 64, 3), 90, np.uint8)
    noisy[::2] += 1
    assert similarity(grey, grey) == 0
    assert similarity(noisy, noisy) < 0.2


def test_only_pairs_that_promise_something_are_looked_at_closely():
    image = picture(5)
    details = Details(thumbnails(image, recoloured(image), picture(6)))
    assert details.promising(np.array([[0, 1], [0, 2]])).tolist() == [True, False]
    assert details.similarity(np.zeros((0, 2), int)).shape == (0,)


def test_pairs_in_any_order_are_compared_at_every_small_shift():
    details = Details(thumbnails(*map(picture, range(6)), shifted(picture(0), 2), silhouette(0)))
    pairs = np.array([[4, 1], [0, 6], [0, 1], [7, 7], [4, 0], [6, 0]])
    images, expected = details.full.astype(np.float64), []
    for left, right in pairs:
        one, other = images[left], np.pad(images[right], 2)
        moves = [
            np.sum(one * other[down : down + 64, across : across + 64]) for down in range(5) for across in range(5)
        ]
        scale = np.linalg.norm(one) * np.linalg.norm(images[right]) + (64 * NOISE) ** 2
        expected.append(max(moves) / scale)
    np.testing.assert_allclose(details.similarity(pairs), expected, rtol=1e-5)


def random_pairs(count):
    return np.random.default_rng(0).permuted(np.tile(np.arange(count), (200, 1)), axis=1)[:, :2]


def test_more_is_asked_where_a_class_looks_alike():
    different, alike = (Details(thumbnails(*map(make, range(20)))) for make in (picture, silhouette))
    assert usual_threshold(different, random_pairs(20)) == pytest.approx(LEAST)
    threshold = usual_threshold(alike, random_pairs(20))
    assert LEAST < threshold <= MOST
    similar = alike.similarity(random_pairs(20))
    assert (similar > LEAST).mean() > 0.9 and (similar < threshold).mean() > 0.9  # alike, but no copies


def test_too_few_pairs_say_nothing():
    details = Details(thumbnails(*map(silhouette, range(5))))
    assert usual_threshold(details, random_pairs(5)[:9]) == LEAST < usual_threshold(details, random_pairs(5)[:10])
