"""kill -9 of `influence run` over the loop: in a rollout, in the middle of training, in the next iteration, and at any
other moment. The rerun ends with the same bytes and pays no request twice."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import duckdb
import pytest

from tests import forked
from tests.e2e.influence_projects import SELECTION, build_trained, landed, paid_twice, rows
from tests.projects import environment
from tests.scale import LONG, scaled

MORE_KILLS = scaled(0, 30)
"""Kills at random moments, beside those at the named ones."""

LONGEST_S = 12
"""Until such a kill: a run in which half is left takes longer."""

PATIENCE_S = 200
Moment = Callable[[Path], bool]
EVERYTHING = """
    SELECT model, count(*) FROM influence.turns GROUP BY 1
    UNION ALL SELECT table_name, sum(rows) FROM _catalog.files GROUP BY 1 ORDER BY 1
"""

MOMENTS: dict[str, Moment] = {
    "in the first rollout": lambda data: any((data / "progress").glob("*-0-*/log.jsonl")),
    "in training": lambda data: any((data / "checkpoints").iterdir()) if (data / "checkpoints").is_dir() else False,
    "when training is over": lambda data: any((data / "checkpoints").glob("*/adapter/adapter_model.safetensors")),
    "in the next rollout": lambda data: any((data / "progress").glob("*-1-*/log.jsonl")),
}
CHOSEN = list(MOMENTS) if LONG else ["in training", "in the next rollout"]
"""The others are tested alone: a rollout by test_rollout_kill.py, adapters that are there by their hashes."""


def start(project: Path) -> AbstractContextManager[forked.Forked]:
    arguments = ("run", SELECTION, "--model", "expert")
    return forked.started(arguments, cwd=project, env=environment(project), log=project / "run.log")


def ends_well(project: Path) -> float:
    """Run to the end; the seconds it took."""
    began = time.monotonic()
    with start(project) as process:
        process.join(PATIENCE_S)
        assert process.exitcode == 0, (project / "run.log").read_text()
    return time.monotonic() - began


def killed(project: Path, moment: Moment) -> bool:
    """Start, and kill without warning at the moment; False when it came to its end before."""
    with start(project) as process:
        end = time.monotonic() + PATIENCE_S
        while process.is_alive() and not moment(project / "data"):
            assert time.monotonic() < end
            time.sleep(0.02)
        process.kill()
        process.join(30)
        return process.exitcode == -signal.SIGKILL


def kill_at_random_times(project: Path) -> int:
    """How many of these found the run still at work."""
    rng, kills = random.Random(7), 0
    for _ in range(MORE_KILLS):
        until = time.monotonic() + rng.uniform(0.5, LONGEST_S)
        kills += killed(project, lambda _, until=until: time.monotonic() > until)  # type: ignore[misc]
    return kills


@pytest.mark.timeout(scaled(300, 1800))
def test_a_killed_loop_ends_like_an_uninterrupted_one(
    trained: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    project = build_trained(tmp_path / "killed")
    for name in CHOSEN:
        assert killed(project, MOMENTS[name]), f"not killed {name}"
    with duckdb.connect(str(project / "data" / "influence.duckdb"), read_only=True) as reader:
        before = reader.execute(EVERYTHING).fetchall()
        kills = len(CHOSEN) + kill_at_random_times(project)
        ends_well(project)
        assert reader.execute(EVERYTHING).fetchall() == before, "what an open reader sees stays as it was"
    assert rows(project, EVERYTHING) != before
    record_property("kills", kills)
    assert landed(project) == landed(trained)
    assert paid_twice(project) == []
    questions = "SELECT count(DISTINCT request_id) FROM ledger.requests"
    assert rows(project, questions) == rows(trained, questions), "and none is missing from the ledger"
    query = "SELECT adapter_path, adapter_sha256 FROM checkpoints WHERE iteration = 1"
    assert rows(project, query) == rows(trained, query)
