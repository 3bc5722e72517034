"""A filled report as Pandoc's Markdown: marks become spans, links, figures and tables."""

import re
from pathlib import Path

import pandas as pd
from PIL import Image

from lib.report.written import numbers
from lib.report.written.functions import Block
from lib.report.written.numbers import escape
from lib.report.written.prose import VERBATIM
from lib.report.written.render import Report
from lib.training.runs import Run

TEXT_WIDTH, MOST_HEIGHT = 6.3, 4.4  # inches on the page
DOTS = 150  # pixels an inch of saved figures
APPENDIX = "Appendix: runs behind this report"


def to_markdown(report: Report, folder: Path, used: dict) -> str:
    """The report as Markdown for Pandoc, with an appendix that names the runs.

    Args:
        report: filled template.
        folder: report folder that the figures lie in.
        used: (kind, name) -> entry, as `Findings.used`.

    Returns:
        Markdown whose figures are relative to the folder.
    """
    parts, end = [], 0
    for part in VERBATIM.finditer(report.text):
        parts += [_spans(report.text[end : part.start()], report), numbers.MARKED.sub(r"\2", part[0])]
        end = part.end()
    text = "".join([*parts, _spans(report.text[end:], report)])

    def place(match: re.Match) -> str:
        if match[1] == numbers.BLOCK:  # its caption may hold references and values of its own
            return numbers.PLACED.sub(place, _spans(block_markdown(report.blocks[int(match[2])], folder), report))
        block = report.links[int(match[2])]
        return f"[{block.label}](#{block.anchor})"

    return f"{numbers.PLACED.sub(place, text).strip()}\n\n{_appendix(report, folder, used)}"


def block_markdown(block: Block, folder: Path) -> str:
    """A figure or table with its number, caption and label."""
    caption = block.caption or _plain(block.entry["caption"])
    caption = f"**{block.label}.** {' '.join(caption.split())}"
    if block.kind == "figure":
        width = block.width or f"{_width(folder / block.entry['file'])}%"
        alt = escape(" ".join(block.entry["alt"].split()))
        return f'![{caption}]({block.entry["file"]}){{#{block.anchor} alt="{alt}" width={width}}}'
    if block.left_out:
        caption += f" The first {len(block.rows)} of {len(block.rows) + block.left_out} rows."
    return _table(block.header, block.numeric, block.rows, f"{caption} {{#{block.anchor}}}")


def _spans(text: str, report: Report) -> str:
    def span(match: re.Match) -> str:
        if not re.search(r"\d", match[2]) and match[2] not in numbers.WORDS:
            return escape(match[2])
        title = re.sub(r'["\\]', "", str(report.origins[int(match[1])]))
        return f'[{escape(match[2])}]{{.value title="{title}"}}'

    return numbers.MARKED.sub(span, text)


def _plain(caption: str) -> str:
    """A notebook's caption: names in backticks stay, everything else is shown letter by letter."""
    parts = re.split(r"(`[^`]+`)", caption)
    return "".join(part if number % 2 else escape(part) for number, part in enumerate(parts))


def _width(file: Path) -> int:
    """Share of the text's width, in per cent: the figure's own size where that fits."""
    with Image.open(file) as image:
        width, height = image.width / DOTS, image.height / DOTS
    return max(20, min(100, round(100 * width * min(1, MOST_HEIGHT / height) / TEXT_WIDTH)))


def _table(header: tuple[str, ...], numeric: tuple[bool, ...], rows: tuple[tuple[str, ...], ...], caption: str) -> str:
    rule = ["---:" if number else ":---" for number in numeric]
    cells = [[_cell(cell) for cell in row] for row in [header, *rows]]
    lines = [f"| {' | '.join(row)} |" for row in [cells[0], rule, *cells[1:]]]
    return "\n".join([*lines, "", f": {caption}"])


def _cell(cell: str) -> str:
    return escape(" ".join(str(cell).split()))


def _appendix(report: Report, folder: Path, used: dict) -> str:
    """Every run that a value, figure or table of the report rests on."""
    shown = {(block.kind, block.name): block.label for block in report.blocks}
    runs = {}
    for (kind, name), entry in used.items():
        for run in entry["runs"]:
            runs.setdefault(run, {"value": 0, "figure": [], "table": []})
            if (kind, name) in shown:
                runs[run][kind].append(shown[kind, name].split(numbers.SPACE)[1])
    rows = [_run_row(Run(folder / "runs" / run), runs[run]) for run in sorted(runs)]
    if not rows:
        return ""
    number = 1 + sum(block.kind == "table" for block in report.blocks)
    frame = pd.DataFrame(rows)
    numeric = tuple(name in ("Seed", "Epochs") for name in frame)
    caption = f"**Table{numbers.SPACE}{number}.** The trained networks that numbers, figures and tables come from."
    table = _table(tuple(frame), numeric, tuple(frame.itertuples(index=False, name=None)), f"{caption} {{#table-runs}}")
    return f"## {APPENDIX}\n\n{table}\n"


def _run_row(run: Run, shown: dict) -> dict[str, str]:
    """One run of the appendix; a run that is gone has only its name, and the check says so."""
    finished = run.finished and (run.folder / "config.json").exists() and (run.folder / "environment.json").exists()
    config, environment = (run.config(), run.environment()) if finished else ({}, {})
    return {
        "Run": run.id,
        "Experiment": config.get("experiment", "–"),
        "Seed": str(config.get("seed", "–")),
        "Epochs": str(run.metrics().get("epochs", "–")) if finished else "–",
        "Commit": (environment.get("commit") or "–")[:7],
        "Figures": _numbers(shown["figure"]),
        "Tables": _numbers(shown["table"]),
    }


def _numbers(numbers: list[str]) -> str:
    return ", ".join(sorted(numbers, key=int)) or "–"
