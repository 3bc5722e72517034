"""Which numbers count as typed, how words are counted, and how numbers are written."""

import pytest

from lib.config.names import markdown as escape
from lib.report.results.display import write_number
from lib.report.written import numbers as bound_numbers
from lib.report.written.numbers import VALUE, Number, Origin, count_words, mark, typed_numbers
from lib.report.written.template import _without_tags

NOWHERE = Origin("best.epochs", "03_best_model", ("best-seed0-1",))


def numbers(text):
    return [number for _, number in typed_numbers(text)]


def test_typed_numbers_are_found():
    for text, expected in [
        ("It reaches 93.8 % on test.", ["93.8 %"]),
        ("A loss of 0.31, then -2 and \u22127.", ["0.31", "-2", "\u22127"]),
        ("1,232,364 parameters; 4x faster", ["1,232,364", "4"]),
        ("½ of it, 5² px", ["½", "5²"]),
        ("trained for twelve epochs", ["twelve epochs"]),
        ("three random seeds and twenty-five classes", ["three random seeds", "twenty-five classes"]),
        ("Two hundred images, ten per cent", ["Two hundred images", "ten per cent"]),
        ("half of them, twice as many, a third of all", ["half of", "twice as", "third of"]),
        ("`93.8` and `12 %`", ["`93.8`", "`12 %`"]),
        ("in 2019 it rose (by 40)", ["2019", "40"]),
        ("Figure 3 shows", ["3"]),
        ("**81.6 %**", ["81.6 %"]),
        ("a rate of $0.9$ and $k = 7$", ["0.9", "7"]),
        ("costs $5 and $6", ["5", "6"]),
        ("(images, 2016) and (in 2016)", ["2016", "2016"]),  # an author's name begins with a capital letter
        ("accuracy-93 or run12", ["-93", "12"]),
    ]:
        assert numbers(text) == expected


def test_what_may_be_typed():
    for text in [
        "One change at a time, and the two curves part; the first one wins.",
        "`Block_64__conv` and ``val_loss_2`` of `pixels_64`",
        "Caltech-101, CIFAR-10, VGG-19, L2, F1, top-5 and 2D maps",
        "On 2026-11-21 and on 21 November 2026",
        "(He et al., 2016), (Ng, 2015; Ba, 2016a), Kingma and Ba (2015), He et al. (2016), Lin (2014)",
        "Section 2 and Sections 2.1, 3 and 4",
        "1. first\n2. second\n\n   3) third",
        "## 2.1 Data\n\n# 3 More",
        "[text](https://x.org/2015/93) and <https://a.b/1> {#fig-2}",
        "$x_{10} + y^2 = \\frac{1}{2}$ and $$\\sum_{i=1}^{64} x_i^{10} - 1$$",
        "```\nmodel.fit(epochs=12)\n```",
        "~~~~\n93.8\n~~~\n94\n~~~~",
    ]:
        assert numbers(text) == []


def test_bound_numbers_are_not_typed_and_lines_stay_put():
    value = mark(VALUE, 0, "93.8\u00a0%")
    assert typed_numbers(f"It has {value} right.") == []
    assert typed_numbers(f"It has {value} right,\nnot 12.") == [(len(f"It has {value} right,\nnot "), "12")]


def test_tags_are_blanked_line_by_line():
    source = 'a {{ value("x.2", "%") }}\n{% if x > 0.5 %}b{% endif %}{# 7\n8 #}9'
    blank = _without_tags(source)
    assert len(blank) == len(source) and blank.count("\n") == 2
    assert numbers(blank) == ["9"]
    assert numbers(_without_tags("$\\beta_2 = {{ cited(0.9) }}$ of {{ x }}5 and three {{ y }} seeds")) == [
        "5",
        "three xxxxxxx seeds",
    ]


def test_words_are_counted():
    for text, words in [
        ("One two three.", 3),
        ("Grad-CAM isn't `a b c` here", 4),
        ("*stress* and **more**, 93.8\u00a0% of it", 6),
        ("## A heading\n\nText below.", 2),
        ("$x = y + z$ holds", 2),
        ("[two words](https://a.b/c)", 2),
        ("```\nmany words of code\n```\nbut these", 2),
        (mark(VALUE, 0, "water_lilly") + " wilts", 2),
        ("", 0),
    ]:
        assert count_words(text) == words


def test_numbers_are_written():
    for number, form, expected in [
        (0.938, "%", "93.8 %"),
        (0.93749999999999, "%", "93.8 %"),
        (0.938, "0%", "94 %"),
        (0.0712, "points", "7.1 points"),
        (-0.0712, "+points", "\u22127.1 points"),
        (0.0712, "+pts", "+7.1"),
        (-0.005, "+pts", "\u22120.5"),
        (-0.003, "+points", "\u22120.3 points"),
        (-0.0001, "+pts", "0.0"),
        (0.0001, "+pts", "0.0"),
        (-0.2, "pts", "\u221220.0"),
        (1232364, "", "1,232,364"),
        (1232364, ",", "1,232,364"),
        (0.331342, "", "0.3313"),
        (12345.6, "", "12,346"),
        (24, "d", "24"),
        (3.14159, ".2f", "3.14"),
        (-0.5, ".1f", "\u22120.5"),
        (3, "word", "three"),
        (13, "word", "13"),
        (2.5, "word", "2.5"),
        (0.711, "time", "43 s"),
        (0.05, "time", "3.0 s"),
        (2.296, "time", "2.3 min"),
        (55.27, "time", "55 min"),
        (138, "time", "2.3 h"),
    ]:
        assert write_number(number, form).replace("\u00a0", " ") == expected, form


def test_an_unknown_format_is_refused():
    with pytest.raises(ValueError, match="known format. Received: 'percent'"):
        write_number(0.5, "percent")


def test_what_is_calculated_from_a_number_has_no_origin():
    number = Number(0.5, NOWHERE)
    assert number > 0.4 and not hasattr(number + 1, "origin")
    assert bound_numbers.bind(True, NOWHERE) is True and bound_numbers.bind(None, NOWHERE) is None
    assert bound_numbers.bind(float("nan"), NOWHERE) is None
    assert bound_numbers.bind("cup", NOWHERE).origin is NOWHERE
    assert str(NOWHERE) == "best.epochs, 03_best_model, best-seed0-1"
    assert str(Origin("x", "02", ("a", "b"))) == "x, 02, 2 runs"


def test_marks_in_a_text_cannot_pretend_to_be_bound():
    forged = mark(VALUE, 0, "99")
    assert mark(VALUE, 3, f"a{forged}").count(bound_numbers.START) == 1
    assert escape("a_b*<c>#$@|`\\[") == r"a\_b\*\<c\>\#\$\@\|\`&#92;\["
    assert bound_numbers.START not in escape(forged)
