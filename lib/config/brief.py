"""A brief: its experiments, its split, and the sizes it runs at."""

from dataclasses import dataclass, field

from lib.config.base import Config
from lib.config.experiment import Cost, Experiment, Perceptron
from lib.config.search import Found, Search
from lib.config.transfer import Ensemble, Head, Transfer, wrong_sources

PROFILES = ("smoke", "quick", "full")


@dataclass(frozen=True)
class ExplainSizes(Config):
    """How much notebook 04 computes: numbers of images, masks and steps."""

    scored: int = 36  # images of val that every method explains for the pointing game
    changed: int = 18  # of these, images that are taken apart and put together
    shuffled: int = 3  # of these, images explained again at every depth of shuffled weights
    masks: int = 100  # of RISE
    steps: int = 48  # of activation maximisation

    def rules(self) -> dict[str, bool]:
        sizes = (self.scored, self.changed, self.shuffled, self.masks, self.steps)
        return {
            "all sizes are positive": min(sizes) > 0,
            "scored >= changed >= shuffled": self.scored >= self.changed >= self.shuffled,
        }


@dataclass(frozen=True)
class Profile(Config):
    """How large a brief runs. It only scales: images, epochs, widths, seeds; never which code runs."""

    images_per_class: int | None = None  # None takes all
    epochs: float = 1.0  # factor on Training.epochs, at least one epoch is run
    filters: float = 1.0  # factor on the widths of every network
    pixels: float = 1.0  # factor on the image sides of the ladder, the ablation and what trains on a single batch
    seeds: int = 1  # seeds of each experiment of the ladder
    ablation_seeds: int = 1  # seeds of each experiment of the ablation
    transfer_seeds: int = 1  # seeds of each head and transfer, if chance has a part in it
    transfer_per_class: int | None = None  # images per class that these train on; None takes all there are
    search_minutes: float = 1.0  # factor on the minutes of each search
    search_seeds: int = 3  # seeds of what a search has found, trained again
    perceptron_seeds: int = 1  # seeds of each hand-written training; they are few and long
    draws: int = 1  # seeds of the split; on each further one the best network is trained and tested again
    minutes: float = 60.0  # experiments not started by then are left out, and said to be
    explain: ExplainSizes = field(default_factory=ExplainSizes)

    def rules(self) -> dict[str, bool]:
        return {
            "images_per_class is None or at least 4": self.images_per_class is None or self.images_per_class >= 4,
            "all factors and minutes are positive": all(
                getattr(self, name) > 0 for name in ("epochs", "filters", "pixels", "search_minutes", "minutes")
            ),
            "all seeds are positive": all(
                getattr(self, f"{kind}seeds") > 0 for kind in ("", "ablation_", "transfer_", "search_", "perceptron_")
            ),
            "draws is positive": self.draws > 0,
            "transfer_per_class is positive": self.transfer_per_class is None or self.transfer_per_class > 0,
        }


# What most briefs do at smoke, and what they explain at full; the defaults are those of `quick`.
SMOKE = Profile(
    images_per_class=6,
    epochs=0.01,
    filters=0.1,
    search_minutes=0.02,
    search_seeds=1,
    minutes=5,
    explain=ExplainSizes(scored=6, changed=2, shuffled=1, masks=20, steps=4),
)
EXPLAIN_FULL = ExplainSizes(scored=480, changed=120, shuffled=24, masks=1000, steps=256)


@dataclass(frozen=True)
class Split(Config):
    """Shares of the images held out, or numbers per class, and the seed that draws them.

    By numbers, test takes of each class what `train_per_class` images leave, at most `test_per_class`: the protocol by
    which others are judged. Val is still a share: of what is left after test, but of `train_per_class` images at most.
    A large class has these images to spare, and trains on all its number. A small one gives some of its training
    images: it has no other ones, and test must not shrink for the sake of choosing. No network learns from more
    images than the protocol allows.
    """

    test: float = 0.1
    val: float = 0.1  # of what is left after test
    seed: int = 0
    train_per_class: int | None = None  # at most; None takes shares
    test_per_class: int | None = None  # at most; None where the other is

    def rules(self) -> dict[str, bool]:
        numbers = (self.train_per_class, self.test_per_class)
        return {
            "test and val lie in (0, 0.5]": 0 < self.test <= 0.5 and 0 < self.val <= 0.5,
            "train_per_class is at least 2 and test_per_class at least 1, or both are None": numbers == (None, None)
            or (None not in numbers and self.train_per_class >= 2 and self.test_per_class >= 1),
        }


