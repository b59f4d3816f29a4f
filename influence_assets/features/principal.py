"""The first principal component of paired activations, with the sign that repeng gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from influence_assets.features.direction_contrast import Contrast, Found, unit

if TYPE_CHECKING:
    from influence_assets.features.direction_contrast import Float64s


def first_component(rows_N_D: Float64s, contrast: Contrast, method: str) -> Found:
    """The direction of largest variance among `rows_N_D`; its norm is the standard deviation along it.

    Turned around when more pairs have their negative row above the positive than the other way; on a tie it keeps the
    sign of scikit-learn's `PCA` (the entry of largest size is positive). `InputError` when all rows are equal.
    """
    from sklearn.decomposition import PCA

    sides = contrast.sides
    # Exact at any size: the solver that "auto" may choose for large matrices draws at random.
    with np.errstate(invalid="ignore"):  # rows that are all equal have no variance to divide by
        fitted = PCA(n_components=1, svd_solver="full").fit(rows_N_D)
    spread = float(np.sqrt(fitted.explained_variance_[0]))
    component_D: Float64s = fitted.components_[0]
    heights_N = (sides.positive_N_D.astype(np.float64) - sides.negative_M_D) @ component_D
    sign = -1.0 if (heights_N < 0).sum() > (heights_N > 0).sum() else 1.0
    return unit(sign * spread * component_D, layer=contrast.layer, magnitude=sides.magnitude, method=method)
