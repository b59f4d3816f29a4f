"""Many tests at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


def benjamini_hochberg(p_N: Floats) -> NDArray[np.float64]:
    """p values adjusted so that rejecting those at or below q keeps the false discovery rate at q.

    Benjamini and Hochberg 1995, by scipy; holds for independent tests and for those that depend positively on one
    another (Benjamini and Yekutieli 2001). nan is a test that was not made: it stays nan and does not count.
    """
    from scipy.stats import false_discovery_control

    made_N = ~np.isnan(p_N)
    adjusted_N = np.full(p_N.shape, np.nan)
    if made_N.any():
        adjusted_N[made_N] = false_discovery_control(p_N[made_N], method="bh")
    return adjusted_N
