"""One search by several processes, on this machine and on others: a chief tells them which trial comes next.

The chief is an oracle behind KerasTuner's gRPC service. KerasTuner's own loop around that service never ends while the
trial of a killed worker counts as begun, and its client waits for an hour: both are replaced here. All processes write
into the one folder of the search, and its clock counts once for all of them.

The order in which trials end, and so what is proposed after them, depends on the clock where there are several workers:
the same seed does not give the same trials again. What one trial reaches does not depend on who runs it.
"""

import contextlib
import multiprocessing
import os
import platform
import sys
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from typing import TYPE_CHECKING

from lib.config.files import FolderError
from lib.config.search import SearchSpace
from lib.search.proposals import Proposal, Proposals, as_proposal, end_trial
from lib.search.trials import CUT, LATE, RUNNING, read_trials
from lib.training import workers
from lib.training.device import import_tensorflow
from lib.training.workers import WorkerDied

if TYPE_CHECKING:
    from lib.search.clock import Clock
    from lib.search.search import Result
    from lib.training.fit import Data

ADDRESS = "KERASTUNER_ORACLE_IP"  # KerasTuner's own name: the address at which the chief listens
LOOPBACK = "127.0.0.1"
PATIENCE = 10  # seconds after the end in which workers may end, before they are ended
REPLY_SECONDS = 60  # a proposal may take seconds, and others may ask before


class ChiefGone(ValueError):
    """The chief of a search cannot be reached, or not any more."""


@dataclass(frozen=True)
class Task:
    """What each process of a search must know, as `search` takes it; it can be pickled."""

    space: SearchSpace
    data: "Data"
    seconds: float
    folder: Path
    seed: int = 0

    def clock(self) -> "Clock":
        """The clock of the search, as it stands."""
        from lib.search.clock import Clock

        return Clock(self.folder / "clock.json", self.seconds)


def search_with_workers(task: Task, count: int) -> "Result":
    """`search` by several processes of this machine, and of others that ask this one.

    A worker that is killed stops no other one: another one goes on with its trial. The environment variable
    KERASTUNER_ORACLE_IP names an address of this machine at which others may ask; without it none can.

    Args:
        task: what is searched; the time is that of a clock on the wall and not of each worker.
        count: of workers on this machine.

    Raises:
        ValueError: as `search` does, or if the address is none of this machine.
        WorkerDied: if every worker ended early; run again, it goes on with the time that is left.
    """
    import_tensorflow()
    from lib.search.search import check_seconds, claim, repeat_trials, result_of

    check_seconds(task.seconds)
    claim(task.folder, task.space, task.seed)
    with contextlib.closing(Proposals(task.space, seed=task.seed)) as proposals:
        repeat_trials(proposals, task.folder)
        chief = Chief(proposals, task)
        with _serving(chief) as address:
            _announce(task, address, count)
            stopped_by = _follow(chief, address, count)
    clock = chief.clock or task.clock()
    for trial in read_trials(task.folder):
        if trial.status == RUNNING:
            trial.end(CUT if trial.epochs else LATE, seconds=clock.used, reason="its worker ended before it did")
    return result_of(task.folder, clock, stopped_by)


def help_chief(task: Task, address: str, count: int) -> None:
    """Take trials from the chief of a search that another process, perhaps of another machine, has begun.

    Args:
        task: what is searched; its folder must be the one that the chief writes to.
        address: of the chief, host:port.
        count: of workers on this machine.

    Raises:
        ChiefGone: if nothing answers there.
        ValueError: if the folder is not that of its search.
        WorkerDied: if every worker ended early.
    """
    import_tensorflow()
    from lib.search.search import claim

    Asking(address, task, "").close()
    if not (task.folder / "search.json").exists():
        raise ValueError(
            f"The chief at {address} does not search in {task.folder}: give the same options, code, data and "
            "COURSEWORK_REPORTS on each machine."
        )
    claim(task.folder, task.space, task.seed)
    names = [f"{platform.node()}-{os.getpid()}-{number}" for number in range(1, count + 1)]
    with _workers(task, address, names) as processes:
        for process in processes:
            process.join()
    if all(process.exitcode for process in processes):
        raise WorkerDied("every worker ended early. What they have finished is kept.")


