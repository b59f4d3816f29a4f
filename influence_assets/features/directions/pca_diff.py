"""First principal component of the differences of pairs: repeng's default, kept for comparison only.

Decomposing the differences removes their mean, which is the very difference looked for, so that the method returns the
largest noise among pairs (tests/features/test_directions_oracle.py, B). It is never run unless a study names it.
"""

from __future__ import annotations

import numpy as np

from influence_assets.features.direction_contrast import Contrast, Found
from influence_assets.features.direction_method import Reads, need_pairs
from influence_assets.features.principal import first_component


class PcaDiff:
    """The sign is that under which more pairs have their positive row on top."""

    name = "pca_diff"
    reads = Reads.TEXT
    default = False
    paired = True
    uses_sae = False

    def find(self, contrast: Contrast) -> tuple[Found, ...]:
        need_pairs(contrast, self.name)
        differences_N_D = contrast.sides.positive_N_D.astype(np.float64) - contrast.sides.negative_M_D
        return (first_component(differences_N_D, contrast, self.name),)


METHOD = PcaDiff()
