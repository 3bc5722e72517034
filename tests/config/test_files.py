"""lib.config.files: files that are the old ones or the whole new ones, and their checksums."""

import hashlib
import json

import numpy as np
import pytest

from lib.config import files


def test_json_and_arrays_are_replaced_whole(tmp_path):
    file = tmp_path / "facts.json"
    files.write_json(file, {"b": (1, 2), "a": 1.5})
    assert json.loads(file.read_text()) == {"a": 1.5, "b": [1, 2]}
    files.write_json(file, {"a": 2})
    assert files.read_json(file) == {"a": 2}
    files.write_arrays(tmp_path / "arrays.npz", {"x": np.arange(3)})
    with np.load(tmp_path / "arrays.npz") as stored:
        assert stored["x"].tolist() == [0, 1, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["arrays.npz", "facts.json"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    file = tmp_path / "facts.json"
    files.write_json(file, {"a": 1})
    with pytest.raises(TypeError):
        files.write_json(file, {"a": object()})
    assert files.read_json(file) == {"a": 1}


def test_a_checksum_is_that_of_the_content_and_none_of_no_file(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert files.checksum(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()
    assert files.checksum(tmp_path / "a", "md5") == hashlib.md5(b"abc").hexdigest()
    assert files.checksum(tmp_path / "b") == files.checksum(tmp_path) == ""
