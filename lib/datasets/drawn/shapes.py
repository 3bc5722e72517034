"""The outlines of the twelve objects, as ordered polygons in unit coordinates.

x runs to the right and y downwards, and an object fills about [-1, 1] both ways. Later parts are painted over
earlier ones. Each outline varies a little from image to image, as the things themselves do.
"""

import math
from dataclasses import dataclass

import numpy as np

BODY, DETAIL, HOLE = "body", "detail", "hole"


@dataclass(frozen=True)
class Part:
    """One polygon of an outline."""

    points: np.ndarray  # (n, 2) corners, x then y
    kind: str = BODY  # adds to the object; DETAIL adds in its second tone, HOLE lets the background through


def polygon(*points: tuple[float, float], kind: str = BODY) -> list[Part]:
    """One polygon from its corners."""
    return [Part(np.array(points, np.float64), kind)]


def arc(x: float, y: float, *, rx: float, ry: float, start: float, stop: float) -> np.ndarray:
    """Points (n, 2) along part of an ellipse, angles in degrees: 0 points right and 90 points down."""
    angles = np.radians(np.linspace(start, stop, max(3, int(abs(stop - start) / 9) + 1)))
    return np.stack([x + rx * np.cos(angles), y + ry * np.sin(angles)], axis=1)


def ellipse(x: float, y: float, *, rx: float, ry: float, kind: str = BODY) -> list[Part]:
    """A filled ellipse."""
    return [Part(arc(x, y, rx=rx, ry=ry, start=0, stop=360), kind)]


def ring(x: float, y: float, *, rx: float, ry: float, width: float) -> list[Part]:
    """An ellipse of the given outer radii with a hole that leaves a band of the given width."""
    return ellipse(x, y, rx=rx, ry=ry) + ellipse(x, y, rx=rx - width, ry=ry - width, kind=HOLE)


def stroke(points, width: float, *, kind: str = BODY) -> list[Part]:
    """A thick line with round ends along smooth points (n, 2); draw sharp corners as separate strokes."""
    points = np.asarray(points, np.float64)
    along = np.gradient(points, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1) * width / 2
    line = Part(np.concatenate([points + across, (points - across)[::-1]]), kind)
    ends = [ellipse(x, y, rx=width / 2, ry=width / 2, kind=kind)[0] for x, y in (points[0], points[-1])]
    return [line, *ends]


def anchor(rng: np.random.Generator) -> list[Part]:
    """Ring, shank, stock, curved arms and two flukes."""
    reach, thick = rng.uniform(0.68, 0.82), rng.uniform(0.17, 0.23)
    parts = stroke([(0, -0.55), (0, 0.8)], thick)
    parts += ring(0, -0.78, rx=0.24, ry=0.24, width=0.13)
    parts += stroke([(-0.45, -0.36), (0.45, -0.36)], thick * 0.9)
    parts += stroke(arc(0, 0.12, rx=reach, ry=0.74, start=12, stop=168), thick)
    for side in (-1, 1):
        tip = side * reach
        parts += polygon((tip - 0.27, 0.36), (tip + 0.04 * side, -0.12), (tip + 0.27, 0.36))
    return parts


def bicycle(rng: np.random.Generator) -> list[Part]:
    """Two wheels, a diamond frame, saddle and handlebar."""
    radius, thick = rng.uniform(0.42, 0.48), rng.uniform(0.09, 0.12)
    rear, front, pedal = (-0.62, 0.32), (0.62, 0.32), (-0.06, 0.32)
    seat, head = (-0.24, -0.3), (0.4, -0.34)
    parts = []
    for x, y in (rear, front):
        parts += ring(x, y, rx=radius, ry=radius, width=thick) + ellipse(x, y, rx=0.09, ry=0.09)
    for start, stop in [(rear, pedal), (rear, seat), (pedal, seat), (pedal, head), (seat, head), (head, front)]:
        parts += stroke([start, stop], thick)
    parts += stroke([seat, (-0.3, -0.5)], thick) + stroke([(-0.46, -0.54), (-0.14, -0.52)], 0.14)
    parts += stroke([head, (0.35, -0.6)], thick) + stroke([(0.35, -0.6), (0.62, -0.64)], 0.12)
    return parts


