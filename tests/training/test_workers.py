"""lib.training.workers: jobs side by side, each done once, and no process left behind whatever ends the first one."""

import functools
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from lib.config import paths
from lib.training import runs, workers

PATIENCE = 60  # seconds until a process counts as stuck; starting one takes a second or two


def note(folder: Path, job: str) -> None:
    """Leave a file that says who worked."""
    (folder / job).write_text(f"{os.getpid()} {os.environ.get(workers.AT_ONCE)} {'COURSEWORK_HEADLESS' in os.environ}")


def note_when_others_work(folder: Path, job: str) -> None:
    note(folder, job)
    wait_for(lambda: len(list(folder.iterdir())) >= 2)


def refuse(folder: Path, job: str) -> None:
    note(folder, job)
    if job == "bad":
        runs.Run(folder / "nothing").config()
    time.sleep(PATIENCE)


def fail(folder: Path, job: str) -> None:
    raise KeyError(job)


def stop(folder: Path, job: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def sleep(folder: Path, job: str) -> None:
    note(folder, job)
    time.sleep(PATIENCE)


def wait_for(condition) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def alive(process: str) -> bool:
    try:
        return psutil.Process(int(process)).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def share(work, folder, jobs, *, count=2):
    workers.share(functools.partial(work, folder), jobs, count=count)


def notes(folder) -> dict[str, list[str]]:
    return {file.name: file.read_text().split() for file in folder.iterdir()}


def test_every_job_is_done_once(tmp_path):
    share(note, tmp_path, [f"job{number}" for number in range(7)])
    made = notes(tmp_path)
    assert sorted(made) == [f"job{number}" for number in range(7)]
    processes = {process for process, _, _ in made.values()}
    assert str(os.getpid()) not in processes and len(processes) <= 2
    assert {tuple(rest) for _, *rest in made.values()} == {("2", "True")}


def test_two_work_at_the_same_time(tmp_path):
    share(note_when_others_work, tmp_path, ["first", "second"])
    assert len({process for process, _, _ in notes(tmp_path).values()}) == 2


@pytest.mark.parametrize(("jobs", "count"), [(["a", "b", "c"], 1), (["a"], 2), ([], 2)])
def test_one_at_a_time_needs_no_other_process(tmp_path, jobs, count):
    share(note, tmp_path, jobs, count=count)
    assert {process for process, _, _ in notes(tmp_path).values()} <= {str(os.getpid())}
    assert sorted(notes(tmp_path)) == jobs


def test_one_may_have_a_process_of_its_own(tmp_path):
    workers.share(functools.partial(note, tmp_path), ["a"], count=1, here=False)
    process, at_once, _ = notes(tmp_path)["a"]
    assert process != str(os.getpid()) and at_once == "1"
    workers.share(functools.partial(note, tmp_path), [], count=1, here=False)


def test_a_refusal_reaches_the_caller_and_ends_the_others(tmp_path):
    started = time.monotonic()
    with pytest.raises(ValueError, match=r"Run nothing has no config\.json"):
        share(refuse, tmp_path, ["long", "bad"])
    assert time.monotonic() - started < PATIENCE
    assert not any(alive(process) for process, _, _ in notes(tmp_path).values())


def test_a_fault_shows_where_it_happened(tmp_path, capfd):
    with pytest.raises(workers.WorkerDied, match="error above"):
        share(fail, tmp_path, ["a", "b"])
    assert "KeyError" in capfd.readouterr().err


def test_a_killed_process_is_told(tmp_path):
    with pytest.raises(workers.WorkerDied, match=r"signal 9.*AT_ONCE=1"):
        share(stop, tmp_path, ["a", "b"])


def test_ctrl_c_while_processes_start_waits_until_they_have(tmp_path, monkeypatch):
    kind, started = workers.multiprocessing.get_context("spawn").Process, []

    def start(process, really=kind.start):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        really(process)
        started.append(process)

    monkeypatch.setattr(kind, "start", start)
    with pytest.raises(KeyboardInterrupt):
        share(sleep, tmp_path, ["a", "b"])
    assert len(started) == 2 and not any(process.is_alive() for process in started)
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, set())


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_process_outlives_the_first(tmp_path, ending):
    code = f"""if __name__ == '__main__':
        import pathlib, test_workers
        test_workers.share(test_workers.sleep, pathlib.Path({str(tmp_path)!r}), 'ab')"""
    places = os.pathsep.join([str(paths.ROOT), str(Path(__file__).parent)])
    command = [sys.executable, "-c", code]
    first = subprocess.Popen(
        command, env=os.environ | {"PYTHONPATH": places}, start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: len(notes(tmp_path)) == 2 and all(notes(tmp_path).values()))
    others = [process for process, _, _ in notes(tmp_path).values()]
    if ending == signal.SIGINT:  # as Ctrl-C does, to all of them
        os.killpg(first.pid, ending)
    else:
        first.send_signal(ending)
    _, said = first.communicate(timeout=PATIENCE)
    wait_for(lambda: not any(map(alive, others)))
    assert said.count("Traceback") == (ending == signal.SIGINT)  # the first one's own


@pytest.mark.parametrize(("driver", "cores", "expected"), [(None, 8, 2), (None, 1, 1), ("/usr/bin/nvidia-smi", 8, 1)])
def test_two_on_a_cpu_and_one_on_a_gpu(monkeypatch, driver, cores, expected):
    monkeypatch.setattr(workers.shutil, "which", lambda name: driver)
    monkeypatch.setattr(workers.os, "cpu_count", lambda: cores)
    assert workers.default_count() == expected
