"""What a finished job of notebook 05 is and what it reached, as one flat record for tables."""

from lib import evaluation
from lib.config import Earlier, Ensemble, Transfer
from lib.transfer.compare import kind
from lib.transfer.jobs import HeadJob, TransferJob


def record(job: TransferJob, *, role: str = "val") -> dict[str, object]:
    """One row for `figures.tables.transfers_table`, read from the folder of a finished job.

    Args:
        job: a finished one.
        role: whose predictions are judged, val or test.

    Returns:
        experiment, seed, why, what (head, fine-tuned, from scratch, mean of others, ...), data, train_images, backbone,
        cut, image_size, head, `<role>_accuracy` in [0, 1] with low and high (95 % interval), train_accuracy beside that
        of val (of a head on its own images, of a network as it trained), verdict (`above_chance`),
        feature_seconds, fit_seconds and seconds (in all, with what it goes on from), trained and frozen (parameters)
        and run. What a kind of job does not have is left out.
    """
    run, settings, data = job.run, job.settings, job.opened.dataset
    metrics, _, labels, probabilities = run.metrics(), *run.predictions(role)
    low, high = evaluation.bootstrap_interval(labels, probabilities)
    chance, seconds = evaluation.above_chance(labels, probabilities), run.environment()["wall_seconds"]
    facts = {"experiment": job.name, "seed": job.seed, "why": settings.why, **_settings(job)}
    facts |= {"data": f"{data.name}, {len(data.class_names)} classes", "train_images": len(job.opened.split.train)}
    facts |= {f"{role}_accuracy": chance.accuracy, "low": low, "high": high, "verdict": chance.verdict}
    features = _feature_seconds(job)
    seconds += metrics.get("members_seconds", 0.0)  # an ensemble is there when its members are
    facts |= {"feature_seconds": features, "fit_seconds": max(0.0, seconds - features), "seconds": seconds}
    if role == "val" and "train_accuracy" in metrics:
        facts["train_accuracy"] = metrics["train_accuracy"]
    if "parameters" in metrics:
        trained = metrics.get("trained_parameters", 0)
        facts |= {"trained": trained, "frozen": metrics["parameters"] - trained}
    return facts | {"run": run.id}


def _settings(job: TransferJob) -> dict[str, object]:
    settings = job.settings
    if isinstance(settings, Ensemble):
        return {"what": f"{settings.how} of others", "head": " + ".join(settings.of)}
    head = job
    if isinstance(settings, Transfer):
        if not job.sources:
            return {"what": kind(job), "backbone": settings.model.name, "image_size": settings.image_size}
        head = job.sources[0]
    backbone = head.settings.backbone
    return {
        "what": kind(job),
        "backbone": f"network of {backbone.source}" if isinstance(backbone, Earlier) else backbone.name,
        "cut": backbone.cut or "before the logits",
        "image_size": settings.image_size,
        "head": head.settings.head.name,
    }


def _feature_seconds(job: TransferJob) -> float:
    """Seconds of the features that its own seconds hold: those of the jobs that it goes on from too."""
    if isinstance(job, HeadJob):
        return job.run.metrics()["feature_seconds"]
    return sum(map(_feature_seconds, job.sources), 0.0)
