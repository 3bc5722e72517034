"""Mean, blend and stack of stored predictions: against hand computation, a search of all weights and scikit-learn."""

import itertools

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.tree import DecisionTreeClassifier

from lib.evaluation import accuracy, cross_entropy, ensembles

SURE, UNDECIDED = np.array([[0.8, 0.2]]), np.array([[0.5, 0.5]])


def answers(labels, *, classes, strength, seed, noise=0.0):
    """A model that knows something: its logits are noise, with that of the right class raised; other noise is added."""
    logits = np.random.default_rng(seed).normal(size=(len(labels), classes)) + noise
    logits[np.arange(len(labels)), labels] += strength
    return softmax(logits, axis=1).astype(np.float32)


def drawn_labels(count, *, classes, seed=0):
    return np.random.default_rng(seed).integers(classes, size=count)


def test_a_mean_and_a_blend_are_those_computed_by_hand():
    cases = (
        ([SURE, UNDECIDED], None, 2 / 3),  # sqrt(.8 * .5) : sqrt(.2 * .5) = 2 : 1
        ([SURE, UNDECIDED], (0.25, 0.75), np.sqrt(2) / (1 + np.sqrt(2))),  # 4 ** .25 : 1
        ([SURE, UNDECIDED], (1, 0), 0.8),
        ([SURE, SURE, SURE], None, 0.8),
    )
    for members, weights, expected in cases:
        found = ensembles.blend(members, weights)
        assert found.dtype == np.float32 and found[0] == pytest.approx([expected, 1 - expected]), weights


def test_a_member_that_rules_a_class_out_leaves_finite_probabilities():
    never = np.array([[1.0, 0.0]])
    found = ensembles.blend([never, UNDECIDED])
    assert np.isfinite(found).all() and found.sum() == pytest.approx(1)
    assert found[0, 1] == pytest.approx(1 / (1 + np.sqrt(1e7)), rel=1e-3)  # zero counts as 1e-7


def test_the_blend_has_the_least_cross_entropy_of_all_weights():
    labels = drawn_labels(400, classes=5)
    members = [answers(labels, classes=5, strength=strength, seed=i) for i, strength in enumerate((2.0, 1.5, 0.0))]
    weights = ensembles.blend_weights(labels, members)
    assert weights.shape == (3,) and weights.min() >= 0 and weights.sum() == pytest.approx(1)
    assert weights[0] > weights[1] > 0.1 and weights[2] < 0.05, "the better a member, the more it weighs"
    least = cross_entropy(labels, ensembles.blend(members, weights))
    steps = np.linspace(0, 1, 21)
    for tried in ((a, b, 1 - a - b) for a, b in itertools.product(steps, steps) if a + b <= 1):
        assert least <= cross_entropy(labels, ensembles.blend(members, tried)) + 1e-7, tried


def test_the_blend_finds_the_only_good_member_and_shares_among_equal_ones():
    labels = drawn_labels(300, classes=4)
    good, bad = (answers(labels, classes=4, strength=strength, seed=strength) for strength in (3, 0))
    assert ensembles.blend_weights(labels, [bad, good, bad]) == pytest.approx([0, 1, 0], abs=0.02)
    assert ensembles.blend_weights(labels, [good, good]) == pytest.approx([0.5, 0.5])


def test_a_stack_learns_which_member_knows_which_classes():
    """The first member mixes up classes 2 and 3 and the second one 0 and 1: a mean says both halves, a stack knows."""
    labels = drawn_labels(4000, classes=4)
    members = []
    for seed, mixed in enumerate(((2, 3), (0, 1))):
        told = labels.copy()
        wrong = np.isin(labels, mixed) & (np.random.default_rng(seed).random(len(labels)) < 0.5)
        told[wrong] = sum(mixed) - told[wrong]
        members.append(answers(told, classes=4, strength=5, seed=seed))
    fitted = ensembles.fit_stack(labels[:2000], [one[:2000] for one in members])
    unseen, known = [one[2000:] for one in members], labels[2000:]
    reached = accuracy(known, ensembles.stack(unseen, **fitted))
    assert max(accuracy(known, one) for one in unseen) < 0.8
    assert accuracy(known, ensembles.blend(unseen)) < 0.85
    assert reached > 0.9


def test_a_stack_is_fooled_by_predictions_of_images_that_its_members_have_seen():
    rng = np.random.default_rng(0)
    labels = drawn_labels(1200, classes=3)
    values = rng.normal(size=(1200, 8))
    values[np.arange(1200), labels] += 1.5
    models = LogisticRegression(), DecisionTreeClassifier(random_state=0)  # the tree knows all it has seen by heart
    train, test = slice(600), slice(600, None)
    seen, unseen = [], []
    for model in models:
        out_of_fold = cross_val_predict(model, values[train], labels[train], cv=5, method="predict_proba")
        model.fit(values[train], labels[train])
        seen.append((model.predict_proba(values[train]), out_of_fold))
        unseen.append(model.predict_proba(values[test]))
    alone = [accuracy(labels[test], one) for one in unseen]
    in_sample, honest = (ensembles.fit_stack(labels[train], list(one)) for one in zip(*seen, strict=True))
    fooled, right = (accuracy(labels[test], ensembles.stack(unseen, **one)) for one in (in_sample, honest))
    assert accuracy(labels[train], seen[1][0]) == 1 and alone[0] > alone[1] + 0.07
    assert fooled == pytest.approx(alone[1], abs=0.03), "it trusts the tree alone"
    assert right >= alone[0] - 0.02, "it trusts the better member"


