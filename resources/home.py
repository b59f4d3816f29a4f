"""Where the rows of a project lie. A home keeps partitions whole: for each, one Parquet file and one pointer.

`Home` is what the warehouse asks of one. `FilesHome` is the plain one: immutable files named by the hash of their
content, and a one-line pointer file per partition, moved by one rename. The other is `resources/lake_home.py`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from resources import retention
from resources.content import sha256_of
from resources.durable import move, scratch, shared, sync
from resources.errors import InputError
from resources.pointers import Pointer, Pointers, decode
from resources.tables import Table

Landed = Mapping[str, Sequence[Pointer]]
"""The partitions that have landed, by table."""

Seam = Callable[[str], None]


class Home(Protocol):
    """Partitions and their files. Pointers come with `file`, the absolute path of their rows."""

    @property
    def scratch(self) -> Path:
        """A folder for files that are not finished, on the disk where the finished ones will lie."""

    def prepare(self, tables: Sequence[Table]) -> None:
        """Make what landing rows of these tables needs."""

    def load(self, table: Table, partition: Mapping[str, str]) -> Pointer | None:
        """What a partition holds now; None when it never landed."""

    def all(self, table: Table) -> list[Pointer]:
        """Every partition of a table."""

    def land(self, table: Table, pointer: Pointer, rows: Path) -> Pointer:
        """Make a finished file of `scratch` (already synced) the rows of a partition; durable when this returns."""

    def adopt(self, table: Table, pointers: Sequence[Pointer]) -> None:
        """Take over partitions of another home, with their provenance; its files are left as they are."""

    def drop(self, table: Table, partition: Mapping[str, str]) -> bool:
        """Forget a partition; False when it never landed."""

    def contents(self, tables: Sequence[Table]) -> tuple[Landed, str]:
        """What has landed in these tables at one moment, and a name for that state."""

    def past(self, tables: Sequence[Table], run_id: str) -> tuple[Landed, str]:
        """What had landed when a run had ended, and a name for that state; an `InputError` where that is not known."""

    def state(self) -> str | None:
        """A name for what has landed now, as in `contents`; None where other machines cannot have added anything."""

    def collect(self, grace_s: float) -> None:
        """Delete what has been out of use for `grace_s` seconds, where this home does that by itself."""


class FilesHome:
    """Rows as files of one project folder. `folder` is the warehouse's own; `on_seam` is for tests that kill."""

    def __init__(self, folder: Path, on_seam: Seam = lambda _name: None) -> None:
        self._folder, self._on_seam = folder, on_seam
        self._pointers = Pointers(folder / "pointers", self.scratch)

    @property
    def scratch(self) -> Path:
        return self._folder / "scratch"

    @property
    def _gate(self) -> Path:
        """The lock file that writers hold together and the collector holds alone."""
        return self._folder / "gate.lock"

    def prepare(self, tables: Sequence[Table]) -> None:
        self.scratch.mkdir(parents=True, exist_ok=True)
        for table in tables:
            for folder in (os.path.dirname(self._file(table.name, "")), self._pointers.folder(table.name)):
                if not os.path.isdir(folder):
                    os.makedirs(folder, exist_ok=True)

    def load(self, table: Table, partition: Mapping[str, str]) -> Pointer | None:
        found = self._pointers.load(table.name, partition)
        return found and self._placed(found)

    def all(self, table: Table) -> list[Pointer]:
        return list(map(self._placed, self._pointers.all(table.name)))

    def land(self, table: Table, pointer: Pointer, rows: Path) -> Pointer:
        path = Path(self._file(table.name, pointer.data_version))
        with shared(self._gate):
            self._on_seam("before_rename")
            if path.exists() and path.stat().st_size == rows.stat().st_size:
                rows.unlink()
            else:
                move(rows, path)
            self._on_seam("after_rename")
            self._pointers.save(pointer)
        self._on_seam("after_pointer")
        return replace(pointer, file=str(path))

    def adopt(self, table: Table, pointers: Sequence[Pointer]) -> None:
        self.prepare((table,))
        for pointer in pointers:
            beside = scratch(self.scratch, ".parquet")
            hand_over(Path(pointer.file), beside)
            self.land(table, pointer, beside)

    def drop(self, table: Table, partition: Mapping[str, str]) -> bool:
        return self._pointers.drop(table.name, partition)

    def contents(self, tables: Sequence[Table]) -> tuple[Landed, str]:
        found = {table.name: self._pointers.contents(table.name) for table in tables}
        pointers = {
            name: [self._placed(decode(content, self._pointers.folder(name))) for content in contents]
            for name, contents in found.items()
        }
        return pointers, sha256_of({name: [line.decode() for line in lines] for name, lines in found.items()})

    def past(self, tables: Sequence[Table], run_id: str) -> tuple[Landed, str]:  # noqa: ARG002
        raise InputError(
            "rows in files keep no history",
            field="as of",
            value=run_id,
            fix="storage: {kind: ducklake, ...} in data/study.yaml keeps one from then on (docs/cluster.md)",
        )

    def state(self) -> str | None:
        # Whoever lands rows here publishes the catalogue, which lies beside them.
        return None

    def collect(self, grace_s: float) -> None:
        files, record = self._folder / "files", self._folder / "superseded.json"
        retention.collect(files, self.scratch, self._gate, record, grace_s, self._used)

    def _used(self) -> list[str]:
        """Files that pointers name, of every table on disk: another version of the code may declare more tables."""
        return [
            f"{pointer.table}/{pointer.data_version}.parquet"
            for table in self._pointers.tables()
            for pointer in self._pointers.all(table)
        ]

    def _file(self, table: str, data_version: str) -> str:
        return f"{self._folder}/files/{table}/{data_version}.parquet"

    def _placed(self, pointer: Pointer) -> Pointer:
        return replace(pointer, file=self._file(pointer.table, pointer.data_version))


def hand_over(source: Path, target: Path) -> None:
    """Give a finished file a second place: another name on the same disk, a synced copy on another."""
    try:
        os.link(source, target)
    except OSError:  # another disk, or one that knows no second names
        shutil.copyfile(source, target)
        sync(target)
