"""End-to-end tests work in project folders of their own."""

from tests.e2e.features_projects import featured
from tests.e2e.influence_projects import trained
from tests.projects import demonstrated, influence, project

__all__ = ["demonstrated", "featured", "influence", "project", "trained"]
