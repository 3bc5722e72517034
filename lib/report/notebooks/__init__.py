"""Executing the numbered notebooks, and turning each into one page that needs no network.

Notebooks run in a kernel of the interpreter that is running, in the folder `notebooks/`. The kernel finds `lib` through
PYTHONPATH; a notebook opened in JupyterLab or Colab, or run by nbval, has no such help, so each notebook's setup cell
begins with `sys.path.insert(0, "..")`.
"""

import contextlib
import logging
import os
import re
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import nbformat
import papermill
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from nbconvert import HTMLExporter
from nbformat.reader import NotJSONError
from papermill.exceptions import PapermillExecutionError
from tqdm.contrib import DummyTqdmFile

from lib.config import paths
from lib.report.results import WRITES_REPORT

NAME = re.compile(r"\d\d_[a-z0-9_]+")
TEMPLATE, STYLE = (paths.LIB / "report" / "pages" / name for name in ("notebook.html.jinja", "style.css"))


class NotebookError(ValueError):
    """A notebook stopped before its end; the message says where and why."""


def names() -> list[str]:
    """Names of the numbered notebooks, in order."""
    return sorted(file.stem for file in paths.NOTEBOOKS.glob("*.ipynb") if NAME.fullmatch(file.stem))


def locate(name: str) -> Path:
    """File of a notebook; one that does not exist is refused with the ones that do."""
    if name not in names():
        raise ValueError(f"Unknown notebook {name!r}. Notebooks: {', '.join(names()) or 'none'}")
    return paths.NOTEBOOKS / f"{name}.ipynb"


def execute(name: str, parameters: Mapping[str, object]) -> Path:
    """Run a notebook from top to bottom and write its executed copy and its page, which is returned.

    `parameters` are BRIEF, PROFILE and further ones, e.g. DATA. The same input gives the same executed copy: its times
    are taken out. If a cell fails or the kernel dies (a NotebookError), the copy shows how far it came.
    """
    source, brief = locate(name), str(parameters["BRIEF"])
    check_parameters(source, parameters)
    executed, page = paths.report(brief) / "notebooks" / source.name, paths.report(brief) / f"{name}.html"
    executed.parent.mkdir(parents=True, exist_ok=True)
    page.unlink(missing_ok=True)  # if the notebook fails, no page of an earlier run stays beside it
    started = time.perf_counter()
    try:
        _run(source, executed, parameters)
    finally:
        with contextlib.suppress(FileNotFoundError, NotJSONError):  # not begun, or cut short where the disk is full
            _tidy(executed, str(parameters.get("DATA", "")))
    export_page(executed, page, subtitle=f"{brief}, profile {parameters['PROFILE']}")
    print(f"{name}: done in {time.perf_counter() - started:.0f} s", flush=True)
    return page


def check_parameters(source: Path, given: Mapping[str, object]) -> None:
    """Refuse parameters that a notebook does not have; papermill itself would go on without them."""
    known = papermill.inspect_notebook(str(source))
    if not known:
        raise ValueError(
            f"{source.name} has no parameters: one cell must be tagged `parameters` and set BRIEF, PROFILE"
        )
    unknown = [name for name in given if name not in known]
    if unknown:
        raise ValueError(f"{source.stem} has no parameter {', '.join(unknown)}. Parameters: {', '.join(known)}")


def export_page(executed: Path, page: Path, *, subtitle: str = "", embed: bool = True) -> None:
    """Write an executed notebook as one HTML page with everything inside, readable offline and on a phone.

    Without `embed`, pictures that its text names are not fetched: somebody else's notebook may name any file.
    """
    notebook = nbformat.read(executed, as_version=4)
    exporter = HTMLExporter(template_name="basic", template_file=str(TEMPLATE), embed_images=embed)
    details = {
        "title": title(notebook) or executed.stem,
        "subtitle": subtitle,
        "style": STYLE.read_text(encoding="utf-8"),
    }
    html, _ = exporter.from_notebook_node(notebook, resources={"page": details})
    headings = re.findall(r'<h2 id="([^"]+)">(.*?)<a class="anchor-link"', html)
    links = "".join(f'<li><a href="#{anchor}">{text}</a></li>' for anchor, text in headings)
    contents = f'<nav aria-label="On this page"><ul>{links}</ul></nav>' if len(headings) > 1 else ""
    page.write_text(html.replace("<!-- contents -->", contents, 1), encoding="utf-8")


def title(notebook: nbformat.NotebookNode) -> str:
    """The first heading of a notebook as plain text, or nothing."""
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    found = re.search(r"^# +(.+)$", "\n".join(texts), re.MULTILINE)
    return re.sub(r"[*_`]", "", found[1]).strip() if found else ""


