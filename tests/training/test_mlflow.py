"""lib.training.mlflow: the store says what the run folders say, once, whoever wrote it and however often."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import numpy as np
import pandas as pd
import pytest
from tiny_training import train

from lib.config import paths
from lib.config.files import write_json
from lib.training.mlflow import CURVE, log_run, show, track
from lib.training.runs import Run

mlflow = pytest.importorskip("mlflow", reason="an extra that is not installed: make setup EXTRAS=mlflow")
pytestmark = pytest.mark.filterwarnings("ignore::Warning:(mlflow|sqlalchemy|alembic|pydantic|google|graphene)")

END = 1795738990
COLUMNS = ["loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "image_size", "seconds"]


def begin(experiment: str, seed: int, *, epochs: int = 80) -> tuple[Run, pd.DataFrame]:
    """The folder of a run that has just begun, and the epochs that it will have."""
    rng = np.random.default_rng([seed, epochs, len(experiment)])
    run = Run(paths.runs("demo") / f"{experiment}-seed{seed}-0123456789")
    history = pd.DataFrame(rng.random((epochs, len(COLUMNS))), columns=COLUMNS)
    history.insert(0, "epoch", range(1, epochs + 1))
    settings = {"why": "Does depth help?", "model.depth": 2, "model.why": "?", "training.sizes": [16, 32]}
    identity = {"experiment": experiment, "seed": seed, "profile": "quick", "dataset": "ab", "split": "cd"}
    write_json(run.folder / "config.json", identity | {"settings": settings})
    return run, history


def make_run(experiment: str, seed: int, *, epochs: int = 80, ended: int = END) -> Run:
    """The folder of a finished run, as a training leaves it; without epochs, as a forest does."""
    run, history = begin(experiment, seed, epochs=epochs)
    if epochs:
        history.to_csv(run.folder / "history.csv", index=False)
    environment = {"finished": ended, "wall_seconds": 60.0, "peak_memory_mb": 900.0, "cpu": "fast", "commit": "12ab"}
    write_json(run.folder / "environment.json", environment)
    (run.folder / "model.keras").write_bytes(b"weights")
    run.finish({"val_accuracy": 0.5 + seed / 10, "val_loss": 1.5, "epochs": epochs, "members": ["a"]})
    return run


def stored():
    """What MLflow itself reads from the store: its client, and its runs by our run id, parents by their name."""
    client = mlflow.MlflowClient(f"sqlite:///{paths.report('demo') / 'mlflow' / 'store.db'}")
    [experiment] = client.search_experiments()  # and none that is empty
    assert experiment.name == "demo, quick"
    found = client.search_runs([experiment.experiment_id])
    runs = {one.data.tags.get("run", one.info.run_name): one for one in found}
    assert len(runs) == len(found)
    return client, runs


def curves(client, one) -> pd.DataFrame:
    """The curves of one run as the table that they were logged from, with the time of each row in ms."""
    names = [name for name in one.data.metrics if name.startswith(CURVE)]
    histories = {name: client.get_metric_history(one.info.run_id, name) for name in names}
    table = pd.DataFrame(
        {name.removeprefix(CURVE): {m.step: m.value for m in history} for name, history in histories.items()}
    )
    assert all(len(history) == len(table) for history in histories.values())  # each epoch once
    return table.sort_index().assign(time=[m.timestamp for m in histories[f"{CURVE}loss"]])


def test_thirty_runs_are_logged_in_seconds_and_read_back_as_they_are(own_folders):
    runs = [make_run(f"experiment_{number}", seed) for number in range(10) for seed in range(3)]
    started = time.process_time()
    for run in runs:
        log_run(run)
    assert time.process_time() - started < 20  # of this process alone, whatever else runs here
    client, found = stored()
    assert len(found) == 40
    for run in runs:
        one, history, metrics = found[run.id], run.history(), run.metrics()
        table = curves(client, one)
        pd.testing.assert_frame_equal(table[COLUMNS].reset_index(drop=True), history[COLUMNS], check_exact=True)
        assert list(table.index) == list(history["epoch"])
        assert abs(table["time"].iloc[-1] - 1000 * END) <= 1 and one.info.end_time == 1000 * END
        assert np.allclose(np.diff(table["time"]), 1000 * history["seconds"][1:], atol=1)
        assert all(one.data.metrics[name] == metrics[name] for name in ("val_accuracy", "val_loss", "epochs"))
        assert one.data.params == {"model.depth": "2", "training.sizes": "[16, 32]", "seed": run.id.split("seed")[1][0]}
        assert one.data.tags["cpu"] == "fast" and one.info.status == "FINISHED"
        parent = found[run.id.split("-")[0]]
        assert one.data.tags["mlflow.parentRunId"] == parent.info.run_id and "seed" not in parent.data.params
    parent, three = found["experiment_0"], [run.history() for run in runs[:3]]
    assert parent.data.metrics["val_accuracy"] == pytest.approx(0.6) and parent.data.metrics["seeds"] == 3
    mean = np.mean([history["val_loss"] for history in three], axis=0)
    assert curves(client, parent)["val_loss"].to_numpy() == pytest.approx(mean)


def test_a_run_is_in_the_store_once_as_it_is_now(own_folders):
    run, history = begin("deep", 0, epochs=6)
    for epochs in (2, 3, 3):  # while it trains, and after an interruption
        log_run(run, history[:epochs])
        client, found = stored()
        assert len(curves(client, found[run.id])) == epochs and found[run.id].info.status == "RUNNING"
    (history[:1] + 1).to_csv(run.folder / "history.csv", index=False)
    log_run(run, history[:1] + 1)  # its checkpoint was lost: it begins anew
    log_run(run)  # and is stopped
    client, found = stored()
    assert curves(client, found[run.id])["loss"].tolist() == (history["loss"][:1] + 1).tolist()
    assert found[run.id].info.status == "KILLED" and sorted(found) == ["deep", run.id]

    shutil.rmtree(run.folder)
    make_run("deep", 0, epochs=6)
    forest = make_run("forest", 0, epochs=0)
    write_json(paths.report("demo") / "manifest.json", [{"file": "figures/tree.png", "runs": [forest.id]}])
    (paths.report("demo") / "figures").mkdir()
    (paths.report("demo") / "figures" / "tree.png").write_bytes(b"pixels")
    for _ in range(2):
        for one in (run, forest):
            log_run(one)
    client, found = stored()
    assert sorted(found) == ["deep", run.id, "forest", forest.id]
    assert curves(client, found[run.id])["loss"].tolist() == run.history()["loss"].tolist()
    files = paths.report("demo") / "mlflow" / "files" / "1" / found[forest.id].info.run_id / "artifacts"
    assert (files / "figures" / "tree.png").read_bytes() == b"pixels"
    assert (files / "model.keras").samefile(forest.folder / "model.keras")  # no disk is spent on it

    shutil.rmtree(run.folder)
    make_run("deep", 0, epochs=5, ended=END + 60)  # made again
    log_run(run)
    client, found = stored()
    assert len(curves(client, found[run.id])) == 5 and found[run.id].info.end_time == 1000 * (END + 60)
    assert len(found) == 4


def test_a_training_logs_itself_where_that_is_asked_for(photos, monkeypatch, capsys):
    folder = paths.report("tests") / "mlflow"
    monkeypatch.setenv("TRACK", "")
    track(train(photos))
    assert not folder.exists()
    monkeypatch.setenv("TRACK", "mlflow")
    run = train(photos, seed=1)
    client = mlflow.MlflowClient(f"sqlite:///{folder / 'store.db'}")
    [experiment] = client.search_experiments()
    [one] = client.search_runs([experiment.experiment_id], f"tags.run = '{run.id}'")
    table, history = curves(client, one), run.history()
    for column in COLUMNS:
        assert table[column].tolist() == pytest.approx(history[column].tolist(), rel=1e-12)
    assert one.info.status == "FINISHED" and one.data.metrics["val_accuracy"] == run.metrics()["val_accuracy"]
    assert abs(table["time"].iloc[-1] / 1000 - time.time()) < 600  # seconds
    capsys.readouterr()
    (folder / "store.db").write_bytes(b"no database" * 1000)
    mlflow.tracking._tracking_service.utils._tracking_store_registry._get_store_with_resolved_uri.cache_clear()
    track(run)
    assert capsys.readouterr().out.startswith(f"{run.id}: not logged now, but by make mlflow later: ")
    with pytest.raises(ValueError, match="mlflow cannot be used, remove it: .*not a database$"):
        show("tests", port=1)


def test_the_pages_show_the_runs_and_their_files(own_folders):
    with pytest.raises(ValueError, match="demo has no finished runs yet: make its report, or train"):
        show("demo", port=1)
    run = make_run("deep", 0, epochs=3)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ValueError, match=f"The port {port} is in use: choose another one, e.g. PORT={port + 1}"):
            show("demo", port=port)
    command = [sys.executable, "-m", "lib", "mlflow", "BRIEF=demo", f"PORT={port}"]
    settings = os.environ | {"VENV": "none"}
    with subprocess.Popen(command, cwd=paths.ROOT, env=settings, stdout=subprocess.PIPE, text=True) as process:
        try:
            said = process.stdout.readline()
            assert re.match(rf"demo, quick: http://127.0.0.1:{port}/#/experiments/1/runs\?", said)
            one = stored()[1][run.id]
            for _ in range(240):
                try:
                    address = f"http://127.0.0.1:{port}/get-artifact?path=model.keras&run_uuid={one.info.run_id}"
                    with urllib.request.urlopen(address, timeout=20) as answer:
                        content = answer.read()
                    break
                except OSError:
                    assert process.poll() is None
                    time.sleep(0.5)
            asked = json.dumps({"experiment_ids": ["1"]}).encode()
            kind = {"Content-Type": "application/json"}
            search = urllib.request.Request(f"http://127.0.0.1:{port}/api/2.0/mlflow/runs/search", asked, kind)
            with urllib.request.urlopen(search, timeout=60) as answer:
                names = {shown["info"]["run_name"] for shown in json.load(answer)["runs"]}
        finally:
            process.terminate()
    with socket.socket() as nobody:
        assert nobody.connect_ex(("127.0.0.1", port))  # it ended with its command
    assert content == b"weights" and names == {"deep", "deep-seed0"}
