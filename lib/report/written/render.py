"""Filling a template: Jinja2, sandboxed, and every error with the file and line it is about."""

import re
import sys
import traceback
from dataclasses import dataclass

import jinja2
from jinja2.sandbox import SandboxedEnvironment

from lib.report.written import numbers
from lib.report.written.findings import Findings
from lib.report.written.functions import Block, Written
from lib.report.written.numbers import Number, Origin, Text
from lib.report.written.prose import VERBATIM, blank_tags, typed_numbers
from lib.report.written.source import REFERENCES, Source, TemplateError

TAG_LINE = re.compile(r"^[ \t]*((?:\{%(?:(?!%\}).)*%\}|\{#(?:(?!#\}).)*#\})+)[ \t]*\n", re.MULTILINE | re.DOTALL)
FILE = "<template>"  # what Jinja calls a template that comes from a string


@dataclass(frozen=True)
class Report:
    """A filled template: Markdown with marks, and what the marks stand for."""

    source: Source
    text: str
    blocks: tuple[Block, ...]
    origins: tuple[Origin, ...]
    links: tuple[Block, ...]  # what each ref() points to
    faults: tuple[str, ...]  # sentences, each with its file and line


def render(source: Source, findings: Findings) -> Report:
    """Fill a template with what a report folder holds.

    Args:
        source: template of the report.
        findings: results to fill it with; those that are asked for are noted in it.

    Returns:
        The filled report; typed numbers and other faults are listed in it.

    Raises:
        TemplateError: if the template has a syntax error, or asks for something that is not there.
    """
    written = Written(findings)
    try:
        environment = _environment(written)
        environment.parse(source.text)  # finds errors of syntax at their own lines
        template = environment.from_string(_without_tag_lines(source.text))
        written.line = lambda: _calling_line(template)
        text = template.render(written.functions())
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(f"{source.place(error.lineno)}: {error.message}") from error
    except (jinja2.TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise TemplateError(f"{source.place(_failing_line(error))}: {error}") from error
    faults = [
        f"{source.place(line)}: typed number {number!r}: take it from the runs with value(), or name its origin"
        for line, number in _typed(source, written)
    ]
    faults += [*_pictures(source), *_uncited(source, written, text)]
    links = tuple(_target(reference, written.blocks, source) for reference in written.references)
    return Report(source, text, tuple(written.blocks), tuple(written.origins), links, tuple(faults))


def prose_of(text: str) -> str:
    """A filled report without its blocks and its references: what counts as words."""
    text = re.split(rf"^##+ +{REFERENCES}\b.*$", text, maxsplit=1, flags=re.MULTILINE)[0]
    return numbers.PLACED.sub(lambda placed: " " if placed[1] == numbers.BLOCK else "Figure", text)


def _environment(written: Written) -> SandboxedEnvironment:
    @jinja2.pass_context  # asks Jinja to call it when a page is made, also for what it could work out before
    def finish(_context, value) -> str:
        if isinstance(value, (Number, Text)):
            return written.mark(value)
        if value is None:
            raise ValueError("There is nothing to print here: ask with {% if %} first. Received: none")
        written.check_typed(str(value))
        return str(value)

    return SandboxedEnvironment(undefined=jinja2.StrictUndefined, finalize=finish, autoescape=False)


def _without_tag_lines(text: str) -> str:
    """The template so that lines that hold only tags leave nothing behind, not even a line's end.

    Jinja's own `trim_blocks` would also join a sentence that closes with a tag to the paragraph below it.
    Here the end of the line moves into the tag, so that all lines keep their numbers.
    """

    def move(match: re.Match) -> str:
        tags = match[1]
        end = 3 if tags[-3] in "-+" else 2
        return f"{tags[:-end]}\n{tags[-end:]}"

    return TAG_LINE.sub(move, text)


def _calling_line(template: jinja2.Template) -> int:
    """Line of the template that is being filled right now."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename != FILE:
        frame = frame.f_back
    return template.get_corresponding_lineno(frame.f_lineno) if frame else 1


def _failing_line(error: Exception) -> int:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == FILE]
    return lines[-1] if lines else 1


def _typed(source: Source, written: Written) -> list[tuple[int, str]]:
    """Numbers typed in the text, also in branches that were not taken, and by expressions: line and number."""
    text = prose_of(blank_tags(source.text))
    found = [(text.count("\n", 0, offset) + 1, number) for offset, number in typed_numbers(text)]
    ends = text.count("\n") + 1  # from here on the references
    return sorted({*found, *((line, number) for line, number in written.typed if line <= ends)})


def _pictures(source: Source) -> list[str]:
    """Pictures that were put in by hand."""
    text = VERBATIM.sub("", blank_tags(source.text))
    return [
        f"{line.place}: a picture without figure(): no run stands behind it"
        for line in source.lines
        if (found := re.search(r"!\[[^\]]*\][(\[]", line.text)) and found[0] in text
    ]


def _uncited(source: Source, written: Written, text: str) -> list[str]:
    """Numbers from the literature whose source the references do not list."""
    _, _, references = text.partition(f"## {REFERENCES}")
    names = set(re.findall(r"\w+", references))
    return [
        f"{source.place(line)}: {by!r} is not in the section {REFERENCES}"
        for by, line in written.sources
        if not set(re.findall(r"\b[A-Z]\w+|\d{4}", by)) <= names
    ]


def _target(reference: tuple[str, str, int], blocks: list[Block], source: Source) -> Block:
    name, kind, line = reference
    found = [block for block in blocks if block.name == name and kind in ("", block.kind)]
    if len(found) == 1:
        return found[0]
    if found:
        message = f"both a figure and a table {name!r} are shown: write ref({name!r}, {found[0].kind!r})"
    else:
        shown = ", ".join(block.name for block in blocks) or "nothing"
        message = f"ref({name!r}) needs a figure or table that the report shows. Shown: {shown}"
    raise TemplateError(f"{source.place(line)}: {message}")
