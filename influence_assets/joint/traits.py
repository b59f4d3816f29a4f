"""Trait scores of checkpoints without steering, and how they changed, item by item."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from influence_assets.features.item_scores import ItemTable
from influence_assets.features.trait_asking import UNSTEERED
from influence_assets.features.trait_tables import TraitAnswer
from influence_assets.joint.changes import Change, Clusters, Resampled, paired_change


def trait_changes(
    base: Sequence[TraitAnswer], then: Sequence[TraitAnswer], *, min_mass: float, draws: int, seed: int
) -> Iterator[tuple[str, Change]]:
    """Trait and change of mean P(high) over the held-out items that count in both checkpoints.

    A trait without such an item is left out. Raises `ValueError` where the two were not asked the same items.
    """
    before, after = (ItemTable.of(answers, min_mass=min_mass) for answers in (base, then))
    if before.item_ids != after.item_ids:
        raise ValueError("the two checkpoints were not asked the same trait items")
    for trait in before.item_ids:
        base_N, then_N = (table.p_high(UNSTEERED.name, trait) for table in (before, after))
        both_N = np.isfinite(base_N) & np.isfinite(then_N)
        n = int(both_N.sum())
        if n:
            clusters = Clusters.single(n, Resampled.ITEMS)
            yield trait, paired_change(then_N[both_N], base_N[both_N], clusters, draws=draws, seed=seed)
