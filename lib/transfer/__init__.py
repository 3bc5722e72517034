"""What a network has learnt elsewhere, used here: features computed once, heads fitted on them, networks that go on.

`features` runs a frozen backbone over the images, `heads` fits what reads them, `jobs` makes run folders of heads, of
networks that go on from them and of ensembles, and `plan` says which of them a brief asks for. `answers` asks a
backbone before anything is fitted, and `records` makes rows of tables of jobs.
"""
