"""Seeing edits: a sensor that hashes what people edit and reports what has changed."""

# No `from __future__ import annotations` here: Dagster reads the annotations of its functions as they are.

import json

import dagster as dg

from influence_assets.project import Project, ProjectResource
from influence_assets.sources import VERSION_TAG, Source, Versions, observations, observed_versions, sources

TICK_S = 15
_LOOK_BACK = 2_000
"""Observations of one source that are looked through; what was seen longer ago is reported once more."""


@dg.sensor(
    name="edited_files",
    minimum_interval_seconds=TICK_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Sees edits of environments, frameworks, rubrics and model entries; what stands on them is stale.",
)
def edited_files(context: dg.SensorEvaluationContext, project: ProjectResource) -> dg.SensorResult:
    """Report every source whose content is not what it was at the last look; the cursor remembers the hashes."""
    before = json.loads(context.cursor or "{}")
    now = observed_versions(project.open())
    return dg.SensorResult(asset_events=observations(now, before), cursor=json.dumps(now))


def observe_now(instance: dg.DagsterInstance, project: Project) -> None:
    """Report every source whose content is not what the instance last heard of.

    The command line calls it before its runs, so that they are recorded as made from what lies there now.
    """
    before = {source.name: _last_seen(instance, source) for source in sources()}
    for event in observations(observed_versions(project), before):
        instance.report_runless_asset_event(event)


def _last_seen(instance: dg.DagsterInstance, source: Source) -> Versions:
    newest_first = [record.asset_observation for record in instance.fetch_observations(source.key, _LOOK_BACK).records]
    seen: Versions = {}
    for one in newest_first:
        if one is not None:
            seen.setdefault(one.partition or "", one.tags.get(VERSION_TAG, ""))
    return seen
