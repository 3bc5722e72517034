"""Which results are times: they differ from run to run on the same machine, and nothing else does."""

TIME_WORDS = {"seconds", "minutes", "hours"}
TIMED_FIGURE_WORDS = TIME_WORDS | {"cost", "time", "times", "speed"}


def is_time(name: str) -> bool:
    """Whether a value is a time, by its name: the last word is seconds, minutes or hours.

    Args:
        name: of an entry of `values.json`, e.g. `best.train_minutes`.
    """
    return name.replace(".", "_").split("_")[-1] in TIME_WORDS


def shows_times(name: str) -> bool:
    """Whether a figure or table shows times, by the words of its name, e.g. `accuracy_against_cost`."""
    return bool(set(name.split("_")) & TIMED_FIGURE_WORDS)
