"""The environment: one list of versions in three files, made from hashes, remade when it is not whole."""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from lib import environment
from lib.__main__ import COMMANDS, main
from lib.config import paths
from lib.environment import SetupError, ensure, find_problem, find_python

ROOT = paths.ROOT


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def locked(name: str) -> dict[str, set[str]]:
    """Versions of each package in a lock file; a package may have one for each Python."""
    versions = {}
    for package, version in re.findall(r"^([\w.-]+)==([^\s;]+)", read(name), re.MULTILINE):
        versions.setdefault(package, set()).add(version)
    return versions


def test_environment_yml_repeats_requirements_in():
    pinned = [line for line in read("requirements.in").splitlines() if "==" in line]
    of_conda = re.findall(r"^      - (.+)$", read("environment.yml"), re.MULTILINE)
    assert of_conda == ["-r requirements.txt", *pinned]
    assert all(re.fullmatch(r"[a-z0-9-]+==[\d.]+  # .{3,}", line) for line in pinned)


def stub_wheels(folder: Path) -> dict[str, str]:
    """Empty packages with the names and versions of requirements.txt; returns the hash of each line's package."""
    folder.mkdir()
    hashes = {}
    for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", read("requirements.txt"), re.MULTILINE):
        stem = f"{name.replace('-', '_')}-{version}"
        wheel = folder / f"{stem}-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            info = f"{stem}.dist-info"
            archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{info}/RECORD", "")
        hashes[f"{name}=={version}"] = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return hashes


@pytest.mark.slow
def test_pip_takes_environment_yml_as_conda_writes_it(root, tmp_path):
    """With the real lines of both files, on packages without content: conda hands pip the list under `pip:`."""
    hashes = stub_wheels(tmp_path / "wheels")
    entries = re.split(r"^(?=[\w.-]+==)", read("requirements.txt"), flags=re.MULTILINE)
    with open(tmp_path / "requirements.txt", "w", encoding="utf-8") as file:
        for entry in entries[1:]:
            asked = entry.split("\\", 1)[0].strip()
            file.write(f"{asked} --hash=sha256:{hashes[asked.split(' ;')[0].split()[0]]}\n")
    of_conda = re.findall(r"^      - (.+)$", read("environment.yml"), re.MULTILINE)
    python = str(environment.python_of(root / ".venv"))
    command = [python, "-m", "pip", "--isolated", "install", "--dry-run", "--no-index", "--find-links"]
    for lines, status in ((of_conda, 0), ([*of_conda[1:], of_conda[0]], 1)):
        (tmp_path / "condaenv.txt").write_text("\n".join(lines), encoding="utf-8")
        answer = subprocess.run(
            [*command, str(tmp_path / "wheels"), "-U", "-r", str(tmp_path / "condaenv.txt")],
            capture_output=True,
            text=True,
            env=os.environ | {"PIP_CONFIG_FILE": os.devnull},
        )
        assert answer.returncode == status, answer.stderr
    assert "Hashes are required in --require-hashes mode" in answer.stderr  # with requirements.txt last


def test_environment_yml_names_a_supported_python():
    assert re.findall(r"^  - (.+)$", read("environment.yml"), re.MULTILINE)[-3:] == ["python=3.11", "pip", "pip:"]


def test_the_locks_hold_the_direct_versions():
    direct = environment.direct_dependencies(ROOT)
    assert len(direct) > 20 and set(environment.TOOLS) < set(direct)
    work = re.findall(r"^([\w.-]+)==", read("requirements.in").partition("# Work on it")[2], re.MULTILINE)
    assert set(work) <= set(environment.TOOLS)  # no report asks for them
    for name in environment.LOCKS.values():
        assert {package: locked(name)[package] for package in direct} == {p: {v} for p, v in direct.items()}


