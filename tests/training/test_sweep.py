"""lib.training.open_brief and lib.sweep: a brief's plan is carried out, and one failure stops none of the others."""

import pytest

from lib import briefs
from lib.config import Brief, Experiment, Model, Profile, Split, Training
from lib.training import jobs, open_brief

FAST = Experiment(
    why="Does it run?", model=Model("softmax"), training=Training(epochs=1, learning_rate=0.001), image_size=8
)
WILD = FAST.vary("What happens when the loss is no number?", training={"learning_rate": 1e38, "epochs": 4})


@pytest.fixture
def brief(own_folders, monkeypatch) -> Brief:
    """A brief on the photos of `photo_folder`, with an experiment that must fail."""
    profile = Profile(seeds=2, minutes=5)
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
    opened = open_brief.open_brief("folder", "smoke", str(photo_folder))
    assert opened.plan() == [("fast", 0), ("wild", 0), ("best", 0), ("fast", 1), ("wild", 1)]


def test_a_failed_experiment_is_recorded_and_the_sweep_goes_on(brief, photo_folder, capsys):
    opened = open_brief.open_brief("folder", "smoke", str(photo_folder))
    done = jobs.run_experiments(opened)
    assert [run.config()["experiment"] for run in done] == ["fast", "best", "fast"]
    assert "the loss became" in opened.run("wild").failure
    assert capsys.readouterr().out.count("failed: wild-seed") == 2
    written = [(run.folder / "metrics.json").stat().st_mtime_ns for run in done]
    assert jobs.run_experiments(opened) == done
    assert "failed earlier: the loss became" in capsys.readouterr().out
    assert jobs.run_experiments(opened, retry=True) == done
    assert capsys.readouterr().out.count("failed: wild-seed") == 2
    assert [(run.folder / "metrics.json").stat().st_mtime_ns for run in done] == written


def test_side_by_side_gives_the_numbers_of_one_after_the_other(brief, photo_folder, monkeypatch, capfd):
    weights = {}
    for at_once in (1, 2):
        monkeypatch.setenv("COURSEWORK_REPORTS", str(photo_folder.parent / f"reports{at_once}"))
        opened = open_brief.open_brief("folder", "smoke", str(photo_folder))
        done = jobs.run_experiments(opened, at_once=at_once)
        weights[at_once] = {run.id: [weight.tobytes() for weight in run.load_model().get_weights()] for run in done}
        assert opened.run("wild").failure
        assert [run.environment()["at_once"] for run in done] == [at_once, 1, at_once]  # the best one trains alone
        assert capfd.readouterr().out.count("failed: wild-seed") == 2
    assert weights[1] == weights[2] and len(weights[1]) == 3


def test_experiments_beyond_the_minutes_are_left_out_and_said_to_be(brief, photo_folder, capsys):
    opened = open_brief.open_brief("folder", "full", str(photo_folder))
    assert jobs.run_experiments(opened) == []
    assert capsys.readouterr().out.count("minutes of this profile are used up") == len(opened.plan())


def test_one_experiment_can_be_trained_alone(brief, photo_folder):
    folder = jobs.train_one("folder", "best", profile="smoke", data=str(photo_folder))
    assert (folder / "model.keras").exists() and folder.name.startswith("best-seed0-")
    with pytest.raises(ValueError, match="wild-seed0-.* was not finished: the loss became"):
        jobs.train_one("folder", "wild", profile="smoke", data=str(photo_folder))
    with pytest.raises(ValueError, match="Unknown experiment 'bset'. Experiments: fast, wild, best"):
        jobs.train_one("folder", "bset", profile="smoke", data=str(photo_folder))
