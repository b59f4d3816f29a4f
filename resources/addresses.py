"""Content addresses: what makes two requests the same request.

An address is the sha256 over everything that can change an answer: schema version, provider, model, revision, weights
hash, base URL, adapter hash, steering, messages, sampling parameters, options, sample index, and the kind of question.
The role that a model plays is for the ledger alone. The static part is hashed once per model, adapter and steering.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from resources.content import Json, sha256_of
from resources.messages import Request
from resources.providers import Identity

SCHEMA_VERSION = 2
"""Part of every address: raise it when a stored reply no longer means what it meant."""


class Kind(StrEnum):
    """What was asked: text, a distribution, the estimate of one from k draws, or one of those draws."""

    GENERATE = "generate"
    CHOOSE = "choose"
    ESTIMATE = "estimate"
    DRAW = "draw"


def static_part(identity: Identity, adapter_hash: str, steering_hash: str = "") -> str:
    """Hash of what is the same for all requests to one model with one adapter and one steering."""
    # Without a steering the address is what it was before there were any, so old replies are still found.
    steering = [steering_hash] if steering_hash else []
    return sha256_of([SCHEMA_VERSION, *identity_parts(identity), adapter_hash, *steering])


def identity_parts(identity: Identity) -> list[str]:
    """The fields of an identity in a fixed order."""
    return [identity.provider, identity.model, identity.revision, identity.weights, identity.base_url]


def address_of(static: str, request: Request, kind: Kind, options: Sequence[str] = (), draws: int = 0) -> str:
    """64 hex digits that name one question to one model; `draws` is the k of an estimate."""
    sampling = request.sampling
    messages = _messages(request)
    limits: list[Json] = [
        sampling.temperature,
        sampling.top_p,
        sampling.max_tokens,
        list(sampling.stop),
        sampling.seed,
    ]
    return sha256_of([static, kind.value, messages, limits, list(options), request.sample, draws])


def prompt_hash(request: Request) -> str:
    """64 hex digits that name the messages of a request alone, whoever is asked and however it is drawn."""
    return sha256_of(_messages(request))


def _messages(request: Request) -> list[Json]:
    return [[message.role, message.content] for message in request.messages]
