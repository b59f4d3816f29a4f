"""When superseded files go: a grace period after the first publication that no longer shows them.

Only `collect` deletes, and it holds the gate alone while it does; a writer holds the gate with the others from the
moment that it looks for its file until its pointer points there. So a file that a writer is about to use again is
either gone before the writer looks, and written anew, or pointed at before the collector looks.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterable
from glob import glob
from pathlib import Path

from resources.content import canonical
from resources.durable import alone, write_whole

SCRATCH_AGE_S = 3600.0
"""Unfinished files of writers that died are removed after this time."""

SPILL = "spill"
"""The folder in the scratch folder that running queries may spill into."""


def collect(
    files: Path, scratch_folder: Path, gate: Path, record: Path, grace_s: float, used: Callable[[], Iterable[str]]
) -> list[str]:
    """Delete what has been out of use for `grace_s` seconds; returns what was deleted.

    `used` lists the files that pointers name now, as table/name; `record` is the file that remembers since when each
    other file has been out of use. Deletes nothing while a writer is at the gate: the next publication tries again.
    """
    now = time.time()
    before = _remembered(record)
    there = set(glob("*/*.parquet", root_dir=files))
    since = {path: before.get(path, now) for path in there.difference(used())}
    gone: list[str] = []
    if any(now - first >= grace_s for first in since.values()):
        with alone(gate) as held:
            still = since.keys() - set(used()) if held else set[str]()
            gone = [path for path in sorted(still) if now - since[path] >= grace_s]
            for path in gone:
                (files / path).unlink(missing_ok=True)
                del since[path]
    if since != before:
        write_whole(record, canonical(since), scratch_folder)
    return gone


def _remembered(record: Path) -> dict[str, float]:
    try:
        found = json.loads(record.read_bytes())
    except FileNotFoundError:
        return {}
    return {str(path): float(since) for path, since in found.items()}


def sweep(scratch_folder: Path) -> None:
    """Remove what writers that died left unfinished, and catalogues of the past that nobody looked at lately."""
    before = time.time() - SCRATCH_AGE_S
    for path in scratch_folder.iterdir():
        try:
            if path.stat().st_mtime >= before:
                continue
            if path.is_file():
                path.unlink()
            elif path.name != SPILL:
                shutil.rmtree(path)
        except FileNotFoundError:  # its writer has just finished with it
            continue
