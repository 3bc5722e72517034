"""Files of PyTorch weights, written here pickle by pickle: what is read, and that everything else is refused unread."""

import hashlib
import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from torch_files import ARRAYS, PROTO, both_formats, number, old_format, row, state_dict, tensor, word, zip_format

from lib.models.torch_file import MAGIC, PROTOCOL, read_state_dict
from lib.models.weights import Weights, WeightsError


def refusal(tmp_path: Path, data: bytes) -> str:
    file = tmp_path / "weights.pth"
    file.write_bytes(data)
    with pytest.raises(WeightsError) as caught:
        read_state_dict(file)
    start = f"{file} was not read as a file of PyTorch weights: "
    message = str(caught.value)
    assert message.startswith(start) and message.endswith(".") and "\n" not in message
    return message.removeprefix(start)


def test_both_formats_give_the_arrays_in_their_order(tmp_path):
    for number_, data in enumerate(both_formats(ARRAYS)):
        file = tmp_path / f"{number_}.pth"
        file.write_bytes(data)
        found = read_state_dict(file)
        assert list(found) == list(ARRAYS)
        for name, array in ARRAYS.items():
            assert found[name].dtype == array.dtype and found[name].shape == array.shape
            np.testing.assert_array_equal(found[name], array)
            assert found[name].flags.writeable  # a copy, and no view of the file


def test_arrays_may_share_a_storage(tmp_path):
    flat = np.arange(6, dtype=np.float32)
    items = {"a": tensor("0", (2,), (1,), count=6, offset=4), "b": tensor("0", (3, 2), (1, 3), count=6)}
    file = tmp_path / "shared.pth"
    file.write_bytes(old_format(state_dict(items), {"0": flat.tobytes()}))
    found = read_state_dict(file)
    assert found["a"].tolist() == [4, 5] and found["b"].tolist() == [[0, 3], [1, 4], [2, 5]]


def test_a_program_in_a_pickle_is_refused_and_not_run(tmp_path):
    mark = tmp_path / "written by the pickle"
    for module, name in (("builtins", "open"), ("io", "open"), ("_io", "open"), ("posix", "open")):
        program = PROTO + f"c{module}\n{name}\n(".encode() + word(str(mark)) + word("w") + b"tR."
        shell = PROTO + b"cos\nsystem\n(" + word(f"touch '{mark}'") + b"tR."
        for inside in (program, shell):
            for data in (inside, old_format(inside, {}), zip_format(inside, {})):
                assert "it asks for " in refusal(tmp_path, data)
    value = state_dict({"a": b"cos\nsystem\n(" + word(f"touch '{mark}'") + b"tR"})
    assert refusal(tmp_path, old_format(value, {})) == "it asks for os.system."
    assert not mark.exists()


def test_nothing_but_what_arrays_need_is_answered(tmp_path):
    for asked in ("torch\nDoubleStorage", "torch._utils\n_rebuild_tensor", "collections\nCounter", "torch.nn\nLinear"):
        data = old_format(state_dict({"a": f"c{asked}\n".encode()}), {})
        assert refusal(tmp_path, data) == f"it asks for {asked.replace(chr(10), '.')}."
    # attributes that a pickle sets on the stand-ins are dropped or refused
    harmless = state_dict({}).replace(b"_metadata", b"__class__")
    file = tmp_path / "attributes.pth"
    file.write_bytes(old_format(harmless, {}))
    assert read_state_dict(file) == {}


