"""Files that are there whole or not at all, also after a power cut: write beside, fsync, rename, fsync the folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


def sync(path: Path) -> None:
    """Make a file's content, or a folder's entries, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def move(source: Path, target: Path) -> None:
    """Rename a finished file (already synced) over `target`, durably; both lie on one file system."""
    os.replace(source, target)
    sync(target.parent)


def scratch(folder: Path, suffix: str) -> Path:
    """A path in `folder` that nobody else writes."""
    return folder / f"{os.getpid()}-{uuid4().hex}{suffix}"


def write_whole(path: Path, content: bytes, scratch_folder: Path) -> None:
    """Replace a small file: readers see the old content or the new one."""
    beside = scratch(scratch_folder, ".part")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    move(beside, path)


@contextmanager
def shared(path: Path) -> Iterator[None]:
    """Hold a lock file together with any number of others; waits for an exclusive holder. Dies with the process."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


@contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Try to hold a lock file exclusively, without waiting; yields whether it is held."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)
