"""Two clouds of activations that differ along one axis, and an SAE to read them with."""

from __future__ import annotations

import numpy as np

from influence_assets.features.direction_contrast import Contrast, SaeLatents, Sides
from influence_assets.features.direction_method import all_directions
from influence_assets.stats.auroc import aurocs

WIDTH = 6
METHODS = all_directions()


def latents_of(sides: Sides, decoder_F_D: np.ndarray, *, origin_D: np.ndarray | float = 0.0) -> SaeLatents:
    """Latents that read along their decoder rows, with all that is to be known of them."""
    positive = np.maximum((sides.positive_N_D - origin_D) @ decoder_F_D.T, 0)
    negative = np.maximum((sides.negative_M_D - origin_D) @ decoder_F_D.T, 0)
    member = np.repeat([True, False], [len(positive), len(negative)])[None]
    score = aurocs(np.concatenate([positive, negative]), member)[0]
    passes = np.where(np.arange(len(decoder_F_D)) % 2 == 0, 0.5, 0.001)
    return SaeLatents(decoder_F_D, score, positive.mean(axis=0) - negative.mean(axis=0), passes)


def contrast_at(seed: int, n: int = 9, distance: float = 3.0) -> Contrast:
    """Paired sides; an odd number of pairs, so that no count of pairs ties."""
    rng = np.random.default_rng(seed)
    axis = rng.standard_normal(WIDTH)
    shift = distance * axis / np.linalg.norm(axis)
    sides = Sides(rng.standard_normal((n, WIDTH)) + shift, rng.standard_normal((n, WIDTH)) * 0.7)
    weak = Sides(rng.standard_normal((n, WIDTH)), rng.standard_normal((n, WIDTH)))
    decoder = rng.standard_normal((12, WIDTH))
    return Contrast(
        layer=2,
        sides=sides,
        paired=True,
        by_layer={1: weak, 2: sides},
        sae=latents_of(sides, decoder),
        seed=seed,
    )
