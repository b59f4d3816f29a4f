"""Everything that the Dagster UI shows, assembled in one place."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import dagster as dg

from influence_assets import automation, schedules, sources, watching
from influence_assets.influence import assets as influence_assets
from influence_assets.partitions import PROJECT
from influence_assets.personas import assets as persona_assets
from influence_assets.project import ProjectResource
from influence_assets.steerability import assets as steerability_assets


def build_defs(resources: Mapping[str, object] | None = None) -> dg.Definitions:
    """All assets, checks, sensors, schedules and resources. Tests hand in resources of their own."""
    made = dg.load_assets_from_modules([persona_assets, steerability_assets, influence_assets])
    with warnings.catch_warnings():
        # Dagster calls observed sources, and conditions that are asked where our code is, betas; versions are pinned.
        warnings.simplefilter("ignore", dg.BetaWarning)
        watched = [sources.observed_asset(source) for source in sources.sources()]
        reruns = automation.sensor()
    return dg.Definitions(
        assets=[*made, *watched],
        sensors=[watching.edited_files, reruns],
        schedules=[schedules.nightly()],
        resources=resources if resources is not None else {"project": ProjectResource(root=str(PROJECT.root))},
        executor=dg.in_process_executor,
    )


defs = build_defs()
