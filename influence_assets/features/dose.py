"""Dose response: how a trait's items answer to steering with C coefficients, coefficient 0 among them. Pure numpy.

`p_high_C_N` holds P(high) of N items at C coefficients; nan is void. All shifts are paired: an item counts at a
coefficient when it is valid there and at 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from influence_assets.stats.intervals import LEVEL, Interval
from influence_assets.stats.resampling import bootstrap_mean

Floats = NDArray[np.floating]

CLIP = 0.01
"""Mean scores are cut to [CLIP, 1 - CLIP] before the logit, so that no point of a curve is infinite."""

STILL = 1e-9
"""A shift of an item up to this size is no move."""

_NAN = float("nan")


@dataclass(frozen=True)
class DoseResponse:
    """The curve of one direction on one trait, in order of rising coefficient.

    shift_C      mean over items of P(high) minus P(high) at 0, with its interval; 0 at 0; nan where no item counts
    n_C          items behind it
    level_C      the mean score at 0 plus the shift, so that items that are void at some coefficients do not move it
    spearman     rank correlation of coefficient and level
    slope        least-squares slope of the level, per unit of coefficient
    slope_logits the same of logit(level cut to [CLIP, 1 - CLIP])
    wrong_way    share of items whose score moves against the sign of the coefficient, over both ends of the curve
    """

    coefficients_C: NDArray[np.float64]
    shift_C: tuple[Interval, ...]
    n_C: tuple[int, ...]
    level_C: NDArray[np.float64]
    spearman: float
    slope: float
    slope_logits: float
    wrong_way: float

    def shift_at(self, coefficient: float) -> Interval:
        """The shift at one coefficient of the curve. Raises `ValueError` when it is none."""
        return self.shift_C[_row(self.coefficients_C, coefficient)]


def dose_response(
    coefficients_C: Floats, p_high_C_N: Floats, *, draws: int, seed: int, level: float = LEVEL
) -> DoseResponse:
    """The statistics of one dose response; intervals by bootstrap over items.

    Raises `ValueError` unless there is one row per coefficient, each coefficient once and finite, 0 among them.
    """
    _check(coefficients_C, p_high_C_N)
    order_C = np.argsort(coefficients_C)
    coefficients_C = np.asarray(coefficients_C, dtype=np.float64)[order_C]
    p_high_C_N = np.asarray(p_high_C_N, dtype=np.float64)[order_C]
    base_N = p_high_C_N[_row(coefficients_C, 0.0)]
    shift_C_N = p_high_C_N - base_N
    shift_C = tuple(_shift(shift_N, draws, seed, level) for shift_N in shift_C_N)
    at_zero = float(np.mean(base_N[np.isfinite(base_N)])) if np.isfinite(base_N).any() else _NAN
    level_C = at_zero + np.array([shift.value for shift in shift_C])
    return DoseResponse(
        coefficients_C=coefficients_C,
        shift_C=shift_C,
        n_C=tuple(int(n) for n in np.isfinite(shift_C_N).sum(axis=1)),
        level_C=level_C,
        spearman=spearman(coefficients_C, level_C),
        slope=slope(coefficients_C, level_C),
        slope_logits=slope(coefficients_C, logit(level_C)),
        wrong_way=wrong_way(coefficients_C, shift_C_N),
    )


def logit(p_x: Floats, clip: float = CLIP) -> NDArray[np.float64]:
    """ln(p / (1 - p)) with p cut to [clip, 1 - clip]; nan stays nan."""
    cut_x = np.clip(np.asarray(p_x, dtype=np.float64), clip, 1 - clip)
    return np.log(cut_x) - np.log1p(-cut_x)


def spearman(x_C: Floats, y_C: Floats) -> float:
    """Spearman's rank correlation over the points that are known; nan with fewer than two or where one never varies."""
    x, y = _known(x_C, y_C)
    if x.size < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return _NAN
    from scipy import stats  # slow to import

    return float(stats.spearmanr(x, y).statistic)


