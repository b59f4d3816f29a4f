"""kill -9 of `influence run` between partitions: what had landed stays as it is, the rerun brings the others."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.influence_projects import landed, rows
from tests.projects import command, environment, project
from tests.scale import LONG

__all__ = ["project"]

FRAMEWORKS = ("organism", "mbti", "enneagram", "big_five", "zodiac", "tarot")
PATIENCE_S = 120


def start(project: Path) -> subprocess.Popen[bytes]:
    chosen = [word for name in FRAMEWORKS for word in ("--framework", name)]
    with (project / "run.log").open("ab") as log:
        return subprocess.Popen(
            command("run", "frameworks", *chosen), cwd=project, env=environment(project), stdout=log, stderr=log
        )


def pointers(project: Path) -> dict[str, str]:
    folder = project / "data" / "warehouse" / "pointers" / "personas.frameworks"
    return {path.name: path.read_text() for path in folder.glob("*.json")}


@pytest.mark.skipif(not LONG, reason="in make torture; test_backfill_kill.py kills between partitions in make test")
@pytest.mark.parametrize("after", [1, 2, 3, 4, 5])
def test_killed_between_partitions(project: Path, after: int, record_property: Callable[[str, object], None]) -> None:
    process, end = start(project), time.monotonic() + PATIENCE_S
    while len(pointers(project)) < after:
        assert process.poll() is None, (project / "run.log").read_text()
        assert time.monotonic() < end
        time.sleep(0.002)
    process.kill()
    assert process.wait(timeout=30) == -signal.SIGKILL
    before, whole = pointers(project), landed(project)
    assert after <= len(before) < len(FRAMEWORKS)
    assert start(project).wait(timeout=PATIENCE_S) == 0, (project / "run.log").read_text()
    assert {name: text for name, text in pointers(project).items() if name in before} == before
    assert {key: version for key, version in landed(project).items() if key in whole} == whole
    published = rows(project, "SELECT framework, count(*) FROM personas.frameworks GROUP BY 1 ORDER BY 1")
    assert published == [(name, 1) for name in sorted(FRAMEWORKS)]
    record_property("kills", 1)
