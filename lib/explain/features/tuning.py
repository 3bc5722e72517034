"""What the channels of a convolution answer to, measured with drawn patterns: bars of every direction, and colours.

Colours are told by their distance from grey along three directions at right angles: brightness, red against green, and
yellow against blue. Every pattern goes equally far from grey, so that answers to brightness and to colour compare.
Bars lie at 0 degrees where they are horizontal, and turn counter-clockwise: at 90 degrees they are upright.
"""

import math
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from lib.explain.features.feature_maps import map_reader, side_seen
from lib.explain.network.gradients import in_batches
from lib.explain.network.layers import read_layers

AXES = np.array([(1, 1, 1), (1, -1, 0), (1, 1, -2)]) / np.sqrt([[3], [2], [6]])
BARS = ("light and dark", "red and green", "yellow and blue")
HUES = ("red", "orange", "yellow", "yellow-green", "green", "blue-green")
HUES += ("cyan", "sky blue", "blue", "violet", "magenta", "pink")
EVEN = (*HUES, "light grey", "dark grey")  # patches
GREY, FAR = 127.5, 150.0  # the ground, and how far patterns go from it, in numbers of red, green and blue
ORIENTATIONS, PERIODS, PHASES = 12, 6, 6
SHORTEST = 3.0  # period in pixels
BATCH_SIZE = 64

ORIENTED = 1.5  # bars count as preferred to crossed ones from so many times their answer on
COLOURED = 0.5  # colours count as told apart from so much of the strongest answer on
FOLLOWS = 0.3  # a map follows a pattern from this correlation on


@dataclass(frozen=True)
class Preference:
    """The pattern that a channel answers to most, and how much less to others; what is not known is 0 or empty."""

    layer: str
    channel: int
    kind: str  # bars, patches, or nothing: one and the same answer to all patterns
    orientation: float = 0.0  # degrees in [0, 180), of bars
    period: float = 0.0  # pixels, of bars
    longest: bool = False  # whether no longer period was shown
    colours: str = ""  # of the bars, or of the patch
    direction: tuple[float, ...] = (0.0, 0.0, 0.0)  # the same as a unit vector from grey: red, green, blue
    selectivity: float = 0.0  # (best - crossed) / (best + crossed) in [0, 1], the best answer to bars and the crossed
    colour_share: float = 0.0  # in [0, 1], of the squared answers to its bars: those to coloured ones
    liked: str = ""  # of the even patches the colour with the highest answer and the one with the lowest
    disliked: str = ""
    contrast: float = 0.0  # the difference of these two over the strongest answer to anything
    strongest: float = 0.0  # that answer, above the one to grey

    @property
    def times(self) -> float:
        """How many times as strongly it answers to its bars as to crossed ones; infinite where not at all to these."""
        return (1 + self.selectivity) / (1 - self.selectivity) if self.selectivity < 1 else math.inf

    def sentence(self) -> str:
        """What was measured, in one sentence without a full stop."""
        name = f"channel {self.channel}"
        if self.kind == "nothing":
            return f"{name} gives the same answer to every drawn pattern"
        if self.kind == "patches":
            text = f"{name} answers most to even patches of {self.colours}"
        else:
            period = f"{self.period:.3g} px{' or more' if self.longest else ''}"
            text = f"{name} answers most to {self.colours} bars"
            if self.times < ORIENTED:
                text += f" with a period of {period}, to all directions much alike"
            else:
                often = "and hardly" if self.times > 20 else f"{self.times:.1f} times as strongly as"
                text += f" at {self.orientation:.0f} degrees with a period of {period}, {often} to crossed ones"
        if self.contrast < COLOURED:
            return text if self.colours in HUES else f"{text}; even patches of colour matter little to it"
        return f"{text}; it prefers {self.liked} to {self.disliked}"


