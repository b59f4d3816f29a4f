"""Says yes to everything: what a score gives to a model that agrees with whatever it is asked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from influence_assets.steerability.method import Case, Tests


class AlwaysAgree:
    """P(agree) is 1."""

    name = "always_agree"
    uses_statements = False

    def p_agree(self, cases: Sequence[Case], tests: Tests) -> NDArray[np.float64]:
        return np.ones((len(cases), len(tests.texts)))


METHOD = AlwaysAgree()
