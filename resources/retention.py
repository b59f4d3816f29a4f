"""When superseded files go: a grace period after the first publication that no longer shows them.

Only `collect` deletes, and it holds the gate alone while it does; a writer holds the gate with the others from the
moment that it looks for its file until its pointer points there. So a file that a writer is about to use again is
either gone before the writer looks, and written anew, or pointed at before the collector looks.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from glob import glob
from pathlib import Path

from resources.content import canonical
from resources.durable import alone, write_whole

SCRATCH_AGE_S = 3600.0
"""Unfinished files of writers that died are removed after this time."""


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
    _sweep(scratch_folder, now - SCRATCH_AGE_S)
    return gone


def _remembered(record: Path) -> dict[str, float]:
    try:
        found = json.loads(record.read_bytes())
    except FileNotFoundError:
        return {}
    return {str(path): float(since) for path, since in found.items()}


def _sweep(folder: Path, before: float) -> None:
    for path in folder.iterdir():
        try:
            if path.is_file() and path.stat().st_mtime < before:
                path.unlink()
        except FileNotFoundError:  # its writer has just finished with it
            continue
