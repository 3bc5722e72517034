"""The pages that lead to everything in a report: `index.html` of a brief, and the list of all briefs' reports."""

import datetime
import importlib.metadata
import platform
from pathlib import Path

import jinja2
import nbformat
import pandas as pd
from PIL import Image

from lib import briefs
from lib.config import paths
from lib.config.names import read_csv
from lib.report import notebooks, results, written
from lib.report.notebooks import freshness
from lib.report.results.display import column_texts, short, with_code
from lib.training import device
from lib.training.open_brief import OpenBrief

SOURCES = {
    "verified": "verified: the archive has the published checksum",
    "unverified copy": "unverified copy: its checksum is not the published one",
    "drawn": "drawn by this project, the same on every machine",
    "your folder": "your own folder, taken as it is",
}
RUN_FILES = ("config.json", "metrics.json", "history.csv", "environment.json")  # shown, and handed in
LEADING = ("experiment", "seed", "val_accuracy", "val_loss")  # columns that a phone shall show first
LEFT_OUT_ROWS = 50  # shown of the files left out; left_out.csv has them all


def write_pages(opened: OpenBrief, *further: OpenBrief) -> Path:
    """Write `index.html` of a brief's report, and the list of reports one folder up.

    Everything but the brief, its data and its split (and those on its further data sets) is read from the folder.
    """
    page = paths.report(opened.brief.name) / "index.html"
    page.write_text(first_page(page.parent, opened, *further), encoding="utf-8")
    write_overview()
    return page


def first_page(folder: Path, opened: OpenBrief, *further: OpenBrief) -> str:
    """The content of `index.html` of a report folder; see `write_pages`."""
    brief, values, manifest = opened.brief, results.read_values(folder), results.read_manifest(folder)
    notices = [*(part.notice for part in (opened, *further)), values.get("transfer.notice", {}).get("value", "")]
    made = [_notebook(name, folder) for name in brief.notebooks]
    return _render(
        "index.html.jinja",
        brief=brief,
        profile=opened.profile_name,
        notices=[notice for notice in notices if notice],
        written=written_reports(folder),
        headlines=headlines({name: entry["value"] for name, entry in values.items()}, brief.asked_accuracy),
        experiments=experiments_table(folder / "tables" / "experiments.csv"),
        pages=made,
        titles={notebook["name"]: notebook["title"] for notebook in made},
        figures=[_figure(entry, folder) for entry in manifest if entry["kind"] == "figure"],
        tables=[entry for entry in manifest if entry["kind"] == "table"],
        values=values,
        datasets=[part.dataset for part in (opened, *further)],
        sources=SOURCES,
        left_out_rows=LEFT_OUT_ROWS,
        runs=_runs(folder, [*values.values(), *manifest]),
        files=sorted(file.name for file in folder.glob("*.csv")),
        environment=_environment(),
    )


def write_overview() -> Path:
    """Write `reports/index.html`, which leads to the report of each brief."""
    paths.reports().mkdir(parents=True, exist_ok=True)
    page = paths.reports() / "index.html"
    page.write_text(overview(sorted(paths.reports().glob("*/index.html"))), encoding="utf-8")
    return page


def overview(first_pages: list[Path]) -> str:
    """The page that leads to some reports, whose first pages are given."""
    reports = []
    for folder in (page.parent for page in first_pages):
        try:
            values = results.read_values(folder)
        except ValueError as error:  # no other report shall suffer from it
            print(f"left out of the list of reports: {error}", flush=True)
            continue
        facts = {
            "name": folder.name,
            "title": briefs.load(folder.name).title if folder.name in briefs.names() else folder.name,
            "profile": ", ".join(sorted({entry["profile"] for entry in values.values()})),
            "accuracy": values.get("best.test_accuracy", {}).get("value"),
            "written": written_reports(folder),
        }
        reports.append(facts)
    return _render("overview.html.jinja", reports=reports)


