"""From a plain function to a Dagster asset: read whole partitions, compute, land whole partitions, say what happened.

`@landed(...)` is the one way in which rows get into the warehouse. It promises:
- the lineage is what the code reads: an asset declares the tables that it reads and writes, the files that it reads and
  the models that it asks; its Dagster dependencies follow from them, and reading an undeclared table is an error;
- a partition whose inputs did not change is not computed again: its rows are reused and no model is asked;
- rows land whole or not at all, with their provenance; the catalogue is published before the asset reports success;
- what models were asked lands in `ledger.requests`, what was made of what in `ledger.materializations`.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of the assets as they are.

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg
import polars as pl

from influence_assets import automation, landing, lineage
from influence_assets.interrupts import stop_if_interrupted
from influence_assets.machines import step_tags
from influence_assets.partitions import FAMILIES, FRAMEWORKS, PROJECT
from influence_assets.project import ProjectResource
from influence_assets.recipes import WRITERS, Asks, Files, Recipe, remember
from influence_assets.slices import Slice, sliced
from influence_assets.step import Step
from influence_assets.step_pool import alike_tags
from resources.tables import Table

Frames = Mapping[Table, pl.DataFrame]
Compute = Callable[[Step], Frames]
Show = Callable[[Step], Mapping[str, dg.MetadataValue]]
Check = Callable[[Step], Sequence[dg.AssetCheckResult]]


@dataclass(frozen=True)
class _Shown:
    """What an asset says of its rows: metadata and plots, and checks."""

    show: Show | None
    check: Check | None


def landed(
    *,
    group: str,
    partitions: dg.PartitionsDefinition[str],
    writes: Sequence[Table | Slice],
    version: str,
    reads: Sequence[Table | Slice] = (),
    name: str = "",
    family: str = "",
    asks: Asks | None = None,
    asks_alike: str = "",
    files: Files | None = None,
    entry_fields: Sequence[str] = (),
    show: Show | None = None,
    check: Check | None = None,
    checks: Sequence[str] = (),
    blocking: Sequence[str] = (),
    kinds: frozenset[str] = frozenset(),
) -> Callable[[Compute], dg.AssetsDefinition]:
    """Make a plain function from `Step` to frames an asset that lands them.

    `asks` names the models whose answers the rows depend on, `files` what is read beside tables and settings, and
    `entry_fields` the fields of the model's own entry in `data/models.yaml` that the rows depend on; the asset's
    sources follow from these. Assets with the same `asks_alike` have questions in common: side by side they would pay
    for those twice, so they are made one after the other. `show` makes metadata and plots from the landed rows; `check`
    gives one result per name in `checks` and `blocking` (a failed blocking check stops what is downstream). `name` is
    the asset's, when it is not the function's, and `family` the first part of its key, when it is not the group.
    """
    recipe = Recipe(
        partitions, tuple(map(sliced, reads)), tuple(map(sliced, writes)), version, asks, files, tuple(entry_fields)
    )

    def wrap(compute: Compute) -> dg.AssetsDefinition:
        key = dg.AssetKey([family or group, name or compute.__name__])
        remember(key, recipe)

        @dg.asset(
            key=key,
            group_name=group,
            description=inspect.getdoc(compute),
            deps=[*_dependencies(recipe.reads, partitions), *lineage.source_deps(key, recipe)],
            partitions_def=partitions,
            code_version=version,
            automation_condition=automation.condition(recipe, PROJECT.study.automation),
            kinds={"duckdb", "parquet", *kinds},
            op_tags=step_tags(PROJECT.study.executor, key.path[-1]) | alike_tags(asks_alike),
            owners=["team:influence-assets"],
            metadata=landing.table_metadata([one.table for one in recipe.writes]),
            check_specs=[*_check_specs(key, checks), *_check_specs(key, blocking, blocking=True)],
        )
        def asset(context: dg.AssetExecutionContext, project: ProjectResource):  # type: ignore[no-untyped-def]
            return _materialize(Step.of(context, project.open(), recipe), recipe, compute, _Shown(show, check))

        return asset

    return wrap


def about_traits(iteration: int) -> str:
    """`asks_alike` of the families that ask a checkpoint what persona it is and where it stands on traits."""
    return f"the model of iteration {iteration} about traits"


def _check_specs(key: dg.AssetKey, names: Sequence[str], *, blocking: bool = False) -> list[dg.AssetCheckSpec]:
    return [dg.AssetCheckSpec(name, asset=key, blocking=blocking) for name in names]


def _dependencies(reads: Sequence[Slice], partitions: dg.PartitionsDefinition[str]) -> list[dg.AssetDep]:
    writers = dict(WRITERS[one.key] for one in reads)
    return [dg.AssetDep(key, partition_mapping=_mapping(up, partitions)) for key, up in writers.items()]


def _mapping(upstream: dg.PartitionsDefinition[str], own: dg.PartitionsDefinition[str]) -> dg.PartitionMapping | None:
    """A model's partition stands on the study's frameworks and families; everything else maps key to key."""
    if upstream is own:
        return None
    if upstream is FRAMEWORKS:
        return dg.SpecificPartitionsPartitionMapping(list(PROJECT.study.personas.frameworks))
    if upstream is FAMILIES:
        return dg.SpecificPartitionsPartitionMapping(list(PROJECT.study.influence.families))
    return dg.AllPartitionMapping()


def _materialize(step: Step, recipe: Recipe, compute: Compute, shown: _Shown) -> dg.MaterializeResult[None]:
    stop_if_interrupted()
    started = datetime.now(UTC)
    inputs = recipe.inputs(step)
    reused = not step.forced and step.landed_from(inputs)
    if not reused:
        landing.land(step, compute(step), inputs, recipe.version)
    landing.record(step, inputs, recipe.version, started, reused=reused)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(step.data_version()),
        metadata={**landing.metadata(step, reused), **(shown.show(step) if shown.show else {})},
        check_results=[*(shown.check(step) if shown.check else ())],
    )
