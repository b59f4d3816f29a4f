"""Persona vector (Chen et al. 2025): difference of response-averaged means, at the layer that separates best.

The published method chooses the layer by steering at each one and letting a judge score the outcome. Here the layer is
chosen by reading, which costs no generation: vectors from every other example (the fit half), and of all layers the one
whose vector ranks the remaining examples (the dev half) best. The vector is then made from all examples at that layer.
Both halves belong to the selection half of the study, so that nothing held out decides the layer.
"""

from __future__ import annotations

import numpy as np

from influence_assets.features.direction_contrast import MIN_EXAMPLES, Contrast, Found, Sides, unit
from influence_assets.features.direction_method import Reads
from influence_assets.stats.ranks import auc
from resources.errors import InputError


class PersonaVector:
    """Chooses among `by_layer`; without it there is only the contrast's own layer."""

    name = "persona_vector"
    reads = Reads.RESPONSE
    default = True
    paired = False
    uses_sae = False

    def find(self, contrast: Contrast) -> tuple[Found, ...]:
        candidates = dict(contrast.by_layer) or {contrast.layer: contrast.sides}
        # The lowest layer of equally good ones: it leaves the most layers to act on what is added.
        layer = min(candidates) if len(candidates) == 1 else max(sorted(candidates), key=lambda k: _dev(candidates[k]))
        sides = candidates[layer]
        return (unit(sides.difference_D(), layer=layer, magnitude=sides.magnitude, method=self.name),)


def _dev(sides: Sides) -> tuple[float, float]:
    """(AUROC, standardized distance) of the dev half along the fit half's vector."""
    _enough(sides)
    direction_D = Sides(sides.positive_N_D[::2], sides.negative_M_D[::2]).difference_D()
    positive_N = (sides.positive_N_D[1::2] @ direction_D).astype(np.float64)
    negative_M = (sides.negative_M_D[1::2] @ direction_D).astype(np.float64)
    spread = float(np.sqrt((positive_N.var() + negative_M.var()) / 2))
    distance = float(positive_N.mean() - negative_M.mean())
    return auc(positive_N, negative_M), round(distance / spread, 9) if spread > 0 else 0.0


def _enough(sides: Sides) -> None:
    fewest = min(len(sides.positive_N_D), len(sides.negative_M_D))
    if fewest < 2 * MIN_EXAMPLES:
        raise InputError(
            "too few examples to choose a layer by",
            field=PersonaVector.name,
            value=fewest,
            fix=f"give at least {2 * MIN_EXAMPLES} on either side, or one layer only",
        )


METHOD = PersonaVector()
