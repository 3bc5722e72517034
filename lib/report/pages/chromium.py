"""A page in a headless Chromium, driven through its debugging pipe: no web driver and no further package is needed.

The protocol is Chrome's own (https://chromedevtools.github.io/devtools-protocol/): JSON messages that end with a zero
byte, written to the browser's file descriptor 3 and read from its descriptor 4.
"""

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
MAC_PROGRAMS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
OPTIONS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",  # containers give it 64 MB
    "--disable-extensions",
    "--disable-gpu",
    "--disable-sync",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
    "--mute-audio",
    "--no-default-browser-check",
    "--no-first-run",
    "--password-store=basic",
)
# The two ends of the pipe become descriptors 3 and 4, and then the browser takes this small program's place.
LAUNCH = (
    "import os, sys; i, o, *words = sys.argv[1:]; os.dup2(int(i), 3); os.dup2(int(o), 4); os.execv(words[0], words)"
)
KEYS = {"Enter": ("\r", 13), "Tab": ("", 9), " ": (" ", 32), "Escape": ("", 27)}


class BrowserError(RuntimeError):
    """The browser did not start, did not answer in time, or could not do what was asked."""


def find_chromium() -> str | None:
    """The Chromium or Chrome of this machine: `$COURSEWORK_CHROMIUM` (`none` for none), else the first on PATH."""
    chosen = os.environ.get("COURSEWORK_CHROMIUM", "")
    if os.name != "posix" or chosen == "none":  # pipes with these descriptors are a thing of Unix
        return None
    names = [chosen] if chosen else [*PROGRAMS, *MAC_PROGRAMS]
    return next((found for found in map(shutil.which, names) if found), None)


@contextlib.contextmanager
def open_page(*, width: int, height: int, scale: float = 1.0, seconds: float = 30.0) -> Iterator["Page"]:
    """One page in a browser of its own, with a new empty profile; both are gone afterwards.

    Args:
        width: of the window in CSS pixels.
        height: of the window in CSS pixels.
        scale: device pixels per CSS pixel.
        seconds: longest wait for any one answer.

    Raises:
        BrowserError: if there is no Chromium or it does not start.
    """
    program = find_chromium()
    if program is None:
        raise BrowserError("no Chromium was found")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        with _started(program, profile, seconds) as page:
            page.attach(width, height, scale)
            yield page


@contextlib.contextmanager
def _started(program: str, profile: str, seconds: float) -> Iterator["Page"]:
    # Root has no other users to be kept apart from, and Chromium refuses its sandbox there.
    options = [*OPTIONS, f"--user-data-dir={profile}", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    theirs_in, ours_out = _pipe()
    ours_in, theirs_out = _pipe()
    command = [sys.executable, "-S", "-E", "-c", LAUNCH, str(theirs_in), str(theirs_out), program, *options]
    log = Path(profile) / "stderr.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [*command, "about:blank"], pass_fds=(theirs_in, theirs_out), stdout=errors, stderr=errors
        )
    os.close(theirs_in), os.close(theirs_out)
    try:
        yield Page(ours_in, ours_out, seconds=seconds)
    except BrowserError as error:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1)
        if process.returncode is None:
            raise
        said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        raise BrowserError(f"{program} ended at once: {said[0] if said else process.returncode}") from error
    finally:
        os.close(ours_in), os.close(ours_out)  # the browser ends when its pipe does
        _end(process)


def _pipe() -> tuple[int, int]:
    """Both ends of a pipe under numbers above 9, so that neither is overwritten where 3 and 4 are put in place."""
    import fcntl  # not on Windows

    ends = os.pipe()
    moved = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return moved[0], moved[1]


def _end(process: subprocess.Popen) -> None:
    for stop in (lambda: None, process.terminate, process.kill):
        stop()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
            return


