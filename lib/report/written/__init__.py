"""Written reports: a template and the results of a brief, made into HTML, PDF and DOCX, and checked.

No number is typed: what a report says is read from values, figures and tables, and each of them from runs. The way of
a typed number to its refusal: `template.render` finds it with `numbers.typed_numbers`, `check.faults` lists it, and
`write_reports` gives it to `make report`, which fails.
"""

import hashlib
from pathlib import Path

from lib.config import Brief, paths
from lib.config.files import checksum, read_json, write_json
from lib.report.written import check, documents
from lib.report.written.calls import Calls
from lib.report.written.documents import FORMATS
from lib.report.written.numbers import count_words
from lib.report.written.template import Report, TemplateError, prose_of, render, short_path

__all__ = ["FORMATS", "CheckFailed", "check_reports", "drop_reports", "titles", "write_reports"]

RECORD = "written.json"


class CheckFailed(ValueError):
    """Faults of written reports, one per line, each with its file and line."""


def write_reports(brief: Brief) -> list[str]:
    """Write every report that a brief names in every format, and check it.

    Returns:
        Faults, each a sentence with file and line; a report whose template cannot be filled is not written.
    """
    folder, record, faults = paths.report(brief.name), {}, []
    drop_reports(folder)
    for name in brief.reports:
        try:
            report = render(name, Calls(brief, folder))
            record[name] = _write(report, folder / name)
            faults += check.faults(report)
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
        return [f"{short_path(folder)}: not made yet: run `make report BRIEF={brief.name}`"]
    for name in brief.reports:
        try:
            report = render(name, Calls(brief, folder))
            faults += [*check.faults(report), *_stale(report, folder / name)]
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


def _write(report: Report, target: Path) -> dict:
    text = documents.to_markdown(report)
    files = documents.export(text, target, about=documents.about(report))
    return {
        "title": report.title,
        "words": count_words(prose_of(report.text)),
        "text": _digest(text),
        "files": {file.name: checksum(file) for file in files},
    }


def _stale(report: Report, target: Path) -> list[str]:
    """Files that are missing, edited, or older than the template and the results."""
    entry = _read_record(target.parent).get(target.name)
    if entry is None:
        return [f"{short_path(target)}.html: not written yet: run `make report`"]
    if entry["text"] != _digest(documents.to_markdown(report)):
        return [f"{short_path(target)}.html: older than its template or its results: run `make report`"]
    return [
        f"{short_path(target.parent / file)}: missing or edited since it was written: run `make report`"
        for file, expected in entry["files"].items()
        if checksum(target.parent / file) != expected
    ]


def _read_record(folder: Path) -> dict:
    file = folder / RECORD
    return read_json(file) if file.exists() else {}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
