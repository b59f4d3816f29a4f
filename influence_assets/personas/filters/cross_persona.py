"""Diversity across personas: near-duplicates between personas are kept only as the two halves of a contrast pair."""

from __future__ import annotations

from collections.abc import Sequence

from influence_assets.personas.contrast import Unit
from influence_assets.personas.filters.diversity import greedy_decisions
from influence_assets.personas.neighbours import Rows, greedy
from influence_assets.personas.records import Decision, Filter


def cross_persona(units: Sequence[Unit], vectors_U: Rows, threshold: float) -> list[Decision]:
    """One decision per member of each unit, greedy in the order of the units over the whole framework.

    `vectors_U`: one unit row per unit, (n_units, features). The halves of a contrast pair are one unit, so they never
    meet here; any other two units with a similarity above the threshold do, and the later one is dropped.
    """
    return greedy_decisions(units, greedy(vectors_U, threshold), Filter.CROSS_PERSONA, threshold)
