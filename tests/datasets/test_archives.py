"""Archives of every kind, whole, damaged and hostile."""

import bz2
import gzip
import io
import lzma
import os
import random
import shutil
import stat
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from lib.config.files import FolderError
from lib.datasets.fetch import archives
from lib.datasets.fetch.archives import extract
from lib.datasets.storage import DataError

FILES = {"set/cat/1.jpg": b"one" * 500, "set/cat/2.jpg": b"two", "set/dog/1.jpg": random.Random(0).randbytes(30_000)}


def tar_bytes(files=FILES, *, extra=()):
    """A tar with a folder entry, files, and members of other kinds."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        folder = tarfile.TarInfo("./set")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for info in extra:
            tar.addfile(info)
    return packed.getvalue()


def zip_bytes(files=FILES):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("set/"), "")
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def unpack(tmp_path, content, **options):
    archive = tmp_path / "data.archive"
    archive.write_bytes(content)
    extract(archive, tmp_path / "out" / "set", **options)
    return tree(tmp_path / "out" / "set")


def refused(tmp_path, content, match):
    """The archive is refused, nothing of it stays, and nothing was written beside it."""
    with pytest.raises(DataError, match=match):
        unpack(tmp_path, content)
    assert sorted(os.listdir(tmp_path)) == ["data.archive", "out"]
    assert os.listdir(tmp_path / "out") == []


PACKS = (bytes, gzip.compress, lzma.compress, bz2.compress)


def test_every_kind_of_archive(tmp_path):
    for content in (*(pack(tar_bytes()) for pack in PACKS), zip_bytes()):
        assert unpack(tmp_path, content) == FILES
        assert stat.S_IMODE((tmp_path / "out" / "set").stat().st_mode) == 0o755
        assert os.listdir(tmp_path / "out") == ["set"]
        shutil.rmtree(tmp_path / "out")


def test_zip_made_on_windows_or_macos(tmp_path):
    files = {"set\\cat\\1.jpg": b"one", "__MACOSX/set/cat/._1.jpg": b"attributes"}
    assert unpack(tmp_path, zip_bytes(files)) == {"set/cat/1.jpg": b"one"}


def test_inner_archive(tmp_path):
    files = {
        "caltech/images.tar.gz": gzip.compress(tar_bytes()),
        "caltech/notes.tar": tar_bytes({"note.txt": b""}),
        "__MACOSX/caltech/images.tar.gz": b"attributes",
    }
    assert unpack(tmp_path, zip_bytes(files), inner="images.tar.gz") == FILES
    shutil.rmtree(tmp_path / "out")
    assert set(unpack(tmp_path, zip_bytes(files))) == {"caltech/images.tar.gz", "caltech/notes.tar"}


def test_folder_that_is_there_is_not_made_again(tmp_path):
    (tmp_path / "out" / "set").mkdir(parents=True)
    extract(tmp_path / "missing.tar", tmp_path / "out" / "set")
    assert tree(tmp_path / "out") == {}


def test_paths_that_lead_out(tmp_path):
    for name in ("/etc/cat.jpg", "../cat.jpg", "set/../../cat.jpg", "C:/cat.jpg", "..\\cat.jpg"):
        refused(tmp_path, tar_bytes({"set/1.jpg": b"one", name: b"bad"}), "leads out of its folder")
        refused(tmp_path, zip_bytes({"set/1.jpg": b"one", name: b"bad"}), "leads out of its folder")


def test_links_and_devices(tmp_path):
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE):
        info = tarfile.TarInfo("set/odd")
        info.type, info.linkname = kind, "cat/1.jpg"
        refused(tmp_path, tar_bytes(extra=[info]), "holds a link or a device: 'set/odd'")
    for kind in (stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            info = zipfile.ZipInfo("set/odd")
            info.external_attr = (kind | 0o644) << 16
            archive.writestr(info, "/etc/passwd")
        refused(tmp_path, packed.getvalue(), "holds a link or a device: 'set/odd'")


def test_archive_that_grows_beyond_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MIN_LIMIT", 1_000_000)
    content = {"set/zeros.jpg": bytes(3_000_000)}
    refused(tmp_path, gzip.compress(tar_bytes(content)), "grows to more than 20 times its size")
    refused(tmp_path, zip_bytes(content), "grows to more than 20 times its size")
    monkeypatch.setattr(archives, "MIN_LIMIT", 4_000_000)
    assert unpack(tmp_path, zip_bytes(content)) == content


def test_declared_size_is_enough_to_refuse(tmp_path, monkeypatch):
    """Before anything of the member is written, so a disk is not filled first."""
    monkeypatch.setattr(archives, "MIN_LIMIT", 1_000_000)
    monkeypatch.setattr(archives, "_write", lambda *args, **options: pytest.fail("it was written"))
    refused(tmp_path, gzip.compress(tar_bytes({"zeros.jpg": bytes(3_000_000)})), "grows to more than 20 times")


def test_zip_that_declares_less_than_it_holds(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MIN_LIMIT", 1_000_000)
    packed = bytearray(zip_bytes({"set/zeros.jpg": bytes(3_000_000)}))
    true, false = (3_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little")
    refused(tmp_path, bytes(packed.replace(true, false)), "cut short, damaged or no archive|grows to more than")


def test_header_that_claims_a_gigabyte(tmp_path):
    for kind in (b"L", b"K", b"x", b"g"):
        info = tarfile.TarInfo("././@LongLink")
        info.type, info.size = kind, 10**9
        refused(tmp_path, info.tobuf(tarfile.GNU_FORMAT) + bytes(10_240), "a header of 1,000,000,000 bytes")


def test_a_name_twice(tmp_path):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for content in (b"one", b"another"):
            info = tarfile.TarInfo("set/cat/1.jpg")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    refused(tmp_path, packed.getvalue(), "holds the name '1.jpg' twice")
    refused(tmp_path, tar_bytes({"set/1.jpg": b"one", "set/./1.jpg": b"two"}), "holds the name '1.jpg' twice")


def test_names_that_other_systems_read_differently(tmp_path):
    for name in ("set/cat.jpg:stream", "set/con", "set/AUX.jpg", "set/lpt1.png", "set /1.jpg", "set/1."):
        refused(tmp_path, tar_bytes({name: b"odd"}), "a name that other systems read differently")
        refused(tmp_path, zip_bytes({name: b"odd"}), "a name that other systems read differently")


def test_names_that_are_merely_unusual(tmp_path):
    names = ("set/console.jpg", "set/.hidden", "set/a.b.jpg", "set/été 1.jpg", f"set/{'n' * 200}.jpg")
    files = dict.fromkeys(names, b"fine")
    assert unpack(tmp_path, tar_bytes(files)) == files


def test_name_that_is_too_long(tmp_path):
    refused(tmp_path, tar_bytes({f"set/{'n' * 300}.jpg": b"odd"}), "Writing to .* failed: File name too long")


def test_sparse_file_that_claims_more_than_it_holds(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MIN_LIMIT", 1_000_000)
    info = tarfile.TarInfo("set/zeros.jpg")
    info.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.map": "0,0",
                        "GNU.sparse.realsize": "5000000", "GNU.sparse.size": "5000000"}  # fmt: skip
    refused(tmp_path, tar_bytes(extra=[info]), "grows to more than 20 times")


def test_too_many_files(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_MEMBERS", 2)
    refused(tmp_path, zip_bytes(), "holds more than 2 files")


WHOLE = tar_bytes()


def test_cut_tar(tmp_path):
    end = len(WHOLE.rstrip(b"\0"))  # behind it come only the zeros that end a tar
    for pack in PACKS:
        whole = pack(WHOLE)
        for share in (0.3, 0.6, 0.95):
            cut = int((end if pack is bytes else len(whole)) * share)
            refused(tmp_path, whole[:cut], "cut short, damaged or no archive")


def test_tar_cut_between_two_files(tmp_path):
    """Python's own reader takes this for the end of the archive."""
    header = WHOLE.index(b"set/dog/1.jpg")
    refused(tmp_path, WHOLE[:header], "cut short")
    refused(tmp_path, WHOLE[: header + 100], "cut short")


