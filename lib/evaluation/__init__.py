"""Numbers from predictions: labels (N,) and probabilities (N, C) in, numbers out; no drawing.

Metrics, mistakes, intervals and the difficulty of classes are pure computing, and so is `ensembles`, which makes the
predictions of several models into one. `generalisation` alone reads run folders.
"""

from lib.evaluation.difficulty import cheap_features, confused_examples, easiest_and_hardest, easy_and_hard_classes
from lib.evaluation.metrics import (
    accuracy,
    balanced_accuracy,
    calibration_error,
    check_predictions,
    cross_entropy,
    macro_f1,
    reliability_bins,
    summary,
    top_k_accuracy,
)
from lib.evaluation.mistakes import (
    confused_pairs,
    confusion_matrix,
    most_confident,
    one_class_in_turn,
    per_class,
    recall_by_size,
    turns,
)
from lib.evaluation.uncertainty import bootstrap_interval, compare_seeds

__all__ = ["accuracy", "balanced_accuracy", "bootstrap_interval", "calibration_error", "cheap_features"]
__all__ += ["check_predictions", "compare_seeds", "confused_examples", "confused_pairs", "confusion_matrix"]
__all__ += ["cross_entropy", "easiest_and_hardest", "easy_and_hard_classes", "macro_f1", "most_confident"]
__all__ += ["one_class_in_turn", "per_class", "recall_by_size", "reliability_bins", "summary", "top_k_accuracy"]
__all__ += ["turns"]
