"""Rows of a data set as images and titles for the notebooks: samples, changed copies, findings of the audit.

`rows` are places in the index of the data set. Functions return what the figure takes that their description names.
"""

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
import pandas as pd

from lib import evaluation
from lib.config import Augment
from lib.datasets import Dataset
from lib.datasets.audit import PAIR_CHECKS
from lib.inputs.cache import resize_image

# One setting at a time, strong enough to be seen.
SINGLE_CHANGES = {
    "flip": Augment(flip=True),
    "rotation 30°": Augment(rotation=30),
    "shift 20 %": Augment(shift=0.2),
    "zoom x 1.5": Augment(zoom=0.5),
    "aspect x 1.5": Augment(aspect=0.5),
    "shear 20°": Augment(shear=20),
    "colour 0.5": Augment(colour=0.5),
    "cutmix": Augment(cutmix=1.0),
}


def sample_rows(dataset: Dataset, *, count: int, seed: int = 0) -> np.ndarray:
    """At most `count` rows, one of each class in turn, so that every class comes before any comes twice."""
    return evaluation.one_class_in_turn(dataset.index["label"].to_numpy(), seed=seed)[:count]


def open_images(dataset: Dataset, rows: Iterable[int | str]) -> list[np.ndarray]:
    """The images of some rows (or paths) at their own sizes: uint8 (H, W, 3) each."""
    return [np.asarray(dataset.open_image(row if isinstance(row, str) else int(row))) for row in rows]


