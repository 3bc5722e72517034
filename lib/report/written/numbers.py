"""Numbers and words that know where they come from; and how to find those that somebody typed.

Text of a report carries bound numbers between marks until the page is written: what stands outside of marks was typed.
"""

import math
import re
from dataclasses import dataclass

# Characters of Unicode's private area: they stand for nothing, so no honest text holds them.
START, NAMED, END = "\ue000", "\ue001", "\ue002"
PRIVATE = re.compile(f"[{START}{NAMED}{END}]")
VALUE, BLOCK, REFERENCE = "vbr"  # kinds of marks; a block is a figure or table
MARK = re.compile(f"{START}([vbr])(\\d+){NAMED}([^{END}]*){END}")

# What may be typed. Each is blanked out before digits are looked for.
FENCE = r"^(?P<mark>```+|~~~+)[^\n]*\n.*?^(?P=mark)[ \t]*$"
CODE = r"(?<!`)(?P<ticks>`+)(?!`)(?:(?!\n\s*\n).)+?(?<!`)(?P=ticks)(?!`)"
MATH = r"(?<!\\)\$\$.+?(?<!\\)\$\$|(?<!\\)\$(?![\s$])(?:(?!\n\s*\n)[^$])*?(?<![\s\\])\$(?!\d)"
VERBATIM = re.compile(f"(?P<fence>{FENCE})|(?P<code>{CODE})|(?P<math>{MATH})", re.MULTILINE | re.DOTALL)
ALLOWED = [
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        r"^[ \t]*\d+[.)][ \t]",  # a numbered list
        r"^#+[ \t]+[\d.]+[ \t]",  # the number of a heading
        r"\]\([^)\s]*\)|<https?://[^>]*>|https?://\S+|\{#[^}]*\}",  # addresses and labels
        r"\b\d{4}-\d\d-\d\d\b",  # a date
        r"\b\d{1,2} (?:January|February|March|April|May|June|July|August|September|October|November|December) \d{4}\b",
        r"\((?:[^()\d]*[A-Z][^()\d]*, (?:19|20)\d\d[a-z]?;?)+\)",  # (He et al., 2016)
        r"\b[A-Z][\w-]+(?: et al\.| and [A-Z][\w-]+)? \((?:19|20)\d\d[a-z]?\)",  # Kingma and Ba (2015)
        r"\bSections? \d+(?:\.\d+)*(?:(?:,| and| to) \d+(?:\.\d+)*)*",
        r"\b[23]D\b|\btop-[15]\b",
        r"\b[A-Z][A-Za-z]*-?\d+(?:[-.]\d+)*\b(?!\s*%)",  # Caltech-101, L2, F1
    )
]
DIGITS = re.compile(r"[-+\u2212]?[\d½⅓⅔¼¾²³¹][\d.,:½⅓⅔¼¾²³¹]*(?:\s?%)?")
COUNTS = (
    "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
    "nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million dozen"
).replace(" ", "|")
COUNTED = (
    "accuracies batches blocks channels classes convolutions days epochs experiments filters folds folders hits hours "
    "images layers methods minutes misses mistakes networks objects parameters percent pixels points runs seconds "
    "seeds steps times units weights"
).replace(" ", "|")
COUNT = re.compile(
    rf"\b(?:{COUNTS})(?:[ -](?:{COUNTS}))*(?:\s+[a-z-]+)?\s+(?:{COUNTED}|per cent)\b"
    r"|\b(?:half|thirds?|quarters?) of\b|\b(?:half|twice|double|triple) (?:as|the)\b",
    re.IGNORECASE,
)
WORD = re.compile(r"[^\W_]+(?:[-'’.,_/\u00a0][^\W_]+)*")
REFERENCES = re.compile(r"^##+ +References\b.*", re.MULTILINE | re.DOTALL)  # the last section, to the end
BARE_NUMBER = re.compile(r"(?<![\w^{])(?:\d+\.\d+|\d{2,}|[3-9])(?![\w}])")


@dataclass(frozen=True)
class Origin:
    """Where a number or word comes from."""

    name: str  # e.g. best.test_accuracy, or table per_class
    notebook: str = ""
    runs: tuple[str, ...] = ()

    def __str__(self) -> str:
        runs = self.runs[0] if len(self.runs) == 1 else f"{len(self.runs)} runs" if self.runs else ""
        return ", ".join(part for part in (self.name, self.notebook, runs) if part)


class Number(float):
    """A number with its origin; what is calculated from it in a template is a plain number again, without one."""

    def __new__(cls, value: float, origin: Origin):
        new = super().__new__(cls, value)
        new.origin = origin
        return new


class Text(str):
    """Words with their origin; `code` ones are names that are shown in typewriter letters."""

    def __new__(cls, value: str, origin: Origin, *, code: bool = False):
        new = super().__new__(cls, value)
        new.origin, new.code = origin, code
        return new


def bind(value, origin: Origin):
    """A value with its origin; truth values and nothing stay as they are."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return Text(value, origin)
    return None if math.isnan(value) else Number(value, origin)


def mark(kind: str, number: int, text: str = "") -> str:
    """A place in the text of a report until the page is written; its number finds the origin, block or reference."""
    return f"{START}{kind}{number}{NAMED}{PRIVATE.sub('', text)}{END}"


def capital(text: str) -> str:
    """The text with a capital letter at its beginning, also where that is a bound one."""
    return re.sub(rf"^((?:{START}{VALUE}\d+{NAMED})?[*`]*)(\w)", lambda found: found[1] + found[2].upper(), text)


def typed_numbers(text: str) -> list[tuple[int, str]]:
    """Offset and text of every number in Markdown that stands outside of marks: somebody typed it.

    Digits count, and number words right before a thing that is counted ("three seeds"), as both can be wrong.
    """
    text = MARK.sub(blank, text)
    found = [(start, number) for part in VERBATIM.finditer(text) for start, number in _in_verbatim(part)]
    text = VERBATIM.sub(blank, text)
    for pattern in ALLOWED:
        text = pattern.sub(blank, text)
    found += [(match.start(), match[0].rstrip(".,:")) for match in DIGITS.finditer(text)]
    found += [(match.start(), " ".join(match[0].split())) for match in COUNT.finditer(text)]
    return sorted(found)


def _in_verbatim(part: re.Match) -> list[tuple[int, str]]:
    """Typed numbers in code, if it is no name, and in a formula, beside 0, 1, 2, indices and exponents."""
    if part["fence"]:
        return []
    if part["code"]:
        is_number = re.search(r"\d", part[0]) and not re.search("[A-Za-z]", part[0])
        return [(part.start(), part[0])] if is_number else []
    formula = re.sub(r"[_^](?:\{[^{}]*\}|\w)", blank, part[0])
    return [(part.start() + match.start(), match[0]) for match in BARE_NUMBER.finditer(formula)]


def blank(match: re.Match) -> str:
    """Spaces in place of a match, so that lines and offsets stay."""
    return re.sub(r"[^\n]", " ", match[0])


def count_words(text: str) -> int:
    """Words of prose above the references; a formula, a name in typewriter letters, a number with its unit are one."""
    text = REFERENCES.sub("", text)
    text = MARK.sub(lambda found: {BLOCK: " ", REFERENCE: "Figure"}.get(found[1], found[3]), text)
    text = VERBATIM.sub(lambda part: "" if part["fence"] else " word ", text)
    return len(WORD.findall(re.sub(r"^#+ .*$|\]\([^)]*\)|\{#[^}]*\}", " ", text, flags=re.MULTILINE)))