def test_the_gpu_lock_adds_nothing_but_cuda():
    base, gpu = locked("requirements.txt"), locked("requirements-gpu.txt")
    assert base == {package: gpu[package] for package in base}
    assert {package.split("-")[0] for package in set(gpu) - set(base)} == {"nvidia"}
    for line in re.findall(r"^nvidia.*", read("requirements-gpu.txt"), re.MULTILINE):
        assert "sys_platform == 'linux'" in line


def test_an_extra_adds_its_package_and_changes_no_other():
    base = set(re.findall(r"^([\w.-]+==.+)$", read("requirements.txt"), re.MULTILINE))
    versions = locked("requirements.txt")
    for name, lock in environment.EXTRAS.items():
        pinned = set(environment.direct_dependencies(ROOT, [name]).items())
        [added] = pinned - set(environment.direct_dependencies(ROOT).items())
        assert added[0] == name and locked(lock)[name] == {added[1]}
        assert re.search(rf"^{name}==[\d.]+  # .{{10,}}$", read(f"requirements-{name}.in"), re.MULTILINE)
        assert not base & set(re.findall(r"^([\w.-]+==.+)$", read(lock), re.MULTILINE))
        for package, found in locked(lock).items():
            assert found == versions.setdefault(package, found)  # the extras fit each other too


def test_every_locked_package_has_hashes_and_no_address():
    for name in (*environment.LOCKS.values(), *environment.EXTRAS.values()):
        text = read(name)
        entries = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)
        assert all("--hash=sha256:" in entry for entry in entries[1:])
        assert "://" not in text and "make lock" in entries[0] and "/" not in entries[0]


def test_the_pinned_trio():
    direct = environment.direct_dependencies(ROOT)
    assert [direct[name] for name in ("tensorflow", "keras", "tensorboard")] == ["2.21.0", "3.15.1", "2.21.0"]


def make_wheel(folder: Path, name: str = "tiny") -> str:
    """Write a small package as a wheel; returns the line that asks for it, with its hash."""
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}/__init__.py": "WORDS = 'small but real'\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = []
    for file, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.append(f"{file},sha256={digest},{len(text)}")
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,"]) + "\n"
    wheel = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
    return f"{name} @ {wheel.as_uri()} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A project with one small package, whose environment was really made, by pip."""
    root = tmp_path_factory.mktemp("project")
    (root / "requirements.txt").write_text(make_wheel(root), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "")  # no uv
        patch.setenv("PYTHONDONTWRITEBYTECODE", "1")
        patch.setenv("PIP_USER", "1")
        ensure(root / ".venv", root)
    return root


@pytest.fixture
def lock(root):
    return root / "requirements.txt"


@pytest.fixture
def site(root):
    return next((root / ".venv").glob("[lL]ib*/**/site-packages"))


def ask(python: Path, code: str) -> str:
    return subprocess.check_output([python, "-c", code], text=True, cwd=Path(sys.prefix)).strip()