def test_damaged_bytes(tmp_path):
    packed = bytearray(gzip.compress(WHOLE))
    packed[-6] ^= 1  # the stored checksum
    refused(tmp_path, bytes(packed), "cut short, damaged")
    header = bytearray(WHOLE)
    header[WHOLE.index(b"set/dog/1.jpg") + 2] ^= 1
    refused(tmp_path, bytes(header), "cut short, damaged")
    zipped = bytearray(zip_bytes({"set/1.jpg": random.Random(0).randbytes(1000)}))
    zipped[200] ^= 1
    refused(tmp_path, bytes(zipped), "cut short, damaged")
    refused(tmp_path, zip_bytes()[:-30], "cut short, damaged")


def test_no_archive_at_all(tmp_path):
    for content in (b"", b"not an archive", random.Random(0).randbytes(5000), b"\x1f\x8b", b"PK\x03\x04"):
        refused(tmp_path, content, "cut short, damaged or no archive")


def test_web_page_saved_as_an_archive(tmp_path):
    refused(tmp_path, b"<!doctype html>\n<html>sign in</html>", "is a web page, not an archive")


def test_file_where_a_folder_should_be(tmp_path):
    refused(tmp_path, tar_bytes({"set/cat": b"a file", "set/cat/1.jpg": b"one"}), "Writing to .* failed")


def test_no_disk_space(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=0))
    with pytest.raises(DataError, match="No disk space"):
        unpack(tmp_path, tar_bytes())
    assert os.listdir(tmp_path / "out") == []


def test_disk_that_fills_up_on_the_way(tmp_path, monkeypatch):
    def write(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archives, "_write", write)
    with pytest.raises(FolderError, match="No room is left on the disk of"):
        unpack(tmp_path, tar_bytes())
    assert os.listdir(tmp_path / "out") == []


def test_what_killed_processes_left_is_removed(tmp_path):
    old, young = tmp_path / "out" / ".partial-old", tmp_path / "out" / ".partial-young"
    for folder in (old, young):
        folder.mkdir(parents=True)
        (folder / "1.jpg").write_bytes(b"half")
    os.utime(old, (0, 0))
    assert unpack(tmp_path, tar_bytes()) == FILES
    assert not old.exists()
    assert young.exists()


def test_two_processes_at_once(tmp_path, monkeypatch):
    """The slower one finds the folder made, and leaves it as it is."""
    write_all = archives._write_all

    def slow(archive, folder, **options):
        write_all(archive, folder, **options)
        other = Path(tmp_path / "out" / "set")
        other.mkdir()
        (other / "first.txt").write_bytes(b"first")

    monkeypatch.setattr(archives, "_write_all", slow)
    assert unpack(tmp_path, tar_bytes()) == {"first.txt": b"first"}
    assert os.listdir(tmp_path / "out") == ["set"]


def test_progress_bar(tmp_path, capsys, terminal):
    unpack(tmp_path, tar_bytes())
    assert "Extracting data.archive: 3 files" in capsys.readouterr().err
