"""The attribution methods, one per file: how much each pixel speaks for a class."""
