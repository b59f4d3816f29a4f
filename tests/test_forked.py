"""Commands in forks: what the tests themselves stand on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import types
from pathlib import Path

import psutil
import pytest

from tests import forked


def test_what_lies_in_the_place_of_the_main_module_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.py"
    page.write_text("raise RuntimeError('the page ran')")
    main = types.ModuleType("__main__")
    main.__file__ = str(page)
    monkeypatch.setitem(sys.modules, "__main__", main)
    done = forked.run(("--help",), cwd=tmp_path, env=os.environ, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "usage" in done.stdout.lower()
    assert sys.modules["__main__"] is main


def test_it_forks_on_after_clients_that_were_killed_at_any_moment() -> None:
    for number in range(20):
        script = forked.interpreter()
        asking = subprocess.Popen([str(script), "-m", "this"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(number / 200)
        asking.kill()
        asking.wait()
    done = subprocess.run([str(script), "-m", "this"], capture_output=True, text=True, check=True, timeout=60)
    assert "Beautiful is better than ugly." in done.stdout
    assert subprocess.run([str(script), "-m", "no_such_module"], capture_output=True, timeout=60).returncode == 1


def test_a_fork_ends_when_who_asked_for_it_is_killed(tmp_path: Path) -> None:
    (tmp_path / "waits.py").write_text("import os, time; print(os.getpid(), flush=True); time.sleep(600)")
    env = os.environ | {"PYTHONPATH": str(tmp_path)}
    asking = subprocess.Popen([str(forked.interpreter()), "-m", "waits"], cwd=tmp_path, env=env, stdout=subprocess.PIPE)
    assert asking.stdout is not None
    pid = int(asking.stdout.readline())
    assert psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    asking.kill()
    asking.wait()
    end = time.monotonic() + 30
    while psutil.pid_exists(pid):
        assert time.monotonic() < end
        time.sleep(0.02)
