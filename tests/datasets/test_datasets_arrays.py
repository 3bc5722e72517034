"""Data sets that come as arrays: IDX, HDF5 and pickles read with care, unpacked once, opened by row."""

import dataclasses
import functools
import gzip
import http.server
import os
import pickle
import shutil
import threading
import zipfile

import h5py
import numpy as np
import pandas as pd
import pytest
import small_data_sets as small

from lib.config.files import checksum
from lib.datasets import COLUMNS, DataError, catalogue, load
from lib.datasets.catalogue import Download
from lib.datasets.fetch import acquire
from lib.datasets.readers import arrays, cifar
from lib.datasets.readers.cifar import read_pickle
from lib.datasets.readers.idx import read_idx


def get(name, **options):
    return load(name, **options)


# Fashion-MNIST


def test_fashion_mnist(raw):
    small.fashion_mnist(raw, per_class=6)
    data = get("fashion_mnist")
    assert list(data.index.columns) == COLUMNS
    assert data.index["path"].iloc[[0, 59, 60, 79]].tolist() == [
        "train#00000",
        "train#00059",
        "test#00000",
        "test#00019",
    ]
    assert data.index["role"].value_counts().to_dict() == {"train": 60, "test": 20}
    assert data.index["label"].tolist() == [*small.labels(10, 6), *small.labels(10, 2)]
    assert data.class_names[0] == "T-shirt/top"
    assert data.class_names[9] == "Ankle boot"
    assert data.index["class_name"].iloc[9] == "Ankle boot"
    row = data.index.iloc[0]
    assert (row.width, row.height, row.channels, row.bytes) == (28, 28, 1, 784)
    assert {str(data.index[name].dtype) for name in ("label", "width", "height", "channels", "bytes")} == {"int64"}
    assert not data.index["sha256"].duplicated().any()
    assert reasons(data) == {".": "this copy holds 80 usable images, the official one 70,000"}


def reasons(data):
    return dict(data.left_out.itertuples(index=False, name=None))


def test_rows_of_arrays_are_opened_as_images(raw):
    small.fashion_mnist(raw)
    data = get("fashion_mnist")
    expected = small.pixels(small.labels(10, 6), (28, 28))
    np.testing.assert_array_equal(data.read_pixels(np.array([3, 0])), expected[[3, 0]])
    np.testing.assert_array_equal(data.read_pixels(range(2)), expected[:2])
    for row in (3, np.int64(3), data.index.iloc[3], list(data.index.itertuples())[3], "train#00003"):
        image = data.open_image(row)
        assert (image.mode, image.size) == ("RGB", (28, 28))
        np.testing.assert_array_equal(np.asarray(image)[..., 2], expected[3])
        assert data.mask_path(row) is None
    part = data.keep(np.array([70, 3]))
    assert part.index["path"].tolist() == ["train#00003", "test#00010"]
    np.testing.assert_array_equal(part.read_pixels(np.array([0]))[0], expected[3])
    assert part.checksum != data.checksum


def test_pixels_of_files_are_not_read_as_arrays(raw):
    small.cifar10_folders(raw)
    with pytest.raises(DataError, match="cifar10 consists of files, not of arrays"):
        get("cifar10").read_pixels(np.array([0]))


def test_fashion_mnist_is_found_in_other_places_and_forms(raw):
    made = small.fashion_mnist(raw.parent / "made")
    for form, place in {"packed": "FashionMNIST/raw", "plain": "fashion_mnist", "dotted": "Fashion-MNIST"}.items():
        (raw / place).mkdir(parents=True)
        for file in made.iterdir():
            if form == "packed":
                shutil.copy(file, raw / place / file.name)
            else:
                name = file.name.removesuffix(".gz").replace("-idx", ".idx" if form == "dotted" else "-idx")
                (raw / place / name).write_bytes(gzip.decompress(file.read_bytes()))
        data = get("fashion_mnist")
        assert len(data.index) == 80
        assert data.source == "unverified copy"
        shutil.rmtree(raw / place.partition("/")[0])


