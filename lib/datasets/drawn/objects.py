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

from lib.config import paths
from lib.config.progress import progress_bar
from lib.datasets.drawn import scene
from lib.datasets.drawn.shapes import OBJECTS
from lib.datasets.storage import DataError

CATEGORIES: tuple[str, ...] = (*OBJECTS, "clutter")


def draw_image(category: str, number: int) -> tuple[Image.Image, Image.Image | None]:
    """Draw one image; it depends on nothing but the two arguments.

    Args:
        category: one of `CATEGORIES`.
        number: which image of that category, from 1.

    Returns:
        The image (mode RGB, or L for about one in twenty), 80 to 400 pixels per side, and its mask (mode L, same size,
        255 = object, else 0), which is None for clutter.
    """
    rng = np.random.default_rng([0, CATEGORIES.index(category), number])
    size = scene.random_size(rng)
    grey = rng.random() < 0.05
    picture = scene.background(rng, size) * scene.light(rng, size)
    parts = OBJECTS[category](rng) if category in OBJECTS else scene.jumble(rng)
    picture, cover = scene.add_object(rng, picture, parts=parts)
    picture = picture + rng.normal(0, rng.uniform(0, 0.03), (*size, 1)).astype(np.float32)
    image = Image.fromarray((np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8))
    mask = Image.fromarray(np.where(cover >= 0.5, 255, 0).astype(np.uint8)) if category in OBJECTS else None
    return image.convert("L") if grey else image, mask


def draw_category(category: str, *, root: Path, count: int) -> None:
    """Draw and write the first `count` images of a category into root/images, and their masks into root/masks."""
    name, images, masks = f"{CATEGORIES.index(category) + 1:03d}.{category}", root / "images", root / "masks"
    (images / name).mkdir(parents=True)
    if category in OBJECTS:
        (masks / name).mkdir(parents=True)
    for number in range(1, count + 1):
        image, mask = draw_image(category, number)
        stem = f"{name[:3]}_{number:04d}"
        image.save(images / name / f"{stem}.jpg", quality=90)
        if mask is not None:
            mask.save(masks / name / f"{stem}.png")


def draw(folder: Path, *, images_per_class: int = 100) -> None:
    """Draw the demo set into an empty folder, with one Python process per core; fewer images are the first ones."""
    cores = min(os.cpu_count() or 1, len(CATEGORIES))
    command = [sys.executable, "-m", "lib.datasets.drawn", str(Path(folder).resolve()), str(images_per_class)]
    # Plain processes, not `multiprocessing`: that would run the caller's own script again in each of them.
    workers = [
        subprocess.Popen([*command, *CATEGORIES[core::cores]], cwd=paths.ROOT, stderr=subprocess.PIPE, text=True)
        for core in range(cores)
    ]
    total = images_per_class * len(CATEGORIES)
    bar = progress_bar("Drawing the demo set", total=total, unit=" images")
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
