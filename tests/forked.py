"""The command line in processes of their own that do not import the heavy libraries again.

A server (multiprocessing's, one for each process of pytest) imports them once, seven seconds of work, while it has a
single thread; every command is a fork of it that then does what `python -m influence_assets.cli` does. What is ours is
imported in the fork, in the environment that the command is given. Where the start itself is looked at, or signals,
tests start `tests.projects.command` as a person does.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

CLI = "influence_assets.cli"
PRELOADED = ["dagster", "alembic", "scipy.stats", "matplotlib.pyplot", "torch", "transformers.modeling_utils"]
"""Not polars, duckdb or scikit-learn: their imports start threads, which a fork loses."""


@functools.cache
def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def run(
    arguments: tuple[str, ...], *, cwd: Path, env: Mapping[str, str], timeout: float, module: str = CLI
) -> subprocess.CompletedProcess[str]:
    """Run the command (or another module) to its end; raises `subprocess.TimeoutExpired` like `subprocess.run`."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        process = _start((module, arguments, cwd, dict(env), out, err))
        process.join(timeout)
        if late := process.exitcode is None:
            process.kill()
            process.join()
        said, warned = (path.read_text(encoding="utf-8") if path.exists() else "" for path in (out, err))
        if late:
            raise subprocess.TimeoutExpired(arguments, timeout, said, warned)
        assert process.exitcode is not None
        return subprocess.CompletedProcess(arguments, process.exitcode, said, warned)


def _start(arguments: tuple[object, ...]) -> ForkServerProcess:
    """A fork runs first what it is told is the main module. Nothing is: streamlit's AppTest, in the same process of
    pytest, leaves the page that it ran last in that place."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        process = _context().Process(target=_command, args=arguments)
        process.start()
    finally:
        sys.modules["__main__"] = main
    return process


@contextmanager
def started(arguments: tuple[str, ...], *, cwd: Path, env: Mapping[str, str], log: Path) -> Iterator[ForkServerProcess]:
    """The command while it runs: to be killed, or joined. All that it says is added to `log`."""
    process = _start((CLI, arguments, cwd, dict(env), log, log))
    try:
        yield process
    finally:
        process.kill()
        process.join()


def _command(module: str, arguments: tuple[str, ...], cwd: Path, env: dict[str, str], out: Path, err: Path) -> None:
    """In the fork: become the command."""
    os.environ.clear()
    os.environ.update(env)
    for stream, path in ((sys.stdout, out), (sys.stderr, err)):
        stream.flush()
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, stream.fileno())
        os.close(file)
    os.chdir(cwd)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
