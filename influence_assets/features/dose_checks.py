"""What a dose response costs, and whether it is steering at all: the frontier, and regression to chance.

A vector that only confuses the model also moves scores: toward chance, whatever its sign.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from influence_assets.features.dose import logit
from influence_assets.stats.intervals import LEVEL, Interval, percentile
from influence_assets.stats.resampling import counts

Floats = NDArray[np.floating]

KL_BOUND = 0.1
"""Nats of KL to the unsteered model on neutral text within which a shift is reported."""

CHANCE = 0.5
"""P(high) of a model that answers at random: two of four options are high."""

FINE_CLIP = 1e-4
"""Scores of single items are cut to [FINE_CLIP, 1 - FINE_CLIP] before the logit."""

_NAN = float("nan")


class FrontierPoint(NamedTuple):
    """The largest shift within the bound, and where it is reached; all nan where no point is within it."""

    coefficient: float
    shift: float
    kl: float


def frontier(coefficients_C: Floats, shift_C: Floats, kl_C: Floats, *, bound: float = KL_BOUND) -> FrontierPoint:
    """The largest |shift| at KL <= bound, shift and KL interpolated linearly between neighbouring coefficients.

    Of equal shifts the one at the smaller |coefficient| counts. A point with an unknown shift or KL is left out, and
    nothing is interpolated across it.
    """
    if not coefficients_C.shape == shift_C.shape == kl_C.shape or coefficients_C.ndim != 1:
        raise ValueError(
            f"{coefficients_C.shape} coefficients, {shift_C.shape} shifts and {kl_C.shape} KL; one of each"
        )
    order_C = np.argsort(coefficients_C)
    points = [
        FrontierPoint(float(c), float(s), float(k))
        for c, s, k in zip(coefficients_C[order_C], shift_C[order_C], kl_C[order_C], strict=True)
    ]
    within = [point for point in points if all(map(math.isfinite, point)) and point.kl <= bound]
    # Shift and KL are linear between neighbours, so a largest shift lies at a point or where the KL meets the bound.
    for first, second in pairwise(points):
        if all(map(math.isfinite, first + second)) and (first.kl - bound) * (second.kl - bound) < 0:
            part = (bound - first.kl) / (second.kl - first.kl)
            within.append(
                FrontierPoint(_between(first[0], second[0], part), _between(first[1], second[1], part), bound)
            )
    if not within:
        return FrontierPoint(_NAN, _NAN, _NAN)
    return max(within, key=lambda point: (abs(point.shift), -abs(point.coefficient)))


@dataclass(frozen=True, slots=True)
class TowardChance:
    """Correlation over items of (shift, chance minus baseline), on the scale of P(high) and on that of logits."""

    scores: Interval
    logits: Interval

    @property
    def toward(self) -> bool:
        """Whether items move toward chance beyond what a shift of all of them by equal logits explains."""
        return self.logits.low > 0


def toward_chance(base_N: Floats, steered_N: Floats, *, draws: int, seed: int, level: float = LEVEL) -> TowardChance:
    """How the shift of N items depends on the distance of their unsteered score from chance; nan items are left out.

    On the scale of P(high) the correlation is above 0 for true steering too: items near the end that they are steered
    to have no room. On the scale of logits, an equal shift of all items correlates with nothing, while a model that
    loses the question shrinks all logits toward 0. Intervals by bootstrap over items; nan with fewer than three items,
    or where shift or baseline never vary.
    """
    if base_N.shape != steered_N.shape or base_N.ndim != 1:
        raise ValueError(f"{base_N.shape} and {steered_N.shape} scores do not pair")
    known_N = np.isfinite(base_N) & np.isfinite(steered_N)
    base_N, steered_N = base_N[known_N], steered_N[known_N]
    base_logit_N = logit(base_N, FINE_CLIP)
    return TowardChance(
        scores=_correlation(steered_N - base_N, CHANCE - base_N, draws, seed, level),
        logits=_correlation(logit(steered_N, FINE_CLIP) - base_logit_N, -base_logit_N, draws, seed, level),
    )


def regresses_to_chance(positive: TowardChance, negative: TowardChance) -> bool:
    """The flag of a curve: at the largest coefficients of both signs, items move toward chance: damage."""
    return positive.toward and negative.toward


def _between(first: float, second: float, part: float) -> float:
    return first + part * (second - first)


def _correlation(x_N: Floats, y_N: Floats, draws: int, seed: int, level: float) -> Interval:
    """Pearson's correlation with its percentile interval over items."""
    if x_N.size < 3:
        return Interval(_NAN, _NAN, _NAN)
    # Rounding leaves a spread in shifts that are all the same; a correlation with it would be noise.
    if np.ptp(x_N) <= 1e-12 or np.ptp(y_N) <= 1e-12:
        return Interval(_NAN, _NAN, _NAN)
    x_N, y_N = x_N - x_N.mean(), y_N - y_N.mean()
    value = float(_weighted(np.ones((1, x_N.size)), x_N, y_N)[0])
    weights_B_N = counts(x_N.size, draws, np.random.default_rng(seed)).astype(np.float64)
    low, high = percentile(_weighted(weights_B_N, x_N, y_N), level, n_units=x_N.size)
    return Interval(value, max(-1.0, float(low)), min(1.0, float(high)))


def _weighted(weights_B_N: NDArray[np.float64], x_N: Floats, y_N: Floats) -> NDArray[np.float64]:
    n_B = weights_B_N.sum(axis=1)
    x_B, y_B = weights_B_N @ x_N / n_B, weights_B_N @ y_N / n_B
    covariance_B = weights_B_N @ (x_N * y_N) / n_B - x_B * y_B
    variances_B = (weights_B_N @ x_N**2 / n_B - x_B**2) * (weights_B_N @ y_N**2 / n_B - y_B**2)
    floor = 1e-12 * float((x_N**2).mean() * (y_N**2).mean())
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(variances_B > floor, covariance_B / np.sqrt(np.maximum(variances_B, floor)), _NAN)
