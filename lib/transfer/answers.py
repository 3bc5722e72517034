"""What a backbone knows before anything is learnt here: its own answers among the 1000 classes of ImageNet."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lib import evaluation
from lib.config import Brief
from lib.config.files import read_json
from lib.inputs.cache import open_images
from lib.models import Lite0
from lib.models.backbone import Backbone
from lib.models.weights import Weights, WeightsError
from lib.training.device import import_tensorflow
from lib.training.open_brief import OpenBrief

NAMES = Weights(
    file="imagenet_class_index.json",
    size=35_363,
    digest="md5:c2c37ea517e94d9795004a39431a14cb",
    licence="names of WordNet 3.0",
    trained_by="nobody: it is the list of classes that Keras has",
    address="https://storage.googleapis.com/download.tensorflow.org/data/imagenet_class_index.json",
)


MOST = 240  # images of train, and of val, that the backbone is asked about
NATIVE = 224  # pixels per side, at which such networks were trained


@dataclass(frozen=True, eq=False)
class Known:
    """What a backbone answers for some images of a brief, one class in turn."""

    backbone: str
    names: list[str] | None  # of its 1000 classes, where their list is at hand
    size: int  # pixels per side
    train_labels: np.ndarray  # (N,) int
    train_answers: np.ndarray  # (N, 1000) float32 probabilities
    val_rows: np.ndarray  # (M,) int rows of the index
    val_labels: np.ndarray  # (M,) int
    val_answers: np.ndarray  # (M, 1000)


def ask(opened: OpenBrief, *, backbone: Backbone) -> Known:
    """What a backbone, or lite0 where its own last layer is not at hand, answers for images of train and val."""
    backbone, labels = at_hand(backbone), opened.dataset.index["label"].to_numpy()
    train, val = (
        rows[evaluation.one_class_in_turn(labels[rows])[:MOST]] for rows in (opened.split.train, opened.split.val)
    )
    train_answers, val_answers = (
        own_answers(opened, rows, backbone=backbone, image_size=NATIVE) for rows in (train, val)
    )
    sides = (labels[train], train_answers, val, labels[val], val_answers)
    return Known(backbone.name, class_list(), NATIVE, *sides)


def at_hand(backbone: Backbone) -> Backbone:
    """The backbone, if its weights with the layers of the 1000 classes are on this machine; else lite0.

    Some of these files are large, and only `make data` downloads; random weights have no answers.
    """
    if backbone.weights != "random" and backbone.published(top=True).find_here() is not None:
        return backbone
    return Lite0()


def own_answers(opened: OpenBrief, rows: np.ndarray, *, backbone: Backbone, image_size: int) -> np.ndarray:
    """What a backbone with its own last layer answers for some images of a brief; each call computes it.

    Args:
        opened: the brief.
        rows: (N,) int.
        backbone: as `at_hand` gives.
        image_size: pixels per side, to which images are stretched; vgg19 reads 224 alone.

    Returns:
        (N, 1000) float32 probabilities, classes in the order of ImageNet's sorted wnids.

    Raises:
        ValueError: if the images are smaller than the backbone reads.
        WeightsError: if the weights cannot be had.
    """
    import_tensorflow()
    from lib.inputs.generators import make_eval_dataset
    from lib.training.steps import predict

    images = open_images(opened.dataset, size=image_size, budget=0)  # few are asked for: none is kept
    model = backbone.with_own_head(image_size=image_size)
    return predict(model, make_eval_dataset(images, rows, batch_size=64))


def class_list() -> list[str] | None:
    """The names of the 1000 classes where `make data` has got them, e.g. "tabby"; None where their file is not here.

    Raises:
        WeightsError: if the file is another one.
    """
    if NAMES.find_here() is None:
        return None
    entries = read_json(NAMES.find())
    return [entries[str(number)][1].replace("_", " ") for number in range(len(entries))]


def fetch(brief: Brief) -> Iterator[str]:
    """Get the weights of a brief's backbones, and the names of their classes, ahead of a run.

    Yields:
        A line for each: where it is and whose, or why it cannot be had.
    """
    asked = [*brief.experiments.values(), *brief.transfers.values()]
    models = [brief.filters_of, *(getattr(one, "backbone", getattr(one, "model", None)) for one in asked)]
    backbones = {model.name: model for model in models if isinstance(model, Backbone)}
    for backbone in backbones.values():
        yield backbone.fetch()
    if backbones:
        try:
            yield f"names of ImageNet's 1000 classes: {NAMES.find()}"
        except WeightsError as error:
            yield f"names of ImageNet's 1000 classes: {error} Pages show numbers in their place."
