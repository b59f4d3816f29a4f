"""Serving the viewer: Streamlit in a process of its own, on loopback; without keys unless conversations are played."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

from influence_assets.project import Project
from resources.errors import InputError

CHECKOUT = Path(__file__).resolve().parents[2]
APP = Path(__file__).with_name("app.py")
LIVE = "INFLUENCE_VIEWER_LIVE"
"""Set in the environment of a viewer in which conversations can be played."""

# Without the live page the viewer asks no model, so it is not given what could.
_SECRET_ENDINGS = ("_KEY", "_TOKEN", "_SECRET", "_PASSWORD")


def serve_viewer(project: Project, host: str, port: int, *, live: bool) -> int:
    """Run the viewer until it is interrupted; returns its exit code. Raises `InputError` where Streamlit is missing.

    With `live` conversations can be played: the page is there, and models can be asked, at the study's cost.
    """
    if importlib.util.find_spec("streamlit") is None:
        raise InputError(
            "the viewer needs Streamlit", fix="make viewer, or pip install -c constraints.txt -e '.[viewer]'"
        )
    options = ["--server.address", host, "--server.port", str(port)]
    server = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", str(APP), *options],
        cwd=project.root,
        env=_environment(project, live),
    )
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    try:
        return server.wait()
    except KeyboardInterrupt:
        # The terminal sent the same signal to the server: it is already shutting down.
        return server.wait()


def _environment(project: Project, live: bool) -> dict[str, str]:
    kept = {n: value for n, value in os.environ.items() if live or not n.upper().endswith(_SECRET_ENDINGS)}
    kept = {n: value for n, value in kept.items() if n != LIVE} | ({LIVE: "1"} if live else {})
    # The same code as the command that starts it, wherever the project lies.
    paths = [str(CHECKOUT), *filter(None, [kept.get("PYTHONPATH")])]
    return kept | {
        "INFLUENCE_ROOT": str(project.root),
        "PYTHONPATH": os.pathsep.join(paths),
        "OMP_NUM_THREADS": kept.get("OMP_NUM_THREADS", "1"),
    }
