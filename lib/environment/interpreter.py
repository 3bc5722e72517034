"""The interpreters at hand: which one can make the environment, and what the running one has installed."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

SUPPORTED = ("3.11", "3.12")
TOOLS = ("ipywidgets", "jupyterlab", "nbval", "pytest", "ruff")  # a report can be made without these


class SetupError(ValueError):
    """The environment cannot be made or used; the message says why and what to do."""


def direct_dependencies(root: Path) -> dict:
    """Names and pinned versions of `requirements.in`, in its order."""
    text = (root / "requirements.in").read_text(encoding="utf-8")
    return dict(re.findall(r"^([\w.-]+)==([\w.]+)", text, re.MULTILINE))


def compare_at_hand(root: Path) -> tuple:
    """Compares the running interpreter's packages with the pinned ones; nothing is imported.

    Args:
        root: project root, which holds `requirements.in`.

    Returns:
        (missing, other): names that are not installed; sentences about versions that differ.
    """
    from importlib import metadata  # an old Python 3 lacks it, and never comes this far

    missing, other = [], []
    for name, pinned in direct_dependencies(root).items():
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
            continue
        if installed != pinned:
            other.append(f"{name} {installed} is installed; this project is tested with {pinned}")
    return missing, other


def check_at_hand(root: Path) -> None:
    """Warns about other versions in the running interpreter; installs nothing.

    Raises:
        SetupError: if packages that a report needs are missing.
    """
    if sys.version_info < (3, 11):  # noqa: UP036 - said in time, and not by a syntax error
        raise SetupError("VENV=none needs Python 3.11 or 3.12. Received: {}.{}.{}".format(*sys.version_info[:3]))
    missing, other = compare_at_hand(root)
    for line in other + [f"{name} is not installed" for name in missing if name in TOOLS]:
        print(f"warning: {line}", file=sys.stderr)
    needed = [name for name in missing if name not in TOOLS]
    if needed:
        raise SetupError(
            f"VENV=none uses {sys.executable}, which lacks {', '.join(needed)}. "
            "Install them there (pip install -r requirements.txt), or leave VENV=none out."
        )


def probe(python: str) -> list:
    """Version ("3.11") and package folder of an interpreter; an empty list if it does not run."""
    code = "import sys, sysconfig; print('%d.%d' % sys.version_info[:2], sysconfig.get_path('purelib'))"
    try:
        answer = subprocess.check_output([python, "-I", "-c", code], stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return []
    return answer.decode().strip().split(" ", 1)


def find_python(version: tuple = tuple(sys.version_info[:3])) -> str:
    """The Python to make the environment with: the running one, else python3.11 or python3.12 on PATH.

    Args:
        version: of the running one.

    Raises:
        SetupError: if none is supported.
    """
    if "{}.{}".format(*version) in SUPPORTED:
        return getattr(sys, "_base_executable", "") or sys.executable  # the base, should this be an environment's own
    for supported in SUPPORTED:
        path = shutil.which(f"python{supported}")
        if path and probe(path)[:1] == [supported]:  # it may be a stand-in of a version manager that does not run
            return path
    raise SetupError(
        "Python 3.11 or 3.12 is needed and this is {}.{}.{}: install one of the two, or name where it is, "
        "e.g. make PYTHON=/path/to/python3.12.".format(*version)
    )
