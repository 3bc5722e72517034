"""Why a model answers as it does: what it looks at, and what its parts look for.

methods.py         the attribution methods: one entry each, readable without TensorFlow
attributions/      the methods, beside attribution.py, which holds what all of them share
network/           a model taken apart: its layers, logits and gradients, what each position of a layer sees
features/          what channels answer to: maps, filters, the images that excite them, images made to excite them
scoring/           which maps can be believed: pointing game, deletion and insertion, shuffled weights, the ranking
cases.py           which images are explained and whose filters are shown, chosen by rule
values.py          the numbers that sentences and reports read
"""
