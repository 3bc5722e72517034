"""The check of a written report: every fault is a sentence that begins with a file and, where it has one, a line."""

import hashlib
import re
import zipfile
from pathlib import Path

from lib.report.notebooks import freshness
from lib.report.written import recompute
from lib.report.written.findings import Findings
from lib.report.written.prose import count_words
from lib.report.written.render import Report, prose_of
from lib.report.written.source import HEADING, shown
from lib.training.runs import Run

SHOTS = "90_tensorboard"  # pictures taken after the notebooks; no notebook of that name exists


def faults_of_text(report: Report) -> list[str]:
    """Typed numbers, sources that are not listed, missing sections, and a wrong number of words."""
    source, text = report.source, prose_of(report.text)
    found = list(report.faults)
    sections = re.split(HEADING.pattern + "$", report.text, flags=re.MULTILINE)
    filled = {heading for heading, body in zip(sections[1::2], sections[2::2], strict=True) if body.strip()}
    for heading in source.demanded:
        if heading not in filled:
            found.append(f"{source.places['sections']}: the section {heading!r} is missing or empty")
    words, (fewest, most) = count_words(text), source.words
    if not fewest <= words <= most:
        found.append(
            f"{source.places['words']}: {words:,} words, where {fewest:,} to {most:,} are asked for (captions, tables, "
            "headings and references do not count)"
        )
    return found


def faults_of_results(findings: Findings) -> list[str]:
    """Values, figures and tables that no run stands behind, that were edited, or whose runs have changed since."""
    owners = (*findings.brief.notebooks, SHOTS)
    records = {name: freshness.read_record(name, findings.folder) for name in owners}
    found = []
    for (kind, name), entry in findings.used.items():
        place = _place(findings.folder, kind, name)
        found += [f"{place}: {fault}" for fault in _faults(kind, name, entry, records, findings)]
    return list(dict.fromkeys([*found, *_runs(findings, records), *_recomputed(findings)]))


def _faults(kind: str, name: str, entry: dict, records: dict, findings: Findings) -> list[str]:
    """What is wrong with one value, figure or table."""
    notebook = entry["notebook"]
    said = f" Received: {entry['value']!r}" if kind == "value" else ""
    found = []
    if notebook in records:
        record = records[notebook]
        if not record:
            found.append(f"the {kind} {name!r} is not recorded: make the report again, to run {notebook} to its end")
        elif record["entries"].get(f"{kind} {name}") != freshness.digest(entry):
            found.append(f"the {kind} {name!r} was changed after {notebook} saved it.{said}")
        elif record["runs"] and not entry["runs"]:
            found.append(f"the {kind} {name!r} names no run: save it with runs= in {notebook}.{said}")
    else:
        found.append(f"the {kind} {name!r} was saved by {notebook}, which is no notebook of {findings.brief.name}")
    if kind != "value":
        file = findings.folder / entry["file"]
        if not file.exists():
            found.append(f"the {kind} {name!r} is gone: make the report again")
        elif hashlib.sha256(file.read_bytes()).hexdigest() != entry["sha256"]:
            found.append(f"the {kind} {name!r} was edited after {notebook} saved it")
    return found


def _runs(findings: Findings, records: dict) -> list[str]:
    """Runs that are gone, unfinished, or newer than what is shown of them."""
    found = []
    for (kind, name), entry in findings.used.items():
        kept = (records.get(entry["notebook"]) or {}).get("evidence", {})
        for run in entry["runs"]:
            folder = findings.folder / "runs" / run
            if not Run(folder).finished:
                state = "not finished" if folder.is_dir() else "missing"
                found.append((run, f"the run is {state}; {kind} {name!r} rests on it"))
            elif run in kept and kept[run] != freshness.evidence(folder):
                found.append(
                    (run, f"the run has changed since {entry['notebook']} showed it; {kind} {name!r} is older")
                )
    first = {}  # one sentence a run is enough
    for run, fault in found:
        first.setdefault(run, f"{shown(findings.folder / 'runs' / run)}: {fault}")
    return list(first.values())


def _recomputed(findings: Findings) -> list[str]:
    """Numbers that the run folders do not bear out; runs that are gone are reported elsewhere."""
    found = []
    values = {name: entry for (kind, name), entry in findings.used.items() if kind == "value"}
    try:
        for name, score in recompute.differing_values(findings.folder, values).items():
            place, said = _place(findings.folder, "value", name), findings.values[name]["value"]
            found.append(f"{place}: {name} is {said!r}, but its run gives {score!r}")
        if ("table", "experiments") in findings.used:
            cells = recompute.differing_cells(findings.folder, findings.frame("experiments"))
            file = shown(findings.folder / findings.entry("table", "experiments")["file"])
            for row, column, said, value in cells:
                found.append(f"{file}:{row + 2}: {column} is {said!r}, but its run gives {value!r}")
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:  # RunError too
        found.append(f"{shown(findings.folder)}: a run cannot be read: {error}")
    return found


def _place(folder: Path, kind: str, name: str) -> str:
    """File and line of an entry in values.json or manifest.json."""
    file = folder / ("values.json" if kind == "value" else "manifest.json")
    lines = file.read_text(encoding="utf-8").splitlines()
    if kind == "value":
        number = next((n for n, line in enumerate(lines, 1) if line.lstrip().startswith(f'"{name}":')), 0)
        number = next((n for n, line in enumerate(lines[number:], number + 1) if '"value":' in line), number)
    else:
        wanted = f'"{kind}s/{name}.'
        number = next((n for n, line in enumerate(lines, 1) if '"file":' in line and wanted in line), 0)
    return f"{shown(file)}:{number}" if number else shown(file)