def test_all_four_official_files_are_verified(raw, monkeypatch):
    folder = small.fashion_mnist(raw)
    entry = catalogue.FASHION_MNIST
    sums = {file.file_name: checksum(folder / file.file_name, "md5") for file in entry.downloads}
    official = tuple(Download(file.address, file.size, sums[file.file_name]) for file in entry.downloads)
    monkeypatch.setitem(catalogue.ENTRIES, "fashion_mnist", dataclasses.replace(entry, downloads=official))
    assert get("fashion_mnist").source == "verified"
    labels = folder / "t10k-labels-idx1-ubyte.gz"
    labels.write_bytes(gzip.compress(gzip.decompress(labels.read_bytes()), 1, mtime=1))
    assert get("fashion_mnist").source == "unverified copy"


# what is unpacked is kept


def test_arrays_are_unpacked_once(raw, monkeypatch):
    folder = small.fashion_mnist(raw)
    first = get("fashion_mnist")
    with monkeypatch.context() as patch:
        patch.setattr(arrays, "_index", lambda *args, **options: pytest.fail("it was read again"))
        second = get("fashion_mnist")
    pd.testing.assert_frame_equal(second.index, first.index)
    assert isinstance(second.arrays["train"], np.memmap)
    assert not second.arrays["train"].flags.writeable
    os.utime(folder / "t10k-labels-idx1-ubyte.gz", ns=(0, 0))
    assert get("fashion_mnist").checksum == first.checksum
    assert len(list((raw.parent / "cache" / "arrays").iterdir())) == 2


def test_unpacked_arrays_that_were_damaged_are_made_again(raw):
    small.fashion_mnist(raw)
    first = get("fashion_mnist")
    (folder,) = (raw.parent / "cache" / "arrays").iterdir()
    for damage in (
        lambda: (folder / "train.npy").write_bytes((folder / "train.npy").read_bytes()[:5000]),
        lambda: (folder / "test.npy").unlink(),
        lambda: (folder / "index.csv").write_text((folder / "index.csv").read_text().replace("Coat", "Bag")),
    ):
        damage()
        again = get("fashion_mnist")
        pd.testing.assert_frame_equal(again.index, first.index)
        np.testing.assert_array_equal(again.read_pixels(np.arange(80)), small_fashion_pixels())


def small_fashion_pixels():
    parts = [small.pixels(small.labels(10, count), (28, 28), seed=seed) for seed, count in enumerate((6, 2))]
    return np.concatenate(parts)


def test_equal_pixels_have_equal_sums(raw):
    folder = small.fashion_mnist(raw)
    images = np.zeros((60, 28, 28), np.uint8)
    images[1:] = np.arange(1, 60)[:, None, None]
    images[59] = 0
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(small.idx(images)))
    sums = get("fashion_mnist").index["sha256"].iloc[:60]
    assert sums.iloc[0] == sums.iloc[59]
    assert sums.nunique() == 59


# IDX


def test_idx(tmp_path):
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    (tmp_path / "plain").write_bytes(small.idx(array))
    (tmp_path / "packed").write_bytes(gzip.compress(small.idx(array)))
    for name in ("plain", "packed"):
        np.testing.assert_array_equal(read_idx(tmp_path / name, dimensions=3), array)
    with pytest.raises(DataError, match="holds no IDX labels: it must begin with 00000801. Received: 00000803"):
        read_idx(tmp_path / "plain", dimensions=1)


def test_idx_that_claims_too_much_is_refused_before_memory_is_taken(tmp_path):
    for count, match in ((10**6, "more than it can hold"), (2**32 - 1, "declares an array of .* more than 4 GB")):
        content = bytes.fromhex("00000803") + count.to_bytes(4, "big") + (28).to_bytes(4, "big") * 2 + bytes(100)
        for written in (content, gzip.compress(content)):
            (tmp_path / "claim").write_bytes(written)
            with pytest.raises(DataError, match=match):
                read_idx(tmp_path / "claim", dimensions=3)


# notMNIST


def test_notmnist_from_hdf5(raw):
    small.notmnist_hdf5(raw, per_class=6)
    data = get("notmnist")
    assert data.class_names == tuple("ABCDEFGHIJ")
    assert data.index["role"].value_counts().to_dict() == {"train": 60, "test": 20}
    np.testing.assert_array_equal(data.read_pixels(np.arange(60)), small.pixels(small.labels(10, 6), (28, 28)))
    assert data.left_out.empty
    assert data.unlabelled == ()


def test_notmnist_from_a_zip(raw):
    file = small.notmnist_hdf5(raw.parent / "made")
    for name in ("data.zip", "notMNIST.zip", "notmnist-data.zip"):
        with zipfile.ZipFile(raw / name, "w") as packed:
            packed.write(file, "data.h5")
        assert len(get("notmnist").index) == 80
        (raw / name).unlink()


