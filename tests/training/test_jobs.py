"""Jobs: a brief's plan is carried out by one runner, whatever is fitted, and one failure stops none of the others."""

import dataclasses
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from lib import briefs
from lib.config import Brief, Config, Experiment, Profile, Split, Training
from lib.models import Softmax
from lib.report import make
from lib.training.jobs import Job, JobFailed, run_jobs
from lib.training.network import network_job, network_jobs
from lib.training.open_brief import open_brief

FAST = Experiment(why="Does it run?", model=Softmax(), training=Training(epochs=1, learning_rate=0.001), image_size=8)
WILD = FAST.vary("What happens when the loss is no number?", training={"learning_rate": 1e38, "epochs": 4})


@pytest.fixture
def brief(own_folders, monkeypatch) -> Brief:
    """A brief on the photos of `photo_folder`, with an experiment that must fail."""
    profile = Profile(seeds=2, ablation_seeds=2, minutes=5)
    made = Brief(
        name="folder",
        title="Photos",
        question="Does the sweep go on?",
        dataset="folder",
        baseline="fast",
        best="best",
        experiments={"fast": FAST, "wild": WILD, "best": FAST.vary("Both?", training={"epochs": 2})},
        profiles={"smoke": profile, "quick": profile, "full": profile.replace(minutes=1e-9)},
        split=Split(test=0.2, val=0.2),
        include_clutter=True,
    )
    monkeypatch.setattr(briefs, "load", lambda name: made)
    return made


def test_the_plan_has_every_experiment_once_before_any_twice(brief, photo_folder):
    opened = open_brief("folder", "smoke", str(photo_folder))
    opened = dataclasses.replace(opened, brief=opened.brief.replace(ablation={"part": FAST}))
    planned = [(job.name, job.seed) for job in network_jobs(opened)]
    assert planned == [("fast", 0), ("wild", 0), ("best", 0), ("fast", 1), ("wild", 1), ("part", 0), ("part", 1)]


def test_a_failed_experiment_is_recorded_and_the_sweep_goes_on(brief, photo_folder, capsys):
    opened = open_brief("folder", "smoke", str(photo_folder))
    done = run_jobs(network_jobs(opened))
    assert [run.config()["experiment"] for run in done] == ["fast", "best", "fast"]
    assert "the loss became" in network_job(opened, "wild").run.failure
    assert capsys.readouterr().out.count("failed: wild-seed") == 2
    written = [(run.folder / "metrics.json").stat().st_mtime_ns for run in done]
    assert run_jobs(network_jobs(opened)) == done
    assert "failed earlier: the loss became" in capsys.readouterr().out
    assert run_jobs(network_jobs(opened), retry=True) == done
    assert capsys.readouterr().out.count("failed: wild-seed") == 2
    assert [(run.folder / "metrics.json").stat().st_mtime_ns for run in done] == written


def test_side_by_side_gives_the_numbers_of_one_after_the_other(brief, photo_folder, monkeypatch, capfd):
    weights = {}
    for at_once in (1, 2):
        monkeypatch.setenv("COURSEWORK_REPORTS", str(photo_folder.parent / f"reports{at_once}"))
        opened = open_brief("folder", "smoke", str(photo_folder))
        done = run_jobs(network_jobs(opened), at_once=at_once)
        weights[at_once] = {run.id: [weight.tobytes() for weight in run.load_model().get_weights()] for run in done}
        assert network_job(opened, "wild").run.failure
        assert [run.environment()["at_once"] for run in done] == [at_once, 1, at_once]  # the best one trains alone
        said = capfd.readouterr().out
        assert said.startswith("[1/5] best-seed0-") and said.count("failed: wild-seed") == 2
    assert weights[1] == weights[2] and len(weights[1]) == 3


def test_experiments_beyond_the_minutes_are_left_out_and_said_to_be(brief, photo_folder, capsys):
    opened = open_brief("folder", "full", str(photo_folder))
    assert run_jobs(network_jobs(opened), minutes=opened.profile.minutes) == []
    assert capsys.readouterr().out.count("minutes of this profile are used up") == len(network_jobs(opened))


