"""What `auto` means on a machine, that it is decided once, and that runs name it."""

import json

import pytest

from lib.config import Training
from lib.training import precision
from lib.training.precision import bfloat16_gain, has_bfloat16, used_precision


@pytest.mark.parametrize("asked", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_what_is_asked_for_by_name_is_used(asked, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSEWORK_CACHE", str(tmp_path))
    assert used_precision(asked) == asked and not list(tmp_path.iterdir())


def test_an_unknown_format_is_refused_with_the_list():
    with pytest.raises(ValueError, match=r"auto, float32, mixed_bfloat16, mixed_float16.*'half'"):
        Training(precision="half")


@pytest.mark.parametrize(
    "text, has",
    [
        ("flags\t\t: fpu avx512_bf16 avx512f", True),
        ("flags\t\t: fpu amx_bf16", True),
        ("flags\t\t: fpu avx2 avx512f", False),
        ("model name\t: of amx_bf16", False),
        ("", False),
    ],
)
def test_the_flags_of_the_processor_tell(text, has, tmp_path):
    file = tmp_path / "cpuinfo"
    file.write_text(f"processor\t: 0\n{text}\n")
    assert has_bfloat16(file) is has
    assert not has_bfloat16(tmp_path / "missing")


@pytest.mark.parametrize(
    "flag, gain, decided", [(True, 1.7, "mixed_bfloat16"), (True, 0.9, "float32"), (False, 1.7, "float32")]
)
def test_flags_and_timing_must_agree_and_are_asked_once(flag, gain, decided, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSEWORK_CACHE", str(tmp_path))
    asked = []
    monkeypatch.setattr(precision, "has_bfloat16", lambda: flag)
    monkeypatch.setattr(precision, "bfloat16_gain", lambda: asked.append(1) or gain)
    assert [used_precision("auto") for _ in range(3)] == [decided] * 3
    assert len(asked) == flag
    (kept,) = json.loads((tmp_path / precision.FILE).read_text()).values()
    assert kept == decided


def test_another_machine_or_a_damaged_file_decides_anew(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSEWORK_CACHE", str(tmp_path))
    monkeypatch.setattr(precision, "_decide", lambda: "float32")
    for content in ("{", "[]", '{"another": "mixed_float16"}'):
        (tmp_path / precision.FILE).write_text(content)
        assert used_precision("auto") == "float32"


def test_a_gpu_takes_its_own_format(tmp_path, monkeypatch):
    from lib.training.device import Device

    monkeypatch.setenv("COURSEWORK_CACHE", str(tmp_path))
    monkeypatch.setattr(precision, "find_device", lambda: Device("gpu", compile_graph=True))
    assert used_precision("auto") == "mixed_float16"


def test_the_timing_is_a_ratio_and_takes_seconds():
    assert 0.01 < bfloat16_gain() < 100
