"""Linear probe: the weights of a logistic regression of the side on the activations, L2 chosen by cross-validation.

Activations are centred and divided by one number, not per dimension: the penalty then treats all directions alike, and
turning the space turns the probe. Since the weights lie in the span of the examples, the fit is done there, which is
the same solution and does not grow with the width of the model.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from influence_assets.features.direction_contrast import NEGLIGIBLE, Contrast, Float64s, Found, Sides, unit
from influence_assets.features.direction_method import Reads
from resources.errors import InputError

FOLDS = 5
STRENGTHS = np.logspace(-3, 3, 7)


class _Span(NamedTuple):
    """Examples in the coordinates of their own span: activations = middle + scale * (coordinates @ basis)."""

    coordinates_N_K: Float64s
    basis_K_D: Float64s
    scale: float


class Probe:
    """Folds are drawn with the contrast's seed; the strongest penalty wins among equally good ones."""

    name = "probe"
    reads = Reads.TEXT
    default = True
    paired = False
    uses_sae = False

    def find(self, contrast: Contrast) -> tuple[Found, ...]:
        from sklearn.linear_model import LogisticRegression

        sides = contrast.sides
        label_N = np.repeat([1, 0], [len(sides.positive_N_D), len(sides.negative_M_D)])
        span = _span(sides)
        fold_N = np.concatenate([_folds(len(side), contrast.seed) for side in (sides.positive_N_D, sides.negative_M_D)])
        losses = [_held_out_loss(span.coordinates_N_K, label_N, fold_N, strength) for strength in STRENGTHS]
        model = LogisticRegression(C=STRENGTHS[int(np.argmin(np.round(losses, 9)))], solver="newton-cholesky", tol=1e-9)
        model.fit(span.coordinates_N_K, label_N)
        weights_D = (model.coef_[0] @ span.basis_K_D) / span.scale
        # Weights are per unit of activation, so that they are measured against its inverse.
        return (unit(weights_D, layer=contrast.layer, magnitude=1 / sides.magnitude, method=self.name),)


def _span(sides: Sides) -> _Span:
    acts_N_D = np.concatenate([sides.positive_N_D, sides.negative_M_D]).astype(np.float64)
    acts_N_D -= (sides.positive_N_D.mean(axis=0, dtype=np.float64) + sides.negative_M_D.mean(axis=0)) / 2
    scale = float(np.sqrt((acts_N_D**2).sum(axis=1).mean()))
    if scale <= NEGLIGIBLE * sides.magnitude:
        raise InputError(
            "all examples have the same activations",
            field=Probe.name,
            value=scale,
            fix="check that the texts differ, and that the layer is the right one",
        )
    left_N_K, sizes_K, basis_K_D = np.linalg.svd(acts_N_D / scale, full_matrices=False)
    kept_K = sizes_K > sizes_K[0] * 1e-10
    return _Span((left_N_K * sizes_K)[:, kept_K], basis_K_D[kept_K], scale)


def _folds(n: int, seed: int) -> NDArray[np.int64]:
    """Fold of each of n examples. It depends on n and the seed alone, so that pairs stay in one fold."""
    fold_N = np.empty(n, dtype=np.int64)
    fold_N[np.random.default_rng(seed).permutation(n)] = np.arange(n) % min(FOLDS, n)
    return fold_N


def _held_out_loss(
    coordinates_N_K: Float64s, label_N: NDArray[np.int64], fold_N: NDArray[np.int64], strength: float
) -> float:
    """Mean negative log likelihood of the left-out folds; inf where a fold leaves only one class to learn from."""
    from sklearn.linear_model import LogisticRegression

    total = 0.0
    for fold in np.unique(fold_N):
        inside_N = fold_N != fold
        if len(np.unique(label_N[inside_N])) < 2:
            return float("inf")
        model = LogisticRegression(C=strength, solver="newton-cholesky", tol=1e-9)
        model.fit(coordinates_N_K[inside_N], label_N[inside_N])
        signed_N = np.where(label_N[~inside_N] == 1, -1.0, 1.0) * model.decision_function(coordinates_N_K[~inside_N])
        total += float(np.logaddexp(0.0, signed_N).sum())
    return total / len(label_N)


METHOD = Probe()
