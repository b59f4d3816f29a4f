"""Tosses a seeded coin for every answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from influence_assets.steerability.method import Case, Tests
from influence_assets.steerability.splits import seeded


class Coin:
    """P(agree) is 0 or 1 with equal chance."""

    name = "coin"
    uses_statements = False

    def p_agree(self, cases: Sequence[Case], tests: Tests) -> NDArray[np.float64]:
        tosses = [
            seeded(tests.seed, "coin", case.persona.framework, case.persona.persona_id, case.repeat).integers(
                0, 2, size=len(tests.texts)
            )
            for case in cases
        ]
        return np.array(tosses, dtype=np.float64).reshape(len(cases), len(tests.texts))


METHOD = Coin()
