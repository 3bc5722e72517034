"""Names in scripts that the figures' font lacks: another font draws them, or a number stands for them with its key."""

import numpy as np
import pandas as pd
import pytest
from figure_rules import picture, words
from matplotlib import font_manager

from lib import figures
from lib.figures import fonts
from lib.report.results import open_results, read_manifest

NAMES = ["猫", "黒い 犬", "cat"]


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A function that installs a font with some signs, each a bar; before it is called none is installed."""
    files = []
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: list(files))
    own = [entry for entry in font_manager.fontManager.ttflist if "mpl-data" in entry.fname]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", own)

    # They come with matplotlib.
    builder, pens = (pytest.importorskip(f"fontTools.{name}") for name in ("fontBuilder", "pens.ttGlyphPen"))

    def install(signs):
        pen = pens.TTGlyphPen(None)
        for place, point in enumerate(((100, 0), (100, 700), (300, 700), (300, 0))):
            (pen.lineTo if place else pen.moveTo)(point)
        pen.closePath()
        glyphs = [".notdef", *(f"u{ord(sign):x}" for sign in signs)]
        font = builder.FontBuilder(1000, isTTF=True)
        font.setupGlyphOrder(glyphs)
        font.setupCharacterMap({ord(sign): name for sign, name in zip(signs, glyphs[1:], strict=True)})
        font.setupGlyf(dict.fromkeys(glyphs, pen.glyph()))
        font.setupHorizontalMetrics(dict.fromkeys(glyphs, (400, 0)))
        font.setupHorizontalHeader(ascent=800, descent=-200)
        font.setupNameTable({"familyName": "Drawn Signs", "styleName": "Regular"})
        font.setupOS2()
        font.setupPost()
        font.save(tmp_path / "drawn.ttf")
        files.append(str(tmp_path / "drawn.ttf"))

    return install


def bars():
    frame = pd.DataFrame({"class_name": NAMES, "images": 3, "recall": [1.0, 0.5, 0.25]})
    return figures.per_class_bars(frame)


def ticks(figure):
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


def test_an_installed_font_draws_what_the_own_one_lacks(installed):
    installed("猫黒い犬")
    numbers, figure = {}, bars()
    assert fonts.fit_fonts(figure, numbers) == {} == numbers
    before = bars()
    with pytest.warns(UserWarning, match="missing from font"):
        boxes = picture(before)
    assert ticks(figure) == NAMES and not np.array_equal(picture(figure), boxes)  # a warning would be an error here
    assert figure.axes[0].get_yticklabels()[0].get_fontfamily() == [fonts.OWN, "Drawn Signs"]


def test_names_that_no_font_draws_become_numbers(installed):
    installed("犬")
    numbers, figure = {"鳥": 1}, bars()
    assert fonts.fit_fonts(figure, numbers) == {"猫": 2, "黒い": 3}
    picture(figure)
    assert ticks(figure) == ["№2", "№3 犬", "cat"] and numbers == {"鳥": 1, "猫": 2, "黒い": 3}
    grid = figures.sample_grid([np.zeros((4, 4, 3), np.uint8)] * 2, ["猫 60 %\nis 黒い", "cat"])
    assert fonts.fit_fonts(grid, numbers) == {"猫": 2, "黒い": 3}
    assert "№2 60 %\nis №3" in words(grid)
    picture(grid)


def test_a_report_says_once_which_numbers_stand_for_which_names(installed, own_folders, capsys):
    first = open_results("demo", notebook="01_explore", profile="smoke")
    first.save_figure("bars", bars(), caption="Recall.", alt="Bars")
    first.save_figure("again", bars(), caption="Recall.", alt="Bars")
    later = open_results("demo", notebook="02_experiments", profile="smoke")
    grid = figures.sample_grid([np.zeros((4, 4, 3), np.uint8)], ["黒い 犬"])
    later.save_figure("grid", grid, caption="Samples.", alt="A grid")
    entries = {entry["name"]: entry for entry in read_manifest(first.folder)}
    assert set(entries) == {"bars", "again", "numbered_names_01_explore", "grid"}
    assert entries["bars"]["caption"] == "Recall. №1 猫; №2 黒い 犬."
    assert entries["grid"]["caption"] == "Samples. №2 黒い 犬."
    key = (first.folder / "tables" / "numbered_names_01_explore.csv").read_text(encoding="utf-8")
    assert key == "number,name\n1,猫\n2,黒い 犬\n"
    assert capsys.readouterr().out.count("No installed font can draw some names") == 1


def test_figures_in_known_letters_are_left_alone(installed):
    figure = figures.sample_grid([np.zeros((4, 4, 3), np.uint8)], ["Ünï ж α"])
    family = [text.get_fontfamily() for text in figure.texts]
    assert fonts.fit_fonts(figure, {}) == {} and [text.get_fontfamily() for text in figure.texts] == family
