"""One file fetched from its official address: resumed after a cut, checked, and only then given its name."""

import http.client
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from tqdm import tqdm

from lib.datasets.errors import DataError
from lib.datasets.fetch import disk
from lib.datasets.fetch.archives import is_web_page

TIMEOUT = 30  # seconds without a byte
WAITS = (1, 2, 4)  # seconds before another try; a try that brings new bytes starts the count again
CHUNK = 2**18
BY_HAND = "You can also place the file by hand: data/README.md says where."


class _Interrupted(Exception):
    """The connection failed in a way that another try may mend."""


def download(
    address: str,
    target: Path,
    *,
    size: int | None = None,
    md5: str = "",
    progress: bool = True,
    waits: tuple[float, ...] = WAITS,
) -> None:
    """Download a file; what has come is kept as `<target>.part` and continued by the next call.

    Args:
        address: where it lies (https or http).
        target: the file to make; it appears by renaming, after the checks.
        size: bytes it must have, or None if not known.
        md5: sum it must have, as hex, or empty if not known.
        progress: whether to show a progress bar.
        waits: seconds before each further try.

    Raises:
        DataError: if there is no network, no disk space or no such file, if a web page comes instead, or if size or
            sum are wrong; what came is then removed.
    """
    part = target.with_name(f"{target.name}.part")
    disk.make_folder(part.parent)
    farthest, tries = _size_of(part), 0
    while True:
        try:
            _fetch(address, part, size=size, progress=progress)
            break
        except _Interrupted as failure:
            if _size_of(part) > farthest:
                farthest, tries = _size_of(part), 0
            if tries == len(waits):
                raise DataError(f"{_host(address)} could not be reached, or broke off: {failure}. {BY_HAND}") from None
            time.sleep(waits[tries])
            tries += 1
    _check(part, address, size=size, md5=md5)
    os.replace(part, target)


def _fetch(address: str, part: Path, *, size: int | None, progress: bool) -> None:
    """One request for what is still missing."""
    if size and _size_of(part) > size:  # not a beginning of this file
        part.unlink()
    have = _size_of(part)
    if size and have == size:
        return
    with _request(address, part, have=have) as reply:
        start = have if _continues(reply, have) else 0
        whole = _whole_size(reply, start)
        if start == 0 and reply.headers.get_content_type() == "text/html":
            raise _web_page(reply)
        if size and whole and whole != size:
            raise DataError(f"{address} offers {whole:,} bytes; the official file has {size:,}. {BY_HAND}")
        disk.require_space(part.parent, (size or whole or 0) - start)
        try:
            _save(reply, part, start=start, whole=size or whole, progress=progress)
        except OSError as error:
            raise disk.write_error(error, part.parent) from error


def _request(address: str, part: Path, *, have: int) -> http.client.HTTPResponse:
    headers = {"User-Agent": "coursework-datasets/1.0", **({"Range": f"bytes={have}-"} if have else {})}
    try:
        return urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        with error:
            raise _meaning(error, address, part=part) from error
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(getattr(error, "reason", None) or error) from error


def _save(reply: http.client.HTTPResponse, part: Path, *, start: int, whole: int | None, progress: bool) -> None:
    chunk = _read(reply)
    if start == 0 and is_web_page(chunk):
        raise _web_page(reply)
    title = part.name.removesuffix(".part")
    bar = tqdm(total=whole, initial=start, desc=title, unit="B", unit_scale=True, disable=not progress, mininterval=0.5)
    with part.open("ab" if start else "wb") as out, bar:
        while chunk:
            out.write(chunk)
            bar.update(len(chunk))
            chunk = _read(reply)
    if whole and _size_of(part) < whole:
        raise _Interrupted(f"the connection was cut after {_size_of(part):,} of {whole:,} bytes")


def _read(reply: http.client.HTTPResponse) -> bytes:
    try:
        return reply.read(CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(error) from error


def _web_page(reply: http.client.HTTPResponse) -> DataError:
    return DataError(f"{_host(reply.url)} sent a web page instead of the file {reply.url}. {BY_HAND}")


def _continues(reply: http.client.HTTPResponse, have: int) -> bool:
    """Whether the server sends the rest; one that knows no ranges sends the whole file again."""
    return reply.status == 206 and reply.headers.get("Content-Range", "").startswith(f"bytes {have}-")


def _whole_size(reply: http.client.HTTPResponse, start: int) -> int | None:
    length = reply.headers.get("Content-Length", "")
    return start + int(length) if length.isdigit() else None


def _meaning(error: urllib.error.HTTPError, address: str, *, part: Path) -> Exception:
    """What an HTTP status means: a busy server is asked again, a refusal is final."""
    if error.code == 416:  # the part is longer than the file: not a beginning of it
        part.unlink(missing_ok=True)
    if error.code in (408, 416, 429) or error.code >= 500:
        return _Interrupted(f"HTTP {error.code} {error.reason}")
    return DataError(f"{address} answered HTTP {error.code} {error.reason}. {BY_HAND}")


def _check(part: Path, address: str, *, size: int | None, md5: str) -> None:
    found = _size_of(part)
    if size and found != size:
        part.unlink()
        raise DataError(f"The download of {address} has {found:,} bytes instead of {size:,}. It was removed. {BY_HAND}")
    if md5 and (found_sum := disk.md5_of(part)) != md5:
        part.unlink()
        raise DataError(
            f"The download of {address} has md5 {found_sum} instead of {md5}: it is damaged or another file. "
            f"It was removed; run it again. {BY_HAND}"
        )


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _host(address: str) -> str:
    return urllib.parse.urlsplit(address).netloc
