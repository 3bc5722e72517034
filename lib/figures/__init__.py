"""Drawing only: arrays and tables in, one matplotlib Figure out; no files, no models, no pyplot state."""

from lib.figures.attributions import attribution_grid, method_title, randomisation_maps
from lib.figures.audit import pair_grid
from lib.figures.data import class_counts, class_difficulty, image_sizes
from lib.figures.experiments import accuracy_against_cost, experiment_bars
from lib.figures.explanation_scores import deletion_insertion_curves, pointing_game_bars, randomisation_curves
from lib.figures.features import feature_depth, feature_map_rows, max_feature_columns
from lib.figures.filters import filter_rows
from lib.figures.graph import model_graph
from lib.figures.images import before_after_grid, predictions_grid, sample_grid
from lib.figures.low_level import progress_curves, reference_dots, speed_bars, twin_losses
from lib.figures.predictions import confusion, per_class_bars, reliability
from lib.figures.regularisation import first_steps, gap_dots, rate_curves
from lib.figures.training import learning_curves
from lib.figures.units import activation_curves, max_image_rows, maximised_ladder

__all__ = [
    "accuracy_against_cost",
    "activation_curves",
    "attribution_grid",
    "before_after_grid",
    "class_counts",
    "class_difficulty",
    "confusion",
    "deletion_insertion_curves",
    "experiment_bars",
    "feature_depth",
    "feature_map_rows",
    "filter_rows",
    "first_steps",
    "gap_dots",
    "image_sizes",
    "learning_curves",
    "max_feature_columns",
    "max_image_rows",
    "maximised_ladder",
    "method_title",
    "model_graph",
    "pair_grid",
    "per_class_bars",
    "pointing_game_bars",
    "predictions_grid",
    "progress_curves",
    "randomisation_curves",
    "randomisation_maps",
    "rate_curves",
    "reference_dots",
    "reliability",
    "sample_grid",
    "speed_bars",
    "twin_losses",
]
