"""The words of an experiment: frozen dataclasses that refuse unknown fields, wrong types and impossible values."""

from lib.config.base import Config
from lib.config.brief import EXPLAIN_FULL, PROFILES, SMOKE, Brief, ExplainSizes, Profile, Split
from lib.config.experiment import Augment, Cost, Experiment, Perceptron, Training, View, leave_one_out, views_of
from lib.config.search import Blocks, Found, Search, SearchSpace, Space, growing_searches
from lib.config.transfer import Earlier, Ensemble, FeatureModel, Head, Part, Transfer

__all__ = [
    "EXPLAIN_FULL",
    "PROFILES",
    "SMOKE",
    "Augment",
    "Blocks",
    "Brief",
    "Config",
    "Cost",
    "Earlier",
    "Ensemble",
    "Experiment",
    "ExplainSizes",
    "FeatureModel",
    "Found",
    "Head",
    "Part",
    "Perceptron",
    "Profile",
    "Search",
    "SearchSpace",
    "Space",
    "Split",
    "Training",
    "Transfer",
    "View",
    "growing_searches",
    "leave_one_out",
    "views_of",
]
