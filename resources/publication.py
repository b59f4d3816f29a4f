"""Bringing `influence.duckdb` up to what has landed: one publisher at a time, readers never notice.

The new catalogue is built beside the old one and renamed over it; whoever holds the old one open keeps it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from filelock import FileLock

from resources import catalog, retention
from resources.content import Json, canonical, sha256_of, sha256_of_files
from resources.durable import move, scratch, sync, write_whole
from resources.home import Home
from resources.tables import Table


@dataclass(frozen=True)
class _Last:
    """The last publication: its turn, a name for what had landed, a hash of that by table, a hash of what was declared,
    the file's stamp."""

    turn: int = -1
    landed: str = ""
    by_table: Mapping[str, str] = field(default_factory=dict)
    declared: str = ""
    stamp: str = ""


@dataclass(frozen=True)
class Publisher:
    """Publishes the tables of one project; `folder` holds the warehouse's own files, `root` the catalogue."""

    root: Path
    folder: Path
    tables: Sequence[Table]
    macros: Sequence[Path]
    home: Home
    grace_s: float
    on_seam: Callable[[str], None]

    @property
    def catalogue(self) -> Path:
        return self.root / "influence.duckdb"

    @property
    def scratch(self) -> Path:
        return self.folder / "scratch"

    @property
    def _turns(self) -> Path:
        """Counts publications as they begin."""
        return self.folder / "turns"

    @property
    def _record(self) -> Path:
        """What was published last, and from where, so that an equal publication is skipped."""
        return self.folder / "published.json"

    def prepare(self) -> None:
        """Make the folders that publishing needs."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        self.home.prepare(self.tables)

    def publish(self) -> None:
        """Publish unless what has landed is published already, then collect superseded files.

        Many writers publish at once and queue here. Whoever finds that another publication began after its own call
        is done: that one has seen its rows.
        """
        called = self._begun()
        with FileLock(self.folder / "publish.lock", poll_interval=0.005):
            turn = self._begun()
            if turn > called and self._last().turn == turn and self.is_here():
                return
            self._begin(turn + 1)
            contents, landed = self.contents()
            by_table = {name: sha256_of([repr(one) for one in found]) for name, found in contents.pointers.items()}
            last = self._last() if self.is_here() else None
            if last is None or last.landed != landed:
                self._replace(contents, by_table, None if last is None else last.by_table)
            self._remember(turn + 1, landed, by_table)
            self.home.collect(self.grace_s)
            for folder in {self.scratch, self.home.scratch}:
                retention.sweep(folder)

    def is_here(self) -> bool:
        """Whether a catalogue of these tables and macros was published in the folder where it is now."""
        last = self._last()
        return (last.declared, last.stamp) == (self._declared, self._stamp())

    def is_current(self) -> bool:
        """Whether it also shows what has landed from other machines."""
        state = self.home.state()
        return self.is_here() and (state is None or state == self._last().landed)

    def contents(self) -> tuple[catalog.Contents, str]:
        """What a catalogue of this moment shows, and a name for what has landed."""
        pointers, landed = self.home.contents(self.tables)
        return catalog.Contents(self.root, self.tables, self.macros, pointers), landed

    def past(self, run_id: str) -> tuple[catalog.Contents, Path]:
        """What had landed when a run had ended, and a catalogue of that, which is removed some time later."""
        pointers, state = self.home.past(self.tables, run_id)
        contents = catalog.Contents(self.root, self.tables, self.macros, pointers)
        folder = self.scratch / f"{state} {self._declared[:16]}"
        path = folder / self.catalogue.name
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            beside = scratch(folder, ".duckdb")
            catalog.build(beside, contents, self.catalogue.stem)
            move(beside, path)
        return contents, path

    def _replace(
        self, contents: catalog.Contents, by_table: Mapping[str, str], before: Mapping[str, str] | None
    ) -> None:
        """Publish `contents`; `before` is what had landed when the catalogue that is here was published, if one is."""
        beside, stem = scratch(self.scratch, ".duckdb"), self.catalogue.stem
        try:
            if before is not None and self._copied(beside):
                changed = [name for name in by_table if by_table[name] != before.get(name)]
                catalog.update(beside, contents, stem, changed, on_table=lambda: self.on_seam("mid_publish"))
            else:
                catalog.build(beside, contents, stem, on_table=lambda: self.on_seam("mid_publish"))
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

    def _copied(self, beside: Path) -> bool:
        """Copy the catalogue as it was published; False when somebody wrote to it or deleted it in between."""
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(self.catalogue, beside)
        if self.is_here():
            return True
        beside.unlink(missing_ok=True)
        return False

    def _begun(self) -> int:
        """How many publications have begun; 0 where that is not known."""
        try:
            return int(self._turns.read_text())
        except (FileNotFoundError, ValueError):  # none yet, or the power went: then nobody skips its turn
            return 0

    def _begin(self, turn: int) -> None:
        beside = scratch(self.scratch, ".turn")
        beside.write_text(str(turn))
        os.replace(beside, self._turns)

    def _remember(self, turn: int, landed: str, by_table: Mapping[str, str]) -> None:
        now: Json = {
            "turn": turn,
            "landed": landed,
            "by_table": dict(by_table),
            "declared": self._declared,
            "stamp": self._stamp(),
        }
        write_whole(self._record, canonical(now), self.scratch)

    @cached_property
    def _declared(self) -> str:
        """A hash of the tables and macros that a catalogue of this code has."""
        return sha256_of([catalog.LAYOUT, [repr(table) for table in self.tables], sha256_of_files(self.macros)])

    def _stamp(self) -> str:
        """Names the catalogue file as it stands; empty when there is none."""
        try:
            stat = os.stat(self.catalogue)
        except FileNotFoundError:
            return ""
        return f"{self.root} {stat.st_ino} {stat.st_size} {stat.st_mtime_ns}"

    def _last(self) -> _Last:
        try:
            return _Last(**json.loads(self._record.read_bytes()))
        except FileNotFoundError:
            return _Last()
