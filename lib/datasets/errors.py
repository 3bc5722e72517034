"""The named error of this room."""


class DataError(ValueError):
    """Data that cannot be used; the message says which, why, and what to do about it."""
