"""Signs that the figures' own font lacks: fonts of this machine that have them, and numbers for names that none has."""

import contextlib
import functools
import re
from pathlib import Path

from matplotlib import font_manager, get_data_path
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

OWN = "DejaVu Sans"  # comes with matplotlib
NUMBER = "№{}"


def fit_fonts(figure: Figure, numbers: dict[str, int]) -> dict[str, int]:
    """Let every text of a figure be drawn, with the fonts of this machine; names that none can draw become numbers.

    Args:
        figure: its texts are changed.
        numbers: name -> number of those met so far; new names are added.

    Returns:
        The names of this figure that are numbers now.
    """
    texts = [text for text in figure.findobj(Text) if text.get_text()]
    lacking = {sign for text in texts for sign in text.get_text() if not sign.isspace()} - _signs(_own_file())
    if not lacking:
        return {}
    families, unknown = _families(lacking)
    for text in texts:
        if lacking.intersection(text.get_text()):
            text.set_fontfamily([OWN, *families])
    if not unknown:
        return {}
    signs = f"[{re.escape(''.join(sorted(unknown)))}]+"
    names, shown = re.compile(f"{signs}(?:[ '’_-]+{signs})*…?"), {}

    def number(found: re.Match) -> str:
        shown[found[0]] = numbers.setdefault(found[0], len(numbers) + 1)
        return NUMBER.format(shown[found[0]])

    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        labels = [label.get_text() for label in axis.get_ticklabels()]
        if any(map(names.search, labels)):  # an axis writes its labels anew each time it is drawn
            axis.set_ticklabels([names.sub(number, label) for label in labels])
    for text in texts:
        text.set_text(names.sub(number, text.get_text()))
    return shown


def _families(lacking: set[str]) -> tuple[list[str], set[str]]:
    """Few installed fonts that have as many of the signs as possible, by name, and the signs that none has."""
    manager, chosen, lacking = font_manager.fontManager, [], set(lacking)
    for file in sorted(set(font_manager.findSystemFonts()) - {entry.fname for entry in manager.ttflist}):
        with contextlib.suppress(OSError, RuntimeError, ValueError, NotImplementedError):  # e.g. made of pictures
            manager.addfont(file)  # installed after matplotlib made its list
    fonts = {entry.name: entry.fname for entry in manager.ttflist if not entry.fname.startswith(get_data_path())}
    while lacking and fonts:
        best = max(sorted(fonts), key=lambda name: len(lacking & _signs(fonts[name])))
        found = lacking & _signs(fonts.pop(best))
        if not found:
            break
        chosen.append(best)
        lacking -= found
    return chosen, lacking


def _own_file() -> str:
    return str(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")


@functools.cache
def _signs(file: str) -> frozenset[str]:
    """All signs of a font."""
    try:
        return frozenset(map(chr, FT2Font(file).get_charmap()))
    except (OSError, RuntimeError):
        return frozenset()
