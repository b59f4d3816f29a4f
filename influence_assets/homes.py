"""Opening a project's warehouse in the home that the study names, and bringing rows over when that has changed.

The file `data/warehouse/home.json` says which home was used last. Where the study names another, whatever that one has
and this one lacks, or has older, is brought over with its provenance before anything is read, and a line says so. The
old home is left as it is; a run that still goes on with the old settings is stopped at its next landing, so that no
rows land where nobody looks.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from influence_assets.machines import StorageSettings
from influence_assets.marker import Marker
from influence_assets.tables import ALL_TABLES, MACROS
from resources.errors import InfluenceError, InputError, WarehouseError
from resources.home import FilesHome, Home
from resources.pointers import partition_id
from resources.tables import Table
from resources.warehouse import Warehouse

_LOG = logging.getLogger(__name__)
_FIX = "remove it; partitions of files are then brought over where this home has none or older ones"


def open_warehouse(root: Path, storage: StorageSettings) -> Warehouse:
    """The warehouse of the project in `root`, with all that has landed anywhere in the home that `storage` names."""
    data = root / "data"
    marker = Marker(data / "warehouse" / "home.json", StorageSettings(), fix=_FIX)

    def guard() -> None:
        now = marker.read()
        if now != storage:
            raise InfluenceError(
                f"the study's storage has become {described(now)} while this process was using {described(storage)}; "
                "start it again (answers of models that were paid for are kept)"
            )

    warehouse = Warehouse(data, ALL_TABLES, MACROS, home=open_home(root, storage), guard=guard)
    if marker.read() != storage:
        with marker.lock():
            before = marker.read()
            if before != storage:
                _move(root, before, storage)
                warehouse.publish()
                marker.write(storage)
    return warehouse


def open_home(root: Path, storage: StorageSettings) -> Home:
    """A home of rows; a DuckLake is connected to at first use."""
    if storage.kind == "files":
        return FilesHome(root / "data" / "warehouse")
    from resources.ducklake import Address
    from resources.lake_home import LakeHome

    return LakeHome(Address(storage.connection(), storage.folder(root)), ALL_TABLES)


def bring_over(tables: Sequence[Table], theirs: Home, ours: Home) -> dict[str, int]:
    """Give `ours` every partition that it lacks or has older than `theirs`; how many, by table. Safe to repeat."""
    brought = {}
    for table in tables:
        here = {partition_id(pointer.partition): pointer for pointer in ours.all(table)}
        newer = [
            pointer
            for pointer in theirs.all(table)
            if (mine := here.get(partition_id(pointer.partition))) is None or mine.at < pointer.at
        ]
        if newer:
            ours.adopt(table, newer)
            brought[table.name] = len(newer)
    return brought


def described(storage: StorageSettings) -> str:
    """A home in a few words, for people."""
    return "files" if storage.kind == "files" else f"DuckLake ({storage.data_path})"


def _move(root: Path, before: StorageSettings, now: StorageSettings) -> None:
    try:
        brought = bring_over(ALL_TABLES, open_home(root, before), open_home(root, now))
    except (InputError, WarehouseError) as error:
        raise InputError(
            f"storage goes from {described(before)} to {described(now)}, and rows could not be brought over: {error}",
            place="data/study.yaml",
            field="storage",
            value=now.kind,
            fix="mend that; to leave the rows of the old home behind, delete data/warehouse/home.json",
        ) from None
    if brought:
        _LOG.warning(
            "storage: %d partitions of %d tables brought over from %s to %s",
            sum(brought.values()),
            len(brought),
            described(before),
            described(now),
        )
