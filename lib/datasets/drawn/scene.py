"""One picture: background, distractors, light, and the object in it. Nothing but the outline tells its class.

Pictures are float32 arrays (height, width, 3) with values in [0, 1]; every random choice comes from the generator
passed in.
"""

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from lib.datasets.drawn.shapes import BODY, DETAIL, HOLE, Part, arc, ellipse, polygon, ring, stroke

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
SHARPER = 3  # outlines are drawn this many times larger, then averaged down to clean edges
MIN_CONTRAST = 0.26  # least difference in luma between an object and what surrounds it


def random_size(rng: np.random.Generator) -> tuple[int, int]:
    """Height and width in pixels, each between 80 and 400, in portrait or landscape."""
    longer = math.exp(rng.uniform(math.log(110), math.log(400)))
    shorter = max(80, longer / rng.uniform(1, 1.6))
    sides = (round(shorter), round(longer))
    return sides if rng.random() < 0.6 else sides[::-1]


def smooth_noise(rng: np.random.Generator, size: tuple[int, int], *, cells: int) -> np.ndarray:
    """Random values on a coarse grid, blown up smoothly: (height, width) float32 in [0, 1]."""
    coarse = Image.fromarray(rng.random((cells, cells), np.float32))
    return np.clip(np.asarray(coarse.resize(size[::-1], Image.Resampling.BICUBIC)), 0, 1)


