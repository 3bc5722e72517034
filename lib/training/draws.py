"""Draws of the split: the best network of a brief on the same images, split anew with other seeds."""

import dataclasses

from lib.datasets import audit, splits
from lib.training.network import NetworkJob, network_job
from lib.training.open_brief import OpenBrief


def draw_jobs(opened: OpenBrief) -> list[NetworkJob]:
    """The best network on each draw that the profile asks for, the brief's own first."""
    return [network_job(_drawn(opened, number), "best") for number in range(opened.profile.draws)]


def _drawn(opened: OpenBrief, number: int) -> OpenBrief:
    if number == 0:
        return opened
    settings = opened.brief.split.replace(seed=opened.brief.split.seed + number)
    groups = audit.duplicate_groups(opened.dataset)
    return dataclasses.replace(opened, split=splits.make_split(opened.dataset, settings, groups=groups))
