"""Makes the virtual environment from the lock file, and finds out whether it is still whole."""

import csv
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from lib.environment.interpreter import SetupError, find_python, probe

LOCKS = {False: "requirements.txt", True: "requirements-gpu.txt"}  # key: with the CUDA wheels
STAMP = "complete.json"  # written last: an environment without it is never used
BUSY = "making.lock"

# Settings of the caller that would send packages elsewhere, hide the new environment's own, or skip the bytecode that
# saves each process 15 to 30 s of import.
DISTURBING = (
    *("PIP_NO_COMPILE", "PIP_PREFIX", "PIP_TARGET", "PIP_USER"),
    *("PYTHONDONTWRITEBYTECODE", "PYTHONHOME", "PYTHONPATH", "__PYVENV_LAUNCHER__"),
)


def python_of(folder: Path) -> Path:
    """The interpreter of an environment."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def find_problem(folder: Path, lock: Path) -> str:
    """Why an environment cannot be used as it stands, or "" if it can.

    Every file that its packages brought is looked up by name and size: 42,000 of them in about 0.2 s.

    Args:
        folder: of the environment.
        lock: the requirements file it should hold.
    """
    stamp = _read_stamp(folder)
    if not stamp:
        return "the last one was not finished" if (folder / "pyvenv.cfg").exists() else "there is none yet"
    if stamp["folder"] != str(folder.resolve()):
        return f"it was made as {stamp['folder']} and environments cannot be moved"
    if stamp["lock"] != lock.name:
        return f"it was made from {stamp['lock']} and {lock.name} is asked for"
    if stamp["sha256"] != _sha256(lock):
        return f"{lock.name} has changed since"
    found = probe(str(python_of(folder)))
    if found[:1] != [stamp["python"]]:
        return f"the Python {stamp['python']} it was made with is gone"
    lost = _lost_file(Path(found[1]), stamp["packages"])
    return f"{lost} is missing or was changed" if lost else ""


def ensure(folder: Path, root: Path, gpu: bool = None) -> Path:
    """Makes the environment unless it is there and whole; two callers at once take turns.

    Args:
        folder: of the environment; everything in it is deleted when it has to be made.
        root: project root, which holds the lock files.
        gpu: with the CUDA wheels or without; None keeps what is there.

    Returns:
        Its interpreter.

    Raises:
        SetupError: if it cannot be made.
    """
    if gpu and sys.platform != "linux":
        raise SetupError(f"The CUDA wheels exist for Linux only. Received: GPU=1 on {sys.platform}.")
    if gpu is None:
        gpu = _read_stamp(folder).get("lock") == LOCKS[True]
    lock = root / LOCKS[gpu]
    if not find_problem(folder, lock):
        return python_of(folder)
    _refuse_foreign(folder, root)
    folder.mkdir(parents=True, exist_ok=True)
    with open(str(folder / BUSY), "a") as busy:
        _wait_for_turn(busy, folder)
        reason = find_problem(folder, lock)  # somebody else may have made it meanwhile
        if reason:
            _make(folder, lock, reason, busy.fileno())
    return python_of(folder)


def _make(folder: Path, lock: Path, reason: str, turn: int) -> None:
    """Deletes what is in the folder and makes the environment anew; the stamp comes last."""
    python, uv, start = find_python(), shutil.which("uv"), time.time()
    print(f"Making {folder} with {'uv' if uv else 'pip'}, because {reason}.")
    size = 7 if lock.name == LOCKS[True] else 3
    print(f"It takes some minutes and about {size} GB; {lock.name} names the packages.", flush=True)
    _empty(folder)
    inside = str(python_of(folder))
    _run([python, "-m", "venv", *(["--without-pip"] if uv else []), str(folder)], turn)
    # Wheels only: nothing is compiled on the way, and no package runs code while it is installed.
    options = ["--require-hashes", "--only-binary", ":all:", "-r", str(lock)]
    if uv:  # copies: with links, a file damaged here would be damaged in uv's cache as well
        _run([uv, "pip", "install", "--python", inside, "--compile-bytecode", "--link-mode", "copy", *options], turn)
    else:
        _run([inside, "-m", "pip", "install", "--compile", "--disable-pip-version-check", *options], turn)
    version, site = probe(inside)
    if folder == lock.parent / ".venv":  # any notebook or editor that uses .venv can then import lib
        (Path(site) / "coursework.pth").write_text(f"{lock.parent}\n", encoding="utf-8")
    _write_stamp(folder, lock, version, Path(site))
    problem = find_problem(folder, lock)
    if problem:
        raise SetupError(f"{folder} was made, but {problem}: clear the installer's cache and try again.")
    print(f"The environment is ready ({time.time() - start:.0f} s).", flush=True)


def _empty(folder: Path) -> None:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name != STAMP):  # the stamp goes first
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(str(entry))
        elif entry.name != BUSY:
            entry.unlink()


def _read_stamp(folder: Path) -> dict:
    """What the stamp says; empty if there is none, or not a whole one."""
    try:
        stamp = json.loads((folder / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    whole = isinstance(stamp, dict) and set(stamp) == {"folder", "lock", "sha256", "python", "packages"}
    return stamp if whole else {}


def _write_stamp(folder: Path, lock: Path, version: str, site: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    locked = {_plain(name) for name in re.findall(r"^([A-Za-z0-9][\w.-]*)", text, re.MULTILINE)}
    stamp = {
        "folder": str(folder.resolve()),
        "lock": lock.name,
        "sha256": _sha256(lock),
        "python": version,  # without its third number: a patch of the system's Python leaves an environment whole
        "packages": sorted(path.name for path in site.glob("*.dist-info") if _plain(path.name.split("-")[0]) in locked),
    }
    draft = folder / (STAMP + ".part")
    draft.write_text(json.dumps(stamp, indent=1), encoding="utf-8")
    os.replace(str(draft), str(folder / STAMP))


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _lost_file(site: Path, packages: list) -> str:
    """The first file of the packages' own records that is gone or has another size, or ""."""
    for package in packages:
        record = site / package / "RECORD"
        if not record.exists():
            return package
        with open(str(record), newline="", encoding="utf-8") as rows:
            for name, _, size in csv.reader(rows):
                if name.endswith(".pyc"):  # Python writes these anew as it likes
                    continue
                try:
                    found = os.stat(os.path.join(str(site), name)).st_size
                except OSError:
                    return name
                if size and found != int(size):
                    return name
    return ""


