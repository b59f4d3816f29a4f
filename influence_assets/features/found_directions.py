"""What a method found, as a direction that can be written."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from influence_assets.features.direction_contrast import Found
from resources.direction_files import Direction, Origin, Reading, Sign

IMPORTED = Path("data") / "imports" / "directions"
"""Where imported directions lie; the next run of features/directions lists them as the method `imported`."""


class Stream(NamedTuple):
    """The residual stream after one block: the block's name in the model, the width, and the mean length of a row."""

    hook: str
    width: int
    scale: float


def direction_of(
    found: Found,
    stream: Stream,
    *,
    model: str,
    iteration: int,
    factor: str,
    category: str,
    method: str,
    sae: str = "",
    sign: Sign = Sign.CATEGORY,
    reading: Reading | None = None,
) -> Direction:
    """What a method found in the stream of `found.layer`, as a direction that can be written."""
    origin = Origin(
        model=model,
        iteration=iteration,
        layer=found.layer,
        hook=stream.hook,
        factor=factor,
        category=category,
        method=method,
        index=found.index,
        sae=sae,
        sign=sign,
        norm=found.norm,
        scale=float(stream.scale),
    )
    return Direction(origin, found.vector_D, reading=reading)
