"""Metrics against cases computed by hand, at their edges, and with input they must refuse."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

from lib import evaluation

# Three images of class 0, one of class 1, none of class 2. Predicted: 0, 0, 1, 1.
LABELS = np.array([0, 0, 0, 1])
PROBABILITIES = np.array([[0.8, 0.1, 0.1], [0.5, 0.3, 0.2], [0.2, 0.7, 0.1], [0.1, 0.6, 0.3]])
NAMES = ("cat", "dog", "emu")
METRICS = (
    evaluation.accuracy,
    evaluation.balanced_accuracy,
    evaluation.calibration_error,
    evaluation.cross_entropy,
    evaluation.macro_f1,
    evaluation.top_k_accuracy,
)


def random_predictions(*, n=60, classes=7, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(classes, size=n), rng.dirichlet(np.full(classes, 0.4), size=n)


# --- one number for all


def test_accuracy_counts_the_most_probable_class():
    assert evaluation.accuracy(LABELS, PROBABILITIES) == 0.75


def test_balanced_accuracy_is_the_mean_over_the_classes_present():
    assert evaluation.balanced_accuracy(LABELS, PROBABILITIES) == pytest.approx((2 / 3 + 1) / 2)


def test_macro_f1_by_hand():
    # Class 0: precision 1, recall 2/3, F1 4/5. Class 1: precision 1/2, recall 1, F1 2/3. Class 2 has no images.
    assert evaluation.macro_f1(LABELS, PROBABILITIES) == pytest.approx((4 / 5 + 2 / 3) / 2)


def test_cross_entropy_by_hand():
    by_hand = -(np.log(0.8) + np.log(0.5) + np.log(0.2) + np.log(0.6)) / 4
    assert evaluation.cross_entropy(LABELS, PROBABILITIES) == pytest.approx(by_hand)


def test_cross_entropy_agrees_with_scikit_learn():
    labels, probabilities = random_predictions()
    probabilities = 0.5 * probabilities + 0.5 / 7  # far from the clip
    assert evaluation.cross_entropy(labels, probabilities) == pytest.approx(log_loss(labels, probabilities))


def test_cross_entropy_of_a_sure_mistake_is_clipped():
    assert evaluation.cross_entropy([1], [[1.0, 0.0]]) == pytest.approx(-np.log(1e-7))


def test_top_k_accuracy_by_hand_and_limited_by_the_classes():
    for k, expected in ((1, 0.75), (2, 1.0), (3, 1.0), (50, 1.0)):
        assert evaluation.top_k_accuracy(LABELS, PROBABILITIES, k=k) == expected


def test_top_k_accuracy_k_changes_the_result():
    labels, probabilities = random_predictions()
    values = [evaluation.top_k_accuracy(labels, probabilities, k=k) for k in range(1, 8)]
    assert values == sorted(values) and values[0] < values[2] < values[-1] == 1.0


def test_ties_go_to_the_lower_class_so_that_constant_predictions_stay_at_chance():
    labels, flat = np.arange(4), np.full((4, 4), 0.25)
    assert evaluation.accuracy(labels, flat) == 0.25
    assert [evaluation.top_k_accuracy(labels, flat, k=k) for k in (1, 2, 4)] == [0.25, 0.5, 1.0]
    assert evaluation.cross_entropy(labels, flat) == pytest.approx(np.log(4))


def test_a_calibrated_guess_has_no_calibration_error():
    assert evaluation.calibration_error([0, 1], [[0.5, 0.5], [0.5, 0.5]]) == 0


def test_calibration_error_by_hand():
    # Fifteen bins of 1/15: confidences 0.8 and 0.5 (right), 0.7 (wrong), 0.6 (right) fall into four different bins.
    by_hand = (abs(1 - 0.8) + abs(1 - 0.5) + abs(0 - 0.7) + abs(1 - 0.6)) / 4
    assert evaluation.calibration_error(LABELS, PROBABILITIES) == pytest.approx(by_hand)


def test_calibration_error_bins_change_the_result():
    # One bin: mean confidence 0.65 against accuracy 0.75.
    assert evaluation.calibration_error(LABELS, PROBABILITIES, bins=1) == pytest.approx(0.1)


def test_reliability_bins_by_hand():
    bins = evaluation.reliability_bins(LABELS, PROBABILITIES, bins=4)
    assert bins["low"].tolist() == [0, 0.25, 0.5, 0.75] and bins["high"].tolist() == [0.25, 0.5, 0.75, 1]
    assert bins["images"].tolist() == [0, 1, 2, 1]  # 0.5 lies on an edge and belongs to the bin below it
    assert bins["accuracy"].tolist()[1:] == [1.0, 0.5, 1.0] and np.isnan(bins["accuracy"][0])
    assert bins["confidence"].tolist()[1:] == pytest.approx([0.5, 0.65, 0.8]) and np.isnan(bins["confidence"][0])


def test_reliability_bins_hold_every_image():
    labels, probabilities = random_predictions()
    assert evaluation.reliability_bins(labels, probabilities)["images"].sum() == 60
    assert len(evaluation.reliability_bins(labels, probabilities)) == 15
    assert evaluation.reliability_bins([0], [[1.0, 0.0]])["images"].tolist()[-1] == 1


def test_summary_has_the_promised_keys_as_plain_numbers():
    result = evaluation.summary(LABELS, PROBABILITIES)
    assert list(result) == [
        "accuracy",
        "top5_accuracy",
        "cross_entropy",
        "balanced_accuracy",
        "calibration_error",
        "macro_f1",
        "images",
    ]
    assert result["images"] == 4 and result["top5_accuracy"] == 1.0
    assert {type(value) for value in result.values()} == {int, float}


def test_one_image_two_classes():
    result = evaluation.summary([1], [[0.25, 0.75]])
    assert result["accuracy"] == result["balanced_accuracy"] == result["macro_f1"] == 1
    assert result["calibration_error"] == pytest.approx(0.25)


def test_what_no_metric_depends_on():
    labels, probabilities = random_predictions()
    before = labels.copy(), probabilities.copy()
    order, names = np.random.default_rng(1).permutation(len(labels)), np.random.default_rng(2).permutation(7)
    for metric in METRICS:
        usual = metric(labels, probabilities)
        assert metric(labels[order], probabilities[order]) == pytest.approx(usual)
        assert metric(np.argsort(names)[labels], probabilities[:, names]) == pytest.approx(usual)
        assert metric(labels, probabilities.astype(np.float16)) == pytest.approx(usual, abs=0.02)
    assert np.array_equal(labels, before[0]) and np.array_equal(probabilities, before[1])  # inputs are not changed


# --- what is refused


BROKEN = [
    ([[0]], [[1.0, 0.0]], r"labels must have shape \(N,\).*\(1, 1\)"),
    ([], np.zeros((0, 3)), r"labels must have shape \(N,\) with N at least 1"),
    ([0.0], [[1.0, 0.0]], "labels must be integers. Received: float64"),
    ([True], [[1.0, 0.0]], "labels must be integers. Received: bool"),
    ([2], [[1.0, 0.0]], r"labels must lie in \[0, 1\]. Received: values from 2 to 2"),
    ([-1], [[1.0, 0.0]], r"labels must lie in \[0, 1\]"),
    ([0], [1.0, 0.0], r"probabilities must have shape \(N, C\).*Received: \(2,\)"),
    ([0], [[1.0]], "C at least 2"),
    ([0], [["a", "b"]], "probabilities must be real numbers"),
    ([0, 0], [[1.0, 0.0]], "one row per image. Received: 2 and 1"),
    ([0, 0], [[1.0, 0.0], [np.nan, 0.0]], "finite. Received: 1 rows that are not, first 1"),
    ([0], [[3.0, -2.0]], r"lie in \[0, 1\]; logits need a softmax first. Received: values from -2 to 3"),
    ([0], [[0.5, 0.4]], "sum to 1 within 0.001. Received: sums from 0.9 to 0.9"),
]


def test_broken_predictions_are_refused_with_the_rule():
    for labels, probabilities, message in BROKEN:
        for metric in (evaluation.check_predictions, evaluation.summary, *METRICS):
            with pytest.raises(ValueError, match=message):
                metric(np.array(labels, dtype=int if len(labels) == 0 else None), np.array(probabilities))


def test_check_predictions_returns_wide_types():
    labels, probabilities = evaluation.check_predictions(np.array([0], np.uint8), np.array([[1, 0]], np.float16))
    assert labels.dtype == np.int64 and probabilities.dtype == np.float64


IMPOSSIBLE = [
    (lambda: evaluation.top_k_accuracy(LABELS, PROBABILITIES, k=0), "k must be at least 1. Received: 0"),
    (lambda: evaluation.reliability_bins(LABELS, PROBABILITIES, bins=0), "bins must be at least 1"),
    (lambda: evaluation.most_confident(LABELS, PROBABILITIES, right=True, k=-1), "k must not be negative"),
    (lambda: evaluation.bootstrap_interval(LABELS, PROBABILITIES, n=0), "n must be at least 1"),
    (
        lambda: evaluation.per_class(LABELS, PROBABILITIES, class_names=["a"]),
        "3 entries, one per class. Received: 1",
    ),
    (lambda: evaluation.confused_pairs(np.zeros((2, 3)), NAMES), r"shape \(C, C\). Received: \(2, 3\)"),
    (lambda: evaluation.confused_pairs(np.zeros((2, 2)), NAMES), "2 entries, one per class. Received: 3"),
    (lambda: evaluation.confused_pairs(np.zeros((3, 3)), NAMES, k=-1), "k must not be negative"),
    (lambda: evaluation.compare_seeds([], [1.0]), "finite, one per seed"),
    (lambda: evaluation.compare_seeds([1.0], [np.nan]), "finite, one per seed"),
]


def test_impossible_options_are_refused():
    for call, message in IMPOSSIBLE:
        with pytest.raises(ValueError, match=message):
            call()


# --- class by class


def test_confusion_matrix_by_hand_keeps_the_missing_class():
    matrix = evaluation.confusion_matrix(LABELS, PROBABILITIES)
    assert matrix.tolist() == [[2, 1, 0], [0, 1, 0], [0, 0, 0]] and matrix.dtype == np.int64


def test_confusion_matrix_adds_up():
    labels, probabilities = random_predictions()
    matrix = evaluation.confusion_matrix(labels, probabilities)
    assert matrix.sum() == 60 and np.array_equal(matrix.sum(axis=1), np.bincount(labels, minlength=7))
    assert np.trace(matrix) / 60 == evaluation.accuracy(labels, probabilities)


def test_per_class_by_hand():
    table = evaluation.per_class(LABELS, PROBABILITIES, class_names=NAMES)
    assert table["class_name"].tolist() == list(NAMES) and table["images"].tolist() == [3, 1, 0]
    assert table["precision"].tolist()[:2] == [1.0, 0.5] and table["recall"].tolist()[:2] == [pytest.approx(2 / 3), 1.0]
    assert table["f1"].tolist()[:2] == pytest.approx([4 / 5, 2 / 3])
    assert table.loc[2, ["precision", "recall", "f1"]].isna().all()
    assert table["most_confused_with"].tolist() == ["dog", "", ""]


def test_easiest_and_hardest_are_only_of_classes_that_can_be_told():
    table = pd.DataFrame({"class_name": ["a", "b", "c"], "accuracy": [0.5, np.nan, 1.0]})
    found = evaluation.easiest_and_hardest(table.assign(most_confused_with=["c", "a", ""]))
    assert found == {"mean": 0.75, "easiest": "c", "hardest": "a", "hardest_taken_for": "c"}
    found = evaluation.easiest_and_hardest(table[2:].assign(most_confused_with=""))
    assert found == {"mean": 1.0, "easiest": "c", "hardest": "c", "hardest_taken_for": "no other"}
    assert evaluation.easiest_and_hardest(table[1:2].assign(most_confused_with="a")) == {}
    equal = evaluation.easiest_and_hardest(table.assign(accuracy=0.5, most_confused_with=["b", "c", "a"]))
    assert equal == {"mean": 0.5, "easiest": "a", "hardest": "c", "hardest_taken_for": "a"}  # as they are drawn


def test_recall_by_size_is_only_of_classes_with_test_images():
    nan = np.nan
    assert evaluation.recall_by_size([0.2, 0.4, 0.9, 0.7], [1, 2, 30, 40]) == pytest.approx((0.3, 0.8))
    assert evaluation.recall_by_size([nan, 0.4, 0.9, nan], [1, 2, 30, 40]) == (0.4, 0.9)
    for recall, sizes in (
        ([0.9, nan, nan], [1500, 2, 1]),
        ([nan, 0.5, nan], [1500, 2, 1]),
        ([0.9, 0.8, 0.1], [9, 9, 2]),
    ):
        assert evaluation.recall_by_size(recall, sizes) is None


def test_per_class_of_constant_predictions_does_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = evaluation.per_class([0, 1, 1], np.tile([0.9, 0.05, 0.05], (3, 1)), class_names=NAMES)
    assert table["recall"].tolist()[:2] == [1.0, 0.0] and np.isnan(table["precision"][1]) and table["f1"][1] == 0
    assert table["most_confused_with"].tolist() == ["", "cat", ""]


def test_confused_pairs_by_hand():
    matrix = np.array([[5, 3, 0], [1, 9, 3], [0, 0, 4]])
    pairs = evaluation.confused_pairs(matrix, NAMES)
    assert pairs["true_class"].tolist() == ["cat", "dog", "dog"]
    assert pairs["predicted_class"].tolist() == ["dog", "emu", "cat"]
    assert pairs["images"].tolist() == [3, 3, 1] and pairs["share"].tolist() == pytest.approx([3 / 8, 3 / 13, 1 / 13])


def test_confused_pairs_k_and_no_mistakes():
    assert len(evaluation.confused_pairs(np.array([[5, 3], [1, 9]]), NAMES[:2], k=1)) == 1
    assert evaluation.confused_pairs(np.eye(3, dtype=int), NAMES).empty


def test_most_confident_right_and_wrong_by_hand():
    assert evaluation.most_confident(LABELS, PROBABILITIES, right=True, k=2).tolist() == [0, 3]
    assert evaluation.most_confident(LABELS, PROBABILITIES, right=True, k=9).tolist() == [0, 3, 1]
    assert evaluation.most_confident(LABELS, PROBABILITIES, right=False, k=9).tolist() == [2]
    assert evaluation.most_confident([0], [[1.0, 0.0]], right=False, k=3).tolist() == []


def test_most_confident_keeps_the_order_of_equals():
    assert evaluation.most_confident([0, 0, 0], [[0.7, 0.3]] * 3, right=True, k=2).tolist() == [0, 1]


# --- how far to trust a number


def test_bootstrap_interval_surrounds_the_value_and_repeats():
    labels, probabilities = random_predictions()
    value = evaluation.accuracy(labels, probabilities)
    low, high = evaluation.bootstrap_interval(labels, probabilities, n=300)
    assert 0 <= low < value < high <= 1
    assert (low, high) == evaluation.bootstrap_interval(labels, probabilities, n=300)


def test_bootstrap_interval_is_about_as_wide_as_the_binomial():
    labels = np.zeros(400, int)
    probabilities = np.where(np.arange(400)[:, None] < 300, [0.9, 0.1], [0.1, 0.9])
    low, high = evaluation.bootstrap_interval(labels, probabilities)
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.75 * 0.25 / 400), rel=0.12)


def test_two_models_are_compared_on_the_same_draws_of_images():
    rng = np.random.default_rng(0)
    labels, right = rng.integers(0, 2, 400), rng.random(400) < 0.6
    other = np.eye(2)[np.where(right, labels, 1 - labels)]
    one = np.where((rng.random(400) < 0.05)[:, None], np.eye(2)[labels], other)  # right wherever the other one is
    found = evaluation.compare_predictions(labels, one, other)
    gained = evaluation.accuracy(labels, one) - evaluation.accuracy(labels, other)
    assert found.difference == pytest.approx(gained) and 0 < found.low <= gained <= found.high
    assert found.verdict == "better" and evaluation.compare_predictions(labels, other, one).verdict == "worse"
    apart = evaluation.bootstrap_interval(labels, one), evaluation.bootstrap_interval(labels, other)
    assert apart[0][0] < apart[1][1]  # each alone could not tell them apart
    same = evaluation.compare_predictions(labels, one, one)
    assert (same.low, same.high, same.verdict) == (0, 0, "no difference within noise")
    with pytest.raises(ValueError, match="n must be at least 1"):
        evaluation.compare_predictions(labels, one, other, n=0)


def test_bootstrap_interval_options_change_the_result():
    labels, probabilities = random_predictions()
    usual = evaluation.bootstrap_interval(labels, probabilities, n=200)
    for change in ({"metric": evaluation.cross_entropy}, {"n": 50}):
        assert evaluation.bootstrap_interval(labels, probabilities, **{"n": 200, **change}) != usual


def test_bootstrap_interval_of_one_image_has_no_width():
    assert evaluation.bootstrap_interval([0], [[0.9, 0.1]], n=10) == (1.0, 1.0)


def test_compare_seeds_by_hand():
    # Means 0.9 and 0.8, both variances 0.0001, n = 3: SE = sqrt(2 * 0.0001 / 3), 4 degrees of freedom, t = 2.776.
    result = evaluation.compare_seeds([0.89, 0.90, 0.91], [0.79, 0.80, 0.81])
    assert result.difference == pytest.approx(0.1)
    assert (result.low, result.high) == pytest.approx((0.1 - 0.02267, 0.1 + 0.02267), abs=1e-5)
    assert result.verdict == "better"


def test_compare_seeds_is_antisymmetric():
    there = evaluation.compare_seeds([0.9, 0.91, 0.95], [0.7, 0.72])
    back = evaluation.compare_seeds([0.7, 0.72], [0.9, 0.91, 0.95])
    assert (there.verdict, back.verdict) == ("better", "worse")
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))


def test_compare_seeds_claims_nothing_within_noise_or_from_one_seed():
    assert evaluation.compare_seeds([0.8, 0.9], [0.79, 0.88]).verdict == "no difference within noise"
    alone = evaluation.compare_seeds([0.9], [0.1, 0.1, 0.1])
    assert alone.verdict == "one seed, no claim" and alone.low is alone.high is None


def test_compare_seeds_without_any_spread():
    assert evaluation.compare_seeds([0.5, 0.5], [0.5, 0.5]).verdict == "no difference within noise"
    assert evaluation.compare_seeds([0.6, 0.6], [0.5, 0.5]).verdict == "better"


# --- easy and hard classes


def test_nearest_mean_leaves_each_image_out_of_its_own_mean():
    # Class 0 at 0 and 4, class 1 at 3 and 3. With itself in the mean (2), the image at 0 would be right; without it,
    # the mean of class 0 is 4 and that of class 1 is 3: wrong. The image at 4 meets means 0 and 3: wrong as well.
    table = evaluation.easy_and_hard_classes(np.array([[0.0], [4.0], [3.0], [3.0]]), [0, 0, 1, 1], class_names="ab")
    assert table["accuracy"].tolist() == [0.0, 1.0] and table["images"].tolist() == [2, 2]
    assert table["most_confused_with"].tolist() == ["b", ""]


def test_nearest_mean_against_the_plain_loop():
    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=40)
    features = rng.normal(labels[:, None], 1.5, size=(40, 3))
    scaled = (features - features.mean(axis=0)) / features.std(axis=0)
    nearest = []
    for i in range(40):
        kept = np.arange(40) != i
        means = [scaled[kept & (labels == label)].mean(axis=0) for label in range(4)]
        nearest.append(int(np.argmin([np.sum((scaled[i] - mean) ** 2) for mean in means])))
    by_hand = [np.mean(np.array(nearest)[labels == label] == label) for label in range(4)]
    table = evaluation.easy_and_hard_classes(features, labels, class_names="abcd")
    assert table["accuracy"].tolist() == pytest.approx(by_hand)


def test_nearest_mean_does_not_depend_on_scale_or_constant_features():
    rng = np.random.default_rng(1)
    labels = rng.integers(3, size=30)
    features = rng.normal(labels[:, None], 1.0, size=(30, 4))
    usual = evaluation.easy_and_hard_classes(features, labels, class_names="abc")
    changed = np.concatenate([features * [1, 100, 0.01, 7] + 5, np.full((30, 1), 9.0)], axis=1)
    assert evaluation.easy_and_hard_classes(changed, labels, class_names="abc").equals(usual)


def test_classes_of_one_image_or_none_have_no_accuracy():
    table = evaluation.easy_and_hard_classes(
        np.array([[0.0], [0.1], [5.0]]), [0, 0, 2], class_names=["cat", "dog", "emu"]
    )
    assert table["class_name"].tolist() == ["cat", "dog", "emu"] and table["images"].tolist() == [2, 0, 1]
    assert table["accuracy"][0] == 1.0 and table["accuracy"][1:].isna().all()


def test_easy_and_hard_classes_refuses():
    for features, labels, names, message in [
        (np.zeros((2, 3)), [0], "a", r"features must be finite, shape \(1, D\). Received: shape \(2, 3\)"),
        (np.full((1, 3), np.inf), [0], "a", "features must be finite"),
        (np.zeros(2), [0, 1], "ab", r"Received: shape \(2,\)"),
        (np.zeros((2, 3)), [0, 2], ["a", "b"], r"labels must lie in \[0, 1\]"),
        (np.zeros((2, 3)), [0, -2], ["a", "b"], r"labels must lie in \[0, 1\]"),
    ]:
        with pytest.raises(ValueError, match=message):
            evaluation.easy_and_hard_classes(features, labels, class_names=names)


def test_cheap_features_of_a_flat_image_are_its_colour_and_no_edges():
    image = np.full((1, 20, 13, 3), (255, 51, 0), np.uint8)
    features = evaluation.cheap_features(image)
    assert features.shape == (1, 768) and features.dtype == np.float32
    assert np.allclose(features[0, :192].reshape(64, 3), [1, 0.2, 0], atol=1e-6)
    assert np.allclose(features[0, 192:], 0, atol=1e-6)


def test_cheap_features_tell_edge_directions_apart():
    ramp = np.broadcast_to(np.arange(64, dtype=np.uint8)[None, :] * 4, (64, 64))
    across, down = (np.repeat(image[..., None], 3, axis=-1) for image in (ramp, ramp.T))
    edges = evaluation.cheap_features(np.stack([across, down]))[:, 192:].reshape(2, 64, 9)
    assert (edges[0].argmax(axis=-1) == 0).all()  # brightness grows along x: the gradient points at 0 degrees
    assert (edges[1].argmax(axis=-1) == 4).all()  # along y: 90 degrees, the middle of nine directions


def test_cheap_features_do_not_see_edge_polarity_but_see_place():
    image = np.zeros((1, 32, 32, 3), np.uint8)
    image[:, 8:16, 8:16] = 200
    moved = np.roll(image, 16, axis=2)
    plain, inverted, other = (evaluation.cheap_features(x)[:, 192:] for x in (image, 255 - image, moved))
    assert np.allclose(plain, inverted, atol=1e-4) and np.abs(plain - other).max() > 0.5


def test_cheap_features_of_many_images_equal_those_of_each(monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, size=(5, 16, 24, 3), dtype=np.uint8)
    whole = evaluation.cheap_features(images)
    monkeypatch.setattr("lib.evaluation.difficulty.PIXELS_AT_ONCE", 16 * 24 * 2)
    assert np.allclose(evaluation.cheap_features(images), whole, atol=1e-6)
    assert evaluation.cheap_features(images[:0]).shape == (0, 768)


def test_cheap_features_refuses_what_is_not_a_batch_of_uint8_images():
    message = r"images must be uint8 of shape \(N, H, W, 3\), sides of at least 8. Received"
    for images in (np.zeros((1, 8, 8, 3)), np.zeros((1, 7, 9, 3), np.uint8), np.zeros((8, 8, 3), np.uint8)):
        with pytest.raises(ValueError, match=message):
            evaluation.cheap_features(images)
