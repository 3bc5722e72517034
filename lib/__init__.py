"""Image-classification coursework: data, models, training, evaluation and reports.

Importing this package does nothing; every room is imported by name, e.g. `from lib import datasets`.
"""
