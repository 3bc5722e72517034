"""The words of an experiment: frozen dataclasses that refuse unknown fields, wrong types and impossible values."""

from lib.config.base import Config
from lib.config.brief import PROFILES, Brief, Profile, Split
from lib.config.experiment import Augment, Experiment, Model, Training

__all__ = ["PROFILES", "Augment", "Brief", "Config", "Experiment", "Model", "Profile", "Split", "Training"]
