"""Jobs on a cluster of Ray: the same plan on several machines, which see the same folders.

Ray gives a job to a process that stays, so that each imports TensorFlow once, and to another one where that process or
its machine is lost: there it goes on from the checkpoint in its run folder. So nothing comes home that is not there:
the project, its data and its reports are in folders that each machine has at the same place.
"""

import contextlib
import functools
import hashlib
import importlib.util
import os
import platform
import re
import signal
import socket
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata

import psutil

from lib.config import paths
from lib.config.files import write_bytes, writing
from lib.training.jobs import Job, share_here
from lib.training.workers import AT_ONCE, WorkerDied, is_refusal

PACKAGES = ("ray", "tensorflow", "keras", "numpy")
SENT = ("COURSEWORK_", "TF_", "XLA_", "OMP_", "TRACK")  # variables of the environment, by how their names start
RAY_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is told to Ray's makers
    "RAY_raylet_start_wait_time_s": "120",  # a busy machine may take long to start it
    "RAY_DEDUP_LOGS": "0",  # each printed line is shown
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # what it will do anyway, or it warns
}
TRIES = 10  # of a job whose process or machine is lost
SECONDS = 10  # to wait for a cluster's answer, and for the end of one


class Refused(Exception):
    """A job cannot be done on a machine of the cluster; the message says why."""


@contextlib.contextmanager
def place() -> Iterator[Callable]:
    """Where jobs run, for `run_jobs`: here, or on the cluster that the environment variable ON names, for the block.

    Raises:
        ValueError: if ON is none of `ray`, for a cluster on this machine that ends with the block, and host:port of one
            that this machine is a part of; or if Ray is not installed.
    """
    on = os.environ.get("ON")
    if not on:
        yield share_here
        return
    if on != "ray" and not re.fullmatch(r"[^\s/]+:\d{1,5}", on):
        raise ValueError(f"ON must be ray or host:port. Received: {on!r}")
    if not importlib.util.find_spec("ray"):
        raise ValueError("ON needs Ray, which `make setup EXTRAS=ray` installs.")
    with contextlib.ExitStack() as entered:
        yield functools.partial(_share, on, entered)


def _share(on: str, entered: contextlib.ExitStack, work: Callable, titled: Sequence[tuple[str, Job]], *, at_once: int):
    """Call `work` with every title and job, on the cluster.

    Raises:
        ValueError: as raised by `work`, or if the cluster cannot be reached or a machine differs.
        WorkerDied: if a job lost its process again and again, or met an unforeseen error. What is finished is kept.
    """
    if not titled:
        return
    for name, value in RAY_SETTINGS.items():
        os.environ.setdefault(name, value)
    import ray

    if not ray.is_initialized():
        entered.enter_context(_cluster(on))
    marker = titled[0][1].run.folder.with_name(".cluster")
    with writing(marker.parent):
        write_bytes(marker, uuid.uuid4().bytes)
    told = {"versions": versions(), "marker": (marker, marker.read_bytes()), "at_once": str(at_once)}
    plan, needs, waiting = ray.put(list(titled)), _needs(on, at_once), {}
    for number, (_, job) in enumerate(titled):
        fresh = {"runtime_env": {"env_vars": {"COURSEWORK_RUN": job.run.id}}} if job.own_process else {}
        options = {"max_retries": TRIES, "name": job.run.id, **needs[job.alone], **fresh}
        waiting[ray.remote(_work).options(**options).remote(told, work, plan, number)] = job.run.id
    while waiting:
        (done,), _ = ray.wait(list(waiting))
        _check(done, waiting.pop(done))


@contextlib.contextmanager
def _cluster(on: str) -> Iterator[None]:
    """A cluster is reached, or started, for the block; processes of one of our own end with it."""
    import ray

    options = {"address": "local", "include_dashboard": False} if on == "ray" else {"address": on}
    if on != "ray":
        host, _, port = on.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=SECONDS).close()
        except (OSError, OverflowError) as error:
            raise ValueError(f"No cluster of Ray can be reached at ON={on}: {error}") from None
    variables = {name: value for name, value in os.environ.items() if name.startswith(SENT)}
    variables |= {"COURSEWORK_HEADLESS": "1", "PYTHONPATH": str(paths.ROOT)}
    variables.setdefault("OMP_NUM_THREADS", str(os.cpu_count()))  # Ray would lower it, and numbers depend on it
    before, ended_by = _children(), signal.getsignal(signal.SIGTERM)
    try:
        ray.init(**options, runtime_env={"env_vars": variables}, logging_level="ERROR")
    except Exception as error:  # of many kinds, also plain ones
        raise ValueError(f"The cluster at ON={on} cannot be used: {' '.join(str(error).split())}") from None
    finally:
        signal.signal(signal.SIGTERM, ended_by)
    try:
        yield
    finally:
        started = [child for child in _children() if child not in before]
        ray.shutdown()
        for process in psutil.wait_procs(started, timeout=SECONDS)[1]:  # some outlive what Ray does to end them
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def _needs(on: str, at_once: int) -> dict[bool, dict]:
    """What Ray must set aside for a job: one that is alone on its machine, and another one."""
    import ray

    there = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if any(node.get("GPU") for node in there):
        return dict.fromkeys((True, False), {"num_gpus": 1})
    cores = [int(node["CPU"]) for node in there if node.get("CPU", 0) >= 1]
    if not cores:
        raise ValueError(f"No machine of the cluster at ON={on} has a core for jobs: see `ray start --num-cpus`")
    return {True: {"num_cpus": max(cores)}, False: {"num_cpus": max(1, min(cores) // at_once)}}


def _work(told: dict, work: Callable, titled: Sequence[tuple[str, Job]], number: int) -> None:
    """Do one job of a plan in a process of the cluster, unless its machine differs from the one that asks."""
    expected, here, (marker, mark) = told["versions"], versions(), told["marker"]
    other = [f"{name} {here[name]} in place of {expected[name]}" for name in expected if here[name] != expected[name]]
    if other:
        raise Refused(f"All machines need the same versions; {platform.node()} has {', '.join(other)}")
    if not marker.exists() or marker.read_bytes() != mark:
        raise Refused(f"All machines need the same folders; {platform.node()} has another one at {marker.parent}")
    os.environ[AT_ONCE] = told["at_once"]
    try:
        work(titled[number])
    except ValueError as error:
        if not is_refusal(error):
            raise
        raise Refused(f"{platform.node()}: {error}") from None


def _check(done, run: str) -> None:
    """Raise what stopped a job."""
    import ray

    try:
        ray.get(done)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, Refused):
            raise ValueError(str(error.cause)) from None
        print(error, file=sys.stderr, flush=True)
        raise WorkerDied(f"{run} ended with the error above. What is finished is kept.") from None
    except ray.exceptions.RayError as error:
        raise WorkerDied(
            f"{run} lost its process again and again ({type(error).__name__}), often for want of memory: AT_ONCE=1 "
            "fits one job at a time on each machine. What is finished is kept; run again to go on."
        ) from None


@functools.cache
def versions() -> dict[str, str | None]:
    """What must be the same on all machines: Python, packages, and the code in `lib`."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    code = hashlib.sha256(b"".join(file.read_bytes() for file in sorted(paths.LIB.rglob("*.py")))).hexdigest()
    return dict.fromkeys(PACKAGES) | found | {"the code in lib": code[:10]}


def _children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)
