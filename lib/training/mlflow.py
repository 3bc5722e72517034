"""MLflow beside TensorBoard: the runs of a brief in one SQLite store, written while they train or after the fact.

`log_run` adds to the store what a run folder holds and the store lacks. A training calls it after each epoch, and
`make mlflow` for each finished run. MLflow is an extra, and nothing else imports it.

In the store a profile is an experiment; runs of the same settings are children of one parent, which has the means of
those that are finished, curves too. MLflow cannot take back what it was told: a mean that changes makes a new parent.
Artifacts are further names (hard links) of the files of a run: they cost no disk, and outlive their first name.
"""

import contextlib
import hashlib
import json
import os
import shutil
import socket
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

from lib.config import paths
from lib.config.files import FolderError, locked, read_json
from lib.training.runs import Run, RunError

CURVE = "curve/"  # begins the names of what is measured after each epoch; final figures keep their own
MACHINE = ("commit", "cpu", "device", "python", "tensorflow", "keras")
LONGEST, MOST = 6000, 1000  # letters of a setting, and values in one call, that MLflow takes
PAGE = "workflowType=machine_learning&compareRunsMode=CHART"  # MLflow would open its pages on language models
# Nothing is sent anywhere, no further processes are started, and a store that is moved still finds its artifacts.
VARIABLES = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
VARIABLES |= {"_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/", "MLFLOW_LOGGING_LEVEL": "WARNING"}


def track(run: Run, history: list[dict] | None = None) -> None:
    """Log a run that is being fitted, where TRACK=mlflow asks for it; what goes wrong is printed and ends no training.

    Args:
        run: parts of a run, such as the trials of a search, have no `config.json` and are left out.
        history: its finished epochs; None once no more will follow.
    """
    if os.environ.get("TRACK") == "mlflow" and (run.folder / "config.json").exists():
        try:
            log_run(run, None if history is None else pd.DataFrame(history))
        except Exception as error:  # whatever MLflow and its database raise
            print(f"{run.id}: not logged now, but by make mlflow later: {_first_line(error)}", flush=True)


def show(brief: str, *, port: int) -> int:
    """Log every finished run of a brief, and serve MLflow's pages until Ctrl-C; returns the server's exit status.

    Raises:
        ValueError: if there is no finished run, the store is damaged, or the port is in use.
    """
    folder, runs = paths.report(brief) / "mlflow", paths.runs(brief)
    runs, places = [Run(file.parent) for file in sorted(runs.glob("*/metrics.json"))], {}
    if not runs:
        raise ValueError(f"{brief} has no finished runs yet: make its report, or train an experiment.")
    with socket.socket() as taken:
        if not taken.connect_ex(("127.0.0.1", port)):
            raise ValueError(f"The port {port} is in use: choose another one, e.g. PORT={port + 1}.")
    for run in runs:
        try:
            places.setdefault(*log_run(run))
        except RunError as error:
            print(f"left out: {error}", flush=True)
        except (OSError, FolderError):
            raise
        except Exception as error:
            raise ValueError(f"{folder} cannot be used, remove it: {_first_line(error)}") from error
    for name, place in places.items():
        print(f"{name}: http://127.0.0.1:{port}/#/experiments/{place}/runs?{PAGE}", flush=True)
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", _address(folder), "--workers", "1"]
    command += ["--artifacts-destination", str(folder / "files"), "--host", "127.0.0.1", "--port", str(port)]
    server = psutil.Popen(command, env=os.environ | VARIABLES | {"PYTHONWARNINGS": "ignore"})
    try:
        return server.wait()
    finally:  # where this process alone is told to end, MLflow would leave a process of its own behind
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in [*server.children(recursive=True), server]:
                process.terminate()