def cup(rng: np.random.Generator) -> list[Part]:
    """A mug with one handle, seen a little from above."""
    waist, height = rng.uniform(0.42, 0.55), rng.uniform(0.58, 0.75)
    parts = ring(0.58, 0, rx=rng.uniform(0.36, 0.42), ry=height * 0.58, width=0.15)
    parts += polygon((-0.62, -height), (0.62, -height), (waist, height), (-waist, height))
    parts += ellipse(0, height, rx=waist, ry=0.13) + ellipse(0, -height, rx=0.62, ry=0.2)
    return parts + ellipse(0, -height, rx=0.5, ry=0.125, kind=DETAIL)


def fish(rng: np.random.Generator) -> list[Part]:
    """Body pointed at the mouth, forked tail, fins, eye and gill."""
    girth = rng.uniform(0.36, 0.48)
    above = arc(-0.2, 0.32, rx=0.8, ry=girth + 0.32, start=203, stop=337)
    parts = polygon((0.4, 0), (1, -0.46), (0.84, 0), (1, 0.46))
    parts += polygon((-0.4, -girth * 0.8), (-0.05, -girth - 0.3), (0.28, -girth - 0.18), (0.3, -girth * 0.4))
    parts += polygon((-0.2, girth * 0.8), (0.16, girth + 0.24), (0.16, girth * 0.7))
    parts += [Part(np.concatenate([above, (above * [1, -1])[::-1]]))]
    parts += stroke(arc(-0.72, 0, rx=0.34, ry=0.4, start=-42, stop=42), 0.07, kind=DETAIL)
    return parts + ellipse(-0.62, -0.1, rx=0.08, ry=0.08, kind=DETAIL)


def house(rng: np.random.Generator) -> list[Part]:
    """Walls, gabled roof, chimney, door and windows."""
    width, eaves = rng.uniform(0.62, 0.8), rng.uniform(-0.15, 0.05)
    parts = polygon((0.3, -0.85), (0.54, -0.85), (0.54, eaves), (0.3, eaves))
    parts += polygon((-width, eaves), (width, eaves), (width, 0.85), (-width, 0.85))
    parts += polygon((-width - 0.2, eaves), (0, -0.95), (width + 0.2, eaves))
    parts += stroke([(-width, eaves), (width, eaves)], 0.08, kind=DETAIL)
    parts += polygon((-0.15, 0.85), (-0.15, 0.3), (0.15, 0.3), (0.15, 0.85), kind=DETAIL)
    for x in (-width * 0.62, width * 0.62):
        parts += polygon((x - 0.14, 0.2), (x + 0.14, 0.2), (x + 0.14, 0.48), (x - 0.14, 0.48), kind=DETAIL)
    return parts


def key(rng: np.random.Generator) -> list[Part]:
    """Bow with a hole, long shaft, collar and teeth."""
    bow, thick = rng.uniform(0.36, 0.44), rng.uniform(0.16, 0.2)
    parts = stroke([(-0.5, 0), (0.92, 0)], thick) + ring(-0.58, 0, rx=bow, ry=bow, width=bow * 0.46)
    parts += stroke([(-0.06, -0.17), (-0.06, 0.17)], 0.12)
    teeth = [(x, rng.uniform(0.28, 0.46)) for x in (0.5, 0.71, 0.92)][-int(rng.integers(2, 4)) :]
    for x, depth in teeth:
        parts += polygon((x - 0.07, 0), (x + 0.08, 0), (x + 0.08, depth), (x - 0.07, depth))
    return parts


def ladder(rng: np.random.Generator) -> list[Part]:
    """Two rails that may lean together, and four to six rungs."""
    foot, top = rng.uniform(0.36, 0.46), rng.uniform(0.26, 0.36)
    parts = []
    for y in np.linspace(-0.72, 0.72, int(rng.integers(4, 7))):
        half = foot + (top - foot) * (1 - y) / 2
        parts += stroke([(-half, y), (half, y)], 0.12)
    for side in (-1, 1):
        parts += stroke([(side * top, -1), (side * foot, 1)], 0.15)
    return parts


