"""The jobs of notebook 05 beside each other: which share images, which is best of its kind, what each step buys."""

from collections.abc import Sequence

import pandas as pd

from lib import evaluation
from lib.config import Earlier, Ensemble, Head
from lib.evaluation.pace import accuracy_by_minute
from lib.models.heads import Forest
from lib.transfer.jobs import HeadJob, TransferJob

KINDS = ("from scratch", "head", "fine-tuned", "ensemble")


def kind(job: TransferJob) -> str:
    """What a job fits: from scratch, head, fine-tuned or ensemble."""
    if isinstance(job.settings, Ensemble):
        return "ensemble"
    if isinstance(job.settings, Head):
        return "head"
    return "fine-tuned" if job.sources else "from scratch"


def by_images(jobs: Sequence[TransferJob]) -> dict[str, list[TransferJob]]:
    """Finished jobs in groups that read the same images, each under a title; where there is only one, it is left out.

    Only within a group are accuracies compared.
    """
    groups = {}
    for job in (job for job in jobs if job.run.finished):
        groups.setdefault(job.opened.split.checksum, []).append(job)
    titled = {}
    for members in groups.values():
        opened = members[0].opened
        classes = len(opened.dataset.class_names)
        title = f"{opened.dataset.title}, {classes} classes, {len(opened.split.train):,} images to train on"
        if len({job.name for job in members}) > 1:
            titled[title] = members
    return titled


def best_of_each_kind(jobs: Sequence[TransferJob]) -> dict[str, list[TransferJob]]:
    """All seeds of the job that has the highest mean accuracy on val, for each kind that there is."""
    best = {}
    for one in KINDS:
        names = {}
        for job in (job for job in jobs if kind(job) == one):
            names.setdefault(job.name, []).append(job)
        if names:
            best[one] = max(names.values(), key=_mean_accuracy)
    return best


def best(jobs: Sequence[TransferJob]) -> TransferJob:
    """Seed 0 of the job with the highest mean accuracy on val, of whatever kind."""
    return max(best_of_each_kind(jobs).values(), key=_mean_accuracy)[0]


def best_network(jobs: Sequence[TransferJob]) -> TransferJob:
    """Seed 0 of the best fine-tuned network, or where there is none of the best head that is no forest."""
    found = best_of_each_kind([job for job in jobs if not isinstance(getattr(job.settings, "head", None), Forest)])
    return found.get("fine-tuned", found["head"])[0]


def network(job: TransferJob):
    """The whole network of a job that is one, a Keras model from pixels to logits: that of a head has its backbone.

    Raises:
        ValueError: if the head is a forest.
    """
    return job.network() if isinstance(job, HeadJob) else job.run.load_model()


def _mean_accuracy(jobs: Sequence[TransferJob]) -> float:
    return sum(job.run.metrics()["val_accuracy"] for job in jobs) / len(jobs)


def accuracy_over_minutes(job: TransferJob) -> pd.DataFrame:
    """Minutes from the pixels on, with those of the head that a network goes on from, and val accuracy after them.

    Returns:
        Columns minutes and accuracy: one row per epoch; one row for a head, whose features come first.
    """
    run = job.run
    if isinstance(job, HeadJob):
        last = {"minutes": run.record()["minutes"], "accuracy": run.metrics()["val_accuracy"]}
        return pd.DataFrame([last])
    own = accuracy_by_minute(run)
    return pd.concat([accuracy_over_minutes(job.sources[0]), own], ignore_index=True) if job.sources else own


def varied(jobs: Sequence[TransferJob], setting: str) -> pd.DataFrame:
    """The heads that differ from the first one in a single setting: what each of its values gives and costs.

    Args:
        jobs: of one group; seed 0 of each head counts.
        setting: e.g. `image_size` or `backbone.cut`.

    Returns:
        Columns step (the value; numbers in their order, layers from the image on), accuracy with low and high (95 %
        bootstrap interval) on val, seconds and run; no rows where fewer than two heads differ in it.
    """
    heads = [job for job in jobs if isinstance(job, HeadJob) and job.seed == 0]
    flats = [{key: value for key, value in job.settings.flat().items() if key not in ("why", "folds")} for job in heads]
    rows = []
    for job, flat in zip(heads, flats, strict=True):
        if all(value == flats[0].get(key) for key, value in flat.items() if key != setting):
            _, labels, probabilities = job.run.predictions()
            low, high = evaluation.bootstrap_interval(labels, probabilities)
            row = {
                "step": flat[setting],
                "accuracy": evaluation.accuracy(labels, probabilities),
                "low": low,
                "high": high,
            }
            rows.append(row | {"seconds": 60 * job.run.record()["minutes"], "run": job.run.id})
    frame = pd.DataFrame(rows if len(rows) > 1 else [], columns=["step", "accuracy", "low", "high", "seconds", "run"])
    backbone = heads[0].settings.backbone if heads else None
    layers = getattr(backbone, "cuts", None) if not isinstance(backbone, Earlier) else None
    place = (lambda steps: steps.map(layers.index)) if setting == "backbone.cut" and layers else None
    return frame.sort_values("step", key=place, kind="stable").reset_index(drop=True)


def race(jobs: Sequence[TransferJob]) -> dict[str, object]:
    """What the best head, the best network from scratch and the best of all but ensembles reached, and in what time.

    Args:
        jobs: of one group, a head and a network from scratch among them.

    Returns:
        head, scratch and best: a name, `<one>_minutes` and `<one>_accuracy` on val for each; runs.
    """
    found = {one: members[0] for one, members in best_of_each_kind(jobs).items() if one != "ensemble"}
    ends = {one: accuracy_over_minutes(job).iloc[-1] for one, job in found.items()}
    highest = max(ends, key=lambda one: ends[one]["accuracy"])
    facts = {"runs": [job.run.id for job in found.values()]}
    for name, one in (("head", "head"), ("scratch", "from scratch"), ("best", highest)):
        facts |= {name: found[one].name, f"{name}_minutes": ends[one]["minutes"]}
        facts[f"{name}_accuracy"] = ends[one]["accuracy"]
    return facts


def ensembles_table(jobs: Sequence[TransferJob]) -> pd.DataFrame:
    """Each ensemble of a group beside its member with the highest accuracy on val.

    Returns:
        Columns experiment, seed, accuracy and loss (nats), member, member_accuracy, member_loss, weights of the members
        (where each has one) and run.
    """
    rows = []
    for job in (job for job in jobs if kind(job) == "ensemble"):
        own, member = job.run.metrics(), max(job.sources, key=lambda one: one.run.metrics()["val_accuracy"])
        row = {"experiment": job.name, "seed": job.seed, "accuracy": own["val_accuracy"], "loss": own["val_loss"]}
        row |= {"member": member.name, "member_accuracy": member.run.metrics()["val_accuracy"]}
        row["member_loss"] = member.run.metrics()["val_loss"]
        named = zip(own["members"], own.get("weights", ()), strict=False)
        rows.append(row | {"weights": ", ".join(f"{name} {weight:.2f}" for name, weight in named), "run": job.run.id})
    return pd.DataFrame(rows)
