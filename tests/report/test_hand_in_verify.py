"""The marker's tool: a zip is opened with care, and its code runs apart from everything else."""

import json
import stat
import zipfile

import pytest
from small_report import finish, make_small_report

from lib.config import paths
from lib.report import hand_in
from lib.report.hand_in import again
from lib.report.hand_in.pack import MANIFEST, zip_bytes


@pytest.fixture
def files(own_folders):
    """Name -> bytes of everything in a hand-in."""
    finish(make_small_report())
    with zipfile.ZipFile(hand_in.write_submission("demo", "jo")) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def zipped(files, tmp_path, name="jo_demo.zip"):
    (tmp_path / name).write_bytes(zip_bytes(files))
    return tmp_path / name


def test_a_manifest_that_is_none_is_refused(files, tmp_path):
    for change in (
        {"brief": "../../etc"},
        {"brief": 3},
        {"student": "../jo"},
        {"profile": "quick; reboot"},
        {"format": 2},
        {"files": []},
        {"files": {"lib": "x"}},
    ):
        manifest = json.loads(files[MANIFEST]) | change
        with pytest.raises(ValueError, match="MANIFEST.json is damaged, or of another version of this project"):
            hand_in.verify_submission(zipped(files | {MANIFEST: json.dumps(manifest).encode()}, tmp_path))


def test_what_is_no_hand_in_is_refused(files, tmp_path):
    (tmp_path / "text.zip").write_text("no zip")
    others = {"made by hand.zip": {"report.pdf": b"x"}, "broken.zip": files | {MANIFEST: b"{"}}
    messages = {"text.zip": "is not a zip", "made by hand.zip": "holds no MANIFEST.json", "broken.zip": "is damaged"}
    for name, held in others.items():
        zipped(held, tmp_path, name)
    for name, message in messages.items():
        with pytest.raises(ValueError, match=message):
            hand_in.verify_submission(tmp_path / name)
    with pytest.raises(ValueError, match="ZIP must be a file. Received: .*nowhere.zip"):
        hand_in.verify_submission(tmp_path / "nowhere.zip")


def test_a_path_that_leads_out_is_not_opened(files, tmp_path):
    for name in ("../escape.py", "/escape.py", "lib/../../escape.py", "C:/escape.py"):
        with pytest.raises(ValueError, match="path that leads out of its folder"):
            hand_in.verify_submission(zipped(files | {name: b"x"}, tmp_path))
        assert not list(tmp_path.rglob("escape.py"))


def test_a_link_two_files_of_one_name_and_a_bomb_are_not_opened(files, tmp_path, monkeypatch):
    file = zipped(files, tmp_path)
    with zipfile.ZipFile(file, "a") as packed:
        link = zipfile.ZipInfo("lib/link.py")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        packed.writestr(link, "/etc/passwd")
    with pytest.raises(ValueError, match="holds a link or a device: 'lib/link.py'"):
        hand_in.verify_submission(file)
    file = zipped(files, tmp_path)
    with zipfile.ZipFile(file, "a") as packed, pytest.warns(UserWarning, match="Duplicate name"):
        packed.writestr("lib/__main__.py", "import os")
    with pytest.raises(ValueError, match="holds the name '__main__.py' twice"):
        hand_in.verify_submission(file)
    monkeypatch.setattr("lib.datasets.fetch.archives.MIN_LIMIT", 10**6)
    with pytest.raises(ValueError, match="grows to more than 20 times its size"):
        hand_in.verify_submission(zipped({"zeros": bytes(10**8)}, tmp_path))


# Making it again


