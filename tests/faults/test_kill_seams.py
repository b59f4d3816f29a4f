"""Killed without warning at a seam, a rerun asks nothing twice but what was in flight, and no cost is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from resources import ledger
from tests.faults.killed_asker import CONCURRENCY, QUESTIONS
from tests.servers.faulty import right
from tests.servers.scripted import Answer, Asked, Script, ScriptedServer

Start = Callable[[Script], ScriptedServer]
ROOT = Path(__file__).resolve().parents[2]


def run(server: ScriptedServer, folder: Path, seam: str = "", nth: int = 0) -> int:
    command = [sys.executable, "-m", "tests.faults.killed_asker", server.url, str(folder), seam, str(nth)]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False).returncode


@pytest.mark.parametrize(
    ("seam", "nth"), [("after reply", 1), ("after reply", 50), ("before commit", 5), ("after commit", 5)]
)
def test_killed_at_a_seam_nothing_that_was_stored_is_asked_again(
    scripted_server: Start, tmp_path: Path, seam: str, nth: int
) -> None:
    def quick(asked: Asked) -> Answer:
        answer = right(asked)
        return Answer(answer.body, delay=0.002)

    server = scripted_server(quick)
    assert run(server, tmp_path, seam, nth) == -signal.SIGKILL
    asked_before = len(server.calls)
    path = tmp_path / "replies.sqlite"
    stored = ledger.totals(path, run_id=f"{seam}{nth}")
    # Two calls are under way at once, and each has up to four tasks per slot that may hold a reply not yet committed.
    in_flight = 2 * 4 * CONCURRENCY
    assert asked_before - in_flight <= stored.requests <= asked_before
    assert run(server, tmp_path) == 0
    assert len(server.calls) - asked_before == QUESTIONS - stored.requests, "only what was not stored is asked again"
    assert len(server.calls) <= QUESTIONS + in_flight
    after = ledger.totals(path, run_id="0")
    assert (after.requests, after.cached) == (QUESTIONS, stored.requests)
    runs = [ledger.rows_for(path, run_id=name, asset="asset", partition="gpt") for name in (f"{seam}{nth}", "0")]
    paid = pl.concat(runs).filter(~pl.col("cached"))
    assert paid["request_id"].n_unique() == paid.height == QUESTIONS, "every answer was paid, and none twice"
    assert run(server, tmp_path) == 0
    assert ledger.totals(path, run_id="0").cost_usd == after.cost_usd, "a finished run costs nothing again"
