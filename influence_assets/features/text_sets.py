"""The texts whose activations are kept, by set: what each row of a file of activations is.

contrast    contrast texts, one row each (the study's pooling)
tokens      the same texts, one row per token: what an SAE encodes
answers     trait items with a letter for an answer, at the letter; the options' places rotate over the items
responses   what the model says of itself as each category's persona, mean over the tokens of the response
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from influence_assets.features.backgrounds import Factor
from influence_assets.features.items import Half, TraitItem
from influence_assets.features.orders import Option, Orders, option_orders
from influence_assets.features.stimulus_tables import ContrastText
from influence_assets.features.trait_asking import Checkpoint
from influence_assets.features.trait_questions import trait_question
from resources.asking import Models, Progress
from resources.messages import Message, Reply, Request, Role, Sampling, Status
from resources.prompts import PromptFile

if TYPE_CHECKING:
    from influence_assets.features.activations import Span
    from resources.local.opened import OpenModel

RESPONSE_TOKENS, RESPONSE_SAMPLES = 48, 2
STEER = "steer"
"""The variant of the persona prompt that is no question."""


class TextSet(StrEnum):
    """See the module."""

    CONTRAST = "contrast"
    TOKENS = "tokens"
    ANSWERS = "answers"
    RESPONSES = "responses"


class Label(NamedTuple):
    """What one row of activations is of. `pair` tells which rows of the two sides belong together."""

    factor: str
    category: str
    half: str
    pair: str | None


@dataclass(frozen=True)
class Labelled:
    """Token spans with their labels, in one order."""

    spans: list[Span]
    labels: list[Label]

    @property
    def content(self) -> str:
        """The labels as JSON, for the table."""
        return json.dumps(self.labels, ensure_ascii=False)


def labels_of(content: str) -> list[Label]:
    """The labels in a row of `features.activations`."""
    return [Label(*entry) for entry in json.loads(content)]


def contrast_spans(opened: OpenModel, texts: Sequence[ContrastText]) -> Labelled:
    """Every contrast text by itself."""
    from influence_assets.features.activations import text_span

    return Labelled(
        [text_span(opened, text.text) for text in texts],
        [Label(text.factor, text.category, text.half, text.pair or text.text_id) for text in texts],
    )


def answer_spans(opened: OpenModel, prompt: PromptFile, items: Sequence[TraitItem]) -> Labelled:
    """Items of the selection half, each with the letter of its first high and of its first low option appended.

    The orders rotate over the items, so that no letter stands for a pole.
    """
    from influence_assets.features.activations import Span

    orders, spans, labels = option_orders(Orders.CYCLIC), [], []
    for number, item in enumerate(item for item in items if item.half is Half.SELECTION):
        order = orders[number % len(orders)]
        prefix = opened.chat.tokens(trait_question(prompt, item, order).messages)
        for option, category in ((Option.HIGH1, "high"), (Option.LOW1, "low")):
            letter = opened.chat.encode(prompt.options[order.index(option)])
            spans.append(Span((*prefix, *letter), len(prefix)))
            labels.append(Label(item.trait, category, Half.SELECTION.value, item.id))
    return Labelled(spans, labels)


async def responses(
    models: Models,
    checkpoint: Checkpoint,
    prompt: PromptFile,
    factors: Sequence[Factor],
    seed: int,
    on_progress: Progress | None = None,
) -> list[tuple[Label, Request, Reply]]:
    """What the checkpoint says of itself as each category's persona; refusals and other failures are left out."""
    asked: list[tuple[Label, Request]] = []
    for factor in factors:
        for name, category in factor.categories.items():
            for variant in prompt.variants:
                if variant == STEER:
                    continue
                for sample in range(RESPONSE_SAMPLES):
                    messages = prompt.render(variant, about=category.about)
                    sampling = Sampling(max_tokens=RESPONSE_TOKENS, seed=seed)
                    request = Request(
                        checkpoint.model,
                        messages,
                        Role.AGENT,
                        sampling,
                        sample=sample,
                        adapter=checkpoint.adapter,
                    )
                    asked.append((Label(factor.name, name, Half.SELECTION.value, f"{variant} {sample}"), request))
    replies = await models.generate_many([request for _, request in asked], on_progress)
    usable = (Status.OK, Status.TRUNCATED)
    return [
        (label, request, reply)
        for (label, request), reply in zip(asked, replies, strict=True)
        if reply.status in usable and reply.text.strip()
    ]


def response_spans(opened: OpenModel, said: Sequence[tuple[Label, Request, Reply]]) -> Labelled:
    """The responses behind their prompts."""
    from influence_assets.features.activations import Span

    spans, labels = [], []
    for label, request, reply in said:
        prefix, own = opened.chat.tokens(request.messages), opened.chat.encode(reply.text)
        if own:
            spans.append(Span((*prefix, *own), len(prefix)))
            labels.append(label)
    return Labelled(spans, labels)


def persona_prompts(prompt: PromptFile, factors: Sequence[Factor]) -> dict[tuple[str, str], tuple[Message, ...]]:
    """The system message of every (factor, category)."""
    return {
        (factor.name, name): prompt.render(STEER, about=category.about)
        for factor in factors
        for name, category in factor.categories.items()
    }
