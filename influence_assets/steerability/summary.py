"""One row of `steerability.summary`, from a value and its draws."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from influence_assets.stats.intervals import centred


class SummaryRow(NamedTuple):
    """A score over personas. nan becomes null when the table is made."""

    framework: str
    score: str
    value: float
    ci_low: float
    ci_high: float
    chance: float
    n: int


def summary_row(
    framework: str,
    score: str,
    value: np.floating | float | NDArray[np.floating],
    draws_B: NDArray[np.floating],
    *,
    chance: float,
    n: int,
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> SummaryRow:
    """The value with its interval, widened for `n` resampled personas; no interval with fewer than two."""
    number = float(value)
    if n < 2 or math.isnan(number):
        return SummaryRow(framework, score, number, math.nan, math.nan, chance, n)
    low, high = centred(number, draws_B, n_units=n, bounds=bounds)
    return SummaryRow(framework, score, number, float(low), float(high), chance, n)