@dataclass(frozen=True, eq=False)
class Answers:
    """How all channels of a layer answer to drawn patterns, at the middle of the map, above their answer to grey."""

    layer: str
    field: float  # side in pixels of what a position in the middle sees; NaN where that cannot be traced
    orientations: np.ndarray  # (O,) degrees
    periods: np.ndarray  # (M,) pixels
    bars: np.ndarray  # float32 (3, O, M, C), along each of `AXES`; the highest over the phases
    patches: np.ndarray  # float32 (14, C), to even patches of `EVEN`
    grey: np.ndarray  # float32 (C,), the answer to grey itself

    def preference(self, channel: int) -> Preference:
        """What one channel prefers."""
        bars, patches = self.bars[..., channel], self.patches[:, channel]
        hues = patches[: len(HUES)]
        top = max(bars.max(), patches.max())
        if not top > 1e-6 * max(np.abs(self.bars).max(), 1e-6):
            return Preference(self.layer, channel, "nothing")
        axis, turn, period = np.unravel_index(bars.argmax(), bars.shape)
        best, crossed = bars[axis, turn, period], max(bars[axis, (turn + ORIENTATIONS // 2) % ORIENTATIONS, period], 0)
        squares = np.square(np.maximum(bars[:, turn, period], 0))
        facts = {
            "selectivity": float((best - crossed) / (best + crossed)) if best > 0 else 0.0,
            "colour_share": float(squares[1:].sum() / squares.sum()) if best > 0 else 0.0,
            "liked": HUES[hues.argmax()],
            "disliked": HUES[hues.argmin()],
            "contrast": float((hues.max() - hues.min()) / top),
            "strongest": float(top),
        }
        if patches.max() >= best:
            even = int(patches.argmax())
            facts |= {"colours": EVEN[even], "direction": tuple(_directions()[even])}
            return Preference(self.layer, channel, "patches", **facts)
        facts |= {"orientation": float(self.orientations[turn]), "period": float(self.periods[period])}
        facts |= {"longest": bool(period == len(self.periods) - 1), "colours": BARS[axis]}
        return Preference(self.layer, channel, "bars", direction=tuple(AXES[axis]), **facts)

    def preferences(self) -> list[Preference]:
        """What each channel prefers."""
        return [self.preference(channel) for channel in range(self.bars.shape[-1])]


def measure_answers(model: keras.Model, layer: str) -> Answers:
    """Show a network drawn patterns of its own image size, and read the answers of one layer.

    Bars have periods from three pixels to what the layer sees, or the image where that is smaller.

    Args:
        model: functional model with images of one size, (B, H, W, 3) in [0, 255].
        layer: name of a layer with maps; answers are read as it gives them, before a ReLU that comes after it.

    Raises:
        ValueError: if there is no such layer, it has no maps, or the images have no fixed size.
    """
    graph = read_layers(model)
    shape = graph.input_shape[1:]
    if None in shape or shape[2] != 3:
        raise ValueError(f"patterns are drawn for coloured images of one size. Received: a model of {shape}")
    field = side_seen(model, layer)
    longest = max(np.nanmin([field, *shape[:2]]), SHORTEST)
    periods = np.unique(np.geomspace(SHORTEST, longest, PERIODS))
    turns = np.arange(ORIENTATIONS) * 180 / ORIENTATIONS
    read = map_reader(model, [layer], measure=lambda maps: maps[:, tf.shape(maps)[1] // 2, tf.shape(maps)[2] // 2])

    def answers(colours: np.ndarray) -> np.ndarray:
        parts = [read(colours[rows].astype(np.float32))[layer].numpy() for rows in in_batches(len(colours), BATCH_SIZE)]
        return np.concatenate(parts)

    grey = answers(np.full((1, *shape), GREY))
    bars = [
        (answers(draw_bars(shape[:2], turn, period, direction=axis)) - grey).max(axis=0)
        for axis in AXES
        for turn in turns
        for period in periods
    ]
    patches = answers(GREY + FAR * np.broadcast_to(_directions()[:, None, None], (len(EVEN), *shape))) - grey
    return Answers(layer, field, turns, periods, np.reshape(bars, (3, len(turns), len(periods), -1)), patches, grey[0])


def draw_bars(sides: tuple[int, int], orientation: float, period: float, *, direction) -> np.ndarray:
    """Soft bars through all phases, (PHASES, H, W, 3) in [0, 255]: a cosine from grey along a direction of colour."""
    rows, columns = np.indices(sides) - (np.array(sides)[:, None, None] - 1) / 2
    x, y = _wave(orientation, period)
    phases = 2 * np.pi * np.arange(PHASES)[:, None, None] / PHASES
    waves = np.cos(2 * np.pi * (x * columns + y * rows) + phases)
    return GREY + FAR * waves[..., None] * np.asarray(direction)


def draw_preference(preference: Preference, sides: tuple[int, int]) -> np.ndarray:
    """The pattern that a channel answers to most, (H, W, 3) in [0, 255]; grey where it answers to none."""
    if preference.kind == "bars":
        return draw_bars(sides, preference.orientation, preference.period, direction=preference.direction)[0]
    return np.broadcast_to(GREY + FAR * np.array(preference.direction), (*sides, 3))


def agreement(preference: Preference, images: np.ndarray, maps: np.ndarray, *, field: float) -> tuple[float, float]:
    """Whether a channel's maps are strong where the images hold what it prefers.

    Args:
        preference: of the channel.
        images: (N, H, W, 3) in [0, 255].
        maps: (N, h, w), the channel's answers above the one to grey, 0 where they are below it.
        field: side of what a position sees, in pixels; patches are looked for at that size.

    Returns:
        Pearson's correlation over all positions with how much of the preferred pattern lies there, and, to compare,
        with how much of bars crossed with it, or of a colour at right angles to it, which has no sign; 0 where either
        is the same everywhere.
    """
    direction = np.array(preference.direction)
    if preference.kind == "bars":
        turned, size = (preference.orientation + 90) % 180, preference.period / 2
        ways = [(direction, _wave(turn, preference.period)) for turn in (preference.orientation, turned)]
    else:
        other = np.cross(direction, AXES[0])
        ways, size = [(direction, (0, 0)), (other if np.abs(other).max() > 1e-6 else AXES[1], (0, 0))], field / 4
    found = []
    for axis, wave in ways:
        there = _local_share(np.asarray(images, float) @ axis, wave, size=size)
        means = tf.image.resize(there[..., None], maps.shape[1:], method="area").numpy()
        found.append(_correlation(means.ravel(), maps.ravel()))
    return found[0], found[1] if preference.kind == "bars" else abs(found[1])


def _correlation(left: np.ndarray, right: np.ndarray) -> float:
    spreads = left.std() * right.std()
    product = np.mean((left - left.mean()) * (right - right.mean()))
    return float(product / spreads) if spreads > 1e-9 * max(1.0, np.abs(left).max()) else 0.0


def _local_share(values: np.ndarray, wave: tuple[float, float], *, size: float) -> np.ndarray:
    """How much of a wave, or with none of an even patch, lies around each pixel of (N, H, W), size its spread."""
    margin = min(math.ceil(2 * size), min(values.shape[1:]) - 1)
    padded = np.pad(values, ((0, 0), (margin, margin), (margin, margin)), mode="reflect")
    padded = (padded - padded.mean(axis=(1, 2), keepdims=True)).astype(np.float32)
    down, right = np.meshgrid(*map(np.fft.fftfreq, padded.shape[1:]), indexing="ij")
    window = np.exp(-2 * (np.pi * size) ** 2 * ((right - wave[0]) ** 2 + (down - wave[1]) ** 2)).astype(np.float32)
    there = np.fft.ifft2(np.fft.fft2(padded) * window)
    there = np.abs(there) if any(wave) else there.real
    return there[:, margin : margin + values.shape[1], margin : margin + values.shape[2]]


def _wave(orientation: float, period: float) -> tuple[float, float]:
    """Waves per pixel to the right and down."""
    angle = math.radians(orientation)
    return math.sin(angle) / period, math.cos(angle) / period


def _directions() -> np.ndarray:
    """Unit vectors from grey to each of `EVEN`: hues of one brightness, then brighter and darker, (14, 3)."""
    red = np.array([2, -1, -1]) / math.sqrt(6)
    right_angle = np.array([0, 1, -1]) / math.sqrt(2)
    angles = 2 * np.pi * np.arange(len(HUES))[:, None] / len(HUES)
    return np.concatenate([np.cos(angles) * red + np.sin(angles) * right_angle, AXES[:1], -AXES[:1]])


@dataclass(frozen=True)
class Shape:
    """The form of a filter that reads red, green and blue, by its weights alone."""

    orientation: float  # degrees, of the bars it holds
    period: float  # pixels; 0 where its weights are the same all over
    colour_share: float  # in [0, 1], of its squared weights: what is colour and not brightness
    even_share: float  # in [0, 1], of its squared weights: what their means alone would have
    opposed: tuple[str, str]  # the colours that it sets against each other most

    def sentence(self) -> str:
        """What the weights say, in one sentence without a full stop."""
        first, second = self.opposed
        colour = f"{100 * self.colour_share:.0f}\u00a0% of its squared weights are colour, {first} against {second}"
        if self.even_share > 0.5 or not self.period:
            return f"by its weights it sums up what it sees; {colour}"
        return (
            f"by its weights it holds bars at {self.orientation:.0f} degrees with a period of {self.period:.3g} px; "
            f"{colour}"
        )


def read_shape(weights: np.ndarray) -> Shape | None:
    """The strongest wave in a filter (h, w, 3), by its Fourier transform, and its colours; None where it is all zero.

    What the network does to colours before is taken to be the same for red, green and blue.
    """
    parts = np.asarray(weights, float) @ AXES.T  # brightness, red-green, yellow-blue
    total, means = np.square(parts).sum(), parts.mean(axis=(0, 1))
    if total <= 1e-20:
        return None
    side = 16 * max(parts.shape[:2])
    power = np.square(np.abs(np.fft.fft2(parts - means, s=(side, side), axes=(0, 1)))).sum(axis=2)
    down, right = np.unravel_index(power[: side // 2 + 1].argmax(), (side // 2 + 1, side))
    x, y = np.fft.fftfreq(side)[[right, down]]
    length, varies = math.hypot(x, y), power.max() > 1e-12 * total
    _, _, colours = np.linalg.svd(parts[..., 1:].reshape(-1, 2), full_matrices=False)
    match = _directions()[: len(HUES)] @ (colours[0] @ AXES[1:])
    return Shape(
        orientation=math.degrees(math.atan2(x, y)) % 180 if varies else 0.0,
        period=1 / length if varies and length else 0.0,
        colour_share=float(np.square(parts[..., 1:]).sum() / total),
        even_share=float(np.square(means).sum() * parts[..., 0].size / total),
        opposed=tuple(sorted((HUES[match.argmax()], HUES[match.argmin()]), key=HUES.index)),
    )
