"""One materialization of one partition: what it may read, whom it may ask, where its rows go."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import dagster as dg
import polars as pl

from influence_assets.interrupts import as_keyboard_interrupt
from influence_assets.progress import reporter
from influence_assets.project import Project
from influence_assets.standing import Standing
from resources.asking import Models
from resources.asking import Progress as Callback
from resources.errors import InfluenceError
from resources.registry import Registry
from resources.tables import Table

if TYPE_CHECKING:
    from influence_assets.recipes import Recipe  # reads the project of this process as it is imported

T = TypeVar("T")

FORCE_TAG = "influence/force"
"""A run with this tag computes partitions anew even where their inputs did not change."""

SCOPE_TAG = "influence/scope"
"""Runs that share this tag's value share one budget."""


@dataclass(frozen=True)
class Step(Standing):
    """What an asset's function is given: where it stands, and ways to read, ask and report."""

    context: dg.AssetExecutionContext

    @classmethod
    def of(cls, context: dg.AssetExecutionContext, project: Project, recipe: Recipe) -> Step:
        return cls(
            project=project,
            asset=str(context.asset_key.path[-1]),
            partition=context.partition_key,
            dimension=recipe.dimension,
            reads=recipe.reads,
            writes=recipe.writes,
            context=context,
        )

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
        frames = [self.project.warehouse.read(table, where) for where in self.partitions_of(*found.values())]
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
                self.project.replies,
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

    def requests(self, run_id: str = "") -> pl.DataFrame:
        """What a run (this one) asked for this partition, one row per question; an answer paid for wins over a cache
        hit."""
        from resources.ledger import rows_for

        run = run_id or self.run_id
        rows = rows_for(self.project.replies, run_id=run, asset=self.asset, partition=self.partition)
        return rows.sort("request_id", "cached", "at").unique("request_id", keep="first", maintain_order=True)

    def progress(self, label: str = "") -> Callback:
        """A (done, total) callback that draws a bar or writes to the run's log."""
        name = f"{self.asset} [{self.partition}]" + (f" {label}" if label else "")
        return reporter(name, self.context.log.info)
