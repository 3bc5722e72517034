"""One clock for a search: what it has used of its time, over all of its starts, is kept on disk."""

import contextlib
import math
import threading
import time
from pathlib import Path

from lib.config.files import FolderError, read_json, write_json
from lib.training.observers import Observer


class TimeUp(Exception):
    """No time is left, for the search or for one of its trials; the message says for which."""

    def __init__(self, message: str, *, of_trial: bool = False):
        super().__init__(message)
        self.of_trial = of_trial


class Clock:
    """Counts the seconds of a search from the moment it is made, and goes on where an earlier start of it ended.

    In a `with` block it is kept on disk every second, also while a network is prepared for a quarter of a minute.
    """

    def __init__(self, file: Path, seconds: float):
        """Read what was used before; a damaged file counts as none.

        Args:
            file: JSON.
            seconds: the time that the search has in all.
        """
        self.file, self.seconds = file, seconds
        self.started = time.monotonic()
        self.ended, self.lock = threading.Event(), threading.Lock()
        try:
            before = float(read_json(file)["seconds"])
        except (FileNotFoundError, KeyError, OverflowError, TypeError, ValueError):
            before = 0.0
        self.before = before if 0 <= before < math.inf else 0.0

    def __enter__(self) -> "Clock":
        threading.Thread(target=self._tick, daemon=True).start()
        return self

    def __exit__(self, *error) -> None:
        self.ended.set()

    def _tick(self) -> None:
        while not self.ended.wait(1.0):
            with contextlib.suppress(FolderError, OSError):  # the search meets it, and says so
                self.keep()

    @property
    def used(self) -> float:
        """Seconds that the search has taken, over all starts."""
        return self.before + time.monotonic() - self.started

    @property
    def left(self) -> float:
        """Seconds that are left; below zero where there are none."""
        return self.seconds - self.used

    def keep(self) -> None:
        """Write what is used."""
        with self.lock:
            write_json(self.file, {"seconds": self.used})


class Deadline(Observer):
    """Ends a trial in the middle of an epoch where the time is used up: what its finished epochs gave stands.

    A first epoch that would not be finished in time is ended as soon as that can be told.
    """

    def __init__(self, clock: Clock, trial_end: float = math.inf):
        self.clock, self.trial_end = clock, trial_end  # in seconds of the clock
        self.first_step = math.nan  # when it ended: it takes longer than all others

    def step(self, epoch, done, steps):
        used = self.clock.used
        left, whose = min((self.clock.seconds - used, "the search"), (self.trial_end - used, "the trial"))
        if left <= 0:
            raise TimeUp(f"the time of {whose} is used up", of_trial=whose == "the trial")
        if done == 1:
            self.first_step = used
        elif epoch == 0 and done >= 4:
            rest = (used - self.first_step) / (done - 1) * (steps - done)
            if rest > left:
                reason = f"{left:.0f} seconds are left of {whose}, and its first epoch needs {rest:.0f} more"
                raise TimeUp(reason, of_trial=whose == "the trial")