class Page:
    """What a reader could do with a page: open, look, click, press a key."""

    def __init__(self, source: int, target: int, *, seconds: float):
        self.source, self.target, self.seconds = source, target, seconds
        self.errors: list[str] = []  # what the console has shown as an error
        self._rest, self._number, self._session, self._events = b"", 0, None, []

    def attach(self, width: int, height: int, scale: float) -> None:
        """Take the browser's first page and give it a size."""
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for part in ("Page", "Runtime", "Log"):
            self.call(f"{part}.enable")
        self.resize(width, height, scale)

    def resize(self, width: int, height: int, scale: float = 1.0) -> None:
        """Give the page another size, in CSS pixels."""
        size = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)

    def open(self, address: str) -> None:
        """Load an address and wait until the page and what it loads are there."""
        self._events.clear()
        answer = self.call("Page.navigate", url=address)
        if answer.get("errorText"):
            raise BrowserError(f"{address} does not open: {answer['errorText']}")
        # Without a loader only the part after # has changed, and nothing is loaded.
        while "loaderId" in answer and "Page.loadEventFired" not in self._events:
            self._receive(self.seconds)

    def run(self, script: str):
        """The value of a JavaScript expression; of a promise, what it comes to."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise BrowserError(details.get("exception", {}).get("description", details["text"]))
        return answer["result"].get("value")

    def wait_for(self, script: str, what: str):
        """The first value of an expression that is true.

        Raises:
            BrowserError: if it does not come in time; says what was waited for.
        """
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            if value := self.run(script):
                return value
            time.sleep(0.1)
        raise BrowserError(f"{what} did not appear within {self.seconds:g} s")

    def click(self, x: float, y: float, *, times: int = 1) -> None:
        """Click at a place of the window, in CSS pixels."""
        for count in range(1, times + 1):
            for kind in ("mousePressed", "mouseReleased"):
                place = {"x": x, "y": y, "button": "left", "clickCount": count}
                self.call("Input.dispatchMouseEvent", type=kind, **place)

    def press(self, key: str) -> None:
        """Press and release a key of `KEYS`."""
        text, code = KEYS[key]
        names = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **names)
        self.call("Input.dispatchKeyEvent", type="keyUp", **names)

    def picture(self, *, whole: bool = False) -> bytes:
        """The window, or the whole page, as PNG."""
        options = {"captureBeyondViewport": whole}
        if whole:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            options["clip"] = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        return base64.b64decode(self.call("Page.captureScreenshot", format="png", **options)["data"])

    def call(self, method: str, **parameters) -> dict:
        """Send one command of the protocol and wait for its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        try:
            os.write(self.target, json.dumps(message).encode() + b"\0")
        except BrokenPipeError as error:
            raise BrowserError("the browser has ended") from error
        while True:
            answer = self._receive(self.seconds)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def _receive(self, seconds: float) -> dict:
        """The next message, which may be an event."""
        end = time.monotonic() + seconds
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self.source], [], [], max(0, end - time.monotonic()))
            received = os.read(self.source, 2**16) if ready else b""
            if not received:
                raise BrowserError("the browser has ended" if ready else f"the browser said nothing for {seconds:g} s")
            self._rest += received
        line, _, self._rest = self._rest.partition(b"\0")
        message = json.loads(line)
        if "method" in message:
            self._note(message["method"], message.get("params", {}))
        return message

    def _note(self, event: str, details: dict) -> None:
        self._events.append(event)
        if event == "Runtime.exceptionThrown":
            thrown = details["exceptionDetails"]
            self.errors.append(thrown.get("exception", {}).get("description", thrown["text"]))
        elif event == "Runtime.consoleAPICalled" and details["type"] in ("error", "assert"):
            self.errors.append(" ".join(str(word.get("value", word.get("description"))) for word in details["args"]))
        elif event == "Log.entryAdded" and details["entry"]["level"] == "error":
            self.errors.append(f"{details['entry']['text']} {details['entry'].get('url', '')}".strip())