def test_a_stack_under_the_usual_penalty_is_the_logistic_regression_of_scikit_learn():
    for classes, strength in ((3, 1.0), (4, 0.05)):
        labels = drawn_labels(200, classes=classes)
        members = [answers(labels, classes=classes, strength=1, seed=seed) for seed in range(2)]
        inputs = np.log(np.concatenate(members, axis=1).astype(np.float64))
        scaled = (inputs - inputs.mean(axis=0)) / inputs.std(axis=0)
        model = LogisticRegression(C=strength, max_iter=1000, tol=1e-7).fit(scaled, labels)
        found = ensembles.stack(members, **ensembles.fit_stack(labels, members, strength=strength))
        assert found == pytest.approx(model.predict_proba(scaled), abs=1e-3), classes


def test_a_stack_with_more_weights_than_images_stays_near_the_blend():
    labels = drawn_labels(2150, classes=20)
    noise = 2 * np.random.default_rng(9).normal(size=(len(labels), 20))
    members = [answers(labels, classes=20, strength=5, seed=seed, noise=noise) for seed in range(3)]
    parts = [(labels[part], [one[part] for one in members]) for part in (slice(150), slice(150, 650), slice(650, None))]
    known, val, (truth, unseen) = parts
    weights = ensembles.blend_weights(*known)
    plain = accuracy(truth, ensembles.stack(unseen, **ensembles.fit_stack(*known)))
    blended = accuracy(truth, ensembles.blend(unseen, weights))
    kernel = ensembles.fit_stack(*known, strength=1e-9, near=weights)["kernel"]
    assert kernel == pytest.approx(np.kron(weights[:, None], np.eye(20)), abs=1e-4), "the blend itself"
    fitted, strength = ensembles.choose_stack(known, val)
    assert strength == min(ensembles.STRENGTHS), "there is little to learn beyond the blend"
    assert plain < blended - 0.1 and accuracy(truth, ensembles.stack(unseen, **fitted)) > blended - 0.02


def test_a_stack_never_answers_a_class_that_it_has_not_seen():
    labels = 2 * drawn_labels(90, classes=2)  # 0 and 2, of four classes
    members = [answers(labels, classes=4, strength=2, seed=seed) for seed in range(2)]
    found = ensembles.stack(members, **ensembles.fit_stack(labels, members))
    assert not found[:, [1, 3]].any() and accuracy(labels, found) > 0.9


def test_a_wide_stack_fitted_on_a_small_val_is_worse_than_a_member_and_a_blend_is_not():
    for images, classes, trapped in ((150, 20, True), (1000, 10, False)):
        labels = drawn_labels(images, classes=classes)
        noise = 2 * np.random.default_rng(9).normal(size=(images, classes))  # what makes an image hard for all of them
        options = {"classes": classes, "strength": 5, "noise": noise}
        members = {f"m{seed}": answers(labels, seed=seed, **options) for seed in range(3)}
        table = ensembles.fitted_on_few(labels, members).set_index("approach")
        assert list(table.index) == ["m0", "m1", "m2", "mean", "blend", "stack"]
        assert list(table.columns) == ["accuracy", "inputs", "weights", "rows"]
        numbers = table[["inputs", "weights", "rows"]].T
        assert numbers["m0"].tolist() == [classes, 0, 0] and numbers["mean"].tolist() == [3 * classes, 0, 0]
        assert numbers["blend"].tolist() == [3 * classes, 3, 0.8 * images]
        assert numbers["stack"].tolist() == [3 * classes, (3 * classes + 1) * classes, 0.8 * images]
        reached, alone = table["accuracy"], table["accuracy"][list(members)]
        assert reached["blend"] > alone.mean() and reached["mean"] > alone.mean()
        assert reached["stack"] < alone.min() - 0.05 if trapped else reached["stack"] > alone.min() - 0.02, table


def test_a_table_of_few_images_leaves_none_out_of_the_judgement():
    """A stack that had fitted what it judges would be right here: labels are random, and inputs more than images."""
    labels = drawn_labels(40, classes=4)
    members = {f"m{seed}": answers(0 * labels, classes=4, strength=0, seed=seed) for seed in range(12)}
    fitted = ensembles.fit_stack(labels, list(members.values()))
    assert accuracy(labels, ensembles.stack(list(members.values()), **fitted)) > 0.7
    assert ensembles.fitted_on_few(labels, members).set_index("approach")["accuracy"]["stack"] < 0.5


def test_what_cannot_be_combined_is_refused():
    labels, one = np.array([0, 1]), np.full((2, 2), 0.5)
    cases = (
        (lambda: ensembles.blend([one, np.full((2, 4), 0.25)]), "members must all have one shape"),
        (lambda: ensembles.blend([]), "members must all have one shape"),
        (lambda: ensembles.blend([one, one], (1,)), "one weight per member, 2"),
        (lambda: ensembles.blend([one, 3 * one]), "must lie in"),
        (lambda: ensembles.blend_weights(labels[:1], [one, one]), "one row per image"),
        (lambda: ensembles.fit_stack(labels + 1, [one, one]), "labels must lie in"),
    )
    for call, rule in cases:
        with pytest.raises(ValueError, match=rule):
            call()
