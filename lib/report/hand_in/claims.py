"""Whether a hand-in agrees with itself: the files it must hold, its numbers, and the pages that show them.

Nothing of it is run. What is shown is made again from its own results by the code of this copy, and compared; results
that were made up in every file alike are found only by computing them again.
"""

import ast
import base64
import contextlib
import html
import math
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from types import SimpleNamespace

import pandas as pd

from lib import briefs
from lib.config import PROFILES
from lib.config.files import checksum, read_json
from lib.datasets import splits
from lib.report import notebooks, pages, results, written
from lib.report.hand_in import pack
from lib.report.notebooks import freshness
from lib.report.results import display
from lib.training.runs import Run

SYSTEM_FILES = {".DS_Store", "Thumbs.db", "desktop.ini"}  # what an unpacking and packing again adds
RUN_NAME = re.compile(r"\w[\w.-]*")
FILE_NAME = re.compile(r"figures/[a-z][a-z0-9_]*\.png|tables/[a-z][a-z0-9_]*\.csv")
COMPILED = {".pyc", ".pyo", ".so", ".pyd", ".dll", ".dylib"}
AT_START = {"sitecustomize", "usercustomize"}  # modules that Python imports by itself
NOT_COMPARED = ("notices", "data", "runs", "environment")  # sections of the first page; some are, when made again
FROM_METRICS = ("parameters", "epochs", "val_accuracy")  # values of the best model, as its run holds them
SHOWN_IN = re.compile(rf"\(({FILE_NAME.pattern})\)$")  # the end of what a notebook prints of a figure or table


def check_results(root: Path, manifest: dict) -> list[str]:
    """Everything but the pages; one sentence per fault. Results of another shape are refused with a ValueError."""
    brief, folder = manifest["brief"], root / "reports" / manifest["brief"]
    _check_shapes(folder)
    if brief not in briefs.names():
        unknown = f"brief {brief} is not one of this copy: add its file first, which says what its hand-in must hold"
        return [unknown, *_strangers(root, manifest)]
    faults = [f"lacks: reports/{brief}/{name}" for name in pack.lacking(brief, folder)]
    faults += _strangers(root, manifest) + _values(folder, manifest["profile"]) + _records(brief, folder)
    if pack.promises_predictions(brief):
        faults += _predictions(root / f"{manifest['student']}_test_preds.csv", folder)
    claimed, found = manifest["machine"], pack.machine_facts(folder)
    differing = [name for name, fact in found.items() if claimed.get(name) != fact]
    if differing:
        faults.append(f"{pack.MANIFEST} claims another machine than the run of the best model: {', '.join(differing)}")
    return faults


def check_notebooks(root: Path, brief: str, profile: str) -> list[str]:
    """Whether the executed notebooks and their pages show the results beside them; one sentence per fault."""
    folder, faults = root / "reports" / brief, []
    for name in briefs.load(brief).notebooks:
        faults += _outputs(name, root, folder) + _notebook_page(name, folder, f"{brief}, profile {profile}")
    return faults


def check_reports(root: Path, brief: str, profile: str) -> list[str]:
    """Whether the first pages and the written reports show the results beside them; one sentence per fault."""
    folder, loaded = root / "reports" / brief, briefs.load(brief)
    nothing = SimpleNamespace(left_out=pd.DataFrame({"path": [], "reason": []}), title="", source="", licence="")
    nothing.citation = nothing.checksum = ""
    opened = SimpleNamespace(brief=loaded, profile_name=profile, dataset=nothing, notice="")
    made = {f"reports/{brief}/index.html": pages.first_page(folder, opened)}
    made["reports/index.html"], faults = pages.overview([folder / "index.html"]), []
    for file, page in made.items():
        shown, given = sections((root / file).read_text(encoding="utf-8")), sections(page)
        odd = [name for name in {**shown, **given} if name not in NOT_COMPARED and shown.get(name) != given.get(name)]
        faults += [f"{file}: its section {name or 'at the top'} is not what the results give" for name in odd]
    return faults + [fault.replace(f"{root}/", "") for fault in written.check_packed(loaded, root)]