@pytest.mark.slow
class TestMade:
    def test_it_holds_the_package_with_bytecode(self, root, site):
        python = environment.python_of(root / ".venv")
        assert ask(python, "import tiny; print(tiny.WORDS)") == "small but real"
        assert list((site / "tiny" / "__pycache__").glob("*.pyc"))

    def test_the_project_can_be_imported_from_any_folder(self, root):
        python = environment.python_of(root / ".venv")
        assert str(root) in ask(python, "import sys; print(sys.path)")

    def test_the_stamp_says_what_it_was_made_from(self, root, lock):
        stamp = json.loads((root / ".venv" / "complete.json").read_text(encoding="utf-8"))
        assert stamp == {
            "folder": str(root / ".venv"),
            "lock": "requirements.txt",
            "sha256": hashlib.sha256(lock.read_bytes()).hexdigest(),
            "python": "{}.{}".format(*sys.version_info),
            "packages": ["tiny-1.0.dist-info"],
        }

    def test_it_is_used_again(self, root, capsys):
        stamp = root / ".venv" / "complete.json"
        before = stamp.stat().st_mtime_ns
        assert ensure(root / ".venv", root) == environment.python_of(root / ".venv")
        assert stamp.stat().st_mtime_ns == before
        assert capsys.readouterr().out == ""

    def test_a_changed_lock_is_seen(self, root, lock, tmp_path):
        other = tmp_path / "requirements.txt"
        other.write_text(lock.read_text() + "# newer\n", encoding="utf-8")
        assert find_problem(root / ".venv", other) == "requirements.txt has changed since"

    def test_another_lock_is_seen(self, root, lock):
        gpu = shutil.copy(lock, root / "requirements-gpu.txt")
        problem = find_problem(root / ".venv", Path(gpu))
        assert problem == "it was made from requirements.txt and requirements-gpu.txt is asked for"

    def test_cuda_stays_until_it_is_dropped(self, root, lock, capsys):
        stamp = root / ".venv" / "complete.json"
        before = stamp.read_text(encoding="utf-8")
        shutil.copy(lock, root / "requirements-gpu.txt")
        stamp.write_text(before.replace('"requirements.txt"', '"requirements-gpu.txt"'), encoding="utf-8")
        try:
            assert ensure(root / ".venv", root) == ensure(root / ".venv", root, gpu=True)
            assert capsys.readouterr().out == ""
            assert (
                find_problem(root / ".venv", lock)
                == "it was made from requirements-gpu.txt and requirements.txt is asked for"
            )
        finally:
            stamp.write_text(before, encoding="utf-8")

    def test_an_extra_is_added_stays_and_is_dropped(self, root, site, capsys):
        python, stamp = environment.python_of(root / ".venv"), root / ".venv" / "complete.json"
        (root / "requirements-mlflow.txt").write_text(make_wheel(root, "mlflow"), encoding="utf-8")
        begun = (site / "tiny" / "__init__.py").stat().st_mtime_ns
        assert ensure(root / ".venv", root, extras=["mlflow"]) == python
        said = (
            "Completing .*it was made from requirements.txt and requirements.txt \\+ requirements-mlflow.txt is asked"
        )
        assert re.search(said, capsys.readouterr().out)
        assert ask(python, "import mlflow; print(mlflow.WORDS)") == "small but real"
        assert json.loads(stamp.read_text())["packages"] == ["mlflow-1.0.dist-info", "tiny-1.0.dist-info"]
        assert (site / "tiny" / "__init__.py").stat().st_mtime_ns == begun  # nothing else was installed again
        assert ensure(root / ".venv", root) == python and capsys.readouterr().out == ""
        ensure(root / ".venv", root, extras=["none"])
        assert json.loads(stamp.read_text())["packages"] == ["tiny-1.0.dist-info"] and not (site / "mlflow").exists()

    def test_a_moved_folder_is_seen(self, root, lock):
        moved = (root / ".venv").rename(root / "moved")
        try:
            assert "environments cannot be moved" in find_problem(moved, lock)
        finally:
            moved.rename(root / ".venv")

    def test_a_lost_part_is_seen(self, root, lock, site):
        python = "{}.{}".format(*sys.version_info)
        reasons = {
            root / ".venv" / "complete.json": "the last one was not finished",
            root / ".venv" / "bin/python": f"the Python {python} it was made with is gone",
            site / "tiny": "tiny/__init__.py is missing or was changed",
            site / "tiny-1.0.dist-info": "tiny-1.0.dist-info is missing or was changed",
        }
        for part, reason in reasons.items():
            away = part.rename(part.with_name("away"))
            try:
                assert find_problem(root / ".venv", lock) == reason
            finally:
                away.rename(part)
            assert find_problem(root / ".venv", lock) == ""

    def test_a_cut_file_is_mended_once_by_two_at_a_time(self, root, lock, site):
        (site / "tiny" / "__init__.py").write_text("", encoding="utf-8")
        code = "import sys; from pathlib import Path; from lib.environment import ensure; root = Path(sys.argv[1])\n"
        command = [sys.executable, "-c", code + "ensure(root / '.venv', root)", str(root)]
        both = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        said = "".join(process.communicate()[0] for process in both)
        assert [process.returncode for process in both] == [0, 0]
        assert said.count("because tiny/__init__.py is missing or was changed") == 1
        assert said.count("Another command is making") == 1
        assert ask(environment.python_of(root / ".venv"), "import tiny; print(tiny.WORDS)") == "small but real"
        assert find_problem(root / ".venv", lock) == ""


