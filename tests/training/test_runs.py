"""lib.training.runs: names that change when they should, and results that are there or named as missing."""

import pytest

from lib.config import Experiment, Training, files, paths
from lib.models import SimpleCnn
from lib.training import runs

BASE = Experiment(why="How far does it get?", model=SimpleCnn())


def locate(experiment=BASE, *, name="baseline", seed=0, data=("data",), code=()):
    return runs.locate(paths.runs("tests"), experiment, name=name, seed=seed, data=data, code=code)


def test_the_name_follows_everything_that_decides_the_numbers(own_folders):
    assert locate() == locate()
    others = [
        locate(BASE.replace(image_size=48)),
        locate(BASE.replace(training=Training(epochs=3))),
        locate(seed=1),
        locate(data=("other data",)),
    ]
    assert len({run.id for run in [locate(), *others]}) == 5
    assert locate().id.startswith("baseline-seed0-")


def test_a_better_question_retrains_nothing(own_folders):
    assert locate(BASE.replace(why="How far does the naive start get?")) == locate()


def test_changed_code_changes_the_name_but_comments_do_not(own_folders, tmp_path):
    file = tmp_path / "augment.py"
    file.write_text((paths.LIB / "inputs" / "augment.py").read_text())
    before = locate(code=[file])
    file.write_text("# a new comment\n" + file.read_text().replace('"""One random', '"""A random'))
    assert locate(code=[file]) == before
    file.write_text(file.read_text().replace("GREY = 127.5", "GREY = 128.5"))
    assert locate(code=[file]) != before


def test_what_is_missing_is_named(own_folders):
    run = locate()
    assert not run.finished and run.failure is None
    with pytest.raises(runs.RunError, match=r"baseline-seed0-\w+ has no metrics.json"):
        run.metrics()


def test_a_failure_counts_only_until_the_run_is_finished(own_folders):
    run = locate()
    run.folder.mkdir(parents=True)
    files.write_json(run.folder / "failure.json", {"reason": "no memory"})
    assert run.failure == "no memory"
    files.write_json(run.folder / "metrics.json", {"val_accuracy": 0.5})
    assert run.failure is None and run.finished
