"""lib.transfer.features: one pass in constant memory, the same bytes however often it stops, the right row or none."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import keras
import numpy as np
import pytest
import tiny_transfers
from small_disk import DAMAGES, damage, small_disk

from lib.config import Part, paths
from lib.config.files import FolderError
from lib.inputs import generators
from lib.inputs.cache import CachedImages
from lib.models import Lite0, Vgg19
from lib.transfer import features, jobs
from lib.transfer.features import BATCH, FeaturesError, open_features

ROWS = np.arange(4 * BATCH + 10) * 2  # five batches; every second image


class Watched(CachedImages):
    """Images that note which rows are read."""

    def read(self, rows):
        seen.extend(rows.tolist())
        return super().read(rows)


seen = []


def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(100, 8)(keras.layers.Rescaling(1 / 255)(image))
    return keras.Model(image, keras.layers.GlobalAveragePooling2D()(x))


def pictures(count: int = 2 * len(ROWS)) -> Watched:
    seen.clear()
    rng = np.random.default_rng(0)
    return Watched(rng.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8), np.arange(count) // 2 % 3)


def compute(images=None, rows=ROWS, facts=("some",), model=None) -> features.Features:
    return open_features(images or pictures(), rows, model_of=lambda: model or network(), name="f", facts=list(facts))


def stored(suffix: str = ".npy") -> Path:
    (file,) = (paths.cache() / "features").glob(f"*{suffix}")
    return file


def test_features_are_those_of_their_rows(own_folders):
    images = pictures()
    found = compute(images)
    expected = network()(images.pixels[ROWS]).numpy()
    np.testing.assert_allclose(found.values, expected, rtol=1e-4, atol=1e-6)
    some = ROWS[[7, 3, 200]]
    np.testing.assert_array_equal(found.read(some), found.values[[7, 3, 200]])
    assert found.shape == (100,) and found.labels is images.labels and found.parameters == network().count_params()
    for other in (1, 10_000):
        with pytest.raises(FeaturesError, match="of images whose features were not computed"):
            found.read(np.array([0, other]))
    seen.clear()
    assert compute(images).seconds == found.seconds and not seen


PASS = """
    import sys, time
    sys.path.insert(0, {folder!r})
    from lib.training.device import import_tensorflow
    import_tensorflow()
    import test_features
    class Slow(test_features.Watched):
        def read(self, rows):
            time.sleep(0.2 if rows[0] > 128 * 2 else 0)
            return super().read(rows)
    images = test_features.pictures()
    test_features.compute(Slow(images.pixels, images.labels))
