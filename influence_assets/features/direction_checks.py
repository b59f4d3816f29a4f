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
    if sides.width != len(vector_D):
        raise InputError(
            f"the direction is {len(vector_D)} wide, the activations {sides.width}",
            field="activations",
            fix="take both from one layer of one model",
        )
    found = auroc_intervals((sides.positive_N_D @ vector_D)[:, None], (sides.negative_M_D @ vector_D)[:, None])
    return Interval(float(found.value_F[0]), float(found.low_F[0]), float(found.high_F[0]))


def opposite_cosine(
    method: DirectionMethod, category_N_D: Floats, opposite_M_D: Floats, elsewhere_K_D: Floats, *, layer: int, seed: int
) -> float | None:
    """Cosine between the direction of a category and that of its opposite, each found against neutral texts.

    The direction that is stored for a category is found against its opposite, so that the two are each other's negative
    whatever the texts say. Here either category is contrasted with the pooled texts of all *other* factors instead.
    Below 0 the two leave the neutral texts on opposite sides; above 0 what they share (that both speak of the factor at
    all) outweighs what sets them apart, and "low" is not the reverse of "high". What they share only ever raises it.

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
