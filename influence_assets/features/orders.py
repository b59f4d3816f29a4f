"""The orders in which the four options of a trait item are shown.

A model prefers some places over others. Over the orders `all` and `cyclic` each option stands in each place equally
often, so that such a preference adds the same to all four. The two `public` orders do not: they are those of the
published trait test, for the compatible hard score.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from itertools import permutations

import numpy as np
from numpy.typing import NDArray


class Option(IntEnum):
    """The four options of an item, and their places on the last axis of every `_4` array of shares."""

    HIGH1 = 0
    HIGH2 = 1
    LOW1 = 2
    LOW2 = 3


Order = tuple[Option, Option, Option, Option]
"""The options at A, B, C and D."""

FORWARD: Order = (Option.HIGH1, Option.LOW1, Option.HIGH2, Option.LOW2)
REVERSE: Order = (Option.LOW1, Option.HIGH1, Option.LOW2, Option.HIGH2)


class Orders(StrEnum):
    """Which orders every item is asked in: all 24, 4 that are rotations of one another, or the 2 public ones."""

    ALL = "all"
    CYCLIC = "cyclic"
    PUBLIC = "public"


def option_orders(orders: Orders) -> tuple[Order, ...]:
    """The orders that a name stands for. `cyclic` begins with the public forward order, where the poles alternate."""
    if orders is Orders.ALL:
        return tuple((a, b, c, d) for a, b, c, d in permutations(Option))
    if orders is Orders.PUBLIC:
        return (FORWARD, REVERSE)
    a, b, c, d = FORWARD
    return ((a, b, c, d), (b, c, d, a), (c, d, a, b), (d, a, b, c))


def order_name(order: Order) -> str:
    """What tables say of an order: the options at A, B, C and D, as in `high1 low1 high2 low2`."""
    return " ".join(option.name.lower() for option in order)


def by_option(letters_x_4: NDArray[np.floating], order: Order) -> NDArray[np.float64]:
    """What A, B, C and D have (on the last axis) as what high1, high2, low1 and low2 have."""
    shares_x_4 = np.empty(np.shape(letters_x_4), dtype=np.float64)
    shares_x_4[..., list(order)] = letters_x_4
    return shares_x_4