"""


def test_a_killed_pass_goes_on_where_it_stopped_and_two_processes_wait(own_folders, monkeypatch):
    monkeypatch.setenv("COURSEWORK_CACHE", str(own_folders / "undisturbed"))
    compute()
    expected = stored().read_bytes()
    monkeypatch.setenv("COURSEWORK_CACHE", str(own_folders / "killed"))
    code = textwrap.dedent(PASS.format(folder=str(Path(__file__).parent)))
    environment = os.environ | {"PYTHONPATH": f".{os.pathsep}tests"}
    process = subprocess.Popen([sys.executable, "-c", code], cwd=paths.ROOT, env=environment)
    while process.poll() is None:
        partial = [*(paths.cache() / "features").glob("*.partial")]
        if partial and partial[0].stat().st_size > 2 * 400 * BATCH:
            break
    assert process.poll() is None
    told = []

    def tell(text, **_):
        told.append(text)
        os.kill(process.pid, signal.SIGKILL)

    images = pictures()
    with monkeypatch.context() as patch:
        patch.setattr("builtins.print", tell)
        compute(images)
    assert process.wait() == -signal.SIGKILL
    assert len(told) == 1 and told[0].startswith("Another process works on the features f-")
    assert stored().read_bytes() == expected
    first = set(ROWS[: 2 * BATCH].tolist()) & set(seen)
    assert len(first) <= features.CHECKED < len(set(seen)) < len(ROWS)  # but for the check, nothing is read again


def test_whatever_an_earlier_pass_left_behind_the_bytes_are_the_same(own_folders):
    compute()
    whole, target = stored().read_bytes(), stored()
    header = len(whole) - 400 * len(ROWS)
    other = np.lib.format.magic(1, 0) + b"\x76\x00" + b"x" * len(whole)
    left = {
        "empty": (b"", 0),
        "header": (whole[:header], 0),
        "half a header": (whole[: header // 2], 0),
        "half a batch": (whole[: header + 200 * BATCH], 0),
        "two batches and a half": (whole[: header + 1000 * BATCH], 2),
        "all": (whole, 4),
        "more": (whole + bytes(10_000), 4),
        "other": (other, 0),
        "words": (b'{"something": ["else"]}' * 10_000, 0),
    }
    for name, (content, kept) in left.items():
        target.unlink()
        target.with_suffix(".partial").write_bytes(content)
        compute()
        assert target.read_bytes() == whole, name
        assert not target.with_suffix(".partial").exists()
        again = set(seen) >= set(ROWS[: kept * BATCH].tolist())
        assert kept == 0 or not again, name
    target.rename(target.with_suffix(".partial"))  # killed just before the file got its name
    compute()
    assert target.read_bytes() == whole


def test_damaged_features_are_made_again_with_a_line(own_folders, capsys):
    expected = compute().values.copy()
    file, note = stored(), stored(".json")
    ways = {**DAMAGES, "one bit": lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]}
    facts = json.loads(note.read_text())
    for damaged in (file, note):
        for way, change in ways.items():
            capsys.readouterr()
            damage(damaged, way) if way in DAMAGES else damaged.write_bytes(change(damaged.read_bytes()))
            if damaged == note and way == "one bit":
                note.write_text(json.dumps({"sha256": facts["sha256"]}))
            np.testing.assert_array_equal(compute().values, expected)
            assert capsys.readouterr().out == f"{file.name} in the cache is damaged, and is made again\n", way
    permuted = np.load(file)[::-1].copy()  # rows that belong to other images
    np.save(file, permuted)
    np.testing.assert_array_equal(compute().values, expected)
    assert "is damaged, and is made again" in capsys.readouterr().out


def test_images_in_another_order_than_their_rows_are_refused(own_folders, monkeypatch):
    """A pipeline that mixes up batches, and one that mixes up images and keeps the labels in place."""
    whole, order = generators.make_eval_dataset, np.random.default_rng(0)

    def batches_mixed(images, rows, *, batch_size):
        return [*whole(images, rows, batch_size=batch_size)][::-1]

    def images_mixed(images, rows, *, batch_size):
        mixed = CachedImages(images.pixels[order.permutation(len(images.pixels))], images.labels)
        return whole(mixed, rows, batch_size=batch_size)

    said = {batches_mixed: "from row 0 on came in another order", images_mixed: "are not those of image"}
    for plant, reason in said.items():
        with monkeypatch.context() as patch:
            patch.setattr(generators, "make_eval_dataset", plant)
            with pytest.raises(FeaturesError, match=f"{reason}.*answer at chance: they are not kept.$"):
                compute()
        assert [file.suffix for file in (paths.cache() / "features").iterdir()] == [".lock"]
    assert compute().values.shape == (len(ROWS), 100)  # the control


def test_features_close_to_zero_are_told_apart_too(own_folders, monkeypatch):
    """Those of a deep network with random weights are as small as 1e-12."""
    model, whole = network(), generators.make_eval_dataset
    model.layers[2].set_weights([model.layers[2].get_weights()[0] * 1e-12, np.zeros(100)])

    def images_mixed(images, rows, *, batch_size):
        return whole(CachedImages(images.pixels[::-1], images.labels), rows, batch_size=batch_size)

    with monkeypatch.context() as patch, pytest.raises(FeaturesError):
        patch.setattr(generators, "make_eval_dataset", images_mixed)
        compute(model=model)
    assert 0 < compute(model=model).values.max() < 1e-11


def memory(name: str) -> int:
    """Bytes that this process holds (VmRSS), or held at most since `clear_refs` (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells the peak of a part")
def test_memory_does_not_grow_with_the_number_of_images(own_folders):
    image = keras.Input((8, 8, 3))
    wide = keras.Model(image, keras.layers.Flatten()(keras.layers.UpSampling2D(4)(image)))
    peaks = {}
    for count in (2_000, 2_000, 12_000):  # the first warms up
        images, rows = CachedImages(np.full((count, 8, 8, 3), 7, np.uint8), np.zeros(count, int)), np.arange(count)
        Path("/proc/self/clear_refs").write_text("5")
        before = memory("VmRSS")
        found = compute(images, rows, facts=(str(count),), model=wide)
        peaks[count] = memory("VmHWM") - before
    held = 12_000 * 4 * found.shape[0]
    assert peaks[12_000] < peaks[2_000] + held / 5, peaks
    before = memory("VmRSS")
    copied = found.read(rows)  # the control: all features at once are seen
    assert copied.nbytes == held and memory("VmRSS") - before > held / 2


def test_a_full_or_protected_disk_is_one_sentence_and_room_lets_it_go_on(own_folders, monkeypatch):
    compute()
    expected = stored().read_bytes()
    with small_disk(own_folders / "disk", "64k") as remount:
        monkeypatch.setenv("COURSEWORK_CACHE", str(own_folders / "disk"))
        for options, reason in (("size=64k", "No room is left on the disk of"), ("ro", "cannot be written to: allow")):
            remount(options)
            with pytest.raises(FolderError, match=reason):
                compute()
        remount("rw,size=16m")
        compute()
        assert stored().read_bytes() == expected
        assert not set(ROWS[:BATCH].tolist()) <= set(seen)  # what was written on the full disk counts


class OtherWeights(Lite0):
    """The same network with another file of weights."""

    def published(self, *, top=False):
        return super().published(top=top).replace(digest="sha256:other")


class OwnCode(Lite0):
    """A network whose code is one file of the test."""

    def sources(self):
        return [paths.cache() / "code.py"]


class Stopped(Exception):
    """In place of a pass, once the name of its file is known."""


def test_the_name_of_a_file_changes_with_all_that_decides_its_content(own_folders, monkeypatch):
    def stop(target, *_, **__):
        raise Stopped(target.name)

    monkeypatch.setattr(features, "_compute", stop)
    monkeypatch.setattr(jobs.HeadJob, "backbone", lambda job: None)

    def name(images=None, rows=None, **changes) -> str:
        head = tiny_transfers.HEAD.vary("?", **{"backbone": Lite0(), "image_size": 32, "part": Part(), **changes})
        job = tiny_transfers.job("head", {"head": head}, images)
        with pytest.raises(Stopped) as caught:
            job.features(job.opened.split.train if rows is None else rows)
        return str(caught.value)

    paths.cache().mkdir()
    (paths.cache() / "code.py").write_text("x = 1\n")
    before = name(backbone=OwnCode())
    (paths.cache() / "code.py").write_text("x = 1  # a comment decides nothing\n")
    assert name(backbone=OwnCode()) == before
    (paths.cache() / "code.py").write_text("x = 2\n")
    vgg = Vgg19(weights="random")
    names = [
        before,
        name(backbone=OwnCode()),
        name(),
        name(backbone=OtherWeights()),
        name(backbone=Lite0(weights="random")),
        name(backbone=Lite0(cut="Block_5__add")),
        name(backbone=vgg),
        name(backbone=vgg.replace(flatten=False)),
        name(image_size=48),
        name(resize="crop"),
        name(images=tiny_transfers.dataset(shuffled=True)),
        name(part=Part(classes=(0, 1))),
        name(rows=np.arange(5)),
    ]
    assert len(set(names)) == len(names) and all(one.endswith(".npy") for one in names)
    assert name() == names[2] and name(head=tiny_transfers.TRANSFERS["forest"].head) == names[2]