def test_notmnist_in_a_folder_named_data(raw, monkeypatch):
    small.notmnist_hdf5(raw.parent / "my" / "data")
    (raw.parent / "my" / "data" / "other").mkdir()
    monkeypatch.setenv("COURSEWORK_DATA", str(raw.parent / "my" / "data"))
    assert len(get("notmnist").index) == 80


def test_notmnist_without_test_labels(raw):
    small.notmnist_hdf5(raw, per_class=6, test_labels=False)
    data = get("notmnist")
    assert len(data.index) == 60
    assert set(data.index["role"]) == {"train"}
    assert reasons(data) == {"data.h5/testData": "20 images without labels"}
    assert data.unlabelled[:2] == ("test#00000", "test#00001")
    assert len(data.unlabelled) == 20
    expected = small.pixels(small.labels(10, 2), (28, 28), seed=1)[1]
    np.testing.assert_array_equal(np.asarray(data.open_image(data.unlabelled[1]))[..., 0], expected)


def test_notmnist_without_a_test_part(raw):
    file = small.notmnist_hdf5(raw)
    with h5py.File(file, "a") as opened:
        del opened["testData"]
    data = get("notmnist")
    assert len(data.index) == 60
    assert data.left_out.empty


def test_notmnist_from_folders(raw):
    small.notmnist_folders(raw, per_class=3)
    data = get("notmnist")
    assert data.class_names == tuple("ABCDEFGHIJ")
    assert len(data.index) == 30
    assert sorted(reasons(data).values()) == ["zero bytes", "zero bytes"]
    assert data.arrays is None


def test_hdf5_that_leads_to_other_files_is_not_followed(raw):
    file = small.notmnist_hdf5(raw)
    secret = raw.parent / "secret.h5"
    shutil.copy(file, secret)
    layout = h5py.VirtualLayout((20, 785), "f4")
    layout[:] = h5py.VirtualSource(str(secret), "testData", (20, 785))
    for link in (
        h5py.ExternalLink(str(secret), "testData"),
        h5py.ExternalLink("nowhere.h5", "testData"),
        h5py.SoftLink("/trainData"),
        [(str(secret), 0, 4 * 785 * 4)],
        layout,
    ):
        with h5py.File(file, "a") as opened:
            del opened["testData"]
            if link is layout:
                opened.create_virtual_dataset("testData", layout)
            elif isinstance(link, list):
                opened.create_dataset("testData", (4, 785), "f4", external=link)
            else:
                opened["testData"] = link
        with pytest.raises(DataError, match="a link to other data. It was not followed|its values from other files"):
            get("notmnist")


def test_hdf5_that_claims_too_much_is_refused_before_memory_is_taken(raw):
    for rows, match in ((10**6, "more than it can hold"), (10**9, "more than 4 GB")):
        with h5py.File(raw / "data.h5", "w") as file:  # chunks that are never written take no room
            file.create_dataset("trainData", (rows, 785), "f4", chunks=(1, 785), compression="gzip")
        with pytest.raises(DataError, match=match):
            get("notmnist")


# CIFAR


def test_python2_pickles_of_these_tests_are_real_ones():
    batch = small.cifar_batch(np.arange(3), labels=[0, 1, 300])
    loaded = pickle.loads(small.python2_pickle(batch), encoding="bytes")
    np.testing.assert_array_equal(loaded[b"data"], batch["data"])
    assert loaded[b"labels"] == [0, 1, 300]


def test_cifar10(raw):
    small.cifar10(raw, per_class=5)
    data = get("cifar10")
    assert data.class_names == small.CIFAR10_NAMES
    assert data.index["role"].value_counts().to_dict() == {"train": 50, "test": 10}
    assert (data.index["channels"].unique().tolist(), data.index["bytes"].unique().tolist()) == ([3], [3072])
    first_batch = small.pixels(small.labels(10, 1), (32, 32, 3), seed=1)
    np.testing.assert_array_equal(data.read_pixels(np.arange(10)), first_batch)
    np.testing.assert_array_equal(np.asarray(data.open_image(4)), first_batch[4])
    np.testing.assert_array_equal(data.read_pixels([50])[0], small.pixels(small.labels(10, 1), (32, 32, 3))[0])


