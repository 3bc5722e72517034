"""The commands that check this repository, or mend its style: each check is a process of its own."""

import os
import shutil
import subprocess
import sys

from lib.environment import ROOT

CHECKS = {
    "style": ["ruff", "check", "."],
    "format": ["ruff", "format", "--check", "."],
    # One file per process at a time, slow ones first (tests/conftest.py); three would want more memory than a laptop.
    "tests": ["pytest", "--numprocesses=2", "--dist=loadfile", "--no-loadscope-reorder", "tests"],
    "notebooks": ["pytest", "--nbval-lax", "--nbval-current-env", "notebooks"],
}


def test() -> int:
    """Check everything: style, format, tests, every notebook."""
    reports = os.environ["COURSEWORK_REPORTS"] = str(ROOT / "build" / "test-reports")  # never into reports/
    shutil.rmtree(reports, ignore_errors=True)  # what an earlier run left must not help this one to pass
    return run_checks(CHECKS)


def lint() -> int:
    """Check style and format."""
    return run_checks({name: CHECKS[name] for name in ("style", "format")})


def format() -> int:
    """Mend style and format."""
    return run_checks({"style": ["ruff", "check", "--fix", "."], "format": ["ruff", "format", "."]})


def run_checks(checks: dict) -> int:
    """Run each, also after one has failed; 0 if none did, else 1."""
    failed = []
    for name, words in checks.items():
        print(f"== {name}: {' '.join(words)}", flush=True)
        if subprocess.call([sys.executable, "-m", *words], cwd=str(ROOT)):
            failed.append(name)
    print(f"== failed: {', '.join(failed)}" if failed else f"== passed: {', '.join(checks)}", flush=True)
    return 1 if failed else 0
