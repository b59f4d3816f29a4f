"""Sides of a contrast out of kept activations: a category against its opposite, or against the rest of its factor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from influence_assets.features.backgrounds import Factor, Half
from influence_assets.features.direction_contrast import Sides
from influence_assets.features.text_sets import Label

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Labelled:
    """Activations of one text set by layer, with the label of each row."""

    acts: dict[int, Floats]
    labels: Sequence[Label]
    scales: dict[int, float]

    def rows(self, factor: str, categories: Sequence[str], half: Half) -> list[int]:
        """The rows of some categories of a factor, by pair, so that two sides with the same pairs line up."""
        own = [
            (label.pair or "", number)
            for number, label in enumerate(self.labels)
            if label.factor == factor and label.category in categories and label.half == half.value
        ]
        return [number for _, number in sorted(own)]

    def pairs(self, rows: Sequence[int]) -> list[str | None]:
        return [self.labels[row].pair for row in rows]

    def sides(self, factor: Factor, category: str, half: Half, layer: int) -> tuple[Sides, bool] | None:
        """The category's rows and its contrast's, and whether they pair; None where either side is missing."""
        own = self.rows(factor.name, [category], half)
        other = self.rows(factor.name, contrast_of(factor, category), half)
        if len(own) < 2 or len(other) < 2:
            return None
        paired = None not in self.pairs(own) and self.pairs(own) == self.pairs(other)
        return Sides(self.acts[layer][own], self.acts[layer][other]), paired

    def elsewhere(self, factor: str, half: Half, layer: int) -> Floats:
        """The rows of all other factors."""
        rows = [n for n, label in enumerate(self.labels) if label.factor != factor and label.half == half.value]
        return self.acts[layer][rows]


def contrast_of(factor: Factor, category: str) -> list[str]:
    """What a category is contrasted with: its opposite, or every other category of its factor."""
    opposite = factor.opposite(category)
    return [opposite] if opposite is not None else [name for name in factor.categories if name != category]
