"""The Python environment that everything else runs in, `.venv`: looked at, checked, made.

It runs before anything is installed, on whatever Python is at hand: standard library only, and nothing that an old
Python 3 cannot read (so plain annotations), so that it lives long enough to say what is wrong.
"""

import contextlib
import csv
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # as paths.ROOT; an old Python cannot read lib.config.paths
SUPPORTED = ("3.11", "3.12")
# Packages that no report needs, each with the commands that do.
TOOLS = dict.fromkeys(("axe-playwright-python", "nbval", "pytest", "pytest-xdist"), ("test",))
TOOLS.update({"ruff": ("test", "lint", "format"), "jupyterlab": ("lab",), "ipywidgets": ("lab",), "playwright": ()})
KEPT = {"tensorflow": "2.19", "keras": "3.10", "numpy": "2.0"}  # never replaced with VENV=none; the lowest that work
LOCKS = {False: "requirements.txt", True: "requirements-gpu.txt"}  # key: with the CUDA wheels
# Packages that few need; the lock of each holds what it adds to requirements.txt, and fits those before it.
EXTRAS = {"ray": "requirements-ray.txt", "mlflow": "requirements-mlflow.txt"}
FOLDERS = ("COURSEWORK_DATA", "COURSEWORK_CACHE", "COURSEWORK_REPORTS")  # settings that name folders
STAMP = "complete.json"  # written last: an environment without it is never used
STAMPED = {"folder", "lock", "sha256", "python", "packages"}
BUSY = "making.lock"

# Settings of the caller that would send packages elsewhere, hide the new environment's own, or skip the bytecode that
# saves each process 15 to 30 s of import.
DISTURBING = (
    *("PIP_NO_COMPILE", "PIP_PREFIX", "PIP_TARGET", "PIP_USER"),
    *("PYTHONDONTWRITEBYTECODE", "PYTHONHOME", "PYTHONPATH", "__PYVENV_LAUNCHER__"),
)


class SetupError(ValueError):
    """The environment cannot be made or used; the message says why and what to do."""


def enter(argv: list, extras: list = ()) -> None:
    """Return in a Python that has the libraries, or go on in another process that runs the same command.

    Args:
        argv: words of the command line, without the program's name.
        extras: those that the command needs.
    """
    chosen = os.environ.get("VENV", "")
    if chosen == "none":
        check_at_hand(ROOT, argv[0], extras)
        return
    if sys.version_info < (3, 11):  # noqa: UP036 - an old Python hands over to a newer one
        become([find_python(), "-m", "lib", *argv])
    folder = chosen_folder()
    inside = Path(sys.prefix).resolve() == folder.resolve()
    if not inside and not chosen and None not in differences(ROOT, extras).values():
        return
    lacking = [name for name in extras if EXTRAS[name] not in _read_stamp(folder).get("lock", "")]
    if lacking:
        words = ",".join(lacking) + (chosen and f" VENV={chosen}")
        raise SetupError(f"This needs packages that are not installed: make setup EXTRAS={words}")
    python = ensure(folder, ROOT)
    if not inside:
        for name in ("PYTHONHOME", "PYTHONPATH"):  # clusters set these, and other packages would hide the locked ones
            os.environ.pop(name, None)
        become([str(python), "-m", "lib", *argv])


def become(command: list) -> None:
    """Let another program take this one's place, so that Ctrl-C reaches that one alone; does not return."""
    sys.stdout.flush()
    if os.name != "nt":
        os.execv(command[0], command)
    sys.exit(subprocess.call(command))


def chosen_folder() -> Path:
    """Folder of the environment: `$VENV`, else `.venv`."""
    return ROOT / os.path.expanduser(os.environ.get("VENV") or ".venv")