def small_side(dataset: Dataset) -> int:
    """Side in pixels whose price is worth showing: 32, or half the side where the images are no larger than that."""
    side = int(dataset.index[["width", "height"]].min(axis=1).median())
    return 32 if side > 32 else max(8, side // 2)


def resized(dataset: Dataset, rows: np.ndarray) -> tuple[list[tuple[str, list[np.ndarray]]], list[str]]:
    """Each image as it is and as a network may see it, and the titles of the columns, for `before_after_grid`.

    Where all images are squares of one size: the image made smaller, the same without averaging, enlarged again, and
    what that has lost (mid-grey is nothing, differences are doubled). Else: stretched to 32 and 64 pixels, and cropped.
    """
    small = small_side(dataset)
    sides = np.unique(dataset.index[["width", "height"]])
    if len(sides) == 1:
        titles = [f"as read, {sides[0]} px", f"{small} px, bilinear", f"{small} px, picked", "enlarged again", "lost"]
    else:
        titles = ["original", "32 px", "64 px", "64 px, crop"]
    copies = []
    for image in open_images(dataset, rows):
        if len(sides) == 1:
            smaller, enlarged = _shrunk(image, small)
            picked = cv2.resize(image, (small, small), interpolation=cv2.INTER_NEAREST)
            copies.append([image, smaller, picked, enlarged, 128 + 2 * (image.astype(np.float32) - enlarged)])
        else:
            ways = ((32, "stretch"), (64, "stretch"), (64, "crop"))
            copies.append([image, *(resize_image(image, size=size, resize=resize) for size, resize in ways)])
    return list(zip(dataset.index["class_name"].iloc[rows], copies, strict=True)), titles


def contrast_kept(dataset: Dataset, rows: np.ndarray, *, size: int) -> float:
    """Share in [0, 1] of the variance of pixels that survives if an image is made smaller and enlarged again.

    The mean over the rows, for copies with sides of `size` pixels; images of one shade are left out, and 1 is returned
    if all are.
    """
    shares = []
    for image in open_images(dataset, rows):
        pixels = image.astype(np.float32)
        variance = pixels.var(axis=(0, 1)).sum()
        lost = pixels - _shrunk(image, size)[1]
        if variance > 0:
            shares.append(1 - min(1, (lost**2).mean(axis=(0, 1)).sum() / variance))
    return float(np.mean(shares)) if shares else 1.0


def _shrunk(image: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The image made smaller (halving by averages is bilinear resizing), and that one enlarged again."""
    smaller = resize_image(image, size=size, resize="stretch")
    return smaller, cv2.resize(smaller, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def augmented(images: np.ndarray, changes: dict[str, Augment], *, seed: int = 0) -> list[tuple[str, list[np.ndarray]]]:
    """Images (N, S, S, 3) uint8 in [0, 255] before and after each change, for `before_after_grid`.

    A row "as read", then one row per change under its name, float32 in [0, 255].
    """
    from lib.training.device import import_tensorflow

    import_tensorflow()
    from lib.inputs.augment import augment_batch

    labels = np.arange(len(images), dtype=np.int32)
    rows = [("as read", list(images))]
    for name, config in changes.items():
        changed, _ = augment_batch(images, labels, config=config, num_classes=len(images), seed=(seed, 0))
        rows.append((name, list(changed.numpy())))
    return rows


def moved_by_changes(images: np.ndarray, labels: np.ndarray, changes: dict[str, Augment]) -> pd.DataFrame:
    """How far each change moves an image in `evaluation.cheap_features`, beside another image of its class.

    Args:
        images: (N, S, S, 3) uint8.
        labels: (N,) integers; classes with a single image are left out of the distance between two images.
        changes: name -> settings; those that mix images move the label too, and are passed over.

    Returns:
        change and moved: the mean distance from an image to its changed copy, divided by that to the next image of its
        class (by root mean squares); NaN where no class has two images that differ. The least first.
    """
    alone = {name: change for name, change in changes.items() if not change.cutmix}
    before = evaluation.cheap_features(images)
    order = np.lexsort((np.arange(len(labels)), labels))
    same = labels[order[1:]] == labels[order[:-1]]
    pairs = before[order[1:]][same] - before[order[:-1]][same]
    apart = len(pairs) and np.sqrt((pairs**2).sum(axis=1).mean()) or np.nan
    rows = []
    for name, copies in augmented(images, alone)[1:]:
        after = evaluation.cheap_features(np.rint(np.clip(np.stack(copies), 0, 255)).astype(np.uint8))
        rows.append((name, float(np.sqrt(((after - before) ** 2).sum(axis=1).mean()) / apart)))
    return pd.DataFrame(rows, columns=["change", "moved"]).sort_values("moved", kind="stable", ignore_index=True)


def of_ends(dataset: Dataset, rows: np.ndarray, difficulty: pd.DataFrame, *, each: int, count: int = 8) -> list:
    """Images of the easiest and of the hardest classes, for `before_after_grid`.

    Args:
        dataset: the data set.
        rows: (N,) from which the images are taken.
        difficulty: as `evaluation.easy_and_hard_classes` gives.
        each: so many classes at each end, fewer where there are not so many.
        count: images of a class, at most.
    """
    ranked = difficulty.dropna(subset=["accuracy"]).sort_values("accuracy", ascending=False, kind="stable")
    each, classes = min(each, len(ranked) // 2), dataset.index["label"].to_numpy()[rows]
    shown = []
    for label in [*ranked.index[:each], *ranked.index[len(ranked) - each :]]:
        name = f"{dataset.class_names[label]}: {100 * ranked['accuracy'][label]:.0f} %"
        shown.append((name, open_images(dataset, rows[classes == label][:count])))
    return shown


def predicted(dataset: Dataset, rows: np.ndarray, *, labels, probabilities, picks) -> dict:
    """Some predictions as `predictions_grid` takes them.

    Args:
        dataset: the data set.
        rows: (N,) rows of the predicted images.
        labels: (N,) int true classes.
        probabilities: (N, C) predictions.
        picks: which of the N to show.
    """
    names = np.array(dataset.class_names, dtype=object)
    return {
        "images": open_images(dataset, rows[picks]),
        "true_names": list(names[labels[picks]]),
        "predicted_names": list(names[probabilities[picks].argmax(axis=1)]),
        "confidences": list(probabilities[picks].max(axis=1)),
    }


def answered(dataset: Dataset, rows: np.ndarray, *, answers: np.ndarray, names: Sequence[str] | None) -> dict:
    """Images with their class and what another network answers for them, as `sample_grid` takes them.

    Args:
        dataset: the data set.
        rows: (N,) rows of the images.
        answers: (N, K) probabilities of its own classes; the three highest of 1 % at least are shown.
        names: K names of these; None shows numbers such as "#281".
    """
    titles = []
    for row, shares in zip(rows, answers, strict=True):
        best = [place for place in np.argsort(-shares, kind="stable")[:3] if shares[place] >= 0.01]
        lines = [f"{100 * shares[place]:.0f} % {names[place] if names else f'#{place}'}" for place in best]
        titles.append("\n".join([f"{dataset.index['class_name'].iloc[row]}:", *lines]))
    return {"images": open_images(dataset, rows), "titles": titles}


def copied(dataset: Dataset, findings: pd.DataFrame, *, count: int) -> list[tuple[np.ndarray, np.ndarray, str]]:
    """At most `count` pairs of images that the audit found, for `pair_grid`: a few of each check, the gravest first.

    Their text is the check, or for a leak the two sides, and their classes.
    """
    found = findings[findings["other"].notna()]
    found = found.assign(place=found["check"].map(PAIR_CHECKS.get)).sort_values("place", kind="stable")
    both = pd.Series(map(frozenset, zip(found["path"], found["other"], strict=True)), index=found.index, dtype=object)
    found = _classes_in_turn(found[~both.duplicated()])
    found = found.assign(turn=found.groupby("check").cumcount())
    chosen = found.sort_values(["turn", "place"]).head(count).sort_values(["place", "turn"])
    pairs = []
    for row in chosen.itertuples():
        what = f"{row.role} and {row.other_role}" if "leak" in row.check else row.check.partition(",")[0]
        classes = dict.fromkeys((row.class_name, row.other_class))
        pairs.append((*open_images(dataset, [row.path, row.other]), f"{what}: {' | '.join(classes)}"))
    return pairs


def odd(dataset: Dataset, findings: pd.DataFrame, *, each: int) -> list[tuple[str, list[np.ndarray]]]:
    """Images that the audit flagged one by one, a row per check, for `before_after_grid`.

    At most `each` of a check: of each class in turn, the one with the lowest score.
    """
    single = findings[findings["path"].isin(dataset.index["path"]) & findings["other"].isna()]
    groups = _classes_in_turn(single.sort_values("value", kind="stable")).groupby("check", sort=False)
    checks = single["check"].unique()
    return [(check, open_images(dataset, groups.get_group(check)["path"].head(each))) for check in checks]


def look_alikes(dataset: Dataset, rows: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, str]]:
    """The images of rows (M, 2) with the names of their classes, for `pair_grid`."""
    names = dataset.index["class_name"].to_numpy()
    return [(*open_images(dataset, pair), " | ".join(names[pair])) for pair in rows]


def _classes_in_turn(findings: pd.DataFrame) -> pd.DataFrame:
    """The findings of each check in an order in which every class comes before any comes twice."""
    turn = findings.groupby(["check", "class_name"]).cumcount()
    return findings.loc[turn.sort_values(kind="stable").index]
