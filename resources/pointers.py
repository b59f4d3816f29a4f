"""Which file holds a partition's rows now, and where those rows came from.

One line of JSON per partition, under a name that is a hash, so that any partition key is safe on any disk. Moving the
pointer is one atomic rename: a reader finds the old rows or the new ones.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from resources.content import canonical, sha256_of
from resources.durable import sync, write_whole
from resources.errors import WarehouseError, one_line
from resources.sql import encodable
from resources.tables import Table


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where rows came from. `inputs` is the hash of everything that they depend on; `at` is when, with a zone."""

    run_id: str
    code_version: str
    inputs: str
    at: datetime

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise WarehouseError("provenance needs a time with a zone; use datetime.now(UTC)")
        for name in ("run_id", "code_version", "inputs"):
            if not encodable(getattr(self, name)):
                raise WarehouseError(f"provenance {name} has no UTF-8 form: {one_line(getattr(self, name))}")


@dataclass(frozen=True, slots=True)
class Pointer:
    """One landed partition. `shape` names the table's columns and types at the time of writing; `file` is the absolute
    path of its rows, which the home that holds it says and which is not part of what is kept."""

    table: str
    partition: Mapping[str, str]
    data_version: str
    rows: int
    shape: str
    provenance: Provenance
    file: str = ""

    @property
    def run_id(self) -> str:
        return self.provenance.run_id

    @property
    def code_version(self) -> str:
        return self.provenance.code_version

    @property
    def inputs(self) -> str:
        return self.provenance.inputs

    @property
    def at(self) -> datetime:
        return self.provenance.at

    def encoded(self) -> bytes:
        """What is kept of it: one line of JSON."""
        return canonical(
            {
                "table": self.table,
                "partition": dict(self.partition),
                "data_version": self.data_version,
                "rows": self.rows,
                "shape": self.shape,
                "run_id": self.run_id,
                "code_version": self.code_version,
                "inputs": self.inputs,
                "at": self.at.astimezone(UTC).isoformat(),
            }
        )


def shape_of(table: Table) -> str:
    """A short name of a table's columns and types; files of another shape are fitted when they are read."""
    return sha256_of([[column.name, column.type] for column in table.columns])[:16]


class Pointers:
    """The pointers of one warehouse, one folder per table."""

    def __init__(self, folder: Path, scratch_folder: Path) -> None:
        self._folder, self._scratch = folder, scratch_folder

    def folder(self, table: str) -> str:
        # Text: every publication asks for all tables, and a `Path` takes ten times as long.
        return f"{self._folder}/{table}"

    def tables(self) -> list[str]:
        """Every table that has a folder here, declared or not."""
        return sorted(path.name for path in self._folder.iterdir() if path.is_dir())

    def _path(self, table: str, partition: Mapping[str, str]) -> Path:
        return Path(self.folder(table), f"{partition_id(partition)}.json")

    def load(self, table: str, partition: Mapping[str, str]) -> Pointer | None:
        """The pointer of one partition, or None when it never landed."""
        path = self._path(table, partition)
        try:
            return decode(path.read_bytes(), path)
        except FileNotFoundError:
            return None

    def save(self, pointer: Pointer) -> None:
        """Move the partition's pointer; durable when this returns."""
        write_whole(self._path(pointer.table, pointer.partition), pointer.encoded(), self._scratch)

    def drop(self, table: str, partition: Mapping[str, str]) -> bool:
        """Forget a partition; False when there was none."""
        path = self._path(table, partition)
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        sync(path.parent)
        return True

    def contents(self, table: str) -> list[bytes]:
        """Every pointer file of a table as it stands, in the order of the partitions' hashes."""
        folder = self.folder(table)
        found: list[bytes] = []
        if not os.path.isdir(folder):
            return found
        for name in sorted(os.listdir(folder)):
            try:
                with open(f"{folder}/{name}", "rb") as file:
                    found.append(file.read())
            except FileNotFoundError:  # dropped since the folder was listed
                continue
        return found

    def all(self, table: str) -> list[Pointer]:
        """Every pointer of a table, in the order of the partitions' hashes."""
        return [decode(content, self.folder(table)) for content in self.contents(table)]


def partition_id(partition: Mapping[str, str]) -> str:
    """A partition's name wherever one is kept: a hash, so that any key is safe."""
    return sha256_of(dict(partition))


@lru_cache(maxsize=50_000)  # every publication reads all pointers, and few are new
def _decoded(content: bytes | str) -> Pointer:
    found = json.loads(content)
    provenance = Provenance(
        run_id=found["run_id"],
        code_version=found["code_version"],
        inputs=found["inputs"],
        at=datetime.fromisoformat(found["at"]),
    )
    return Pointer(
        table=found["table"],
        partition=found["partition"],
        data_version=found["data_version"],
        rows=found["rows"],
        shape=found["shape"],
        provenance=provenance,
    )


def decode(content: bytes | str, place: Path | str) -> Pointer:
    """An encoded pointer; `WarehouseError` names the place when it is none."""
    try:
        return _decoded(content)
    except (ValueError, KeyError, TypeError) as error:
        raise WarehouseError(
            f"{place}: not a pointer file ({one_line(error)}); remove it and materialize again"
        ) from error
