"""Prose by rule: the numbers that somebody typed, and how many words there are."""

import re

from lib.report.written.numbers import MARKED, PLACED, PRIVATE

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
).split()
COUNTED = (
    "accuracies batches blocks channels classes convolutions days epochs experiments filters folds folders hits hours "
    "images layers methods minutes misses mistakes networks objects parameters percent pixels points runs seconds "
    "seeds steps times units weights"
).split()
COUNT = re.compile(
    rf"\b(?:{'|'.join(COUNTS)})(?:[ -](?:{'|'.join(COUNTS)}))*(?:\s+[a-z-]+)?\s+(?:{'|'.join(COUNTED)}|per cent)\b"
    r"|\b(?:half|thirds?|quarters?) of\b|\b(?:half|twice|double|triple) (?:as|the)\b",
    re.IGNORECASE,
)
WORD = re.compile(r"[^\W_]+(?:[-'’.,_/\u00a0][^\W_]+)*")
BARE_NUMBER = re.compile(r"(?<![\w^{])(?:\d+\.\d+|\d{2,}|[3-9])(?![\w}])")


def typed_numbers(text: str) -> list[tuple[int, str]]:
    """Numbers that were typed: where each begins, and how it reads.

    Digits count, and number words right before a thing that is counted ("three seeds"), as both can be wrong.

    Args:
        text: Markdown; what stands between marks comes from a run, everything else was typed.

    Returns:
        Offset in the text and the number, in order.
    """
    text = PLACED.sub(_blank, MARKED.sub(_blank, text))
    found = [(start, number) for part in VERBATIM.finditer(text) for start, number in _in_verbatim(part)]
    text = VERBATIM.sub(_blank, text)
    for pattern in ALLOWED:
        text = pattern.sub(_blank, text)
    found += [(match.start(), match[0].rstrip(".,:")) for match in DIGITS.finditer(text)]
    found += [(match.start(), " ".join(match[0].split())) for match in COUNT.finditer(text)]
    return sorted(found)


def count_words(text: str) -> int:
    """Words of prose; a formula, a name in typewriter letters and a number with its unit are one each."""
    text = MARKED.sub(r"\2", text)
    text = VERBATIM.sub(lambda part: "" if part["fence"] else " word ", text)
    text = re.sub(r"^#+ .*$|\]\([^)]*\)|\{#[^}]*\}", " ", PRIVATE.sub(" ", text), flags=re.MULTILINE)
    return len(WORD.findall(text))


def blank_tags(source: str) -> str:
    """A template without its Jinja tags: same length, same lines, a word where something is printed."""
    source = re.sub(r"\{%.*?%\}|\{#.*?#\}", _blank, source, flags=re.DOTALL)
    return re.sub(r"\{\{.*?\}\}", lambda tag: re.sub(r"[^\n]", "x", tag[0]), source, flags=re.DOTALL)


def _in_verbatim(part: re.Match) -> list[tuple[int, str]]:
    """Typed numbers in code, if it is no name, and in a formula, beside 0, 1, 2, indices and exponents."""
    if part["fence"]:
        return []
    if part["code"]:
        return (
            [] if re.search(r"[A-Za-z\ue000]", part[0]) or not re.search(r"\d", part[0]) else [(part.start(), part[0])]
        )
    formula = re.sub(r"[_^](?:\{[^{}]*\}|\w)", _blank, part[0])
    return [(part.start() + match.start(), match[0]) for match in BARE_NUMBER.finditer(formula)]


def _blank(match: re.Match) -> str:
    return re.sub(r"[^\n]", " ", match[0])