def log_run(run: Run, history: pd.DataFrame | None = None) -> tuple[str, str]:
    """Add to the MLflow store of a report what one of its runs holds and the store lacks; twice is as good as once.

    Args:
        run: which has a `config.json`.
        history: epochs so far of a run that is being fitted; None takes all that its folder holds.

    Returns:
        Name and id of the MLflow experiment that holds it.
    """
    os.environ.update(VARIABLES)
    from mlflow import MlflowClient

    folder, config, fitting = run.folder.parent.parent / "mlflow", run.config(), history is not None
    name = f"{folder.parent.name}, {config.get('profile', 'unknown profile')}"
    if not fitting:
        history = run.history() if (run.folder / "history.csv").exists() else pd.DataFrame({"seconds": []})
    ended = _finished(run) if run.finished and not fitting else None
    with locked(folder / ".lock", title="the MLflow store"):
        client = MlflowClient(_address(folder))
        place = _experiment(client, name)
        child = _find(client, place, run=run.id)
        past = client.get_metric_history(child.info.run_id, f"{CURVE}seconds") if child else []
        seconds = [metric.value for metric in sorted(past, key=lambda metric: metric.step)]
        begun = len(seconds) <= len(history) and np.allclose(seconds, history["seconds"][: len(seconds)], rtol=1e-9)
        if child and not (begun and child.data.tags.get("finished", str(ended)) == str(ended)):
            client.delete_run(child.info.run_id)  # the run was made anew, e.g. as a file of it was damaged
            child, seconds = None, []
        if not child:
            started = round(1000 * ((ended or time.time()) - history["seconds"].sum()))
            child = _begin(client, place, run, started=started)
        _log_curves(client, child, history, known=len(seconds))
        if not ended:
            client.update_run(child.info.run_id, status="RUNNING" if fitting else "KILLED")
        elif "finished" not in child.data.tags:
            _finish(client, child, run, ended=ended)
        if ended:
            _link_files(run, folder / "files" / place / child.info.run_id / "artifacts")
    return name, place


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _finished(run: Run) -> float:
    """When a run ended, in seconds of the clock; early ones do not say it, but their last file does."""
    return run.environment().get("finished") or round((run.folder / "metrics.json").stat().st_mtime)


def _address(folder: Path) -> str:
    return f"sqlite:///{(folder / 'store.db').as_posix()}"


def _experiment(client, name: str) -> str:
    """The MLflow experiment of this name; the empty one that a store begins with is dropped."""
    known = client.get_experiment_by_name(name)
    if known:
        return known.experiment_id
    if client.get_experiment("0").lifecycle_stage == "active":
        client.delete_experiment("0")
    return client.create_experiment(name, tags={"mlflow.experimentKind": "custom_model_development"})


def _find(client, place: str, **tag: str):
    [(name, value)] = tag.items()
    return next(iter(client.search_runs([place], f"tags.{name} = '{value}'", max_results=1)), None)


def _begin(client, place: str, run: Run, *, started: int):
    """A new MLflow run of a run, below the parent of all that have the same settings and data."""
    config = run.config()
    facts = [*_parameters(config).items(), config.get("dataset"), config.get("split")]
    group = f"{config['experiment']}-{hashlib.sha256(json.dumps(facts).encode()).hexdigest()}"
    parent = _find(client, place, parent_of=group) or _create(client, place, config, {"parent_of": group}, started)
    tags = {"run": run.id, "group": group, "mlflow.parentRunId": parent.info.run_id}
    return _create(client, place, config | {"experiment": run.id.rpartition("-")[0]}, tags, started)


def _create(client, place: str, config: dict, tags: dict[str, str], started: int):
    """A new MLflow run with the settings of a run, and its seed if it is not a parent's."""
    from mlflow.entities import Param

    parameters = _parameters(config) | ({"seed": str(config["seed"])} if "run" in tags else {})
    tags = {**tags, "mlflow.note.content": config["settings"].get("why", "")}
    new = client.create_run(place, start_time=started, run_name=config["experiment"], tags=tags)
    client.log_batch(new.info.run_id, params=[Param(name, text) for name, text in parameters.items()])
    return new