CODE = """\
import json, os, pathlib, subprocess, sys
folder = pathlib.Path(os.environ["COURSEWORK_REPORTS"]) / "demo"
folder.mkdir(parents=True)
names = [name for name in os.environ if name.startswith(("COURSEWORK_", "PYTHON", "STUDENT", "VENV"))]
child = [sys.executable, "-c", "import json; print(json.__file__)"]
child = subprocess.check_output(child, text=True).strip()
facts = {"file": __file__, "words": sys.argv[1:], "folder": os.getcwd(), "path": sys.path[:1], "child": child}
facts |= {"isolated": sys.flags.isolated, "json": json.__file__}
facts["variables"] = {name: os.environ[name] for name in names}
facts |= {"there": sorted(str(file) for file in pathlib.Path().rglob("*") if file.suffix in (".py", ".md", ".ipynb"))}
(folder / "values.json").write_text(json.dumps(facts))
"""


def test_making_it_again_happens_in_a_fresh_folder_and_an_isolated_python(tmp_path, monkeypatch):
    root, raw, work = tmp_path / "opened", tmp_path / "my raw data", tmp_path / "again"
    raw.mkdir()
    held = {"lib/__main__.py": CODE, "lib/__init__.py": (paths.ROOT / "lib" / "__init__.py").read_text()}
    held |= {"notebooks/01_explore.ipynb": "{}", "reports/templates/demo/experimentation.md": "my words"}
    strangers = {
        "json.py": "raise SystemExit('json')",
        "notebooks/json.py": "",
        "lib/json.so": "",
        "sitecustomize.py": "",
    }
    for name, text in (held | strangers | {"reports/demo/values.json": '{"claimed": 1}'}).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    monkeypatch.chdir(root)
    for name, text in {"COURSEWORK_DATA": str(raw), "COURSEWORK_REPORTS": "else", "PYTHONPATH": str(root)}.items():
        monkeypatch.setenv(name, text)
    monkeypatch.setenv("STUDENT", "the marker")
    assert "lib/__main__.py" in again.differing_code(root) and "lib/__init__.py" not in again.differing_code(root)
    made = again.make_again(root, work, brief="demo", profile="quick", data="")
    facts = json.loads((made / "values.json").read_text())
    project = work / "project"
    assert facts["file"] == str(project / "lib" / "__main__.py") and facts["folder"] == str(project)
    assert facts["words"] == ["report", "--brief", "demo", "--profile", "quick"]
    assert (
        facts["isolated"] == 1 and facts["path"] == [str(project)] and facts["child"] == facts["json"] == json.__file__
    )
    assert facts["there"] == sorted(held)
    variables = facts["variables"]
    assert variables.pop("COURSEWORK_DATA").split(":")[-1] == str(raw) and variables == {
        "VENV": "none",
        "PYTHONSAFEPATH": "1",
        "PYTHONNOUSERSITE": "1",
        "COURSEWORK_CACHE": str(work / "cache"),
        "COURSEWORK_REPORTS": str(work / "reports"),
    }
    (root / "lib" / "__main__.py").write_text("raise SystemExit(2)")
    with pytest.raises(ValueError, match="could not be made again: see the lines above. Exit status 2"):
        again.make_again(root, tmp_path / "third", brief="demo", profile="quick", data="x")


def test_pages_are_compared_by_the_code_of_the_hand_in_once_it_is_trusted(tmp_path):
    """A project that answers with what it was asked."""
    package = tmp_path / "project" / "lib" / "report" / "hand_in"
    package.mkdir(parents=True)
    for folder in (package, package.parent, package.parent.parent):
        (folder / "__init__.py").touch()
    code = "def check_notebooks(*asked):\n    return [f'{__file__} {asked}']\n"
    (package / "shown.py").write_text(code + "def check_reports(*asked):\n    return ['second']\n")
    found = again.check_shown_again(tmp_path / "opened", tmp_path, brief="demo", profile="smoke")
    asked = (tmp_path / "opened", "demo", "smoke")
    assert found == [f"{package / 'shown.py'} {asked}", "second"]
    (package / "shown.py").write_text("raise SystemExit(1)")
    with pytest.raises(ValueError, match="could not be compared with its results by its own code"):
        again.check_shown_again(tmp_path / "opened", tmp_path, brief="demo", profile="smoke")
