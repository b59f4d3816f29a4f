"""What a set of questions would cost, without asking any of them.

The number of tokens of a prompt is taken from its length in characters, since only the provider's tokenizer knows; the
answer is taken at the bound that the request sets on it. The cost is therefore an upper bound for most prompts in
English, and the number of requests that are remembered already is exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from resources.accounts import static_for
from resources.answers import check_options
from resources.budget import cost_usd
from resources.messages import Request, Usage
from resources.questions import TextQuestion, always_draws, choice_question, draw_questions, text_question
from resources.registry import ModelEntry, Registry
from resources.replies import lookup
from resources.replystore import ReplyStore, connected
from resources.steering import Steering

_CHARACTERS_PER_TOKEN = 4.0
_TOKENS_PER_MESSAGE = 4


@dataclass(frozen=True, slots=True)
class Planned:
    """One question that a selection would ask; `options` for `choose`, empty for `generate`."""

    request: Request
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Estimate:
    """`requests` that would go to providers, those that are `cached` already, and what the former may cost.

    The draws of an estimated distribution count singly; the same question counts once. Tokens and US dollars are of
    the requests that are not cached.
    """

    requests: int
    cached: int
    input_tokens: int
    output_tokens: int
    cost_usd: float

    def __add__(self, other: Estimate) -> Estimate:
        return Estimate(
            self.requests + other.requests,
            self.cached + other.cached,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cost_usd + other.cost_usd,
        )


def estimate(
    planned: Iterable[Planned], registry: Registry, replies: ReplyStore, *, root: Path, draws: int = 5
) -> dict[str, Estimate]:
    """Requests, tokens and cost by model. Asks nobody and needs no key; a store that was never made holds no replies.

    Raises `InputError` for an unknown model or a local model whose files are missing.
    """
    questions: dict[str, tuple[ModelEntry, Request, int]] = {}
    statics: dict[tuple[str, str | None, Steering], str] = {}
    for plan in planned:
        entry = registry[plan.request.model]
        key = (entry.name, plan.request.adapter, plan.request.steering)
        if key not in statics:
            statics[key] = static_for(entry, root, plan.request.adapter, plan.request.steering)
        questions |= _addresses(statics[key], entry, plan, draws)
    with connected(replies.reader()) as connection:
        known = lookup(connection, list(questions))
    by_model: dict[str, Estimate] = {}
    for address, (entry, request, output_tokens) in questions.items():
        one = _one(entry, request, output_tokens, cached=address in known)
        by_model[entry.name] = by_model.get(entry.name, Estimate(0, 0, 0, 0, 0.0)) + one
    return by_model


def _addresses(static: str, entry: ModelEntry, plan: Planned, draws: int) -> dict[str, tuple[ModelEntry, Request, int]]:
    if not plan.options:
        asked: list[TextQuestion] = [text_question(static, entry, plan.request)]
    else:
        options = check_options(plan.options)
        choice = choice_question(static, entry, plan.request, options, void_below=0.0, draws=draws)
        if not always_draws(entry):
            return {choice.address: (entry, plan.request, choice.output_tokens)}
        asked = draw_questions(choice, draws)
    return {question.address: (entry, question.request, question.output_tokens) for question in asked}


def _one(entry: ModelEntry, request: Request, output_tokens: int, *, cached: bool) -> Estimate:
    if cached:
        return Estimate(0, 1, 0, 0, 0.0)
    characters = sum(len(message.content) for message in request.messages)
    tokens = math.ceil(characters / _CHARACTERS_PER_TOKEN) + _TOKENS_PER_MESSAGE * len(request.messages)
    return Estimate(1, 0, tokens, output_tokens, cost_usd(Usage(tokens, 0, output_tokens), entry.price))
