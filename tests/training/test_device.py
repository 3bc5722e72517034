"""The machine: what is found, what is written down, and that importing TensorFlow stays quiet."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from lib.config import paths
from lib.training import device
from lib.training.device import Device, cpu_name, environment, find_device, git_state

FACTS = {
    "python",
    "tensorflow",
    "keras",
    "numpy",
    "pillow",
    "scikit-learn",
    "system",
    "cpu",
    "cores",
    "threads",
    "at_once",
}


def test_a_cpu_computes_without_xla():
    assert Device("cpu") == Device("cpu", compile_graph=False)
    if not tf.config.list_physical_devices("GPU"):
        assert find_device() == Device("cpu")
    else:
        assert find_device() == Device("gpu", compile_graph=True)


def test_the_environment_holds_what_decides_the_numbers():
    facts = environment(Device("cpu"))
    assert set(facts) == FACTS | {"onednn", "device", "precision", "commit", "dirty", "backend", *device.KERAS}
    assert json.loads(json.dumps(facts)) == facts
    assert facts["tensorflow"] == tf.__version__ and facts["numpy"] == np.__version__
    assert facts["python"] == ".".join(map(str, sys.version_info[:3]))
    assert facts["cores"] == os.cpu_count() and facts["threads"] >= 1
    assert (facts["device"], facts["precision"]) == ("cpu", "float32")


def test_the_onednn_switch_is_recorded(monkeypatch):
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    assert environment(Device("cpu"))["onednn"] == "0"
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS")
    assert environment(Device("cpu"))["onednn"] == "1"


def test_the_cpu_has_a_name():
    assert cpu_name().strip() == cpu_name() != ""


def git(folder, *arguments) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@b.c"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_git_state_tells_commit_and_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_state() == {"commit": None, "dirty": None}  # no repository
    git(tmp_path, "init")
    assert git_state() == {"commit": None, "dirty": None}  # no commit yet
    (tmp_path / "a.txt").write_text("a")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    assert git_state() == {"commit": git(tmp_path, "rev-parse", "HEAD"), "dirty": False}
    (tmp_path / "a.txt").write_text("b")
    assert git_state()["dirty"] is True


def test_git_state_where_a_name_is_no_text(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    git(tmp_path, "init")
    git(tmp_path, "commit", "--allow-empty", "-m", "first")
    git(tmp_path, "config", "core.quotepath", "false")
    try:
        open(os.fsencode(tmp_path) + b"/caf\xe9.txt", "w").close()
    except OSError:
        pytest.skip("names of files are text here")
    assert git_state() == {"commit": git(tmp_path, "rev-parse", "HEAD"), "dirty": True}


def test_a_fact_that_cannot_be_found_loses_no_training(monkeypatch):
    monkeypatch.setenv("COURSEWORK_AT_ONCE", "some")
    monkeypatch.setattr(device, "PACKAGES", ("tensorflow", "a package without metadata"))
    facts = environment(Device("cpu"))
    assert [facts["at_once"], facts["a package without metadata"]] == [None, None]
    assert facts["tensorflow"] == tf.__version__ and json.loads(json.dumps(facts)) == facts


def test_git_state_without_git(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert git_state() == {"commit": None, "dirty": None}


def python(code: str, **settings: str) -> subprocess.CompletedProcess:
    """Run code in a process of its own, with the log switches as they are by default."""
    variables = {name: value for name, value in os.environ.items() if not re.match("TF_|GLOG|ABSL|KERAS", name)}
    command = [sys.executable, "-c", f"from lib.training.device import *; {code}"]
    return subprocess.run(command, cwd=paths.ROOT, env=variables | settings, capture_output=True, text=True, check=True)


def test_peak_memory_sees_a_large_block_and_never_falls():
    grown = "print(peak_memory_mb()); block = bytes([1]) * 2**26; print(peak_memory_mb()); "
    before, held, after = map(float, python(grown + "del block; print(peak_memory_mb())").stdout.split())
    if before == 0:
        pytest.skip("this system does not tell")
    assert before < 60  # this small process alone, not the one that started it
    assert 50 < held - before < 80 and after > held - 2  # 64 MB; the kernel counts in coarse steps


def test_a_silenced_descriptor_speaks_again_afterwards(capfd):
    os.write(2, b"before ")
    with device._silent_descriptor(2):
        os.write(2, b"inside ")
    os.write(2, b"after")
    assert capfd.readouterr().err == "before after"
    with pytest.raises(RuntimeError), device._silent_descriptor(2):
        raise RuntimeError
    os.write(2, b"again")
    assert capfd.readouterr().err == "again"


def test_importing_again_changes_nothing(capfd):
    device.import_tensorflow()
    assert capfd.readouterr() == ("", "")


OTHER = {"backend": "jax", "floatx": "float16", "image_data_format": "channels_first", "epsilon": 0.01}


def test_tensorflow_is_imported_without_a_word_and_with_the_settings_of_the_project(tmp_path):
    (tmp_path / "keras.json").write_text(json.dumps(OTHER), encoding="utf-8")
    code = (
        "import_tensorflow(); import json; from lib.models import ConvBlocks; "
        "model = ConvBlocks(filters=(4,), batch_norm=True).build(2, image_size=16); "
        "facts = {name: environment(find_device())[name] for name in ('backend', *KERAS)}; "
        "print(json.dumps([facts, model.output.dtype, sorted({weight.dtype for weight in model.weights})]))"
    )
    done = python(code, KERAS_HOME=str(tmp_path), KERAS_BACKEND="torch")
    assert done.stderr == ""
    assert json.loads(done.stdout) == [{"backend": "tensorflow"} | device.KERAS, "float32", ["float32"]]


def test_settings_that_keras_cannot_read_end_in_a_sentence(tmp_path):
    (tmp_path / "keras.json").write_text('{"floatx": "half"}', encoding="utf-8")
    code = "\ntry: import_tensorflow()\nexcept ValueError as error: print(error)"
    said = python(code, KERAS_HOME=str(tmp_path)).stdout
    assert said.startswith("Keras cannot be imported; mend or delete its settings, keras.json: Invalid `floatx`")


def test_another_backend_that_runs_already_is_refused(monkeypatch):
    monkeypatch.setattr("keras.config.backend", lambda: "jax")  # none but TensorFlow is installed for the tests
    with pytest.raises(ValueError, match="restart Python and import lib first. Received: backend jax"):
        device.import_tensorflow()
