"""The viewer's own server and a real browser, for tests of its pages: one of each for a module of tests."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.projects import command, environment
from tests.servers.sockets import listening

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

CHECKOUT = Path(__file__).resolve().parents[2]
CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PATIENCE_S = 60
SETTLED = "[data-testid=stApp][data-test-script-state=notRunning]"
NOWHERE = "about:blank"
CANARY = "canary-d41d8cd98f"

needs_browser = [
    pytest.mark.skipif(not os.path.exists(CHROMIUM), reason=f"no browser: {CHROMIUM} is not installed"),
    pytest.mark.skipif(importlib.util.find_spec("streamlit") is None, reason="the extra `viewer` is not installed"),
]


@dataclass
class Visit:
    """A page in the browser, and everything that should not have happened on it."""

    page: Page
    base: str
    dialogs: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        """Go to a page and wait until it is drawn."""
        self.page.goto(self.base + path)
        self.page.wait_for_selector("h1", timeout=30_000)
        return self.settle()

    def settle(self) -> Page:
        """Wait until the script has run to its end."""
        self.page.wait_for_timeout(250)
        self.page.wait_for_selector(SETTLED, timeout=30_000)
        return self.page

    def text(self) -> str:
        return self.page.locator("[data-testid=stMain]").inner_text()


@contextmanager
def serving(project: Path, *options: str) -> Iterator[str]:
    """`influence viewer` on a port of its own, with a secret in its environment; ended by its process group."""
    port = _free_port()
    log = (project / "viewer.log").open("wb")
    server = subprocess.Popen(
        command("viewer", "--port", str(port), *options),
        cwd=project,
        env=environment(project) | {"PYTHONPATH": str(CHECKOUT), "SOME_API_KEY": CANARY},
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_healthy(url, project / "viewer.log")
        assert listening(server.pid) == {("127.0.0.1", port)}, "on loopback alone, and on nothing else"
        yield url
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
        log.close()


@contextmanager
def browsing() -> Iterator[BrowserContext]:
    """A browser whose pages share what they have loaded: the viewer's scripts come once, not with every page."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser.new_context(viewport={"width": 1500, "height": 1000})
        browser.close()


@contextmanager
def visiting(browser: BrowserContext, base: str) -> Iterator[Visit]:
    """A page that nobody has open, which notes dialogs and requests to anywhere but the viewer.

    The next visit takes it over: a new one would compile all of Streamlit's scripts again, which takes two seconds.
    """
    page = next((one for one in browser.pages if one.url == NOWHERE), None) or browser.new_page()
    visit = Visit(page, base)

    def note_dialog(dialog) -> None:
        visit.dialogs.append(dialog.message)
        dialog.dismiss()

    def note_request(request) -> None:
        if not request.url.startswith((base, base.replace("http", "ws"), "data:", "blob:")):
            visit.outside.append(request.url)

    page.on("dialog", note_dialog)
    page.on("request", note_request)
    yield visit
    for event, note in (("dialog", note_dialog), ("request", note_request)):
        page.remove_listener(event, note)
    page.goto(NOWHERE)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_healthy(url: str, log: Path) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=5) as reply:
                if reply.status == 200:
                    return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"the viewer did not start; its log says:\n{log.read_text()[-3000:]}")
