"""The graph in a real browser: it is drawn, assets read well, and a backfill launched by clicks lands rows."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tests.projects import command, environment
from tests.servers.sockets import listening

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PATIENCE_S = 150
FRAMEWORKS = {"organism", "mbti"}
"""Each is a run of its own, in a process of its own."""

pytestmark = pytest.mark.skipif(not os.path.exists(CHROMIUM), reason=f"no browser: {CHROMIUM} is not installed")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def dagster(project: Path) -> Iterator[str]:
    """`influence ui` on a port of its own; ended by its process group, daemon and code server with it."""
    for file in (project / "data" / "frameworks").glob("*.yaml"):
        if file.stem not in FRAMEWORKS:
            file.unlink()
    port = free_port()
    log = (project / "ui.log").open("wb")
    server = subprocess.Popen(
        command("ui", "--port", str(port)),
        cwd=project,
        env=environment(project),
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: answers(f"{url}/server_info"), project / "ui.log")
        assert listening(server.pid) == {("127.0.0.1", port)}, "on loopback alone, and on nothing else"
        yield url
    finally:
        os.killpg(server.pid, signal.SIGINT)
        try:
            server.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def wait_for(condition, log: Path) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"gave up waiting; the log says:\n{log.read_text()[-3000:]}"
        time.sleep(1)


def frameworks(project: Path) -> set[str]:
    catalogue = project / "data" / "influence.duckdb"
    if not catalogue.exists():
        return set()
    with duckdb.connect(str(catalogue), read_only=True) as connection:
        return {name for (name,) in connection.execute("SELECT framework FROM personas.frameworks").fetchall()}


def test_a_person_materializes_all_frameworks_by_clicking(dagster: str, project: Path) -> None:
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=30_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1500, "height": 950})
        page.goto(f"{dagster}/asset-groups", timeout=60_000)
        for group in ("personas", "steerability"):
            expect(page.get_by_text(group, exact=True).first).to_be_visible()

        page.goto(f"{dagster}/assets/steerability/persona_responses", timeout=60_000)
        expect(page.get_by_text("P(agree) from the model's own distribution").first).to_be_visible()
        expect(page.get_by_text("mean probability on the valid answers before scaling").first).to_be_visible()

        page.goto(f"{dagster}/assets/personas/frameworks", timeout=60_000)
        page.get_by_role("button", name="Materialize").first.click(timeout=30_000)
        page.get_by_role("button", name="All", exact=True).click(timeout=30_000)
        page.get_by_role("button", name="Launch backfill").click(timeout=30_000)
        wait_for(lambda: frameworks(project) == FRAMEWORKS, project / "ui.log")
        browser.close()

    with duckdb.connect(str(project / "data" / "influence.duckdb"), read_only=True) as connection:
        personas = connection.execute("SELECT n_personas FROM personas.frameworks WHERE framework = 'mbti'").fetchone()
    assert personas == (16,)
