"""Everything that the profile and the drift of one model are made of, by iteration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from influence_assets.features.trait_tables import TraitAnswer
from influence_assets.influence.metrics import ALL
from influence_assets.influence.records import Metric
from influence_assets.joint.conversations import conversation_values
from influence_assets.joint.projections import directions_of, neutral_texts, reply_texts
from influence_assets.joint.records import OF_REPLIES, Measure


@dataclass(frozen=True)
class Gathered:
    """Rows of one model's tables. `responses` and `answers` hold the iterations that have a checkpoint, 0 first.

    `measured` is the long frame of `influence.measures.measured`; `draws` and `seed` are the bootstrap's.
    """

    model: str
    responses: dict[int, pl.DataFrame]
    answers: dict[int, Sequence[TraitAnswer]]
    projections: pl.DataFrame
    conversations: pl.DataFrame
    measured: pl.DataFrame
    metrics: Sequence[Metric]
    min_mass: float
    draws: int
    seed: int

    @property
    def iterations(self) -> tuple[int, ...]:
        """Those with a checkpoint."""
        return tuple(sorted(self.responses))

    @cached_property
    def values(self) -> pl.DataFrame:
        """One number per held-out conversation and measure, in pairs."""
        return conversation_values(self.measured, self.projections, self.conversations)

    @cached_property
    def directions(self) -> pl.DataFrame:
        """What the directions are of."""
        return directions_of(self.projections)

    def texts(self, k: int) -> Iterator[tuple[Measure, str, pl.DataFrame]]:
        """The texts of iteration k that have projections, by the measure that they make and who they were said to."""
        for measure in OF_REPLIES.values():
            replies = reply_texts(self.values, self.directions, measure, k)
            yield measure, ALL, replies
            for kind in replies["user_kind"].unique().sort():
                yield measure, kind, replies.filter(pl.col("user_kind") == kind)
        yield Measure.PROJECTION_NEUTRAL, ALL, neutral_texts(self.projections, k)
