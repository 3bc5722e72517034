"""Several trainings at once, each in a process of its own.

On a CPU, two small networks side by side take less time than one after the other: their steps are too short to keep
all cores busy. Each process computes with as many threads as it would alone, so that a run's numbers do not depend on
what ran beside it; its seconds do.

The pools of the standard library send the whole data set with every job, and wait for running trainings when they are
interrupted; so the processes here take the number of the next job and end with the first process.
"""

import contextlib
import multiprocessing
import os
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import connection
from pathlib import Path
from typing import TypeVar

from lib.config import paths

AT_ONCE = "COURSEWORK_AT_ONCE"  # the environment variable that tells a process how many work beside each other
Job = TypeVar("Job")


class WorkerDied(ValueError):
    """A process ended before its work was done."""


def default_count() -> int:
    """Two on a CPU, as each takes 1 to 2 GB; one where there is a single core, or a GPU, which one training fills."""
    # The driver's own program says enough. TensorFlow would say more, but takes seconds to import.
    return 1 if shutil.which("nvidia-smi") else min(2, os.cpu_count() or 1)


def share(work: Callable[[Job], None], jobs: Sequence[Job], *, count: int, here: bool = True) -> None:
    """Call `work` with every job: here, or in several processes that take the next one as soon as they are free.

    Args:
        work: function of one job, which leaves its result on disk; both can be pickled.
        jobs: taken in this order.
        count: how many processes.
        here: whether to work in this process where one is enough.

    Raises:
        WorkerDied: if a process was killed or met an unforeseen error. What is finished stays finished.
        ValueError: as raised by `work`; the other processes are ended.
    """
    count = min(count, len(jobs))
    if here and count < 2:
        for job in jobs:
            work(job)
        return
    context = multiprocessing.get_context("spawn")
    taken, refusals = context.Value("i", 0), context.SimpleQueue()
    arguments = (work, jobs, taken, refusals, count)
    processes = [context.Process(target=_work, args=arguments, daemon=True) for _ in range(count)]
    with started(processes):
        running = {process.sentinel: process for process in processes}
        while running:
            for sentinel in connection.wait(list(running)):
                _check(running.pop(sentinel), refusals)


@contextlib.contextmanager
def started(processes: Sequence[multiprocessing.Process]) -> Iterator[None]:
    """Processes, each of which calls `begin` first, run during the block; none outlives it."""
    try:
        with _interrupts_held():
            for process in processes:
                process.start()
        yield
    finally:
        for process in processes:
            if process.is_alive():
                process.kill()
                process.join()


@contextlib.contextmanager
def _interrupts_held():
    """Ctrl-C waits meanwhile, and processes started here never hear it: it is for this one, which ends them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _check(process: multiprocessing.Process, refusals) -> None:
    process.join()
    if not refusals.empty():
        raise ValueError(refusals.get())
    if process.exitcode < 0:
        raise WorkerDied(
            f"a training process was ended by signal {-process.exitcode}, often for want of memory: AT_ONCE=1 trains "
            "one network at a time. What is finished is kept; run again to go on."
        )
    if process.exitcode:
        raise WorkerDied("a training process ended with the error above. What is finished is kept.")


def begin(count: int) -> None:
    """What each of several processes does first: it leaves Ctrl-C to the first one, and ends with that one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where `_interrupts_held` holds none
    os.environ |= {AT_ONCE: str(count), "COURSEWORK_HEADLESS": "1"}  # two progress bars would overwrite each other
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _work(work: Callable, jobs: Sequence, taken, refusals, count: int) -> None:
    begin(count)
    while True:
        with taken.get_lock():
            number, taken.value = taken.value, taken.value + 1
        if number >= len(jobs):
            return
        try:
            work(jobs[number])
        except ValueError as error:
            if not is_refusal(error):
                raise
            refusals.put(str(error))
            sys.exit(1)


def is_refusal(error: ValueError) -> bool:
    """Whether an error comes from a check of this package, which found its input wrong, and is no fault."""
    return paths.LIB in Path(traceback.extract_tb(error.__traceback__)[-1].filename).resolve().parents


def _end_with_parent() -> None:
    """If the first process is killed, this one must not go on writing into run folders."""
    multiprocessing.parent_process().join()
    os._exit(1)