def python_of(folder: Path) -> Path:
    """The interpreter of an environment."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def direct_dependencies(root: Path, extras: list = ()) -> dict:
    """Names and pinned versions of `requirements.in` and of some extras, in their order."""
    files = ["requirements.in", *(f"requirements-{name}.in" for name in extras)]
    text = "\n".join((root / file).read_text(encoding="utf-8") for file in files)
    return dict(re.findall(r"^([\w.-]+)==([\w.]+)", text, re.MULTILINE))


def differences(root: Path, extras: list = ()) -> dict:
    """Direct dependencies that the running interpreter lacks (None) or has in another version (that one)."""
    from importlib import metadata  # an old Python 3 lacks it, and never comes this far

    found = {}
    for name, pinned in direct_dependencies(root, extras).items():
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            installed = None
        if installed != pinned:
            found[name] = installed
    return found


def check_at_hand(root: Path, command: str = "report", extras: list = ()) -> None:
    """Warn about other versions in the running interpreter; refuse it where a command lacks what it needs."""
    if sys.version_info < (3, 11):  # noqa: UP036 - said in time, and not by a syntax error
        raise SetupError("VENV=none needs Python 3.11 or 3.12. Received: {}.{}.{}".format(*sys.version_info[:3]))
    found, tested = differences(root, extras), direct_dependencies(root, extras)
    lacking = [name for name, here in found.items() if not here and command in TOOLS.get(name, (command,))]
    if lacking:
        raise SetupError(
            f"VENV=none uses this Python, which lacks {len(lacking)} package{'s' * (len(lacking) > 1)}. Leave VENV=none"
            " out, or install what is missing, which leaves TensorFlow, Keras and NumPy as they are if present:\n"
            f"{sys.executable} -m pip install {' '.join(to_install(lacking, found, tested))}"
        )
    old = [f"{name} {found[name]}" for name in KEPT if found.get(name) and numbers(found[name]) < numbers(KEPT[name])]
    if old:
        lowest = ", ".join(f"{name} {version}" for name, version in KEPT.items())
        raise SetupError(f"VENV=none needs at least {lowest}. Received: {', '.join(old)}, of {sys.executable}")
    others = [f"{name} {here} ({tested[name]})" for name, here in found.items() if here]
    if others:
        print(f"warning: not the tested versions (in brackets): {', '.join(others)}", file=sys.stderr)


def to_install(lacking: list, found: dict, tested: dict) -> list:
    """What pip is asked for: what is lacking, and what to keep as it is, for which it then finds versions that fit."""
    kept = [f"{name}=={found.get(name, tested[name])}" for name in KEPT if name in tested and name not in lacking]
    return [*(f"{name}=={tested[name]}" for name in lacking), *kept]


def numbers(version: str) -> tuple:
    """The first two numbers of a version, to compare: (2, 19) of "2.19.1"."""
    return tuple(map(int, re.findall(r"\d+", version)[:2]))


def install_lacking(root: Path) -> None:
    """Install into the running Python what it lacks for a report; TensorFlow, Keras and NumPy stay as they are."""
    found, tested = differences(root), direct_dependencies(root)
    lacking = [name for name, here in found.items() if not here and name not in TOOLS]
    if lacking:
        print(f"Installing {len(lacking)} package{'s' * (len(lacking) > 1)}", flush=True)
        subprocess.check_call([sys.executable, "-m", "pip", "install", "--quiet", *to_install(lacking, found, tested)])


def probe(python: str) -> list:
    """Version ("3.11") and package folder of an interpreter; an empty list if it does not run."""
    code = "import sys, sysconfig; print('%d.%d' % sys.version_info[:2], sysconfig.get_path('purelib'))"
    try:
        answer = subprocess.check_output([python, "-I", "-c", code], stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return []
    return answer.decode().strip().split(" ", 1)


def find_python(version: tuple = tuple(sys.version_info[:3])) -> str:
    """The Python to make the environment with: the running one, of this version, else a supported one on PATH."""
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


def find_problem(folder: Path, *locks: Path) -> str:
    """Why an environment cannot be used as it stands for some lock files, or "" if it can."""
    stamp = _read_stamp(folder)
    if not stamp:
        return "the last one was not finished" if (folder / "pyvenv.cfg").exists() else "there is none yet"
    if stamp["folder"] != str(folder.resolve()):
        return f"it was made as {stamp['folder']} and environments cannot be moved"
    names, checksum = _names_and_checksum(locks)
    if stamp["lock"] != names:
        return f"it was made from {stamp['lock']} and {names} is asked for"
    if stamp["sha256"] != checksum:
        return f"{names} has changed since"
    found = probe(str(python_of(folder)))
    if found[:1] != [stamp["python"]]:
        return f"the Python {stamp['python']} it was made with is gone"
    lost = _lost_file(Path(found[1]), stamp["packages"])
    return f"{lost} is missing or was changed" if lost else ""


def ensure(folder: Path, root: Path, gpu: bool = None, extras: list = ()) -> Path:
    """Make the environment unless it is there and whole, and name its interpreter; two callers at once take turns.

    Args:
        folder: of the environment, emptied when it has to be made; one that this project did not make is refused.
        root: project root, which holds the lock files.
        gpu: with the CUDA wheels or without; None keeps what is there.
        extras: names of those to add; "none" drops those that are there.
    """
    if gpu and sys.platform != "linux":
        raise SetupError(f"The CUDA wheels exist for Linux only. Received: GPU=1 on {sys.platform}.")
    if not find_problem(folder, *_locks(folder, root, gpu, extras)):
        return python_of(folder)
    begun_here = folder == root / ".venv" or (folder / BUSY).exists()
    if not begun_here and folder.exists() and any(folder.iterdir()):
        raise SetupError(
            f"{folder} was not made by this project and is left alone: choose another folder, or activate that "
            "environment and use VENV=none."
        )
    folder.mkdir(parents=True, exist_ok=True)
    with open(str(folder / BUSY), "a") as busy:
        _wait_for_turn(busy, folder)
        locks = _locks(folder, root, gpu, extras)  # somebody else may have made it meanwhile
        reason = find_problem(folder, *locks)
        if reason:
            _make(folder, locks, reason, busy.fileno())
    return python_of(folder)


def _locks(folder: Path, root: Path, gpu: bool, extras: list) -> list:
    """The lock files that an environment is asked to be made from, as `ensure` takes them."""
    there = _read_stamp(folder).get("lock", "")
    added = [lock for name, lock in EXTRAS.items() if name in extras or lock in there and "none" not in extras]
    return [root / name for name in (LOCKS[LOCKS[True] in there if gpu is None else gpu], *added)]


def _names_and_checksum(locks: list) -> tuple:
    return " + ".join(lock.name for lock in locks), hashlib.sha256(b"".join(map(Path.read_bytes, locks))).hexdigest()


def lock_versions(root: Path) -> int:
    """Lock the versions of requirements.in and of the extras anew, with hashes; returns uv's exit status."""
    uv = shutil.which("uv")
    if not uv:
        raise SetupError("make lock needs uv on PATH.")
    words = [uv, "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes"]
    words += ["--no-emit-index-url", "--custom-compile-command", "make lock"]
    for lock in (*LOCKS.values(), *EXTRAS.values()):
        status = subprocess.call([*words, "--output-file", lock, lock[:-3] + "in"], cwd=str(root))
        if status:
            return status
        if lock in EXTRAS.values():
            _drop_common(root / lock, root / LOCKS[False])
        if lock != LOCKS[True]:
            words += ["--constraint", lock]
    return 0


