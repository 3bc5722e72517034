"""lib.training.on_ray: a plan on two machines, one of which loses a process, ends as it does on one."""

import importlib.util
import os
import socket
import threading
import time

import numpy as np
import psutil
import pytest
import tiny_training
from small_disk import small_disk

from lib.__main__ import spell_out
from lib.config import Ensemble
from lib.training import on_ray
from lib.training.jobs import run_jobs
from lib.training.network import NetworkJob
from lib.transfer.jobs import EnsembleJob


@pytest.fixture(scope="module")
def machines():
    """Two machines of one core each, as far as Ray knows."""
    os.environ |= on_ray.RAY_SETTINGS  # read where Ray is imported
    pytest.importorskip("ray", reason="Ray is an extra: make setup EXTRAS=ray")
    from ray.cluster_utils import Cluster

    two = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    two.add_node(num_cpus=1)
    yield two
    two.shutdown()


@pytest.fixture
def share(machines, monkeypatch):
    """Jobs run on these machines."""
    monkeypatch.setenv("ON", machines.address)
    with on_ray.place() as share:
        yield share


def plan(photos):
    """Two small networks, what combines their predictions, and one that takes longer."""
    opened = tiny_training.opened(photos)
    two = [NetworkJob(opened, f"tiny{number}", tiny_training.TINY, number) for number in range(2)]
    both = EnsembleJob(opened, "both", Ensemble(why="Together?", of=("tiny0", "tiny1")), sources=tuple(two))
    return [*two, both, NetworkJob(opened, "long", tiny_training.LONG)]


def kill_in_the_middle(run, killed):
    """Kill the process that fits a run, once its first checkpoint is there."""
    end = time.monotonic() + 300
    while time.monotonic() < end and not (run.folder / "checkpoint.npz").exists():
        time.sleep(0.05)
    for process in psutil.process_iter(["cmdline"]):
        if f"ray::{run.id}" in " ".join(process.info["cmdline"] or ()):
            process.kill()
            killed.append(process.pid)


def test_a_plan_on_two_machines_ends_as_on_one_although_a_process_is_killed(machines, photos, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSEWORK_REPORTS", str(tmp_path / "here"))
    here = run_jobs(plan(photos))
    monkeypatch.setenv("COURSEWORK_REPORTS", str(tmp_path / "there"))
    monkeypatch.setenv("ON", machines.address)
    jobs, killed = plan(photos), []
    killer = threading.Thread(target=kill_in_the_middle, args=(jobs[-1].run, killed))
    killer.start()
    with on_ray.place() as share:
        there = run_jobs(jobs, share=share)
        killer.join()
        assert len(killed) == 1 and len(there) == 4
        before = [run.folder.stat().st_mtime_ns for run in there]
        assert run_jobs(plan(photos), share=share) == there
        assert [run.folder.stat().st_mtime_ns for run in there] == before
    for one, other in zip(here, there, strict=True):
        assert (one.id, other.damage(), other.finished) == (other.id, None, True) and one.folder != other.folder
        assert all(np.array_equal(*pair) for pair in zip(one.predictions(), other.predictions(), strict=True))
        assert one.environment()["commit"] == other.environment()["commit"]
        if one.id.startswith("both"):
            continue
        own, their = (run.history().drop(columns="seconds") for run in (one, other))
        assert own.equals(their)
        pairs = zip(one.load_model().get_weights(), other.load_model().get_weights(), strict=True)
        assert all(np.array_equal(*pair) for pair in pairs)


def test_machines_that_differ_are_refused_by_name(share, photos, tmp_path, monkeypatch):
    expected = on_ray.versions() | {"keras": "0.1", "the code in lib": "changed"}
    with monkeypatch.context() as changed:
        changed.setattr(on_ray, "versions", lambda: expected)
        sentence = r"All machines need the same versions; .* has keras [\d.]+ in place of 0.1, the code in"
        with pytest.raises(ValueError, match=sentence):
            run_jobs(plan(photos)[:1], share=share)
    elsewhere = on_ray.write_bytes
    monkeypatch.setattr(on_ray, "write_bytes", lambda file, content: elsewhere(file.with_name(".other"), content))
    monkeypatch.setattr(type(tmp_path), "read_bytes", lambda file: b"of this machine")  # as if it had its own folder
    with pytest.raises(ValueError, match=f"All machines need the same folders; .* has another one at {tmp_path}"):
        run_jobs(plan(photos)[:1], share=share)


def test_a_full_disk_is_a_sentence(machines, photos, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSEWORK_REPORTS", str(tmp_path / "small"))
    monkeypatch.setenv("ON", machines.address)
    with (
        small_disk(tmp_path / "small", "40k"),
        on_ray.place() as share,
        pytest.raises(ValueError, match="No room is left on the disk of"),
    ):
        run_jobs(plan(photos)[:1], share=share)


def test_what_is_no_cluster_is_a_sentence(photos, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)  # also where Ray is missing
    monkeypatch.setenv("ON", "")  # `spell_out` sets it
    assert spell_out(["report", "ON=yes"]) == ["report"] and os.environ["ON"] == "yes"
    with pytest.raises(ValueError, match="ON must be ray or host:port. Received: 'yes'"), on_ray.place():
        pass
    pytest.importorskip("ray", reason="Ray is an extra: make setup EXTRAS=ray")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
    for on, sentence in (
        (address, f"No cluster of Ray can be reached at ON={address}: .*refused"),
        ("127.0.0.1:99999", "No cluster of Ray can be reached at ON=127.0.0.1:99999: "),
    ):
        monkeypatch.setenv("ON", on)
        with pytest.raises(ValueError, match=sentence), on_ray.place() as share:
            run_jobs(plan(photos)[:1], share=share)


def test_where_ray_is_missing_a_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("ON", "ray")
    with pytest.raises(ValueError, match="ON needs Ray, which `make setup EXTRAS=ray` installs"), on_ray.place():
        pass
