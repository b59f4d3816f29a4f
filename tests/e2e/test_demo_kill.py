"""kill -9 of the demo at any moment: the rerun ends with the same tables and asks no request twice."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import psutil
import pytest

from tests import forked
from tests.e2e.influence_projects import landed, paid_twice
from tests.projects import environment
from tests.scale import LONG, scaled

KILLS = scaled(1, 30)
LATER_S = scaled(2000, 300) / 1000
"""A kill comes so long after a partition has landed, at most: in the long form, before several others have."""
PATIENCE_S = 240

pytestmark = pytest.mark.timeout(PATIENCE_S * (KILLS + 1))


def start(project: Path, *options: str) -> AbstractContextManager[forked.Forked]:
    return forked.started(("demo", *options), cwd=project, env=environment(project), log=project / "demo.log")


def killed(project: Path, n_landed: int, later_s: float) -> bool:
    """Start, and kill without warning somewhat after so many partitions are there; False when it had ended by then."""
    n_landed = max(n_landed, len(landed(project)) + 1)
    with start(project) as process:
        end = time.monotonic() + PATIENCE_S
        while process.is_alive() and len(landed(project)) < n_landed:
            assert time.monotonic() < end, (project / "demo.log").read_text()
            time.sleep(0.02)
        time.sleep(later_s)
        was_alive = process.is_alive()
        workers = psutil.Process(process.pid).children(recursive=True) if was_alive else []
        assert len(workers) >= 2 or not was_alive, "two assets at once, each in a process"
        process.kill()
        process.join(30)
        _, left = psutil.wait_procs(workers, timeout=30)
        assert left == [], "no step outlives its run"
        return process.exitcode == -signal.SIGKILL


def test_killed_demo_ends_like_an_uninterrupted_one(
    project: Path, demonstrated: Path, record_property: Callable[[str, object], None]
) -> None:
    whole, kills = len(landed(demonstrated)), 0
    moments = random.Random(7)
    for number in range(KILLS):
        done = len(landed(project))
        wanted = done + moments.randint(1, max(1, 3 * (whole - done) // 4 // (KILLS - number)))
        kills += killed(project, wanted, moments.uniform(0, LATER_S))
    assert kills > KILLS // 2, "it ended before it was killed"
    # After one kill it goes on in one process, after many in two, as it was killed: those import all for themselves.
    with start(project, *(() if LONG else ("--jobs", "1"))) as process:
        process.join(PATIENCE_S)
        assert process.exitcode == 0, (project / "demo.log").read_text()

    assert landed(project) == landed(demonstrated)
    assert paid_twice(project) == []
    record_property("kills", kills)