@pytest.mark.slow
def test_a_package_with_another_hash_is_refused(tmp_path):
    line = make_wheel(tmp_path)
    (tmp_path / "requirements.txt").write_text(line[:-5] + "0000\n", encoding="utf-8")
    with pytest.raises(SetupError, match="could not be made: .* ended with status"):
        ensure(tmp_path / ".venv", tmp_path)
    assert find_problem(tmp_path / ".venv", tmp_path / "requirements.txt") == "the last one was not finished"


def test_a_first_one_is_needed(tmp_path):
    assert find_problem(tmp_path / ".venv", tmp_path / "requirements.txt") == "there is none yet"


def test_a_folder_of_somebody_else_is_left_alone(tmp_path):
    (tmp_path / "requirements.txt").touch()
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").touch()
    with pytest.raises(SetupError, match="thesis was not made by this project and is left alone"):
        ensure(tmp_path / "thesis", tmp_path)
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter1.tex"]


def test_cuda_is_refused_where_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SetupError, match="CUDA wheels exist for Linux only. Received: GPU=1 on darwin"):
        ensure(tmp_path / ".venv", tmp_path, gpu=True)


def test_the_running_python_is_taken_where_it_will_do():
    assert find_python((3, 11, 2)) == find_python((3, 12, 0)) == getattr(sys, "_base_executable", sys.executable)


def test_another_python_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    stand_in = tmp_path / "python3.12"  # as version managers leave behind
    stand_in.write_text("#!/bin/sh\nexit 127\n", encoding="utf-8")
    stand_in.chmod(0o755)
    for version in ((3, 6, 15), (3, 10, 0), (3, 13, 0), (4, 11, 0)):
        with pytest.raises(SetupError, match="3.11 or 3.12 is needed and this is {}.{}.{}: install".format(*version)):
            find_python(version)


def test_another_python_finds_a_supported_one(tmp_path, monkeypatch):
    name = tmp_path / "python{}.{}".format(*sys.version_info)
    name.symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_python((3, 9, 1)) == str(name)


def test_python_at_hand_with_other_versions_is_warned_of_in_one_line(tmp_path, capsys):
    (tmp_path / "requirements.in").write_text("pytest==0.1  # old\nruff-of-tomorrow==1.0\n", encoding="utf-8")
    assert environment.differences(tmp_path) == {"pytest": pytest.__version__, "ruff-of-tomorrow": None}
    numpy = metadata.version("numpy")
    (tmp_path / "requirements.in").write_text("pytest==0.1\nnumpy==2.0.1\n", encoding="utf-8")
    environment.check_at_hand(tmp_path)
    said = f"warning: not the tested versions (in brackets): pytest {pytest.__version__} (0.1), numpy {numpy} (2.0.1)\n"
    assert capsys.readouterr().err == said


def test_python_at_hand_is_told_what_it_lacks_in_one_line_of_pip(tmp_path):
    numpy = metadata.version("numpy")
    direct = f"cat==1.0\nkeras==0.1\nnumpy=={numpy}\ndog==2.0\n"
    (tmp_path / "requirements.in").write_text(direct, encoding="utf-8")
    with pytest.raises(SetupError) as refusal:
        environment.check_at_hand(tmp_path)
    kept = f"keras=={metadata.version('keras')} numpy=={numpy}"
    assert str(refusal.value).splitlines()[1:] == [f"{sys.executable} -m pip install cat==1.0 dog==2.0 {kept}"]
    assert "lacks 2 packages" in str(refusal.value)


