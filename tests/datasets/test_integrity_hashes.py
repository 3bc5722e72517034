"""Pairs of nearly equal hashes: all of them, and no more, without comparing each with each."""

import numpy as np
import pytest
from lib.datasets.audit.hashes import close_pairs

from lib.datasets.audit import hashes


def by_hand(values, most):
    return {
        (first, second)
        for second in range(len(values))
        for first in range(second)
        if int(values[first] ^ values[second]).bit_count() <= most
    }


def with_flips(value, places):
    for place in places:
        value ^= 1 << place
    return value


@pytest.mark.parametrize("most", [0, 3, 7, 8, 10, 15])
def test_all_pairs_and_no_others_are_found(most):
    rng = np.random.default_rng(most)
    values = [int(value) for value in rng.integers(0, 2**64, 40, dtype=np.uint64)]
    values += [with_flips(values[n], rng.choice(64, n, replace=False).tolist()) for n in range(16)]
    values = np.array(values, np.uint64)
    pairs, bits = close_pairs(values, most_bits=most)
    assert set(map(tuple, pairs.tolist())) == by_hand(values, most)
    assert bits.tolist() == [int(values[a] ^ values[b]).bit_count() for a, b in pairs]
    assert pairs.tolist() == sorted(pairs.tolist())


def test_flips_gathered_in_one_chunk_and_spread_over_all_are_found():
    base = 0x0123456789ABCDEF
    gathered, spread = with_flips(base, range(10)), with_flips(base, [0, 1, 2, 16, 17, 32, 33, 34, 48, 49])
    values = np.array([base, gathered, spread], np.uint64)
    assert {(0, 1), (0, 2)} <= set(map(tuple, close_pairs(values)[0].tolist()))


def test_no_images_and_one_image_have_no_pairs():
    for count in (0, 1):
        pairs, bits = close_pairs(np.zeros(count, np.uint64))
        assert pairs.shape == (0, 2) and bits.shape == (0,)


def test_a_full_bucket_is_cut_to_its_nearest(monkeypatch):
    values = np.arange(200, dtype=np.uint64) << np.uint64(20)
    whole = set(map(tuple, close_pairs(values, most_bits=3)[0].tolist()))
    monkeypatch.setattr(hashes, "BUCKET", 8)
    cut = set(map(tuple, close_pairs(values, most_bits=3)[0].tolist()))
    assert cut < whole
    assert {(n, n + 1) for n in range(0, 200, 2)} <= cut  # neighbours differ in the lowest bit alone


def test_thousands_of_blank_images_stay_affordable(monkeypatch):
    monkeypatch.setattr(hashes, "BUCKET", 4)
    pairs, _ = close_pairs(np.zeros(5000, np.uint64))
    assert 4999 <= len(pairs) <= 4 * 4 * 5000
    assert set(pairs.ravel().tolist()) == set(range(5000))


@pytest.mark.parametrize(
    ("values", "most", "message"),
    [
        (np.zeros(3, np.int64), 10, "uint64 of shape"),
        (np.zeros((3, 2), np.uint64), 10, r"Received: uint64 of shape \(3, 2\)"),
        (np.zeros(3, np.uint64), 16, "most_bits must lie in .0, 15.. Received: 16"),
        (np.zeros(3, np.uint64), -1, "Received: -1"),
    ],
)
def test_bad_input_is_refused(values, most, message):
    with pytest.raises(ValueError, match=message):
        close_pairs(values, most_bits=most)