def test_a_cut_file_is_refused_wherever_it_is_cut(tmp_path):
    old, zipped = both_formats(ARRAYS)
    for data in (old, zipped):
        for end in (0, 1, 3, 30, len(data) // 2, len(data) - 200, len(data) - 1):
            refusal(tmp_path, data[:end])
    assert refusal(tmp_path, old[:-1]).startswith("it is cut: ")
    assert refusal(tmp_path, old + b"\0") == "it has 1 bytes behind its last number."


def test_other_pickles_and_other_contents_are_refused(tmp_path):
    assert refusal(tmp_path, pickle.dumps({"a": [1, 2]}, 2) * 5) == "it is a pickle of another kind."
    big = pickle.dumps({"little_endian": False}, 2)
    start = pickle.dumps(MAGIC, 2) + pickle.dumps(PROTOCOL, 2)
    assert refusal(tmp_path, start + big) == "its numbers are not little-endian."
    assert "not a dictionary" in refusal(tmp_path, old_format(pickle.dumps([1], 2), {}))
    assert (
        refusal(tmp_path, old_format(state_dict({"a": number(3)}), {}))
        == "it holds other things than arrays with names."
    )
    one = state_dict({"a": tensor("0", (1,), (1,), count=1)})
    assert refusal(tmp_path, old_format(one, {})) == "its storages are not those of its arrays."
    assert "another length" in refusal(tmp_path, old_format(one, {"0": b"12345678"})[:-4])
    assert "compressed" in refusal(tmp_path, zip_format(one, {}, method=zipfile.ZIP_DEFLATED))
    assert "little-endian" in refusal(tmp_path, zip_format(one, {}, order=b"big"))
    plain = state_dict({"a": tensor("0", (1,), (1,), count=1, view=b"")})
    assert "the storage 0 is missing" in refusal(tmp_path, zip_format(plain, {}))
    assert "the storage 0 is missing" in refusal(tmp_path, zip_format(plain, {"0": b"12"}))
    empty = io.BytesIO()
    zipfile.ZipFile(empty, "w").close()
    refusal(tmp_path, empty.getvalue())


def test_shapes_and_strides_stay_inside_the_storage(tmp_path):
    content = {"0": np.arange(6, dtype=np.float32).tobytes()}
    for size, strides, offset, reason in (
        ((7,), (1,), 0, "reaches beyond its 6 numbers"),
        ((2, 3), (3, 2), 0, "reaches beyond its 6 numbers"),
        ((6,), (1,), 1, "reaches beyond its 6 numbers"),
        ((1,), (1,), 6, "reaches beyond its 6 numbers"),
        ((2**30, 2**30), (0, 0), 0, "reaches beyond its 6 numbers"),  # takes no memory of that size
        ((2,), (-1,), 5, "an impossible shape"),
        ((2,), (1,), -1, "an impossible shape"),
        ((2, 3), (1,), 0, "an impossible shape"),
    ):
        items = {"a": tensor("0", size, strides, count=6, offset=offset)}
        assert reason in refusal(tmp_path, old_format(state_dict(items), content))
    view = tensor("0", (6,), (1,), count=6, view=row((1, 2, 3)))
    assert "in an unknown way" in refusal(tmp_path, old_format(state_dict({"a": view}), content))
    twice = {"a": tensor("0", (6,), (1,), count=6), "b": tensor("0", (5,), (1,), count=5)}
    assert "with two sizes" in refusal(tmp_path, old_format(state_dict(twice), content))


def test_a_small_file_cannot_take_much_memory(tmp_path):
    assert "more objects than it can hold" in refusal(tmp_path, PROTO + b"Nr\xff\xff\xff\xff.")


def published(content: bytes, **changes) -> Weights:
    facts = {"file": "net.pth", "size": len(content), "digest": f"sha256:{hashlib.sha256(content).hexdigest()}"}
    return Weights(**facts | {"licence": "none", "trained_by": "nobody", "package": "no-such-package"} | changes)


def test_weights_are_found_where_they_were_placed(tmp_path, monkeypatch):
    monkeypatch.setattr("lib.config.paths.WEIGHTS", tmp_path / "weights")
    weights = published(b"right")
    monkeypatch.delenv("COURSEWORK_WEIGHTS", raising=False)
    with pytest.raises(WeightsError, match="net.pth is not installed: it comes with .* no-such-package"):
        weights.find()
    monkeypatch.setenv("COURSEWORK_WEIGHTS", str(tmp_path / "nowhere"))
    with pytest.raises(WeightsError, match="COURSEWORK_WEIGHTS names what does not exist: .*nowhere"):
        weights.find()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "net.pth").write_bytes(b"right")
    for place in (tmp_path / "mine", tmp_path / "mine" / "net.pth"):
        monkeypatch.setenv("COURSEWORK_WEIGHTS", str(place))
        assert weights.find() == tmp_path / "mine" / "net.pth"
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "net.pth").write_bytes(b"wrong")
    with pytest.raises(WeightsError, match="has the sha256 sum .* instead of .*: it is damaged or another file"):
        weights.find()
    assert (tmp_path / "weights" / "net.pth").read_bytes() == b"wrong"  # it is the user's: not deleted


def test_weights_are_downloaded_checked_and_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("lib.config.paths.WEIGHTS", tmp_path / "weights")
    monkeypatch.delenv("COURSEWORK_WEIGHTS", raising=False)
    source = tmp_path / "source.pth"
    source.write_bytes(b"right")
    weights = published(b"right", package="", address=source.as_uri())
    assert weights.find().read_bytes() == b"right"
    source.unlink()
    assert weights.find() == tmp_path / "weights" / "net.pth"  # not asked for again
    source.write_bytes(b"other")
    other = published(b"right", package="", address=source.as_uri(), file="second.pth")
    with pytest.raises(WeightsError, match="sent another file than second.pth"):
        other.find()
    md5 = f"md5:{hashlib.md5(b'right').hexdigest()}"
    with pytest.raises(WeightsError, match="second.pth cannot be had. The download of .* has md5"):
        published(b"right", package="", address=source.as_uri(), file="second.pth", digest=md5).find()
    assert not (tmp_path / "weights" / "second.pth").exists()
