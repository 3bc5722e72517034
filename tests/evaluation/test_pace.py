"""Trainings at equal minutes: when one gets as far as another one ends."""

import pandas as pd
import pytest

from lib.config.files import write_json
from lib.evaluation import pace
from lib.training.runs import Run


@pytest.fixture
def finished(tmp_path):
    """A function that writes a run folder: its val accuracy and seconds by epoch, and the accuracy that is kept."""

    def write(name, accuracies, seconds, kept, **metrics):
        run = Run(tmp_path / f"{name}-seed0-0123456789")
        run.folder.mkdir()
        history = {"epoch": range(1, 1 + len(seconds)), "val_accuracy": accuracies, "seconds": seconds}
        pd.DataFrame(history).to_csv(run.folder / "history.csv", index=False)
        write_json(run.folder / "metrics.json", {"val_accuracy": kept} | metrics)
        write_json(run.folder / "config.json", {"experiment": name, "seed": 0, "settings": {}})
        return run

    return write


def test_two_trainings_are_held_beside_each_other_at_equal_minutes(finished):
    own = finished("best", [0.2, 0.6, 0.7], [60, 60, 60], 0.75)
    slow = finished("v7", [0.3, 0.5], [120, 360], 0.5)
    assert pace.accuracy_by_minute(own).to_dict("list") == {"minutes": [1, 2, 3], "accuracy": [0.2, 0.6, 0.75]}
    found = pace.beside(own, slow)
    ends = {"own_accuracy": 0.75, "own_minutes": 3, "other": "v7", "other_accuracy": 0.5, "other_minutes": 8}
    assert found == ends | {"reached_minutes": 2}
    assert "reached_minutes" not in pace.beside(slow, own)
    later = finished("fine_tuned", [0.4], [60], 0.4, seconds_before=60.0)  # features came first
    assert pace.accuracy_by_minute(later)["minutes"].tolist() == [2]