# Files


def _strangers(root: Path, manifest: dict) -> list[str]:
    """Files that no hand-in holds, each with what it could do."""
    brief, present = manifest["brief"], [file.relative_to(root) for file in root.rglob("*") if file.is_file()]
    names = {PurePosixPath(file).as_posix() for file in present}
    known = {pack.MANIFEST, f"{manifest['student']}_test_preds.csv", "reports/index.html"}
    known |= set(pack.report_files(brief, root / "reports" / brief)) if brief in briefs.names() else set()
    odd = {name for name in names - known if not pack.belongs(name) and PurePosixPath(name).name not in SYSTEM_FILES}
    faults = [f"no part of a hand-in: {name}{_danger(PurePosixPath(name))}" for name in sorted(odd)]
    modules = {name for name in {*names, *pack.project_files()} if name.endswith(".py")}
    hidden = {f"{name.removesuffix('/__init__.py')}.py" for name in names if name.endswith("/__init__.py")}
    return faults + [f"hides a module behind a folder of its name: {name}" for name in sorted(hidden & modules)]


def _danger(path: PurePosixPath) -> str:
    first = path.parts[0].split(".")[0]
    if path.suffix in COMPILED:
        return " (compiled code)"
    if path.suffix == ".pth" or path.stem in AT_START:
        return " (Python would run it at its start)"
    if path.suffix in (".py", ".pyw"):
        hides = first in sys.stdlib_module_names
        return f" (it would hide Python's own {first})" if hides else " (Python could import it)"
    return ""


# Results


def _check_shapes(folder: Path) -> None:
    values, manifest = results.read_values(folder), results.read_manifest(folder)
    for name, entry in values.items():
        if not results.VALUE_NAME.fullmatch(name) or not _is_origin(entry) or "value" not in entry:
            raise ValueError(f"values.json is of another shape than that of this project at {name!r}")
    for entry in manifest:
        texts = ("kind", "name", "file", "caption", "alt", "sha256")
        if not _is_origin(entry) or not all(isinstance(entry.get(key), str) for key in texts):
            raise ValueError("manifest.json is of another shape than that of this project")
        if not FILE_NAME.fullmatch(entry["file"]) or PurePosixPath(entry["file"]).stem != entry["name"]:
            raise ValueError(f"manifest.json lists a file that is no figure or table: {entry['file']!r}")


def _is_origin(entry) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("runs"), list):
        return False
    named = all(isinstance(run, str) and RUN_NAME.fullmatch(run) for run in entry["runs"])
    return named and isinstance(entry.get("notebook"), str) and entry.get("profile") in PROFILES


def _values(folder: Path, profile: str) -> list[str]:
    faults, values, listed = [], results.read_values(folder), results.read_manifest(folder)
    for name, entry in values.items():
        value = entry["value"]
        if not isinstance(value, (bool, int, float, str)) or isinstance(value, float) and not math.isfinite(value):
            faults.append(f"values.json: {name} must be a number, text or truth value. Received: {value!r:.60}")
    if {entry["profile"] for entry in [*values.values(), *listed]} - {profile}:
        faults.append(f"values.json or manifest.json are not of profile {profile}, as {pack.MANIFEST} says")
    for entry in listed:
        if checksum(folder / entry["file"]) != entry["sha256"]:
            faults.append(f"{entry['file']} is missing, or not the file that {entry['notebook']} saved")
    return faults


def _records(brief: str, folder: Path) -> list[str]:
    """What was edited after its notebook left it, by the notebooks' own records."""
    names = [name for name in briefs.load(brief).notebooks if (folder / "notebooks" / f"{name}.json").is_file()]
    damaged = [f"notebooks/{name}.json is no record of a notebook" for name in names if not _is_record(name, folder)]
    if damaged:
        return damaged
    return [f"{name}: {fault}" for name in names for fault in freshness.edited(name, folder)]


