"""Exported logs in the real `inspect view`: it lists them, shows a conversation and what stands behind a score."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from influence_assets.exports.inspect_logs import Wanted, export_inspect
from tests.exports.exported_world import World, make_world

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PATIENCE_S = 90

pytestmark = [
    pytest.mark.skipif(not os.path.exists(CHROMIUM), reason=f"no browser: {CHROMIUM} is not installed"),
    pytest.mark.skipif(
        importlib.util.find_spec("inspect_ai") is None,
        reason="inspect-ai is not installed: pip install 'influence-assets[inspect]'",
    ),
]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "world")


@pytest.fixture
def viewer(world: World, tmp_path: Path) -> Iterator[str]:
    """`inspect view` on a loopback port, over the exported logs."""
    logs = tmp_path / "logs"
    assert list(export_inspect(world.project.warehouse, "small", logs, Wanted()))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    where = ["--log-dir", str(logs), "--host", "127.0.0.1", "--port", str(port)]
    with (tmp_path / "view.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "inspect_ai", "view", "start", *where], stdout=log, stderr=log, cwd=tmp_path
        )
        try:
            url = f"http://127.0.0.1:{port}"
            end = time.monotonic() + PATIENCE_S
            while not answers(url):
                assert time.monotonic() < end, (tmp_path / "view.log").read_text()
                time.sleep(0.5)
            yield url
        finally:
            server.terminate()
            server.wait(timeout=30)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def test_conversations_and_their_scores_open(viewer: str, world: World) -> None:
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=30_000)
    one = next(row for row in world.conversations if row.iteration == 1)
    judged = next(
        row for row in world.judgements if row.conversation_id == one.conversation_id and row.rubric == "harm"
    )
    said = [turn.content for turn in world.turns if turn.conversation_id == one.conversation_id]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1500, "height": 1200})
        page.goto(viewer, timeout=60_000)
        for model in ("mini@0", "mini@1"):
            expect(page.get_by_text(model, exact=True).first).to_be_visible()
        row = page.get_by_role("row").filter(has_text="influence-organism").filter(has_text="mini@1")
        row.get_by_text("influence-organism").click()
        page.get_by_text(one.conversation_id[:12]).first.click()
        for content in said:
            expect(page.get_by_text(content).first).to_be_attached()
        page.get_by_role("tab", name="Scoring").first.click()
        expect(page.get_by_text("expected_harm").last).to_be_visible()
        line = f"turn 1, judge: expected {judged.expected:.3f}"
        expect(page.get_by_text(line).first).to_be_visible()
        browser.close()
