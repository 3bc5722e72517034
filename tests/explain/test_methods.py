"""The table of attribution methods: one more entry, and everything that reads the table knows it."""

import runpy
import subprocess
import sys
import types

import numpy as np
import pytest

from lib import figures
from lib.bench import peers
from lib.config import paths
from lib.explain import methods
from lib.report.notebooks import table
from lib.report.results import open_results

NAMES = ["gradient", "gradient_x_input", "smooth_gradient", "integrated_gradients", "guided_backprop"]
NAMES += ["grad_cam", "grad_cam_plus_plus", "occlusion", "rise"]


@pytest.fixture
def tenth(monkeypatch):
    """A tenth method in a file of its own and one entry in the table; its map is the image's red."""
    module = types.ModuleType("lib.explain.attributions.tenth")
    module.reddest = lambda model, images, class_index, **options: np.asarray(images)[..., 0] / 255
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(methods.METHODS, "reddest", methods.Method("reddest pixel", "tenth"))
    return module.reddest


def test_the_names_are_those_that_reports_use():
    assert list(methods.METHODS) == NAMES


def test_every_method_of_the_table_has_its_file_and_its_function():
    files = {file.stem for file in (paths.LIB / "explain" / "attributions").glob("*.py")}
    assert files == {method.file for method in methods.METHODS.values()} | {"__init__", "attribution"}
    assert all(methods.load(name).__name__ == name for name in NAMES)


def test_the_table_is_read_without_tensorflow():
    code = "import sys; from lib.explain.methods import METHODS; print(len(METHODS), 'tensorflow' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], cwd=paths.ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["9", "False"]


def test_a_tenth_method_needs_one_file_and_one_entry(tenth, own_folders):
    assert methods.load("reddest") is tenth and methods.title("reddest") == "reddest pixel"
    images = np.full((1, 2, 2, 3), 51.0)
    sizes = methods.ExplainSizes(masks=2)
    assert list(methods.load_all(sizes)) == [*NAMES, "reddest"]
    np.testing.assert_allclose(methods.load_all(sizes)["reddest"](None, images, 0), 0.2)
    # figures: its own title and its own colour, whichever other methods are drawn
    curves = {name: np.linspace(1, 0, 5) for name in methods.METHODS}
    figure = figures.deletion_insertion_curves(np.linspace(0, 1, 5), curves, curves)
    lines = {line.get_label(): line.get_color() for line in figure.axes[0].get_lines()}
    assert "reddest pixel" in lines and len(set(lines.values())) == len(lines) == 10
    alone = figures.randomisation_curves({"reddest": [1, 0]}, depths=["as trained", "all"], limit=0.5)
    assert alone.axes[0].get_lines()[-1].get_color() == lines["reddest pixel"]
    # benchmarks: no peer has it
    assert [route for route in (peers.OURS, *peers.MODULES) if peers.offers(route, "reddest")] == [peers.OURS]
    # reports: its score is promised, where the promises are read with the new entry in the table
    check_promises = runpy.run_path(table.__file__)["check_promises"]
    results = open_results("demo", notebook="04_explainability", profile="smoke")
    results.save_value("explain.masks", True)
    with pytest.raises(ValueError, match="explain.pointing_game.rise, explain.pointing_game.reddest"):
        check_promises("04_explainability", results.folder)


def test_colours_do_not_hang_on_which_methods_are_drawn():
    def colours(*names):
        figure = figures.randomisation_curves(dict.fromkeys(names, [1, 0]), depths=["as trained", "all"], limit=0.5)
        return [line.get_color() for line in figure.axes[0].get_lines()[-len(names) :]]

    drawn = colours("rise", "gradient", "my own")
    assert len(set(drawn)) == 3 and drawn[:2] == colours("rise") + colours("gradient")