class Chief:
    """Gives out the trials of a search; KerasTuner's service calls it as it would call an oracle."""

    def __init__(self, proposals: Proposals, task: Task):
        self.proposals, self.oracle, self.task = proposals, proposals.oracle, task
        self.clock = None  # begins with the first worker: what comes before is no part of the search
        self.lock = threading.Lock()

    def get_space(self):
        """What a worker asks for at its beginning."""
        with self.lock:
            self.clock = self.clock or self.task.clock()
            return self.oracle.get_space()

    def create_trial(self, worker: str):
        """The next trial of a worker."""
        with self.lock:
            return self.proposals.create(worker)

    def update_trial(self, name: str, metrics, step: int):
        """Take what a trial has reached."""
        with self.lock:
            return self.oracle.update_trial(name, dict(metrics), step=step)

    def end_trial(self, told) -> None:
        """Take note that a trial has ended; its values are known here."""
        with self.lock:
            trial = self.oracle.get_trial(told.trial_id)
            trial.status = told.status
            self.oracle.end_trial(trial)

    def give_back(self, worker: str) -> None:
        """Let others go on with what a worker has begun."""
        with self.lock:
            self.proposals.give_back(worker)

    @property
    def left(self) -> float:
        """Seconds that are left of the search."""
        return self.clock.left if self.clock else self.task.seconds

    def wait(self) -> None:
        """Note the time, for workers that begin later."""
        with self.lock:
            if self.clock:
                self.clock.keep()


@contextlib.contextmanager
def _serving(chief: Chief) -> Iterator[str]:
    """Answer workers during the block, at the address that it gives."""
    from keras_tuner.src import protos
    from keras_tuner.src.distribute.oracle_chief import OracleServicer, grpc  # the gRPC that it was made for

    server = grpc.server(futures.ThreadPoolExecutor(max_workers=1), options=[("grpc.so_reuseport", 0)])
    protos.get_service_grpc().add_OracleServicer_to_server(OracleServicer(chief), server)
    host = os.environ.get(ADDRESS) or LOOPBACK
    try:
        port = server.add_insecure_port(f"{host}:0")
    except RuntimeError:
        raise ValueError(f"{ADDRESS} must be an address of this machine. Received: {host!r}") from None
    server.start()
    try:
        yield f"{host}:{port}"
    finally:
        server.stop(grace=1).wait()


def _announce(task: Task, address: str, count: int) -> None:
    here = address.startswith(LOOPBACK)
    whose = f"this machine alone; {ADDRESS}=its address opens it to others" if here else "all that reach this machine"
    print(f"{task.folder.name}: {count} workers ask the chief at {address}, open to {whose}", flush=True)
    print(f"To add workers: the same command with CHIEF={address}, the same code and report folder", flush=True)


def _follow(chief: Chief, address: str, count: int) -> str:
    """Run workers on this machine until they end, then wait for those of other ones; say what ended the search."""
    names, reasons = [f"worker-{number}" for number in range(1, count + 1)], []
    with _workers(chief.task, address, names) as processes:
        running = {process.answer: process for process in processes}
        while running and chief.left > -PATIENCE:
            for answer in connection.wait(list(running), timeout=1):  # TensorFlow takes seconds to end a process
                process = running.pop(answer)
                try:
                    reasons.append(answer.recv())
                except EOFError:
                    process.join()
                    how = f"by signal {-process.exitcode}" if process.exitcode < 0 else "with the error above"
                    print(f"{process.name} was ended {how}: others go on with its trial", flush=True)
                chief.give_back(process.name)
            chief.wait()
    if not reasons and chief.left > 0:
        raise WorkerDied("every worker ended early. What is finished is kept; run again to go on.")
    while chief.oracle.ongoing_trials and chief.left > -PATIENCE:
        time.sleep(0.5)
        chief.wait()
    return reasons[-1] if reasons else "the time was used up"


