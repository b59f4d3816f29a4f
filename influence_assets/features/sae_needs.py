"""What the methods that use an SAE ask of a contrast."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from influence_assets.features.direction_contrast import Contrast, SaeLatents
from resources.errors import InputError


def need_sae(contrast: Contrast, method: str) -> SaeLatents:
    """The contrast's SAE; `InputError` without one."""
    if contrast.sae is None:
        raise InputError(
            "the method needs an SAE of this layer, but there is none",
            field=method,
            fix="name an SAE for the model in data/models.yaml, or leave the method out",
        )
    return contrast.sae


def informative(sae: SaeLatents, method: str) -> NDArray[np.int64]:
    """Numbers of the latents whose AUROC is not one half; `InputError` when no latent is left."""
    latents_K = np.flatnonzero(np.nan_to_num(sae.auroc_F, nan=0.5) != 0.5)
    if not latents_K.size:
        raise InputError(
            f"none of the {len(sae.auroc_F)} latents tells the two sides apart",
            field=method,
            fix="use another layer or a wider SAE",
        )
    return latents_K
