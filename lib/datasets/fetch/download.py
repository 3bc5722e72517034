"""One file fetched from its official address: resumed after a cut, checked, and only then given its name."""

import http.client
import itertools
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from lib.config.files import checksum
from lib.config.progress import progress_bar
from lib.datasets import storage
from lib.datasets.fetch.archives import is_web_page
from lib.datasets.storage import DataError

TIMEOUT = 30  # seconds without a byte
WAITS = (1, 2, 4)  # seconds before another try; a try that brings new bytes starts the count again
CHUNK = 2**18
BY_HAND = "You can also place the file by hand: data/README.md says where."


class _Interrupted(Exception):
    """The connection failed in a way that another try may mend."""


def download(address: str, target: Path, *, size: int, md5: str = "", waits: tuple[float, ...] = WAITS) -> None:
    """Download a file of `size` bytes; what has come is kept as `<target>.part` and continued by the next call.

    The target appears by renaming, after size and md5 (empty if not known) were checked; what is wrong is removed.
    """
    part = target.with_name(f"{target.name}.part")
    with storage.writing(part.parent):
        if _size_of(part) > size:  # not a beginning of this file
            part.unlink()
        farthest, tries = _size_of(part), 0
        while _size_of(part) != size:
            try:
                _fetch(address, part, size=size)
                break
            except _Interrupted as failure:
                if _size_of(part) > farthest:
                    farthest, tries = _size_of(part), 0
                if tries == len(waits):
                    host = urllib.parse.urlsplit(address).netloc
                    raise DataError(f"{host} could not be reached, or broke off: {failure}. {BY_HAND}") from None
                time.sleep(waits[tries])
                tries += 1
        fault = ""
        if _size_of(part) != size:
            fault = f"{_size_of(part):,} bytes instead of {size:,}. It was removed."
        elif md5 and (found := checksum(part, "md5")) != md5:
            fault = f"md5 {found} instead of {md5}: it is damaged or another file. It was removed; run it again."
        if fault:
            part.unlink()
            raise DataError(f"The download of {address} has {fault} {BY_HAND}")
        os.replace(part, target)


def _fetch(address: str, part: Path, *, size: int) -> None:
    """One request for what is still missing, written behind what is there."""
    have = _size_of(part)
    headers = {"User-Agent": "coursework-datasets/1.0", **({"Range": f"bytes={have}-"} if have else {})}
    try:
        reply = urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # the part is longer than the file: not a beginning of it
            part.unlink(missing_ok=True)
        if error.code in (408, 416, 429) or error.code >= 500:  # a busy server is asked again, a refusal is final
            raise _Interrupted(f"HTTP {error.code} {error.reason}") from error
        raise DataError(f"{address} answered HTTP {error.code} {error.reason}. {BY_HAND}") from error
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(getattr(error, "reason", None) or error) from error
    with reply:
        # A server that knows no ranges sends the whole file again.
        start = have if reply.headers.get("Content-Range", "").startswith(f"bytes {have}-") else 0
        length = reply.headers.get("Content-Length", "")
        chunks = _chunks(reply)
        first = next(chunks, b"")
        if start == 0 and (reply.headers.get_content_type() == "text/html" or is_web_page(first)):
            host = urllib.parse.urlsplit(reply.url).netloc
            raise DataError(f"{host} sent a web page instead of the file {reply.url}. {BY_HAND}")
        if length.isdigit() and start + int(length) != size:
            offered = f"{start + int(length):,}"
            raise DataError(f"{address} offers {offered} bytes; the official file has {size:,}. {BY_HAND}")
        storage.require_space(part.parent, size - start)
        bar = progress_bar(part.stem, total=size, initial=start, unit="B", unit_scale=True)
        with part.open("ab" if start else "wb") as out, bar:
            for chunk in itertools.chain([first], chunks):
                out.write(chunk)
                bar.update(len(chunk))
    if _size_of(part) < size:
        raise _Interrupted(f"the connection was cut after {_size_of(part):,} of {size:,} bytes")


def _chunks(reply: http.client.HTTPResponse) -> Iterator[bytes]:
    try:
        while chunk := reply.read(CHUNK):
            yield chunk
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(error) from error


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
