"""Contrastive activation addition (Rimsky et al. 2024, equation 1): the mean difference over pairs at the answer.

A pair is one item with the letter of its high and of its low option appended; activations are those at that letter.
Over whole pairs the mean difference equals the difference of means, so what makes this method is where it reads.
"""

from __future__ import annotations

import numpy as np

from influence_assets.features.direction_contrast import Contrast, Found, unit
from influence_assets.features.direction_method import Reads, need_pairs


class ContrastiveActivationAddition:
    """Refuses sides that are not paired."""

    name = "caa"
    reads = Reads.ANSWER
    default = True
    paired = True
    uses_sae = False

    def find(self, contrast: Contrast) -> tuple[Found, ...]:
        need_pairs(contrast, self.name)
        sides = contrast.sides
        differences_N_D = sides.positive_N_D.astype(np.float64) - sides.negative_M_D
        mean_D = differences_N_D.mean(axis=0)
        return (unit(mean_D, layer=contrast.layer, magnitude=sides.magnitude, method=self.name),)


METHOD = ContrastiveActivationAddition()
