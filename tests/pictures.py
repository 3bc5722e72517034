"""Drawn pictures for tests of the audit: unlike one another, and with enough detail to be recognised."""

import cv2
import numpy as np


def picture(seed: int, *, width: int = 80, height: int = 64) -> np.ndarray:
    """(height, width, 3) uint8: smooth patches of colour, a finer pattern and sharp boxes, others for each seed."""
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(rng.uniform(30, 225, (5, 6, 3)), (width, height), interpolation=cv2.INTER_CUBIC)
    fine = cv2.resize(rng.normal(0, 22, (16, 20)), (width, height), interpolation=cv2.INTER_LINEAR)
    image = np.clip(coarse + fine[..., None], 0, 255).astype(np.uint8)
    for _ in range(6):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        colour = rng.integers(0, 255, 3).tolist()
        cv2.rectangle(image, (x, y), (x + int(rng.integers(6, 20)), y + int(rng.integers(6, 20))), colour, -1)
    return image


def recoloured(image: np.ndarray) -> np.ndarray:
    """The same picture, darker and with its colours exchanged."""
    return (image[..., ::-1] * 0.8 + 10).astype(np.uint8)


def shifted(image: np.ndarray, pixels: int) -> np.ndarray:
    """The same picture a few pixels to the right, its left rim repeated."""
    return cv2.copyMakeBorder(image, 0, 0, pixels, 0, cv2.BORDER_REPLICATE)[:, : image.shape[1]]
