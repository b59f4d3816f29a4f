"""Everything that the Dagster UI shows, assembled in one place."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping

import dagster as dg

from influence_assets import automation, schedules, sources, watching
from influence_assets.partitions import PROJECT
from influence_assets.project import ProjectResource
from influence_assets.step_pool import steps_executor

FAMILIES = ("personas", "influence", "features", "steerability", "joint")
"""In the order of the graph: the assets of a family may read what those before it write."""


def build_defs(resources: Mapping[str, object] | None = None) -> dg.Definitions:
    """All assets, checks, sensors, schedules and resources. Tests hand in resources of their own."""
    modules = [importlib.import_module(f"influence_assets.{family}.assets") for family in FAMILIES]
    made = dg.load_assets_from_modules(modules)
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
        executor=_executor(),
    )


def _executor() -> dg.ExecutorDefinition:
    if PROJECT.study.executor.kind == "ray":
        from influence_assets.ray_steps import ray_executor

        return ray_executor(PROJECT)
    return steps_executor(PROJECT.study.executor.at_once)


defs = build_defs()
