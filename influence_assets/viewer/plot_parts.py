"""What the pages' pictures share: looks, values with their intervals, names as text, and a picture of nothing."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from influence_assets.pictures import canvas, literal, png
from influence_assets.viewer.text import one_line

Floats = NDArray[np.float64]

# Okabe and Ito's colours, told apart by colour-blind eyes; markers tell them apart in grey.
LOOKS = (
    ("#0072B2", "o"),
    ("#D55E00", "^"),
    ("#009E73", "s"),
    ("#CC79A7", "D"),
    ("#000000", "v"),
    ("#E69F00", "P"),
    ("#56B4E9", "X"),
    ("#5b6673", "p"),
)
CONTROL = "#c9ced4"
"""What controls are drawn in."""


def ends(
    rows: pl.DataFrame, column: str, *, low: str = "ci_low", high: str = "ci_high"
) -> tuple[Floats, Floats, Floats]:
    """Value, and its distances to the ends of its interval; an end that is missing is the value itself."""
    known = rows.select(value=column, low=pl.coalesce(low, column), high=pl.coalesce(high, column))
    value, below, above = (
        known[name].cast(pl.Float64).fill_null(float("nan")).to_numpy() for name in ("value", "low", "high")
    )
    return value, np.abs(value - below), np.abs(above - value)


def name(text: object, limit: int) -> str:
    """Somebody's name, on one line and without effect."""
    return literal(one_line(text, limit))


def nothing(title: str, why: str = "nothing was measured") -> bytes:
    """A picture that says that there is nothing to draw."""
    figure, (axes,) = canvas(5.0, 1.4)
    axes.text(0.5, 0.5, why, ha="center", va="center", transform=axes.transAxes)
    axes.set_axis_off()
    axes.set_title(name(title, 90), fontsize=10)
    return png(figure)
