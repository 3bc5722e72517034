"""Progress bars: widgets in Jupyter, drawn with characters in a terminal."""

import os
import sys


def progress_bar(title: str, *, shown: bool | None = None, **options):
    """A tqdm bar.

    Args:
        title: what is going on; short, since Jupyter breaks it into lines.
        shown: whether to show it; None where somebody watches: in Jupyter or in a terminal. Where a report is made by a
            notebook or by one of several processes, no bar is shown: it would stay on the page, or cross another one.
        options: of tqdm: total, unit, and others.
    """
    from IPython import get_ipython  # here: the words of an experiment are read where nothing is installed
    from tqdm.auto import tqdm

    watched = hasattr(get_ipython(), "kernel") or sys.stderr.isatty()
    hidden = bool(os.environ.get("COURSEWORK_HEADLESS")) or not (watched if shown is None else shown)
    return tqdm(desc=title, disable=hidden, mininterval=0.5, **options)