def slope(x_C: Floats, y_C: Floats) -> float:
    """Least-squares slope of y on x over the points that are known; nan with fewer than two different x."""
    x, y = _known(x_C, y_C)
    if x.size < 2 or np.ptp(x) == 0:
        return _NAN
    centred = x - x.mean()
    return float(centred @ (y - y.mean()) / (centred @ centred))


def wrong_way(coefficients_C: Floats, shift_C_N: Floats) -> float:
    """Share of items that score lower at the largest positive coefficient, or higher at the most negative one.

    Both ends are pooled, an item counting once at each where it is valid. nan without a coefficient other than 0.
    """
    ends = [(int(np.argmax(coefficients_C)), 1.0), (int(np.argmin(coefficients_C)), -1.0)]
    ends = [(row, sign) for row, sign in ends if sign * coefficients_C[row] > 0]
    moves = np.concatenate([np.empty(0), *(sign * shift_C_N[row] for row, sign in ends)])
    moves = moves[np.isfinite(moves)]
    return float((moves < -STILL).mean()) if moves.size else _NAN


def z_against_null(shift: float, null_shifts_R: Floats) -> float:
    """How many standard deviations a shift lies from those of R random directions at the same coefficient.

    (shift - mean) / sd, sd with R - 1. nan with fewer than two known null shifts, or where they are all the same.
    """
    known_R = null_shifts_R[np.isfinite(null_shifts_R)]
    if known_R.size < 2 or np.ptp(known_R) == 0 or not math.isfinite(shift):
        return _NAN
    return float((shift - known_R.mean()) / known_R.std(ddof=1))


def specificity(shift_T_T: Floats) -> NDArray[np.float64]:
    """[T]: |own shift| over the mean |shift on the other traits| of the direction of each trait.

    Row: the trait that the direction is of; column: the trait that is tested, in the same order. Unknown shifts of
    other traits are left out. inf where no other trait moves and the own one does; nan where neither moves, where the
    own shift is unknown, or no other is known. Raises `ValueError` for a matrix that is not square.
    """
    if shift_T_T.ndim != 2 or shift_T_T.shape[0] != shift_T_T.shape[1]:
        raise ValueError(f"shifts of shape {shift_T_T.shape}; directions by traits must be a square")
    size_T_T = np.abs(np.asarray(shift_T_T, dtype=np.float64))
    others_T_T = np.isfinite(size_T_T) & ~np.eye(len(size_T_T), dtype=bool)
    n_T = others_T_T.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_T = np.where(others_T_T, size_T_T, 0.0).sum(axis=1) / n_T
        result_T: NDArray[np.float64] = np.diag(size_T_T) / mean_T
    return result_T


def _shift(shift_N: NDArray[np.float64], draws: int, seed: int, level: float) -> Interval:
    known_N = shift_N[np.isfinite(shift_N)]
    if not known_N.size:
        return Interval(_NAN, _NAN, _NAN)
    return bootstrap_mean(known_N, draws=draws, seed=seed, level=level)


def _row(coefficients_C: Floats, coefficient: float) -> int:
    rows = np.flatnonzero(coefficients_C == coefficient)
    if not rows.size:
        raise ValueError(f"{coefficient} is none of the coefficients {coefficients_C.tolist()}")
    return int(rows[0])


def _known(x_C: Floats, y_C: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    known_C = np.isfinite(x_C) & np.isfinite(y_C)
    return np.asarray(x_C, dtype=np.float64)[known_C], np.asarray(y_C, dtype=np.float64)[known_C]


def _check(coefficients_C: Floats, p_high_C_N: Floats) -> None:
    if p_high_C_N.ndim != 2 or coefficients_C.shape != p_high_C_N.shape[:1]:
        raise ValueError(f"{coefficients_C.shape} coefficients for scores of shape {p_high_C_N.shape}")
    if not np.isfinite(coefficients_C).all() or np.unique(coefficients_C).size < coefficients_C.size:
        raise ValueError(f"coefficients {coefficients_C.tolist()}; each must be finite and stand once")
    _row(coefficients_C, 0.0)
