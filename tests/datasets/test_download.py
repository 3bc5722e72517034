"""Downloads from a real HTTP server on this machine, with everything that goes wrong on the way."""

import hashlib
import http.server
import os
import shutil
import socket
import threading
import time
from types import SimpleNamespace

import pytest

from lib.config.files import FolderError
from lib.datasets.fetch import download as room
from lib.datasets.fetch.download import download
from lib.datasets.storage import DataError

CONTENT = bytes(range(256)) * 4000  # 1,024,000 bytes
MD5 = hashlib.md5(CONTENT).hexdigest()


class Site:
    """What the server answers; tests change it, and read which ranges were asked for."""

    def __init__(self):
        self.content = CONTENT
        self.kind = "application/zip"
        self.ranges = True
        self.cuts = []  # bytes sent before the connection is cut, one entry a request
        self.statuses = []  # of the first requests, before it answers properly
        self.length = True  # whether it says how much will come
        self.delay = 0.0
        self.asked = []


@pytest.fixture
def site():
    site = Site()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            answer(self, site)

        def log_message(self, *args):
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, request, client_address):
            pass  # a client that has read enough hangs up

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    site.address = f"http://127.0.0.1:{server.server_port}/files/data.zip"
    yield site
    server.shutdown()
    server.server_close()
    thread.join()


def answer(request, site):
    wanted = request.headers.get("Range")
    site.asked.append(wanted)
    time.sleep(site.delay)
    if site.statuses:
        request.send_error(site.statuses.pop(0))
        return
    start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and site.ranges else 0
    if start >= len(site.content):
        request.send_error(416)
        return
    body = site.content[start:]
    request.send_response(206 if start else 200)
    request.send_header("Content-Type", site.kind)
    if site.length:
        request.send_header("Content-Length", str(len(body)))
    if start:
        request.send_header("Content-Range", f"bytes {start}-{len(site.content) - 1}/{len(site.content)}")
    request.end_headers()
    request.wfile.write(body[: site.cuts.pop(0)] if site.cuts else body)


def fetch(site, folder, **changes):
    settings = {"size": len(CONTENT), "md5": MD5, "waits": (0, 0)} | changes
    download(site.address, folder / "raw" / "data.zip", **settings)
    return folder / "raw" / "data.zip"


def test_whole_file(site, tmp_path):
    target = fetch(site, tmp_path)
    assert target.read_bytes() == CONTENT
    assert os.listdir(target.parent) == ["data.zip"]
    assert site.asked == [None]


def test_server_that_does_not_say_the_length(site, tmp_path):
    site.length = False
    assert fetch(site, tmp_path, md5="").read_bytes() == CONTENT  # nor is a sum known for every file


def test_resumes_after_a_cut(site, tmp_path):
    site.cuts = [300_000, 400_000]
    assert fetch(site, tmp_path).read_bytes() == CONTENT
    assert site.asked == [None, "bytes=300000-", "bytes=700000-"]


def test_tries_start_again_when_bytes_came(site, tmp_path):
    site.cuts = [100_000] * 8  # more cuts than tries
    assert fetch(site, tmp_path, waits=(0,)).read_bytes() == CONTENT
    assert len(site.asked) == 9


def test_next_call_continues(site, tmp_path):
    site.cuts = [300_000, 0]
    with pytest.raises(DataError, match="broke off: the connection was cut after 300,000 of 1,024,000 bytes"):
        fetch(site, tmp_path, waits=())
    assert os.listdir(tmp_path / "raw") == ["data.zip.part"]
    site.cuts, site.asked = [], []
    assert fetch(site, tmp_path).read_bytes() == CONTENT
    assert site.asked == ["bytes=300000-"]


def test_server_without_ranges_starts_again(site, tmp_path):
    site.ranges, site.cuts = False, [300_000]
    assert fetch(site, tmp_path).read_bytes() == CONTENT
    assert len(site.asked) == 2


def test_server_without_ranges_that_always_cuts_ends(site, tmp_path):
    site.ranges, site.cuts = False, [300_000] * 9
    with pytest.raises(DataError, match="broke off"):
        fetch(site, tmp_path)
    assert len(site.asked) == 3  # the second and third bring nothing that was not there before


