"""kill -9 of `influence run` over the loop: in a rollout, in the middle of training, in the next iteration, and at any
other moment. The rerun ends with the same bytes and pays no request twice."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from tests.e2e.influence_projects import ORGANISM, SELECTION, build, landed, paid_twice, rows
from tests.projects import command, environment
from tests.scale import LONG, scaled

MORE_KILLS = scaled(0, 30)
"""Kills at random moments, beside those at the named ones."""

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


def start(project: Path) -> subprocess.Popen[bytes]:
    with (project / "run.log").open("ab") as log:
        return subprocess.Popen(
            command("run", SELECTION, "--model", "expert"),
            cwd=project,
            env=environment(project),
            stdout=log,
            stderr=log,
        )


def ends_well(project: Path) -> float:
    """Run to the end; the seconds it took."""
    began = time.monotonic()
    assert start(project).wait(timeout=PATIENCE_S) == 0, (project / "run.log").read_text()
    return time.monotonic() - began


def killed(project: Path, moment: Moment) -> bool:
    """Start, and kill without warning at the moment; False when it came to its end before."""
    process, began = start(project), time.monotonic()
    while process.poll() is None and not moment(project / "data"):
        assert time.monotonic() - began < PATIENCE_S
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    return process.wait(timeout=30) == -signal.SIGKILL


def kill_at_random_times(project: Path, duration: float) -> int:
    """How many of these found the run still at work."""
    rng, kills = random.Random(7), 0
    for _ in range(MORE_KILLS):
        until = time.monotonic() + rng.uniform(0.05, 0.9) * duration
        kills += killed(project, lambda _, until=until: time.monotonic() > until)  # type: ignore[misc]
    return kills


def fresh(root: Path) -> Path:
    return build(root, {"expert": ORGANISM | {"trainable": True}})


@pytest.mark.timeout(scaled(300, 1800))
def test_a_killed_loop_ends_like_an_uninterrupted_one(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    whole, project = fresh(tmp_path / "whole"), fresh(tmp_path / "killed")
    duration = ends_well(whole)
    for name in CHOSEN:
        assert killed(project, MOMENTS[name]), f"not killed {name}"
    with duckdb.connect(str(project / "data" / "influence.duckdb"), read_only=True) as reader:
        before = reader.execute(EVERYTHING).fetchall()
        kills = len(CHOSEN) + kill_at_random_times(project, duration)
        ends_well(project)
        assert reader.execute(EVERYTHING).fetchall() == before, "what an open reader sees stays as it was"
    assert rows(project, EVERYTHING) != before
    record_property("kills", kills)
    assert landed(project) == landed(whole)
    assert paid_twice(project) == []
    questions = "SELECT count(DISTINCT request_id) FROM ledger.requests"
    assert rows(project, questions) == rows(whole, questions), "and none is missing from the ledger"
    query = "SELECT adapter_path, adapter_sha256 FROM checkpoints WHERE iteration = 1"
    assert rows(project, query) == rows(whole, query)
