"""One project on disk: where its files lie, what its study and its models are, and its warehouse.

A project is a folder with `data/study.yaml` in it: `INFLUENCE_ROOT` where that is set, else the nearest folder at or
above the working directory, else the checkout that this package was installed from.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import dagster as dg

from influence_assets.homes import open_warehouse
from influence_assets.replies import open_replies
from influence_assets.study import Study, load_study
from resources.content import Json
from resources.errors import InputError
from resources.pointers import Pointer, partition_id
from resources.registry import Registry, load_registry
from resources.replystore import ReplyStore
from resources.tables import Table
from resources.warehouse import Warehouse

STUDY_FILE = Path("data/study.yaml")


def find_root() -> Path:
    """The project's root folder, absolute; an `InputError` when `INFLUENCE_ROOT` points at none."""
    named = os.environ.get("INFLUENCE_ROOT")
    if named:
        root = Path(named).resolve()
        if not (root / STUDY_FILE).is_file():
            raise InputError(
                "is no project folder", field="INFLUENCE_ROOT", value=named, fix=f"it must hold {STUDY_FILE}"
            )
        return root
    here = Path.cwd()
    checkout = Path(__file__).resolve().parent.parent
    return next((folder for folder in (here, *here.parents) if (folder / STUDY_FILE).is_file()), checkout)


@dataclass(frozen=True)
class Project:
    """The files of one project. Everything is read at first use and then kept."""

    root: Path

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def home(self) -> Path:
        """Dagster's own records; ignored by git."""
        return self.root / ".dagster"

    @property
    def cache_path(self) -> Path:
        """The SQLite file of replies, where the study names no server. It must lie on a disk of this machine
        (docs/cluster.md); `INFLUENCE_CACHE` says where, when the project's folder does not."""
        named = os.environ.get("INFLUENCE_CACHE")
        return Path(named).resolve() if named else self.data / "cache" / "replies.sqlite"

    @property
    def prompts(self) -> Path:
        return self.data / "prompts"

    @cached_property
    def study(self) -> Study:
        return load_study(self.root / STUDY_FILE)

    @cached_property
    def registry(self) -> Registry:
        return load_registry(self.data / "models.yaml")

    @cached_property
    def warehouse(self) -> Warehouse:
        return open_warehouse(self.root, self.study.storage)

    @cached_property
    def replies(self) -> ReplyStore:
        """Replies that were paid for, and the ledger (`influence_assets.replies.open_replies`)."""
        return open_replies(self.cache_path, self.study.replies)

    def pointer(self, table: Table, partition: Mapping[str, str]) -> Pointer | None:
        """What a partition of a table holds now."""
        return self.warehouse.pointer(table, partition)

    def identity(self, model: str) -> Json:
        """Which weights an entry of the registry names (`resources.models.identity_of`)."""
        from resources.models import identity_of

        return identity_of(self.registry[model], self.root)


class Snapshot(Project):
    """A project at one moment: what has been looked at once is not looked at again."""

    @cached_property
    def _pointers(self) -> dict[str, dict[str, Pointer]]:
        return {}

    @cached_property
    def _identities(self) -> dict[str, Json]:
        return {}

    def pointer(self, table: Table, partition: Mapping[str, str]) -> Pointer | None:
        if table.name not in self._pointers:  # all of a table at once: it is asked for many of its partitions
            held = self.warehouse.pointers(table)
            self._pointers[table.name] = {partition_id(pointer.partition): pointer for pointer in held}
        return self._pointers[table.name].get(partition_id(partition))

    def identity(self, model: str) -> Json:
        if model not in self._identities:
            self._identities[model] = super().identity(model)
        return self._identities[model]


class ProjectResource(dg.ConfigurableResource[Project]):
    """The Dagster resource that hands an asset its project. `root` is the folder that holds `data/`."""

    root: str

    def open(self) -> Project:
        """The project; files are read anew, so that an edit counts from the next run on."""
        return Project(Path(self.root))
