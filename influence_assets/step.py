"""One materialization of one partition: what it may read, whom it may ask, where its rows go."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import dagster as dg
import polars as pl

from influence_assets.interrupts import as_keyboard_interrupt
from influence_assets.partitions import FAMILIES, MODELS
from influence_assets.progress import reporter
from influence_assets.project import Project
from influence_assets.slices import Slice
from influence_assets.study import Study
from resources.asking import Models
from resources.asking import Progress as Callback
from resources.content import Json, sha256_of, sha256_of_files
from resources.errors import InfluenceError, InputError
from resources.pointers import Pointer
from resources.registry import Registry
from resources.tables import Table

T = TypeVar("T")

FORCE_TAG = "influence/force"
"""A run with this tag computes partitions anew even where their inputs did not change."""

SCOPE_TAG = "influence/scope"
"""Runs that share this tag's value share one budget."""


@dataclass(frozen=True)
class Step:
    """What an asset's function is given. `partition` is the key of the model, the framework or the family."""

    context: dg.AssetExecutionContext
    project: Project
    reads: tuple[Slice, ...]
    writes: tuple[Slice, ...]
    partition: str
    dimension: str

    @classmethod
    def of(
        cls, context: dg.AssetExecutionContext, project: Project, *, reads: tuple[Slice, ...], writes: tuple[Slice, ...]
    ) -> Step:
        own = context.assets_def.partitions_def
        dimension = "model" if own == MODELS else "family" if own == FAMILIES else "framework"
        return cls(context, project, reads, writes, context.partition_key, dimension)

    @property
    def study(self) -> Study:
        return self.project.study

    @property
    def asset(self) -> str:
        return str(self.context.asset_key.path[-1])

    @property
    def key(self) -> dg.AssetKey:
        return dg.AssetKey(self.context.asset_key.path)

    @property
    def run_id(self) -> str:
        return str(self.context.run.run_id)

    @property
    def scope(self) -> str:
        """What shares the budget: one command, one backfill, or this run alone."""
        tags = self.context.run.tags
        return tags.get(SCOPE_TAG) or tags.get("dagster/backfill") or self.run_id

    @property
    def forced(self) -> bool:
        return self.context.run.tags.get(FORCE_TAG) == "true"

    def read(self, table: Table, **fixed: int | str) -> pl.DataFrame:
        """All rows of a table that this partition stands on, whole partitions only.

        A framework's asset reads its own framework; a model's asset reads its own model, and of the tables of personas
        and environments every framework and family that the study names. `fixed` tells declared slices apart, as in
        `iteration=2`.
        """
        wanted = {name: str(value) for name, value in fixed.items()}
        found = {one.key: one for one in (*self.reads, *self.writes) if one.fits(table, wanted)}
        if len(found) != 1:
            declared = ", ".join(map(str, found.values())) or "not at all"
            raise InfluenceError(f"{self.asset} reads {table.name} {wanted} and declares it as: {declared}")
        frames = [self.project.warehouse.read(table, where) for where in self._partitions(*found.values())]
        return pl.concat(frames) if frames else self.project.warehouse.read(table, {table.partition[0]: ""})

    def ask(
        self,
        work: Callable[[Models], Awaitable[T]],
        registry: Registry | None = None,
        *,
        min_mass: float | None = None,
    ) -> T:
        """Run asynchronous work that asks models; every reply is in the cache before the work sees it.

        `registry` stands in for the project's, where checkpoints at a provider are models of their own. Answers with
        less than `min_mass` on the valid options are void (the model layer's own threshold when absent).
        """
        from resources.models import Settings, open_models

        async def main() -> T:
            async with open_models(
                registry or self.project.registry,
                self.project.cache_path,
                root=self.project.root,
                run_id=self.run_id,
                asset=self.asset,
                partition=self.partition,
                budget_usd=self.study.budget_usd,
                budget_scope=self.scope,
                settings=None if min_mass is None else Settings(void_below=min_mass),
            ) as models:
                return await work(models)

        with as_keyboard_interrupt():
            return asyncio.run(main())

    def requests(self) -> pl.DataFrame:
        """What this run asked for this partition, one row per question; an answer paid for wins over a cache hit."""
        from resources.ledger import rows_for

        rows = rows_for(self.project.cache_path, run_id=self.run_id, asset=self.asset, partition=self.partition)
        return rows.sort("request_id", "cached", "at").unique("request_id", keep="first", maintain_order=True)

    def progress(self, label: str = "") -> Callback:
        """A (done, total) callback that draws a bar or writes to the run's log."""
        name = f"{self.asset} [{self.partition}]" + (f" {label}" if label else "")
        return reporter(name, self.context.log.info)

    def upstream(self) -> dict[str, str]:
        """Data version of every partition that is read, by `table partition`; a missing one is an `InputError`."""
        versions = {}
        for one in self.reads:
            for partition in self._partitions(one):
                pointer = self.project.warehouse.pointer(one.table, partition)
                if pointer is None:
                    raise InputError(
                        "has not been materialized yet",
                        place=one.table.name,
                        field=", ".join(f"{column}={value}" for column, value in partition.items()),
                        fix="materialize it first (select the asset with everything upstream of it)",
                    )
                versions[f"{one.table.name} {'/'.join(partition.values())}"] = pointer.data_version
        return versions

    def inputs(self, version: str, asked: Sequence[str], files: Sequence[Path]) -> str:
        """Hash of all that the rows depend on: code, settings, upstream rows, files, and which models answer."""
        from resources.models import identity_of

        registry = self.project.registry
        models: dict[str, Json] = {name: identity_of(registry[name], self.project.root) for name in sorted(set(asked))}
        parts: Json = [
            self.asset,
            self.partition,
            version,
            self.study.seed,
            self.upstream(),
            models,
            sha256_of_files(files),
        ]
        return sha256_of(parts)

    def landed_from(self, inputs: str) -> bool:
        """Whether every table of this asset holds rows that were made from exactly these inputs."""
        pointers = [pointer for _, pointer in self.pointers()]
        return all(pointer is not None and pointer.provenance.inputs == inputs for pointer in pointers)

    def data_version(self) -> str:
        """One content hash over all tables that this asset wrote."""
        return sha256_of([pointer.data_version if pointer else "" for _, pointer in self.pointers()])

    def pointers(self) -> list[tuple[Slice, Pointer | None]]:
        """What lies in the warehouse of every slice that this asset writes."""
        warehouse = self.project.warehouse
        return [(one, warehouse.pointer(one.table, one.partition(self.partition))) for one in self.writes]

    def _partitions(self, one: Slice) -> list[dict[str, str]]:
        if self.dimension == "model" and "framework" in one.table.partition:
            return [{"framework": slug} for slug in self.study.personas.frameworks]
        if self.dimension == "model" and "family" in one.table.partition:
            return [{"family": name} for name in self.study.influence.families]
        return [one.partition(self.partition)]
