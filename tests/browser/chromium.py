"""The browser of the tests: a chromium that is installed, driven by playwright."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM, AXE = "TRAINSOC_CHROMIUM", "TRAINSOC_AXE"
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_AXE_FILES = ("node_modules/axe-core/axe.min.js", "/usr/share/javascript/axe-core/axe.min.js")


def chromium() -> str:
    """Return the path of a chromium; skips the test where none is installed."""
    own = os.environ.get(CHROMIUM)
    path = own or next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        pytest.skip(f"no chromium: install Debian's package, or set {CHROMIUM} to one")
    return path


def axe() -> str:
    """Return the text of axe-core; skips the test where it is not installed."""
    own = os.environ.get(AXE)
    files = [Path(own)] if own else [Path(__file__).parents[2] / each for each in _AXE_FILES]
    for path in files:
        if path.is_file():
            return path.read_text(encoding="utf-8")
    pytest.skip(f"no axe-core: `npm install axe-core`, or set {AXE} to its axe.min.js")


@contextmanager
def browser() -> Iterator[Any]:
    """Start a browser without windows; skips the test without playwright."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs the extra [browser]")
    path = chromium()
    with sync_api.sync_playwright() as playwright:
        # Containers run tests as root, where chromium's own sandbox cannot start.
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


class Watched:
    """A page that is open, with what it asked of a network and what it complained of."""

    def __init__(self, started: Any, path: Path, **options: Any) -> None:
        """Open the file at `path` as a browser does that was given it."""
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.context = started.new_context(**{"viewport": {"width": 1280, "height": 900}} | options)
        self.page = self.context.new_page()
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self._said(message.type, message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(path.resolve().as_uri())
        self.page.wait_for_selector("footer")

    def _said(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)

    def number(self, selector: str, key: str) -> int:
        """Return a number that an element has as data."""
        return int(self.page.get_attribute(selector, f"data-{key}"))
