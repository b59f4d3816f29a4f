"""Measures of conversations as one number each, checkpoint beside untouched model on the same state and seed.

A long frame: iteration, what names a pair (`UNIT` of influence/measures.py), conversation_id, measure, subject, value;
`base` is the untouched model's value of the same pair. Held-out conversations of the agent alone.
"""

from __future__ import annotations

import polars as pl

from influence_assets.influence.environments import Split
from influence_assets.influence.measures import UNIT
from influence_assets.influence.records import Condition
from influence_assets.joint.records import OF_REPLIES, Measure

PAIR = (*UNIT, "measure", "subject")
_COLUMNS = ("iteration", *UNIT, "conversation_id", "measure", "subject", "value")


def conversation_values(measured: pl.DataFrame, projections: pl.DataFrame, conversations: pl.DataFrame) -> pl.DataFrame:
    """The long frame, with pairs.

    `measured` comes from `influence.measures.measured`; `projections` and `conversations` are rows of the tables of
    those names, of all iterations of one model. A projection's subject is its direction_id.
    """
    known = [measure.value for measure in Measure]
    talked = measured.filter((pl.col("split") == Split.EVAL) & pl.col("measure").is_in(known)).with_columns(
        subject=pl.lit("")
    )
    agent = conversations.filter((pl.col("split") == Split.EVAL) & (pl.col("condition") == Condition.AGENT))
    read = (
        projections.filter(pl.col("text_set").is_in([text_set.value for text_set in OF_REPLIES]))
        .select(
            "iteration",
            measure=pl.col("text_set").replace_strict(
                {key.value: measure.value for key, measure in OF_REPLIES.items()}
            ),
            conversation_id="text_id",
            subject="direction_id",
            value="projection",
        )
        .join(agent, on=["iteration", "conversation_id"], maintain_order="left")
    )
    return with_base(pl.concat([talked.select(_COLUMNS), read.select(_COLUMNS)]))


def with_base(values: pl.DataFrame) -> pl.DataFrame:
    """Every value beside that of iteration 0 of the same pair; null where there is none."""
    base = values.filter(pl.col("iteration") == 0).select(*PAIR, base="value")
    return values.join(base, on=list(PAIR), how="left", nulls_equal=True, maintain_order="left")
