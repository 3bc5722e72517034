"""Written reports: a template and the results of a brief, made into HTML, PDF and DOCX, and checked.

No number is typed: what a report says is read from values, figures and tables, and each of them from runs. A typed
number is found by `numbers.typed_numbers`, listed by `template.render` and given, with all other faults, by
`write_reports` to `make report`, which fails. Every fault is a sentence that begins with a file and, if it has one, a
line. The records of the notebooks tell what was edited; if a record was edited too, the run folders tell.
"""

import math
import re
from pathlib import Path

from lib import evaluation
from lib.config import Brief, paths
from lib.config.files import checksum, read_json, write_json
from lib.report.notebooks import freshness
from lib.report.written import documents
from lib.report.written.calls import Calls
from lib.report.written.documents import FORMATS
from lib.report.written.numbers import count_words
from lib.report.written.template import Report, TemplateError, place, render
from lib.training.runs import Run

__all__ = ["FORMATS", "CheckFailed", "check_packed", "check_reports", "drop_reports", "titles", "write_reports"]

RECORD = "written.json"
SHOTS = "90_tensorboard"  # pictures taken after the notebooks; no notebook of that name exists
FROM_METRICS = ("parameters", "epochs", "train_accuracy", "val_accuracy")
TOLERANCE = 1e-6  # relative: the same numbers, through text and back


class CheckFailed(ValueError):
    """Faults of written reports, one per line, each with its file and line."""


def write_reports(brief: Brief) -> list[str]:
    """Write every report that a brief names in every format, and check it as `check_reports` does.

    A report whose template cannot be filled is not written.
    """
    folder, record, faults = paths.report(brief.name), {}, []
    drop_reports(folder)
    for name in brief.reports:
        try:
            report = render(name, Calls(brief, folder))
            tree, about = documents.parse(documents.to_markdown(report)), documents.about(report)
            foreign = documents.foreign(tree, report)
            faults += foreign
            if foreign:  # nothing that is written may fetch or show it
                continue
            files = documents.export(tree, folder / name, about=about)
            record[name] = {
                "title": report.title,
                "about": about,
                "words": count_words(report.text),
                "text": freshness.digest(documents.to_markdown(report)),
                "files": {file.name: checksum(file) for file in files},
            }
            faults += _faults(report)
        except (TemplateError, documents.ExportError) as error:
            faults.append(str(error))
    if record:
        write_json(folder / RECORD, record)
    return list(dict.fromkeys(faults))


def check_reports(brief: Brief) -> list[str]:
    """Check every report that a brief names as it stands in the report folder.

    Returns:
        Faults, each a sentence with file and line; none if every number, figure and table holds.
    """
    folder, faults = paths.report(brief.name), []
    if brief.reports and not (folder / "values.json").exists():
        return [f"{place(folder)}: not made yet: run `make report BRIEF={brief.name}`"]
    for name in brief.reports:
        try:
            report = render(name, Calls(brief, folder))
            foreign = documents.foreign(documents.parse(documents.to_markdown(report)), report)
            faults += [*foreign, *_faults(report), *_stale(report, folder / name)]
        except (TemplateError, documents.ExportError) as error:
            faults.append(str(error))
    return list(dict.fromkeys(faults))


def check_packed(brief: Brief, root: Path) -> list[str]:
    """Check the written reports of a hand-in that was unpacked into `root`, which holds no weights or predictions.

    They are made again from its own templates and results, and every file must come out as it is.
    """
    folder, faults = root / "reports" / brief.name, []
    for name in brief.reports:
        try:
            report = render(name, Calls(brief, folder), templates=root / "reports" / "templates")
            found = [*report.faults, *_structure(report), *_differing_cells(report.calls)]
            faults += found or _remade(report, folder / name)
        except (TemplateError, documents.ExportError) as error:
            faults.append(str(error))
    return list(dict.fromkeys(faults))