def test_cifar10_as_an_archive_and_as_image_files(raw):
    small.pack(small.cifar10(raw.parent / "made"), raw / "cifar-10-python.tar.gz")
    assert len(get("cifar10").index) == 60
    (raw / "cifar-10-python.tar.gz").unlink()
    small.cifar10_folders(raw, per_class=2)
    data = get("cifar10")
    assert data.class_names == small.CIFAR10_NAMES
    assert data.index["role"].value_counts().to_dict() == {"train": 20, "test": 20}
    assert data.arrays is None


def test_cifar100(raw):
    small.cifar100(raw, per_class=3)
    data = get("cifar100")
    assert data.index["role"].value_counts().to_dict() == {"train": 300, "test": 100}
    assert len(data.class_names) == 100
    assert data.index["label"].tolist() == [*small.labels(100, 3), *small.labels(100, 1)]


# pickles


def test_pickles_of_python_3_are_read(tmp_path):
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    content = {b"data": array, b"by columns": np.asfortranarray(array), b"labels": [1, 2], "text": "é", b"n": 7}
    for protocol in (2, 3, 4):
        (tmp_path / "batch").write_bytes(pickle.dumps(content, protocol))
        read = read_pickle(tmp_path / "batch")
        np.testing.assert_array_equal(read.pop("data"), array)
        np.testing.assert_array_equal(read.pop("by columns"), array)
        assert read == {"labels": [1, 2], "text": "é", "n": 7}


class Planted:
    """Unpickling this would run a command."""

    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


def planted_pickles(mark):
    """Pickles that would make the file `mark` or do other harm."""
    command = f"touch {mark}"
    reduced = [Planted(os.system, command), Planted(eval, f"open({str(mark)!r}, 'w')"), Planted(os.rename, mark, mark)]
    made = {type(call).__name__ + call.call.__name__: pickle.dumps({b"data": call}, 2) for call in reduced}
    made["inside a list"] = pickle.dumps({b"labels": [1, Planted(os.system, command)]}, 4)
    made["subprocess"] = b"\x80\x02csubprocess\ncheck_call\n]U\x05touchaR."
    made["attribute of numpy"] = b"\x80\x02cnumpy\nload\nU\x01xR."
    made["dotted name"] = b"\x80\x04\x8c\x05numpy\x8c\x0edtype.__init__\x93."
    made["called array class"] = b"\x80\x02cnumpy\nndarray\nK\x03\x85R."
    made["instance"] = f"(S'{command}'\nios\nsystem\n.".encode()
    made["object"] = b"\x80\x02(cposix\nsystem\nU\x04trueo."
    made["persistent"] = b"\x80\x02Ux\x01Q."
    made["extension"] = b"\x80\x02\x82\x01."
    made["state of the reader"] = b"\x80\x02c_codecs\nencode\n}U\x05_makeNsb."
    made["slots of the reader"] = b"\x80\x02c_codecs\nencode\nN}U\x05_makeNs\x86b."
    made["what makes arrays"] = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n."
    made["codec"] = b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00xX\x05\x00\x00\x00idna_\x86R."
    return made


def test_a_planted_pickle_does_not_run(tmp_path):
    mark = tmp_path / "it ran"
    for name, content in planted_pickles(mark).items():
        (tmp_path / "batch").write_bytes(content)
        with pytest.raises(DataError, match="batch was not read"):
            print(name, read_pickle(tmp_path / "batch"))
        assert not mark.exists()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["batch"]


def test_a_pickle_gets_no_memory_for_what_it_claims(tmp_path):
    """An array takes the room of the bytes that are there, whatever shape it is announced with."""
    whole = small.python2_pickle({"data": np.zeros((2, 3), np.uint8)})
    announced = whole.replace(b"K\x00\x85U\x01b", b"J\xff\xff\xff\x7f\x85U\x01b")
    assert announced != whole
    (tmp_path / "batch").write_bytes(announced)
    assert read_pickle(tmp_path / "batch")["data"].shape == (2, 3)


def test_the_planted_pickle_would_run_elsewhere(tmp_path):
    mark = tmp_path / "it_ran"
    pickle.loads(pickle.dumps(Planted(os.system, f"touch {mark}"), 2))
    assert mark.exists()


