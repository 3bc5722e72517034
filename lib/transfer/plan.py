"""The plan of notebook 05: a brief's heads, transfers and ensembles as jobs, and what stands in for weights."""

from lib.config import Earlier, Ensemble, Head, Transfer
from lib.models import Lite0, WeightsError
from lib.models.backbone import Backbone
from lib.models.heads import DenseHead, Forest
from lib.training.open_brief import OpenBrief
from lib.transfer.jobs import EnsembleJob, HeadJob, TransferJob, TransferNetworkJob


def transfer_job(opened: OpenBrief, name: str, *, seed: int = 0) -> TransferJob:
    """One head, transfer or ensemble of a brief as a job, fitted or not; what it goes on from comes with it.

    Raises:
        ValueError: if the brief has none of this name; the message lists those it has.
    """
    known = opened.brief.transfers
    if name not in known:
        raise ValueError(f"Unknown transfer {name!r}. Transfers of {opened.brief.name}: {', '.join(known) or 'none'}")
    settings = known[name]
    if isinstance(settings, Ensemble):
        members = tuple(transfer_job(opened, one, seed=seed) for one in settings.of)
        return EnsembleJob(members[0].opened, name, settings, seed, sources=members)
    part, seed = opened.part(settings.part), seed if drawn(settings) else 0
    if isinstance(settings, Transfer):
        sources = (transfer_job(opened, settings.starts_from, seed=seed),) if settings.starts_from else ()
        if sources and isinstance(settings.model, Backbone):
            settings = settings.replace(model=stand_in(settings.model, opened)[0])
        return TransferNetworkJob(part, name, settings, seed, sources=sources)
    backbone, sources = settings.backbone, ()
    if isinstance(backbone, Earlier):
        sources = (transfer_job(opened, backbone.source),)
    else:
        settings = settings.replace(backbone=stand_in(backbone, opened)[0])
    return HeadJob(part, name, settings, seed, sources=sources)


def transfer_jobs(opened: OpenBrief) -> list[TransferJob]:
    """All heads, transfers and ensembles of a brief, then the further seeds of those in which chance has a part."""
    transfers, seeds = opened.brief.transfers, range(opened.profile.transfer_seeds)
    planned = [(name, seed) for seed in seeds for name, one in transfers.items() if seed == 0 or drawn(one)]
    return [transfer_job(opened, name, seed=seed) for name, seed in planned]


def drawn(settings: Head | Transfer | Ensemble) -> bool:
    """Whether another seed would give other numbers."""
    return not isinstance(settings, Head) or isinstance(settings.head, (DenseHead, Forest))


def stand_in(backbone: Backbone, opened: OpenBrief) -> tuple[Backbone, str]:
    """The backbone that is used, and a sentence for the page where it is not the one that was asked for.

    Where the weights of another one cannot be had, lite0 stands in, whose weights are installed. Smoke runs download
    nothing: there weights that are not at hand are drawn.
    """
    if backbone.weights == "random" or backbone.published().package:
        return backbone, ""
    if opened.profile_name == "smoke":
        return backbone.replace(weights="random"), f"smoke runs draw the weights of {backbone.name} at random"
    try:
        backbone.published().find()
        return backbone, ""
    except WeightsError as error:
        other = Lite0(trained_from="Block_12" if backbone.trained_from else "")
        return other, f"lite0 in place of {backbone.name}: {error}"