def _remade(report: Report, target: Path) -> list[str]:
    """Files of a written report that its template and its results do not give."""
    said, given = _read_record(target.parent).get(target.name, {}).get("about"), documents.about(report)
    if not isinstance(said, dict) or set(said) != set(given) or {*map(type, said.values())} != {str}:
        return [f"{place(target.parent / RECORD)}: {target.name} lacks its title block"]
    about = given | {name: said[name] for name in ("student", "made", "timestamp")}
    tree = documents.parse(documents.to_markdown(report))
    return documents.foreign(tree, report) or [
        f"{place(file)}: not what its template and the results beside it give, by the packages of requirements.txt"
        for file in (target.with_suffix(f".{suffix}") for suffix in FORMATS)
        if file.read_bytes() != documents.content(tree, target.parent, file.suffix, about=about)
    ]


def drop_reports(folder: Path) -> None:
    """Remove the written reports of a report folder: what they are made from is about to change."""
    record = _read_record(folder)
    if not record and (folder / RECORD).exists():
        print(f"{folder.name}/{RECORD} is damaged: the written reports are made again", flush=True)
    for name in record:
        for suffix in FORMATS:
            (folder / f"{name}.{suffix}").unlink(missing_ok=True)
    (folder / RECORD).unlink(missing_ok=True)


def titles(folder: Path) -> dict[str, str]:
    """Name -> title of the written reports in a report folder, by name."""
    return {name: entry["title"] for name, entry in _read_record(folder).items()}


def _stale(report: Report, target: Path) -> list[str]:
    """Files that are missing, edited, or older than the template and the results."""
    entry = _read_record(target.parent).get(target.name)
    if entry is None:
        return [f"{place(target)}.html: not written yet: run `make report`"]
    if entry.get("text") != freshness.digest(documents.to_markdown(report)):
        return [f"{place(target)}.html: older than its template or its results: run `make report`"]
    return [
        f"{place(target.parent / file)}: missing or edited since it was written: run `make report`"
        for file, expected in entry["files"].items()
        if checksum(target.parent / file) != expected
    ]


def _read_record(folder: Path) -> dict:
    """The entries of the written reports in a folder; none if there are none or the file is damaged."""
    try:
        record = read_json(folder / RECORD)
    except (FileNotFoundError, ValueError):
        return {}
    whole = isinstance(record, dict) and all(isinstance(one, dict) and "title" in one for one in record.values())
    return record if whole else {}


def _faults(report: Report) -> list[str]:
    """What is wrong with a filled report and with the results it shows; nothing if every number holds."""
    calls, found = report.calls, [*report.faults, *_structure(report)]
    for (kind, name), entry in calls.used.items():
        where = _entry_place(calls.folder, kind, name)
        found += [f"{where}: {fault}" for fault in _tampering(calls, kind, name, entry)]
    found += _runs(calls)
    try:
        return [*found, *_differing_values(calls), *_differing_cells(calls)]
    except (OSError, KeyError, TypeError, ValueError) as error:  # runs that are gone are reported above
        return [*found, f"{place(calls.folder)}: a run cannot be read: {error}"]


def _structure(report: Report) -> list[str]:
    """Sections that are missing or empty, and a wrong number of words."""
    where = {field: place(report.sources[0].file, line) for line, field in enumerate(report.sources[0].head, start=2)}
    parts = re.split(r"^## +(.+?)\s*$", report.text, flags=re.MULTILINE)
    filled = {heading for heading, body in zip(parts[1::2], parts[2::2], strict=True) if body.strip()}
    found = [
        f"{where['sections']}: the section {heading!r} is missing or empty"
        for heading in report.sections
        if heading not in filled
    ]
    words, (fewest, most) = count_words(report.text), report.words
    if not fewest <= words <= most:
        found.append(
            f"{where['words']}: {words:,} words, where {fewest:,} to {most:,} are asked for (captions, "
            "tables, headings and references do not count)"
        )
    return found


