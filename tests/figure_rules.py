"""How the tests of figures look at a figure: its pixels, its words, whether it fits."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text


def picture(figure: Figure) -> np.ndarray:
    """The drawn pixels; drawing is when layout and font warnings appear, and warnings are errors in these tests."""
    FigureCanvasAgg(figure)
    figure.set_dpi(60)  # coarse is fast
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())


def words(figure: Figure) -> list[str]:
    """All texts that the figure holds, but for ticks that only drawing sets."""
    return [text.get_text() for text in figure.findobj(Text) if text.get_text().strip()]


def assert_fits(figure: Figure) -> None:
    """Nothing is cut off at the edges."""
    if figure.stale:
        picture(figure)
    box = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    assert box.x0 > -0.02 and box.y0 > -0.02 and box.x1 < width + 0.02 and box.y1 < height + 0.02, str(box)
