"""What says whether a direction is one: how it ranks held-out texts, and whether opposites lie on opposite sides."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from influence_assets.features.direction_contrast import Contrast, Float64s, Sides
from influence_assets.features.direction_method import DirectionMethod, Reads
from influence_assets.stats.auroc import auroc_intervals
from influence_assets.stats.intervals import Interval
from resources.errors import InputError

Floats = NDArray[np.floating]


def heldout_auroc(vector_D: Float64s, positive_N_D: Floats, negative_M_D: Floats) -> Interval:
    """Probability that a held-out text of the category lies farther along the vector than one of its contrast.

    With the interval of `stats.auroc.auroc_intervals`. Raises `InputError` for activations of another width.
    """
    sides = Sides(positive_N_D, negative_M_D)
    _same_width(vector_D, sides)
    found = auroc_intervals((sides.positive_N_D @ vector_D)[:, None], (sides.negative_M_D @ vector_D)[:, None])
    return Interval(float(found.value_F[0]), float(found.low_F[0]), float(found.high_F[0]))


def opposite_cosine(vector_D: Float64s, opposite_M_D: Floats, elsewhere_K_D: Floats) -> float:
    """Cosine of a category's direction with the way from neutral texts to its opposite's texts, both held out.

    Neutral are the pooled texts of all *other* factors. The direction that is stored for a category is found against
    its opposite, so that the two directions of a pair are each other's negative whatever the texts say; this asks
    texts that had no part in it instead. Below 0, adding the vector leads away from the opposite as seen from neutral;
    0 for a vector that has nothing to do with it, such as a random one. It must be below 0 for both categories of a
    pair: where one of them is no different from neutral, the other's direction has 0 here.

    It does not tell opposites from two categories that are merely different (at equal distance in unrelated ways: -.7);
    `pole_cosine` does, at its own price.
    """
    sides = Sides(opposite_M_D, elsewhere_K_D)
    _same_width(vector_D, sides)
    way_D = sides.difference_D()
    length = float(np.linalg.norm(way_D))
    return float(np.clip(vector_D @ way_D / length, -1.0, 1.0)) if length > 0 else 0.0


def pole_cosine(
    method: DirectionMethod, category_N_D: Floats, opposite_M_D: Floats, elsewhere_K_D: Floats, *, layer: int, seed: int
) -> float | None:
    """Cosine between two directions that a method finds: of a category and of its opposite, each against neutral texts.

    Stricter than `opposite_cosine`: two unrelated categories have 0, and what both share (that either speaks of the
    factor at all) raises it, so that true opposites may lie above 0 as well. A value below 0 is strong evidence, one
    above 0 is weak evidence of the contrary.

    None for methods that need pairs or an SAE, find a series, or read no activations: none of these can be asked.
    """
    if method.paired or method.uses_sae or method.reads is Reads.NOTHING:
        return None
    contrasts = [
        Contrast(layer=layer, sides=Sides(side, elsewhere_K_D), seed=seed) for side in (category_N_D, opposite_M_D)
    ]
    one, other = (method.find(contrast) for contrast in contrasts)
    if len(one) != 1:
        return None
    return float(np.clip(one[0].vector_D @ other[0].vector_D, -1.0, 1.0))


def _same_width(vector_D: Float64s, sides: Sides) -> None:
    if sides.width != len(vector_D):
        raise InputError(
            f"the direction is {len(vector_D)} wide, the activations {sides.width}",
            field="activations",
            fix="take both from one layer of one model",
        )