def _tampering(calls: Calls, kind: str, name: str, entry: dict) -> list[str]:
    """What was done to one value, figure or table since its notebook saved it."""
    notebook, found = entry["notebook"], []
    said = f" Received: {entry['value']!r}" if kind == "value" else ""
    if notebook not in (*calls.brief.notebooks, SHOTS):
        return [f"the {kind} {name!r} was saved by {notebook}, which is no notebook of {calls.brief.name}"]
    record = freshness.read_record(notebook, calls.folder)
    if not record:
        found.append(f"the {kind} {name!r} is not recorded: make the report again, to run {notebook} to its end")
    elif record["entries"].get(f"{kind} {name}") != freshness.digest(entry):
        found.append(f"the {kind} {name!r} was changed after {notebook} saved it.{said}")
    elif record["runs"] and not entry["runs"]:
        found.append(f"the {kind} {name!r} names no run: save it with runs= in {notebook}.{said}")
    if kind != "value" and checksum(calls.folder / entry["file"]) != entry["sha256"]:
        found.append(f"the {kind} {name!r} was edited after {notebook} saved it")
    return found


def _runs(calls: Calls) -> list[str]:
    """Runs that are gone, unfinished, or newer than what is shown of them; one sentence per run is enough."""
    found = {}
    for (kind, name), entry in calls.used.items():
        kept = freshness.read_record(entry["notebook"], calls.folder).get("evidence", {})
        for run in entry["runs"]:
            folder = calls.folder / "runs" / run
            if not Run(folder).finished:
                state = "not finished" if folder.is_dir() else "missing"
                found.setdefault(run, f"the run is {state}; {kind} {name!r} rests on it")
            elif run in kept and kept[run] != freshness.evidence(folder):
                shower = entry["notebook"]
                found.setdefault(run, f"the run has changed since {shower} showed it; {kind} {name!r} is older")
    return [f"{place(calls.folder / 'runs' / run)}: {fault}" for run, fault in found.items()]


def _differing_values(calls: Calls) -> list[str]:
    """Values of the best model, computed again from the run that `best.test_accuracy` names."""
    values = {name: entry for (kind, name), entry in calls.used.items() if kind == "value"}
    runs = values.get("best.test_accuracy", {}).get("runs", ())
    if len(runs) != 1:
        return []
    run = Run(calls.folder / "runs" / runs[0])
    metrics = run.metrics()
    _, labels, probabilities = run.predictions("test")
    scores = {f"best.test_{name}": score for name, score in evaluation.summary(labels, probabilities).items()}
    scores |= {f"best.{name}": metrics[name] for name in FROM_METRICS if name in metrics}
    return [
        f"{_entry_place(calls.folder, 'value', name)}: {name} is {values[name]['value']!r}, but its run gives {score!r}"
        for name, score in scores.items()
        if name in values and not _same(values[name]["value"], score)
    ]


def _differing_cells(calls: Calls) -> list[str]:
    """Cells of the results tables, read again from each row's run."""
    return [
        f"{place(calls.folder / entry['file'])}:{line}: {column} is {row[column]!r}, but its run gives {value!r}"
        for (kind, name), entry in calls.used.items()
        if (kind, name) in (("table", "experiments"), ("table", "transfers"))
        for line, row in enumerate(calls.frame(name).to_dict("records"), start=2)
        if "run" in row
        for column, value in Run(calls.folder / "runs" / row["run"]).record().items()
        if column in row and not _same(row[column], value)
    ]


def _same(said: object, found: object) -> bool:
    """Whether two values agree, numbers to within rounding."""
    if isinstance(said, (int, float)) and isinstance(found, (int, float)):
        return math.isclose(said, found, rel_tol=TOLERANCE, abs_tol=TOLERANCE) or (said != said and found != found)
    return said == found


def _entry_place(folder: Path, kind: str, name: str) -> str:
    """File and line of an entry in values.json or manifest.json."""
    file = folder / ("values.json" if kind == "value" else "manifest.json")
    text = file.read_text(encoding="utf-8")
    pattern = rf'^\s*"{re.escape(name)}": .*?"value":' if kind == "value" else rf'"file": "{kind}s/{re.escape(name)}\.'
    found = re.search(pattern, text, re.MULTILINE | re.DOTALL)
    return place(file, text.count("\n", 0, found.end()) + 1) if found else place(file)
