"""What notebook 06 looks for: the networks that a search may try, its time, and what is trained again afterwards."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

from lib.config.base import Config
from lib.config.experiment import Experiment

ORDERS = ("bayesian", "hyperband", "random")
LEAST_SECONDS = 10  # a network must be built, and see the images once
BLOCKS = ("vanilla", "resnet", "xception", "efficient")


@dataclass(frozen=True)
class SearchSpace(Config):
    """What every space has: an experiment to start from, and limits on a trial."""

    start: Experiment  # image size, batches, epochs of a trial, and whatever is not searched
    trial_seconds: float = math.inf  # a trial that takes longer ends there, and counts as it stands
    max_parameters: int = 10**9  # a larger network is passed over

    def rules(self) -> dict[str, bool]:
        return {"trial_seconds and max_parameters are positive": min(self.trial_seconds, self.max_parameters) > 0}

    def scale(self, *, epochs: float, minutes: float) -> Self:
        """The same with the epochs of a trial, and its longest time, times a factor; what is searched stays."""
        return self.replace(
            start=self.start.scale(epochs=epochs, filters=1.0), trial_seconds=self.trial_seconds * minutes
        )


@dataclass(frozen=True)
class Space(SearchSpace):
    """Experiments of this project's own families that a search may try.

    A choice is named as the setting is, e.g. `training.learning_rate`. Three more names make whole networks: `family`
    (one of `families`), `model.width` (filters of the first stage; each further stage has twice as many) and
    `model.stages`; `model.blocks` counts for each stage. A setting that a family lacks is passed over.
    """

    choices: dict = field(default_factory=dict)  # setting -> the values it may take, numbers, words or switches
    families: tuple[Config, ...] = ()  # networks that a trial may begin with; empty: that of `start`
    order: str = "bayesian"  # which trials come next: bayesian, hyperband (many short ones first), random

    def rules(self) -> dict[str, bool]:
        return (
            super().rules()
            | {
                "there is a choice": bool(self.all_choices()),
                f"order is one of {', '.join(ORDERS)}": self.order in ORDERS,
                "every choice has two values at least, all different and of one kind": all(
                    isinstance(values, tuple)
                    and all(isinstance(value, (bool, int, float, str)) for value in values)
                    and len(set(values)) == len(values) >= 2
                    and len({type(value) for value in values}) == 1
                    for values in self.all_choices().values()
                ),
            }
            | dict.fromkeys(self._impossible(), False)
        )

    def __str__(self) -> str:
        return f"the space {', '.join(map(str, self.all_choices()))}"

    def all_choices(self) -> dict[str, tuple]:
        """The choices, that of the family included."""
        names = tuple(model.name for model in self.families)
        return ({"family": names} if names else {}) | self.choices

    def flat(self) -> dict[str, object]:
        """All settings, families as text."""
        return super().flat() | {"families": tuple(map(str, self.families))}

    @property
    def size(self) -> int:
        """How many different sets of values there are."""
        return math.prod(len(values) for values in self.all_choices().values())

    def start_values(self) -> dict[str, object]:
        """What the choices are in `start`, where they can have that value there."""
        known = self.start.flat()
        known["family"], filters, blocks = (known.get(f"model.{name}") for name in ("name", "filters", "blocks"))
        if filters:
            known |= {"model.width": filters[0], "model.stages": len(filters)}
        if isinstance(blocks, tuple):
            known["model.blocks"] = blocks[0]
        return {name: known[name] for name, values in self.all_choices().items() if known.get(name) in values}

    def experiment(self, values: Mapping[str, object]) -> Experiment:
        """The experiment that some values stand for, one per choice or fewer.

        Raises:
            ValueError: if there is no such setting, or the values do not go together.
        """
        groups: dict[str, dict] = {}
        for name, value in values.items():
            group, _, setting = name.rpartition(".")
            groups.setdefault(group, {})[setting] = value
        family = groups.get("", {}).pop("family", None)
        model = next((one for one in self.families if one.name == family), self.start.model)
        changes = groups.pop("", {}) | {"model": model.replace(**_settings(model, groups.pop("model", {})))}
        for group, settings in groups.items():
            changes[group] = getattr(self.start, group).replace(**settings)
        return self.start.replace(**changes)

    def _impossible(self) -> Iterator[str]:
        """A sentence for each choice that names no setting, and for each value that no network can have."""
        models = self.families or (self.start.model,)
        for name, values in self.choices.items():
            group, _, setting = str(name).partition(".")
            # all trials read the same images
            owners = {"model": models, "training": (self.start.training,), "augment": (self.start.augment,)}
            extra = ("width", "stages") if group == "model" else ()
            if not any(hasattr(owner, setting) or setting in extra for owner in owners.get(group, ())):
                yield f"{name} is a setting of the experiment's model, training or augment"
                continue
            for value in values if isinstance(values, tuple) else ():
                for model in models:
                    chosen = {"family": model.name} if self.families else {}
                    try:
                        self.experiment({**chosen, name: value})
                    except (TypeError, ValueError) as error:  # a word, of which no width can be made
                        yield f"{name} can be {value!r}: {error}"
                        break


def _settings(model: Config, chosen: Mapping[str, object]) -> dict[str, object]:
    """Fields of a family for some choices; width, stages and blocks become one entry per stage."""
    chosen = dict(chosen)
    if hasattr(model, "filters"):
        width, stages = chosen.pop("width", model.filters[0]), chosen.pop("stages", len(model.filters))
        chosen["filters"] = tuple(width * 2**stage for stage in range(stages))
        if isinstance(getattr(model, "blocks", None), tuple):
            chosen["blocks"] = (chosen.get("blocks", model.blocks[0]),) * stages
    return {name: value for name, value in chosen.items() if hasattr(model, name)}


@dataclass(frozen=True)
class Blocks(SearchSpace):
    """Networks of AutoKeras' blocks, in the order in which its greedy search tries them.

    Blocks, filters, dropout, optimizer and learning rate are searched; `start` gives image size, batches and epochs,
    and the changes to images that a trial may use. Its network is not used.
    """

    blocks: tuple[str, ...] = ("vanilla", "resnet")  # of AutoKeras, untrained: vanilla, resnet, xception, efficient

    def rules(self) -> dict[str, bool]:
        return super().rules() | {
            f"blocks are some of {', '.join(BLOCKS)}, none twice": bool(self.blocks)
            and set(self.blocks) <= set(BLOCKS)
            and len(set(self.blocks)) == len(self.blocks),
        }

    def __str__(self) -> str:
        return f"the space of AutoKeras' blocks {', '.join(self.blocks)}"


@dataclass(frozen=True)
class Search(Config):
    """A search for the best network of a space, within a time."""

    why: str
    space: SearchSpace
    minutes: float = 3.0  # of training and validation, over all starts of the search

    def rules(self) -> dict[str, bool]:
        return {
            "why says what it asks": bool(self.why.strip()),
            f"minutes is finite, and at least {LEAST_SECONDS} seconds": LEAST_SECONDS / 60 <= self.minutes < math.inf,
        }

    def scale(self, *, epochs: float, minutes: float) -> "Search":
        """The same with its minutes, and the epochs of each trial, times a factor; it keeps its least time."""
        longer = max(LEAST_SECONDS / 60, self.minutes * minutes)
        return self.replace(space=self.space.scale(epochs=epochs, minutes=max(1.0, minutes)), minutes=longer)

    def vary(self, why: str, **changes) -> "Search":
        """The same search with some fields changed, and the question that the change answers."""
        return self.replace(why=why, **changes)


@dataclass(frozen=True)
class Found(Config):
    """What a search has found, trained again with more epochs: its first training was short."""

    why: str
    search: str  # one of the brief's searches
    epochs: int = 20
    mirror_average: bool = True

    def rules(self) -> dict[str, bool]:
        return {
            "why says what it asks": bool(self.why.strip()),
            "epochs is positive": self.epochs > 0,
        }

    def scale(self, *, epochs: float, minutes: float) -> "Found":
        """The same with its epochs times a factor."""
        return self.replace(epochs=max(1, round(self.epochs * epochs)))


def growing_searches(space: Space, *, minutes: tuple[float, ...], blocks: Blocks, epochs: int) -> dict[str, Config]:
    """Searches of growing time, two other ways to spend the longest one, and what the longest one has found.

    Args:
        space: what all but one of them search.
        minutes: of each, rising.
        blocks: what AutoKeras' blocks are to search in the longest time.
        epochs: of the training of what was found.

    Returns:
        Name -> search: `minutes_1` and so on, `hyperband_9`, `autokeras_9`, and `found`.
    """
    longest = max(minutes)
    searches = {
        f"minutes_{time:g}": Search(why=f"What does a search find in {time:g} min?", space=space, minutes=time)
        for time in minutes
    }
    other = searches[f"minutes_{longest:g}"].vary
    return searches | {
        f"hyperband_{longest:g}": other(
            "Is the time better spent on many short trials first?", space=space.replace(order="hyperband")
        ),
        f"autokeras_{longest:g}": other("Do the blocks of AutoKeras do better in the same time?", space=blocks),
        "found": Found(
            why="What does the network that was found reach in a full training?",
            search=f"minutes_{longest:g}",
            epochs=epochs,
        ),
    }
