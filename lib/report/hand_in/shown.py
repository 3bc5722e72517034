"""Whether the notebooks, the pages and the written reports of a hand-in show the results that lie beside them.

Nothing of it is run: what is shown is made again from these results by the code of this copy, and compared.
"""

import ast
import base64
import contextlib
import html
import re
import tempfile
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pandas as pd

from lib import briefs
from lib.config.names import read_csv
from lib.report import notebooks, pages, results, written
from lib.report.hand_in.claims import FILE_NAME
from lib.report.results import display

NOT_COMPARED = ("notices", "data", "runs", "environment")  # sections of the first page; some are, when made again
SHOWN_IN = re.compile(rf"\(({FILE_NAME.pattern})\)$")  # the end of what a notebook prints of a figure or table


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


def _outputs(name: str, root: Path, folder: Path) -> list[str]:
    """Outputs of an executed notebook that are not what its cells print of the saved results."""
    where, values = f"notebooks/{name}.ipynb", results.read_values(folder)
    entries = {entry["file"]: entry for entry in results.read_manifest(folder)}
    executed, shipped = (nbformat.read(start / where, as_version=4).cells for start in (folder, root))
    executed = [cell for cell in executed if "injected-parameters" not in cell.metadata.get("tags", [])]
    if [(cell.cell_type, cell.source) for cell in executed] != [(cell.cell_type, cell.source) for cell in shipped]:
        return [f"{where}: its cells are not those of the notebook in this hand-in"]
    faults = []
    for number, cell in enumerate(executed, start=1):
        said = _sentences(cell.source, values)
        for output in cell.get("outputs", []):
            data = {kind: text for kind, text in output.get("data", {}).items() if isinstance(text, str)}
            found = SHOWN_IN.search(data.get("text/plain", ""))
            if "text/markdown" in data and said is not None:
                holds = set(data.values()) <= said
            elif found:
                holds = found[1] in entries and _shows(data, entries[found[1]], folder)
            else:
                holds = not data.get("text/html", "").startswith(("<figure", "<table"))  # which nobody has saved
            faults += [] if holds else [f"{where}, cell {number}: it shows other results than were saved"]
    return list(dict.fromkeys(faults))


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
            said |= set(results.fill(text, values))
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
    expected = display.table_html(read_csv(file), entry["caption"], file=entry["file"])
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
