"""Decoder rows of the latents that promote what they read (output score), weighted by how much the sides differ.

Arad et al. (arXiv 2505.20063) steer with latents whose output score passes a threshold. The weight of a row is the
difference of the latent's mean activation between the sides, so that the sum is the part of the difference in means
which those latents write.
"""

from __future__ import annotations

import numpy as np

from influence_assets.features.direction_contrast import Contrast, Found, unit
from influence_assets.features.direction_method import Reads
from influence_assets.features.sae_needs import informative, need_sae
from resources.errors import InputError

MIN_OUTPUT_SCORE = 0.01


class SaeFiltered:
    """Uses the latents whose output score is known, at least `MIN_OUTPUT_SCORE`, and whose AUROC is not one half."""

    name = "sae_filtered"
    reads = Reads.TEXT
    default = True
    paired = False
    uses_sae = True

    def find(self, contrast: Contrast) -> tuple[Found, ...]:
        sae = need_sae(contrast, self.name)
        latents_K = informative(sae, self.name)
        score_K = np.nan_to_num(sae.output_score_F[latents_K], nan=-np.inf)
        passing_K = latents_K[score_K >= MIN_OUTPUT_SCORE]
        if not passing_K.size:
            raise InputError(
                f"no latent that tells the sides apart has an output score of {MIN_OUTPUT_SCORE} or more",
                field=self.name,
                value=float(score_K.max()) if np.isfinite(score_K).any() else "no output scores",
                fix="use sae_row, another layer, or an SAE of a later layer",
            )
        summed_D = sae.difference_F[passing_K].astype(np.float64) @ sae.decoder_F_D[passing_K]
        magnitude = float(np.abs(sae.decoder_F_D[passing_K]).max() * np.abs(sae.difference_F[passing_K]).max())
        return (unit(summed_D, layer=contrast.layer, magnitude=magnitude, method=self.name),)


METHOD = SaeFiltered()
