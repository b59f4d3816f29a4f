"""The command line in processes of their own that do not import the heavy libraries again (tests/forks.py).

What is ours is imported in the fork, in the environment that the command is given. Where the start itself is looked at,
or signals, tests start `tests.projects.command` as a person does.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from tests import forks

CHECKOUT = Path(__file__).resolve().parents[1]
CLI = "influence_assets.cli"


class Forked:
    """A command that runs; `exitcode` is None until it was found to have ended."""

    def __init__(self, connection: socket.socket, pid: int) -> None:
        self._connection = connection
        self.pid = pid
        self.exitcode: int | None = None

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end, so long."""
        if self.exitcode is None:
            self._connection.settimeout(timeout)
            with contextlib.suppress(TimeoutError, BlockingIOError):
                self.exitcode = forks.number(self._connection)

    def is_alive(self) -> bool:
        self.join(0)
        return self.exitcode is None

    def kill(self) -> None:
        if self.is_alive():
            os.kill(self.pid, signal.SIGKILL)


def run(
    arguments: tuple[str, ...], *, cwd: Path, env: Mapping[str, str], timeout: float, module: str = CLI
) -> subprocess.CompletedProcess[str]:
    """Run the command (or another module) to its end; raises `subprocess.TimeoutExpired` like `subprocess.run`."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        with _fork(module, arguments, cwd, env, out, err) as process:
            process.join(timeout)
        said, warned = (path.read_text(encoding="utf-8") for path in (out, err))
        if process.exitcode is None:
            raise subprocess.TimeoutExpired(arguments, timeout, said, warned)
        return subprocess.CompletedProcess(arguments, process.exitcode, said, warned)


def started(
    arguments: tuple[str, ...], *, cwd: Path, env: Mapping[str, str], log: Path
) -> contextlib.AbstractContextManager[Forked]:
    """The command while it runs: to be killed, or joined. All that it says is added to `log`."""
    return _fork(CLI, arguments, cwd, env, log, log)


@contextmanager
def _fork(
    module: str, arguments: tuple[str, ...], cwd: Path, env: Mapping[str, str], out: Path, err: Path
) -> Iterator[Forked]:
    order = forks.Order(module, arguments, str(cwd), dict(env))
    with open(os.devnull) as nothing, out.open("a") as said, err.open("a") as warned:
        connection, pid = forks.hire(_address(), order, (nothing.fileno(), said.fileno(), warned.fileno()))
    process = Forked(connection, pid)
    with connection:
        yield process
        if process.is_alive():
            os.kill(pid, signal.SIGKILL)
            connection.settimeout(30)
            forks.number(connection)


@functools.cache
def interpreter() -> Path:
    """An executable that stands for Python where a program of ours starts `python -m` something in another process."""
    address = _address()
    path = Path(f"{address}.python")
    with FileLock(f"{address}.lock"):
        if not path.exists():
            path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -IS "{forks.__file__}" run "{address}" "$@"\n')
            path.chmod(0o755)
    return path


@functools.cache
def _address() -> str:
    """Where forks are to be had. The first who asks starts the process that makes them, for all processes of pytest."""
    session = os.environ.get("PYTEST_XDIST_TESTRUNUID", f"{os.getpid()}")
    folder = Path(tempfile.gettempdir(), f"influence-forks-{session[:12]}")
    folder.mkdir(mode=0o700, exist_ok=True)
    address = str(folder / "at")
    with FileLock(f"{address}.lock"):
        try:
            connection = forks.connect(address)
        except OSError:
            connection = _start(address, folder / "log")
    # As long as this one is open, the process is there.
    _held.append(connection)
    return address


_held: list[socket.socket] = []


def _start(address: str, log: Path) -> socket.socket:
    Path(address).unlink(missing_ok=True)
    # What libraries read as they are imported, before a fork could be told. Not the seed of hashes, which is another
    # one in every session: no row may depend on it.
    env = os.environ | {"HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false"}
    with log.open("w") as file:
        command = [sys.executable, "-m", "tests.forks", "serve", address]
        process = subprocess.Popen(command, cwd=CHECKOUT, env=env, stdout=file, stderr=file, start_new_session=True)
    end = time.monotonic() + 60
    while True:
        try:
            return forks.connect(address)
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end
            time.sleep(0.02)
