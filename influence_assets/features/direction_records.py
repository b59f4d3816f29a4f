"""The rows of the feature map and of the directions as typed values. `direction_tables.py` says what each holds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from influence_assets.features.feature_map import MappedLatent
from influence_assets.stats.intervals import Interval
from resources.direction_files import Direction


@dataclass(frozen=True, slots=True)
class DirectionRow:
    """A row of `features.directions`."""

    direction_id: str
    model: str
    iteration: int
    layer: int
    hook: str
    factor: str
    category: str
    method: str
    index: int
    sae: str
    path: str
    norm: float
    scale: float
    sha256: str
    cosine_opposite: float | None
    cosine_poles: float | None
    auroc_heldout: float | None
    ci_low: float | None
    ci_high: float | None
    n: int


@dataclass(frozen=True, slots=True)
class FeatureMapRow:
    """A row of `features.sae_feature_map`."""

    model: str
    iteration: int
    sae: str
    layer: int
    feature_id: int
    factor: str
    category: str
    rank: int
    auroc: float
    mean_difference: float
    auroc_heldout: float | None
    ci_low: float | None
    ci_high: float | None
    n: int
    selectivity: float | None
    output_score: float | None
    stability: float
    explanation: str | None
    top_texts: Sequence[str]
    top_activations: Sequence[float]
    promoted_tokens: Sequence[str]


def direction_row(
    direction: Direction,
    path: str,
    *,
    heldout: Interval,
    n: int,
    cosine_opposite: float | None,
    cosine_poles: float | None,
) -> DirectionRow:
    """The row of a direction whose file lies at `path`, relative to the project; `n` held-out texts were ranked.

    `direction_checks.py` computes the rest; the cosines are None for a category without an opposite.
    """
    origin = direction.origin
    return DirectionRow(
        direction_id=direction.direction_id,
        model=origin.model,
        iteration=origin.iteration,
        layer=origin.layer,
        hook=origin.hook,
        factor=origin.factor,
        category=origin.category,
        method=origin.method,
        index=origin.index,
        sae=origin.sae,
        path=path,
        norm=origin.norm,
        scale=origin.scale,
        sha256=direction.sha256,
        cosine_opposite=cosine_opposite,
        cosine_poles=cosine_poles,
        auroc_heldout=_or_null(heldout.value),
        ci_low=_or_null(heldout.low),
        ci_high=_or_null(heldout.high),
        n=n,
    )


def feature_map_rows(
    mapped: Sequence[MappedLatent],
    *,
    model: str,
    iteration: int,
    sae: str,
    layer: int,
    output_scores: Mapping[int, float],
    promoted: Mapping[int, Sequence[str]],
    explanations: Mapping[int, str],
) -> list[FeatureMapRow]:
    """Rows of the map; the three mappings go by latent, and may lack some: null, no tokens, no explanation."""
    return [
        FeatureMapRow(
            model=model,
            iteration=iteration,
            sae=sae,
            layer=layer,
            feature_id=one.feature_id,
            factor=one.factor,
            category=one.category,
            rank=one.rank,
            auroc=one.auroc,
            mean_difference=one.mean_difference,
            auroc_heldout=_or_null(one.heldout.value),
            ci_low=_or_null(one.heldout.low),
            ci_high=_or_null(one.heldout.high),
            n=one.n_heldout,
            selectivity=_or_null(one.selectivity),
            output_score=_or_null(output_scores.get(one.feature_id, math.nan)),
            stability=one.stability,
            explanation=explanations.get(one.feature_id),
            top_texts=one.top_texts,
            top_activations=one.top_activations,
            promoted_tokens=tuple(promoted.get(one.feature_id, ())),
        )
        for one in mapped
    ]


def _or_null(value: float) -> float | None:
    return value if math.isfinite(value) else None
