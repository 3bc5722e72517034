"""Filling a template: Jinja2, sandboxed, and every error and every typed number with its file and line.

A brief's own words for a report stand in `reports/templates/<brief>/<report>.md`, which extends the shipped template
and fills some of its blocks.
"""

import difflib
import re
import traceback
from dataclasses import dataclass
from pathlib import Path

import jinja2
from jinja2 import nodes
from jinja2.sandbox import SandboxedEnvironment

from lib.config import paths
from lib.report.written.calls import Block, Calls
from lib.report.written.numbers import PRIVATE, REFERENCES, VERBATIM, Number, Text, blank, typed_numbers

TEMPLATES = paths.ROOT / "reports" / "templates"
TYPED = "typed number {!r}: take it from the runs with value(), or name its origin"
BROKEN = "the runs do not bear out the claim in this line: {}"
PICTURE = "a picture without figure(): no run stands behind it"
HEAD = re.compile(r"---[ \t]*\n(.*?)^---[ \t]*\n", re.MULTILINE | re.DOTALL)
TAG_LINE = re.compile(r"^[ \t]*((?:\{%(?:(?!%\}).)*%\}|\{#(?:(?!#\}).)*#\})+)[ \t]*\n", re.MULTILINE | re.DOTALL)
# The references of a template: the block of that name, or everything from their heading to the end.
OWN_REFERENCES = re.compile(
    r"(\{%-? *block references\b|^##+ +References\b).*?(?=\{%-? *endblock|\Z)", re.MULTILINE | re.DOTALL
)


class TemplateError(ValueError):
    """A template that cannot be read or filled; the message begins with its file and line."""


@dataclass(frozen=True)
class Source:
    """One template file: the fields of its head, and its text with empty lines in place of the head."""

    file: Path
    head: dict[str, str]
    text: str


@dataclass(frozen=True)
class Report:
    """A filled template: Markdown with marks, and what the marks stand for."""

    title: str
    sources: tuple[Source, ...]  # the shipped template, and the brief's own one if there is one
    words: tuple[int, int]  # fewest and most
    sections: tuple[str, ...]  # that must be there
    text: str
    calls: Calls
    links: tuple[Block, ...]  # what each ref() points to
    faults: tuple[str, ...]  # sentences, each with its file and line


def render(name: str, calls: Calls, *, templates: Path | None = None) -> Report:
    """Fill the template of that name, and the brief's own one, with what a report folder holds.

    `templates` is another folder of them than that of this project.

    Typed numbers and other faults are listed in the report. A TemplateError says that a template does not exist, breaks
    a rule, has a syntax error or asks for something that is not there.
    """
    templates = templates or TEMPLATES
    known = sorted(file.stem for file in templates.glob("*.md"))
    if name not in known:
        raise TemplateError(f"Unknown report {name!r}. Templates in {place(templates)}: {', '.join(known) or 'none'}")
    own = templates / calls.brief.name / f"{name}.md"
    sources = [_read(file) for file in (templates / f"{name}.md", own) if file.is_file()]
    environment = _environment(sources, calls)
    trees = []
    for source in sources:
        try:  # as they are written, which finds errors of syntax at their own lines
            trees.append(environment.parse(source.text, filename=str(source.file)))
        except jinja2.TemplateSyntaxError as error:
            raise TemplateError(f"{place(source.file, error.lineno)}: {error.message}") from error
    words, sections = _asked(sources[0])
    if own.is_file():
        _check_own(*sources, *trees)
    try:
        text = environment.get_template(sources[-1].file.as_posix()).render(calls.names())
    except (jinja2.TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        files = [str(source.file) for source in sources]
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files]
        where = place(frames[-1].filename, frames[-1].lineno) if frames else place(files[-1])
        raise TemplateError(f"{where}: {error}") from error
    typed = {fault for source in sources for fault in _typed(source)}
    typed |= {(*where, TYPED.format(number)) for where, number in calls.typed}
    typed |= {(*where, BROKEN.format(line)) for where, line in calls.broken}
    faults = [f"{place(file, line)}: {fault}" for file, line, fault in sorted(typed)] + _uncited(calls, text)
    links = tuple(_target(*reference, calls.blocks) for reference in calls.references)
    title = sources[-1].head.get("title", sources[0].head["title"])
    return Report(title, tuple(sources), words, sections, text, calls, links, tuple(faults))


def place(file: Path | str, line: int = 0) -> str:
    """File and line, as messages show them; files of the project are named from its folder."""
    file = Path(file)
    name = file.relative_to(paths.ROOT).as_posix() if file.is_relative_to(paths.ROOT) else str(file)
    return f"{name}:{line}" if line else name


