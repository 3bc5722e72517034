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
ROOMS = ["config", "datasets", "inputs", "models", "briefs", "training", "low_level", "evaluation"]
ROOMS += ["transfer", "search", "explain", "figures", "report", "bench", "environment", "__main__"]
FLOOR = {room: number for number, room in enumerate(ROOMS)}
SUBJECTLESS = {"common", "engine", "handler", "helper", "helpers", "manager", "misc", "processor", "util", "utils"}
BARE = (
    "__init__.py",
    "__main__.py",
    "environment/__init__.py",
    "environment/checks.py",
)  # what runs on a Python that has nothing installed
ENTRIES, MODULE_LINES, FUNCTION_LINES, ARGUMENTS, FILE_BYTES = 17, 400, 60, 6, 2**20

MODULES = sorted(paths.LIB.rglob("*.py"))
TREES = {module: ast.parse(module.read_text(encoding="utf-8")) for module in MODULES}


def name_of(module: Path) -> str:
    """A module as it is imported: lib.report.pages for both `pages.py` and `pages/__init__.py`."""
    return ".".join(module.relative_to(paths.ROOT).with_suffix("").parts).removesuffix(".__init__")


def room_of(module: Path) -> str:
    return module.relative_to(paths.LIB).parts[0].removesuffix(".py")


def imported(nodes) -> set[str]:
    """Dotted names of everything that these nodes of a syntax tree import."""
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names}
    return names


def rooms_used(module: Path) -> set[str]:
    names = imported(ast.walk(TREES[module]))
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


def test_the_top_of_lib_is_a_short_list_of_known_rooms():
    entries = {path.name for path in paths.LIB.iterdir() if path.name != "__pycache__"}
    assert len(entries) <= ENTRIES
    assert {name.removesuffix(".py") for name in entries} <= {*ROOMS, "__init__"}, "a room needs a floor: see ROOMS"


def test_every_room_says_what_it_owns():
    silent = []
    for folder in {module.parent for module in MODULES}:
        file = folder / "__init__.py"
        text = ast.get_docstring(TREES[file]) if file in TREES else None
        if not text or len(text) < 30 or "TODO" in text:
            silent.append(str(folder.relative_to(paths.ROOT)))
    assert not silent


def test_tests_have_the_folders_of_lib():
    folders = {path.parent.name for path in (paths.ROOT / "tests").glob("*/*.py")}
    assert folders <= {module.parent.name for module in paths.LIB.glob("*/__init__.py")}


def test_imports_point_downwards():
    upward = {}
    for module in MODULES:
        room = room_of(module)
        floor = FLOOR.get(room, -1)  # lib/__init__.py imports nothing
        above = sorted(used for used in rooms_used(module) if FLOOR[used] > floor)
        if above:
            upward[name_of(module)] = above
    assert not upward


def test_rooms_do_not_import_each_other_in_a_circle():
    uses = {}
    for module in MODULES:
        uses.setdefault(room_of(module), set()).update(rooms_used(module))
    graphlib.TopologicalSorter(uses).prepare()  # raises CycleError and names the circle


def test_modules_do_not_import_each_other_in_a_circle():
    known = {name_of(module): module for module in MODULES}
    uses = {}
    for name, module in known.items():
        targets = imported(ast.walk(TREES[module]))
        targets = {target if target in known else target.rpartition(".")[0] for target in targets}
        uses[name] = {target for target in targets if target in known and target != name}
    graphlib.TopologicalSorter(uses).prepare()


def test_an_upward_import_is_seen():
    tree = ast.parse("from lib import report\nimport lib.figures.bars\ndef f():\n    from lib.training import train")
    assert imported(ast.walk(tree)) == {"lib.report", "lib.figures.bars", "lib.training.train"}


def test_imports_are_absolute():
    relative = {name_of(module): imported(ast.walk(tree)) for module, tree in TREES.items()}
    assert not [name for name, names in relative.items() if any(name.startswith(".") for name in names)]


def test_names_have_a_subject():
    assert all(words(name) & SUBJECTLESS for name in ("DataManager", "train_utils", "helpers", "HTTPHandler"))
    bad = []
    for module, tree in TREES.items():
        classes = [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
        named = [*module.relative_to(paths.LIB).with_suffix("").parts, *classes]
        bad += [f"{name_of(module)}: {name}" for name in named if words(name) & SUBJECTLESS]
    assert not bad


def test_modules_and_functions_stay_small():
    large = []
    for module, tree in TREES.items():
        length = len(module.read_text(encoding="utf-8").splitlines())
        if length > MODULE_LINES:
            large.append(f"{name_of(module)} has {length} lines")
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef):
                continue
            first = node.body[1] if ast.get_docstring(node) is not None and len(node.body) > 1 else node.body[0]
            lines = node.end_lineno - first.lineno + 1
            if lines > FUNCTION_LINES:
                large.append(f"{name_of(module)}: {node.name} has {lines} lines below its docstring")
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            count = sum(argument.arg not in ("self", "cls") for argument in arguments)
            if count > ARGUMENTS:
                large.append(f"{name_of(module)}: {node.name} has {count} arguments")
    assert not large


def test_no_assert_in_lib():
    found = [module for module, tree in TREES.items() if any(isinstance(node, ast.Assert) for node in ast.walk(tree))]
    assert not found


def test_what_starts_first_can_be_read_by_an_old_python():
    for name in BARE:
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
    text = "\n".join(file.read_text(encoding="utf-8") for file in paths.ROOT.glob("requirements*.in"))
    stated = set(re.findall(r"^([\w.-]+)==", text, re.MULTILINE))
    tests = sorted((paths.ROOT / "tests").rglob("*.py"))
    own = {"", "lib"} | {test.stem for test in tests} | sys.stdlib_module_names
    elsewhere = {"torch_step.py": {"torch"}}  # run by the Python of another environment
    unstated = {}
    for file in [*MODULES, *tests]:
        text = file.read_text(encoding="utf-8")
        tops = {name.split(".")[0] for name in imported(ast.walk(ast.parse(text)))} - own
        tops = {top for top in tops if f'"{top}.py"' not in text}  # a test may write a module of its own
        tops -= elsewhere.get(file.name, set())
        for name in {packages.get(top, top.replace("_", "-")) for top in tops} - stated:
            unstated.setdefault(name, []).append(file.name)
    assert not unstated, "add them to requirements.in and environment.yml, then: make lock"