def _parameters(config: dict) -> dict[str, str]:
    settings = {name: value for name, value in config["settings"].items() if name.rpartition(".")[2] != "why"}
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in settings.items()}
    return {name: text[:LONGEST] for name, text in texts.items()}


def _log_curves(client, one, history: pd.DataFrame, *, known: int = 0) -> None:
    """Log the epochs that the store lacks, each at the time when it ended."""
    from mlflow.entities import Metric

    times = one.info.start_time + 1000 * history["seconds"].cumsum()
    metrics = [
        Metric(f"{CURVE}{name}", float(value), round(row["time"]), int(row["epoch"]))
        for row in history.assign(time=times).iloc[known:].to_dict("records")
        for name, value in row.items()
        if name not in ("epoch", "time")
    ]
    for first in range(0, len(metrics), MOST):
        client.log_batch(one.info.run_id, metrics=metrics[first : first + MOST])


def _finish(client, child, run: Run, *, ended: float) -> None:
    """Log what a finished run has reached and on what machine, and the means of all runs with its settings."""
    from mlflow.entities import RunTag

    metrics, environment = run.metrics(), run.environment()
    texts = {name: str(environment[name]) for name in MACHINE if name in environment} | {"finished": str(ended)}
    texts |= {name: value for name, value in metrics.items() if isinstance(value, str)}
    client.log_batch(child.info.run_id, tags=[RunTag(name, text[:LONGEST]) for name, text in texts.items()])
    numbers = {name: value for name, value in metrics.items() if isinstance(value, (int, float))}
    numbers |= {name: environment[name] for name in ("wall_seconds", "peak_memory_mb") if name in environment}
    _end(client, child, numbers, ended=round(1000 * ended))
    place, group = child.info.experiment_id, child.data.tags["group"]
    children = client.search_runs([place], f"tags.group = '{group}'", order_by=["attributes.end_time"])
    newest = {one.data.params["seed"]: one for one in children if "finished" in one.data.tags}.values()
    means = pd.DataFrame([one.data.metrics for one in newest]).mean()
    means = {name: value for name, value in means.items() if not name.startswith(CURVE)} | {"seeds": len(newest)}
    former, started = _find(client, place, parent_of=group), min(one.info.start_time for one in newest)
    parent = _create(client, place, run.config(), {"parent_of": group}, started)
    histories = [run.folder.with_name(one.data.tags["run"]) / "history.csv" for one in newest]
    histories = [pd.read_csv(file) for file in histories if file.exists()]
    if histories:
        _log_curves(client, parent, pd.concat(histories).groupby("epoch", as_index=False).mean())
    _end(client, parent, means, ended=max(one.info.end_time for one in newest))
    for one in children:
        client.set_tag(one.info.run_id, "mlflow.parentRunId", parent.info.run_id)
    if former:
        client.delete_run(former.info.run_id)


def _end(client, one, numbers: dict[str, float], *, ended: int) -> None:
    from mlflow.entities import Metric

    client.log_batch(one.info.run_id, metrics=[Metric(name, float(n), ended, 0) for name, n in numbers.items()])
    client.set_terminated(one.info.run_id, "FINISHED", end_time=ended)


def _link_files(run: Run, folder: Path) -> None:
    """Give the files of a run, and the figures of the report that it was drawn in, a second name as artifacts."""
    report = run.folder.parent.parent
    files = {file.name: file for file in run.folder.glob("[!.]*") if not file.name.startswith("events.out.tfevents.")}
    if (report / "manifest.json").exists():
        drawn = [entry["file"] for entry in read_json(report / "manifest.json") if run.id in entry["runs"]]
        files |= {name: report / name for name in drawn if name.startswith("figures/")}
    shutil.rmtree(folder, ignore_errors=True)
    for name, file in files.items():
        if file.is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(file, folder / name)
            except OSError:  # a file system without hard links
                shutil.copyfile(file, folder / name)
