"""Drawing only: arrays and tables in, one matplotlib Figure out; no files, no models, no pyplot state.

Every function here returns a Figure as wide as the text of an A4 page and no taller than it, in one style (`style.py`),
with its title at the top left. Images are numbers in [0, 255], (H, W, 3) or (H, W), of any size. A ValueError says so
where a table lacks a column, a table, list or mapping is empty, lists that belong together differ in length, or an
argument breaks a rule that its description states. Grids of images are drawn by `images.rows_of_images`, bars with
names by `bars.named_bars`.
"""

from lib.figures.attributions import (
    attribution_grid,
    deletion_insertion_curves,
    method_colour,
    method_title,
    pointing_game_bars,
    randomisation_curves,
    randomisation_maps,
)
from lib.figures.bars import class_counts, class_difficulty, experiment_bars, per_class_bars, speed_bars
from lib.figures.curves import first_steps, learning_curves, progress_curves, rate_curves, stopping_curves, twin_losses
from lib.figures.dots import accuracy_against_cost, gap_dots, image_sizes, reference_dots
from lib.figures.features import (
    feature_depth,
    feature_map_rows,
    filter_map_pairs,
    filter_rows,
    max_feature_columns,
    max_image_rows,
    maximised_ladder,
)
from lib.figures.graph import model_graph, network_strips
from lib.figures.images import before_after_grid, pair_grid, predictions_grid, sample_grid
from lib.figures.predictions import confusion, reliability
from lib.figures.search import importance_bars, trial_lines
from lib.figures.transfer import accuracy_and_seconds, accuracy_over_minutes, class_gains, embedding

__all__ = ["accuracy_against_cost", "accuracy_and_seconds", "accuracy_over_minutes", "attribution_grid"]
__all__ += ["before_after_grid", "class_counts", "class_difficulty", "class_gains", "confusion"]
__all__ += ["deletion_insertion_curves", "embedding", "experiment_bars", "feature_depth", "feature_map_rows"]
__all__ += ["filter_map_pairs", "filter_rows", "first_steps", "gap_dots", "image_sizes"]
__all__ += ["importance_bars", "learning_curves"]
__all__ += ["max_feature_columns", "max_image_rows", "maximised_ladder", "method_colour", "method_title", "model_graph"]
__all__ += ["network_strips", "pair_grid"]
__all__ += ["per_class_bars", "pointing_game_bars", "predictions_grid", "progress_curves", "randomisation_curves"]
__all__ += ["randomisation_maps", "rate_curves", "reference_dots", "reliability", "sample_grid", "speed_bars"]
__all__ += ["stopping_curves", "trial_lines", "twin_losses"]
