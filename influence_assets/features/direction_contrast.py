"""What a direction is found from, and what is found: activations of two sides, and unit vectors.

Arrays are float32 or float64; everything is computed in float64. `D` is the width of the residual stream.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from resources.errors import InputError

Floats = NDArray[np.floating]
Float64s = NDArray[np.float64]

MIN_EXAMPLES = 2
# A difference this small beside the activations is rounding, not a direction.
NEGLIGIBLE = 1e-12


@dataclass(frozen=True, slots=True)
class Sides:
    """Activations at one layer: one row per example, positive (the category) and negative (its contrast).

    Raises `InputError` for unequal widths, fewer than two rows on a side, or numbers that are not finite.
    """

    positive_N_D: Floats
    negative_M_D: Floats

    def __post_init__(self) -> None:
        for name, acts in (("positive", self.positive_N_D), ("negative", self.negative_M_D)):
            _check_side(name, acts)
        if self.positive_N_D.shape[1] != self.negative_M_D.shape[1]:
            raise InputError(
                f"the positive side is {self.positive_N_D.shape[1]} wide, the negative side"
                f" {self.negative_M_D.shape[1]}",
                field="activations",
                fix="take both from one layer of one model",
            )

    @property
    def width(self) -> int:
        return int(self.positive_N_D.shape[1])

    @property
    def magnitude(self) -> float:
        """The largest activation of either side."""
        return float(max(np.abs(self.positive_N_D).max(), np.abs(self.negative_M_D).max()))

    def difference_D(self) -> Float64s:
        """Mean of the positive side minus mean of the negative side."""
        difference_D: Float64s = self.positive_N_D.mean(axis=0, dtype=np.float64) - self.negative_M_D.mean(
            axis=0, dtype=np.float64
        )
        return difference_D


@dataclass(frozen=True, slots=True)
class SaeLatents:
    """An SAE's decoder with what is known of its latents from the selection half.

    `auroc_F`: AUROC of the positive side against the negative. `difference_F`: mean activation on the positive side
    minus that on the negative. `output_score_F`: see `output_score.py`; nan where it was not computed.
    """

    decoder_F_D: Floats
    auroc_F: Floats
    difference_F: Floats
    output_score_F: Floats

    def __post_init__(self) -> None:
        latents = len(self.decoder_F_D)
        for name, statistic in (
            ("auroc", self.auroc_F),
            ("difference", self.difference_F),
            ("output_score", self.output_score_F),
        ):
            if statistic.shape != (latents,):
                raise InputError(
                    f"{statistic.size} values of {name} for {latents} decoder rows",
                    field="sae",
                    fix="give one value per latent of one SAE",
                )


@dataclass(frozen=True, slots=True)
class Contrast:
    """Two sides at `layer`, of the selection half only.

    `paired`: row i of either side belongs together (one text in two versions, one item with two answers).
    `by_layer`: the same examples at several layers, for methods that choose one. `sae`: for methods that use one.
    """

    layer: int
    sides: Sides
    paired: bool = False
    by_layer: Mapping[int, Sides] = field(default_factory=dict)
    sae: SaeLatents | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        n, m = len(self.sides.positive_N_D), len(self.sides.negative_M_D)
        if self.paired and n != m:
            raise InputError(
                f"{n} positive rows cannot pair with {m} negative ones",
                field="activations",
                fix="give both versions of every example, in one order",
            )
        if self.sae is not None and self.sae.decoder_F_D.shape[1] != self.sides.width:
            raise InputError(
                f"the SAE's decoder is {self.sae.decoder_F_D.shape[1]} wide, the activations {self.sides.width}",
                field="sae",
                fix="use an SAE that was trained on this layer of this model",
            )


@dataclass(frozen=True, slots=True)
class Found:
    """One unit vector (float64), its length before scaling, the layer it belongs to, and its number in a series."""

    vector_D: Float64s
    norm: float
    layer: int
    index: int = 0


def unit(vector_D: Floats, *, layer: int, magnitude: float, method: str, index: int = 0) -> Found:
    """Scale to length 1. Raises `InputError` when nothing is left beside activations of that `magnitude`."""
    long_D = np.asarray(vector_D, dtype=np.float64)
    norm = float(np.linalg.norm(long_D))
    if not norm > NEGLIGIBLE * magnitude:
        raise InputError(
            "the two sides have the same activations, so that nothing points from one to the other",
            field=method,
            value=norm,
            fix="check that the texts of the two sides differ, and that the layer is the right one",
        )
    return Found(long_D / norm, norm, layer, index)


def _check_side(name: str, acts: Floats) -> None:
    if acts.ndim != 2 or len(acts) < MIN_EXAMPLES or not acts.shape[1]:
        rows = len(acts) if acts.ndim == 2 else f"shape {acts.shape}"
        raise InputError(
            f"the {name} side has too few examples",
            field="activations",
            value=rows,
            fix=f"give at least {MIN_EXAMPLES} rows of one width",
        )
    if not np.isfinite(acts).all():
        bad = int((~np.isfinite(acts).all(axis=1)).argmax())
        raise InputError(
            f"the {name} side has a number that is not finite",
            field="activations",
            value=f"row {bad}",
            fix="leave the example out, or compute the activations in a wider type",
        )