def headlines(values: dict, asked_accuracy: float | None) -> list[dict]:
    """The numbers a reader looks for first: label, text, note; those that no notebook saved are left out."""
    asked = f"asked: at least {100 * asked_accuracy:g} %" if asked_accuracy is not None else ""
    roles = [f"{values[f'split.{role}']:,} {role}" for role in ("train", "val", "test") if f"split.{role}" in values]
    rows = (
        ("best.test_accuracy", "Test accuracy", _percent, asked),
        ("best.test_top5_accuracy", "Test accuracy, best of five guesses", _percent, ""),
        ("best.test_balanced_accuracy", "Test accuracy, mean over classes", _percent, ""),
        ("best.test_cross_entropy", "Test cross entropy", "{:.3f}".format, "nats per image"),
        ("best.experiment", "Chosen experiment", str, ""),
        ("best.parameters", "Parameters", short, ""),
        ("best.train_minutes", "Training time", "{:.1f} min".format, ""),
        ("dataset.images", "Images", short, ", ".join(roles)),
        ("dataset.classes", "Classes", short, ""),
        ("dataset.left_out", "Files left out", short, ""),
    )
    saved = [row for row in rows if row[0] in values]
    return [{"label": label, "text": as_text(values[name]), "note": note} for name, label, as_text, note in saved]


def experiments_table(file: Path) -> dict | None:
    """The results table for the page, best first: columns, and rows of cells with a text and a key to sort by.

    None if there is no file.
    """
    if not file.exists():
        return None
    frame = read_csv(file).drop(columns="why", errors="ignore")
    frame = frame.sort_values("val_accuracy", ascending=False, kind="stable")
    names = sorted(frame, key=lambda name: LEADING.index(name) if name in LEADING else len(LEADING))
    columns, cells = [], []
    for name in names:
        column = frame[name]
        number = pd.api.types.is_numeric_dtype(column)
        columns.append({"name": name, "title": name.replace("_", " "), "number": number})
        keys = ["" if pd.isna(cell) else str(cell) for cell in column]
        if "accuracy" in name and column.dropna().between(0, 1).all():
            texts = [_percent(share) if key else short(None) for share, key in zip(column, keys, strict=True)]
        else:
            texts = column_texts(column)
        cells.append([{"text": text, "key": key} for text, key in zip(texts, keys, strict=True)])
    return {"columns": columns, "rows": list(zip(*cells, strict=True))}


def written_reports(folder: Path) -> list[dict]:
    """The written reports of a report folder: title, and the name and format of each file there is."""
    reports = []
    for name, title in written.titles(folder).items():
        files = [{"name": f"{name}.{suffix}", "format": suffix.upper()} for suffix in written.FORMATS]
        files = [file for file in files if (folder / file["name"]).exists()]
        reports += [{"title": title, "files": files}] if files else []
    return reports


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _notebook(name: str, folder: Path) -> dict:
    title = notebooks.title(nbformat.read(folder / "notebooks" / f"{name}.ipynb", as_version=4))
    seconds = freshness.read_record(name, folder)["seconds"]
    return {"name": name, "title": title or name, "seconds": seconds}


def _figure(entry: dict, folder: Path) -> dict:
    with Image.open(folder / entry["file"]) as image:
        return entry | {"width": image.width, "height": image.height}


def _runs(folder: Path, entries: list[dict]) -> dict:
    """Runs that results quote, each with its files, and how many other run folders there are."""
    existing = {run.name for run in (folder / "runs").glob("*/")}
    quoted = sorted({run for entry in entries for run in entry["runs"]})
    files = {run: [name for name in RUN_FILES if (folder / "runs" / run / name).exists()] for run in quoted}
    return {"quoted": files, "others": len(existing.difference(quoted))}


def _environment() -> dict[str, str]:
    git = device.git_state()
    commit = f"{git['commit']}{', with uncommitted changes' if git['dirty'] else ''}" if git["commit"] else "unknown"
    return {
        "Commit": commit,
        "Python": platform.python_version(),
        "Packages": ", ".join(f"{name} {importlib.metadata.version(name)}" for name in device.PACKAGES),
        "System": platform.platform(),
        "Processor": device.cpu_name(),
        "Page made": f"{datetime.datetime.now().astimezone():%Y-%m-%d %H:%M %Z}",
    }


def _render(template: str, **content) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(paths.LIB / "report" / "pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["with_code"] = with_code
    return environment.get_template(template).render(**content)
