"""Caltech-101: the brief of Caltech-256 on its smaller sibling."""

from lib.briefs.caltech256 import BRIEF as CALTECH_256

BRIEF = CALTECH_256.replace(name="caltech101", title="Caltech-101 from scratch", dataset="caltech101")