class Asking:
    """The trials of one worker, which asks a chief for them; in place of `Proposals`."""

    def __init__(self, address: str, task: Task, worker: str):
        """Reach the chief, whose clock begins then at the latest.

        Raises:
            ChiefGone: if nothing answers at that address.
        """
        from keras_tuner.src import protos
        from keras_tuner.src.distribute.oracle_client import grpc

        host, _, port = address.rpartition(":")
        if not host or not port.isascii() or not port.isdigit():
            raise ChiefGone(f"CHIEF must be host:port, as the chief prints it. Received: {address!r}")
        self.address, self.worker, self.trial, self.failure = address, worker, None, grpc.RpcError
        self.channel = grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)])
        self.stub, self.messages = protos.get_service_grpc().OracleStub(self.channel), protos.get_service()
        self._ask("GetSpace", timeout=PATIENCE)
        self.clock = task.clock()

    def _ask(self, question: str, *, timeout: float = REPLY_SECONDS, **fields):
        request = getattr(self.messages, f"{question}Request")(**fields)
        try:
            return getattr(self.stub, question)(request, timeout=timeout)
        except self.failure as error:
            self.trial = None
            raise ChiefGone(f"No chief of a search answers at {self.address} ({error.code().name.lower()}).") from None

    def next(self) -> Proposal | None:
        """The next trial, or None where there is none or no time is left; other workers may have to end first."""
        from keras_tuner.src.engine.trial import Trial

        while True:
            trial = Trial.from_proto(self._ask("CreateTrial", tuner_id=self.worker).trial)
            if trial.status != "IDLE":
                self.trial = trial if trial.status == "RUNNING" else None
                return as_proposal(trial)
            if self.clock.left <= 0:
                return None
            time.sleep(0.5)

    def tell(self, name: str, score: float | None) -> None:
        """Say what the trial has reached; None where it failed."""
        trial, self.trial = self.trial, None
        end_trial(self, trial, score)

    def update_trial(self, name: str, metrics: dict) -> None:
        """As an oracle has it."""
        self._ask("UpdateTrial", trial_id=name, metrics=metrics)

    def end_trial(self, trial) -> None:
        """As an oracle has it."""
        self._ask("EndTrial", trial=trial.to_proto())

    def close(self) -> None:
        """Give up what was begun, so that the chief does not wait for it."""
        with contextlib.suppress(ChiefGone):
            if self.trial:
                self.tell(self.trial.trial_id, None)
        self.channel.close()


@contextlib.contextmanager
def _workers(task: Task, address: str, names: list[str]) -> Iterator[list]:
    """Processes of this machine that take trials from a chief; `answer` of each holds what ended it."""
    context, processes, senders = multiprocessing.get_context("spawn"), [], []
    for name in names:
        answer, sender = context.Pipe(duplex=False)
        arguments = (task, address, name, len(names), sender)
        processes.append(context.Process(target=_work, args=arguments, name=name, daemon=True))
        processes[-1].answer = answer
        senders.append(sender)
    with workers.started(processes):
        for sender in senders:
            sender.close()  # so that the end of a process is that of its answers
        yield processes


def _work(task: Task, address: str, worker: str, count: int, sender) -> None:
    workers.begin(count)
    import_tensorflow()
    from lib.search.search import Screen, TrialLoop, try_all

    try:
        with contextlib.closing(Asking(address, task, worker)) as asking, Screen(task.folder, asking.clock) as screen:
            loop = TrialLoop(task.space, task.data, task.folder, task.seed, asking.clock, screen, worker)
            stopped_by = try_all(loop, asking)
        sender.send(stopped_by)
    except (ChiefGone, FolderError) as error:
        print(f"{worker}: {error}", file=sys.stderr, flush=True)
        sys.exit(1)
