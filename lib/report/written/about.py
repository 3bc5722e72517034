"""The title block of a report: who wrote it, what about, and which state of the code and the runs it shows."""

import datetime
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lib.config import Brief, paths
from lib.training import device

NOT_GIVEN = "Name and student number not given"
SMOKE = "A smoke run: its numbers show that every step works, and nothing about the method."


@dataclass(frozen=True)
class About:
    """What stands above a report."""

    title: str
    brief: str
    question: str
    student: str  # from the environment variables STUDENT and STUDENT_ID
    made: str  # date and commit
    note: str
    timestamp: int  # seconds since 1970, the same for the same state


def about(title: str, brief: Brief, *, profile: str, runs: list[Path]) -> About:
    """The title block of one report.

    The date is that of the commit (or of `SOURCE_DATE_EPOCH`, or without git of the newest run): the same code and
    runs give the same pages, whenever they are made.

    Args:
        title: of the report.
        brief: what it answers.
        profile: size that everything was run at.
        runs: run folders it rests on.
    """
    timestamp, state = _timestamp(runs), device.git_state()
    day = datetime.datetime.fromtimestamp(timestamp, datetime.UTC)
    commit = f"commit {state['commit'][:10]}" if state["commit"] else "no commit known"
    changed = " with uncommitted changes" if state["dirty"] else ""
    return About(
        title=title,
        brief=brief.title,
        question=brief.question,
        student=_student(),
        made=f"{day.day} {day:%B %Y}, {commit}{changed}, brief {brief.name}, profile {profile or 'unknown'}",
        note=SMOKE if profile == "smoke" else "",
        timestamp=timestamp,
    )


def _student() -> str:
    name, number = (os.environ.get(variable, "").strip() for variable in ("STUDENT", "STUDENT_ID"))
    return f"{name} ({number})" if name and number else name or number or NOT_GIVEN


def _timestamp(runs: list[Path]) -> int:
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    if given.isdecimal():
        return int(given)
    command = ["git", "log", "-1", "--format=%ct"]
    try:
        return int(subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True, check=True).stdout)
    except (OSError, subprocess.CalledProcessError, ValueError):
        files = [run / "metrics.json" for run in runs if (run / "metrics.json").exists()]
        return int(max((file.stat().st_mtime for file in files), default=0))
