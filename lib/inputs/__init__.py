"""From the files of a data set to the batches of a training: decoded once, kept at one size, mixed, changed at random.

Images leave this room as uint8 or as floats in [0, 255]; a model scales them itself.
"""
