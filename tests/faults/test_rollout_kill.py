"""Killed without warning, a rollout goes on where it was: the same rows, and no more requests than were in flight."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.killed_rollout import CONCURRENCY, ROOT
from tests.forked import interpreter
from tests.scale import scaled
from tests.servers.scripted import Script, ScriptedServer

sys.path.insert(0, str(ROOT / "tests" / "influence"))
from rollout_world import unit, world

Server = Callable[[Script], ScriptedServer]
IN_FLIGHT = 2 * CONCURRENCY
"""What the rollout hands on at a time; what waits for its commit is among it."""
SEAMS = ("after reply", "before commit", "after commit")


def run(server: ScriptedServer, folder: Path, seam: str = "", nth: int = 0) -> int:
    command = [str(interpreter()), "-m", "tests.faults.killed_rollout", server.url, str(folder), seam, str(nth)]
    return subprocess.run(command, cwd=ROOT, check=False, timeout=60).returncode


@pytest.mark.parametrize("seed", range(scaled(1, 15)))
def test_killed_again_and_again_a_rollout_ends_with_the_same_rows(
    scripted_server: Server, tmp_path: Path, record_property: Callable[[str, object], None], seed: int
) -> None:
    server = scripted_server(world(delay=lambda asked: 0.002 + 0.004 * unit(asked)))
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    assert run(server, whole) == 0
    needed = len(server.calls)
    rng = random.Random(seed)
    for seam in SEAMS:
        assert run(server, killed, seam, rng.randrange(1, needed // 8)) == -signal.SIGKILL
    assert run(server, killed) == 0
    assert (killed / "rows.txt").read_text() == (whole / "rows.txt").read_text()
    again = len(server.calls) - needed
    assert needed <= again <= needed + len(SEAMS) * IN_FLIGHT
    assert run(server, killed) == 0
    assert len(server.calls) - needed == again, "a finished rollout asks nothing"
    record_property("kills", len(SEAMS))