def test_one_experiment_can_be_trained_alone_and_is_read_the_next_time(brief, photo_folder, capsys):
    folder = make.train_one("folder", "best", profile="smoke", data=str(photo_folder)).folder
    assert (folder / "model.keras").exists() and folder.name.startswith("best-seed0-")
    assert capsys.readouterr().out.endswith(f" minutes\nkept in {folder}\n")
    make.train_one("folder", "best", profile="smoke", data=str(photo_folder))
    assert capsys.readouterr().out.endswith(f" minutes\nfinished earlier, and read from {folder}\n")
    with pytest.raises(ValueError, match="wild-seed0-.* was not finished: the loss became"):
        make.train_one("folder", "wild", profile="smoke", data=str(photo_folder))
    with pytest.raises(ValueError, match="Unknown experiment 'bset'. Experiments: fast, wild, best"):
        make.train_one("folder", "bset", profile="smoke", data=str(photo_folder))


@dataclasses.dataclass(frozen=True)
class Guess(Config):
    """Settings of a kind of job that this test adds."""

    why: str = "What does guessing reach?"
    favourite: int = 0


class GuessJob(Job):
    """Another kind: one class, whatever the image."""

    def fit(self):
        if self.settings.favourite > 2:
            raise JobFailed("there is no such class")
        rows = self.opened.split.val
        labels = self.opened.dataset.index["label"].to_numpy()[rows]
        probabilities = np.eye(3, dtype=np.float32)[np.full(len(rows), self.settings.favourite)]
        self.run.write_predictions("val", rows=rows, labels=labels, probabilities=probabilities)
        return {"val_accuracy": float(np.mean(labels == self.settings.favourite))}, 0.5


def test_a_new_kind_of_job_is_one_class(brief, photo_folder):
    opened = open_brief("folder", "smoke", str(photo_folder))
    planned = [GuessJob(opened, "guess", Guess(), 0), GuessJob(opened, "beyond", Guess(favourite=3), 0)]
    done = run_jobs([*planned, *network_jobs(opened)[:1]])
    assert [run.config()["experiment"] for run in done] == ["guess", "fast"]
    assert done[0].record()["why"] == "What does guessing reach?" and done[0].record()["minutes"] == 0.5 / 60
    assert planned[1].run.failure == "there is no such class"
    assert len({GuessJob(opened, "guess", Guess(), seed).run.id for seed in range(3)}) == 3


def test_where_jobs_run_is_an_argument(brief, photo_folder):
    opened, asked = open_brief("folder", "smoke", str(photo_folder)), []

    def elsewhere(work, some, *, at_once):
        asked.append(([title.split("]")[0] for title, _ in some], at_once))
        for one in some:
            work(one)

    done = run_jobs([GuessJob(opened, "guess", Guess(), seed) for seed in range(2)], at_once=2, share=elsewhere)
    assert len(done) == 2 and asked == [(["[1/2", "[2/2"], 2)]


NEW_FAMILY = """
    from dataclasses import dataclass
    from typing import ClassVar

    from lib.models.family import Family


    @dataclass(frozen=True)
    class Average(Family):
        \"\"\"The mean colour of an image, and one layer.\"\"\"

        units: int = 4

        name: ClassVar[str] = "average"
        any_size: ClassVar[bool] = True

        def features(self, x):
            from keras import layers

            x = layers.GlobalAveragePooling2D(name="pool")(x)
            return layers.Dense(self.units, activation="relu", name="Block_4__dense")(x)
"""


def test_a_new_family_is_one_file_that_goes_the_whole_road(brief, photo_folder, tmp_path, monkeypatch):
    (tmp_path / "average_family.py").write_text(textwrap.dedent(NEW_FAMILY))
    monkeypatch.syspath_prepend(tmp_path)
    from average_family import Average

    experiment = FAST.replace(model=Average(units=6), training=FAST.training.replace(sizes=(12,), epochs=2))
    mine = brief.replace(experiments={**brief.experiments, "average": experiment, "best": experiment})
    monkeypatch.setattr(briefs, "load", lambda name: mine)
    opened = open_brief("folder", "smoke", str(photo_folder))
    job = network_job(opened, "average")
    (run,) = run_jobs([job])
    assert run.config()["settings"]["model.name"] == "average" and run.config()["settings"]["model.units"] == 6
    job.predict_test()
    assert len(run.predictions("test")[0]) == len(opened.split.test) and run.load_model().count_params() > 0
    file = Path(sys.modules["average_family"].__file__)
    file.write_text(file.read_text().replace('"relu"', '"tanh"'))
    assert network_job(opened, "average").run != run  # changed code of the family is another run
