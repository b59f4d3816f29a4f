"""Random directions: the null that any steering effect is measured against."""

from __future__ import annotations

import numpy as np

from influence_assets.features.direction_contrast import Contrast, Found, unit
from influence_assets.features.direction_method import Reads

DRAWS = 32


class Random:
    """Gaussian vectors scaled to length 1. Vector i depends on the seed, i and the width alone, not on the texts."""

    name = "random"
    reads = Reads.NOTHING
    default = True
    paired = False
    uses_sae = False

    def find(self, contrast: Contrast) -> tuple[Found, ...]:
        width = contrast.sides.width
        return tuple(
            unit(
                np.random.default_rng([contrast.seed, index]).standard_normal(width),
                layer=contrast.layer,
                magnitude=1.0,
                method=self.name,
                index=index,
            )
            for index in range(DRAWS)
        )


METHOD = Random()