def _refuse_foreign(folder: Path, root: Path) -> None:
    """Only the project's own .venv, an empty folder, or one that was begun here may be deleted."""
    if folder == root / ".venv" or not folder.exists() or (folder / BUSY).exists() or not any(folder.iterdir()):
        return
    raise SetupError(
        f"{folder} was not made by this project and is left alone: choose another folder, or activate that environment "
        "and use VENV=none."
    )


def _wait_for_turn(busy: object, folder: Path) -> None:
    """Holds the folder's lock until this process and the installers it started have closed the file."""
    told = False
    while True:
        try:
            if os.name == "nt":
                import msvcrt

                msvcrt.locking(busy.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(busy, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except (BlockingIOError, PermissionError):
            if not told:
                print(f"Another command is making {folder}: waiting for it.", flush=True)
            told = True
            time.sleep(0.5)
        except OSError:  # a file system without locks
            return


def _run(command: list, turn: int) -> None:
    """Runs one step, which inherits the lock: should it outlive a killed parent, it still keeps others out."""
    settings = {name: value for name, value in os.environ.items() if name not in DISTURBING}
    inherited = {} if os.name == "nt" else {"pass_fds": (turn,)}
    status = subprocess.call(command, env=settings, **inherited)
    if status:
        step = " ".join(command[:4])
        raise SetupError(f"The environment could not be made: `{step} ...` ended with status {status}, see above.")
