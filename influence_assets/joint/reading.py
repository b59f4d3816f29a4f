"""Where a checkpoint's residual stream lies while it reads: projections on directions of the untouched model.

Imports torch: import this module inside functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from influence_assets.features.activations import Span, activations, text_span
from influence_assets.features.direction_records import DirectionRow
from influence_assets.features.pooling import Pooling
from influence_assets.influence.environments import Environment
from influence_assets.influence.prompting import Prompting
from influence_assets.influence.records import Conversation, Turn
from influence_assets.influence.said import numbered, said
from influence_assets.influence.transcript import Speaker
from influence_assets.joint.records import Projection, ReadText
from resources.local.opened import OpenModel


@dataclass(frozen=True)
class Axis:
    """A direction of the untouched model with its unit vector."""

    row: DirectionRow
    vector_D: NDArray[np.float64]


@dataclass(frozen=True)
class Reading:
    """One text that is read; a conversation with several replies has several of the same `text_id`."""

    text_id: str
    span: Span


def reply_readings(
    opened: OpenModel,
    conversations: Iterable[Conversation],
    turns: Sequence[Turn],
    environments: Callable[[Conversation], Environment],
    prompting: Prompting,
) -> list[Reading]:
    """The agent's own replies behind the prompts that it answered; its history and replies without words are none.

    A reply is cut to the model's context: its tokens, encoded anew, may be some more than those that were written.
    """
    words, readings = said(turns), []
    for one in conversations:
        rows, agent = words.get(one.conversation_id, []), environments(one).agent
        transcript = [entry for _, entry in numbered(rows)]
        for place, row in enumerate(rows):
            if row.role != Speaker.AGENT or row.turn == 0:
                continue
            prompt = opened.chat.tokens(prompting.speaker(agent, Speaker.AGENT, transcript[:place]))
            ids = (*prompt, *opened.chat.encode(row.content))[: opened.context]
            if len(ids) > len(prompt):
                readings.append(Reading(one.conversation_id, Span(ids, len(prompt))))
    return readings


def neutral_readings(opened: OpenModel, texts: Sequence[str]) -> list[Reading]:
    """Neutral texts by themselves, named by their number from 0."""
    return [Reading(f"{number:04d}", text_span(opened, text)) for number, text in enumerate(texts)]


def project(
    opened: OpenModel,
    readings: Sequence[Reading],
    axes: Sequence[Axis],
    *,
    pooling: Pooling,
    text_set: ReadText,
    model: str,
    iteration: int,
) -> list[Projection]:
    """Rows of `joint.projections`: per text and axis, h.v / scale where `pooling` reads a text (its replies' mean).

    h is the residual stream after the axis' layer, v its unit vector, and scale the untouched model's mean residual
    norm there, so that numbers of all checkpoints have one unit. Texts are best read as those were from which the
    direction was found: what lies along it at the last token of a text need not do so in the middle of one.
    Raises as `activations` does.
    """
    if not readings or not axes:
        return []
    layers = sorted({axis.row.layer for axis in axes})
    acts = activations(opened, [reading.span for reading in readings], layers, pooling)
    ids, text_N = np.unique([reading.text_id for reading in readings], return_inverse=True)
    tokens_N = np.array([_tokens_read(reading.span, pooling) for reading in readings], dtype=np.float64)
    tokens_T = np.bincount(text_N, weights=tokens_N)
    rows = []
    for axis in axes:
        along_N = acts[axis.row.layer].acts_N_D.astype(np.float64) @ axis.vector_D / axis.row.scale
        mean_T = np.bincount(text_N, weights=along_N * tokens_N) / tokens_T
        rows += [
            _row(axis.row, model, iteration, text_set, text_id, projection, int(tokens))
            for text_id, projection, tokens in zip(ids.tolist(), mean_T.tolist(), tokens_T.tolist(), strict=True)
        ]
    return rows


def _tokens_read(span: Span, pooling: Pooling) -> int:
    return 1 if pooling is Pooling.LAST else len(span.ids) - span.start


def _row(
    row: DirectionRow, model: str, iteration: int, text_set: ReadText, text_id: str, projection: float, n_tokens: int
) -> Projection:
    return Projection(
        model=model,
        iteration=iteration,
        text_set=text_set.value,
        text_id=text_id,
        direction_id=row.direction_id,
        factor=row.factor,
        category=row.category,
        method=row.method,
        index=row.index,
        projection=round(projection, 9) + 0.0,  # no last digit that depends on the machine
        n_tokens=n_tokens,
    )
