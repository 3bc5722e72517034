"""Example images for the notebooks: samples, resized copies, augmented copies. Computed here, drawn in `figures`."""

import numpy as np

from lib.config import Augment
from lib.datasets import Dataset
from lib.image_cache import resize_image

# One setting at a time, strong enough to be seen.
SINGLE_CHANGES = {
    "flip": Augment(flip=True),
    "rotation 30°": Augment(rotation=30),
    "shift 20 %": Augment(shift=0.2),
    "zoom x 1.5": Augment(zoom=0.5),
    "aspect x 1.5": Augment(aspect=0.5),
    "shear 20°": Augment(shear=20),
    "colour 0.5": Augment(colour=0.5),
    "erase": Augment(erase=1.0),
    "mixup": Augment(mixup=1.0),
    "cutmix": Augment(cutmix=1.0),
}


def sample_rows(dataset: Dataset, *, count: int, seed: int = 0) -> np.ndarray:
    """Rows of the index, one a class in turn, so that every class comes before any comes twice.

    Args:
        dataset: the data set.
        count: how many rows; fewer where the data set is smaller.
        seed: of the choice within each class.
    """
    order = np.random.default_rng(seed).permutation(len(dataset.index))
    shuffled = dataset.index["label"].iloc[order]
    turn = shuffled.groupby(shuffled).cumcount().to_numpy()
    rank = np.lexsort((shuffled.to_numpy(), turn))
    return order[rank][:count]


def open_images(dataset: Dataset, rows: np.ndarray) -> list[np.ndarray]:
    """The images of some rows at their own sizes: uint8 (H, W, 3) each."""
    return [np.asarray(dataset.open_image(int(row))) for row in rows]


def resized(dataset: Dataset, rows: np.ndarray, *, sizes: tuple[int, ...]) -> list[tuple[str, list[np.ndarray]]]:
    """Each image as it is and as a network may see it, for `figures.before_after_grid`.

    Args:
        dataset: the data set.
        rows: index rows.
        sizes: sides in pixels for stretching; the last one is also shown cropped and padded.

    Returns:
        Per image its class name, and the original, each stretched size, the crop and the padded copy.
    """
    ways = [(size, "stretch") for size in sizes] + [(sizes[-1], "crop"), (sizes[-1], "pad")]
    result = []
    for row in rows:
        image = dataset.open_image(int(row))
        copies = [np.asarray(resize_image(image, size=size, resize=resize)) for size, resize in ways]
        result.append((dataset.index["class_name"].iloc[row], [np.asarray(image), *copies]))
    return result


def augmented(images: np.ndarray, changes: dict[str, Augment], *, seed: int = 0) -> list[tuple[str, list[np.ndarray]]]:
    """The same images before and after each change, for `figures.before_after_grid`.

    Args:
        images: (N, S, S, 3) uint8 in [0, 255].
        changes: settings by name, one row each.
        seed: of the random changes.

    Returns:
        A row "as read", then one row a change; float32 images in [0, 255].
    """
    from lib.device import import_tensorflow

    import_tensorflow()
    from lib.augment import augment_batch

    labels = np.arange(len(images), dtype=np.int32)
    rows = [("as read", list(images))]
    for name, config in changes.items():
        changed, _ = augment_batch(images, labels, config=config, num_classes=len(images), seed=(seed, 0))
        rows.append((name, list(changed.numpy())))
    return rows


def predicted(dataset: Dataset, rows: np.ndarray, *, labels, probabilities, picks) -> dict:
    """Some predictions as `figures.predictions_grid` takes them.

    Args:
        dataset: the data set.
        rows: (N,) index rows of the predictions.
        labels: (N,) int true classes.
        probabilities: (N, C) predictions.
        picks: which of the N to show.
    """
    names = dataset.class_names
    return {
        "images": open_images(dataset, rows[picks]),
        "true_names": [names[label] for label in labels[picks]],
        "predicted_names": [names[label] for label in probabilities[picks].argmax(axis=1)],
        "confidences": list(probabilities[picks].max(axis=1)),
    }
