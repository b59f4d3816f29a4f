"""Scores of items by condition, out of the rows of `features.trait_answers`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from influence_assets.features.trait_scores import ItemScores, score_items
from influence_assets.features.trait_tables import TraitAnswer
from resources.messages import Status

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ItemTable:
    """P(high) of every item under every condition. Items of one trait stand in the same order everywhere."""

    scores: dict[tuple[str, str], ItemScores]
    item_ids: dict[str, tuple[str, ...]]

    @classmethod
    def of(cls, answers: Iterable[TraitAnswer], *, min_mass: float) -> ItemTable:
        """Raises `ValueError` where a condition has other items or orders of a trait than the first one that it had."""
        groups: dict[tuple[str, str], list[TraitAnswer]] = {}
        for answer in answers:
            groups.setdefault((answer.condition, answer.trait), []).append(answer)
        shapes: dict[str, tuple[tuple[str, str], ...]] = {}
        scores, item_ids = {}, {}
        for (condition, trait), members in groups.items():
            members.sort(key=lambda one: (one.item_id, one.order))
            shape = tuple((one.item_id, one.order) for one in members)
            if shapes.setdefault(trait, shape) != shape:
                raise ValueError(f"{condition}: not the items and orders of {trait} that other conditions have")
            item_ids[trait] = tuple(dict.fromkeys(one.item_id for one in members))
            scores[condition, trait] = _scored(members, len(item_ids[trait]), min_mass)
        return cls(scores, item_ids)

    def has(self, condition: str, trait: str) -> bool:
        """Whether a trait's items were asked under a condition."""
        return (condition, trait) in self.scores

    def p_high(self, condition: str, trait: str) -> Floats:
        """[N]: P(high) of the trait's items; nan where void, and throughout where they were not asked."""
        found = self.scores.get((condition, trait))
        return np.full(len(self.item_ids[trait]), math.nan) if found is None else found.p_high_N

    def mass(self, condition: str, trait: str) -> float:
        """Mean mass on the letters over the trait's items; nan when unknown."""
        found = self.scores.get((condition, trait))
        known = np.empty(0) if found is None else found.mass_N[np.isfinite(found.mass_N)]
        return float(known.mean()) if known.size else math.nan


def _scored(answers: Sequence[TraitAnswer], n_items: int, min_mass: float) -> ItemScores:
    shape = (n_items, len(answers) // n_items)
    shares = [[_nan(p) for p in (one.p_high1, one.p_high2, one.p_low1, one.p_low2)] for one in answers]
    statuses = [Status(one.status) for one in answers]
    return score_items(
        np.array(shares, dtype=np.float64).reshape(*shape, 4),
        np.array([_nan(one.mass) for one in answers], dtype=np.float64).reshape(shape),
        [statuses[i : i + shape[1]] for i in range(0, len(statuses), shape[1])],
        min_mass=min_mass,
    )


def _nan(value: float | None) -> float:
    return math.nan if value is None else value