@dataclass(frozen=True)
class Brief(Config):
    """One piece of coursework: its question, its data, its experiments."""

    name: str
    title: str
    question: str
    dataset: str
    baseline: str  # the experiment that the others are compared with
    best: str  # the experiment whose test result is reported
    experiments: dict
    profiles: dict
    ablation: dict = field(default_factory=dict)  # what `leave_one_out` makes of the best one
    single_batch: dict = field(default_factory=dict)  # experiments that train on one batch of the images
    split: Split = field(default_factory=Split)
    include_clutter: bool = False  # whether background and clutter folders count as a class
    notebooks: tuple[str, ...] = ("01_explore", "02_experiments", "03_best_model")
    further_datasets: tuple[str, ...] = ()  # what its notebooks read besides `dataset`
    stand_in: str = ""  # a drawn data set: read at smoke, and where another one cannot be had
    transfers: dict = field(default_factory=dict)  # heads, transfers and ensembles of notebook 05, by name
    filters_of: Config | None = None  # a pretrained network whose filters notebook 05 shows; None takes the best one
    searches: dict = field(default_factory=dict)  # what notebook 06 looks for, and finds, by name
    costs: dict = field(default_factory=dict)  # networks whose steps are timed instead of a training, by name
    perceptrons: dict = field(default_factory=dict)  # what `low_level` fits on them by hand-written TensorFlow
    judged: tuple[str, ...] = ()  # experiments that the coursework wants on test too, each after the one before it
    reports: tuple[str, ...] = ()  # written reports: names of templates in reports/templates, without suffix
    asked_accuracy: float | None = None  # what the coursework asks for on its held-out part, in [0, 1]

    def rules(self) -> dict[str, bool]:
        networks = (self.experiments, self.ablation, self.single_batch)
        names = [name for group in (*networks, self.transfers, self.searches) for name in group]
        found = [one.search for one in self.searches.values() if isinstance(one, Found)]
        return {
            "every experiment is an Experiment": all(
                isinstance(one, Experiment) for group in networks for one in group.values()
            ),
            "no two of all that is fitted share a name": len(set(names)) == len(names),
            "every transfer is a Head, a Transfer or an Ensemble": all(
                isinstance(one, (Head, Transfer, Ensemble)) for one in self.transfers.values()
            ),
            "every search is a Search, or Found by one": all(
                isinstance(one, (Search, Found)) for one in self.searches.values()
            )
            and all(isinstance(self.searches.get(name), Search) for name in found),
            "every cost is a Cost": all(isinstance(one, Cost) for one in self.costs.values()),
            "every perceptron is a Perceptron": all(isinstance(p, Perceptron) for p in self.perceptrons.values()),
            "profiles are smoke, quick and full": tuple(self.profiles) == PROFILES
            and all(isinstance(p, Profile) for p in self.profiles.values()),
            "baseline and best name experiments": {self.baseline, self.best} <= set(self.experiments),
            "what is judged are experiments": set(self.judged) <= set(self.experiments),
        } | dict.fromkeys(wrong_sources(self.transfers), False)

    def __str__(self) -> str:
        return f"the brief {self.name}"

    def at(self, profile: str) -> "Brief":
        """This brief at a profile's size: all that it fits with its epochs, widths and image sides scaled.

        Raises:
            ValueError: if the profile does not exist; the message lists the ones that do.
        """
        if profile not in self.profiles:
            raise ValueError(f"Unknown profile {profile!r}. Profiles: {', '.join(self.profiles)}")
        sizes = self.profiles[profile]
        factors = {"epochs": sizes.epochs, "filters": sizes.filters}
        groups = dict.fromkeys(("transfers", "costs", "perceptrons"), factors)
        groups |= dict.fromkeys(("experiments", "ablation", "single_batch"), factors | {"pixels": sizes.pixels})
        groups["searches"] = {"epochs": sizes.epochs, "minutes": sizes.search_minutes}
        return self.replace(
            **{
                group: {name: one.scale(**factors) for name, one in getattr(self, group).items()}
                for group, factors in groups.items()
            }
        )
