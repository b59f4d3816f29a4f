"""A process that has imported the heavy libraries once and forks for every command that tests start.

One for all processes of pytest: `tests.forked` starts it, with `python -m tests.forks serve ADDRESS`, and asks it.
`python tests/forks.py run ADDRESS -m MODULE ...` stands for `python -m MODULE ...` where a program starts another one:
it hands its standard streams over, waits, and ends as the fork did.

A client sends what to run and gets two numbers back, the fork's pid and, when that has ended, its exit code. A fork
whose client hangs up is killed. The process ends when its last client has gone.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import selectors
import shutil
import signal
import socket
import struct
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import NoReturn

PRELOADED = (
    *("dagster", "dagster._core.storage.sqlite_storage", "dagster._daemon.daemon", "alembic.command"),
    *("openai.resources.chat", "upath.core", "dotenv", "structlog"),
    *("scipy.stats", "matplotlib.pyplot", "matplotlib.backends.backend_agg", "rich.console"),
    *("torch", "transformers.modeling_utils", "peft", "datasets", "trl.trainer.sft_trainer"),
    *("sklearn.linear_model", "sklearn.feature_extraction.text", "polars", "duckdb"),
    *(
        "transformers.models.llama.modeling_llama",
        "dagster._core.definitions.antlr_asset_selection.antlr_asset_selection",
    ),
    *(f"influence_assets.{name}" for name in ("project", "event_log", "personas.stages", "personas.show")),
    *(f"influence_assets.influence.{name}" for name in ("show", "judging", "training.remote")),
    *(
        f"influence_assets.features.{name}"
        for name in ("biographies", "sweep_rows", "side_effects", "direction_checks")
    ),
    *(f"influence_assets.{name}" for name in ("steerability.scores", "steerability.show", "joint.smaller_design")),
    *(f"influence_assets.{name}" for name in ("joint.drift", "features.show", "features.layer_choice")),
)
"""Some start threads, which a fork loses: allocators start theirs again, polars' cleaner of spilled files and a worker
of DuckDB's default connection are not used by us. Of ours what does not look at the environment as it is imported."""

_NUMBER = struct.Struct("<q")


@dataclass(frozen=True)
class Order:
    """What to run: `python -m module *arguments`."""

    module: str
    arguments: Sequence[str]
    cwd: str
    env: Mapping[str, str]


def hire(address: str, order: Order, streams: tuple[int, int, int]) -> tuple[socket.socket, int]:
    """A fork that runs it with these streams: the connection to hear of its end, and its pid."""
    connection = connect(address)
    said = json.dumps(asdict(order)).encode()
    socket.send_fds(connection, [_NUMBER.pack(len(said))], streams)
    connection.sendall(said)
    return connection, number(connection)


def connect(address: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection


def number(connection: socket.socket) -> int:
    """The next number; raises `TimeoutError` after the connection's timeout, `EOFError` when nobody is there."""
    return int(_NUMBER.unpack(_exactly(connection, _NUMBER.size))[0])


def _exactly(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        part = connection.recv(size - len(found))
        if not part:
            raise EOFError("the process that forks has ended")
        found += part
    return found


class _Server:
    """Forks, and says when forks end. `serve` returns in each fork, with what it is to become, and at the end."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._forks: dict[int, socket.socket] = {}
        self._clients: set[socket.socket] = set()
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        self._ended, woken = socket.socketpair()
        for one in (self._ended, woken):
            one.setblocking(False)
        self._selector.register(self._ended, selectors.EVENT_READ)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(woken.fileno())
        self._woken = woken

    def serve(self) -> tuple[Order, list[int]] | None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._listener:
                    client = self._listener.accept()[0]
                    self._clients.add(client)
                    self._selector.register(client, selectors.EVENT_READ)
                elif key.fileobj is self._ended:
                    self._ended.recv(4096)
                    self._reap()
                else:
                    client = key.fileobj
                    assert isinstance(client, socket.socket)
                    try:
                        if become := self._hear(client):
                            return become
                    except (EOFError, ConnectionError):  # it was killed as it asked
                        self._hang_up(client)
            if not self._clients:
                return None

    def _hear(self, client: socket.socket) -> tuple[Order, list[int]] | None:
        """What a client wants; a fork returns it."""
        head, streams, _, _ = socket.recv_fds(client, _NUMBER.size, 3)
        if not head:
            raise EOFError
        try:
            order = Order(**json.loads(_exactly(client, *_NUMBER.unpack(head))))
            pid = os.fork()
            if pid == 0:
                self._forget()
                return order, [os.dup(stream) for stream in streams]
        finally:
            for stream in streams:
                os.close(stream)
        self._forks[pid] = client
        client.sendall(_NUMBER.pack(pid))
        return None

    def _hang_up(self, client: socket.socket) -> None:
        for pid in [pid for pid, owner in self._forks.items() if owner is client]:
            os.kill(pid, signal.SIGKILL)
        self._clients.remove(client)
        self._selector.unregister(client)
        client.close()

    def _reap(self) -> None:
        while self._forks:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            client = self._forks.pop(pid)
            with contextlib.suppress(OSError):  # who has hung up does not hear it
                client.sendall(_NUMBER.pack(os.waitstatus_to_exitcode(status)))

    def _forget(self) -> None:
        """In a fork: nothing of this is its own."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._selector.close()
        for one in (self._listener, self._ended, self._woken, *self._clients):
            one.close()


def _become(order: Order, streams: Sequence[int]) -> NoReturn:
    """In a fork: be that command, to its end."""
    import runpy

    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(order.env)
    os.chdir(order.cwd)
    sys.path[:1] = [order.cwd, *filter(None, order.env.get("PYTHONPATH", "").split(os.pathsep))]
    sys.argv = [order.module, *order.arguments]
    code: object = 0
    try:
        runpy.run_module(order.module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    if not isinstance(code, int | None):
        print(code, file=sys.stderr)
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]  # as multiprocessing does: threads end, nothing is taken down
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)


def serve(address: str) -> None:
    import importlib

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()  # who comes now is answered when everything is there
        for name in PRELOADED:
            importlib.import_module(name)
        assert "influence_assets.partitions" not in sys.modules, "forks would all have the project of this process"
        gc.collect()
        gc.freeze()  # what a fork's collector does not visit is not copied
        become = _Server(listener).serve()
    if become:
        _become(*become)
    shutil.rmtree(os.path.dirname(address))


def run(address: str, arguments: Sequence[str]) -> None:
    flag, module, *rest = arguments
    assert flag == "-m", arguments
    connection, _ = hire(address, Order(module, rest, os.getcwd(), dict(os.environ)), (0, 1, 2))
    code = number(connection)
    if code < 0:
        os.kill(os.getpid(), -code)
    sys.exit(code)


if __name__ == "__main__":
    what, where, *others = sys.argv[1:]
    serve(where) if what == "serve" else run(where, others)
