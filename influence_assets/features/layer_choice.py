"""At which layer directions are taken: where they move behaviour, tried on the selection half.

A direction that reads a trait perfectly need not move it (late layers of many models read and do not act), so the layer
is chosen by steering: the difference in means of the selection texts at each candidate, plus and minus one coefficient,
on items of the selection half. How well a layer reads is stated beside it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from influence_assets.features.direction_contrast import Sides
from influence_assets.features.settings import FeaturesSettings
from influence_assets.features.steering_tables import LayerRow
from influence_assets.stats.ranks import auc
from resources.errors import InputError

Floats = NDArray[np.floating]
CANDIDATES = 8


class LayerTrial(NamedTuple):
    """One candidate: mean AUROC of reading, mean shift of steering (nan where not asked)."""

    auroc: float
    shift: float


def candidate_layers(settings: FeaturesSettings, n_layers: int) -> tuple[int, ...]:
    """The study's candidates, or up to eight evenly spaced ones. Raises `InputError` that lists what exists."""
    named = [("features.layers", layer) for layer in settings.layers]
    named += [] if settings.layer is None else [("features.layer", settings.layer)]
    named += [] if settings.sae is None else [("features.sae.layer", settings.sae.layer)]
    for field, layer in named:
        if not 0 <= layer < n_layers:
            raise InputError(
                f"the model has {n_layers} layers",
                place="data/study.yaml",
                field=field,
                value=layer,
                fix=f"choose from 0 to {n_layers - 1}",
            )
    if settings.layers:
        return tuple(sorted(set(settings.layers)))
    return tuple(sorted({round(at) for at in np.linspace(0, n_layers - 1, min(CANDIDATES, n_layers))}))


def trial_coefficient(settings: FeaturesSettings) -> float:
    """The middle one of the study's positive coefficients."""
    positive = settings.steering.positive
    return positive[len(positive) // 2]


def reading_auroc(sides: Sides) -> float:
    """How the difference in means of every other text ranks the remaining ones."""
    positive_N_D, negative_M_D = sides.positive_N_D, sides.negative_M_D
    direction_D = Sides(positive_N_D[::2], negative_M_D[::2]).difference_D()
    return auc(positive_N_D[1::2] @ direction_D, negative_M_D[1::2] @ direction_D)


def layer_rows(
    trials: Mapping[int, LayerTrial], settings: FeaturesSettings, *, model: str, iteration: int
) -> list[LayerRow]:
    """Rows of `features.layers`; the chosen one is the study's, else where steering moves most, else reads best."""
    chosen = settings.layer
    if chosen is None:
        asked = any(math.isfinite(trial.shift) for trial in trials.values())
        best = {k: np.nan_to_num(t.shift if asked else t.auroc, nan=-math.inf) for k, t in trials.items()}
        chosen = max(sorted(best), key=best.__getitem__)
    return [
        LayerRow(
            model=model,
            iteration=iteration,
            layer=layer,
            auroc=trial.auroc if math.isfinite(trial.auroc) else None,
            shift=trial.shift if math.isfinite(trial.shift) else None,
            coefficient=trial_coefficient(settings),
            chosen=layer == chosen,
        )
        for layer, trial in sorted(trials.items())
    ]


def chosen_layer(rows: Sequence[LayerRow]) -> int:
    """The layer of the row that was chosen."""
    return next(row.layer for row in rows if row.chosen)