def _run(source: Path, executed: Path, parameters: Mapping[str, object]) -> None:
    log = executed.with_suffix(".log")
    (paths.cache() / "ipython").mkdir(parents=True, exist_ok=True)
    try:
        papermill.execute_notebook(
            str(source),
            str(executed),
            parameters=dict(parameters),
            cwd=str(source.parent),
            kernel_name="python3",
            progress_bar=sys.stdout.isatty(),
            # Training takes long: what it prints is shown at once, above the progress bar.
            stdout_file=DummyTqdmFile(sys.stdout),
            coalesce_streams=True,
            kernel_manager_class=_kernel_class(log),
            # What C++ code writes to the file descriptors is no part of a notebook: it goes to the log or the terminal.
            extra_arguments=["--IPKernelApp.capture_fd_output=False"],
        )
    except KeyboardInterrupt:
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # it would print the error of the cell that is left
        raise
    except PapermillExecutionError as error:
        start = error.source.strip().splitlines()[0][:60] if error.source.strip() else ""
        reason = " ".join(f"{error.ename}: {error.evalue}".split())[:1000]
        raise NotebookError(f"{source.stem}, cell [{error.exec_count}] `{start}`: {reason}\nRead {executed}") from None
    except DeadKernelError:
        raise NotebookError(
            f"{source.stem}: its Python process died, often for want of memory. Its last words are in {log}"
        ) from None
    log.unlink(missing_ok=True)


def _kernel_class(log: Path) -> type[AsyncKernelManager]:
    """Kernels of the running interpreter, whatever kernels are installed, whose stderr goes to a file."""

    class Kernel(AsyncKernelManager):
        @property
        def kernel_spec(self) -> KernelSpec:
            command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            return KernelSpec(argv=command, display_name="Python 3", language="python")

        async def start_kernel(self, **options) -> None:
            with log.open("wb") as file:
                await super().start_kernel(**options, env=_kernel_environment(), stderr=file)

    return Kernel


def _kernel_environment() -> dict[str, str]:
    """Environment variables of a kernel; relative folders would mean others there."""
    python_path = [str(paths.ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    settings = {
        "PYTHONPATH": os.pathsep.join(python_path),
        "PYTHONHASHSEED": "0",
        "IPYTHONDIR": str(paths.cache() / "ipython"),  # a user's own start-up files would change the result
        "COURSEWORK_HEADLESS": "1",
        WRITES_REPORT: "1",
        "COURSEWORK_CACHE": str(paths.cache()),
        "COURSEWORK_REPORTS": str(paths.reports()),
        "COURSEWORK_DATA": os.pathsep.join(map(str, paths.raw_folders()[1:])),
    }
    return os.environ | settings


def _tidy(executed: Path, data: str) -> None:
    """Take out what differs from run to run and what tells whose machine it was: times, random ids, folders."""
    notebook = nbformat.read(executed, as_version=4)
    notebook.metadata.pop("papermill", None)
    for number, cell in enumerate(notebook.cells):
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.id = f"injected-parameters-{number}"
            cell.source = without_folders(cell.source, data)
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                output.text = re.sub(r"ipykernel_\d+", "ipykernel", output.text)  # its process, in warnings
            for shown in (output, output.get("data", {})):
                for kind in ("text", "evalue", "text/plain", "text/html", "text/markdown"):
                    shown.update({kind: without_folders(shown[kind], data)} if kind in shown else {})
            if "traceback" in output:
                output.traceback = [without_folders(line, data) for line in output.traceback]
    nbformat.write(notebook, executed)


def without_folders(text: str, data: str = "") -> str:
    """A text without the folders of this machine: the last part of `data`, and a word for the project, home and so on.

    An executed notebook is handed in and published, and the absolute paths in it name its user.
    """
    words = {paths.reports(): "reports", paths.cache(): "cache", paths.ROOT: ".", Path.home(): "~"}
    words |= {sys.prefix: "python", tempfile.gettempdir(): "tmp", **{raw: "data" for raw in paths.raw_folders()}}
    words = {str(folder): word for folder, word in words.items()} | ({data: Path(data).name} if data else {})
    spelt = {folder.replace("\\", both): words[folder] for folder in words for both in ("\\", "\\\\")}
    longest_first = sorted((folder for folder in spelt if len(Path(folder).parts) > 1), key=len, reverse=True)
    pattern = "|".join([r"base64,[\w+/=]+", *(re.escape(folder) + r"(?![\w-])" for folder in longest_first)])
    return re.sub(pattern, lambda found: spelt.get(found[0], found[0]), text)  # pictures stay as they are
