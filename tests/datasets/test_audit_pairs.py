"""When two pictures count as copies: nearly equal hashes, and detail alike beyond what is usual in their class."""

import cv2
import numpy as np
import pytest
from pictures import picture, recoloured, shifted
from small_disk import small_disk

from lib.config.files import FolderError
from lib.datasets.audit import pairs as room
from lib.datasets.audit.pairs import (
    COARSE,
    LEAST,
    MOST,
    NOISE,
    PROMISING,
    close_pairs,
    details_of,
    similarity_of,
    usual_threshold,
)
from lib.datasets.storage import on_disk


def thumbnails(*images):
    small = [cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (64, 64), interpolation=cv2.INTER_AREA)
             for image in images]  # fmt: skip
    return np.stack(small)


def details(*images, size=64):
    return details_of(thumbnails(*images), size=size)


def similarity(first, second):
    return float(similarity_of(details(first, second), np.array([[0, 1]]))[0])


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
    coarse = details(image, recoloured(image), picture(6), size=32)
    similar = similarity_of(coarse, np.array([[0, 1], [0, 2]]), reach=COARSE)
    assert (similar >= PROMISING).tolist() == [True, False]
    assert similarity_of(coarse, np.zeros((0, 2), int)).shape == (0,)


def test_pairs_in_any_order_are_compared_at_every_small_shift():
    eight = details(*map(picture, range(6)), shifted(picture(0), 2), silhouette(0))
    pairs = np.array([[4, 1], [0, 6], [0, 1], [7, 7], [4, 0], [6, 0]])
    images, expected = eight.astype(np.float64), []
    for left, right in pairs:
        one, other = images[left], np.pad(images[right], 2)
        moves = [
            np.sum(one * other[down : down + 64, across : across + 64]) for down in range(5) for across in range(5)
        ]
        scale = np.linalg.norm(one) * np.linalg.norm(images[right]) + (64 * NOISE) ** 2
        expected.append(max(moves) / scale)
    np.testing.assert_allclose(similarity_of(eight, pairs), expected, rtol=1e-5)


def random_pairs(count):
    return np.random.default_rng(0).permuted(np.tile(np.arange(count), (200, 1)), axis=1)[:, :2]


def test_more_is_asked_where_a_class_looks_alike():
    different, alike = (details(*map(make, range(20))) for make in (picture, silhouette))
    assert usual_threshold(different, random_pairs(20)) == pytest.approx(LEAST)
    threshold = usual_threshold(alike, random_pairs(20))
    assert LEAST < threshold <= MOST
    similar = similarity_of(alike, random_pairs(20))
    assert (similar > LEAST).mean() > 0.9 and (similar < threshold).mean() > 0.9  # alike, but no copies


def test_too_few_pairs_say_nothing():
    five = details(*map(silhouette, range(5)))
    assert usual_threshold(five, random_pairs(5)[:9]) == LEAST < usual_threshold(five, random_pairs(5)[:10])


def with_flips(value, places):
    for place in places:
        value ^= 1 << place
    return value


def test_all_pairs_of_close_hashes_and_no_others_are_found():
    rng = np.random.default_rng(0)
    values = [int(value) for value in rng.integers(0, 2**64, 40, dtype=np.uint64)]
    values += [with_flips(values[n], rng.choice(64, n, replace=False).tolist()) for n in range(16)]
    expected = [
        [first, second]
        for first in range(len(values))
        for second in range(first + 1, len(values))
        if (values[first] ^ values[second]).bit_count() <= room.MOST_BITS
    ]
    assert len(expected) == 11
    assert close_pairs(np.array(values, np.uint64)).tolist() == expected
    for count in (0, 1):
        assert close_pairs(np.zeros(count, np.uint64)).shape == (0, 2)


def test_of_many_equal_hashes_only_the_nearest_are_paired(monkeypatch):
    monkeypatch.setattr(room, "NEAREST", 4)
    pairs = close_pairs(np.zeros(3000, np.uint64))
    assert 2999 <= len(pairs) <= 2 * 4 * 3000
    assert set(pairs.ravel().tolist()) == set(range(3000))
    values = np.array([0b1111, 0b0111, 0b0011, 0b0001, 0], np.uint64)
    monkeypatch.setattr(room, "NEAREST", 1)
    assert close_pairs(values).tolist() == [[0, 1], [1, 2], [2, 3], [3, 4]]


def made_hashes(count, *, centres=None):
    """Hashes in which every third has near ones; with `centres` all of them crowd round so many."""
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2**64, count, dtype=np.uint64)
    some = values[: centres or count]
    for place in range(0, count, 1 if centres else 3):
        values[place] = with_flips(
            int(some[(place * 7 + 1) % len(some)]), rng.choice(64, place % 8, replace=False).tolist()
        )
    return values


def test_hashes_that_are_cut_into_parts_give_the_same_pairs(monkeypatch):
    for values in (made_hashes(600), made_hashes(600, centres=9)):
        found = []
        for parts in room.PARTS:
            monkeypatch.setattr(room, "PARTS", (parts,))
            found.append(close_pairs(values).tolist())
        monkeypatch.undo()
        assert len(found) == 3 and len(found[0]) > 100 and found[1] == found[0] and found[2] == found[0]


def test_four_times_the_images_take_less_than_eight_times_the_comparisons(monkeypatch):
    """Each with each would take sixteen times as many."""
    compared, count_bits = [], np.bitwise_count

    def counted(values):
        compared[-1] += values.size
        return count_bits(values)

    monkeypatch.setattr(room.np, "bitwise_count", counted)
    for count in (10_000, 40_000):
        compared.append(0)
        close_pairs(made_hashes(count))
    assert compared[0] >= 10_000 and compared[1] < 8 * compared[0]


def test_what_lies_on_the_disk_is_refused_where_it_does_not_fit(tmp_path, monkeypatch):
    with small_disk(tmp_path / "disk", "1m"):
        monkeypatch.setenv("COURSEWORK_CACHE", str(tmp_path / "disk"))
        with pytest.raises(FolderError, match="No room is left on the disk"):
            on_disk((300, 64, 64), np.uint8)
        array = on_disk((100, 64, 64), np.uint8)
        array[99] = 7
        assert array.sum() == 7 * 64 * 64 and not list((tmp_path / "disk").iterdir())
