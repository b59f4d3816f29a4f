"""Steps at once: what waits for what, a step that fails, a process that dies, an interrupt.

That no process outlives a run that is killed is looked at by e2e/test_demo_kill.py.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import psutil
import pytest
import yaml

from tests import pooled
from tests.projects import CHECKOUT, environment, project

__all__ = ["project"]

SUCCESS, FAILURE = "STEP_SUCCESS", "STEP_FAILURE"


@contextmanager
def running(project: Path, *told: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """The small graph of pooled.py under way, two steps at once, and the folder where its steps say that they began."""
    folder = project / "pooled"
    folder.mkdir()
    for name in told:
        (folder / name).touch()
    (project / ".dagster").mkdir()
    # A model elsewhere: processes of a pool import nothing for it before they are asked.
    remote = [{"name": "organism", "provider": "openai", "model": "m", "base_url": "http://127.0.0.1:9"}]
    (project / "data" / "models.yaml").write_text(yaml.safe_dump({"models": remote}))
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.pooled", str(project / "result.json")],
        cwd=CHECKOUT,
        env=environment(project) | {"POOLED": str(folder), "PYTHONPATH": str(CHECKOUT)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process, folder
    finally:
        process.kill()
        process.wait()


def test_a_failure_and_a_death_cost_what_stands_on_them(project: Path) -> None:
    with running(project, "fail", "die") as (process, folder):
        _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    result = json.loads((project / "result.json").read_text())
    assert not result["success"], said
    assert {name: result["last"].get(name) for name in ("left", "right", "both")} == dict.fromkeys(
        ("left", "right", "both"), SUCCESS
    )
    assert result["last"]["alone"] == FAILURE
    assert "after_alone" not in {path.name for path in folder.iterdir()}
    assert list(result["failed"]) == ["alone"]
    # The step whose process was killed has a policy of retries: another process did it.
    assert result["last"]["dying"] == result["last"]["after_dying"] == SUCCESS
    assert len({(folder / f"dying-{number}").read_text() for number in (0, 1)}) == 2
    processes = {(folder / name).read_text() for name in ("left", "right", "both", "alone", "after_dying")}
    assert len(processes) <= 3, "two at once, and one in place of the one that was killed"


def test_steps_of_which_no_two_may_run_at_once_need_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooled, "FOLDER", tmp_path)
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        assert pooled.execute(instance, [pooled.alone, pooled.after_alone]).success
    assert {(tmp_path / name).read_text() for name in ("alone", "after_alone")} == {str(os.getpid())}


def await_file(process: subprocess.Popen[str], path: Path) -> None:
    end = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, f"{path.name} never came"
        time.sleep(0.02)


def workers(process: subprocess.Popen[str], folder: Path) -> list[psutil.Process]:
    """The processes of the pool, when `alone` has begun."""
    await_file(process, folder / "alone")
    return [one for one in psutil.Process(process.pid).children() if "spawn_main" in " ".join(one.cmdline())]


def test_each_ctrl_c_reaches_the_step_under_way_once(project: Path) -> None:
    """The step takes its time after the first, so that a second ends it."""
    with running(project, "wait") as (process, folder):
        pool = workers(process, folder)
        assert len(pool) == 2
        os.killpg(process.pid, signal.SIGINT)
        await_file(process, folder / "lingering")
        time.sleep(1)
        assert process.poll() is None, "a second signal would have ended it"
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=30)
        gone, alive = psutil.wait_procs(pool, timeout=10)
    assert process.returncode == 0, said
    assert (len(gone), alive) == (2, [])
    result = json.loads((project / "result.json").read_text())
    assert not result["success"]
    assert "Interrupted" in result["failed"]["alone"]
    assert not (folder / "after_alone").exists()
