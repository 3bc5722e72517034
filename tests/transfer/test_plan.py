"""lib.transfer.plan: which jobs a brief asks for, what each goes on from, and what stands in for weights."""

import dataclasses
import os
import pickle
import subprocess
import sys
import textwrap

import pytest
import tiny_transfers
from tiny_transfers import HEAD, OTHERS, SCRATCH, TRANSFERS, TUNED

from lib import briefs
from lib.__main__ import main
from lib.config import Ensemble, Part, paths
from lib.datasets import DataError
from lib.models import Lite0, Vgg19, Xception
from lib.models.weights import Weights, WeightsError
from lib.report import make
from lib.training.open_brief import OpenBrief
from lib.transfer.plan import _lacking, drawn, stand_in, transfer_job, transfer_jobs


@pytest.fixture
def offline(monkeypatch):
    """Nothing can be downloaded; what was looked for is noted."""
    asked = []
    _lacking.cache_clear()

    def find(weights):
        asked.append(weights.file)
        raise WeightsError(f"{weights.file} cannot be had.")

    monkeypatch.setattr(Weights, "find", find)
    yield asked
    _lacking.cache_clear()


def test_what_chance_has_a_part_in_comes_once_per_seed(own_folders):
    transfers = TRANSFERS | {"mean": Ensemble("?", of=("head", "dense"))}
    opened = tiny_transfers.opened(transfers, transfer_seeds=3)
    jobs = transfer_jobs(opened)
    again = [name for name in transfers if drawn(transfers[name], transfers)]
    planned = [(job.name, job.seed) for job in jobs]
    assert planned == [*((name, 0) for name in transfers), *((name, seed) for seed in (1, 2) for name in again)]
    alone = [(job.name, job.seed) for job in jobs if job.alone]
    assert alone == [(name, 0) for name in transfers], "their seconds are compared"
    assert set(again) == set(transfers)  # a head too: the network that it reads is one of a seed
    pixels = HEAD.replace(backbone=Lite0(), image_size=32)
    assert not drawn(pixels, {}) and drawn(Ensemble("?", of=("one", "other")), {"one": pixels, "other": SCRATCH})
    last = next(job for job in jobs if (job.name, job.seed) == ("mean", 2))
    assert [(one.name, one.seed) for one in last.sources] == [("head", 2), ("dense", 2)]
    tuned = transfer_job(opened, "tuned", seed=2)
    assert (tuned.sources[0].name, tuned.sources[0].seed, tuned.sources[0].sources[0].name) == ("head", 2, "scratch")
    assert transfer_job(opened, "dense", seed=2).sources[0].seed == 2  # chance in the backbone counts too
    assert pickle.loads(pickle.dumps(tuned)).run == tuned.run
    with pytest.raises(ValueError, match="Unknown transfer 'tund'. Transfers of tests: scratch, head, dense"):
        transfer_job(opened, "tund")


def test_a_plan_opens_each_part_once_and_asks_for_weights_once(own_folders, offline, monkeypatch):
    parts, real = [], OpenBrief.part
    monkeypatch.setattr(OpenBrief, "part", lambda opened, part: parts.append(part) or real(opened, part))
    transfers = TRANSFERS | {
        "xception": HEAD.vary("?", backbone=Xception(), image_size=71),
        "again": HEAD.vary("?", backbone=Xception(), image_size=96),
        "more": TUNED.vary("?", model=Xception(trained_from="block14"), starts_from="xception", image_size=71),
    }
    jobs = {job.name: job for job in transfer_jobs(tiny_transfers.opened(transfers, transfer_seeds=2)) if not job.seed}
    assert sorted(parts, key=str) == sorted((SCRATCH.part, OTHERS), key=str)
    assert len(offline) == 1
    assert jobs["more"].sources[0].settings.backbone == Lite0() == jobs["again"].settings.backbone
    assert jobs["more"].settings.model == Lite0(trained_from="Block_12")
    assert jobs["more"].sources[0].run == jobs["xception"].run


