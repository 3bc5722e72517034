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
from lib.config.files import FolderError
from lib.training import on_ray
from lib.training.jobs import place, run_jobs
from lib.training.network import NetworkJob
from lib.transfer.jobs import EnsembleJob


@pytest.fixture(scope="module")
def machines(tmp_path_factory):
    """Two machines of one core each, as far as Ray knows; the second one has a cache of its own."""
    os.environ |= on_ray.RAY_SETTINGS  # read where Ray is imported
    pytest.importorskip("ray", reason="Ray is an extra: make setup EXTRAS=ray")
    from ray.cluster_utils import Cluster

    two = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    two.add_node(num_cpus=1, env_vars={"COURSEWORK_CACHE": str(tmp_path_factory.mktemp("second"))})
    yield two
    two.shutdown()


@pytest.fixture(scope="module")
def cluster(machines):
    """These machines, with processes that stay from test to test."""
    with on_ray.Cluster(machines.address) as entered:
        yield entered


def plan(photos):
    """Two small networks, what combines their predictions, and one that takes longer."""
    opened = tiny_training.opened(photos)
    two = [NetworkJob(opened, f"tiny{number}", tiny_training.TINY, number) for number in range(2)]
    both = EnsembleJob(opened, "both", Ensemble(why="Together?", of=("tiny0", "tiny1")), sources=tuple(two))
    return [*two, both, NetworkJob(opened, "long", tiny_training.LONG)]


def kill_in_the_middle(run, killed):
    """Kill the process that fits a run, once its first checkpoint has come home."""
    end = time.monotonic() + 300
    while time.monotonic() < end and not (run.folder / "checkpoint.npz").exists():
        time.sleep(0.05)
    for process in psutil.process_iter(["cmdline"]):
        if f"ray::{run.id}" in " ".join(process.info["cmdline"] or ()):
            process.kill()
            killed.append(process.pid)


def test_a_plan_on_two_machines_ends_as_on_one_although_a_process_is_killed(
    cluster, photos, photo_folder, tmp_path, monkeypatch
):
    monkeypatch.setenv("COURSEWORK_REPORTS", str(tmp_path / "here"))
    here = run_jobs(plan(photos))
    photo_folder.rename(tmp_path / "elsewhere")  # the second machine gets pixels, and opens no file
    monkeypatch.setenv("COURSEWORK_REPORTS", str(tmp_path / "there"))
    jobs, killed = plan(photos), []
    killer = threading.Thread(target=kill_in_the_middle, args=(jobs[-1].run, killed))
    killer.start()
    there = run_jobs(jobs, share=cluster.share)
    killer.join()
    assert len(killed) == 1 and len(there) == 4
    for one, other in zip(here, there, strict=True):
        assert (one.id, other.damage(), other.finished) == (other.id, None, True) and one.folder != other.folder
        assert all(np.array_equal(*pair) for pair in zip(one.predictions(), other.predictions(), strict=True))
        names = [sorted(file.name.split(".")[0] for file in run.folder.rglob("*")) for run in (one, other)]
        assert names[0] == names[1]  # of an earlier start nothing is left
        assert one.environment()["commit"] == other.environment()["commit"]
        if one.id.startswith("both"):
            continue
        own, their = (run.history().drop(columns="seconds") for run in (one, other))
        assert own.equals(their)
        pairs = zip(one.load_model().get_weights(), other.load_model().get_weights(), strict=True)
        assert all(np.array_equal(*pair) for pair in pairs)
    assert len(list(jobs[0].run.folder.parent.glob("events.out.tfevents.*"))) == 1  # the columns of the HParams page
    before = [run.folder.stat().st_mtime_ns for run in there]
    assert run_jobs(plan(photos), share=cluster.share) == there
    assert [run.folder.stat().st_mtime_ns for run in there] == before


def test_machines_with_other_versions_are_refused_by_name(cluster, photos, monkeypatch):
    expected = on_ray.versions() | {"keras": "0.1", "the code in lib": "changed"}
    monkeypatch.setattr(on_ray, "versions", lambda: expected)
    with pytest.raises(
        ValueError, match=r"All machines need the same .* has keras [\d.]+ in place of 0.1, the code in"
    ):
        run_jobs(plan(photos)[:1], share=cluster.share)


def test_a_full_disk_at_home_is_a_sentence(cluster, photos, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSEWORK_REPORTS", str(tmp_path / "small"))
    with small_disk(tmp_path / "small", "40k"), pytest.raises(FolderError, match="No room is left on the disk of"):
        run_jobs(plan(photos)[:1], share=cluster.share)


def test_what_is_no_cluster_is_a_sentence(photos, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)  # also where Ray is missing
    monkeypatch.setenv("ON", "")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
    for on, sentence in (
        (address, f"No cluster of Ray can be reached at ON={address}: .*refused"),
        (f"ray://{address}", f"No cluster of Ray can be reached at ON=ray://{address}: .*refused"),
        ("127.0.0.1:99999", "No cluster of Ray can be reached at ON=127.0.0.1:99999: "),
        ("yes", "ON must be ray, host:port or ray://host:port. Received: 'yes'"),
    ):
        assert spell_out(["report", f"ON={on}"]) == ["report"]
        with pytest.raises(ValueError, match=sentence):
            run_jobs(plan(photos)[:1])


def test_where_ray_is_missing_a_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("ON", "ray")
    with pytest.raises(ValueError, match="ON needs Ray, which `make setup EXTRAS=ray` installs"), place():
        pass
