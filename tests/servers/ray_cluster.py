"""A Ray cluster on this machine: a head without cores and worker nodes, each a process tree that can be killed."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

RAY = Path(sys.executable).with_name("ray")
READY_S = 120


class RayCluster:
    """`start` nodes, run jobs at `address`, `kill` a node as a power cut would. Everything on loopback."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        # Sockets below the folder have long names: not below pytest's.
        self._folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
        quick = {"RAY_health_check_period_ms": "500", "RAY_health_check_failure_threshold": "3"}
        self._environment = {
            **environment,
            **quick,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_DISABLE_DOCKER_CPU_WARNING": "1",
        }
        self._nodes: dict[str, subprocess.Popen[bytes]] = {}
        self._gcs, dashboard = _free_port(), _free_port()
        self.address = f"http://127.0.0.1:{dashboard}"
        head = ("--head", "--num-cpus=0", f"--port={self._gcs}", "--include-dashboard=true")
        self._start("head", *head, "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}")
        self._wait_for(self._answers)

    def start(self, name: str, cpus: int = 1) -> None:
        """A worker node with so many cores; returns when it takes work."""
        self._start(name, f"--address=127.0.0.1:{self._gcs}", f"--num-cpus={cpus}")
        self._wait_for(lambda: "Ray runtime started" in (self._folder / f"{name}.log").read_text())

    def kill(self, name: str) -> None:
        """SIGKILL the node and all that it runs."""
        node = self._nodes.pop(name)
        family = [*psutil.Process(node.pid).children(recursive=True), psutil.Process(node.pid)]
        for process in family:
            try:
                process.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue
        node.wait(timeout=30)

    def processes(self, name: str) -> list[psutil.Process]:
        """What runs on a node now."""
        return psutil.Process(self._nodes[name].pid).children(recursive=True)

    def close(self) -> None:
        for name in list(self._nodes):
            self.kill(name)
        shutil.rmtree(self._folder, ignore_errors=True)

    def said(self) -> str:
        """The end of what the nodes printed, for a failing test."""
        return "\n".join(path.read_text()[-2000:] for path in sorted(self._folder.glob("*.log")))

    def _start(self, name: str, *options: str) -> None:
        ports = [
            f"--{of}-port={_free_port()}" for of in ("dashboard-agent-listen", "runtime-env-agent", "metrics-export")
        ]
        place = ("--node-ip-address=127.0.0.1", *ports, "--disable-usage-stats", "--object-store-memory=100000000")
        command = [str(RAY), "start", "--block", *place, f"--temp-dir={self._folder}", *options]
        with (self._folder / f"{name}.log").open("wb") as log:
            self._nodes[name] = subprocess.Popen(
                command,
                cwd=self._folder,
                env=self._environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def _wait_for(self, ready: Callable[[], bool]) -> None:
        end = time.monotonic() + READY_S
        while not ready():
            dead = [name for name, node in self._nodes.items() if node.poll() is not None]
            assert not dead, self.said()
            assert time.monotonic() < end, self.said()
            time.sleep(0.2)

    def _answers(self) -> bool:
        """Whether the job server does."""
        try:
            urllib.request.urlopen(f"{self.address}/api/version", timeout=2).close()
        except (urllib.error.URLError, OSError):
            return False
        return True


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
