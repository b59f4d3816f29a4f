"""Every score of one persona from a matrix, for one matrix or for many draws of it at once.

`a[..., p, q]` is the accuracy of the model steered to p on the statements of q. `weights[..., p]` says how often
persona p stands in the draw (all one for the data themselves). A copy of p in a draw is p itself, so it is no
competitor of p. All results have shape [..., P]; nan means that there is nothing to compare.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


def own(a_P_Q: Floats) -> Floats:
    """A[p, p]."""
    diagonal: Floats = np.diagonal(a_P_Q, axis1=-2, axis2=-1)
    return diagonal


def transposed(a_P_Q: Floats) -> Floats:
    """A[q, p], contiguous."""
    return np.ascontiguousarray(np.swapaxes(a_P_Q, -1, -2))


def mid_rank(a_P_Q: Floats, weights_P: Floats) -> Floats:
    """Share of the other tests on which p does worse than on its own, ties counting half (= AUC, chance .5).

    Sensitivity of A; specificity of its transpose (share of the other steered personas that do worse on p's test).
    """
    wins_P_Q = np.sign(own(a_P_Q)[..., None] - a_P_Q)
    measured_P_Q = ~np.isnan(wins_P_Q)
    wins_P_Q = np.where(measured_P_Q, wins_P_Q * 0.5 + 0.5, 0)
    _blank_diagonal(wins_P_Q)
    return _ratio(_weighted(wins_P_Q, weights_P), _other_weight(measured_P_Q, weights_P))


def max_rank(a_P_Q: Floats, weights_P: Floats) -> Floats:
    """Share of all tests, the own among them, on which p does no better than on its own: `rank(pct=True, "max")`.

    Copies of p count, as ties. Chance is (P + 1) / 2P without ties, and 1 with nothing but ties.
    """
    own_P = own(a_P_Q)
    measured_P_Q = ~np.isnan(a_P_Q)
    wins_P_Q = (a_P_Q <= own_P[..., None]).astype(a_P_Q.dtype)
    total = _weighted(measured_P_Q.astype(a_P_Q.dtype), weights_P)
    return np.where(np.isnan(own_P), np.nan, _ratio(_weighted(wins_P_Q, weights_P), total))


def won_outright(a_P_Q: Floats, weights_P: Floats) -> Floats:
    """1 where p does better on its own test than on every other, else 0."""
    own_P = own(a_P_Q)
    others_P_Q = np.where(np.isnan(a_P_Q) | (weights_P[..., None, :] == 0), -np.inf, a_P_Q)
    _blank_diagonal(others_P_Q, -np.inf)
    best_P = others_P_Q.max(axis=-1)
    return np.where(np.isnan(own_P) | np.isneginf(best_P), np.nan, own_P > best_P)


def others_mean(a_P_Q: Floats, weights_P: Floats) -> Floats:
    """Mean of A[p, q] over the others q."""
    measured_P_Q = ~np.isnan(a_P_Q)
    kept_P_Q = np.where(measured_P_Q, a_P_Q, 0)
    _blank_diagonal(kept_P_Q)
    return _ratio(_weighted(kept_P_Q, weights_P), _other_weight(measured_P_Q, weights_P))


def double_centred(a_P_Q: Floats, weights_P: Floats) -> Floats:
    """A[p, p] less p's mean over all tests, less the mean over all steered personas on p's test, plus the grand mean.

    What steering to p does on p's test beyond what it does everywhere and beyond how easy that test is. Chance is 0; a
    diagonal that stands d above a flat rest scores d (1 - 1/P). In a sparse design means are over measured cells.
    """
    rows_P = _mean(a_P_Q, weights_P)
    columns_P = _mean(transposed(a_P_Q), weights_P)
    return own(a_P_Q) - rows_P - columns_P + persona_mean(rows_P, weights_P)[..., None]


def persona_mean(values_P: Floats, weights_P: Floats) -> Floats:
    """Mean over personas, each counted by its weight; those without a value have none."""
    measured_P = ~np.isnan(values_P)
    weights_P = np.where(measured_P, weights_P, 0)
    return _ratio((np.where(measured_P, values_P, 0) * weights_P).sum(axis=-1), weights_P.sum(axis=-1))


def _mean(a_P_Q: Floats, weights_Q: Floats) -> Floats:
    measured_P_Q = ~np.isnan(a_P_Q)
    total = _weighted(np.where(measured_P_Q, a_P_Q, 0), weights_Q)
    return _ratio(total, _weighted(measured_P_Q.astype(weights_Q.dtype), weights_Q))


def _weighted(values_P_Q: Floats, weights_Q: Floats) -> Floats:
    product: Floats = np.matmul(values_P_Q, weights_Q[..., None])[..., 0]
    return product


def _other_weight(measured_P_Q: NDArray[np.bool_], weights_Q: Floats) -> Floats:
    if measured_P_Q.all():
        others: Floats = weights_Q.sum(axis=-1, keepdims=True) - weights_Q
        return others
    others_P_Q = measured_P_Q.astype(weights_Q.dtype)
    _blank_diagonal(others_P_Q)
    return _weighted(others_P_Q, weights_Q)


def _blank_diagonal(a_P_Q: Floats, value: float = 0.0) -> None:
    index = np.arange(a_P_Q.shape[-1])
    a_P_Q[..., index, index] = value


def _ratio(total: Floats, n: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio: Floats = total / n  # 0 / 0 is nan: nothing to compare with
    return ratio