def pattern(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """A fill pattern: plain, gradient, stripes, dots, noise or blobs; (height, width) float32 in [0, 1]."""
    kind = rng.choice(["plain", "gradient", "stripes", "dots", "noise", "blobs"])
    if kind == "plain":
        return np.full(size, 0.5, np.float32)
    if kind == "noise":
        return smooth_noise(rng, size, cells=int(rng.integers(12, 40)))
    if kind == "blobs":
        return smooth_noise(rng, size, cells=int(rng.integers(3, 7)))
    angle, phase = rng.uniform(0, math.pi), rng.uniform(0, 2 * math.pi)
    y, x = np.mgrid[0 : size[0], 0 : size[1]].astype(np.float32) / min(size)
    u, v = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    if kind == "gradient":
        return (u - u.min()) / (u.max() - u.min())
    waves = 2 * math.pi * rng.uniform(5, 16)
    if kind == "stripes":
        return np.clip(0.5 + rng.uniform(0.5, 3) * np.sin(u * waves + phase), 0, 1)
    return np.clip(2.5 * (np.sin(u * waves + phase) * np.sin(v * waves) - 0.3), 0, 1)


def colour(rng: np.random.Generator, luma: float) -> np.ndarray:
    """A random colour of about the given brightness: (3,) float32 in [0, 1]."""
    tint = rng.uniform(-1, 1, 3)
    tint -= tint @ LUMA
    return np.clip(luma + tint * rng.uniform(0.1, 0.5), 0, 1).astype(np.float32)


def textured(rng: np.random.Generator, size: tuple[int, int], *, luma: float, spread: float) -> np.ndarray:
    """A surface of two colours mixed by a pattern, `spread` apart in brightness."""
    half = spread / 2 * rng.choice([-1, 1])
    first, second = colour(rng, luma - half), colour(rng, luma + half)
    return first + pattern(rng, size)[..., None] * (second - first)


def posed(parts: list[Part], matrix: np.ndarray, *, span: float) -> list[Part]:
    """Turn and scale an outline so that its longer side measures `span` pixels and its box starts at (0, 0)."""
    moved = [Part(part.points @ matrix.T, part.kind) for part in parts]
    points = np.concatenate([part.points for part in moved if part.kind != HOLE])
    corner, extent = points.min(axis=0), np.ptp(points, axis=0).max()
    return [Part((part.points - corner) * span / extent, part.kind) for part in moved]


def random_pose(rng: np.random.Generator, *, degrees: float) -> np.ndarray:
    """A 2x2 matrix: mirrored or not, slightly stretched and slanted, rotated by up to `degrees`."""
    angle, slant = math.radians(rng.triangular(-degrees, 0, degrees)), rng.uniform(-0.1, 0.1)
    rotate = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return rotate @ np.array([[rng.uniform(0.88, 1.12), slant], [0, 1]]) @ np.diag([rng.choice([-1, 1]), 1])


def rasterise(parts: list[Part]) -> tuple[np.ndarray, np.ndarray]:
    """How much of each pixel is object, and how much is its second tone: (height, width) float32 in [0, 1] twice."""
    points = np.concatenate([part.points for part in parts])
    width, height = (int(side) + 1 for side in np.ceil(points.max(axis=0)))
    cover, tone = (Image.new("L", (width * SHARPER, height * SHARPER)) for _ in range(2))
    paint_cover, paint_tone = ImageDraw.Draw(cover), ImageDraw.Draw(tone)
    for part in parts:
        corners = (part.points * SHARPER).ravel().tolist()
        paint_cover.polygon(corners, fill=0 if part.kind == HOLE else 255)
        paint_tone.polygon(corners, fill=255 if part.kind == DETAIL else 0)
    return tuple(np.asarray(layer.reduce(SHARPER), np.float32) / 255 for layer in (cover, tone))


def place(rng: np.random.Generator, layers: tuple[np.ndarray, ...], *, size: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """Set small layers into empty ones of the picture's size, all at the same random place, rather near the rim."""
    room = [whole - piece for whole, piece in zip(size, layers[0].shape, strict=True)]
    top, left = (round(free * rng.beta(0.8, 0.8)) for free in room)
    return tuple(np.pad(layer, ((top, room[0] - top), (left, room[1] - left))) for layer in layers)


def blend(picture: np.ndarray, surface: np.ndarray, *, cover: np.ndarray) -> np.ndarray:
    """Lay a surface over a picture where `cover` (height, width) is 1."""
    return picture + cover[..., None] * (surface - picture)


def fragment(rng: np.random.Generator) -> list[Part]:
    """A small shape that belongs to no class."""
    a, b = rng.uniform(0.3, 1, 2)
    choice = rng.integers(6)
    if choice == 0:
        return polygon((-1, -a), (1, b), (rng.uniform(-1, 1), 1))
    if choice == 1:
        return polygon((-1, -a), (1, -b), (1, a), (-1, b))
    if choice == 2:
        return ellipse(0, 0, rx=1, ry=a)
    if choice == 3:
        return ring(0, 0, rx=1, ry=0.5 + a / 2, width=0.35)
    if choice == 4:
        return stroke([(-1, 0), (1, 0)], 0.2 + 0.3 * a)
    return stroke(arc(0, 0, rx=1, ry=a, start=0, stop=rng.uniform(90, 240)), 0.3)


def jumble(rng: np.random.Generator) -> list[Part]:
    """A meaningless pile of three to six fragments, as large as an object."""
    parts = []
    for _ in range(int(rng.integers(3, 7))):
        piece = posed(fragment(rng), random_pose(rng, degrees=180), span=rng.uniform(0.4, 1.1))
        shift = rng.uniform(-0.5, 0.5, 2)
        kind = rng.choice([BODY, BODY, DETAIL])
        parts += [Part(part.points + shift, HOLE if part.kind == HOLE else str(kind)) for part in piece]
    return parts


def background(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """A textured ground with scattered fragments."""
    luma = rng.uniform(0.12, 0.65)
    picture = textured(rng, size, luma=luma, spread=rng.uniform(0.05, 0.2))
    for _ in range(int(rng.integers(1, 7))):
        span = min(size) * rng.uniform(0.06, 0.2)
        cover, _ = rasterise(posed(fragment(rng), random_pose(rng, degrees=180), span=span))
        top, left = (int(rng.integers(side - piece)) for side, piece in zip(size, cover.shape, strict=True))
        window = picture[top : top + cover.shape[0], left : left + cover.shape[1]]
        window[:] = blend(window, colour(rng, luma + rng.uniform(-0.3, 0.3)), cover=cover)
    return picture


def light(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """How bright the light is at each pixel: (height, width, 1), brighter on one side."""
    y, x = np.mgrid[-1 : 1 : size[0] * 1j, -1 : 1 : size[1] * 1j].astype(np.float32)
    angle, strength = rng.uniform(0, 2 * math.pi), rng.uniform(0, 0.22)
    return (1 - strength + strength * (x * math.cos(angle) + y * math.sin(angle)) / math.sqrt(2))[..., None]


def blurred(cover: np.ndarray, radius: float) -> np.ndarray:
    """A smooth version of a (height, width) layer with values in [0, 1]."""
    layer = Image.fromarray((cover * 255).astype(np.uint8))
    return np.asarray(layer.filter(ImageFilter.BoxBlur(radius)), np.float32) / 255


def cast_shadow(rng: np.random.Generator, picture: np.ndarray, *, cover: np.ndarray) -> np.ndarray:
    """Darken the ground beside an object."""
    reach = min(cover.shape) * rng.uniform(0.02, 0.06)
    shift = [round(reach * value) for value in rng.uniform(-1, 1, 2)]
    shadow = blurred(np.roll(cover, shift, axis=(0, 1)), reach / 2)
    return picture * (1 - rng.uniform(0.2, 0.5) * shadow[..., None])


def set_apart(surface: np.ndarray, cover: np.ndarray, *, around: float) -> np.ndarray:
    """Brighten or darken an object's surface where it is too close to the luma of its surroundings."""
    gap = float((surface @ LUMA)[cover > 0.5].mean()) - around
    missing = max(0.0, MIN_CONTRAST - abs(gap))
    return np.clip(surface + math.copysign(missing, gap), 0, 1)


def add_object(rng: np.random.Generator, picture: np.ndarray, *, parts: list[Part]) -> tuple[np.ndarray, np.ndarray]:
    """Paint an outline into a picture at a random size, place, colour and texture; the picture and the cover."""
    size = picture.shape[:2]
    span = min(size) * rng.triangular(0.42, 0.85, 0.85)
    cover, tone = place(rng, rasterise(posed(parts, random_pose(rng, degrees=35), span=span)), size=size)
    if rng.random() < 0.5:
        picture = cast_shadow(rng, picture, cover=cover)
    near = (blurred(cover, min(cover.shape) * 0.04) > 0.02) & (cover == 0)
    around = float((picture[near] @ LUMA).mean())  # luma of the ground close to the object
    apart = rng.uniform(0.34, 0.6)  # well apart from it, more often lighter where both are possible
    lighter = around < 0.35 or (around < 0.65 and rng.random() < 0.9)
    luma = min(0.97, around + apart) if lighter else max(0.03, around - apart)
    surface = textured(rng, size, luma=luma, spread=rng.uniform(0, 0.15))
    second = luma + 0.22 * np.sign(luma - around)
    second = second if 0 < second < 1 else luma + 0.6 * (around - luma)
    surface = blend(surface, colour(rng, second), cover=tone) * light(rng, size)
    return blend(picture, set_apart(surface, cover, around=around), cover=cover), cover
