"""What a finished run predicts for images that it has never seen: any folder of them, labelled or not.

The table has the columns `COLUMNS`, in the words of the hand-in's predictions on test: the image's path in its folder,
the class that the network thinks most probable, and that probability. Images are read and predicted a portion at a
time, so memory does not grow with their number.
"""

import itertools
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lib import briefs
from lib.config import Brief, Ensemble, Head, View, paths, views_of
from lib.config.files import replacing
from lib.config.names import counted, csv_bytes, printable, write_csv
from lib.config.progress import progress_bar
from lib.datasets import DataError
from lib.datasets.images import read_pixels
from lib.datasets.readers.folders import list_tree
from lib.inputs.cache import resize_image
from lib.models.heads import Forest
from lib.report.hand_in.pack import file_name_of, predicted
from lib.training.device import import_tensorflow
from lib.training.open_brief import OpenBrief, open_brief
from lib.training.runs import Run, RunError
from lib.transfer.plan import transfer_job

COLUMNS = ("image", "predicted_class", "confidence")
BATCH, PORTION = 64, 2048  # images in a step, and in a piece of the table
NAMED = 20  # files that are left out are named on the screen, up to so many


@dataclass(frozen=True, eq=False)
class Network:
    """A trained network, and how it was shown its images."""

    model: object  # keras.Model: (B, S, S, 3) pixels in [0, 255] -> (B, C) logits
    class_names: Sequence[str]
    image_size: int
    resize: str = "stretch"
    views: Sequence[View] = (View(),)  # each image counts as the mean of them


def predict_folder(brief: str, name: str, *, profile: str, folder: Path, student: str = "") -> Path:
    """Predict every image of a folder and of its sub-folders by a finished run, and say what was left out.

    Args:
        brief: name of the brief.
        name: of its experiment or transfer; "best" is the experiment that the brief calls so.
        profile: at which it was trained.
        folder: of the images.
        student: begins the name of the file.

    Returns:
        `<student>_test_preds.csv` in the report folder, with the columns `COLUMNS`. What was left out is in
        `<student>_test_preds_left_out.csv` (path, reason) beside it, where anything was.

    Raises:
        ValueError: if there is no image, no finished run, or the run is one that reads no images.
    """
    file = paths.report(brief) / f"{file_name_of(student or 'student')}_test_preds.csv"
    listing = list_tree(folder)
    names, left_out = [one.path for one in listing.files], list(listing.left_out)
    if not names:
        raise DataError(f"There is no image in {folder} or its sub-folders. Received: {len(left_out)} other entries")
    run, network = open_network(brief, name, profile=profile)
    right, known, count = 0, 0, 0
    with replacing(file) as partial, open(partial, "wb") as stream:
        for table in predict_images(network, names, lambda path: folder / path, left_out=left_out):
            content = csv_bytes(table)
            stream.write(content if not count else content.partition(b"\n")[2])
            given, there = _agreement(table, network.class_names)
            right, known, count = right + given, known + there, count + len(table)
        if not count:
            raise DataError(
                f"None of the {len(names):,} files in {folder} is an image that can be read: {left_out[0][1]}"
            )
    said = f"{run.id} predicted {counted(count, 'image')} of {folder}"
    if known:
        said += f"; of {known:,} in folders named after a class, {100 * right / known:.1f} % were given that class"
    print(f"{said}\nWrote {file}", flush=True)
    _say_left_out(file.with_name(f"{file.stem}_left_out.csv"), left_out)
    return file


def predict_images(
    network: Network, names: Sequence[str], open_image: Callable[[str], Path | np.ndarray], *, left_out: list
) -> Iterator[pd.DataFrame]:
    """Tables of some thousand rows each, with the columns `COLUMNS`, in the order of the names of the images.

    `open_image` gives the file, or the pixels (H, W, 3) uint8, of a name; `left_out` takes what cannot be read, with
    the reason.
    """
    from lib.training.steps import predict

    def read(name: str) -> np.ndarray | str:
        try:
            image = open_image(name)
            if isinstance(image, Path):
                image = read_pixels(image, at_least=network.image_size)
            return resize_image(image, size=network.image_size, resize=network.resize)
        except DataError as error:
            return str(error).removeprefix(f"{open_image(name)}: ")

    def batches(portion: Sequence[str], read_names: list[str]) -> Iterator[tuple[np.ndarray, None]]:
        for start in range(0, len(portion), BATCH):
            some = portion[start : start + BATCH]
            pixels = list(pool.map(read, some))
            good = [place for place, image in enumerate(pixels) if not isinstance(image, str)]
            left_out.extend((name, why) for name, why in zip(some, pixels, strict=True) if isinstance(why, str))
            read_names += [some[place] for place in good]
            if good:
                yield np.stack([pixels[place] for place in good]), None
            bar.update(len(some))

    bar = progress_bar("Predicting", total=len(names), unit=" images")
    with ThreadPoolExecutor(os.cpu_count()) as pool, bar:
        for start in range(0, len(names), PORTION):
            shown = batches(names[start : start + PORTION], found_names := [])
            first = next(shown, None)
            if first is None:  # not one of them can be read
                continue
            found = predict(network.model, itertools.chain([first], shown), views=network.views)
            yield predicted(found_names, network.class_names, found)


