"""How many runs go on at once: Dagster's queue, with the provider of each run's model as a tag.

`dagster.yaml` then bounds runs per provider (`concurrency.runs.tag_concurrency_limits`, key `influence/provider`),
wherever they come from: a backfill of 500 models in the UI, a schedule, the automation. Dagster's pools cannot say
that, since a pool belongs to an asset and the provider to a partition.
"""

from __future__ import annotations

from dagster import DagsterRun
from dagster._core.run_coordinator import QueuedRunCoordinator, SubmitRunContext

from influence_assets.project import Project, find_root
from resources.errors import InputError
from resources.registry import ModelEntry, ProviderName

PROVIDER_TAG = "influence/provider"
PARTITION_TAG = "dagster/partition"


class ProviderQueue(QueuedRunCoordinator):
    """Dagster's own queue; a run of one model's partition is tagged with who answers for that model."""

    def submit_run(self, context: SubmitRunContext) -> DagsterRun:
        """Tag the run and queue it. A run without a model's partition, or with bad files, is queued as it is."""
        run = context.dagster_run
        account = account_of(run.tags.get(PARTITION_TAG, ""))
        if account and PROVIDER_TAG not in run.tags:
            self._instance.add_run_tags(run.run_id, {PROVIDER_TAG: account})
        return super().submit_run(context)


def account_of(partition: str) -> str:
    """Who answers for a model: its server where it has one of its own, else its provider; empty for no model."""
    try:
        entries = {entry.name: entry for entry in Project(find_root()).registry.models}
    except InputError:
        # The run itself says what is wrong with the file; here it only must not be lost.
        return ""
    return _account(entries[partition]) if partition in entries else ""


def _account(entry: ModelEntry) -> str:
    if entry.provider is ProviderName.LOCAL or not entry.base_url:
        return entry.provider.value
    return entry.base_url