def _drop_common(lock: Path, base: Path) -> None:
    """Keep what one lock file adds to another: packages that the other lacks, or has for some systems only."""
    text, known = lock.read_text(encoding="utf-8"), base.read_text(encoding="utf-8")
    for first, rest in re.findall(r"^([\w.-]+==.+\n)((?: +.+\n)+)", text, re.MULTILINE):
        text = text.replace(first + rest, "" if "\n" + first in known else first + rest)
    lock.write_text(text, encoding="utf-8")


def _make(folder: Path, locks: list, reason: str, turn: int) -> None:
    """Make the environment anew, or add the extras to it that alone it lacks; the stamp comes last."""
    python, uv, start, stamp = find_python(), shutil.which("uv"), time.time(), _read_stamp(folder)
    root, names, checksum = locks[0].parent, *_names_and_checksum(locks)
    grows = not find_problem(folder, *(lock for lock in locks if lock.name in stamp.get("lock", "")))
    print(f"{'Completing' if grows else 'Making'} {folder} with {'uv' if uv else 'pip'}, because {reason}.")
    size = 1 if grows else 7 if locks[0].name == LOCKS[True] else 3
    print(f"It takes some minutes and about {size} GB; {names} names the packages.", flush=True)
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name != STAMP):  # the stamp goes first
        if entry.name == STAMP or not grows and entry.name != BUSY:
            shutil.rmtree(str(entry)) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    inside = str(python_of(folder))
    if not grows:
        _run([python, "-m", "venv", *(["--without-pip"] if uv else []), str(folder)], turn)
    version, site = probe(inside)
    of_venv = {path.name for path in Path(site).glob("*.dist-info")} - set(stamp["packages"] if grows else ())
    # Wheels only: nothing is compiled on the way, and no package runs code while it is installed.
    options = ["--require-hashes", "--only-binary", ":all:", *(f"-r{lock}" for lock in locks)]
    if uv:  # copies: with links, a file damaged here would be damaged in uv's cache as well
        _run([uv, "pip", "install", "--python", inside, "--compile-bytecode", "--link-mode", "copy", *options], turn)
    else:
        _run([inside, "-m", "pip", "install", "--compile", "--disable-pip-version-check", *options], turn)
    if folder == root / ".venv":  # any notebook or editor that uses .venv can then import lib
        Path(site, "coursework.pth").write_text(f"{root}\n", encoding="utf-8")
    stamp = {
        "folder": str(folder.resolve()),
        "lock": names,
        "sha256": checksum,
        "python": version,  # without its third number: a patch of the system's Python leaves an environment whole
        # Not pip: users change it.
        "packages": sorted({path.name for path in Path(site).glob("*.dist-info")} - of_venv),
    }
    (folder / "draft.json").write_text(json.dumps(stamp, indent=1), encoding="utf-8")
    os.replace(str(folder / "draft.json"), str(folder / STAMP))
    problem = find_problem(folder, *locks)
    if problem:
        raise SetupError(f"{folder} was made, but {problem}: clear the installer's cache and try again.")
    print(f"The environment is ready ({time.time() - start:.0f} s).", flush=True)


