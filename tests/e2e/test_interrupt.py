"""Ctrl-C, as a terminal sends it to all processes of a command: one line, exit code 130, whole partitions, and the same
command goes on from there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.e2e.influence_projects import build, influence, landed, paid_twice, write_yaml
from tests.projects import command, environment

MODELS = {"organism": {"provider": "local", "model": "data/organism", "dtype": "float64", "device": "cpu"}}


def started(project: Path, *arguments: str) -> subprocess.Popen[str]:
    """The command in a session of its own, so that a signal to its group reaches it and its children alone."""
    return subprocess.Popen(
        command(*arguments),
        cwd=project,
        env=environment(project),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def interrupted(process: subprocess.Popen[str], when: Callable[[], bool]) -> str:
    """Ctrl-C as soon as `when` says so; returns what was printed."""
    until = time.monotonic() + 120
    while not when():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < until
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    return printed


def left_over(session: int) -> list[psutil.Process]:
    """Processes of that session that live on."""

    def belongs(process: psutil.Process) -> bool:
        try:
            return os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE
        except (ProcessLookupError, psutil.NoSuchProcess):
            return False

    return [process for process in psutil.process_iter() if belongs(process)]


def torn(project: Path) -> list[Path]:
    """Pointers to a file that is not there."""
    warehouse = project / "data" / "warehouse"
    files = {path.stem for path in (warehouse / "files").rglob("*.parquet")}
    pointers = (warehouse / "pointers").rglob("*.json")
    return [path for path in pointers if json.loads(path.read_text())["data_version"] not in files]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    project = build(tmp_path, MODELS)
    path = project / "data" / "study.yaml"
    study = json.loads(path.read_text())
    study["personas"] |= {"per_framework": 2, "agree_per_persona": 2, "max_rounds": 2}
    write_yaml(path, study)
    return project


def test_a_run_keeps_what_landed_and_goes_on(small: Path) -> None:
    run = started(small, "run", "group:personas")
    printed = interrupted(run, lambda: "personas" in " ".join(landed(small)))
    assert run.returncode == 130, printed
    assert "Traceback" not in printed
    assert "The same command goes on from there" in printed.replace("\n", " ")
    assert left_over(run.pid) == []
    before = landed(small)
    assert before, "the first table had landed"
    assert "statement_audit" not in " ".join(before), "the last one had not"
    assert torn(small) == []

    influence(small, "run", "group:personas")
    after = landed(small)
    assert {name: after[name] for name in before} == before
    assert "statement_audit" in " ".join(after)
    assert paid_twice(small) == []


def test_before_anything_ran_it_is_one_word(small: Path) -> None:
    run = started(small, "run", "group:personas")
    printed = interrupted(run, lambda: _imports(run))
    assert run.returncode == 130, printed
    assert printed.strip().splitlines()[-1].startswith("influence: interrupted")
    assert "Traceback" not in printed


def _imports(process: subprocess.Popen[str]) -> bool:
    """Whether the command is past its own start and loads heavy libraries."""
    return any("polars" in one.path for one in psutil.Process(process.pid).memory_maps())
