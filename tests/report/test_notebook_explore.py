"""Notebook 1 from top to bottom on each data set, small and generated, in the layout of its official files."""

import nbformat
import pytest
import small_data_sets as small
from pictures import picture
from PIL import Image

from lib import briefs, datasets
from lib.config import paths
from lib.figures import samples
from lib.report import notebooks, results

MAKERS = {
    "tiny_imagenet": small.tiny_imagenet,
    "imagenet10": small.imagenet10,
    "cifar10": small.cifar10,
    "cifar100": small.cifar100,
    "fashion_mnist": small.fashion_mnist,
    "notmnist": small.notmnist_hdf5,
}


def caltech(raw, name, folders, *, each=6):
    """Class folders of photographs in several shapes, with what is stray in the official archive."""
    for label, folder in enumerate(folders):
        for number in range(each):
            file = raw / name / folder / f"image_{number + 1:04d}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            image = Image.fromarray(picture(50 * label + number, width=120 - 10 * (number % 3), height=90))
            (image.convert("L") if number == 5 else image).save(file)
    return raw / name


def caltech101(raw):
    root = caltech(raw, "101_ObjectCategories", ("BACKGROUND_Google", "Faces", "Faces_easy", "anchor"))
    (root / "BACKGROUND_Google" / "tmp").write_bytes((root / "anchor" / "image_0001.jpg").read_bytes())


def caltech256(raw):
    root = caltech(raw, "256_ObjectCategories", ("001.ak47", "056.dog", "198.spider", "257.clutter"))
    (root / "056.dog" / "greg").mkdir()
    (root / "198.spider" / "RENAME2").write_text("")


def run(monkeypatch, brief, *, data=""):
    """Execute the code cells of notebook 1 in this process; starting a kernel for each would take minutes."""
    monkeypatch.chdir(paths.NOTEBOOKS)
    monkeypatch.syspath_prepend(".")  # takes what the notebook puts on the path off again
    monkeypatch.setattr(results, "DPI", 30)  # coarse is fast, and one change to the images as good as ten
    monkeypatch.setattr(samples, "SINGLE_CHANGES", {"flip": samples.SINGLE_CHANGES["flip"]})
    names = {}
    for cell in nbformat.read(notebooks.locate("01_explore"), as_version=4).cells:
        if cell.cell_type == "code":
            source = cell.source.replace('BRIEF = "demo"', f'BRIEF = "{brief}"').replace(
                'DATA = ""', f"DATA = {data!r}"
            )
            exec(compile(source, f"cell {cell.id} of notebook 1", "exec"), names)
    return names


def brief_of(name, monkeypatch):
    """The brief that reads a data set, or one made for this test where none does."""
    own = briefs.load(name) if name in briefs.names() else briefs.load("demo").replace(name=name, dataset=name)
    monkeypatch.setattr(briefs, "load", lambda _: own.replace(stand_in=""))  # its images are read, not drawn ones
    return name


@pytest.mark.parametrize("name", ["caltech101", "caltech256", *MAKERS])
def test_notebook_1_runs_on_every_data_set(name, own_folders, monkeypatch):
    raw = own_folders / "raw"
    {"caltech101": caltech101, "caltech256": caltech256, **MAKERS}[name](raw)
    monkeypatch.setattr(paths, "RAW", own_folders / "no raw")
    monkeypatch.setenv("COURSEWORK_DATA", str(raw))
    names = run(monkeypatch, brief_of(name, monkeypatch))
    folder = paths.report(name)
    values = results.read_values(folder)
    assert values["dataset.images"]["value"] == len(names["dataset"].index) > 0
    assert (folder / "audit.csv").exists() and (folder / "split.csv").exists() and (folder / "left_out.csv").exists()
    shown = {entry["file"] for entry in results.read_manifest(folder)}
    assert {"tables/audit.csv", "figures/class_difficulty.png", "figures/resizing.png"} <= shown
    assert "tables/published.csv" in shown
    assert values["resizing.side"]["value"] == {"cifar10": 16, "cifar100": 16}.get(name, 14 if "mnist" in name else 32)
    if name == "caltech101":
        assert "BACKGROUND_Google/tmp" in (folder / "audit.csv").read_text()
        assert values["audit.leaks"]["value"] == 0


def test_notebook_1_says_what_one_training_image_per_class_leaves_open(own_folders, monkeypatch):
    shown = []
    monkeypatch.setattr(results.display, "publish", lambda text, **_: shown.append(text))
    run(monkeypatch, "folder", data=str(caltech(own_folders, "photos", ("cat", "dog"), each=3)))
    values = results.read_values(paths.report("folder"))
    assert [values[f"split.{part}"]["value"] for part in ("train", "val", "test")] == [2, 2, 2]
    assert any(text.startswith("No class has two training images") for text in shown)
    assert not [name for name in values if name.startswith("difficulty.")]


def test_all_data_sets_are_run():
    assert set(MAKERS) | {"caltech101", "caltech256"} >= set(datasets.names()) - {"demo", "folder", "letters"}
