"""End-to-end tests work in project folders of their own."""

from tests.projects import influence, project

__all__ = ["influence", "project"]