def _read_stamp(folder: Path) -> dict:
    """What the stamp says; empty if there is none, or not a whole one."""
    try:
        stamp = json.loads((folder / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) and set(stamp) == STAMPED else {}


def _lost_file(site: Path, packages: list) -> str:
    """The first file of the packages' own records that is gone or has another size, or ""; 0.2 s for 42,000 files."""
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


def _wait_for_turn(busy: object, folder: Path) -> None:
    """Hold the folder's lock until this process and the installers it started have closed the file."""
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
    """Run one step, which inherits the lock: should it outlive a killed parent, it still keeps others out."""
    settings = {name: value for name, value in os.environ.items() if name not in DISTURBING}
    inherited = {} if os.name == "nt" else {"pass_fds": (turn,)}
    with ticking("the environment"):
        status = subprocess.call(command, env=settings, **inherited)
    if status:
        step = " ".join(command[:4])
        raise SetupError(f"The environment could not be made: `{step} ...` ended with status {status}, see above.")


@contextlib.contextmanager
def ticking(what: str, seconds: float = 10):
    """Say every ten seconds that the work inside goes on, so that nobody takes silence for the end."""
    start, done = time.time(), threading.Event()

    def tell() -> None:
        while not done.wait(seconds):
            print(f"... {what}: still working ({time.time() - start:.0f} s)", flush=True)

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def absolute(path: str) -> str:
    """A path that means the same in every folder; "" stays."""
    return os.path.abspath(os.path.expanduser(path)) if path else ""


def prepare_variables() -> None:
    """Set what the processes that a command starts shall see: notebooks' kernels, pytest, JupyterLab."""
    for name in FOLDERS:
        if os.environ.get(name):  # relative ones would mean other folders there
            os.environ[name] = os.pathsep.join(absolute(folder) for folder in os.environ[name].split(os.pathsep))
    others = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry not in ("", str(ROOT))]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *others])  # notebooks import lib from this very tree
    os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever else is installed, or asked for elsewhere
    os.environ["PYTHONIOENCODING"] = f"{sys.stdout.encoding}:backslashreplace"  # as `main` sets it here
    os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")  # this environment's kernel, not one of the user's folder
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # warnings stay: they say why a GPU is not used
