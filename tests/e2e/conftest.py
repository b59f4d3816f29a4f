"""End-to-end tests work in project folders of their own."""

from tests.projects import demonstrated, influence, project

__all__ = ["demonstrated", "influence", "project"]
