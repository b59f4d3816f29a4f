"""Difference in means under shuffled labels: what the method finds where there is nothing but these texts.

A relabelling exchanges as many rows as a uniform one would. Which rows is drawn from the size of a side alone, so that
sides of equal size exchange rows of equal number: whole pairs where the sides are paired, and the vectors turn around
with the sides.
"""

from __future__ import annotations

import numpy as np

from influence_assets.features.direction_contrast import Contrast, Found, Sides, unit
from influence_assets.features.direction_method import Reads

DRAWS = 10


class Shuffled:
    """Ten relabellings, seeded by index."""

    name = "shuffled"
    reads = Reads.TEXT
    default = True
    paired = False
    uses_sae = False

    def find(self, contrast: Contrast) -> tuple[Found, ...]:
        relabelled = [_relabelled(contrast.sides, contrast.seed, index) for index in range(DRAWS)]
        return tuple(
            unit(sides.difference_D(), layer=contrast.layer, magnitude=sides.magnitude, method=self.name, index=index)
            for index, sides in enumerate(relabelled)
        )


def _relabelled(sides: Sides, seed: int, index: int) -> Sides:
    n, m = len(sides.positive_N_D), len(sides.negative_M_D)
    small, large = min(n, m), max(n, m)
    exchanged = small - int(np.random.default_rng([seed, index]).hypergeometric(small, large, small))
    from_N = np.random.default_rng([seed, index, n]).permutation(n)
    from_M = np.random.default_rng([seed, index, m]).permutation(m)
    return Sides(
        np.concatenate([sides.positive_N_D[from_N[exchanged:]], sides.negative_M_D[from_M[:exchanged]]]),
        np.concatenate([sides.negative_M_D[from_M[exchanged:]], sides.positive_N_D[from_N[:exchanged]]]),
    )


METHOD = Shuffled()
