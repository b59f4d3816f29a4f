"""What reruns by itself: partitions that were made once and are out of date, as far as the study allows.

An asset that asks no model reruns as soon as everything above it is fresh; one that asks models costs money or time and
reruns only where `automation.costly` of `data/study.yaml` is true. What was never made is made by a person.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import AutomationCondition, AutomationContext, AutomationResult

from influence_assets.freshness import Freshness, Place
from influence_assets.partitions import PROJECT
from influence_assets.project import Snapshot
from influence_assets.recipes import Recipe
from influence_assets.study import AutomationSettings

TICK_S = 15


class _Judged(AutomationCondition[dg.AssetKey]):
    """Partitions of which something is true by the files and the warehouse as they are now."""

    def holds(self, freshness: Freshness, place: Place) -> bool:
        raise NotImplementedError

    def evaluate(self, context: AutomationContext[dg.AssetKey]) -> AutomationResult[dg.AssetKey]:
        freshness = _freshness_at(PROJECT.root, context.evaluation_time)
        found = {
            one
            for one in context.candidate_subset.expensively_compute_asset_partitions()
            if one.partition_key is not None and self.holds(freshness, (one.asset_key, one.partition_key))
        }
        subset = context.asset_graph_view.get_asset_subset_from_asset_partitions(context.key, found)
        return AutomationResult(context, true_subset=subset)


class Settled(_Judged):
    """Partitions that were made once and above which everything is fresh.

    Dagster's own `any_deps_updated` looks one step up: an asset that reads two tables of a chain would run after each
    of them, the first time on rows that do not belong together. With this it waits until the last of them is right.
    """

    @property
    def description(self) -> str:
        return "it was made before, and everything above it is fresh"

    def holds(self, freshness: Freshness, place: Place) -> bool:
        return freshness.is_settled(place)


class OutOfDate(_Judged):
    """Partitions whose rows were made from other inputs than there are now."""

    @property
    def description(self) -> str:
        return "its rows were made from other inputs than there are now"

    def holds(self, freshness: Freshness, place: Place) -> bool:
        return not freshness.is_current(place)


@lru_cache(maxsize=1)
def _freshness_at(root: Path, moment: datetime) -> Freshness:
    """One look at the files and the warehouse per tick, for all assets."""
    del moment
    return Freshness(Snapshot(root))


def condition(recipe: Recipe, settings: AutomationSettings) -> AutomationCondition[dg.AssetKey] | None:
    """When an asset reruns by itself; None when only a person or a schedule reruns it."""
    if recipe.asks is not None and not settings.costly:
        return None
    settled: AutomationCondition[Any] = Settled()
    failed: AutomationCondition[Any] = AutomationCondition.execution_failed()
    changed: AutomationCondition[Any] = (
        AutomationCondition.any_deps_match(AutomationCondition.data_version_changed())
        | AutomationCondition.code_version_changed()
    )
    return (
        settled
        # What only touches columns that are not read is a new version all the same; the run then reuses the rows.
        & (OutOfDate() | changed.since_last_handled())
        & ~AutomationCondition.in_progress()
        # After a failure it waits for a change; trying the same again would fail again, and may cost again.
        & (~failed | changed.since(failed.newly_true())).with_label("did not fail since the last change")
    ).with_label("made from inputs that have changed")


def sensor() -> dg.AutomationConditionSensorDefinition:
    """Asks all conditions, a few times a minute, in the process that has this code."""
    return dg.AutomationConditionSensorDefinition(
        name="rerun_what_is_out_of_date",
        target=dg.AssetSelection.all(),
        minimum_interval_seconds=TICK_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        # Conditions of our own are asked where our code is.
        use_user_code_server=True,
        description="Reruns partitions that were made from inputs that have changed, step by step along the graph.",
    )
