"""Drawing only: arrays and tables in, one matplotlib Figure out; no files, no models, no pyplot state."""

from lib.figures.data import class_counts, class_difficulty, image_sizes
from lib.figures.experiments import accuracy_against_cost, experiment_bars
from lib.figures.graph import model_graph
from lib.figures.images import before_after_grid, predictions_grid, sample_grid
from lib.figures.predictions import confusion, per_class_bars, reliability
from lib.figures.training import learning_curves

__all__ = [
    "accuracy_against_cost",
    "before_after_grid",
    "class_counts",
    "class_difficulty",
    "confusion",
    "experiment_bars",
    "image_sizes",
    "learning_curves",
    "model_graph",
    "per_class_bars",
    "predictions_grid",
    "reliability",
    "sample_grid",
]
