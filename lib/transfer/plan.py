"""The plan of notebook 05: a brief's heads, transfers and ensembles as jobs, and what is said of their backbones."""

import functools
from collections.abc import Callable

from lib.config import Earlier, Ensemble, Head, Transfer
from lib.datasets.catalogue import find
from lib.models import Lite0, WeightsError
from lib.models.backbone import Backbone
from lib.models.heads import DenseHead, Forest
from lib.models.weights import Weights
from lib.training.jobs import Job
from lib.training.open_brief import OpenBrief
from lib.transfer.jobs import EnsembleJob, HeadJob, TransferJob, TransferNetworkJob


def planner(opened: OpenBrief) -> Callable[[str, int], TransferJob]:
    """A function from name and seed to a job; it opens each part, and looks for each backbone's weights, once."""
    part, known = functools.cache(opened.part), opened.brief.transfers
    used = functools.cache(lambda backbone: stand_in(backbone, opened)[0])

    @functools.cache
    def plan(name: str, seed: int) -> TransferJob:
        settings = known[name]
        if isinstance(settings, Ensemble):
            members = tuple(job(one, seed) for one in settings.of)
            return EnsembleJob(members[0].opened, name, settings, seed, sources=members)
        field = "backbone" if isinstance(settings, Head) else "model"
        network, sources = getattr(settings, field), ()
        if isinstance(network, Backbone):
            settings = settings.replace(**{field: used(network)})
        if isinstance(settings, Transfer) and settings.starts_from:
            sources = (job(settings.starts_from, seed),)
        elif isinstance(network, Earlier):
            sources = (job(network.source, seed),)
        kind = HeadJob if isinstance(settings, Head) else TransferNetworkJob
        return kind(part(settings.part), name, settings, seed, sources=sources)

    def job(name: str, seed: int) -> TransferJob:
        return plan(name, seed if drawn(known[name], known) else 0)

    return job


def transfer_job(opened: OpenBrief, name: str, *, seed: int = 0) -> TransferJob:
    """One head, transfer or ensemble of a brief as a job, fitted or not; what it goes on from comes with it.

    Raises:
        ValueError: if the brief has none of this name; the message lists those it has.
    """
    known = opened.brief.transfers
    if name not in known:
        raise ValueError(f"Unknown transfer {name!r}. Transfers of {opened.brief.name}: {', '.join(known) or 'none'}")
    return planner(opened)(name, seed)


def transfer_jobs(opened: OpenBrief) -> list[TransferJob]:
    """All heads, transfers and ensembles of a brief, then the further seeds of those in which chance has a part."""
    transfers, job = opened.brief.transfers, planner(opened)
    seeds = range(opened.profile.transfer_seeds)
    return [job(name, seed) for seed in seeds for name, one in transfers.items() if seed == 0 or drawn(one, transfers)]


def drawn(settings: Head | Transfer | Ensemble, known: dict) -> bool:
    """Whether another seed would give other numbers; `known` are all transfers of the brief."""
    if isinstance(settings, Ensemble):
        return any(drawn(known[name], known) for name in settings.of)
    own = isinstance(getattr(settings, "backbone", None), Earlier)  # its weights are those of one seed
    return own or not isinstance(settings, Head) or isinstance(settings.head, (DenseHead, Forest))


def stand_in(backbone: Backbone, opened: OpenBrief) -> tuple[Backbone, str]:
    """The backbone that is used, and a sentence for the page where it is not the one that was asked for.

    Where the weights of another one cannot be had, lite0 stands in, whose weights are installed. Smoke runs download
    nothing: they draw the weights of another one at random.
    """
    if backbone.weights == "random" or backbone.published().package:
        return backbone, ""
    nothing = f"No number here is one of {backbone.name} as it was published."
    if opened.profile_name == "smoke":
        text = f"{backbone.name} with weights drawn at random: smoke runs need no download. {nothing}"
        return backbone.replace(weights="random"), text
    reason = _lacking(backbone.published())
    if not reason:
        return backbone, ""
    other = Lite0(trained_from="Block_12" if backbone.trained_from else "")
    return other, f"lite0 in place of {backbone.name}: {reason.rstrip('.')}. {nothing}"


@functools.cache
def _lacking(weights: Weights) -> str:
    """Why weights cannot be had, or nothing; asked once per process, as without a network the answer takes long."""
    try:
        weights.find()
        return ""
    except WeightsError as error:
        return str(error)


def notice(opened: OpenBrief) -> str:
    """A sentence for the page for each backbone of a brief in whose place another one is used; empty where none is."""
    asked = [getattr(one, "backbone", getattr(one, "model", None)) for one in opened.brief.transfers.values()]
    said = [stand_in(backbone, opened)[1] for backbone in asked if isinstance(backbone, Backbone)]
    return " ".join(dict.fromkeys(filter(None, said)))


def first_backbone(opened: OpenBrief) -> Backbone:
    """The first backbone that the heads of a brief ask for and that others have trained; lite0 where there is none."""
    asked = (getattr(one, "backbone", None) for one in opened.brief.transfers.values())
    return next((backbone for backbone in asked if isinstance(backbone, Backbone)), Lite0())


def honesty(job: Job) -> tuple[bool, str]:
    """Whether a job's numbers are those of an honest transfer, and a sentence that says why not; empty where they are.

    They are not where weights trained on ImageNet meet images of ImageNet.
    """
    if _knows_imagenet(job) and find(job.opened.dataset.name).of_imagenet:
        return False, "not honest transfer: the backbone has seen these images"
    return True, ""


def _knows_imagenet(job: Job) -> bool:
    network = getattr(job.settings, "backbone", getattr(job.settings, "model", None))
    trained = isinstance(network, Backbone) and network.weights == "imagenet"
    return trained or any(map(_knows_imagenet, getattr(job, "sources", ())))
