"""Decoder row of the latent that tells the two sides apart best, turned toward the positive side."""

from __future__ import annotations

import numpy as np

from influence_assets.features.direction_contrast import Contrast, Found, unit
from influence_assets.features.direction_method import Reads
from influence_assets.features.sae_needs import informative, need_sae


class SaeRow:
    """Best: AUROC farthest from one half, then largest difference of mean activation, then lowest number."""

    name = "sae_row"
    reads = Reads.TEXT
    default = True
    paired = False
    uses_sae = True

    def find(self, contrast: Contrast) -> tuple[Found, ...]:
        sae = need_sae(contrast, self.name)
        latents_K = informative(sae, self.name)
        distance_K = np.round(np.abs(sae.auroc_F[latents_K] - 0.5), 12)
        order_K = np.lexsort((latents_K, -np.abs(sae.difference_F[latents_K]), -distance_K))
        best = int(latents_K[order_K[0]])
        row_D = sae.decoder_F_D[best] * np.sign(sae.auroc_F[best] - 0.5)
        return (unit(row_D, layer=contrast.layer, magnitude=1.0, method=self.name),)


METHOD = SaeRow()
