"""Networks fitted by hand-written TensorFlow; their trainings and measurements are jobs like all others.

TensorFlow is imported only where something is fitted.
"""

from lib.low_level.jobs import by_hand_jobs, fit_by_hand
from lib.low_level.rates import rate_facts, rate_summary, with_ratio

# Test accuracy on Fashion-MNIST of fully connected networks, from the list of submitted results in the data set's
# README (https://github.com/zalandoresearch/fashion-mnist); its authors have not verified them.
PUBLISHED = {"MLP 256-128-100": 0.8833, "MLP 256-128-64": 0.900}

__all__ = ["PUBLISHED", "by_hand_jobs", "fit_by_hand", "rate_facts", "rate_summary", "with_ratio"]
