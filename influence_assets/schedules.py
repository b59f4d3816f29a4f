"""What runs by the clock: every night, the models of `data/models.yaml` that say `schedule: true`."""

# No `from __future__ import annotations` here: Dagster reads the annotations of its functions as they are.

from collections.abc import Iterator

import dagster as dg

from influence_assets.partitions import MODELS, PROJECT
from influence_assets.project import ProjectResource
from influence_assets.recipes import RECIPES
from influence_assets.step import SCOPE_TAG

NIGHTLY = "nightly"


def nightly() -> dg.ScheduleDefinition:
    """One run per scheduled model through everything that is made per model, at the study's `automation.nightly`.

    What has not changed since is reused and asks nobody. All runs of one night share one budget. The schedule is on
    from the start, since an entry of `data/models.yaml` has to ask for it.
    """
    keys = [key for key, recipe in RECIPES.items() if recipe.partitions == MODELS]
    settings = PROJECT.study.automation

    @dg.schedule(
        name=NIGHTLY,
        job=dg.define_asset_job("every_model", selection=dg.AssetSelection.assets(*keys)),
        cron_schedule=settings.nightly,
        execution_timezone=settings.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Brings every model with `schedule: true` in `data/models.yaml` up to date.",
    )
    def every_night(
        context: dg.ScheduleEvaluationContext, project: ProjectResource
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        night = context.scheduled_execution_time.date().isoformat()
        known = MODELS.get_partition_keys()
        names = [entry.name for entry in project.open().registry.models if entry.schedule and entry.name in known]
        if not names:
            yield dg.SkipReason("no entry of data/models.yaml says schedule: true")
        for name in names:
            yield dg.RunRequest(run_key=f"{night} {name}", partition_key=name, tags={SCOPE_TAG: f"{NIGHTLY} {night}"})

    return every_night
