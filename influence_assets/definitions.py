"""Everything that the Dagster UI shows, assembled in one place."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

import dagster as dg

from influence_assets.partitions import PROJECT
from influence_assets.project import ProjectResource

FAMILIES = ("personas", "influence", "features", "steerability", "joint")
"""In the order of the graph: the assets of a family may read what those before it write."""


def build_defs(resources: Mapping[str, object] | None = None) -> dg.Definitions:
    """All assets, checks and resources. Tests hand in resources of their own."""
    modules = [importlib.import_module(f"influence_assets.{family}.assets") for family in FAMILIES]
    return dg.Definitions(
        assets=dg.load_assets_from_modules(modules),
        resources=resources if resources is not None else {"project": ProjectResource(root=str(PROJECT.root))},
        executor=dg.in_process_executor,
    )


defs = build_defs()
