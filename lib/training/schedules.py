"""Learning rates and stopping rules: pure functions of the config and of what has happened so far."""

import math

from lib.config import Training

WARM_UP = 0.2  # share of a one-cycle training in which the rate rises
SMOOTHING = 3  # epochs in the running mean of `smoothed` early stopping


def learning_rate(config: Training, progress: float, *, val_losses: list[float] | None = None) -> float:
    """Learning rate of one step.

    Args:
        config: the schedule and its highest rate.
        progress: share of all steps done, in [0, 1).
        val_losses: validation loss of each finished epoch, which the plateau schedule follows.

    Returns:
        constant: always the highest rate. cosine: half a cosine down to 0. one_cycle: a straight line up from 1/25
        in the first fifth, then straight down to 0 (Smith & Topin 2018). plateau: a tenth after every `patience`
        epochs without a lower validation loss.
    """
    top = config.learning_rate
    if config.schedule == "cosine":
        return top * 0.5 * (1 + math.cos(math.pi * progress))
    if config.schedule == "one_cycle":
        if progress < WARM_UP:
            return top * (0.04 + 0.96 * progress / WARM_UP)
        return top * (1 - progress) / (1 - WARM_UP)
    if config.schedule == "plateau":
        return top * 0.1 ** plateaus(val_losses or [], patience=config.patience)
    return top


def plateaus(losses: list[float], *, patience: int) -> int:
    """How many times `patience` epochs in a row brought no loss lower than the best before them."""
    count, best, waited = 0, math.inf, 0
    for loss in losses:
        best, waited = (loss, 0) if loss < best else (best, waited + 1)
        if waited == patience:
            count, waited = count + 1, 0
    return count


def should_stop(config: Training, val_losses: list[float]) -> bool:
    """Whether early stopping ends the training after these epochs."""
    if config.early_stopping == "none":
        return False
    if config.early_stopping == "smoothed":
        val_losses = smoothed(val_losses)
    return plateaus(val_losses, patience=config.patience) > 0


def smoothed(val_losses: list[float]) -> list[float]:
    """Running mean of the last epochs' losses, from the epoch `SMOOTHING` on, the first that has so many."""
    return [sum(val_losses[end - SMOOTHING : end]) / SMOOTHING for end in range(SMOOTHING, len(val_losses) + 1)]


def stop(config: Training, val_losses: list[float]) -> dict[str, object]:
    """Where a training that follows its smoothed loss ended, and why.

    Returns:
        most_epochs, epochs, lowest_at (the last epoch of the lowest running mean; of the lowest loss where there are
        fewer epochs than a mean takes) and stopped (whether the rule ended it, not the last epoch).
    """
    means = smoothed(val_losses)
    followed, first = (means, SMOOTHING) if means else (val_losses, 1)
    return {
        "most_epochs": config.epochs,
        "epochs": len(val_losses),
        "lowest_at": followed.index(min(followed)) + first,
        "stopped": should_stop(config, val_losses),
    }


def image_sizes(config: Training, image_size: int) -> list[int]:
    """Side of the training images in each epoch: equal shares for `config.sizes`, then `image_size`.

    Small images first is faster and costs little accuracy (Howard 2018, "progressive resizing"); the last share is
    always at the size the model is tested at.
    """
    stages = [*config.sizes, image_size][-config.epochs :]  # a short training leaves out the first ones
    return [stages[epoch * len(stages) // config.epochs] for epoch in range(config.epochs)]