def _is_record(name: str, folder: Path) -> bool:
    record = freshness.read_record(name, folder)
    texts = all(isinstance(record.get(part), dict) for part in ("files", "entries", "runs", "evidence"))
    return texts and isinstance(record["seconds"], (int, float)) and all(map(_is_inside, record["files"]))


def _is_inside(name: str) -> bool:
    return not PurePosixPath(name).is_absolute() and ".." not in PurePosixPath(name).parts and "\\" not in name


def _predictions(file: Path, folder: Path) -> list[str]:
    """Whether the predictions on test are those of the split, and give the accuracies that the report states."""
    if not file.is_file():
        return [f"lacks: {file.name}, so no stated accuracy can be computed again"]
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    missing = [name for name in ("image", "true_class", "predicted_class") if name not in table]
    if missing:
        return [f"{file.name} lacks the column {', '.join(missing)}, so no stated accuracy can be computed again"]
    faults, run = [], Run(folder / "runs" / str(pack.best_run(folder)))
    if (folder / "split.csv").is_file():
        held_out = splits.read_split(folder / "split.csv").table.query("role == 'test'")
        classes = run.config()["classes"]
        truth = sorted((path, classes[label]) for path, label in zip(held_out["path"], held_out["label"], strict=True))
        if sorted(zip(table["image"], table["true_class"], strict=True)) != truth:
            faults.append(f"{file.name} does not hold the test images of split.csv with their classes, each once")
    right = table["true_class"] == table["predicted_class"]
    gives = {"accuracy": right.mean(), "balanced_accuracy": right.groupby(table["true_class"]).mean().mean()}
    values = results.read_values(folder)
    for name, found in gives.items():
        stated = values.get(f"best.test_{name}", {}).get("value")
        if not isinstance(stated, float) or not math.isclose(found, stated, abs_tol=1e-9):
            faults.append(f"{file.name} gives best.test_{name} {found:.4f}, the report states {stated!r:.60}")
    metrics = run.metrics()
    for name in (name for name in FROM_METRICS if f"best.{name}" in values and name in metrics):
        if values[f"best.{name}"]["value"] != metrics[name]:
            faults.append(f"values.json: best.{name} is not what runs/{run.id}/metrics.json holds")
    return faults


# What shows them


def _outputs(name: str, root: Path, folder: Path) -> list[str]:
    """Outputs of an executed notebook that are not what its cells print of the saved results."""
    where, values = f"notebooks/{name}.ipynb", results.read_values(folder)
    entries = {entry["file"]: entry for entry in results.read_manifest(folder)}
    executed, shipped = (read_json(start / where)["cells"] for start in (folder, root))
    executed = [cell for cell in executed if "injected-parameters" not in cell["metadata"].get("tags", [])]
    if [(cell["cell_type"], joined(cell["source"])) for cell in executed] != [
        (cell["cell_type"], joined(cell["source"])) for cell in shipped
    ]:
        return [f"{where}: its cells are not those of the notebook in this hand-in"]
    faults = []
    for number, cell in enumerate(executed, start=1):
        said = _sentences(joined(cell["source"]), values)
        for output in cell.get("outputs", []):
            data = {kind: joined(text) for kind, text in output.get("data", {}).items() if not isinstance(text, dict)}
            found = SHOWN_IN.search(data.get("text/plain", ""))
            if "text/markdown" in data and said is not None:
                holds = set(data.values()) <= said
            elif found:
                holds = found[1] in entries and _shows(data, entries[found[1]], folder)
            else:
                holds = not data.get("text/html", "").startswith(("<figure", "<table"))  # which nobody has saved
            faults += [] if holds else [f"{where}, cell {number}: it shows other results than were saved"]
    return list(dict.fromkeys(faults))


def joined(text: str | list) -> str:
    return text if isinstance(text, str) else "".join(text)


