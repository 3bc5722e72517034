"""Jobs on a cluster of Ray: the same plan on several machines, or on this one through Ray.

Ray gives a job to a process that stays, so that each imports TensorFlow once, and to another one where that process or
its machine is lost. What a job writes comes home while it is fitted, so that it goes on from its last checkpoint:
elsewhere, or in the next start. The code in `lib` is sent to each machine; Python and its packages must be there.
"""

import contextlib
import functools
import hashlib
import importlib.util
import json
import os
import platform
import re
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path

import numpy as np
import psutil

from lib.config import paths
from lib.config.files import checksum, replacing, write_bytes, writing
from lib.inputs.cache import CachedImages, cache_file, open_images
from lib.training.device import GIT_STATE, git_state
from lib.training.runs import Run
from lib.training.workers import AT_ONCE, WorkerDied, is_refusal

PACKAGES = ("ray", "tensorflow", "keras", "numpy")
VARIABLES = ("TF_", "XLA_", "OMP_")  # of the environment, by how they start: numbers may depend on them
SENT = ["/[!.]*", "/.?*", "!/lib", "!/lib/**", "__pycache__"]  # of the project `lib` alone, as lines of a .gitignore
# Nothing is told to Ray's makers, a busy machine may take long to start it, and each printed line comes home.
RAY_SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_raylet_start_wait_time_s": "120", "RAY_DEDUP_LOGS": "0"}
RAY_SETTINGS |= {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}  # what it will do anyway, or it warns
SECONDS = 1  # between two looks at what was written, or asked for
CHECKED = 8  # images that are compared where they are read from files

LAST = "/metrics.json"  # says that all files of a run are there

Files = dict[str, bytes]  # contents by path, relative to the folder of all runs


class Refused(Exception):
    """A job cannot be done on a machine of the cluster; the message says why."""


