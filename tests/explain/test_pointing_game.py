"""The pointing game and its intervals: counted by hand, fair to ties, and strict about its input."""

import numpy as np
import pytest

from lib.explain.methods import BASELINES
from lib.explain.scoring.baselines import baseline_maps, mean_intervals
from lib.explain.scoring.pointing_game import baseline_scores, energy_inside, hits, pointing_game

RNG = np.random.default_rng(0)
MASK = np.zeros((1, 4, 4), bool)
MASK[0, :2, :2] = True  # a quarter of the image, one of its four central pixels


def one(**pixels):
    """A 4 x 4 map that is zero but for `r1c2=0.5`."""
    maps = np.zeros((1, 4, 4))
    for place, value in pixels.items():
        maps[0, int(place[1]), int(place[3])] = value
    return maps


@pytest.mark.parametrize(
    ("maps", "hit", "energy"),
    [
        (one(r0c0=1), 1, 1),
        (one(r3c3=1), 0, 0),
        (one(r1c1=1, r3c3=0.5), 1, 2 / 3),
        (one(r1c1=1, r2c2=1), 1 / 2, 1 / 2),  # a tie is shared, wherever it stands
        (one(r0c0=1, r2c2=1, r3c3=1), 1 / 3, 1 / 3),
        (one(), 1 / 4, 1 / 4),  # a flat map points nowhere: as good as a random pixel
        (one() + 0.7, 1 / 4, 1 / 4),
    ],
)
def test_hits_and_energy_counted_by_hand(maps, hit, energy):
    np.testing.assert_allclose(hits(maps, MASK), [hit])
    np.testing.assert_allclose(energy_inside(maps, MASK), [energy])


def test_scores_do_not_depend_on_the_unit_of_the_map():
    maps, masks = RNG.random((5, 6, 6)), RNG.random((5, 6, 6)) > 0.5
    np.testing.assert_allclose(hits(7 * maps, masks), hits(maps, masks))
    np.testing.assert_allclose(energy_inside(7 * maps, masks), energy_inside(maps, masks))
    np.testing.assert_allclose(hits(maps[:, ::-1], masks[:, ::-1]), hits(maps, masks))


def test_baselines_counted_by_hand():
    scores = baseline_scores(MASK, np.zeros((1, 4, 4, 3)))
    assert list(scores) == ["centre", "contrast", "random"]
    assert scores["centre"][0].tolist() == [1 / 4]  # one of the four central pixels
    assert scores["centre"][1].tolist() == scores["random"][0].tolist() == scores["random"][1].tolist() == [1 / 4]
    odd = np.zeros((2, 5, 5), bool)
    odd[0, 2, 2], odd[1, 2, 1] = True, True
    images = np.full((2, 5, 5, 3), 100, np.uint8)
    images[0, 2, 2], images[1, 0, 0] = 200, 90
    assert baseline_scores(odd, images)["centre"][0].tolist() == [1, 0]
    contrast = baseline_scores(odd, images)["contrast"]
    assert contrast[0].tolist() == [1, 0]
    np.testing.assert_allclose(contrast[1], [24 / 48, 1 / 48])  # 96 against 24 times 4, and 24 times 0.4 against 9.6


def test_baseline_maps_know_the_image_and_nothing_else():
    images = RNG.integers(0, 256, (3, 6, 8, 3), dtype=np.uint8)
    maps = baseline_maps(images)
    assert list(maps) == list(BASELINES)
    assert all(own.shape == (3, 6, 8) and own.min() >= 0 and own.max() <= 1 for own in maps.values())
    assert (maps["centre"][0] == 1).nonzero()[0].tolist() == [2, 2, 3, 3]
    assert (baseline_maps(np.full((1, 4, 4, 3), 7))["contrast"] == 0).all()
    assert maps["contrast"].max(axis=(1, 2)).tolist() == [1, 1, 1]
    np.testing.assert_array_equal(maps["random"], baseline_maps(images)["random"])


def test_random_maps_score_as_the_random_baseline_says():
    masks = np.repeat(MASK, 4000, axis=0)
    assert hits(RNG.random(masks.shape), masks).mean() == pytest.approx(0.25, abs=0.03)


def test_the_table_holds_every_method_and_both_baselines():
    masks = RNG.random((12, 8, 8)) > 0.6
    maps = {"good": masks.astype(float), "poor": 1.0 - masks, "flat": np.zeros(masks.shape)}
    images = RNG.integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)
    table = pointing_game(maps, masks, images=images)
    scores = ["hit", "hit_low", "hit_high", "energy", "energy_low", "energy_high", "gain", "gain_low"]
    assert table.columns.tolist() == ["method", *scores, "images"]
    assert table["method"].tolist() == ["good", "poor", "flat", "centre", "contrast", "random"]
    assert table["hit"].tolist()[:2] == [1, 0] and table["energy"].tolist()[:2] == [1, 0]
    assert table["hit"].iloc[2] == pytest.approx(table["hit"].iloc[5])
    assert (table["images"] == 12).all()
    for measure in ("hit", "energy"):
        assert (table[f"{measure}_low"] <= table[measure]).all() and (table[measure] <= table[f"{measure}_high"]).all()
    centre = table["method"] == "centre"
    assert table.loc[centre, ["gain", "gain_low"]].to_numpy().tolist() == [[0, 0]]
    np.testing.assert_allclose(table["gain"], table["hit"] - table.loc[centre, "hit"].item())
    assert table["gain_low"].iloc[0] > 0 > table["gain"].iloc[1]


@pytest.mark.parametrize(
    ("maps", "masks", "message"),
    [
        (np.zeros((1, 4, 5)), MASK, r"must both have shape \(N, S, S\).*\(1, 4, 5\) and \(1, 4, 4\)"),
        (np.zeros((0, 4, 4)), MASK[:0], "N at least 1"),
        (one(), MASK.astype(int), "masks must be bool"),
        (one(), MASK & False, "every mask must hold some of the object. Received: 1 empty, first 0"),
        (one(r0c0=np.nan), MASK, "maps must be finite"),
        (one(r0c0=-1), MASK, "maps must be finite and not negative. Received: a minimum of -1"),
    ],
)
def test_wrong_maps_and_masks_are_refused(maps, masks, message):
    with pytest.raises(ValueError, match=message):
        pointing_game({"own": maps}, masks, images=np.zeros((1, 4, 4, 3)))


def test_an_empty_game_is_refused():
    with pytest.raises(ValueError, match="at least one method. Received: none"):
        pointing_game({}, MASK, images=np.zeros((1, 4, 4, 3)))


# Intervals


def test_an_interval_of_equal_values_has_no_width():
    assert mean_intervals(np.full((1, 7), 0.3)).tolist() == [pytest.approx([0.3, 0.3])]


def test_intervals_are_as_wide_as_the_normal_ones():
    values = RNG.random((2, 400))
    error = values.std(axis=1) / 20
    low, high = mean_intervals(values).T
    np.testing.assert_allclose(low, values.mean(axis=1) - 1.96 * error, atol=0.3 * error.max())
    np.testing.assert_allclose(high, values.mean(axis=1) + 1.96 * error, atol=0.3 * error.max())


def test_rows_are_drawn_with_the_same_images():
    values = RNG.random(30)
    ends = mean_intervals(np.stack([values, values + 0.25, values - values]))
    np.testing.assert_allclose(ends[1], ends[0] + 0.25)
    assert ends[2].tolist() == [0, 0]


def test_wrong_values_of_intervals_are_refused():
    for values, message in (([], "one per image, at least one"), ([np.nan], "finite")):
        with pytest.raises(ValueError, match=message):
            mean_intervals(np.array(values))