def _sentences(source: str, values: dict) -> set[str] | None:
    """What the calls of `say` in a cell print with these values; None where that is not known without running it."""
    try:
        calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    except SyntaxError:  # such as commands of IPython
        return None
    calls = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "say"]
    texts = [getattr(call.args[0], "value", None) if call.args else None for call in calls]
    if not texts or not all(isinstance(text, str) for text in texts):
        return None
    said = set()
    for text in texts:
        with contextlib.suppress(ValueError):  # of a branch that was not taken
            said.add(results.fill(text, values))
    return said


def _shows(data: dict, entry: dict, folder: Path) -> bool:
    """Whether an output shows a figure's file pixel by pixel, or a table's file cell by cell."""
    file, shown = folder / entry["file"], data.get("text/html", "")
    if set(data) != {"text/plain", "text/html"} or data["text/plain"] != f"{entry['caption']} ({entry['file']})":
        return False
    if file.suffix == ".png":
        text, pictures = _visible(shown)
        picture = f"data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()}"
        return pictures == [picture] and text == " ".join(entry["caption"].split())
    expected = display.table_html(pd.read_csv(file), entry["caption"], file=entry["file"])
    if shown.partition("<thead>")[0] != expected.partition("<thead>")[0]:
        return False
    pairs = list(zip(_cells(shown), _cells(expected), strict=False))
    return len(_cells(shown)) == len(_cells(expected)) and all(_same_cell(*pair) for pair in pairs)


def _cells(table: str) -> list[str]:
    return re.findall(r"<t[dh][^<>]*>([^<>]*)<", table)


def _same_cell(shown: str, expected: str) -> bool:
    """Whether two cells say the same: a file does not tell text from number, and nothing from an empty text."""
    if shown == expected or (shown, expected) == ("", "–"):
        return True
    try:
        return float(shown) == float(expected)
    except ValueError:
        return False


def _notebook_page(name: str, folder: Path, subtitle: str) -> list[str]:
    with tempfile.TemporaryDirectory() as home:
        made = Path(home) / "page.html"
        notebooks.export_page(folder / "notebooks" / f"{name}.ipynb", made, subtitle=subtitle, embed=False)
        shown, given = (_visible(file.read_text("utf-8")) for file in (folder / f"{name}.html", made))
    pictures = {source for source in given[1] if source.startswith("data:")}  # others are named, and were not fetched
    holds = shown[0] == given[0] and len(shown[1]) == len(given[1]) and pictures <= set(shown[1])
    return [] if holds else [f"{name}.html: not the page of notebooks/{name}.ipynb"]


def sections(page: str) -> dict[str, str]:
    """What a reader sees of the first page, by section; "" is what stands above them, and its notices come apart."""
    notice = r'<p class="notice">.*?</p>'
    parts = re.split(r'<h2 id="(\w+)">', re.sub(notice, "", page, flags=re.DOTALL))
    seen = {name: _visible(part)[0] for name, part in zip(["", *parts[1::2]], parts[::2], strict=True)}
    return seen | {"notices": _visible(" ".join(re.findall(notice, page, flags=re.DOTALL)))[0]}


def _visible(page: str) -> tuple[str, list[str]]:
    """Text and pictures of a page, without its looks."""
    texts, hidden = [], ""
    for part in re.split(r"(<[^<>]*>)", page):
        tag = re.match(r"<(/?)(style|script)\b", part)
        if tag:
            hidden = "" if tag[1] else tag[2]
        elif not hidden and not part.startswith("<"):
            texts.append(part)
    return " ".join(html.unescape(" ".join(texts)).split()), re.findall(r'<img\b[^<>]*?\bsrc="([^"]*)"', page)


@contextlib.contextmanager
def reading(archive: Path) -> Iterator[None]:
    """Read what somebody else made in the block: whatever is wrong with it becomes one sentence, a ValueError."""
    try:
        yield
    except Exception as error:  # of any library that meets content it was not written for
        text = " ".join(str(error).split())[:300]
        raise ValueError(f"{archive.name} cannot be checked ({type(error).__name__}): {printable(text)}") from error


def printable(text: object) -> str:
    """A text without what could move the cursor or turn the direction of reading: such letters are spelt out."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in str(text))
