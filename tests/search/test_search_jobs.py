"""lib.search.jobs: a search is a job like any other, and what it has found is trained by another one."""

import numpy as np
import pandas as pd
import pytest
from tiny_searches import SPACE, opened

from lib.config.files import read_json
from lib.search.jobs import search_job, search_jobs
from lib.training.jobs import run_job, run_jobs

TWO = SPACE.replace(choices={"model.units": (4, 8)})


def test_a_search_and_what_it_has_found_are_runs_like_any_other(own_folders, capsys):
    whole = opened(TWO)
    assert [job.name for job in search_jobs(whole)] == ["short", *["found"] * whole.profile.search_seeds]
    runs = run_jobs(search_jobs(whole))
    run, found, *_ = runs
    assert run.failure is found.failure is None and run.damage() is found.damage() is None
    table, metrics = pd.read_csv(run.folder / "trials.csv"), run.metrics()
    assert metrics["trials"] == len(table) == 2 and metrics["tried"] == {"done": 2}
    assert metrics["val_accuracy"] == pytest.approx(table["val_accuracy"].max())
    assert read_json(run.folder / "best.json")["file"] == "model.keras" and not list(run.folder.glob("best-*"))
    rows, labels, probabilities = run.predictions("val")
    assert np.array_equal(rows, whole.split.val) and probabilities.shape == (len(rows), 6)
    assert np.mean(probabilities.argmax(1) == labels) == pytest.approx(metrics["val_accuracy"])
    assert run.record()["experiment"] == "short" and run.environment()["wall_seconds"] < 60
    best = read_json(run.folder / "best.json")["values"]
    assert found.config()["settings"]["model.units"] == best["model.units"]
    assert found.config()["settings"]["search"] == "short" and len(found.history()) == 2
    for one in runs:  # figures and explanations read the images as the run saw them
        assert whole.images_of(one).read(whole.split.val[:3]).shape == (3, 16, 16, 3)
        assert one.load_model()(np.zeros((1, 16, 16, 3), np.float32)).shape == (1, 6)
    for name in ("short", "found"):
        rows, _, _ = search_job(whole, name).predict_test().predictions("test")
        assert np.array_equal(rows, whole.split.test)

    # finished jobs are not run again; one that was killed just before its end is only completed
    finished = (run.folder / "metrics.json").stat().st_mtime_ns
    capsys.readouterr()
    assert run_jobs(search_jobs(whole)) == runs and capsys.readouterr().out == ""
    assert (run.folder / "metrics.json").stat().st_mtime_ns == finished
    (run.folder / "metrics.json").unlink()
    (run.folder / "best-0000-1.keras").write_bytes(b"")
    assert run_job(search_job(whole, "short")).metrics() == metrics and not list(run.folder.glob("best-*"))
    pd.testing.assert_frame_equal(pd.read_csv(run.folder / "trials.csv"), table)


def test_a_search_that_finds_nothing_fails_with_a_sentence(own_folders, capsys):
    small = opened(TWO.replace(max_parameters=1))
    assert run_jobs([search_job(small, "short")]) == []
    assert "failed: short-seed0" in capsys.readouterr().out
    with pytest.raises(ValueError, match="short-seed0-.*, which it goes on from, was not finished: no trial has fin"):
        search_job(small, "found").config()
    with pytest.raises(ValueError, match="Unknown search 'long'. Searches of tests: short, found"):
        search_job(small, "long")
