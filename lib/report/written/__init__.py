"""Written reports: a template and the results of a brief, made into HTML, PDF and DOCX, and checked.

No number is typed: what a report says is read from values, figures and tables, and each of them from runs.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from lib.config import Brief, paths
from lib.config.files import read_json, write_json
from lib.report.written import about, check, export, markdown, source
from lib.report.written.findings import Findings
from lib.report.written.prose import count_words
from lib.report.written.render import Report, prose_of, render
from lib.report.written.source import TemplateError

__all__ = ["FORMATS", "CheckFailed", "check_reports", "drop_reports", "titles", "words", "write_reports"]

FORMATS = export.FORMATS
RECORD = "written.json"


class CheckFailed(ValueError):
    """Faults of written reports, one a line, each with its file and line."""

    def __init__(self, faults: list[str]):
        super().__init__("\n".join(faults))


@dataclass(frozen=True)
class _Filled:
    """One report, filled: with its Markdown and what it rests on."""

    report: Report
    findings: Findings
    text: str


def write_reports(brief: Brief) -> list[str]:
    """Write every report of a brief in every format, and check it.

    Args:
        brief: its `reports` names the templates.

    Returns:
        Faults, each a sentence with file and line; a report whose template cannot be filled is not written.
    """
    folder, record, faults = paths.report(brief.name), {}, []
    drop_reports(folder)
    for name in brief.reports:
        try:
            filled = _fill(name, brief)
            record[name] = _write(name, filled, brief)
            faults += _faults(filled)
        except (TemplateError, export.ExportError) as error:
            faults.append(str(error))
    if record:
        write_json(folder / RECORD, record)
    return list(dict.fromkeys(faults))


def check_reports(brief: Brief) -> list[str]:
    """Check every report of a brief as it stands in the report folder.

    Args:
        brief: its `reports` names the templates.

    Returns:
        Faults, each a sentence with file and line; none if every number, figure and table holds.
    """
    folder, faults = paths.report(brief.name), []
    record = _read_record(folder)
    if brief.reports and not (folder / "values.json").exists():
        return [f"{source.shown(folder)}: not made yet: run `make report BRIEF={brief.name}`"]
    for name in brief.reports:
        try:
            filled = _fill(name, brief)
            faults += [*_faults(filled), *_stale(name, filled, record.get(name), folder)]
        except TemplateError as error:
            faults.append(str(error))
    return list(dict.fromkeys(faults))


def drop_reports(folder: Path) -> None:
    """Remove the written reports of a report folder: what they are made from is about to change."""
    for name in _read_record(folder):
        for suffix in FORMATS:
            (folder / f"{name}.{suffix}").unlink(missing_ok=True)
    (folder / RECORD).unlink(missing_ok=True)


def titles(folder: Path) -> dict[str, str]:
    """Name -> title of the written reports in a report folder, in the order of the brief."""
    return {name: entry["title"] for name, entry in _read_record(folder).items()}


def words(brief: Brief) -> dict[str, int]:
    """Name -> number of words of each report of a brief, as the check counts them."""
    return {name: count_words(prose_of(_fill(name, brief).report.text)) for name in brief.reports}


def _fill(name: str, brief: Brief) -> _Filled:
    folder = paths.report(brief.name)
    findings = Findings(folder, brief)
    report = render(source.load(name, brief.name), findings)
    return _Filled(report, findings, markdown.to_markdown(report, folder, findings.used))


def _faults(filled: _Filled) -> list[str]:
    return [*check.faults_of_text(filled.report), *check.faults_of_results(filled.findings)]


def _write(name: str, filled: _Filled, brief: Brief) -> dict:
    folder = paths.report(brief.name)
    runs = dict.fromkeys(run for entry in filled.findings.used.values() for run in entry["runs"])
    block = about.about(
        filled.report.source.title,
        brief,
        profile=filled.findings.profile,
        runs=[folder / "runs" / run for run in runs],
    )
    files = export.export(filled.text, folder / name, folder=folder, about=block)
    return {
        "title": filled.report.source.title,
        "words": count_words(prose_of(filled.report.text)),
        "text": _checksum(filled.text.encode()),
        "files": {file.name: _checksum(file.read_bytes()) for file in files.values()},
    }


def _stale(name: str, filled: _Filled, entry: dict | None, folder: Path) -> list[str]:
    """Files that are missing, edited, or older than the template and the results."""
    if entry is None:
        return [f"{source.shown(folder / name)}.html: not written yet: run `make report`"]
    if entry["text"] != _checksum(filled.text.encode()):
        return [f"{source.shown(folder / name)}.html: older than its template or its results: run `make report`"]
    return [
        f"{source.shown(folder / file)}: missing or edited since it was written: run `make report`"
        for file, checksum in entry["files"].items()
        if not (folder / file).exists() or _checksum((folder / file).read_bytes()) != checksum
    ]


def _read_record(folder: Path) -> dict:
    file = folder / RECORD
    return read_json(file) if file.exists() else {}


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
