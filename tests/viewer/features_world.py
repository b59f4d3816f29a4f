"""A published store of features and joint measures for tests of their pages, with effects that a test can look for."""

from __future__ import annotations

from pathlib import Path

from influence_assets.project import Project
from influence_assets.viewer.store import Store
from tests.browser import viewer_world as world
from tests.viewer import features_rows

TRAITS = ("openness", "narcissism")


def project(root: Path) -> Path:
    """A project folder with everything that the two pages show but side effects."""
    return world.write(root, world.gathered([features_rows.inside(TRAITS), features_rows.joint(TRAITS)]))


def store(root: Path) -> Store:
    """The same as a store."""
    return Store(Project(project(root)).warehouse)
