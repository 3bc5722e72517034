"""The briefs: one file each, found by its name. Adding a brief is adding a file that defines `BRIEF`."""

import importlib
import pkgutil

from lib.config import Brief


def names() -> list[str]:
    """Names of all briefs, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))


def load(name: str) -> Brief:
    """The brief of that name.

    Raises:
        ValueError: if there is none; the message lists the ones there are.
    """
    if name not in names():
        raise ValueError(f"Unknown brief {name!r}. Briefs: {', '.join(names())}")
    brief = importlib.import_module(f"lib.briefs.{name}").BRIEF
    if brief.name != name:
        raise ValueError(f"lib/briefs/{name}.py must define a brief named {name!r}. Received: {brief.name!r}")
    return brief
