"""A notebook that is opened alone in Colab gets the code; `make colab` writes the address of the copy."""

import json
import os
import re
import shutil
import subprocess
import sys

import nbformat
import pytest
from tiny_notebooks import tagged, tiny_notebook, write

from lib import environment
from lib.config import paths
from lib.report import notebooks
from lib.report.notebooks import colab
from lib.report.notebooks.colab import CELL, CODE, badges, https, write_address

ADDRESS = "https://github.com/ada/course-work"
IN_COLAB = "import sys, types; sys.modules['google.colab'] = types.ModuleType('google.colab')\n"
SAY = "\nimport os; print(os.getcwd(), sys.modules['lib.environment'].ROOT if 'lib' in sys.modules else 'no lib')"


def run(code, folder):
    """Run code in a Python that knows nothing of this project."""
    settings = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run([sys.executable, "-c", code], cwd=folder, env=settings, capture_output=True, text=True)


def test_every_notebook_begins_with_the_cell():
    sources = set()
    for name in notebooks.names():
        first, second, third, *_ = nbformat.read(notebooks.locate(name), as_version=4).cells
        assert (first.cell_type, second.id, third.metadata.tags) == ("markdown", CELL, ["parameters"])
        sources.add(second.source)
    (source,) = sources
    assert CODE.format(address=re.search('^REPOSITORY = "(.*?)"', source, re.MULTILINE)[1]) == source


def test_the_cell_gets_the_code_in_colab_and_does_nothing_elsewhere(tmp_path):
    copy, session = tmp_path / "copy", tmp_path / "session"
    session.mkdir()
    (copy / "lib" / "environment").mkdir(parents=True)
    (copy / "notebooks").mkdir()
    for file in (
        "lib/__init__.py",
        "lib/environment/__init__.py",
        "lib/environment/checks.py",
        "notebooks/01_explore.ipynb",
    ):
        shutil.copy(paths.ROOT / file, copy / file)
    (copy / "requirements.in").write_text("numpy==1.0\n")  # here in another version: it must stay
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message=all"]):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=copy, check=True)
    cell = CODE.format(address=copy.as_uri())
    assert run(cell + SAY.replace("'no lib'", "'nothing'"), session).stdout == f"{session} nothing\n"
    assert list(session.iterdir()) == []
    for code in (cell, f"{cell}\n{cell}", cell):  # alone, twice in a row, and after the kernel was started anew
        answer = run(IN_COLAB + code + SAY, session)
        clone = session / "coursework"
        assert answer.stdout == f"{clone / 'notebooks'} {clone}\n", answer.stderr
    assert [file.name for file in session.iterdir()] == ["coursework"]
    without = run(IN_COLAB + CODE.format(address=""), session)
    assert "ValueError: REPOSITORY, above, must be the address of your copy: https://..." in without.stderr


def test_what_is_lacking_is_installed_and_nothing_replaced(tmp_path, monkeypatch, capfd):
    import numpy as np

    (tmp_path / "requirements.in").write_text("numpy==1.0\nno-such-package-of-anyone==2.5\nruff==0.0\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(subprocess.CalledProcessError) as failed:
        environment.install_lacking(tmp_path)
    assert failed.value.cmd[-2:] == ["no-such-package-of-anyone==2.5", f"numpy=={np.__version__}"]
    assert "Installing 1 package\n" in capfd.readouterr().out


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Another copy of the project, with one notebook."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    notebook = tiny_notebook()
    cell = tagged(CODE.format(address=""), "remove-input")
    cell.id = CELL
    notebook.cells.insert(1, cell)
    write(notebook, folder)
    (tmp_path / "README.md").write_text(f"Before\n\n{colab.START}\n{colab.END}\n\nafter\n")
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setattr(paths, "NOTEBOOKS", folder)
    return tmp_path


def test_one_command_writes_the_address_everywhere(home):
    before = (home / "notebooks" / "01_tiny.ipynb").read_text()
    for given in (ADDRESS, f"{ADDRESS}.git", "git@github.com:ada/course-work.git"):
        assert write_address(given) == ADDRESS
        after = (home / "notebooks" / "01_tiny.ipynb").read_text()
        assert after == before.replace('REPOSITORY = \\"\\"', f'REPOSITORY = \\"{ADDRESS}\\"') != before
        page = (home / "README.md").read_text()
        assert page.startswith("Before\n\n") and page.endswith("\n\nafter\n") and page.count("01_tiny.ipynb") == 1
        assert "(https://colab.research.google.com/github/ada/course-work/blob/main/notebooks/01_tiny.ipynb)" in page
    assert json.loads(after)["cells"][1]["id"] == CELL
    subprocess.run(["git", "init", "--quiet", "--initial-branch=trunk"], cwd=home, check=True)
    subprocess.run(["git", "remote", "add", "origin", "git@github.com:eve/copy.git"], cwd=home, check=True)
    assert write_address() == "https://github.com/eve/copy"
    assert "/eve/copy/blob/trunk/notebooks/01_tiny.ipynb" in (home / "README.md").read_text()
    assert write_address("https://git.example.org/group/copy") and badges("https://git.example.org/group/copy") == ""


def test_what_is_no_address_is_refused_and_nothing_written(home):
    before = (home / "README.md").read_text()
    for given, received in {
        "": "none, and git knows no remote origin",
        "ftp://example.org/copy": "ftp://example.org/copy",
        "https://name:secret@github.com/a/b": "https://name:secret@github.com/a/b",
        'https://github.com/a/b"; x = "': "https://github.com/a/b",
        "../copy": "../copy",
    }.items():
        with pytest.raises(ValueError, match=re.escape(f"Received: {received}")):
            write_address(given)
    assert (home / "README.md").read_text() == before
    assert https("ssh://git@github.com/a/b/") == "https://github.com/a/b"
