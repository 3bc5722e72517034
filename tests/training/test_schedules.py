"""Learning rates, stopping rules and image sizes, computed by hand."""

import math

import pytest

from lib.config import Training
from lib.training.schedules import image_sizes, learning_rate, plateaus, should_stop, stop


def test_constant():
    config = Training(schedule="constant", learning_rate=0.3)
    assert [learning_rate(config, progress) for progress in (0.0, 0.5, 0.999)] == [0.3] * 3


@pytest.mark.parametrize("progress, share", [(0.0, 1.0), (0.25, 0.5 + math.sqrt(0.125)), (0.5, 0.5), (1.0, 0.0)])
def test_cosine(progress, share):
    config = Training(schedule="cosine", learning_rate=0.2)
    assert learning_rate(config, progress) == pytest.approx(0.2 * share, abs=1e-12)


@pytest.mark.parametrize(
    "progress, share",
    [(0.0, 0.04), (0.1, 0.52), (0.2, 1.0), (0.4, 0.75), (0.6, 0.5), (0.999, 0.00125), (1.0, 0.0)],
)
def test_one_cycle(progress, share):
    config = Training(schedule="one_cycle", learning_rate=0.5)
    assert learning_rate(config, progress) == pytest.approx(0.5 * share, abs=1e-12)


def test_plateau_takes_a_tenth_after_patience_epochs_without_a_better_loss():
    config = Training(schedule="plateau", learning_rate=1.0, patience=2)
    losses = [3.0, 2.0, 2.5, 2.0, 1.9, 2.0, 2.0, 2.0, 2.0]
    rates = [learning_rate(config, 0.5, val_losses=losses[:epochs]) for epochs in range(len(losses) + 1)]
    assert rates == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.001])
    assert learning_rate(config, 0.5) == 1.0


def test_only_plateau_looks_at_the_losses():
    losses = [1.0] * 50
    for schedule in ("constant", "cosine", "one_cycle"):
        config = Training(schedule=schedule)
        assert learning_rate(config, 0.3, val_losses=losses) == learning_rate(config, 0.3)


@pytest.mark.parametrize(
    "losses, count",
    [
        ([], 0),
        ([1.0], 0),
        ([1.0, 1.0, 1.0], 0),  # two epochs without a lower loss
        ([1.0, 1.0, 1.0, 1.0], 1),
        ([1.0, 2.0, 2.0, 0.5, 2.0, 2.0], 0),
        ([1.0] * 7, 2),
        ([1.0, 1.0, 1.0, 1.0, 1.5, 1.5], 1),  # the best stays the best after a plateau
    ],
)
def test_plateaus(losses, count):
    assert plateaus(losses, patience=3) == count


def test_early_stopping_none_never_stops():
    assert not should_stop(Training(early_stopping="none", patience=1), [1.0] * 100)


def test_early_stopping_on_the_plain_loss():
    config = Training(early_stopping="loss", patience=2)
    assert not should_stop(config, [])
    assert not should_stop(config, [3.0, 2.0, 2.5])
    assert should_stop(config, [3.0, 2.0, 2.5, 2.1])
    assert not should_stop(config, [3.0, 2.0, 2.5, 1.9])


def test_a_stop_says_where_the_smoothed_loss_was_lowest_and_what_ended_the_training():
    config = Training(early_stopping="smoothed", patience=2, epochs=9)
    losses = [3.0, 1.0, 2.0, 1.2, 1.4, 3.0, 1.0]  # running means 2, 1.4, 1.53, 1.87, 1.8: the lowest ends at epoch 4
    expected = {"most_epochs": 9, "epochs": 7, "lowest_at": 4, "stopped": True}
    assert stop(config, losses) == expected
    assert stop(config, losses[:5]) == expected | {"epochs": 5, "stopped": False}
    assert stop(config, losses[:2]) == expected | {"epochs": 2, "lowest_at": 2, "stopped": False}


def test_early_stopping_on_the_running_mean_of_three():
    plain, smoothed = (Training(early_stopping=kind, patience=2) for kind in ("loss", "smoothed"))
    zigzag = [3.0, 1.0, 2.9, 1.1, 1.2]  # running means 2.3, 1.67, 1.73: one epoch without a better mean
    assert should_stop(plain, zigzag) and not should_stop(smoothed, zigzag)
    assert should_stop(smoothed, [*zigzag, 3.0])  # 1.77: two
    assert not should_stop(smoothed, [1.0, 2.0, 3.0])  # a single mean, nothing to compare
    assert should_stop(smoothed, [1.0] * 5)


def test_patience_delays_both():
    losses = [1.0] * 5
    assert should_stop(Training(early_stopping="loss", patience=4), losses)
    assert not should_stop(Training(early_stopping="loss", patience=5), losses)


@pytest.mark.parametrize(
    "epochs, sizes, expected",
    [
        (3, (), [64, 64, 64]),
        (4, (32,), [32, 32, 64, 64]),
        (5, (32,), [32, 32, 32, 64, 64]),
        (6, (32, 48), [32, 32, 48, 48, 64, 64]),
        (3, (32, 48), [32, 48, 64]),
        (2, (32, 48), [48, 64]),  # fewer epochs than shares: the first shares go
        (1, (48,), [64]),
    ],
)
def test_image_sizes(epochs, sizes, expected):
    assert image_sizes(Training(epochs=epochs, sizes=sizes), 64) == expected
