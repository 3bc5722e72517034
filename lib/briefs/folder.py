"""A folder of your own, one sub-folder per class: `make report BRIEF=folder DATA=/path/to/images`."""

from lib.briefs.caltech256 import BRIEF as CALTECH_256

BRIEF = CALTECH_256.replace(
    name="folder",
    title="Your own images",
    question="How well can these classes be told apart, and what helps?",
    dataset="folder",
    include_clutter=True,
    asked_accuracy=None,
)
