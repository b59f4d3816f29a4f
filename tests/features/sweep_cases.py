"""Rows of directions that nobody computed, and answers with shifts that are known."""

from __future__ import annotations

from influence_assets.features.direction_records import DirectionRow
from influence_assets.features.sweep import RANDOM, SHUFFLED, Subject
from resources.content import sha256_of

TRAITS = ("warmth", "pride", "order")


def direction(factor: str, category: str, method: str, index: int = 0) -> DirectionRow:
    name = sha256_of([factor, category, method, index])[:16]
    ends = (None,) * 5
    return DirectionRow(
        name, "m", 0, 1, "layers.1", factor, category, method, index, "", f"{name}.safetensors", 1.0, 1.0, "", *ends, 0
    )


def subject(factor: str, category: str, method: str, index: int = 0) -> Subject:
    return Subject(factor, category, method, index, direction(factor, category, method, index))


def directions() -> list[DirectionRow]:
    """Two methods for both poles of each trait, one for a factor without items, and both kinds of null."""
    rows = [
        direction(trait, category, method)
        for trait in TRAITS
        for category in ("high", "low")
        for method in ("difference_in_means", "probe")
    ]
    rows += [direction("age", "old", "probe")]
    rows += [direction(trait, "high", SHUFFLED, index) for trait in TRAITS for index in range(2)]
    return [*rows, *(direction("", "", RANDOM, index) for index in range(3))]
