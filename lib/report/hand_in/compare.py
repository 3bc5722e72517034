"""Two reports of the same brief, number by number: what must repeat, what may differ, and by how much.

Everything but times repeats on one machine. Another number of threads or another processor changes the last digits of
sums, and training amplifies them: what comes from a run may then differ within the limits below, which the README of
the reports explains.
"""

import hashlib
import io
import math
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pandas as pd
from PIL import Image

from lib.config.names import printable
from lib.report import results
from lib.report.hand_in import pack, shown
from lib.report.notebooks import freshness

TIME_WORDS = {"seconds", "minutes", "hours"}
TIMED_FIGURE_WORDS = TIME_WORDS | {"cost", "time", "times", "speed"}
TIME = r"\d[\d.,]*( |\u00a0)?(s|min|h|seconds?|minutes?|hours?)\b"
# Results of these names say what a machine could show, or what was found before the clock ended a search.
CHANGING = ("tensorboard", "search")
SHARE_LIMIT = 0.10  # largest difference of an accuracy or another share between machines
RELATIVE_LIMIT = 0.30  # of other fractions, such as a loss, relative to the larger one

DIFFERS, MAY_FOLLOW, WITHIN, NOT_COMPARED, SAME = "differs", "may follow", "within limits", "not compared", "same"
WORST_FIRST = [DIFFERS, MAY_FOLLOW, WITHIN, NOT_COMPARED, SAME]
MISSING = "missing"


@dataclass(frozen=True)
class Line:
    """One value, figure or table of two reports."""

    name: str
    first: str
    second: str
    verdict: str


def compare_reports(first: Path, second: Path, *, same_machine: bool, predictions: Path | None = None) -> list[Line]:
    """Compare the report folder handed in with the one made again: one line per value, and then per file.

    On the same machine (processor, threads and versions) nothing but times may differ. On another one, fractions from
    runs may differ within limits, and what follows from them (counts, words, figures) may too. `predictions` is the
    table of predictions on test that was handed in beside the first folder.
    """
    handed_in, made = _contents(first), _contents(second)
    if predictions:
        runs = [str(pack.best_run(second))]
        tables = [pd.read_csv(file, dtype=str) for file in (predictions, io.BytesIO(pack.test_predictions(second)))]
        for found, table in zip((handed_in, made), tables, strict=True):
            facts = table.reindex(columns=["image", "true_class"])
            found["predictions/images"] = {"value": _digest(facts.to_csv().encode()), "runs": []}
            found["predictions/answers"] = {"value": _digest(table.to_csv().encode()), "runs": runs}
    return compare_values(handed_in, made, same_machine=same_machine)


def _contents(folder: Path) -> dict:
    """All values of a report, and in the same form the fingerprints of what else it shows."""
    found = results.read_values(folder)
    for entry in results.read_manifest(folder):
        found[entry["file"]] = {"value": fingerprint(folder / entry["file"]), "runs": entry["runs"]}
    for file in sorted((folder / "notebooks").glob("*.ipynb")):
        record = freshness.read_record(file.stem, folder)
        found[f"notebooks/{file.name}"] = {"value": _outputs(file), "runs": list(record.get("runs", []))}
    for file in sorted(folder.glob("*.csv")):
        found[f"data/{file.name}"] = {"value": fingerprint(file), "runs": []}
    page = (folder / "index.html").read_text("utf-8") if (folder / "index.html").is_file() else ""
    facts = [shown.sections(page).get(name, "") for name in ("notices", "data")]
    return found | {"data/index.html": {"value": _digest("\n".join(facts).encode()), "runs": []}}


def compare_values(first: dict, second: dict, *, same_machine: bool) -> list[Line]:
    """Compare entries like those of two `values.json`; what may differ, the second one decides: it was made again."""
    lines, missing = [], {"value": MISSING}
    for name in sorted({*first, *second}, key=lambda name: ("/" in name, name)):
        one, other = first.get(name, missing), second.get(name, missing)
        if name.split("/")[-1].replace(".", "_").split("_")[0] in CHANGING:
            verdict = NOT_COMPARED
        elif MISSING in (one["value"], other["value"]) or not _comparable(one["value"], other["value"]):
            verdict = DIFFERS
        elif shows_times(name) if "/" in name else is_time(name):
            verdict = NOT_COMPARED
        else:
            verdict = _verdict(one["value"], other["value"], exact=same_machine or not other["runs"])
        lines.append(Line(printable(name), _text(one["value"]), _text(other["value"]), verdict))
    return lines


def _comparable(one, other) -> bool:
    """Whether two values are of one type; a whole number may stand for an equal fraction."""
    numbers = {type(one), type(other)} == {int, float}
    return one == other if numbers else type(one) is type(other)


def _verdict(one, other, *, exact: bool) -> str:
    fractions = isinstance(one, float)
    if one == other or fractions and math.isclose(one, other, rel_tol=1e-9):
        return SAME
    if exact:
        return DIFFERS
    if not fractions:
        return MAY_FOLLOW
    if max(abs(one), abs(other)) <= 1:
        return WITHIN if abs(one - other) <= SHARE_LIMIT else DIFFERS
    return WITHIN if math.isclose(one, other, rel_tol=RELATIVE_LIMIT) else DIFFERS


def fingerprint(file: Path) -> str:
    """A short checksum over a figure's pixels, or over a table's cells but for columns of times."""
    if not file.is_file():
        return MISSING
    if file.suffix == ".png":
        with Image.open(file) as image:
            content = repr(image.size).encode() + image.convert("RGBA").tobytes()
    else:
        frame = pd.read_csv(file, dtype=str, keep_default_na=False, comment="#" if file.name == "split.csv" else None)
        content = frame[[column for column in frame if not is_time(column)]].to_csv(index=False).encode()
    return _digest(content)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


def _outputs(file: Path) -> str:
    """A short checksum over what an executed notebook prints, without times; figures and tables have their own."""
    texts = []
    for cell in nbformat.read(file, as_version=4).cells:
        for output in cell.get("outputs", []):
            texts_of = {"text": output.get("text", "")} | output.get("data", {})
            for kind in ("text", "text/plain", "text/markdown", "text/html"):
                text = texts_of.get(kind, "")
                texts += [] if text.startswith(("<figure", "<table")) else [re.sub(TIME, "a time", text)]
    return _digest("\n".join(texts).encode())


def as_text(lines: list[Line]) -> str:
    """A table for the terminal: what is not the same, worst first, and how many of each verdict there are."""
    listed = [line for line in lines if line.verdict not in (SAME, NOT_COMPARED)]
    listed.sort(key=lambda line: WORST_FIRST.index(line.verdict))
    rows = [("name", "handed in", "made again", "verdict")] if listed else []
    rows += [(line.name, line.first[:40], line.second[:40], line.verdict) for line in listed]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    counts = Counter(line.verdict for line in lines)
    total = ", ".join(f"{counts[verdict]} {verdict}" for verdict in WORST_FIRST if counts[verdict])
    return "\n".join([*table, f"{len(lines)} compared: {total or 'nothing'}"])


def _text(value) -> str:
    return f"{value:.6g}" if isinstance(value, float) else printable(value)


def is_time(name: str) -> bool:
    """Whether a value is a time, which differs from run to run: its last word is seconds, minutes or hours."""
    return name.replace(".", "_").split("_")[-1] in TIME_WORDS


def shows_times(file: str) -> bool:
    """Whether a figure or table shows times or what a machine could show, by the words of its file's name."""
    words = Path(file).stem.split("_")
    return bool(set(words) & {*TIMED_FIGURE_WORDS, *CHANGING})
