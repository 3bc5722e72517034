"""Handing a report in, as one zip, and checking one that was handed in."""

from lib.report.hand_in.pack import doubts, write_submission
from lib.report.hand_in.verify import verify_submission

__all__ = ["doubts", "verify_submission", "write_submission"]
