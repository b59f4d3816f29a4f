"""First principal component of pairs centred on their middle, as repeng's `pca_center` takes it.

It finds the difference between the sides only while that is larger than twice the noise within pairs; below that it
returns the noise (tests/features/test_directions_oracle.py, B2). Difference in means has no such limit.
"""

from __future__ import annotations

import numpy as np

from influence_assets.features.direction_contrast import Contrast, Found
from influence_assets.features.direction_method import Reads, need_pairs
from influence_assets.features.principal import first_component


class PcaCenter:
    """The sign is that under which more pairs have their positive row on top."""

    name = "pca_center"
    reads = Reads.TEXT
    default = True
    paired = True
    uses_sae = False

    def find(self, contrast: Contrast) -> tuple[Found, ...]:
        need_pairs(contrast, self.name)
        positive_N_D = contrast.sides.positive_N_D.astype(np.float64)
        negative_N_D = contrast.sides.negative_M_D.astype(np.float64)
        half_N_D = (positive_N_D - negative_N_D) / 2
        return (first_component(np.concatenate([half_N_D, -half_N_D]), contrast, self.name),)


METHOD = PcaCenter()
