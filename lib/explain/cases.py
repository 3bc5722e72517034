"""Which images the explanations show, which they are scored on, and whose filters: chosen by rule, never by eye."""

from dataclasses import dataclass

import numpy as np

from lib import evaluation
from lib.explain.scoring.object_masks import object_masks
from lib.inputs.cache import decode_rows
from lib.models import WeightsError
from lib.models.backbone import Backbone
from lib.training.jobs import run_job
from lib.training.network import network_job
from lib.training.open_brief import OpenBrief


@dataclass(frozen=True, eq=False)
class Cases:
    """Images of val as the network sees them, with what it says of them and where their object is."""

    rows: np.ndarray  # (N,) index rows
    images: np.ndarray  # (N, S, S, 3) uint8 in [0, 255]
    labels: np.ndarray  # (N,) int true classes
    probabilities: np.ndarray  # (N, C), of the run: averaged with the mirror image where its settings say so
    masks: np.ndarray  # (N, S, S) bool, True on the object; empty where it is not known
    class_names: tuple[str, ...]

    @property
    def predicted(self) -> np.ndarray:
        """(N,) int predicted classes."""
        return self.probabilities.argmax(axis=1)

    @property
    def known(self) -> np.ndarray:
        """(N,) bool: whether it is known where the object is."""
        return self.masks.any(axis=(1, 2))

    def pick(self, places: np.ndarray) -> "Cases":
        """Some of the cases, in the order given: (K,) numbers or (N,) bool."""
        arrays = (self.rows, self.images, self.labels, self.probabilities, self.masks)
        return Cases(*(array[places] for array in arrays), self.class_names)

    @property
    def right(self) -> np.ndarray:
        """(N,) bool: whether the prediction is right."""
        return self.predicted == self.labels

    def predictions(self) -> dict:
        """The cases as `figures.predictions_grid` takes them."""
        return {
            "images": list(self.images),
            "true_names": [self.class_names[label] for label in self.labels],
            "predicted_names": [self.class_names[label] for label in self.predicted],
            "confidences": list(self.probabilities.max(axis=1)),
        }

    def captions(self) -> list[str]:
        """What the model says, how sure it is, and on mistakes what is there: two or three lines per image."""
        texts = []
        for label, said, row in zip(self.labels, self.predicted, self.probabilities, strict=True):
            text = f"{self.class_names[said]}\n{100 * row[said]:.0f} %"
            texts.append(text if said == label else f"✗ {text}\nis {self.class_names[label]}")
        return texts


def open_cases(opened: OpenBrief, run) -> Cases:
    """The images of val with the predictions of a finished run of the brief."""
    rows, labels, probabilities = run.predictions("val")
    images = opened.images_of(run).read(rows)
    masks = object_masks(opened.dataset, rows, size=images.shape[1], resize=run.config()["settings"]["resize"])
    return Cases(rows, images, labels, probabilities, masks, opened.dataset.class_names)


def train_batches(opened: OpenBrief, run):
    """The images to train on as a run saw them, in index order: data set of (B, S, S, 3) uint8 and labels (B,)."""
    from lib.inputs.generators import make_eval_dataset

    return make_eval_dataset(opened.images_of(run), opened.split.train)


def in_turn(labels: np.ndarray, *, most: int) -> np.ndarray:
    """(K,) sorted places of at most `most` of (N,) images, so that every class comes before any comes twice."""
    return np.sort(evaluation.one_class_in_turn(labels)[:most])


def pick_examples(labels: np.ndarray, probabilities: np.ndarray, *, hits: int = 4, misses: int = 3) -> np.ndarray:
    """The surest right predictions, one per class, then the surest mistakes; if one kind is short, the other fills up.

    Args:
        labels: (N,) int true classes.
        probabilities: (N, C).
        hits: right predictions wanted.
        misses: mistakes wanted.

    Returns:
        Places, right ones first; hits + misses of them where there are as many images.
    """
    wanted = min(hits + misses, len(labels))
    ranked = {}
    for right in (True, False):
        sure = evaluation.most_confident(labels, probabilities, right=right, k=len(labels))
        ranked[right] = sure[np.argsort(evaluation.turns(labels[sure]), kind="stable")]
    right = ranked[True][: max(hits, wanted - len(ranked[False]))]
    wrong = ranked[False][: wanted - len(right)]
    return np.concatenate([right, wrong]).astype(int)


def surest_classes(labels: np.ndarray, probabilities: np.ndarray, *, most: int) -> np.ndarray:
    """The classes that the model knows best: (K,) numbers, highest mean probability of their own images first.

    Args:
        labels: (N,) int true classes.
        probabilities: (N, C).
        most: largest number of classes.
    """
    classes = np.unique(labels)
    sure = [probabilities[labels == label, label].mean() for label in classes]
    return classes[np.argsort(-np.asarray(sure), kind="stable")][:most]


PRETRAINED_SIDE = 224  # pixels, at which networks are trained on ImageNet


@dataclass(frozen=True, eq=False)
class Shown:
    """The network whose filters are shown, and images of val as it sees them."""

    model: object  # keras.Model
    runs: list[str]  # ids of the runs it is of; none where others have trained it
    sentence: str  # whose weights these are
    images: np.ndarray  # (3, S, S, 3) uint8 in [0, 255], each of another class
    names: list[str]  # of their classes
    others: np.ndarray  # (K, S, S, 3), one class in turn


def open_shown(opened: OpenBrief, *, others: int) -> Shown:
    """The pretrained network that the brief wants shown, else one trained here: the brief's of this kind, or its best.

    Smoke runs download nothing: there the weights must lie here already.

    Args:
        opened: the brief.
        others: how many further images of val, two at least.

    Raises:
        ValueError: if val has too few images, or the network trained here was not finished.
    """
    pretrained = opened.brief.filters_of
    labels = opened.dataset.index["label"].to_numpy()
    order = opened.split.val[evaluation.one_class_in_turn(labels[opened.split.val])]
    if others < 2 or len(order) < 5:
        raise ValueError(f"three images and two others are needed. Received: {len(order)} images, {others} others")
    lacking = _lacking(pretrained, download=opened.profile_name != "smoke") if pretrained else ""
    if pretrained and not lacking:
        size, resize, ids = PRETRAINED_SIDE, "stretch", []
        model = pretrained.with_own_head(image_size=size)
        sentence = f"The filters are those of {pretrained.name}, trained by {pretrained.published().trained_by}."
    else:
        experiments = opened.experiments.items()
        name = next((name for name, one in experiments if isinstance(one.model, type(pretrained))), "best")
        job = network_job(opened, name)
        run, size, resize = run_job(job), job.settings.image_size, job.settings.resize
        model, ids = run.load_model(), [run.id]
        sentence = f"The filters are those of {job.name}, trained here on {opened.dataset.title}"
        sentence += f", and not those of {pretrained.name} as it was trained on ImageNet: {lacking}" if lacking else "."
    images = decode_rows(opened.dataset, order[: 3 + others], size=size, resize=resize)
    names = [opened.dataset.class_names[label] for label in labels[order[:3]]]
    return Shown(model, ids, sentence, images[:3], names, images[3:])


def _lacking(pretrained: Backbone, *, download: bool) -> str:
    """Why the weights of a network cannot be had, or nothing."""
    try:
        if not download and pretrained.published().find_here() is None:
            return "smoke runs download nothing."
        pretrained.published().find()
    except WeightsError as error:
        return str(error)
    return ""