def test_a_command_whose_extra_is_missing_says_how_to_get_it(tmp_path, monkeypatch, capsys):
    """Also where TRACK asks for it; and before an environment is made."""
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    for name in ("TRACK", "VENV"):
        monkeypatch.setenv(name, "")  # the commands set them: so they are as before at the end
    for name, package in (("", "pytest"), ("-mlflow", "mlflow-of-tomorrow"), ("-ray", "ray-of-tomorrow")):
        (tmp_path / f"requirements{name}.in").write_text(f"{package}==1.0  # why\n", encoding="utf-8")
    monkeypatch.delenv("VENV", raising=False)
    sentence = "error: This needs packages that are not installed: make setup EXTRAS=mlflow"
    for words in (["mlflow"], ["train", "TRACK=mlflow"], ["train", "VENV=own", "TRACK=mlflow"]):
        assert main(words) == 2
        ending = " VENV=own\n" if "VENV=own" in words else "\n"
        assert capsys.readouterr().err == sentence + ending
        monkeypatch.delenv("TRACK", raising=False)
    monkeypatch.setenv("VENV", "none")
    assert main(["mlflow"]) == 2
    assert f"{sys.executable} -m pip install mlflow-of-tomorrow==1.0" in capsys.readouterr().err
    monkeypatch.setenv("TRACK", "mlfow")
    assert main(["mlflow"]) == 2
    assert capsys.readouterr().err == "error: Unknown tracker 'mlfow'. Did you mean mlflow? Trackers: mlflow\n"
    assert list(tmp_path.glob("*/")) == []


def test_tools_are_asked_of_the_commands_that_use_them(tmp_path, monkeypatch):
    (tmp_path / "requirements.in").write_text("cat==1.0\nowl==1.0\n", encoding="utf-8")
    monkeypatch.setattr(environment, "TOOLS", {"cat": ("test",), "owl": ()})
    environment.check_at_hand(tmp_path, "report")
    with pytest.raises(SetupError, match="lacks 1 package. .*\n.* -m pip install cat==1.0$"):
        environment.check_at_hand(tmp_path, "test")
    assert {command for commands in environment.TOOLS.values() for command in commands} <= set(COMMANDS)


def test_python_at_hand_with_too_old_versions_is_refused(monkeypatch):
    for numbers, refused in (("2.19.0", False), ("2.9.3", True), ("3.0", False), ("2.18.1", True)):
        monkeypatch.setattr(environment, "differences", lambda root, extras, here=numbers: {"tensorflow": here})
        if refused:
            message = f"needs at least tensorflow 2.19, keras 3.10, .*Received: tensorflow {numbers}, of"
            with pytest.raises(SetupError, match=message):
                environment.check_at_hand(ROOT)
        else:
            environment.check_at_hand(ROOT)


def test_the_lowest_versions_are_those_that_are_tried():
    """tests/lowest_versions.sh makes a report on them; what it installs first lacks no more than Colab does."""
    at_hand = dict(re.findall(r"([\w-]+)==([\d.]+)", read("tests/lowest_versions.sh")))
    for name, lowest in environment.KEPT.items():
        assert environment.numbers(at_hand[name]) == environment.numbers(lowest)
    missing = set(environment.direct_dependencies(ROOT)) - set(at_hand) - set(environment.TOOLS)
    assert {"simplejpeg", "cleanvision", "imagehash", "papermill", "typst"} <= missing and len(missing) < 12


def test_long_silences_are_broken(capsys):
    with environment.ticking("the cat", seconds=0.05):
        time.sleep(0.12)
    time.sleep(0.1)
    assert capsys.readouterr().out == 2 * "... the cat: still working (0 s)\n"


def test_nothing_heavy_is_imported():
    code = "import sys, lib.environment, lib.__main__; print(sorted({name.split('.')[0] for name in sys.modules}))"
    answer = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(json.loads(answer.stdout.replace("'", '"'))) <= {"lib", "__main__"} | sys.stdlib_module_names
