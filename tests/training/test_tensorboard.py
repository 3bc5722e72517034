"""lib.training.tensorboard: the runs of one profile, also those that begin while it is open."""

import json
import os
import re
import subprocess
import sys
import urllib.request

import pytest
import tensorflow as tf

from lib.config import paths
from lib.training.tensorboard import link_runs, show


def begin(name: str, profile: str | None) -> None:
    """A run folder as a training leaves it, with one curve."""
    folder = paths.runs("demo") / name
    folder.mkdir(parents=True)
    config = {"experiment": name, "seed": 0, "settings": {}} | ({"profile": profile} if profile else {})
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with tf.summary.create_file_writer(str(folder / "validation")).as_default():
        tf.summary.scalar("epoch_loss", 0.5, step=1)


@pytest.fixture
def runs(own_folders):
    begin("of-minutes", "quick")
    begin("of-seconds", "smoke")
    begin("of-old", None)
    (paths.runs("demo") / "not-a-run").mkdir()
    return paths.runs("demo")


def test_the_runs_of_one_profile_are_linked(runs, tmp_path):
    folder = tmp_path / "links"
    (runs / "events.out.tfevents.1").touch()  # the declaration of the settings
    assert link_runs(runs, folder, profile="quick") == 2
    assert {link.name for link in folder.iterdir()} == {"of-minutes", "of-old", "events.out.tfevents.1"}
    (runs / "of-minutes" / "later.txt").touch()
    assert (folder / "of-minutes" / "later.txt").exists()
    begin("of-more-minutes", "quick")
    assert link_runs(runs, folder, profile="quick") == 3 and (folder / "of-more-minutes").exists()
    assert link_runs(runs, tmp_path / "full", profile="full") == 1


def test_a_profile_without_runs_is_told_which_have_some(own_folders):
    begin("of-seconds", "smoke")
    with pytest.raises(ValueError, match="demo has no runs of the profile quick yet: choose PROFILE=smoke."):
        show("demo", "quick", port=0)


def test_tensorboard_shows_them_and_no_others(runs):
    command = [sys.executable, "-m", "lib", "tensorboard", "BRIEF=demo", "PROFILE=smoke", "PORT=0"]
    settings = os.environ | {"VENV": "none"}
    with subprocess.Popen(command, cwd=paths.ROOT, env=settings, stderr=subprocess.PIPE, text=True) as process:
        try:
            said = []
            while "http://" not in (line := process.stderr.readline()):
                said.append(line)
                assert process.poll() is None, "".join(said)
            assert not re.search("cuda|oneDNN|absl", "".join(said))  # TensorFlow, which is not needed here
            address = re.search(r"http://\S+", line)[0]
            for _ in range(100):
                with urllib.request.urlopen(f"{address}data/runs", timeout=20) as answer:
                    shown = json.load(answer)
                if shown:
                    break
        finally:
            process.terminate()
    assert shown == ["of-old/validation", "of-seconds/validation"]
