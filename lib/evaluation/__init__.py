"""Numbers from predictions: labels (N,) and probabilities (N, C) in, numbers out; no drawing.

Metrics, mistakes, intervals and the difficulty of classes are pure computing, and so is `ensembles`, which makes the
predictions of several models into one. `generalisation`, `overfitting` and `pace` alone read run folders.
"""

from lib.evaluation.confusions import class_blocks, compare_confusions, habits_of, kinship, near_and_far
from lib.evaluation.difficulty import cheap_features, confused_examples, easiest_and_hardest, easy_and_hard_classes
from lib.evaluation.features import frequent_answers, lookup, neighbour_purity, project
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
from lib.evaluation.settings import setting_importance
from lib.evaluation.uncertainty import (
    above_chance,
    bootstrap_interval,
    compare_predictions,
    compare_seeds,
    val_minus_test,
)
