"""Letters A to J drawn from the fonts that matplotlib ships, in the files of Fashion-MNIST: a set without a download.

Each image is a glyph turned, sheared, stretched, moved and bent at random, at a random brightness, with some noise.
"""

import string
import struct
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

CLASSES = tuple(string.ascii_uppercase[:10])
FONTS = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-Oblique",
    "DejaVuSansMono",
    "DejaVuSansMono-Bold",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "DejaVuSerif-Italic",
    "STIXGeneral",
    "STIXGeneralBol",
    "STIXGeneralItalic",
    "STIXGeneralBolIta",
    "cmb10",
    "cmr10",
    "cmss10",
    "cmti10",
    "cmtt10",
)
SIDE = 28  # pixels of an image
GLYPH = 64  # pixels of a drawn glyph, from which the images are read
FILES = {"train": "train", "test": "t10k"}  # parts, and how their files begin


def draw(folder: Path, *, train_per_class: int = 1000, test_per_class: int = 200, seed: int = 0) -> None:
    """Draw the letters into four IDX files: images and labels of train and test, classes in a random order.

    Args:
        folder: an existing folder.
        train_per_class: training images of each letter.
        test_per_class: test images of each letter.
        seed: the same seed draws the same bytes.

    Raises:
        ValueError: if a count is not positive.
    """
    if min(train_per_class, test_per_class) < 1:
        raise ValueError(f"each class needs images. Received: {train_per_class} to train on, {test_per_class} to test")
    glyphs = draw_glyphs()
    for number, (part, count) in enumerate((("train", train_per_class), ("test", test_per_class))):
        rng = np.random.default_rng([seed, number])
        labels = rng.permutation(np.repeat(np.arange(len(CLASSES)), count))
        images = distort(glyphs[labels, rng.integers(len(FONTS), size=len(labels))], rng=rng)
        write_idx(folder / f"{FILES[part]}-images-idx3-ubyte", images)
        write_idx(folder / f"{FILES[part]}-labels-idx1-ubyte", labels.astype(np.uint8))


def draw_glyphs() -> np.ndarray:
    """Every letter in every font, centred: (10, fonts, 64, 64) float32 in [0, 1]."""
    import matplotlib  # here, as the names of the classes are asked for where nothing is drawn

    home = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    result = np.zeros((len(CLASSES), len(FONTS), GLYPH, GLYPH), np.float32)
    for column, name in enumerate(FONTS):
        font = ImageFont.truetype(home / f"{name}.ttf", 54, layout_engine=ImageFont.Layout.BASIC)
        for row, letter in enumerate(CLASSES):
            image = Image.new("L", (GLYPH, GLYPH))
            left, top, right, bottom = font.getbbox(letter)
            corner = ((GLYPH - left - right) // 2, (GLYPH - top - bottom) // 2)
            ImageDraw.Draw(image).text(corner, letter, fill=255, font=font)
            # Blurred, so that reading every second or third pixel loses no thin stroke.
            result[row, column] = np.asarray(image.filter(ImageFilter.GaussianBlur(1))) / 255
    return result


def distort(glyphs: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Read each glyph through a random map: affine, then a wave along each axis.

    Args:
        glyphs: (N, 64, 64) float32 in [0, 1].
        rng: of all changes.

    Returns:
        (N, 28, 28) uint8.
    """
    from scipy.ndimage import map_coordinates  # here, as matplotlib is: only drawing needs it

    images = np.empty((len(glyphs), SIDE, SIDE), np.uint8)
    for start in range(0, len(glyphs), 1000):
        batch = glyphs[start : start + 1000]
        positions = _positions(len(batch), rng)
        drawn = [
            map_coordinates(glyph, place, float, order=1, mode="grid-constant")
            for glyph, place in zip(batch, positions, strict=True)
        ]
        brightness = rng.uniform(0.6, 1, (len(batch), 1, 1))
        noise = rng.normal(0, 0.06, (len(batch), SIDE, SIDE))
        images[start : start + 1000] = np.rint(255 * np.clip(brightness * np.stack(drawn) + noise, 0, 1))
    return images


def _positions(count: int, rng: np.random.Generator) -> np.ndarray:
    """Where each pixel of each image reads its glyph: rows and columns, (count, 2, 28, 28), in pixels of the glyph."""

    def draw_one(low: float, high: float) -> np.ndarray:
        return rng.uniform(low, high, (count, 1, 1))

    place = np.linspace(-1, 1, SIDE)
    x, y = place[None, None, :] + draw_one(-0.2, 0.2), place[None, :, None] + draw_one(-0.2, 0.2)
    angle, slant = draw_one(-0.3, 0.3), draw_one(-0.3, 0.3)
    width, height = np.exp(draw_one(-0.25, 0.25)), np.exp(draw_one(-0.25, 0.25))
    turned_x = width * (np.cos(angle) * x - np.sin(angle) * y + slant * y)
    turned_y = height * (np.sin(angle) * x + np.cos(angle) * y)
    bent_x = turned_x + draw_one(0, 0.12) * np.sin(draw_one(1, 4) * turned_y + draw_one(0, 2 * np.pi))
    bent_y = turned_y + draw_one(0, 0.12) * np.sin(draw_one(1, 4) * turned_x + draw_one(0, 2 * np.pi))
    middle = (GLYPH - 1) / 2
    return np.stack([middle * (1 + bent_y), middle * (1 + bent_x)], axis=1)


def write_idx(file: Path, array: np.ndarray) -> None:
    """Write an array of bytes in the IDX format of MNIST: a big-endian header, then the values.

    Raises:
        ValueError: if the array does not hold bytes.
    """
    if array.dtype != np.uint8:
        raise ValueError(f"an IDX file of images or labels holds uint8. Received: {array.dtype}")
    header = struct.pack(f">I{array.ndim}I", 0x800 | array.ndim, *array.shape)
    file.write_bytes(header + array.tobytes())