def _read(file: Path) -> Source:
    try:
        text = PRIVATE.sub("", file.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise TemplateError(f"{place(file)}: a template must be UTF-8 text ({error})") from error
    found = HEAD.match(text)
    if not found:
        return Source(file, {}, text)
    fields = [line.partition(":") for line in found[1].splitlines()]
    head = {name.strip(): content.strip().strip("\"'") for name, _, content in fields}
    return Source(file, head, "\n" * found[0].count("\n") + text[found.end() :])


def _asked(shipped: Source) -> tuple[tuple[int, int], tuple[str, ...]]:
    """Fewest and most words, and the sections that must be there."""
    words = re.fullmatch(r"(\d+) to (\d+)", shipped.head.get("words", ""))
    if list(shipped.head) != ["title", "words", "sections"] or not words or int(words[1]) > int(words[2]):
        raise TemplateError(
            f"{place(shipped.file, 1)}: a template begins with ---, the lines title: ..., words: 500 to 1000, "
            f"sections: First; Second, and ---. Received: {shipped.head}"
        )
    sections = [part.strip() for part in shipped.head["sections"].split(";")]
    return (int(words[1]), int(words[2])), tuple(filter(None, sections))


def _environment(sources: list[Source], calls: Calls) -> SandboxedEnvironment:
    texts = {source.file.as_posix(): source for source in sources} | {sources[0].file.name: sources[0]}

    def load(name: str) -> tuple[str, str, None]:
        if name not in texts:
            raise ValueError(f"A template can extend {sources[0].file.name} only. Received: {name!r}")
        return _without_tag_lines(texts[name].text), str(texts[name].file), None

    @jinja2.pass_context  # asks Jinja to call it when a page is made, also for what it could work out before
    def finish(_context, value) -> str:
        if isinstance(value, (Number, Text)):
            return calls.marked(value)
        if value is None:
            raise ValueError("There is nothing to print here: ask with {% if %} first. Received: none")
        calls.check_typed(REFERENCES.sub("", str(value)))  # super() may bring the whole section
        return str(value)

    loader = jinja2.FunctionLoader(load)
    return SandboxedEnvironment(undefined=jinja2.StrictUndefined, finalize=finish, autoescape=False, loader=loader)


def _without_tag_lines(text: str) -> str:
    """The template, changed so that lines that hold only tags leave nothing behind, not even a line's end.

    The end of such a line moves into the tag, so that all lines keep their numbers. Jinja's own `trim_blocks` would
    join a sentence that closes with a tag to the paragraph below it.
    """

    def move(match: re.Match) -> str:
        tags = match[1]
        end = 3 if tags[-3] in "-+" else 2
        return f"{tags[:-end]}\n{tags[-end:]}"

    return TAG_LINE.sub(move, text)


def _check_own(shipped: Source, own: Source, shipped_tree: nodes.Template, tree: nodes.Template) -> None:
    """Refuse what Jinja would leave out without a word: blocks of unknown names, and text outside of blocks."""
    known = [block.name for block in shipped_tree.find_all(nodes.Block)]
    sections = f"Sections: {', '.join(known)}"
    extends, base = tree.find(nodes.Extends), shipped.file.name
    if not extends or getattr(extends.template, "value", "") != base or not set(own.head) <= {"title"}:
        raise TemplateError(
            f"{place(own.file, 1)}: a brief's own template begins with {{% extends {base!r} %}}, below a head with its "
            f"title if it has one, and fills blocks. {sections}"
        )
    for block in tree.find_all(nodes.Block):
        if block.name not in known:
            near = difflib.get_close_matches(block.name, known, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else "To add one, write it in a block below {{ super() }}."
            raise TemplateError(
                f"{place(own.file, block.lineno)}: no section {block.name!r} to replace. {hint} {sections}"
            )
    for output in tree.body:
        text = "".join(getattr(part, "data", "x") for part in getattr(output, "nodes", ()))
        if text.strip():
            line = output.lineno + text[: len(text) - len(text.lstrip())].count("\n")
            raise TemplateError(f"{place(own.file, line)}: text outside of a block is shown nowhere. {sections}")


def _typed(source: Source) -> list[tuple[str, int, str]]:
    """File, line and fault of every number outside of the references and every picture that was put in by hand.

    They are looked for in the template itself: branches that are not taken now may be taken with other numbers.
    """
    text = _without_tags(OWN_REFERENCES.sub(blank, source.text))
    found = [(offset, TYPED.format(number)) for offset, number in typed_numbers(text)]
    text = VERBATIM.sub(blank, _without_tags(source.text))
    found += [(match.start(), PICTURE) for match in re.finditer(r"!\[[^\]]*\][(\[]", text)]
    return [(str(source.file), text.count("\n", 0, offset) + 1, fault) for offset, fault in found]


def _without_tags(text: str) -> str:
    """A template without its Jinja tags: same length, same lines, a word where something is printed."""
    text = re.sub(r"\{%.*?%\}|\{#.*?#\}", blank, text, flags=re.DOTALL)
    return re.sub(r"\{\{.*?\}\}", lambda tag: re.sub(r"[^\n]", "x", tag[0]), text, flags=re.DOTALL)


def _uncited(calls: Calls, text: str) -> list[str]:
    """Numbers from the literature whose source the references do not list."""
    references = REFERENCES.search(text)
    names = set(re.findall(r"\w+", references[0] if references else ""))
    return [
        f"{place(file, line)}: {by!r} is not in the section References"
        for by, (file, line) in calls.cited_sources
        if not set(re.findall(r"\b[A-Z]\w+|\d{4}", by)) <= names
    ]


def _target(name: str, kind: str, where: tuple[str, int], blocks: list[Block]) -> Block:
    found = [block for block in blocks if block.name == name and kind in ("", block.kind)]
    if len(found) == 1:
        return found[0]
    if found:
        message = f"both a figure and a table {name!r} are shown: write ref({name!r}, {found[0].kind!r})"
    else:
        names = ", ".join(block.name for block in blocks) or "nothing"
        message = f"ref({name!r}) needs a figure or table that the report shows. Shown: {names}"
    raise TemplateError(f"{place(*where)}: {message}")
