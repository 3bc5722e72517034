"""Image-classification coursework, from images to a finished report. This page is the map of the house.

The rooms, from the door down. A room imports only from rooms below it, and `tests/test_layout.py` holds that.

    __main__     the command line: each command, its options and its help, once
    environment  the `.venv` is made, and the repository checked; runs before anything is installed
    bench        our speed beside that of others
    report       notebooks -> results -> pages -> written reports -> hand-in
    figures      drawing and tables: arrays in, one figure or table out
    explain      why a network answers as it does, and which explanation to believe
    search       networks looked for within a time: who proposes them, how they are tried, what is kept
    transfer     what a network has learnt elsewhere, used here: features, heads on them, networks that go on
    evaluation   numbers from predictions
    low_level    training by hand-written TensorFlow
    training     a brief is opened; each of its jobs becomes one run folder, and observers watch it
    briefs       one file per brief: its data, its experiments, its sizes
    models       one file per family of networks: its settings and its `build`; those that others have trained
    inputs       images decoded once, cached, fed as `tf.data`, augmented
    datasets     a data set is found, read, audited, split
    config       the words of an experiment, paths, files that are written whole, progress bars

The way of an image from the disk to a batch: `datasets.load` finds its folder or archive (`datasets/fetch`), lists it
(`datasets/readers`) and opens each file once (`datasets/index`); `datasets/audit` says which images are copies, and
`datasets/splits` which of them train. `inputs.cache.open_images` decodes all of them to one size, and
`inputs.generators.make_train_dataset` shuffles, batches and changes them (`inputs/augment`).

The way of an experiment to a row of `experiments.csv`: a brief names it (`briefs`), `training.open_brief` scales it to
a profile, `training.network` makes jobs of it and `training.jobs.run_jobs` runs them: `training/fit` trains the network
that its family builds (`models`) and leaves a run folder (`training/runs`). Notebook 02 reads these folders,
`figures/tables` makes rows of them, and `report/results` saves the table.

The way of a typed number to its refusal: a written report is a template that asks for values by name
(`report/written/calls`); `report/written/template` renders it and finds every number in its text that no call has
printed (`report/written/numbers`); `report/written` names each of them with its file and line.

Importing this package does nothing; every room is imported by name, e.g. `from lib import datasets`.
"""
