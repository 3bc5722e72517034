"""The demo set: a drawn stand-in for Caltech-256 that needs no download and comes with object masks.

Twelve objects and a clutter category in the folder layout of Caltech-256. What tells the classes apart is the outline
alone: size, place, pose, colour, texture, light, ground and distractors are drawn the same way for every class.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from lib.config import paths
from lib.datasets.drawn import scene
from lib.datasets.drawn.shapes import OBJECTS
from lib.datasets.storage import DataError

CATEGORIES: tuple[str, ...] = (*OBJECTS, "clutter")
GREY_SHARE = 0.05


def folder_name(category: str) -> str:
    """Folder of a category, e.g. `001.anchor`."""
    return f"{CATEGORIES.index(category) + 1:03d}.{category}"


def draw_image(category: str, number: int, *, seed: int = 0) -> tuple[Image.Image, Image.Image | None]:
    """Draw one image; it depends on nothing but the three arguments.

    Args:
        category: one of `CATEGORIES`.
        number: which image of that category, from 1.
        seed: which demo set.

    Returns:
        The image (mode RGB, or L for about one in twenty), 80 to 400 pixels per side, and its mask (mode L, same size,
        255 = object, else 0), which is None for clutter.
    """
    rng = np.random.default_rng([seed, CATEGORIES.index(category), number])
    size = scene.random_size(rng)
    grey = rng.random() < GREY_SHARE
    picture = scene.background(rng, size) * scene.light(rng, size)
    parts = OBJECTS[category](rng) if category in OBJECTS else scene.jumble(rng)
    picture, cover = scene.add_object(rng, picture, parts=parts)
    picture = picture + rng.normal(0, rng.uniform(0, 0.03), (*size, 1)).astype(np.float32)
    image = Image.fromarray((np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8))
    mask = Image.fromarray(np.where(cover >= 0.5, 255, 0).astype(np.uint8)) if category in OBJECTS else None
    return image.convert("L") if grey else image, mask


def draw_category(category: str, *, root: Path, count: int, seed: int) -> None:
    """Draw and write the first `count` images of a category into root/images, and their masks into root/masks."""
    name, images, masks = folder_name(category), root / "images", root / "masks"
    (images / name).mkdir(parents=True)
    if category in OBJECTS:
        (masks / name).mkdir(parents=True)
    for number in range(1, count + 1):
        image, mask = draw_image(category, number, seed=seed)
        stem = f"{name[:3]}_{number:04d}"
        image.save(images / name / f"{stem}.jpg", quality=90)
        if mask is not None:
            mask.save(masks / name / f"{stem}.png")


def draw(folder: Path, *, images_per_class: int = 100, seed: int = 0, progress: bool = True) -> None:
    """Draw the demo set with one Python process per core; of fewer images per class, the first ones are drawn.

    Args:
        folder: an empty folder; gets the folders `images` and `masks`.
        images_per_class: images of each category, from 1 to 9999.
        seed: the same seed draws the same bytes.
        progress: whether to show a progress bar.

    Raises:
        ValueError: if a number is out of range.
        DataError: if a drawing process fails, e.g. because the disk is full.
    """
    if not 1 <= images_per_class <= 9999 or seed < 0:
        raise ValueError(
            "images_per_class must be from 1 to 9999 and seed at least 0. "
            f"Received: images_per_class={images_per_class}, seed={seed}"
        )
    cores = min(os.cpu_count() or 1, len(CATEGORIES))
    command = [
        sys.executable,
        "-m",
        "lib.datasets.drawn",
        str(Path(folder).resolve()),
        str(images_per_class),
        str(seed),
    ]
    # Plain processes, not `multiprocessing`: that would run the caller's own script again in each of them.
    workers = [
        subprocess.Popen([*command, *CATEGORIES[core::cores]], cwd=paths.ROOT, stderr=subprocess.PIPE, text=True)
        for core in range(cores)
    ]
    bar = tqdm(
        total=images_per_class * len(CATEGORIES), desc="Drawing the demo set", unit=" images", disable=not progress
    )
    try:
        running = True
        while running:
            time.sleep(0.1)
            running = any(worker.poll() is None for worker in workers)
            bar.update(sum(1 for _ in Path(folder).glob("images/*/*.jpg")) - bar.n)
        for worker in workers:
            complaint = worker.communicate()[1].strip().splitlines()
            if worker.returncode:
                raise DataError(f"Drawing the demo set failed: {(complaint or [worker.returncode])[-1]}")
    finally:
        bar.close()
        for worker in workers:
            worker.kill()
            worker.wait()
            worker.stderr.close()
