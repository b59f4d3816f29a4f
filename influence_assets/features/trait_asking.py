"""Asking a checkpoint the items of trait tests under many conditions at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from influence_assets.features.trait_questions import TraitQuestion
from influence_assets.features.trait_rows import Condition, answer_rows
from influence_assets.features.trait_tables import TraitAnswer
from resources.asking import Models, Progress
from resources.messages import Message, Request, Role
from resources.steering import Steering

CHUNK = 16_384
"""Requests per call: enough to share prefixes and fill batches, few enough to bound memory."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model of the registry at one iteration; `adapter` is its LoRA checkpoint, None for the untouched model."""

    model: str
    iteration: int = 0
    adapter: str | None = None


@dataclass(frozen=True, slots=True)
class Under:
    """A condition: its name, what is done to the stream (and how strongly), and what stands before the question."""

    name: str
    steering: Steering = ()
    coefficient: float | None = None
    system: tuple[Message, ...] = ()


UNSTEERED = Under("unsteered")


async def ask_traits(
    models: Models,
    checkpoint: Checkpoint,
    trials: Sequence[tuple[Under, Sequence[TraitQuestion]]],
    options: tuple[str, ...],
    on_progress: Progress | None = None,
) -> list[TraitAnswer]:
    """Rows of `features.trait_answers`: every question of every trial, in order.

    Raises as `Models.choose_many` does. `on_progress` counts requests.
    """
    total, done = sum(len(questions) for _, questions in trials), 0
    rows: list[TraitAnswer] = []
    chunk: list[tuple[Under, Sequence[TraitQuestion]]] = []
    for number, trial in enumerate(trials):
        chunk.append(trial)
        size = sum(len(questions) for _, questions in chunk)
        if size < CHUNK and number < len(trials) - 1:
            continue
        report = None if on_progress is None else _shifted(on_progress, done, total)
        rows += await _ask(models, checkpoint, chunk, options, report)
        done, chunk = done + size, []
    return rows


async def _ask(
    models: Models,
    checkpoint: Checkpoint,
    trials: Sequence[tuple[Under, Sequence[TraitQuestion]]],
    options: tuple[str, ...],
    on_progress: Progress | None,
) -> list[TraitAnswer]:
    requests = [
        Request(
            checkpoint.model,
            under.system + question.messages,
            Role.AGENT,
            adapter=checkpoint.adapter,
            steering=under.steering,
        )
        for under, questions in trials
        for question in questions
    ]
    replies = iter(await models.choose_many(requests, options, on_progress))
    rows: list[TraitAnswer] = []
    for under, questions in trials:
        condition = Condition(checkpoint.model, checkpoint.iteration, under.name, under.coefficient)
        rows += answer_rows(condition, questions, [next(replies) for _ in questions])
    return rows


def _shifted(on_progress: Progress, before: int, total: int) -> Progress:
    """Progress of one chunk as progress of the whole."""
    return lambda done, _: on_progress(before + done, total)
