"""The source of a written report: a template of `reports/templates`, and the sections that a brief has of its own."""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lib.config import paths

TEMPLATES = paths.ROOT / "reports" / "templates"
FIELDS = ("title", "words", "sections")
HEADING = re.compile(r"## +(.+?)\s*")
REFERENCES = "References"


class TemplateError(ValueError):
    """A template that cannot be read or filled; the message begins with its file and line."""


@dataclass(frozen=True)
class Line:
    """One line of a template, and where it is written."""

    text: str
    file: Path
    number: int

    @property
    def place(self) -> str:
        return f"{shown(self.file)}:{self.number}"


@dataclass(frozen=True)
class Source:
    """A template with a brief's own sections in their places."""

    name: str
    title: str
    words: tuple[int, int]  # fewest and most
    demanded: tuple[str, ...]  # sections that must be there
    lines: tuple[Line, ...]
    places: dict[str, str]  # where title, words and sections are given

    @property
    def text(self) -> str:
        return "\n".join(line.text for line in self.lines)

    def place(self, number: int) -> str:
        """File and line of the n-th line, counted from 1."""
        return self.lines[min(max(number, 1), len(self.lines)) - 1].place


def names() -> list[str]:
    """Names of the templates there are."""
    return sorted(file.stem for file in TEMPLATES.glob("*.md"))


def load(name: str, brief: str) -> Source:
    """A report's source for one brief.

    Each `## Heading` of `reports/templates/<brief>/<name>.md` replaces the section of that name; what stands before
    the first heading of the shipped template stays.

    Args:
        name: of the template.
        brief: name of the brief.

    Raises:
        TemplateError: if there is no such template, or a part of it is not as asked.
    """
    if name not in names():
        raise TemplateError(f"Unknown report {name!r}. Templates in {shown(TEMPLATES)}: {', '.join(names()) or 'none'}")
    shipped, own = TEMPLATES / f"{name}.md", TEMPLATES / brief / f"{name}.md"
    fields, opening, sections = _read(shipped)
    missing = [field for field in FIELDS if field not in fields]
    if missing:
        raise TemplateError(f"{shown(shipped)}:1: the lines between --- must hold {', '.join(FIELDS)}: no {missing[0]}")
    demanded = tuple(part.strip() for part in fields["sections"].text.split(";") if part.strip())
    order = list(sections)
    if own.exists():
        own_fields, _, own_sections = _read(own)
        fields |= {field: own_fields[field] for field in ("title", "sections") if field in own_fields}
        if "sections" in own_fields:
            order = [part.strip() for part in own_fields["sections"].text.split(";") if part.strip()]
        _check_headings(own_sections, order, own)
        sections |= own_sections
    lines = opening + [line for heading in order for line in sections.get(heading, ())]
    places = {field: line.place for field, line in fields.items()}
    return Source(name, fields["title"].text, _limits(fields["words"]), demanded, tuple(lines), places)


def shown(file: Path) -> str:
    """A path as messages show it: from the project's folder, where it lies in it."""
    return file.relative_to(paths.ROOT).as_posix() if file.is_relative_to(paths.ROOT) else str(file)


def _read(file: Path) -> tuple[dict[str, Line], list[Line], dict[str, list[Line]]]:
    """Fields, opening and sections of one file."""
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise TemplateError(f"{shown(file)}: a template must be UTF-8 text ({error})") from error
    lines = [Line(line, file, number) for number, line in enumerate(text.splitlines(), start=1)]
    fields, body = _fields(lines, file)
    opening, sections, current, fenced = [], {}, None, False
    for line in body:
        fenced ^= line.text.lstrip().startswith(("```", "~~~"))
        heading = None if fenced else HEADING.fullmatch(line.text)
        if heading:
            if heading[1] in sections:
                raise TemplateError(f"{line.place}: the section {heading[1]!r} is there twice")
            current = sections[heading[1]] = []
        (opening if current is None else current).append(line)
    return fields, opening, sections


def _fields(lines: list[Line], file: Path) -> tuple[dict[str, Line], list[Line]]:
    """The `field: text` lines between two lines of ---, and what follows them."""
    if not lines or lines[0].text.strip() != "---":
        return {}, lines
    ends = [number for number, line in enumerate(lines[1:], start=1) if line.text.strip() == "---"]
    if not ends:
        raise TemplateError(f"{shown(file)}:1: the opening --- has no closing one")
    fields = {}
    for line in lines[1 : ends[0]]:
        name, colon, text = line.text.partition(":")
        if line.text.strip() and (not colon or name.strip() not in FIELDS):
            raise TemplateError(f"{line.place}: only {', '.join(FIELDS)} stand between ---. Received: {line.text!r}")
        if colon:
            bare = re.fullmatch(r"""(["'])(.*)\1""", text.strip())
            fields[name.strip()] = Line(bare[2] if bare else text.strip(), line.file, line.number)
    return fields, lines[ends[0] + 1 :]


def _limits(field: Line) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+) to (\d+)", field.text)
    if not found or int(found[1]) > int(found[2]):
        raise TemplateError(f"{field.place}: words must be given like 500 to 1000. Received: {field.text!r}")
    return int(found[1]), int(found[2])


def _check_headings(own: dict[str, list[Line]], order: Sequence[str], file: Path) -> None:
    for heading, lines in own.items():
        if heading not in order:
            near = difflib.get_close_matches(heading, order, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else "To add one, list all sections in a line `sections:`."
            raise TemplateError(
                f"{shown(file)}:{lines[0].number}: no section {heading!r} to replace. {hint} Sections: "
                f"{'; '.join(order)}"
            )
