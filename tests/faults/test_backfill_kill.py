"""A backfill outlives its daemon: killed in the middle with everything that it had started, it ends after a restart."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import yaml

from tests import forked
from tests.e2e.influence_projects import CHECKOUT, ORGANISM, build, rows
from tests.projects import environment

MODELS = int(os.environ.get("INFLUENCE_BACKFILL", "2"))
"""Partitions; each is a run in a process of its own, which takes seconds to start."""

PATIENCE_S = 240
RETRIED_S = 45
"""From the end of the backfill: Dagster looks for runs to try again every five seconds, and one takes some to start."""


def prepare(root: Path) -> Path:
    """A project of many models, with the shipped settings of Dagster and ticks of a second."""
    build(root, {f"m{number}": ORGANISM for number in range(MODELS)}, {"iterations": 0})
    settings = yaml.safe_load((CHECKOUT / "influence_assets" / "dagster.yaml").read_text())
    settings["run_coordinator"]["config"] = {"dequeue_interval_seconds": 1}
    # A run that was being started when everything was killed is given up after this, instead of after three minutes.
    settings["run_monitoring"] |= {"poll_interval_seconds": 1, "start_timeout_seconds": 30}
    (root / ".dagster").mkdir()
    (root / ".dagster" / "dagster.yaml").write_text(yaml.safe_dump(settings))
    return root


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-W", "ignore", "-m", "tests.faults.quick_daemon", *arguments]


@contextmanager
def daemon(root: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The daemon with its code server and its runs, in a process group that is killed at the end."""
    with (root / "daemon.log").open("ab") as log:
        process = subprocess.Popen(
            command("run"), cwd=CHECKOUT, env=environment(root), stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=30)


def request(root: Path) -> str:
    """Launch the backfill; its id."""
    done = forked.run(
        ("request", "checkpoint_0"),
        cwd=CHECKOUT,
        env=environment(root),
        timeout=120,
        module="tests.faults.quick_daemon",
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1]


def said(instance: dg.DagsterInstance) -> list[str]:
    """What Dagster's own events of all runs say."""
    entries = [entry for run in instance.get_runs() for entry in instance.all_logs(run.run_id)]
    return [entry.dagster_event.message or "" for entry in entries if entry.dagster_event]


def comes_true(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.5)
    return False


def wait_for(condition: Callable[[], bool], root: Path) -> None:
    assert comes_true(condition, PATIENCE_S), (root / "daemon.log").read_text()[-4000:]


def test_a_killed_backfill_ends_after_a_restart(tmp_path: Path) -> None:
    root = prepare(tmp_path)
    backfill_id = request(root)
    landed = root / "data" / "warehouse" / "pointers" / "influence.checkpoints"

    with dg.DagsterInstance.from_config(str(root / ".dagster")) as instance:

        def started() -> bool:
            """One partition has landed and another is being worked on."""
            running = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
            return len(list(landed.glob("*.json"))) >= 1 and bool(running)

        def ended() -> bool:
            backfill = instance.get_backfill(backfill_id)
            return backfill is not None and backfill.status.value.startswith("COMPLETED")

        def newest() -> dict[str, dg.DagsterRunStatus]:
            """Status of each partition's newest run."""
            return {run.tags["dagster/partition"]: run.status for run in reversed(instance.get_runs())}

        def made() -> bool:
            return set(newest().values()) == {dg.DagsterRunStatus.SUCCESS}

        with daemon(root):
            wait_for(started, root)
        assert not ended()
        lost = [run.run_id for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))]
        before = {path: path.read_text() for path in landed.glob("*.json")}
        with daemon(root):
            wait_for(ended, root)
            # Not the backfill's own word: Dagster may call it ended while the retry of a lost run is to come. What
            # is promised is that every partition is made. When a tick of the backfill falls between a run's failure and
            # the mark that it is tried again, Dagster ends the backfill and tries nothing: then it is launched again.
            if not comes_true(made, RETRIED_S):
                assert any("Not retrying run since it is part of a backfill" in one for one in said(instance))
                request(root)
                wait_for(made, root)
        runs = instance.get_runs()
        assert len(newest()) == MODELS
        assert {run.run_id: run.status for run in runs if run.run_id in lost} == dict.fromkeys(
            lost, dg.DagsterRunStatus.FAILURE
        )
        assert {run.tags.get("influence/provider") for run in runs} == {"local"}

    models = rows(root, "SELECT model, count(*) FROM influence.checkpoints GROUP BY model ORDER BY model")
    assert models == [(f"m{number}", 1) for number in range(MODELS)]
    # What had landed before is not made again.
    assert {path: path.read_text() for path in before} == before
