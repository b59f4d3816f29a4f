"""Which sockets a server that was started as a command listens on, itself and what it started."""

from __future__ import annotations

import psutil


def listening(pid: int) -> set[tuple[str, int]]:
    """Address and port of every TCP socket that the process or one of its descendants listens on."""
    process = psutil.Process(pid)
    return {
        (one.laddr.ip, one.laddr.port)
        for owner in (process, *process.children(recursive=True))
        for one in owner.net_connections("tcp")
        if one.status == psutil.CONN_LISTEN
    }
