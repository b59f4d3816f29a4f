"""Candidate statements: what the generator model writes for each persona, label and aspect of life."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from influence_assets.personas.ids import statement_id
from influence_assets.personas.records import COLLISION, Candidate, Origin, Persona
from influence_assets.personas.words import storable
from resources.asking import Models, Progress
from resources.content import sha256_of
from resources.messages import Reply, Request, Role, Sampling, Status
from resources.prompts import PromptFile

# A statement of the longest length that the form filter lets through, in tokens, with quotes and comma.
TOKENS_PER_STATEMENT = 48
TOKENS_OF_A_LIST = 32

_FENCE = re.compile(r"\A```(?:json)?\s*\n(.*)\n```\Z", re.DOTALL)


class Label(StrEnum):
    """The variants of the statements prompt; they differ in one word."""

    AGREE = "agree"
    DISAGREE = "disagree"

    @classmethod
    def of(cls, agree: bool) -> Label:
        return cls.AGREE if agree else cls.DISAGREE


@dataclass(frozen=True, slots=True)
class Generation:
    """How statements are asked for: settings that hold for a whole framework.

    `generators` are registry names; where there are several, each request draws one of them by its seed.
    """

    framework: str
    aspects: tuple[str, ...]
    prompt: PromptFile
    generators: tuple[str, ...]
    seed: int
    per_request: int


@dataclass(frozen=True, slots=True)
class Ask:
    """One request to be made: n statements of one persona, label and aspect, in one round."""

    persona_id: str
    agree: bool
    aspect: str
    round: int


async def candidates(
    asks: Sequence[Ask],
    personas: Mapping[str, Persona],
    generation: Generation,
    models: Models,
    on_progress: Progress | None = None,
) -> list[Candidate]:
    """What the generator wrote, one row per statement; a reply without statements is one row with its status."""
    requests = generation_requests(asks, personas, generation)
    replies = await models.generate_many(requests, on_progress)
    return [
        row
        for ask, request, reply in zip(asks, requests, replies, strict=True)
        for row in _rows(ask, request, reply, generation.framework)
    ]


def generation_requests(asks: Sequence[Ask], personas: Mapping[str, Persona], generation: Generation) -> list[Request]:
    """One request per ask, in order."""
    return [_request(ask, personas[ask.persona_id], generation) for ask in asks]


def _request(ask: Ask, persona: Persona, generation: Generation) -> Request:
    label = Label.of(ask.agree)
    if persona.description is None:
        raise ValueError(f"persona {persona.name} has no description and cannot be asked about")
    seed = request_seed(generation.seed, generation.framework, persona.persona_id, label, ask.aspect, ask.round)
    messages = generation.prompt.render(
        label, description=persona.description, n=generation.per_request, aspect=ask.aspect
    )
    return Request(
        model=generation.generators[seed % len(generation.generators)],
        messages=messages,
        role=Role.GENERATOR,
        sampling=Sampling(max_tokens=TOKENS_OF_A_LIST + TOKENS_PER_STATEMENT * generation.per_request, seed=seed),
        sample=ask.round,
    )


def request_seed(*parts: str | int) -> int:
    """A seed in [0, 2^31) that depends on all the parts and on nothing else."""
    return int(sha256_of(list(parts))[:8], 16) >> 1


def _rows(ask: Ask, request: Request, reply: Reply, framework: str) -> list[Candidate]:
    def row(position: int, status: Status, text: str) -> Candidate:
        ok = status is Status.OK
        return Candidate(
            framework=framework,
            persona_id=ask.persona_id,
            agree=ask.agree,
            aspect=ask.aspect,
            round=ask.round,
            position=position,
            origin=Origin.GENERATED.value,
            status=status.value,
            statement_id=statement_id(ask.agree, text, ask.persona_id) if ok else None,
            text=text,
            generator=request.model,
            request_id=reply.request_id,
        )

    if reply.status is not Status.OK:
        return [row(0, reply.status, storable(reply.text))]
    statements = parse_statements(reply.text)
    if statements is None:
        return [row(0, Status.UNPARSABLE, storable(reply.text))]
    return [row(position, Status.OK, text) for position, text in enumerate(statements)]


def parse_statements(reply: str) -> list[str] | None:
    """The statements of a reply, stripped; None unless the whole reply is a JSON list of one or more strings.

    One Markdown code fence around the list is taken off, as chat models often add it; nothing else is mended.
    """
    text = reply.strip()
    fenced = _FENCE.match(text)
    try:
        value = json.loads(fenced.group(1) if fenced else text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        return None
    return [storable(item).strip() for item in value]


def mark_collisions(rows: Sequence[Candidate]) -> list[Candidate]:
    """The rows, with status `collision` and no id where the short id already stands for another statement.

    Ids are 8 hex digits: among 10,000 statements two share one with a chance of about 1 %. The earlier row keeps it.
    """
    owner: dict[str, tuple[str, bool, str]] = {}
    result = []
    for row in rows:
        if row.statement_id is not None:
            content = (row.persona_id, row.agree, row.text)
            if owner.setdefault(row.statement_id, content) != content:
                row = replace(row, status=COLLISION, statement_id=None, pair_id=None)
        result.append(row)
    return result
