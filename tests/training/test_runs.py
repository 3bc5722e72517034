"""lib.training.runs: names that change when they should, and files that are whole or absent."""

import json

import numpy as np
import pytest

from lib.config import Experiment, Training, files, paths
from lib.training import runs

BASE = Experiment(why="How far does it get?")


def locate(experiment=BASE, *, name="baseline", seed=0, data="data"):
    return runs.locate(paths.runs("tests"), experiment, name=name, seed=seed, data=data)


def test_the_name_follows_everything_that_decides_the_numbers(own_folders):
    assert locate() == locate()
    others = [
        locate(BASE.replace(image_size=48)),
        locate(BASE.replace(training=Training(epochs=3))),
        locate(seed=1),
        locate(data="other data"),
    ]
    assert len({run.id for run in [locate(), *others]}) == 5
    assert locate().id.startswith("baseline-seed0-")


def test_a_better_question_retrains_nothing(own_folders):
    assert locate(BASE.replace(why="How far does the naive start get?")) == locate()


def test_changed_code_changes_the_name_but_comments_do_not(own_folders, monkeypatch, tmp_path):
    for name in runs.COMPUTING:
        target = tmp_path / "lib" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text((paths.LIB / name).read_text())
    before = locate()
    monkeypatch.setattr(paths, "LIB", tmp_path / "lib")
    assert locate() == before
    file = tmp_path / "lib" / "augment.py"
    file.write_text("# a new comment\n" + file.read_text().replace('"""One random', '"""A random'))
    assert locate() == before
    file.write_text(file.read_text().replace("GREY = 127.5", "GREY = 128.5"))
    assert locate() != before


def test_what_is_missing_is_named(own_folders):
    run = locate()
    assert not run.finished and run.failure is None
    with pytest.raises(runs.RunError, match=r"baseline-seed0-\w+ has no metrics.json"):
        run.metrics()


def test_json_and_arrays_are_replaced_whole(tmp_path):
    file = tmp_path / "facts.json"
    files.write_json(file, {"b": (1, 2), "a": 1.5})
    assert json.loads(file.read_text()) == {"a": 1.5, "b": [1, 2]}
    files.write_json(file, {"a": 2})
    assert files.read_json(file) == {"a": 2}
    files.write_arrays(tmp_path / "arrays.npz", {"x": np.arange(3)})
    with np.load(tmp_path / "arrays.npz") as stored:
        assert stored["x"].tolist() == [0, 1, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["arrays.npz", "facts.json"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    file = tmp_path / "facts.json"
    files.write_json(file, {"a": 1})
    with pytest.raises(TypeError):
        files.write_json(file, {"a": object()})
    assert files.read_json(file) == {"a": 1}


def test_a_failure_counts_only_until_the_run_is_finished(own_folders):
    run = locate()
    run.folder.mkdir(parents=True)
    files.write_json(run.folder / "failure.json", {"reason": "no memory"})
    assert run.failure == "no memory"
    files.write_json(run.folder / "metrics.json", {"val_accuracy": 0.5})
    assert run.failure is None and run.finished
