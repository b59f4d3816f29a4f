"""How steering moves a model on the dimensions of one framework, for one matrix or for many draws of it at once.

`shift[..., p, q]` is what steering to p adds to P(right answer) on the statements of q; `levels_P_D` is where personas
stand (sign: the pole; 0: nowhere). `weights[..., p]` counts personas, as in `shares.py`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


def position_shift(shift_P_Q: Floats, levels_Q_D: Floats, weights_Q: Floats) -> Floats:
    """[..., P, D]: how far steering to p moves the position on each dimension toward its high side."""
    poles_Q_D = np.sign(levels_Q_D)
    measured_P_Q = ~np.isnan(shift_P_Q)
    total = np.matmul(np.where(measured_P_Q, shift_P_Q, 0), weights_Q[..., None] * poles_Q_D)
    n = np.matmul(measured_P_Q.astype(weights_Q.dtype), weights_Q[..., None] * np.abs(poles_Q_D))
    return _ratio(total, n)


def unsteered_position(right_P_Q: Floats, levels_Q_D: Floats, weights_Q: Floats) -> Floats:
    """[..., D]: mean probability of the high side without steering, over the personas that stand on the dimension."""
    poles_Q_D = np.sign(levels_Q_D)
    measured_P_Q = ~np.isnan(right_P_Q)
    right_Q = _ratio(np.where(measured_P_Q, right_P_Q, 0).sum(axis=-2), measured_P_Q.sum(axis=-2))
    kept_Q = np.where(np.isnan(right_Q), 0, weights_Q)
    total = np.matmul((kept_Q * (np.nan_to_num(right_Q) - 0.5))[..., None, :], poles_Q_D)[..., 0, :]
    return 0.5 + _ratio(total, np.matmul(kept_Q[..., None, :], np.abs(poles_Q_D))[..., 0, :])


def mean_where(values_P_D: Floats, chosen_P_D: NDArray[np.bool_], weights_P: Floats) -> Floats:
    """[..., D]: mean over the chosen personas of each dimension; nan where none is in the draw."""
    weights_P_D = weights_P[..., None] * chosen_P_D * ~np.isnan(values_P_D)
    return _ratio((np.nan_to_num(values_P_D) * weights_P_D).sum(axis=-2), weights_P_D.sum(axis=-2))


def linearity(values_P: Floats, levels_P: Floats, weights_P: Floats) -> Floats:
    """[...]: R squared of the straight line through the mean shift at each level, the unsteered model being level 0.

    1: equal steps of level move the model by equal steps. Of k points without any order, 1 / (k - 1) is expected.
    """
    points = np.array([0.0, *levels_of(levels_P)])
    means = [
        mean_where(values_P[..., None], (levels_P == level)[:, None], weights_P)[..., 0]
        for level in points[1:].tolist()
    ]
    y_K = np.stack([np.zeros_like(means[0]), *means], axis=-1)
    x_K = points - points.mean()
    centred_K = y_K - y_K.mean(axis=-1, keepdims=True)
    # In units of the largest, so that no square is too small to be a number.
    centred_K = _ratio(centred_K, np.abs(centred_K).max(axis=-1, keepdims=True))
    return _ratio((centred_K @ x_K) ** 2, (x_K @ x_K) * (centred_K**2).sum(axis=-1))


def levels_of(levels_P: Floats) -> list[float]:
    """The levels at which personas stand, 0 left out."""
    return [level for level in np.unique(levels_P).tolist() if level != 0]


def cross_effects(shift_P_Q: Floats, levels_P_D: Floats, weights_P: Floats) -> Floats:
    """[..., D, D]: the change on the statements of dimension e (column) of steering from the low to the high side of d.

    Least squares of shift[p, q] on the products of p's and q's levels, with an intercept on either side, so that what
    makes all answers better or worse is no effect of a trait: B = (L'WL)^-1 L'W G WL (L'WL)^-1, times two levels. nan
    where the draw holds too few personas to tell the dimensions apart, or a cell is missing.
    """
    design_P_K = np.concatenate([np.ones_like(levels_P_D[:, :1]), levels_P_D], axis=1).astype(np.float64)
    weighted_K_P = design_P_K.T * weights_P[..., None, :]
    gram_K_K = weighted_K_P @ design_P_K
    solvable = np.linalg.cond(gram_K_K) < 1e6
    safe_K_K = np.where(solvable[..., None, None], gram_K_K, np.eye(gram_K_K.shape[-1]))
    left_K_P = np.linalg.solve(safe_K_K, weighted_K_P)
    effects_K_K = 2 * left_K_P @ shift_P_Q.astype(np.float64) @ np.swapaxes(left_K_P, -1, -2)
    effects: Floats = np.where(solvable[..., None, None], effects_K_K, np.nan)[..., 1:, 1:]
    return effects


def _ratio(total: NDArray[np.floating], n: NDArray[np.number]) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(total / n, dtype=total.dtype)  # 0 / 0 is nan: nothing measured
