"""The house keeps its shape: imports point downwards, rooms stay small and well named, git holds what it should."""

import ast
import graphlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lib.config import paths

# From the ground up: a room imports from the rooms before it, never from one after it.
ROOMS = ["config", "datasets", "inputs", "models", "briefs", "training", "low_level", "search", "evaluation", "explain"]
ROOMS += ["figures", "report", "bench", "environment", "commands", "__main__"]
FLOOR = {room: number for number, room in enumerate(ROOMS)}
SUBJECTLESS = {"common", "engine", "handler", "helper", "helpers", "manager", "misc", "processor", "util", "utils"}
BARE = ("__init__", "__main__", "commands", "environment/")  # what runs on a Python that has nothing installed
MODULE_LINES, FUNCTION_LINES, ARGUMENTS, FILE_BYTES = 250, 40, 6, 2**20

MODULES = sorted(paths.LIB.rglob("*.py"))
NAMES = [module.relative_to(paths.LIB).as_posix() for module in MODULES]
each_module = pytest.mark.parametrize("module", MODULES, ids=NAMES)


def room_of(module: Path) -> str:
    return module.relative_to(paths.LIB).parts[0].removesuffix(".py")


def imported(tree: ast.Module) -> set[str]:
    """Dotted names of everything that a module imports, at its top or inside a function."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names}
    return names


def rooms_used(module: Path) -> set[str]:
    names = imported(ast.parse(module.read_text(encoding="utf-8")))
    return {name.split(".")[1] for name in names if name.startswith("lib.")} - {room_of(module)}


def words(name: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


def listed_by_git(*patterns: str) -> list[Path]:
    """Files that git tracks, or would with `git add .`."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *patterns]
    try:
        answer = subprocess.run(command, cwd=paths.ROOT, capture_output=True, check=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git repository, e.g. a downloaded archive")
    files = [paths.ROOT / name for name in sorted(set(answer.stdout.split("\0"))) if name]
    return [file for file in files if file.is_file()]


@each_module
def test_imports_point_downwards(module):
    room = room_of(module)
    if room == "__init__":
        assert not rooms_used(module)
        return
    assert room in FLOOR, f"lib/{room} needs a floor: add it to ROOMS in this test"
    upward = {used for used in rooms_used(module) if FLOOR.get(used, 0) > FLOOR[room]}
    assert not upward, f"{room} (floor {FLOOR[room]}) reads from a floor above: {sorted(upward)}"


def test_rooms_do_not_import_each_other_in_a_circle():
    uses = {}
    for module in MODULES:
        uses.setdefault(room_of(module), set()).update(rooms_used(module))
    graphlib.TopologicalSorter(uses).prepare()  # raises CycleError and names the circle


def test_an_upward_import_is_seen():
    tree = ast.parse("from lib import report\nimport lib.figures.bars\ndef f():\n    from lib.training import train")
    assert imported(tree) == {"lib.report", "lib.figures.bars", "lib.training.train"}


@each_module
def test_imports_are_absolute(module):
    relative = {name for name in imported(ast.parse(module.read_text(encoding="utf-8"))) if name.startswith(".")}
    assert not relative


@each_module
def test_names_have_a_subject(module):
    tree = ast.parse(module.read_text(encoding="utf-8"))
    classes = [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    named = [*module.relative_to(paths.LIB).with_suffix("").parts, *classes]
    assert not [name for name in named if words(name) & SUBJECTLESS]


@pytest.mark.parametrize("name", ["DataManager", "train_utils", "helpers", "HTTPHandler"])
def test_words_finds_the_parts_of_a_name(name):
    assert words(name) & SUBJECTLESS


@each_module
def test_modules_and_functions_stay_small(module):
    text = module.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MODULE_LINES, "make it a package of the same name"
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.FunctionDef):
            continue
        first = node.body[1] if ast.get_docstring(node) is not None and len(node.body) > 1 else node.body[0]
        lines = node.end_lineno - first.lineno + 1
        assert lines <= FUNCTION_LINES, f"{node.name} has {lines} lines below its docstring"
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        arguments = [argument.arg for argument in arguments if argument.arg not in ("self", "cls")]
        assert len(arguments) <= ARGUMENTS, f"{node.name} has {len(arguments)} arguments"


@each_module
def test_no_assert_in_lib(module):
    tree = ast.parse(module.read_text(encoding="utf-8"))
    assert not [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Assert)]


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith(BARE)])
def test_what_starts_first_can_be_read_by_an_old_python(name):
    source = (paths.LIB / name).read_text(encoding="utf-8")
    tree = ast.parse(source, feature_version=(3, 6))
    assert not re.search(r"^from __future__", source, re.MULTILINE)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            arguments = [*node.args.args, *node.args.kwonlyargs]
            notes = [node.returns, *(argument.annotation for argument in arguments)]
            assert not any(isinstance(note, (ast.BinOp, ast.Subscript)) for note in notes), node.name


def test_git_does_not_hide_lib():
    files = [str(module) for module in MODULES]
    answer = subprocess.run(["git", "check-ignore", *files], cwd=paths.ROOT, capture_output=True, text=True)
    if answer.returncode == 128:
        pytest.skip("not a git repository, e.g. a downloaded archive")
    assert answer.stdout == ""


def test_no_file_is_large():
    large = {str(file): file.stat().st_size for file in listed_by_git() if file.stat().st_size > FILE_BYTES}
    assert not large


def test_no_file_names_this_machine_or_a_package_registry():
    # Written in pieces, so that this file does not hold them itself.
    forbidden = ["/wo" + "rk/", "/tmp" + "/", "/ro" + "ot/", "/Us" + "ers/", f"{paths.ROOT}/"]
    forbidden += ["py" + "pi.org", "python" + "hosted", "registry" + ".npm", "deb" + ".debian", "conda" + ".anaconda"]
    found = {}
    for file in listed_by_git():
        text = file.read_bytes()
        if b"\0" in text[:8192]:
            continue
        held = [word for word in forbidden if word.encode() in text]
        if held:
            found[str(file.relative_to(paths.ROOT))] = held
    assert not found


def test_every_library_that_is_imported_is_a_direct_dependency():
    packages = {
        "PIL": "pillow",
        "cv2": "opencv-python-headless",
        "sklearn": "scikit-learn",
        "IPython": "ipython",
        "pypandoc": "pypandoc-binary",
    }
    text = (paths.ROOT / "requirements.in").read_text(encoding="utf-8")
    stated = set(re.findall(r"^([\w.-]+)==", text, re.MULTILINE))
    tests = sorted((paths.ROOT / "tests").glob("*.py"))
    own = {"", "lib"} | {test.stem for test in tests} | sys.stdlib_module_names
    unstated = {}
    for module in [*MODULES, *tests]:
        tops = {name.split(".")[0] for name in imported(ast.parse(module.read_text(encoding="utf-8")))} - own
        for name in {packages.get(top, top.replace("_", "-")) for top in tops} - stated:
            unstated.setdefault(name, []).append(module.name)
    assert not unstated, "add them to requirements.in and environment.yml, then: make lock"
