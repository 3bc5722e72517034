"""The same images and code, made into a report twice from clean folders, give the same numbers and pixels."""

import hashlib
import os
import subprocess
import sys
from collections import Counter

import pytest

from lib.config import paths
from lib.report.hand_in.compare import NOT_COMPARED, SAME, compare_reports
from lib.report.results import read_manifest

NOTEBOOKS = ("01_explore", "02_experiments", "03_best_model")


@pytest.fixture
def twice(tmp_path, photo_folder):
    """Two reports of one set of photos, made at the same time in two processes that share nothing."""
    started = []
    for place, hash_seed in (("here", "1"), ("over there", "2")):
        settings = os.environ | {
            "COURSEWORK_REPORTS": str(tmp_path / place / "reports"),
            "COURSEWORK_CACHE": str(tmp_path / place / "cache"),
            "COURSEWORK_HEADLESS": "1",
            "PYTHONHASHSEED": hash_seed,  # the order of sets must not matter
        }
        command = [sys.executable, str(paths.ROOT / "tests" / "run_notebooks.py")]
        command += ["folder", "smoke", str(photo_folder), *NOTEBOOKS]
        output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        started.append(subprocess.Popen(command, cwd=paths.NOTEBOOKS, env=settings, **output))
    for process in started:
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0, said[-3000:]
    return [tmp_path / place / "reports" / "folder" for place in ("here", "over there")]


def predictions(report):
    """Checksum of the predictions of every run."""
    files = sorted(report.glob("runs/*/predictions*.npz"))
    return {f"{file.parent.name}/{file.name}": hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.mark.slow
def test_two_reports_from_clean_folders_are_equal_but_for_times(twice):
    lines = compare_reports(*twice, same_machine=True)
    assert [line for line in lines if line.verdict not in (SAME, NOT_COMPARED)] == []
    not_compared = {line.name for line in lines if line.verdict == NOT_COMPARED}
    of_pace = {name for name in not_compared if name.startswith("pace.")}
    assert of_pace and all(name.endswith("_minutes") for name in of_pace)
    figures = {f"figures/{name}.png" for name in ("accuracy_against_cost", "accuracy_over_minutes")}
    assert not_compared - of_pace == {"best.train_minutes", "choice.minutes", *figures}
    kinds = Counter(entry["kind"] for entry in read_manifest(twice[0]))
    assert kinds["figure"] > 10 and kinds["table"] > 5 and len(lines) > 60
    assert predictions(twice[0]) == predictions(twice[1]) != {}
