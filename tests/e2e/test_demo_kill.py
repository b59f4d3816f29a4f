"""kill -9 of the demo at any moment: the rerun ends with the same tables and asks no request twice."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from tests.projects import command, environment
from tests.scale import scaled

pytestmark = pytest.mark.timeout(scaled(900, 3600))  # five demos and more, on machines that have other work too

KILLS = scaled(3, 30)


def content(project: Path) -> dict[str, str]:
    """Data version of every landed partition outside the ledger: equal versions are equal bytes."""
    versions = {}
    for pointer in (project / "data" / "warehouse" / "pointers").rglob("*.json"):
        if not pointer.parent.name.startswith("ledger"):
            landed = json.loads(pointer.read_text())
            versions[f"{pointer.parent.name} {landed['partition']}"] = landed["data_version"]
    return versions


def asked_twice(project: Path) -> list[tuple[str, int]]:
    with duckdb.connect(str(project / "data" / "influence.duckdb"), read_only=True) as connection:
        return connection.execute(
            "SELECT request_id, count(*) FROM ledger.requests WHERE NOT cached GROUP BY 1 HAVING count(*) > 1"
        ).fetchall()


def start(project: Path) -> subprocess.Popen[bytes]:
    log = (project / "demo.log").open("ab")
    return subprocess.Popen(command("demo"), cwd=project, env=environment(project), stdout=log, stderr=log)


def test_killed_demo_ends_like_an_uninterrupted_one(
    project: Path, tmp_path_factory: pytest.TempPathFactory, record_property: Callable[[str, object], None]
) -> None:
    untouched = tmp_path_factory.mktemp("untouched")
    subprocess.run(["cp", "-r", str(project / "data"), str(untouched)], check=True)
    began = time.monotonic()
    assert start(untouched).wait(timeout=240) == 0, (untouched / "demo.log").read_text()
    duration = time.monotonic() - began

    moments = random.Random(7)
    kills = 0
    for _ in range(KILLS):
        process = start(project)
        time.sleep(moments.uniform(0.1, 0.9) * duration)
        process.send_signal(signal.SIGKILL)
        kills += process.wait(timeout=30) == -signal.SIGKILL
    assert start(project).wait(timeout=240) == 0, (project / "demo.log").read_text()

    assert content(project) == content(untouched)
    assert asked_twice(project) == []
    record_property("kills", kills)
