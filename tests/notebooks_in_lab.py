"""Every notebook in JupyterLab, as a reader opens it: Run All ends without an error and without a block of stderr.

`make test` runs them by nbval, which needs no browser; `.ci/run` also runs this: pytest tests/notebooks_in_lab.py
"""

import contextlib
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time

import pytest
from small_report import make_small_report

from lib.config import paths
from lib.report import notebooks
from lib.report.pages.tensorboard import BrowserError, find_chromium, open_page

MISSING = "no Chromium" if find_chromium() is None else "no JupyterLab" * (not importlib.util.find_spec("jupyterlab"))
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"{MISSING} on this machine")

FEW_FIGURES = {"06_architecture_search": 3, "09_overfitting": 1}  # what they draw at smoke; all others draw more
LONGEST = 300  # seconds of one notebook
NOTEBOOK = "jupyterapp.shell.currentWidget"
IDLE = f"window.jupyterapp && {NOTEBOOK}?.sessionContext?.session?.kernel?.status === 'idle'"
CODE = f"{NOTEBOOK}.content.model.toJSON().cells.filter((cell) => cell.cell_type === 'code')"
ENDED = f"""{IDLE} && (({CODE}).every((cell) => cell.execution_count)
    || ({CODE}).some((cell) => cell.outputs.some((output) => output.output_type === 'error')))"""


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """A folder with a finished report of both briefs whose notebooks are run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSEWORK_REPORTS", str(tmp_path_factory.mktemp("reports")))
        for brief in ("demo", "low_level"):
            make_small_report(brief)
        yield paths.reports()


@pytest.fixture(scope="module")
def lab(reports, tmp_path_factory):
    """The address of a JupyterLab that shows copies of the notebooks: it saves what it has run."""
    home = tmp_path_factory.mktemp("lab")
    shutil.copytree(paths.NOTEBOOKS, home / "notebooks", ignore=shutil.ignore_patterns(".*"))
    own = {name: str(home / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")}
    own |= {name: str(home / name) for name in ("JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")}
    settings = os.environ | own | {"PYTHONPATH": str(paths.ROOT), "JUPYTER_PREFER_ENV_PATH": "1"}
    settings.pop("COURSEWORK_HEADLESS", None)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0"]
    command += [f"--ServerApp.root_dir={home / 'notebooks'}", "--IdentityProvider.token=", "--expose-app-in-browser"]
    command += ["--LabApp.news_url=", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(command, env=settings, stdout=log, stderr=log)
    try:
        end, found = time.monotonic() + 120, None
        while not found:
            said = (home / "log").read_text()
            assert server.poll() is None and time.monotonic() < end, said
            found = re.search(r"http://127\.0\.0\.1:\d+/lab", said)
            time.sleep(0.2)
        yield found[0]
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(scope="module")
def page(lab):
    """One browser for all notebooks."""
    with contextlib.ExitStack() as stack:
        try:
            yield stack.enter_context(open_page(width=1280, height=1000))
        except BrowserError as error:
            pytest.skip(f"Chromium does not start here: {error}")


def run_all(page, address):
    """Open a notebook, choose Run All Cells in the menu, and wait for the end; returns its code cells with outputs."""
    page.goto(address)
    page.wait_for_function(IDLE, timeout=1000 * LONGEST)
    page.locator(".lm-MenuBar-itemLabel", has_text=re.compile("^Run$")).click()
    page.locator(".lm-Menu-itemLabel", has_text=re.compile("^Run All Cells$")).click()
    page.wait_for_function(ENDED, timeout=1000 * LONGEST)
    cells = page.evaluate(CODE)
    page.evaluate(f"{NOTEBOOK}.sessionContext.shutdown()")
    return cells


def checksums(reports):
    return {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in reports.rglob("*") if file.is_file()}


@pytest.mark.parametrize("name", notebooks.names())
def test_run_all_in_jupyterlab(name, page, lab, reports):
    kept = {file: checksum for file, checksum in checksums(reports).items() if "draft" not in file.parts}
    # a network that is trained here declares TensorBoard's columns anew, the same ones, in another file
    before = {file: checksum for file, checksum in kept.items() if file.parent.name != "runs"}
    cells = run_all(page, f"{lab}/tree/{name}.ipynb?reset")
    outputs = [output for cell in cells for output in cell["outputs"]]
    errors = [f"{output['ename']}: {output['evalue']}" for output in outputs if output["output_type"] == "error"]
    pink = ["".join(output["text"]) for output in outputs if output.get("name") == "stderr"]
    assert (errors, pink) == ([], [])
    shown = ["".join(output["data"].get("text/plain", "")) for output in outputs if "data" in output]
    assert sum(text.startswith("Draft at profile *smoke*") for text in shown) == 1
    assert sum("figures/" in text for text in shown) >= FEW_FIGURES.get(name, 4)
    if name == "02_experiments":  # it trains here: bars are widgets
        kinds = {kind for output in outputs for kind in output.get("data", {})}
        assert "application/vnd.jupyter.widget-view+json" in kinds
    after = checksums(reports)
    assert {file: after.get(file) for file in before} == before
    drafts = {file.relative_to(reports).parts[1] for file in set(after) - set(kept)}
    assert drafts <= {"draft", "runs"} and "draft" in drafts