def leaf(rng: np.random.Generator) -> list[Part]:
    """A pointed blade with a toothed edge, a stalk, a midrib and veins."""
    breadth, teeth = rng.uniform(0.5, 0.62), int(rng.integers(5, 8))
    y = np.linspace(-1, 0.6, 6 * teeth + 1)
    along = (y + 1) / 1.6
    saw = 1 - 0.2 * ((along * teeth) % 1.0)
    half = breadth * 2.2 * along**0.8 * (1 - along) ** 0.5 * saw
    edge = np.stack([half, y], axis=1)
    parts = [Part(np.concatenate([edge, (edge * [-1, 1])[::-1]]))] + stroke([(0, 0.5), (0.06, 1)], 0.13)
    parts += stroke([(0, -0.75), (0, 0.6)], 0.07, kind=DETAIL)
    for base in (-0.3, 0, 0.3):
        for side in (-1, 1):
            parts += stroke([(0, base + 0.1), (side * breadth * 0.6, base - 0.2)], 0.055, kind=DETAIL)
    return parts


def scissors(rng: np.random.Generator) -> list[Part]:
    """Two crossed blades, open by a varying angle, with ring handles and a screw."""
    half = math.radians(rng.uniform(13, 24))
    loop = rng.uniform(0.24, 0.29)
    parts = []
    for side in (-1, 1):
        turn = np.array([[math.cos(half), -math.sin(half)], [math.sin(half), math.cos(half)]]) * [[side, side], [1, 1]]
        blade = np.array([(-0.02, -1.02), (0.1, -0.7), (0.13, 0.05), (-0.08, 0.1)])
        grip = [(0, 0), (-0.02, 0.42)]
        parts += [Part(blade @ turn.T)] + stroke(np.array(grip) @ turn.T, 0.15)
        x, y = np.array([-0.06, 0.66]) @ turn.T
        parts += ring(x, y, rx=loop, ry=loop * 1.15, width=0.12)
    return parts + ellipse(0, 0, rx=0.06, ry=0.06, kind=DETAIL)


def star(rng: np.random.Generator) -> list[Part]:
    """Five points, slim or stout."""
    inner = rng.uniform(0.38, 0.5)
    angles = np.radians(-90 + 36 * np.arange(10))
    radii = np.where(np.arange(10) % 2, inner, 1.0)
    return [Part(np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1))]


def teapot(rng: np.random.Generator) -> list[Part]:
    """Round pot with spout, handle, lid, knob and foot."""
    height = rng.uniform(0.48, 0.58)
    parts = ring(0.6, 0.05, rx=0.4, ry=0.38, width=0.13)
    parts += polygon((-0.3, 0.38), (-0.3, -0.1), (-0.78, -0.42), (-1.02, -0.4), (-0.82, -0.1), (-0.66, 0.25))
    parts += ellipse(0, 0.1, rx=0.64, ry=height) + ellipse(0, -0.74, rx=0.12, ry=0.12)
    parts += polygon((-0.32, 0.55), (0.32, 0.55), (0.38, 0.74), (-0.38, 0.74))
    parts += [Part(arc(0, -0.36, rx=0.4, ry=0.28, start=180, stop=360))]
    return parts + stroke(arc(0, -0.62, rx=0.6, ry=0.3, start=50, stop=130), 0.07, kind=DETAIL)


def umbrella(rng: np.random.Generator) -> list[Part]:
    """Scalloped canopy with ribs, tip, shaft and hooked handle."""
    dome, gores = rng.uniform(0.75, 0.95), int(rng.integers(4, 6))
    canopy = arc(0, 0, rx=1, ry=dome, start=180, stop=360)
    step = 2 / gores
    scallops = [arc(1 - step * (i + 0.5), 0, rx=step / 2, ry=0.15, start=0, stop=-180) for i in range(gores)]
    parts = stroke([(0, -dome - 0.1), (0, 0.82)], 0.12) + stroke(
        arc(-0.17, 0.82, rx=0.17, ry=0.18, start=0, stop=170), 0.12
    )
    parts += [Part(np.concatenate([canopy, *scallops]))]
    for i in range(1, gores):
        x = 1 - step * i
        rib = arc(0, 0, rx=abs(x), ry=dome, start=0, stop=-90) * [math.copysign(1, x), 1]
        parts += stroke(rib if abs(x) > 0.01 else [(0, 0), (0, -dome)], 0.06, kind=DETAIL)
    return parts


OBJECTS = {shape.__name__: shape for shape in (anchor, bicycle, cup, fish, house, key, ladder, leaf, scissors, star)}
OBJECTS |= {shape.__name__: shape for shape in (teapot, umbrella)}
