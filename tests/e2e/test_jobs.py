"""Several partitions at once from the command line: all land, and a process that is killed costs its own alone."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.e2e.influence_projects import ORGANISM, build, influence, rows
from tests.projects import command, environment

MODELS = [f"m{number}" for number in range(4)]


@pytest.fixture
def many(tmp_path: Path) -> Path:
    return build(tmp_path, dict.fromkeys(MODELS, ORGANISM), {"iterations": 0})


def landed(project: Path) -> list[str]:
    return [name for (name,) in rows(project, "SELECT model FROM influence.checkpoints ORDER BY model")]


def killed(project: Path) -> str:
    """What a run of two processes says when one of them is killed as soon as the first partition is there."""
    run = subprocess.Popen(
        command("run", "checkpoint_0", "--jobs", "2"),
        cwd=project,
        env=environment(project),
        stderr=subprocess.PIPE,
        text=True,
    )
    pointers = project / "data" / "warehouse" / "pointers" / "influence.checkpoints"
    end = time.monotonic() + 120
    while not list(pointers.glob("*.json")):
        assert time.monotonic() < end
        time.sleep(0.02)
    workers = [one for one in psutil.Process(run.pid).children() if "spawn_main" in " ".join(one.cmdline())]
    assert len(workers) == 2
    workers[0].send_signal(signal.SIGKILL)
    _, said = run.communicate(timeout=120)
    assert run.returncode == 1, said
    return said


def test_a_killed_process_costs_its_own_partitions(many: Path) -> None:
    said = killed(many)
    assert "a process that ran partitions ended" in said
    assert "Traceback" not in said
    done = influence(many, "run", "checkpoint_0")
    assert [line for line in done.stderr.splitlines() if line.strip().endswith("1 assets: done")] != []
    assert landed(many) == MODELS
    made = dict(
        rows(many, "SELECT partition, count(*) FILTER (WHERE NOT reused) FROM ledger.materializations GROUP BY 1")
    )
    assert sorted(made) == MODELS
    assert max(made.values()) == 1, "what had landed is reused"
