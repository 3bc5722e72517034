"""What notebook 06 says: searches over time, the ladder beside them, and the verdict, from planted run folders."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from lib.search import compare


def planted_run(folder, *, trials: list[tuple[float, float]], seconds: float, val_accuracy: float):
    """A search's run folder: trials as pairs of the second they ended at and their accuracy."""
    table = pd.DataFrame(trials, columns=["ended_seconds", "val_accuracy"]).assign(trial=range(len(trials)))
    folder.mkdir()
    table.to_csv(folder / "trials.csv", index=False)
    predictions = (np.arange(400), np.zeros(400, int), np.ones((400, 2)) / 2)
    return SimpleNamespace(
        folder=folder,
        environment=lambda: {"wall_seconds": seconds},
        metrics=lambda: {"val_accuracy": val_accuracy, "parameters": 10},
        predictions=lambda role="val": predictions,
    )


def ladder_job(minutes: float, accuracy: float):
    run = SimpleNamespace(record=lambda: {"minutes": minutes}, metrics=lambda: {"val_accuracy": accuracy})
    return SimpleNamespace(run=run)


def test_the_best_so_far_rises_when_a_better_trial_ends_and_stays_to_the_end(tmp_path):
    trials = [(60, 0.3), (90, np.nan), (120, 0.2), (180, 0.5)]
    run = planted_run(tmp_path / "run", trials=trials, seconds=240, val_accuracy=0.5)
    curve = compare.best_over_time(run)
    assert curve["minutes"].tolist() == [1, 3, 3, 4]
    assert curve["accuracy"].tolist() == [0.3, 0.3, 0.5, 0.5]
    assert [compare.at_minutes(curve, minutes) for minutes in (0.5, 1, 2.9, 3, 9)] == [0, 0.3, 0.3, 0.5, 0.5]


def test_a_ladder_takes_its_experiments_one_after_another():
    curve = compare.ladder_over_time([ladder_job(1, 0.2), ladder_job(2, 0.6), ladder_job(4, 0.5)])
    assert curve["minutes"].tolist() == [1, 3, 3, 7]
    assert curve["accuracy"].tolist() == [0.2, 0.2, 0.6, 0.6]


@pytest.mark.parametrize(
    ("accuracy", "verdict"),
    [(0.75, "better than"), (0.62, "neither better nor worse than"), (0.45, "worse than")],
)
def test_a_search_is_judged_at_equal_minutes_and_within_two_standard_errors(tmp_path, accuracy, verdict):
    run = planted_run(tmp_path / "run", trials=[(60, accuracy)], seconds=240, val_accuracy=accuracy)
    by_hand = [ladder_job(1, 0.2), ladder_job(2, 0.6), ladder_job(4, 0.9)]
    found = compare.worth(SimpleNamespace(run=run), by_hand)
    assert found["verdict"] == verdict
    assert found["by_hand_accuracy"] == 0.6, "the experiment that ends after seven minutes does not count after four"
    assert found["gain"] == pytest.approx(accuracy - 0.6) and found["by_hand_end_accuracy"] == 0.9


def test_growing_time_is_said_as_the_rest_of_a_report_is():
    run = SimpleNamespace(metrics=lambda: {"val_accuracy": 0.1})
    job = SimpleNamespace(settings=SimpleNamespace(minutes=1), run=run)
    assert compare.of_growing([job, job]) == ", ".join(["10.0\u00a0% after 1\u00a0min"] * 2)


def test_importances_are_said_only_where_the_trials_know_them():
    frame = pd.DataFrame({"setting": ["width"], "importance": [0.5], "spread": [0.1], "known": [0.7]})
    assert "The setting width decides" in compare.of_importance(frame, 20)["importance"]
    assert "no setting stands out" in compare.of_importance(frame.assign(known=0.1), 20)["importance"]
    assert "5 trials: too few" in compare.of_importance(frame[:0], 5)["importance"]
