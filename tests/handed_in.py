"""A whole report of the demo brief as it is handed in, with executed notebooks that show what they saved."""

import ast
import json

import nbformat
import pandas as pd
from nbformat.v4 import new_output
from small_report import MACHINE, small_study
from written_report import CLASSES, add_transfers, make_report_folder

from lib import briefs
from lib.config.files import write_json
from lib.datasets.storage import write_table
from lib.report import notebooks, pages, results, written
from lib.report.hand_in import pack
from lib.report.notebooks import freshness
from lib.report.results import Results, display

BEST = "best-seed0-0123456789"


def make_whole_report():
    """Write a finished smoke report of the demo brief, without training or executing; returns its folder."""
    brief = briefs.load("demo")
    folder = make_report_folder(brief, seeds=1, masks=False, profile="smoke")
    add_transfers(folder, {"frozen": 0.5, "fine_tuned": 0.6, "scratch": 0.3}, profile="smoke")
    for run in (folder / "runs").iterdir():
        config = json.loads((run / "config.json").read_text())
        write_json(run / "config.json", config | {"classes": CLASSES})
        write_json(run / "environment.json", MACHINE | {"wall_seconds": 90.0, "commit": "0123456789abcdef"})
    Results(folder, notebook="04_explainability", profile="smoke").save_value("explain.best_method", "x", runs=[BEST])
    roles = ["test"] * 30 + ["train"] * 60 + ["val"] * 20
    paths_of_images = [f"{CLASSES[row % 3]}/{row}.jpg" for row in range(110)]
    split = pd.DataFrame({"path": paths_of_images, "label": [row % 3 for row in range(110)], "role": roles})
    write_table(folder / "split.csv", split, split="0" * 64)
    for name in ("left_out", "audit"):
        (folder / f"{name}.csv").write_text("path,reason\nbee/odd.jpg,not an image\n")
    for name in brief.notebooks:
        with freshness.recording(name, folder, made_from={"the code in lib": freshness.code()}):
            write_executed(name, folder)
    assert written.write_reports(brief) == []
    pages.write_pages(small_study("demo", "smoke"))
    assert pack.lacking("demo", folder) == []
    return folder


def write_executed(name, folder):
    """A notebook with the outputs of its sentences, and of each figure and table that was saved under its name."""
    notebook = nbformat.read(notebooks.locate(name), as_version=4)
    entries = [entry for entry in results.read_manifest(folder) if entry["notebook"] == name]
    for cell in notebook.cells:
        said = [] if cell.cell_type != "code" else sentences(cell.source, results.read_values(folder))
        cell.update({"outputs": [published(text, markdown=marked) for text, marked in said]} if said else {})
    last = notebook.cells[-1]
    for entry in entries:
        if entry["kind"] == "figure":
            image = (folder / entry["file"]).read_bytes()
            html = display.figure_html(image, entry["caption"], alt=entry["alt"], width=200)
        else:
            html = display.table_html(pd.read_csv(folder / entry["file"]), entry["caption"], file=entry["file"])
        last.outputs.append(published(f"{entry['caption']} ({entry['file']})", html=html))
    executed = folder / "notebooks" / f"{name}.ipynb"
    nbformat.write(notebook, executed)
    notebooks.export_page(executed, folder / f"{name}.html", subtitle="demo, profile smoke")


def published(text, **kinds):
    return new_output("display_data", {"text/plain": text} | {f"text/{kind}": said for kind, said in kinds.items()})


def sentences(source, values):
    """What the sentences of a cell come to, where all of their values are there."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "say":
            try:
                found.append(results.fill(node.args[0].value, values))
            except (ValueError, AttributeError):
                continue
    return found
