"""Killed without warning at a seam, a rerun asks nothing twice but what was in flight, and no cost is lost."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from resources import ledger
from resources.replyfile import ReplyFile
from tests.faults.killed_asker import CONCURRENCY, QUESTIONS
from tests.forked import CHECKOUT, interpreter
from tests.scale import LONG, scaled
from tests.servers.faulty import right
from tests.servers.scripted import Answer, Asked, Script, ScriptedServer

Start = Callable[[Script], ScriptedServer]
SEAMS = ("after reply", "before commit", "after commit")
PASSINGS = [("after reply", 50), ("before commit", 5), ("after commit", 5)]
if LONG:
    # Replies that come together are committed together: a busy machine makes few commits of 120 replies.
    PASSINGS += [(seam, nth) for seam in SEAMS for nth in (1, 2, 3, 4, 6)]
    PASSINGS += [("after reply", nth) for nth in range(10, 120, 10) if nth != 50]
IN_FLIGHT = 2 * 4 * CONCURRENCY
"""Two calls are under way at once, and each has up to four tasks per slot that may hold a reply not yet committed."""


def start(server: ScriptedServer, folder: Path, seam: str = "", nth: int = 0) -> subprocess.Popen[bytes]:
    command = [str(interpreter()), "-m", "tests.faults.killed_asker", server.url, str(folder), seam, str(nth)]
    return subprocess.Popen(command, cwd=CHECKOUT)


def run(server: ScriptedServer, folder: Path, seam: str = "", nth: int = 0) -> int:
    return start(server, folder, seam, nth).wait(timeout=120)


def quick(asked: Asked) -> Answer:
    return replace(right(asked), delay=0.002)


@pytest.mark.parametrize(("seam", "nth"), PASSINGS)
def test_killed_at_a_seam_nothing_that_was_stored_is_asked_again(
    scripted_server: Start, tmp_path: Path, record_property: Callable[[str, object], None], seam: str, nth: int
) -> None:
    server = scripted_server(quick)
    assert run(server, tmp_path, seam, nth) == -signal.SIGKILL
    asked_before = len(server.calls)
    path = ReplyFile(tmp_path / "replies.sqlite")
    stored = ledger.totals(path, run_id=f"{seam}{nth}")
    assert asked_before - IN_FLIGHT <= stored.requests <= asked_before
    assert run(server, tmp_path) == 0
    assert len(server.calls) - asked_before == QUESTIONS - stored.requests, "only what was not stored is asked again"
    assert len(server.calls) <= QUESTIONS + IN_FLIGHT
    after = ledger.totals(path, run_id="0")
    assert (after.requests, after.cached) == (QUESTIONS, stored.requests)
    runs = [ledger.rows_for(path, run_id=name, asset="asset", partition="gpt") for name in (f"{seam}{nth}", "0")]
    paid = pl.concat(runs).filter(~pl.col("cached"))
    assert paid["request_id"].n_unique() == paid.height == QUESTIONS, "every answer was paid, and none twice"
    if nth == 50:
        assert run(server, tmp_path) == 0
        assert ledger.totals(path, run_id="0").cost_usd == after.cost_usd, "a finished run costs nothing again"
    record_property("kills", 1)


@pytest.mark.parametrize("seed", range(scaled(1, 20)))
def test_killed_at_any_moment_again_and_again(
    scripted_server: Start, tmp_path: Path, record_property: Callable[[str, object], None], seed: int
) -> None:
    server, rng, kills = scripted_server(quick), random.Random(seed), 0
    for _ in range(3):
        enough, process = len(server.calls) + rng.randrange(1, 30), start(server, tmp_path)
        while process.poll() is None and len(server.calls) < enough:
            time.sleep(rng.uniform(0.0, 0.004))
        process.kill()
        kills += process.wait(timeout=30) == -signal.SIGKILL
    assert run(server, tmp_path) == 0
    paid = ledger.rows_for(ReplyFile(tmp_path / "replies.sqlite"), run_id="0", asset="asset", partition="gpt")
    paid = paid.filter(~pl.col("cached"))
    assert paid["request_id"].n_unique() == paid.height == QUESTIONS
    assert kills >= 1
    assert QUESTIONS <= len(server.calls) <= QUESTIONS + kills * IN_FLIGHT
    record_property("kills", kills)
