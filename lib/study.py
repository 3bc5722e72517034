"""A brief at one size: its data, its split and its experiments, as every notebook opens them."""

from dataclasses import dataclass
from pathlib import Path

from lib import briefs, datasets, paths, runs, splits
from lib.config import Brief, Experiment, Profile
from lib.datasets import Dataset
from lib.runs import Run
from lib.splits import Split


@dataclass(frozen=True)
class Study:
    """What a notebook works on."""

    brief: Brief
    profile_name: str
    profile: Profile
    experiments: dict[str, Experiment]
    dataset: Dataset
    split: Split

    def run(self, name: str, *, seed: int = 0) -> Run:
        """The run of one experiment, trained or not.

        Raises:
            ValueError: if the brief has no such experiment; the message lists the ones it has.
        """
        if name not in self.experiments:
            raise ValueError(f"Unknown experiment {name!r}. Experiments: {', '.join(self.experiments)}")
        data = f"{self.dataset.checksum} {self.split.checksum}"
        return runs.locate(paths.runs(self.brief.name), self.experiments[name], name=name, seed=seed, data=data)

    def plan(self) -> list[tuple[str, int]]:
        """Experiments and seeds to run: every experiment once, then the further seeds; the best one has one seed."""
        names = [name for name in self.experiments if name != self.brief.best]
        repeats = [(name, seed) for seed in range(self.profile.seeds) for name in names]
        first = len(names)
        return [*repeats[:first], (self.brief.best, 0), *repeats[first:]]


def open_study(brief: str, profile: str, data: str = "") -> Study:
    """Load a brief's data and split it.

    Args:
        brief: name of the brief.
        profile: smoke, quick or full.
        data: folder of images, for the brief `folder`.

    Raises:
        ValueError: if the brief or the profile does not exist, or its data cannot be had.
    """
    spec = briefs.load(brief)
    size, experiments = spec.at(profile)
    path = Path(data).expanduser() if data else None
    everything = datasets.load(spec.dataset, include_clutter=spec.include_clutter, path=path)
    dataset = splits.take(everything, size.images_per_class, spec.split.seed)
    return Study(spec, profile, size, experiments, dataset, splits.make_split(dataset, spec.split))
