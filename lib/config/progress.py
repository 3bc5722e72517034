"""Progress bars: widgets in Jupyter, drawn with characters in a terminal."""

import os
import sys


def progress_bar(title: str, **options):
    """A tqdm bar, shown where somebody watches: in Jupyter or in a terminal.

    Where a report is made by a notebook or by one of several processes, no bar is shown: it would stay on the page, or
    cross another one.

    Args:
        title: what is going on; short, since Jupyter breaks it into lines.
        options: of tqdm: total, unit, and others.
    """
    from tqdm.auto import tqdm  # here: the words of an experiment are read where nothing is installed

    shown = watched() and not os.environ.get("COURSEWORK_HEADLESS")
    return tqdm(desc=title, disable=not shown, mininterval=0.5, **options)


def watched() -> bool:
    """Whether somebody sees what is printed at once."""
    from IPython import get_ipython

    return hasattr(get_ipython(), "kernel") or sys.stderr.isatty()
