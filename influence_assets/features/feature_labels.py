"""Which texts show which category, and in which half they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resources.errors import InputError

Booleans = NDArray[np.bool_]

MIN_TEXTS = 2


@dataclass(frozen=True, slots=True)
class FactorLabels:
    """The category of each of N texts in one factor; None for texts that say nothing of the factor."""

    factor: str
    categories_N: Sequence[str | None]

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories that occur, by name: an order that no half of the texts decides."""
        return tuple(sorted({name for name in self.categories_N if name is not None}))

    def members(self, category: str) -> Booleans:
        """[N]: the texts of a category."""
        return np.array([name == category for name in self.categories_N], dtype=np.bool_)

    def labelled(self) -> Booleans:
        """[N]: the texts of any category of the factor."""
        return np.array([name is not None for name in self.categories_N], dtype=np.bool_)


def check_labels(labels: Sequence[FactorLabels], heldout_N: Booleans) -> None:
    """Raise `InputError` unless every category has texts, and others to compare with, in both halves."""
    names = [one.factor for one in labels]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError("the factor stands twice", field=twice[0], fix="give each factor's labels once")
    for one in labels:
        if len(one.categories_N) != len(heldout_N):
            raise InputError(
                f"{len(one.categories_N)} labels for {len(heldout_N)} texts", field=one.factor, fix="label every text"
            )
        for category in one.categories:
            for half, inside_N in (("selection", ~heldout_N), ("held-out", heldout_N)):
                n_own = int((one.members(category) & inside_N).sum())
                n_others = int((one.labelled() & ~one.members(category) & inside_N).sum())
                if min(n_own, n_others) < MIN_TEXTS:
                    raise InputError(
                        f"the {half} half has {n_own} texts of the category and {n_others} of the factor's others",
                        field=f"{one.factor}.{category}",
                        fix=f"give at least {MIN_TEXTS} of each",
                    )