def test_what_cannot_be_had_is_stood_in_for_with_the_reason(own_folders, offline):
    opened = tiny_transfers.opened()
    smoke = dataclasses.replace(opened, profile_name="smoke")
    file = Xception().published().file
    assert stand_in(Xception(), opened) == (
        Lite0(),
        f"lite0 in place of xception: {file} cannot be had. No number here is one of xception as it was published.",
    )
    assert stand_in(Vgg19(trained_from="block4"), opened)[0] == Lite0(trained_from="Block_12")
    assert stand_in(Xception(), smoke) == (
        Xception(weights="random"),
        "xception with weights drawn at random: smoke runs need no download. No number here is one of xception as it "
        "was published.",
    )
    for backbone in (Lite0(), Xception(weights="random")):
        assert stand_in(backbone, opened) == stand_in(backbone, smoke) == (backbone, "")
    begun_anew = {"anew": SCRATCH.vary("?", model=Xception(trained_from="block14"), image_size=71)}
    assert transfer_job(tiny_transfers.opened(begun_anew), "anew").settings.model == Lite0(trained_from="Block_12")


def test_weights_that_are_here_need_no_stand_in(own_folders, offline, monkeypatch):
    monkeypatch.setattr(Weights, "find", lambda weights: own_folders)
    assert stand_in(Xception(), tiny_transfers.opened()) == (Xception(), "")


def test_parts_that_cannot_be_are_refused_before_anything_is_fitted(own_folders):
    for part, said in (
        (Part(classes=(0, 6)), "tints has the classes 0 to 5. Received: 6"),
        (Part(dataset="cifar10"), "tests does not read 'cifar10'. Data sets: tints"),
    ):
        with pytest.raises((DataError, ValueError), match=said):
            transfer_jobs(tiny_transfers.opened({"scratch": SCRATCH.replace(part=part)}))


def test_few_images_train_where_the_profile_or_the_part_says_so(own_folders):
    few = {"few": SCRATCH.replace(part=Part(classes=(0, 1), train_per_class=3)), "scratch": SCRATCH}
    opened = tiny_transfers.opened(few, transfer_per_class=5)
    sizes = {job.name: (len(job.opened.split.train), len(job.opened.split.val)) for job in transfer_jobs(opened)}
    whole = transfer_job(tiny_transfers.opened(few), "scratch").opened.split
    assert sizes == {"few": (6, len(whole.val) * 2 // 3), "scratch": (15, len(whole.val))}
    assert len(whole.train) > 15


def test_a_transfer_is_trained_by_its_name_and_another_name_is_one_sentence(own_folders, monkeypatch, capsys):
    made = tiny_transfers.brief(TRANSFERS | {"scratch": SCRATCH.vary("?", training={"epochs": 1})})
    monkeypatch.setattr(briefs, "load", lambda name: made)
    assert main(["train", "BRIEF=tests", "EXPERIMENT=haed"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: Unknown experiment 'haed'. Did you mean head? Experiments: best, first, scratch, he")
    assert said.count("\n") == 1
    monkeypatch.setattr(make, "open_brief", lambda *_: tiny_transfers.opened(made.transfers))
    assert main(["train", "BRIEF=tests", "EXPERIMENT=head"]) == 0
    said = capsys.readouterr().out
    assert "head-seed0-" in said and "val accuracy" in said and "scratch-seed0-" in said and "\nkept in " in said
    assert main(["train", "BRIEF=tests", "EXPERIMENT=head"]) == 0
    assert "finished earlier, and read from" in capsys.readouterr().out


IDS = """
    import sys
    sys.path[:0] = ["..", "../tests"]
    import tiny_transfers
    from tiny_transfers import HEAD, TRANSFERS
    from lib.models import Lite0
    from lib.transfer.plan import transfer_jobs
    pixels = HEAD.replace(backbone=Lite0(), image_size=32)
    print(*(job.run.id for job in transfer_jobs(tiny_transfers.opened(TRANSFERS | {"pixels": pixels}))))
"""


def test_a_job_has_one_run_wherever_lib_is_imported_from(own_folders):
    """Notebooks run in their own folder, and find lib by `..`: what `make report` has fitted must be found there."""
    code, clean = textwrap.dedent(IDS), {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    from_notebooks = subprocess.check_output([sys.executable, "-c", code], cwd=paths.NOTEBOOKS, env=clean, text=True)
    pixels = HEAD.replace(backbone=Lite0(), image_size=32)
    planned = transfer_jobs(tiny_transfers.opened(TRANSFERS | {"pixels": pixels}))
    assert from_notebooks.split() == [job.run.id for job in planned]