def test_part_that_is_longer_than_the_file(site, tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "data.zip.part").write_bytes(CONTENT + b"more")
    assert fetch(site, tmp_path).read_bytes() == CONTENT
    (tmp_path / "raw" / "data.zip.part").write_bytes(CONTENT)
    with pytest.raises(DataError, match="offers 1,024,000 bytes; the official"):  # after it said 416
        fetch(site, tmp_path, size=len(CONTENT) + 1)


def test_whole_part_is_not_asked_for_again(site, tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "data.zip.part").write_bytes(CONTENT)
    assert fetch(site, tmp_path).read_bytes() == CONTENT
    assert site.asked == []


def test_wrong_sum_is_refused_and_removed(site, tmp_path):
    site.content = CONTENT[:-1] + b"!"
    with pytest.raises(DataError, match=f"instead of {MD5}: it is damaged or another file. It was removed"):
        fetch(site, tmp_path)
    assert os.listdir(tmp_path / "raw") == []


def test_part_of_another_file_is_refused_and_removed(site, tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "data.zip.part").write_bytes(b"x" * 1000)
    with pytest.raises(DataError, match="md5"):
        fetch(site, tmp_path)
    assert fetch(site, tmp_path).read_bytes() == CONTENT


def test_wrong_size_is_refused_before_it_is_loaded(site, tmp_path):
    site.content = CONTENT[:1000]
    with pytest.raises(DataError, match="offers 1,000 bytes; the official file has 1,024,000"):
        fetch(site, tmp_path)
    site.length = False
    with pytest.raises(DataError, match="broke off: the connection was cut after 1,000"):
        fetch(site, tmp_path)
    site.content = CONTENT + b"more"
    with pytest.raises(DataError, match="has 1,024,004 bytes instead of 1,024,000. It was removed"):
        fetch(site, tmp_path)
    assert os.listdir(tmp_path / "raw") == []


def test_web_page_instead_of_the_file(site, tmp_path):
    site.content = b"\n<!DOCTYPE html><title>Virus scan warning</title>"
    for site.kind in ("text/html; charset=utf-8", "application/zip"):
        with pytest.raises(DataError, match="sent a web page instead of the file .*data/README.md says where"):
            fetch(site, tmp_path)
        assert os.listdir(tmp_path / "raw") == []


def test_no_network(tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # a port where nobody listens
        site = SimpleNamespace(address=f"http://127.0.0.1:{closed.getsockname()[1]}/data.zip")
        with pytest.raises(DataError, match=r"127.0.0.1:\d+ could not be reached.*refused.*place the file by hand"):
            fetch(site, tmp_path)
    assert os.listdir(tmp_path / "raw") == []


def test_silent_server(site, tmp_path, monkeypatch):
    monkeypatch.setattr(room, "TIMEOUT", 0.1)
    site.delay = 0.5
    with pytest.raises(DataError, match="timed out"):
        fetch(site, tmp_path, waits=())


def test_refusal_is_final_and_a_busy_server_is_asked_again(site, tmp_path):
    site.statuses = [404]
    with pytest.raises(DataError, match="answered HTTP 404 Not Found"):
        fetch(site, tmp_path)
    assert len(site.asked) == 1
    site.statuses = [503, 429]
    assert fetch(site, tmp_path).read_bytes() == CONTENT
    site.statuses = [500] * 9
    with pytest.raises(DataError, match="HTTP 500"):
        download(site.address, tmp_path / "other.zip", size=1, waits=(0, 0))


def test_no_disk_space(site, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1_000_000))
    with pytest.raises(DataError, match="No disk space: 51.0 MB are needed in .*raw, 1.0 MB are free"):
        fetch(site, tmp_path)
    assert os.listdir(tmp_path / "raw") == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full, a disk that is always full")
def test_disk_that_fills_up_on_the_way(site, tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "data.zip.part").symlink_to("/dev/full")
    with pytest.raises(FolderError, match="No room is left on the disk of .*raw"):
        fetch(site, tmp_path)
    assert not (tmp_path / "raw" / "data.zip").exists()


def test_target_folder_that_cannot_be_made(site, tmp_path):
    (tmp_path / "raw").write_text("a file")
    with pytest.raises(DataError, match="Writing to .*raw failed: File exists"):
        fetch(site, tmp_path)


def test_progress_bar(site, tmp_path, capsys, terminal):
    fetch(site, tmp_path)
    assert "data.zip: 100%" in capsys.readouterr().err