class Cluster:
    """A cluster of Ray, entered when it gets its first job and left with the block; one of our own ends with it."""

    def __init__(self, on: str):
        """Name the cluster.

        Args:
            on: `ray` for one on this machine, which is started; else the address of a running one: host:port where this
                machine is a part of it, ray://host:port where it is not.

        Raises:
            ValueError: if it is none of these, or Ray is not installed.
        """
        if on != "ray" and not re.fullmatch(r"(ray://)?[^\s/]+:\d{1,5}", on):
            raise ValueError(f"ON must be ray, host:port or ray://host:port. Received: {on!r}")
        if not importlib.util.find_spec("ray"):
            raise ValueError("ON needs Ray, which `make setup EXTRAS=ray` installs.")
        self.on, self.ray, self.started = on, None, []

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *_) -> None:
        if self.ray:
            processes = [*self.started, *(child for one in self.started for child in _children(one))]
            self.ray.shutdown()
            for process in psutil.wait_procs(processes, timeout=5)[1]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()

    def share(self, work: Callable, titled: Sequence[tuple], *, at_once: int) -> None:
        """Call `work` with every title and job, and bring each run folder home, whole.

        Args:
            work: function of one title and job, which leaves a run folder.
            titled: begun in this order, but those that need a machine of their own come first.
            at_once: how many beside each other on a machine without a GPU; else one on each GPU.

        Raises:
            ValueError: as raised by `work`, or if the cluster cannot be reached or a machine has other versions.
            WorkerDied: if a job lost its process several times, or met an unforeseen error. What is finished is kept.
        """
        if not (self.ray and self.ray.is_initialized()):
            self._enter()
        ray, needs = self.ray, self._needs(at_once)
        node = ray.get_runtime_context().get_node_id()
        near = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=False)
        home = ray.remote(Home).options(num_cpus=0, scheduling_strategy=near).remote()
        told = {"versions": versions(), "plan": ray.put(list(titled)), "home": home, "cache": str(paths.cache())}
        told["variables"] = {AT_ONCE: str(at_once), GIT_STATE: json.dumps(git_state()), "COURSEWORK_HEADLESS": "1"}
        fit, tasks = ray.remote(_fit), {}
        late = [bool(_sources(job)) or not job.alone for _, job in titled]
        for place in sorted(range(len(titled)), key=late.__getitem__):
            job, given = titled[place][1], []
            for one in (*_sources(job), job):  # a task begins when those are done that it goes on from
                given.append(tasks.get(one.run.id) or ray.put(_read(one.run.folder.parent, f"{one.run.id}/**/*")))
            fresh = {"runtime_env": {"env_vars": {"COURSEWORK_RUN": job.run.id}}} if job.own_process else {}
            options = {"name": job.run.id} | needs[job.alone] | fresh
            tasks[job.run.id] = fit.options(**options).remote(told, place, work, *given)
        self._bring_home({tasks[job.run.id]: job for _, job in titled}, home)

    def _enter(self) -> None:
        """Reach the cluster, or start one."""
        if self.on == "ray":
            options = {"address": "local", "include_dashboard": False}
        else:
            options, (host, _, port) = {"address": self.on}, self.on.removeprefix("ray://").rpartition(":")
            try:
                socket.create_connection((host, int(port)), timeout=10).close()
            except (OSError, OverflowError) as error:
                raise ValueError(f"No cluster of Ray can be reached at ON={self.on}: {error}") from None
        token = {"RAY_AUTH_MODE": "token"} if (Path.home() / ".ray" / "auth_token").exists() else {}
        for name, value in (RAY_SETTINGS | token).items():  # a cluster asks for the token where Ray has made one
            os.environ.setdefault(name, value)
        import ray

        variables = {name: value for name, value in os.environ.items() if name.startswith(VARIABLES)}
        variables.setdefault("OMP_NUM_THREADS", str(os.cpu_count()))  # Ray would lower it, and numbers depend on it
        sent = {"working_dir": str(paths.ROOT), "excludes": SENT, "env_vars": variables}
        before, on_sigterm = _children(psutil.Process()), signal.getsignal(signal.SIGTERM)
        self.ray = ray
        try:
            ray.init(**options, runtime_env=sent, logging_level="ERROR")
        except Exception as error:  # of many kinds, also plain ones
            raise ValueError(f"The cluster at ON={self.on} cannot be used: {' '.join(str(error).split())}") from None
        finally:
            signal.signal(signal.SIGTERM, on_sigterm)  # Ray puts its own there
            self.started = [child for child in _children(psutil.Process()) if child not in before]

    def _needs(self, at_once: int) -> dict[bool, dict]:
        """What Ray sets aside for a job, by whether it is alone on its machine."""
        there = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        if any(node.get("GPU") for node in there):
            return dict.fromkeys((True, False), {"num_gpus": 1})
        cores = [int(node["CPU"]) for node in there if node.get("CPU", 0) >= 1]
        if not cores:
            raise ValueError(f"No machine of the cluster at ON={self.on} has a core for jobs (ray start --num-cpus).")
        return {True: {"num_cpus": max(cores)}, False: {"num_cpus": max(1, min(cores) // at_once)}}

    def _bring_home(self, waiting: dict, home) -> None:
        """Write down what jobs leave, while they are fitted and when they end; send the images that machines lack."""
        jobs, sent = list(waiting.values()), {}
        data = {one.opened.dataset.checksum: one.opened.dataset for job in jobs for one in (job, *_sources(job))}
        while waiting:
            done, _ = self.ray.wait(list(waiting), timeout=SECONDS)
            files, asked = self.ray.get(home.tell.remote([waiting[task].run.id for task in done]))
            # What says that a run is finished comes with all of its files, below.
            kept = {name: content for name, content in files.items() if not name.endswith(LAST)}
            _write(jobs[0].run.folder.parent, kept)
            for name, (dataset, size, resize) in asked.items():
                images = open_images(data[dataset], size=size, resize=resize)
                sent[name] = [self.ray.put(images.pixels)] if isinstance(images, CachedImages) else []
                home.answer.remote(name, sent[name])
            for task in done:
                run = waiting.pop(task).run
                files = self._result(task, run)
                with run.locked(), writing(run.folder):
                    if not run.finished:  # another process may have fitted it meanwhile
                        _write(run.folder.parent, files)
                        _drop_others(run, files)

    def _result(self, task, run: Run) -> Files:
        """What a job has left, or a sentence that says why it is not there."""
        try:
            return self.ray.get(task)
        except self.ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, Refused):
                raise ValueError(str(error.cause)) from None
            print(error, file=sys.stderr, flush=True)
            raise WorkerDied(f"{run.id} ended with the error above. What is finished is kept.") from None
        except self.ray.exceptions.RayError as error:
            raise WorkerDied(
                f"{run.id} lost its process again and again ({type(error).__name__}), often for want of memory: "
                "AT_ONCE=1 fits one job at a time on each machine. What is finished is kept; run again to go on."
            ) from None


class Home:
    """What running jobs have written so far, and which images they lack: an actor, which outlives their processes."""

    def __init__(self):
        self.files, self.news, self.asked, self.answers = {}, {}, {}, {}

    def keep(self, run: str, files: Files) -> None:
        """Take what a run has written."""
        self.files.setdefault(run, {}).update(files)
        self.news |= files

    def kept(self, run: str) -> Files:
        """What a run had written when it lost its process."""
        return self.files.get(run, {})

    def ask(self, name: str, question: tuple) -> list | None:
        """A reference to the pixels of a cache, once they are there; an empty list where they do not fit into one."""
        if name not in self.answers:
            self.asked.setdefault(name, question)
        return self.answers.get(name)

    def answer(self, name: str, pixels: list) -> None:
        """Take what `ask` gives."""
        self.answers[name] = pixels

    def tell(self, ended: list[str]) -> tuple[Files, dict]:
        """What was written and asked for since the last time; what runs have ended need not be kept."""
        told, self.news, self.asked = (self.news, self.asked), {}, {}
        for run in ended:
            self.files.pop(run, None)
        return told


def _fit(told: dict, place: int, work: Callable, *given: Files) -> Files:
    """Do one job in a process of the cluster, from the files of what it goes on from and its own; returns new ones."""
    import ray

    here, machine = versions(), platform.node()
    other = [
        f"{name} {here.get(name)} in place of {one}" for name, one in told["versions"].items() if here.get(name) != one
    ]
    if other:
        raise Refused(f"All machines need the same versions, and {machine} has {', '.join(other)}.")
    home, (_, job) = told["home"], (titled := ray.get(told["plan"])[place])
    os.environ |= told["variables"]
    if "COURSEWORK_CACHE" not in os.environ and Path(told["cache"]).is_dir():
        os.environ["COURSEWORK_CACHE"] = told["cache"]
    with tempfile.TemporaryDirectory() as folder:
        runs, chain = Path(folder).resolve(), (*_sources(job), job)
        for files in (*given, ray.get(home.kept.remote(job.run.id))):
            _write(runs, files)
        for one in chain:
            vars(one)["run"] = Run(runs / one.run.id)  # where `cached_property` keeps it
        try:
            for one in chain:
                if not one.run.finished:
                    _find_images(one, home)
            with _sending(runs, job.run.id, home):
                work(titled)
        except ValueError as error:
            if not is_refusal(error):
                raise
            raise Refused(f"{machine}: {error}") from None
        known = {name for files in given[:-1] for name in files}
        return {name: content for name, content in _read(runs).items() if name not in known}


@functools.cache
def versions() -> dict[str, str]:
    """What must be the same on all machines: Python, packages, and the code in `lib`."""
    installed = reversed(list(metadata.distributions()))  # of several the first is the one that is imported
    found = {package.name: package.version for package in installed if package.name in PACKAGES}
    code = hashlib.sha256(b"".join(file.read_bytes() for file in sorted(paths.LIB.rglob("*.py"))))
    return found | {"python": platform.python_version(), "the code in lib": code.hexdigest()[:10]}


def _find_images(job, home) -> None:
    """Put what a job reads into the cache of this machine, unless it is there: pixels come from the first process."""
    import ray

    dataset = job.opened.dataset
    for size, resize in job.sizes:
        target, pixels = cache_file(dataset, size=size, resize=resize), None
        while not target.exists() and pixels is None:
            pixels = ray.get(home.ask.remote(target.name, (dataset.checksum, size, resize)))
            time.sleep(SECONDS if pixels is None else 0)
        if pixels:
            with replacing(target) as partial:
                np.save(partial, ray.get(pixels[0]))
        elif pixels is not None and dataset.arrays is None:  # they stay in their files
            for image in dataset.index.iloc[:: max(1, len(dataset.index) // CHECKED)].itertuples():
                if checksum(dataset.root / image.path) != image.sha256:
                    raise Refused(
                        f"{dataset.root / image.path} is missing on {platform.node()}, or another one, and there are "
                        "too many images to send: share their folder, or copy it to that place."
                    )


@contextlib.contextmanager
def _sending(runs: Path, run: str, home) -> Iterator[None]:
    """What a run writes in the block is kept elsewhere a moment later: with its process, an epoch is lost."""
    import ray

    pattern, seen, ended = f"{run}/**/*", {}, threading.Event()
    _read(runs, pattern, seen)

    def send():
        while not ended.wait(SECONDS):
            if files := _read(runs, pattern, seen):
                ray.get(home.keep.remote(run, files))

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _read(runs: Path, pattern: str = "**/*", seen: dict | None = None) -> Files:
    """Contents of files; with `seen` of those that have changed since, which is noted there."""
    files, seen = {}, {} if seen is None else seen
    for file in runs.glob(pattern):
        with contextlib.suppress(FileNotFoundError):  # replaced just now
            name, facts = file.relative_to(runs).as_posix(), file.stat()
            stamp = facts.st_mtime_ns, facts.st_size
            if file.is_file() and not file.name.startswith(".") and seen.get(name) != stamp:
                files[name], seen[name] = file.read_bytes(), stamp
    return files


def _write(runs: Path, files: Files) -> None:
    for name in sorted(files, key=lambda name: name.endswith(LAST)):
        write_bytes(runs / name, files[name])


def _drop_others(run: Run, files: Files) -> None:
    """Remove what a run has left no more: its checkpoint, and what TensorBoard read of an earlier start."""
    runs = run.folder.parent
    declared = any("/" not in name for name in files)  # the columns of the HParams page, those of all runs
    for file in (*run.folder.rglob("*"), *(runs.glob("events.out.tfevents.*") if declared else ())):
        if file.is_file() and file.relative_to(runs).as_posix() not in files:
            file.unlink(missing_ok=True)


def _sources(job) -> list:
    """All jobs that a job goes on from, each after those that it goes on from itself."""
    return [one for source in getattr(job, "sources", ()) for one in (*_sources(source), source)]


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []
