"""What the conditions of a sweep cost: KL on neutral text, and what is written to it under them.

Imports torch: import this module inside functions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from influence_assets.features.settings import SteeringSettings
from influence_assets.features.steering_costs import NeutralText, repetition, surprise
from influence_assets.features.sweep import Subject, Trial
from influence_assets.features.sweep_rows import Cost
from influence_assets.features.trait_asking import Checkpoint
from resources.asking import Models, Progress
from resources.local.direction_reading import load_push
from resources.local.opened import OpenModel
from resources.messages import Message, Request, Role, Sampling, Status
from resources.steering import KnownDirections, Push

Prompts = Mapping[tuple[str, str], tuple[Message, ...]]


class Written(NamedTuple):
    """What was written to neutral texts under one condition."""

    prompts: list[list[int]]
    replies: list[str]


class SweepCosts:
    """Neutral texts as chats of one open model."""

    def __init__(self, model: OpenModel, texts: Sequence[str], settings: SteeringSettings) -> None:
        self._model, self._settings = model, settings
        self._chats = [(Message(role="user", content=text),) for text in texts]
        self._neutral = NeutralText(model, [model.chat.tokens(chat) for chat in self._chats])

    def kl_of_subjects(
        self, subjects: Sequence[Subject], coefficients: Sequence[float], root: Path, on_progress: Progress
    ) -> dict[tuple[str, float], float]:
        """KL by (direction_id, coefficient), for every direction at every coefficient but 0."""
        known, found = KnownDirections(root), {}
        pairs = [(s.row, c) for s in subjects if s.row is not None for c in coefficients if c]
        for number, (row, coefficient) in enumerate(pairs, start=1):
            push = Push(row.path, coefficient, self._settings.mode, self._settings.positions)
            found[row.direction_id, coefficient] = self._neutral.kl([load_push(one) for one in known.find((push,))])
            on_progress(number, len(pairs))
        return found

    async def write(
        self,
        models: Models,
        checkpoint: Checkpoint,
        trials: Sequence[Trial],
        prompts: Prompts,
        seed: int,
        on_progress: Progress,
    ) -> dict[str, Written]:
        """Replies to the first neutral texts under every condition but the null ones."""
        asked = [
            (trial.subject.under(trial.coefficient, self._settings, _system(trial, prompts)), chat)
            for trial in trials
            if not trial.subject.is_null
            for chat in self._chats[: self._settings.written]
        ]
        sampling = Sampling(max_tokens=self._settings.written_tokens, seed=seed)
        requests = [
            Request(
                checkpoint.model,
                under.system + chat,
                Role.AGENT,
                sampling,
                adapter=checkpoint.adapter,
                steering=under.steering,
            )
            for under, chat in asked
        ]
        replies = await models.generate_many(requests, on_progress) if requests else []
        written: dict[str, Written] = {}
        for (under, chat), reply in zip(asked, replies, strict=True):
            if reply.status in (Status.OK, Status.TRUNCATED):
                own = written.setdefault(under.name, Written([], []))
                own.prompts.append(self._model.chat.tokens(chat))
                own.replies.append(reply.text)
        return written

    def by_condition(
        self,
        trials: Sequence[Trial],
        kl: Mapping[tuple[str, float], float],
        prompts: Prompts,
        written: Mapping[str, Written],
    ) -> dict[str, Cost]:
        """The costs of every condition, by its name."""
        costs = {}
        for trial in trials:
            subject, name = trial.subject, trial.subject.name(trial.coefficient)
            if subject.row is not None:
                cost = kl[subject.row.direction_id, trial.coefficient]
            else:
                system = _system(trial, prompts)
                cost = self._neutral.kl_of_prefix([self._model.chat.tokens(system + chat) for chat in self._chats])
            text = written.get(name)
            costs[name] = Cost(
                kl=_or_none(cost),
                nll=_or_none(surprise(self._model, text.prompts, text.replies)) if text else None,
                repetition=_or_none(repetition(text.replies)) if text else None,
            )
        return costs


def _system(trial: Trial, prompts: Prompts) -> tuple[Message, ...]:
    subject = trial.subject
    return () if subject.row is not None else prompts[subject.factor, subject.category]


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
