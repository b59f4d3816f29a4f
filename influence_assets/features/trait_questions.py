"""Trait items as questions: each item in each order of its options, in the words of `trait_item.yaml`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from influence_assets.features.items import TraitItem
from influence_assets.features.orders import Order
from resources.errors import InputError
from resources.messages import Message
from resources.prompts import PromptFile, load_prompt

FILE = Path("prompts") / "features" / "trait_item.yaml"
"""The prompt's place in the data folder. The embedded organism was trained on its words."""

VARIANT = "default"


@dataclass(frozen=True, slots=True)
class TraitQuestion:
    """One item in one order. What is steered by prompt gets its messages before these."""

    item: TraitItem
    order: Order
    messages: tuple[Message, ...]


def load_trait_prompt(data: Path) -> PromptFile:
    """The prompt of trait items; its `options` are the four letters in order of place. Raises `InputError`."""
    prompt = load_prompt(data / FILE)
    if len(prompt.options) != 4:
        raise InputError(
            "a trait item has four options",
            place=data / FILE,
            field="options",
            value=prompt.options,
            fix="write options: [A, B, C, D]",
        )
    return prompt


def trait_question(prompt: PromptFile, item: TraitItem, order: Order) -> TraitQuestion:
    """An item in one order of its options."""
    options = (*item.high, *item.low)
    a, b, c, d = (options[option] for option in order)
    return TraitQuestion(item, order, prompt.render(VARIANT, situation=item.text, a=a, b=b, c=c, d=d))


def trait_questions(prompt: PromptFile, items: Iterable[TraitItem], orders: Sequence[Order]) -> list[TraitQuestion]:
    """Every item in every order; the orders of one item stand together."""
    return [trait_question(prompt, item, order) for item in items for order in orders]
