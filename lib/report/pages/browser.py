"""One page in an installed Chromium or Chrome without a window; Playwright drives it."""

import contextlib
import os
import shutil
from collections.abc import Iterator

PROGRAMS = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge", "msedge"),
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)
SECONDS = 30  # longest wait for any one answer


class BrowserError(RuntimeError):
    """The browser did not start, did not answer in time, or could not do what was asked."""


def find_chromium() -> str | None:
    """The Chromium or Chrome of this machine: `$COURSEWORK_CHROMIUM` (`none` for none), else the first that exists."""
    chosen = os.environ.get("COURSEWORK_CHROMIUM", "")
    if chosen == "none":
        return None
    return next(filter(None, map(shutil.which, [chosen] if chosen else PROGRAMS)), None)


@contextlib.contextmanager
def open_page(*, width: int, height: int, scale: float = 1.0) -> Iterator:
    """A Playwright page in a browser of its own, with a new empty profile; both are gone afterwards.

    Args:
        width: of the window in CSS pixels.
        height: of the window in CSS pixels.
        scale: device pixels per CSS pixel.

    Raises:
        BrowserError: if there is no Chromium, or it does not start or not do what is asked of the page.
    """
    program = find_chromium()
    if program is None:
        raise BrowserError("no Chromium was found")
    from playwright import sync_api  # only where there is something to drive

    try:
        with sync_api.sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=program, args=["--disable-gpu"])
            page = browser.new_page(viewport={"width": width, "height": height}, device_scale_factor=scale)
            page.set_default_timeout(1000 * SECONDS)
            yield page
            browser.close()
    except sync_api.Error as error:
        first, *log = error.message.splitlines()
        said = [line.split("[err]")[1].strip() for line in log if "[err]" in line]  # by a browser that does not start
        raise BrowserError(" ".join([first, *said[-1:]])) from error
