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

ROOT = Path(__file__).resolve().parent.parent  # as paths.ROOT; an old Python cannot read lib.config.paths
SUPPORTED = ("3.11", "3.12")
# Packages that no report needs, each with the commands that do.
TOOLS = dict.fromkeys(("axe-playwright-python", "nbval", "pytest", "pytest-xdist"), ("test",))
TOOLS.update({"ruff": ("test", "lint", "format"), "jupyterlab": ("lab",), "ipywidgets": ("lab",), "playwright": ()})
KEPT = {"tensorflow": "2.19", "keras": "3.10", "numpy": "2.0"}  # never replaced with VENV=none; the lowest that work
LOCKS = {False: "requirements.txt", True: "requirements-gpu.txt"}  # key: with the CUDA wheels
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


def enter(argv: list) -> None:
    """Return in a Python that has the libraries, or go on in another process that runs the same command.

    Args:
        argv: words of the command line, without the program's name.
    """
    chosen = os.environ.get("VENV", "")
    if chosen == "none":
        check_at_hand(ROOT, argv[0])
        return
    if sys.version_info < (3, 11):  # noqa: UP036 - an old Python hands over to a newer one
        become([find_python(), "-m", "lib", *argv])
    folder = chosen_folder()
    inside = Path(sys.prefix).resolve() == folder.resolve()
    if not inside and not chosen and None not in differences(ROOT).values():
        return
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


def direct_dependencies(root: Path) -> dict:
    """Names and pinned versions of `requirements.in`, in its order."""
    text = (root / "requirements.in").read_text(encoding="utf-8")
    return dict(re.findall(r"^([\w.-]+)==([\w.]+)", text, re.MULTILINE))


def differences(root: Path) -> dict:
    """Packages of `requirements.in` that the running interpreter lacks (None) or has in another version (that one)."""
    from importlib import metadata  # an old Python 3 lacks it, and never comes this far

    found = {}
    for name, pinned in direct_dependencies(root).items():
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            installed = None
        if installed != pinned:
            found[name] = installed
    return found


def check_at_hand(root: Path, command: str = "report") -> None:
    """Warn about other versions in the running interpreter; refuse it where a command lacks what it needs."""
    if sys.version_info < (3, 11):  # noqa: UP036 - said in time, and not by a syntax error
        raise SetupError("VENV=none needs Python 3.11 or 3.12. Received: {}.{}.{}".format(*sys.version_info[:3]))
    found, tested = differences(root), direct_dependencies(root)
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
    """What pip is asked for: the packages that are lacking, and those to keep.

    What is kept is named as it is: pip then looks for versions that go with it, and does not replace it.
    """
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
        words = ["-m", "pip", "install", "--quiet", *to_install(lacking, found, tested)]
        subprocess.check_call([sys.executable, *words])


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


def find_problem(folder: Path, lock: Path) -> str:
    """Why an environment cannot be used as it stands for a requirements file, or "" if it can.

    Every file that its packages brought is looked up by name and size: 42,000 of them in about 0.2 s.
    """
    stamp = _read_stamp(folder)
    if not stamp:
        return "the last one was not finished" if (folder / "pyvenv.cfg").exists() else "there is none yet"
    if stamp["folder"] != str(folder.resolve()):
        return f"it was made as {stamp['folder']} and environments cannot be moved"
    if stamp["lock"] != lock.name:
        return f"it was made from {stamp['lock']} and {lock.name} is asked for"
    if stamp["sha256"] != hashlib.sha256(lock.read_bytes()).hexdigest():
        return f"{lock.name} has changed since"
    found = probe(str(python_of(folder)))
    if found[:1] != [stamp["python"]]:
        return f"the Python {stamp['python']} it was made with is gone"
    lost = _lost_file(Path(found[1]), stamp["packages"])
    return f"{lost} is missing or was changed" if lost else ""


def ensure(folder: Path, root: Path, gpu: bool = None) -> Path:
    """Make the environment unless it is there and whole, and name its interpreter; two callers at once take turns.

    Args:
        folder: of the environment; everything in it is deleted when it has to be made. One that holds what this project
            did not make is refused.
        root: project root, which holds the lock files.
        gpu: with the CUDA wheels or without; None keeps what is there.
    """
    if gpu and sys.platform != "linux":
        raise SetupError(f"The CUDA wheels exist for Linux only. Received: GPU=1 on {sys.platform}.")
    if gpu is None:
        gpu = _read_stamp(folder).get("lock") == LOCKS[True]
    lock = root / LOCKS[gpu]
    if not find_problem(folder, lock):
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
        reason = find_problem(folder, lock)  # somebody else may have made it meanwhile
        if reason:
            _make(folder, lock, reason, busy.fileno())
    return python_of(folder)


def lock_versions(root: Path) -> int:
    """Lock the versions of requirements.in anew, with hashes; returns uv's exit status."""
    uv = shutil.which("uv")
    if not uv:
        raise SetupError("make lock needs uv on PATH.")
    words = [uv, "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes"]
    words += ["--no-emit-index-url", "--custom-compile-command", "make lock"]
    status = subprocess.call([*words, "--output-file", "requirements.txt", "requirements.in"], cwd=str(root))
    words += ["--constraint", "requirements.txt", "--output-file", "requirements-gpu.txt", "requirements-gpu.in"]
    return status or subprocess.call(words, cwd=str(root))


def _make(folder: Path, lock: Path, reason: str, turn: int) -> None:
    """Delete what is in the folder and make the environment anew; the stamp comes last."""
    python, uv, start = find_python(), shutil.which("uv"), time.time()
    print(f"Making {folder} with {'uv' if uv else 'pip'}, because {reason}.")
    size = 7 if lock.name == LOCKS[True] else 3
    print(f"It takes some minutes and about {size} GB; {lock.name} names the packages.", flush=True)
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name != STAMP):  # the stamp goes first
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(str(entry))
        elif entry.name != BUSY:
            entry.unlink()
    inside = str(python_of(folder))
    _run([python, "-m", "venv", *(["--without-pip"] if uv else []), str(folder)], turn)
    version, site = probe(inside)
    of_venv = set(Path(site).glob("*.dist-info"))  # pip, which its user may change
    # Wheels only: nothing is compiled on the way, and no package runs code while it is installed.
    options = ["--require-hashes", "--only-binary", ":all:", "-r", str(lock)]
    if uv:  # copies: with links, a file damaged here would be damaged in uv's cache as well
        _run([uv, "pip", "install", "--python", inside, "--compile-bytecode", "--link-mode", "copy", *options], turn)
    else:
        _run([inside, "-m", "pip", "install", "--compile", "--disable-pip-version-check", *options], turn)
    if folder == lock.parent / ".venv":  # any notebook or editor that uses .venv can then import lib
        Path(site, "coursework.pth").write_text(f"{lock.parent}\n", encoding="utf-8")
    stamp = {
        "folder": str(folder.resolve()),
        "lock": lock.name,
        "sha256": hashlib.sha256(lock.read_bytes()).hexdigest(),
        "python": version,  # without its third number: a patch of the system's Python leaves an environment whole
        "packages": sorted(path.name for path in set(Path(site).glob("*.dist-info")) - of_venv),
    }
    draft = folder / (STAMP + ".part")
    draft.write_text(json.dumps(stamp, indent=1), encoding="utf-8")
    os.replace(str(draft), str(folder / STAMP))
    problem = find_problem(folder, lock)
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