def test_pickles_of_other_things_and_false_sizes(tmp_path):
    whole = small.python2_pickle({"data": np.zeros((2, 3), np.uint8)})
    for content, match in (
        (b"", "was not read"),
        (small.python2_pickle([1, 2]), "it holds a list, not a dictionary"),
        (b"\x80\x02}r\xff\xff\xff\x7f.", "numbers more objects than it can hold"),
        (b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f}.", "was not read"),
        (b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7fx.", "was not read"),
        (pickle.dumps({"data": np.zeros(3)}, 2), "an array of type 'f8'"),
        (pickle.dumps({"data": np.array([None])}, 2), "an array of type 'O8'"),
        (whole.replace(b"K\x02K\x03\x86", b"K\x02K\x04\x86"), "buffer size does not match array size"),
    ):
        (tmp_path / "batch").write_bytes(content)
        with pytest.raises(DataError, match=match):
            read_pickle(tmp_path / "batch")


def test_pickle_that_is_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar, "MAX_BYTES", 10)
    (tmp_path / "batch").write_bytes(bytes(20))
    with pytest.raises(DataError, match="batch is larger than 0 MB: it was not read"):
        read_pickle(tmp_path / "batch")


# several files to download


class Source:
    """Stands in for the network: files by name, and what was asked for."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.asked, self.fail_at = folder, [], ""
        monkeypatch.setattr(acquire, "download", self.download)

    def download(self, address, target, *, size, md5):
        name = address.rsplit("/", 1)[-1]
        if name == self.fail_at:
            raise KeyboardInterrupt
        self.asked.append(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.folder / name, target)


def test_several_files_are_fetched_and_an_interrupted_run_continues(raw, monkeypatch):
    source = Source(small.fashion_mnist(raw.parent / "made"), monkeypatch)
    source.fail_at = "t10k-images-idx3-ubyte.gz"
    with pytest.raises(KeyboardInterrupt):
        get("fashion_mnist")
    assert source.asked == ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"]
    source.fail_at, source.asked = "", []
    assert len(get("fashion_mnist").index) == 80
    assert source.asked == ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"]
    source.asked = []
    get("fashion_mnist")
    assert source.asked == []
    assert {path.name for path in raw.iterdir()} == {"fashion-mnist"}


def test_a_wrong_sum_among_several_files(raw, monkeypatch):
    """From a real server: the file with the wrong sum is removed, the others stay and are not asked for again."""
    made = small.fashion_mnist(raw.parent / "made")
    serve = functools.partial(http.server.SimpleHTTPRequestHandler, directory=made)
    monkeypatch.setattr(http.server.SimpleHTTPRequestHandler, "log_message", lambda *args: None)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
        site = f"http://127.0.0.1:{server.server_port}"
        files = [
            Download(f"{site}/{name}", (made / name).stat().st_size, checksum(made / name, "md5"))
            for name in (file.file_name for file in catalogue.FASHION_MNIST.downloads)
        ]
        wrong = [*files[:2], dataclasses.replace(files[2], md5="0" * 32), files[3]]
        for downloads in (wrong, files):
            entry = dataclasses.replace(catalogue.FASHION_MNIST, downloads=tuple(downloads))
            monkeypatch.setitem(catalogue.ENTRIES, "fashion_mnist", entry)
            if downloads is wrong:
                with pytest.raises(
                    DataError, match="t10k-images-idx3-ubyte.gz has md5 .* It was removed; run it again"
                ):
                    get("fashion_mnist")
                assert len(list((raw / "fashion-mnist").iterdir())) == 2
        data = get("fashion_mnist")
        server.shutdown()
    assert data.source == "verified"
    assert len(data.index) == 80


def test_an_incomplete_folder_elsewhere_is_named_and_not_filled(raw, monkeypatch):
    folder = small.fashion_mnist(raw.parent / "share")
    (folder / "train-labels-idx1-ubyte.gz").unlink()
    monkeypatch.setenv("COURSEWORK_DATA", str(folder.parent))
    with pytest.raises(DataError, match="train-labels-idx1-ubyte.gz is missing in .*share/fashion-mnist"):
        get("fashion_mnist")
    assert len(list(folder.iterdir())) == 3


def test_one_archive_serves_two_data_sets(raw):
    small.pack(small.tiny_imagenet(raw.parent / "made"), raw / "tiny-imagenet-200.zip")
    first, second = get("tiny_imagenet"), get("imagenet10")
    assert first.root == second.root
    assert len(list((raw.parent / "cache" / "extracted").glob("*/"))) == 1
