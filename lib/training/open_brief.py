"""A brief at one size: its data, its split and its experiments, as every notebook opens them."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from lib import briefs, datasets
from lib.config import Brief, Experiment, Part, Profile
from lib.datasets import DataError, Dataset, audit, splits
from lib.datasets.catalogue import find
from lib.datasets.splits import Split
from lib.inputs.cache import Images, open_images
from lib.training.runs import Run


@dataclass(frozen=True, eq=False)
class OpenBrief:
    """What a notebook works on."""

    brief: Brief  # at the profile's size
    profile_name: str
    dataset: Dataset
    split: Split
    notice: str = ""  # a sentence for every page where drawn images stand in for the data set

    @property
    def profile(self) -> Profile:
        """The size that the brief is opened at."""
        return self.brief.profiles[self.profile_name]

    @property
    def experiments(self) -> dict[str, Experiment]:
        """The brief's experiments at this size, by name; those of the ablation come last."""
        return self.brief.experiments | self.brief.ablation

    def on(self, name: str) -> "OpenBrief":
        """The same brief on one of its further data sets.

        Raises:
            ValueError: if the brief does not read it, or it cannot be had.
        """
        known = (self.brief.dataset, *self.brief.further_datasets)
        if name not in known:
            raise ValueError(f"{self.brief.name} does not read {name!r}. Data sets: {', '.join(known)}")
        return self if name == self.brief.dataset else _open(self.brief, self.profile_name, name=name)

    def part(self, part: Part) -> "OpenBrief":
        """The same brief on a part of its images; with the profile's images per class where the part names none.

        Raises:
            ValueError: if the brief does not read its data set, or a class does not exist.
        """
        few = part.train_per_class or self.profile.transfer_per_class
        whole = self.on(part.dataset or self.brief.dataset)
        if not part.classes and few is None:
            return whole
        images, split = splits.take_part(whole.dataset, whole.split, classes=part.classes, train_per_class=few)
        return dataclasses.replace(whole, dataset=images, split=split)

    def images_of(self, run: Run) -> Images:
        """The images at the size and in the shape in which a run sees them; its folder holds its settings."""
        settings = run.config()["settings"]
        return open_images(self.dataset, size=settings["image_size"], resize=settings["resize"])

    def further(self) -> list["OpenBrief"]:
        """The same brief on each of its further data sets."""
        return [self.on(name) for name in self.brief.further_datasets]


def open_brief(brief: str, profile: str, data: str = "") -> OpenBrief:
    """Load a brief's data and split it; copies of a picture, near ones too, stay on one side.

    Args:
        brief: name of the brief.
        profile: smoke, quick or full.
        data: folder of images, for the brief `folder`.

    Raises:
        ValueError: if the brief or the profile does not exist, or its data cannot be had.
    """
    scaled = briefs.load(brief).at(profile)
    return _open(scaled, profile, name=scaled.dataset, data=data)


def _open(brief: Brief, profile: str, *, name: str, data: str = "") -> OpenBrief:
    everything, notice = _load(brief, profile, name=name, path=Path(data).expanduser() if data else None)
    dataset = splits.take(everything, brief.profiles[profile].images_per_class, brief.split.seed)
    groups = audit.duplicate_groups(dataset, audited=name == brief.dataset)  # notebook 01 audits that one
    return OpenBrief(brief, profile, dataset, splits.make_split(dataset, brief.split, groups=groups), notice)


def _load(brief: Brief, profile: str, *, name: str, path: Path | None) -> tuple[Dataset, str]:
    """The data set, or the drawn one that stands in for it and a sentence that says why."""
    reason = "smoke runs need no download"
    if not (brief.stand_in and profile == "smoke"):
        try:
            return datasets.load(name, include_clutter=brief.include_clutter, path=path), ""
        except DataError as error:
            if not brief.stand_in:
                raise
            reason = str(error)
    drawn, title = datasets.load(brief.stand_in), find(name).title
    drawn = dataclasses.replace(drawn, title=f"{drawn.title} in place of {title}")
    return drawn, f"{drawn.title}: {reason}. No number here is one of {title}."
