"""From Markdown to HTML, PDF and DOCX, with Pandoc and Typst as Python wheels: nothing to install on the system."""

import dataclasses
import html
import json
import os
import re
import subprocess
import tempfile
from pathlib import Path

import pypandoc
import typst

from lib.report.written import docx
from lib.report.written.about import About

FORMATS = ("html", "pdf", "docx")
PAGES = Path(__file__).parent / "pages"
# Pandoc's Markdown, but what looks like HTML, LaTeX or a citation is text.
READER = "markdown-citations-raw_html-raw_tex-raw_attribute-latex_macros-example_lists-native_divs-native_spans"
OTHER_SCRIPTS = re.compile("[\u0590-\u1dff\u2e80-\udfff\uf900-\ufdff\U00010000-\U0010ffff]")
COLUMNS = "--columns=10000"  # tables keep the widths their cells need


class ExportError(ValueError):
    """A report that could not be turned into one of its formats."""


def export(markdown: str, target: Path, *, folder: Path, about: About) -> dict[str, Path]:
    """Write a report in every format.

    Args:
        markdown: the report, figures relative to `folder`.
        target: file without suffix.
        folder: report folder.
        about: title block.

    Returns:
        Format -> file; equal input gives equal bytes.

    Raises:
        ExportError: if Pandoc or Typst refuses; the message says what it says.
    """
    files = {name: target.with_suffix(f".{name}") for name in FORMATS}
    files["html"].write_bytes(_html(markdown, folder, about))
    files["pdf"].write_bytes(_pdf(markdown, folder, about))
    files["docx"].write_bytes(_docx(markdown, folder, about))
    return files


def _html(markdown: str, folder: Path, about: About) -> bytes:
    variables = [f"--variable={name}={html.escape(value)}" for name, value in _texts(about).items() if value]
    style = (PAGES / "report.css").read_text(encoding="utf-8")
    options = ["--standalone", "--embed-resources", "--mathml", f"--template={PAGES / 'report.html'}"]
    options += [f"--metadata=pagetitle={about.title}", f"--variable=style={style}", *variables]
    page = _pandoc(markdown, folder, "html5", *options).decode()
    # Wide tables scroll by themselves, with the keyboard too.
    scroll = r'<div class="scroll" tabindex="0" role="region" aria-label="Table">\g<0>'
    return re.sub("</table>", r"\g<0></div>", re.sub("<table", scroll, page)).encode()


def _docx(markdown: str, folder: Path, about: About) -> bytes:
    facts = {
        "title": about.title,
        "subtitle": f"{about.brief}: {about.question}",
        "author": about.student,
        "date": f"{about.made}. {about.note}" if about.note else about.made,
        "lang": "en-GB",
    }
    options = [f"--metadata={name}={value}" for name, value in facts.items()]
    with tempfile.TemporaryDirectory() as home:
        reference, result = Path(home) / "reference.docx", Path(home) / "report.docx"
        reference.write_bytes(docx.reference(_pandoc("", folder, "", "--print-default-data-file=reference.docx")))
        options += [f"--reference-doc={reference}", f"--output={result}"]
        _pandoc(markdown, folder, "docx", *options, timestamp=about.timestamp)
        return result.read_bytes()


def _pdf(markdown: str, folder: Path, about: About) -> bytes:
    body = _pandoc(markdown, folder, "typst").decode()
    page = (PAGES / "report.typ").read_text(encoding="utf-8")
    texts = json.dumps(_texts(about), ensure_ascii=False)
    try:
        return typst.compile(
            f"{page}\n{_below_title(_with_alt_texts(body, markdown))}".encode(),
            root=str(folder),
            # The fonts that come with Typst give the same pages on every machine; the system's only help out with
            # scripts that those lack.
            ignore_system_fonts=not OTHER_SCRIPTS.search(body + texts),
            sys_inputs={"about": texts},
            timestamp=about.timestamp,
            format="pdf",
        )
    except typst.TypstError as error:
        raise ExportError(f"Typst could not set {about.title!r}: {error.diagnostic or error}") from error


def _with_alt_texts(body: str, markdown: str) -> str:
    """Pandoc leaves the alt texts out of Typst."""
    found = re.findall(r'^!\[.*\]\(([^)]+)\)\{#\S+ alt="((?:[^"\\]|\\.)*)" width', markdown, re.MULTILINE)
    texts = {file: re.sub(r"\\(.)", r"\1", text) for file, text in found}

    def image(match: re.Match) -> str:
        alt = f", alt: {json.dumps(texts[match[1]], ensure_ascii=False)}" if match[1] in texts else ""
        return f'image("/{match[1]}"{alt}'

    return re.sub(r'image\("([^"]+)"', image, body)


def _below_title(body: str) -> str:
    """Figures of the first section go to the foot of a page, and not above the title."""
    first, heading, rest = body.partition("\n= ") if body.startswith("= ") else ("", "", body)
    return first.replace("#figure(image(", "#figure(placement: bottom, image(") + heading + rest


def _pandoc(markdown: str, folder: Path, to: str, *options: str, timestamp: int = 0) -> bytes:
    command = [pypandoc.get_pandoc_path(), *options]
    if to:
        command += [f"--from={READER}", f"--to={to}", "--shift-heading-level-by=-1", COLUMNS, "--fail-if-warnings"]
    if to == "html5":
        command.remove("--shift-heading-level-by=-1")  # the title is its first heading
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(timestamp)}
    done = subprocess.run(command, cwd=folder, input=markdown.encode(), capture_output=True, env=environment)
    if done.returncode:
        raise ExportError(f"Pandoc could not write {to}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def _texts(about: About) -> dict[str, str]:
    return {name: value for name, value in dataclasses.asdict(about).items() if isinstance(value, str)}
