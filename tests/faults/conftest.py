"""Tests of faults compare with what the same study gives undisturbed."""

from tests.e2e.influence_projects import trained

__all__ = ["trained"]