def open_network(brief: str, name: str, *, profile: str) -> tuple[Run, Network]:
    """The finished run of an experiment or transfer, and its network.

    Experiments are found by their settings alone: neither the data set nor the code that trained them is needed.

    Raises:
        ValueError: if there is no such run, or it is an ensemble or a forest, which are no networks.
    """
    scaled = briefs.load(brief).at(profile)
    name = scaled.best if name == "best" else name
    settings = scaled.transfers.get(name)
    if isinstance(settings, Ensemble):
        raise ValueError(f"{name} combines stored predictions of {', '.join(settings.of)}: predict with one of these.")
    if isinstance(settings, Head) and isinstance(settings.head, Forest):
        raise ValueError(f"{name} is a forest on features and no network: choose another EXPERIMENT.")
    known = scaled.experiments | scaled.ablation | scaled.transfers
    run = _newest(scaled, name, profile, settings=None if name in scaled.transfers else known[name].flat())
    if not run:
        words = f"BRIEF={brief} EXPERIMENT={name} PROFILE={profile}"
        raise ValueError(f"{brief} has no finished run of {name} at profile {profile}: make train {words}")
    import_tensorflow()
    if isinstance(settings, Head):
        job = transfer_job(open_brief(brief, profile), name)
        run, model = job.run, job.network()
    else:
        model = run.load_model()
    return run, _network(run, model)


def unlabelled_or_test(opened: OpenBrief, run: Run, model) -> tuple[str, pd.DataFrame, int]:
    """What a report hands over as predictions: of the data set's unlabelled part, or where it has none, of test.

    Returns:
        A word for the part, "unlabelled" or "held-out"; the table with the columns `COLUMNS`; and how many images are
        not in it because they cannot be read.
    """
    dataset = opened.dataset
    if not dataset.unlabelled:
        rows, _, probabilities = run.predictions("test")
        return "held-out", predicted(dataset.index["path"].to_numpy()[rows], dataset.class_names, probabilities), 0
    opening = dataset.open_image if dataset.arrays is not None else lambda path: dataset.root / path
    left_out = []
    tables = list(predict_images(_network(run, model), dataset.unlabelled, opening, left_out=left_out))
    return "unlabelled", pd.concat([pd.DataFrame(columns=COLUMNS), *tables], ignore_index=True), len(left_out)


def _network(run: Run, model) -> Network:
    config = run.config()
    settings = {"resize": "stretch", "mirror_average": False, "shift_average": 0} | config["settings"]  # some lack them
    views = views_of(settings["mirror_average"], settings["shift_average"])
    return Network(model, config["classes"], settings["image_size"], settings["resize"], views)


def _newest(brief: Brief, name: str, profile: str, *, settings: dict | None) -> Run | None:
    """The whole run of an experiment that was finished last, with seed 0; of these settings, if any are given."""
    wanted = settings and json.loads(json.dumps(settings | {"why": ""}, default=list))
    found = []
    for folder in paths.runs(brief.name).glob(f"{name}-seed0-*"):
        run = Run(folder)
        try:
            config = run.config()
            same = (config["experiment"], config["profile"]) == (name, profile)
            same &= wanted is None or config["settings"] | {"why": ""} == wanted
            if same and run.finished and not run.damage():
                found.append((run.environment()["finished"], run.id, run))
        except (RunError, KeyError):  # not begun, or damaged
            continue
    return max(found, default=(None,))[-1]


def _agreement(table: pd.DataFrame, class_names: Sequence[str]) -> tuple[int, int]:
    """How many images were given the class that their folder is named after, and how many lie in such a folder."""
    folders = table["image"].map(lambda name: re.sub(r"^\d+\.(?=\D)", "", Path(name).parent.name))
    known = folders.isin(list(class_names))
    return int((folders[known] == table["predicted_class"][known]).sum()), int(known.sum())


def _say_left_out(file: Path, left_out: list[tuple[str, str]]) -> None:
    """Name what was left out, with the reason; all of it is kept in a table."""
    file.unlink(missing_ok=True)
    if not left_out:
        return
    write_csv(file, pd.DataFrame(sorted(left_out), columns=["path", "reason"]))
    for path, reason in sorted(left_out)[:NAMED]:
        print(f"left out: {printable(path)}: {printable(reason)}", flush=True)
    more = f", {len(left_out) - NAMED:,} more" if len(left_out) > NAMED else ""
    print(f"Left out {len(left_out):,} entries{more}: all of them are in {file}", flush=True)
