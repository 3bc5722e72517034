"""The Python environment that everything else runs in: looked at, checked, made.

This room runs before anything is installed, on whatever Python is at hand: standard library only, no TensorFlow, and
nothing that an old Python 3 cannot read (so plain annotations), so that it lives long enough to say what is wrong.
"""

from lib.environment.interpreter import SetupError, check_at_hand, compare_at_hand, direct_dependencies, find_python
from lib.environment.virtual import ensure, find_problem, python_of

__all__ = [
    "SetupError",
    "check_at_hand",
    "compare_at_hand",
    "direct_dependencies",
    "ensure",
    "find_problem",
    "find_python",
    "python_of",
]
