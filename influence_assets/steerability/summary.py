"""One row of `steerability.summary`, from a value and its draws."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from influence_assets.stats.intervals import Interval
from influence_assets.steerability.estimates import overall


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
) -> SummaryRow:
    """The value with the expanded percentile interval of its draws; no interval with fewer than two personas."""
    number = float(value)
    ends = overall(number, draws_B, n) if not math.isnan(number) else Interval(number, math.nan, math.nan)
    return SummaryRow(framework, score, *ends, chance=chance, n=n)
