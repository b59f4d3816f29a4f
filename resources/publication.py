"""Bringing `influence.duckdb` up to what has landed: one publisher at a time, readers never notice.

The new catalogue is built beside the old one and renamed over it; whoever holds the old one open keeps it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from resources import catalog, retention
from resources.content import canonical, sha256_of, sha256_of_files
from resources.durable import move, scratch, sync, write_whole
from resources.pointers import Pointers, decode
from resources.tables import Table


@dataclass(frozen=True)
class Publisher:
    """Publishes the tables of one project; `folder` holds the warehouse's own files, `root` the catalogue."""

    root: Path
    folder: Path
    tables: Sequence[Table]
    macros: Sequence[Path]
    pointers: Pointers
    grace_s: float
    on_seam: Callable[[str], None]

    @property
    def catalogue(self) -> Path:
        return self.root / "influence.duckdb"

    @property
    def scratch(self) -> Path:
        return self.folder / "scratch"

    @property
    def gate(self) -> Path:
        """The lock file that writers hold together and the collector holds alone."""
        return self.folder / "gate.lock"

    @property
    def _record(self) -> Path:
        """What was published last, and from where, so that an equal publication is skipped."""
        return self.folder / "published.json"

    def publish(self) -> None:
        """Publish unless what has landed is published already, then collect superseded files."""
        # Many writers publish at once: whoever waited here mostly finds its rows published by another.
        with FileLock(self.folder / "publish.lock", poll_interval=0.005):
            contents, state = self.contents()
            if self._last() != [state, *self._stamp()]:
                self._replace(contents, state)
            retention.collect(
                self.folder / "files",
                self.scratch,
                self.gate,
                self.folder / "superseded.json",
                self.grace_s,
                self._used_files,
            )

    def is_here(self) -> bool:
        """Whether a catalogue was published by this project, in the folder where it is now."""
        last = self._last()
        return len(last) == 5 and last[1:] == self._stamp()

    def contents(self) -> tuple[catalog.Contents, str]:
        """What a catalogue of this moment shows, and a hash that changes whenever it would show something else."""
        found = {table.name: self.pointers.contents(table.name) for table in self.tables}
        pointers = {
            name: [decode(content, self.pointers.folder(name)) for content in contents]
            for name, contents in found.items()
        }
        state = sha256_of(
            [
                [repr(table) for table in self.tables],
                sha256_of_files(self.macros),
                {name: [content.decode() for content in contents] for name, contents in found.items()},
            ]
        )
        return catalog.Contents(self.root, self.tables, self.macros, pointers), state

    def _replace(self, contents: catalog.Contents, state: str) -> None:
        beside = scratch(self.scratch, ".duckdb")
        try:
            catalog.build(beside, contents, on_table=lambda: self.on_seam("mid_publish"))
            sync(beside)
            self.on_seam("before_publish_rename")
            # A client that opened the catalogue for writing leaves a log beside it, which would keep every later
            # client from opening the new catalogue. What it wrote was never part of the warehouse.
            log = self.catalogue.with_name(f"{self.catalogue.name}.wal")
            log.unlink(missing_ok=True)
            move(beside, self.catalogue)
            log.unlink(missing_ok=True)
        finally:
            beside.unlink(missing_ok=True)
        write_whole(self._record, canonical([state, *self._stamp()]), self.scratch)

    def _stamp(self) -> list[str | int]:
        """Names the catalogue file as it stands; empty when there is none."""
        try:
            stat = os.stat(self.catalogue)
        except FileNotFoundError:
            return []
        return [str(self.root), stat.st_ino, stat.st_size, stat.st_mtime_ns]

    def _last(self) -> list[str | int]:
        try:
            found: list[str | int] = json.loads(self._record.read_bytes())
        except FileNotFoundError:
            return []
        return found

    def _used_files(self) -> list[Path]:
        """Files that pointers name, of every table on disk: another version of the code may declare more tables."""
        return [
            catalog.file_of(self.root, pointer.table, pointer.data_version)
            for table in self.pointers.tables()
            for pointer in self.pointers.all(table)
        ]
