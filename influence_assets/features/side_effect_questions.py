"""Side-effect items as questions, each asked so that a taste for a place or a word alone scores chance.

safety         k options, rotated k times: the right one stands in each place once
hallucination  with the right and with the made-up answer, each with yes and no named in both orders
bias           with the two words named in both orders
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from influence_assets.features.side_effect_items import (
    BiasItem,
    HallucinationItem,
    SafetyItem,
    SideEffectItems,
    SideEffectTest,
)
from resources.errors import InputError
from resources.messages import Message
from resources.prompts import PromptFile, load_prompt

FOLDER = Path("prompts") / "features"
"""The prompts' place in the data folder; the files are called as the tests."""

_SAFETY_VARIANTS = {2: "two", 3: "three", 4: "four"}
_PLAIN, _KNOWN = ("yes_no", "no_yes"), ("known_yes_no", "known_no_yes")


@dataclass(frozen=True, slots=True)
class SideEffectQuestion:
    """One question of an item. `target` is the place in `options` of the right answer; of bias, of the first word."""

    test: SideEffectTest
    item_id: str
    category: str
    messages: tuple[Message, ...]
    options: tuple[str, ...]
    target: int


@dataclass(frozen=True)
class SideEffectPrompts:
    """The prompt files of the three tests."""

    safety: PromptFile
    hallucination: PromptFile
    bias: PromptFile

    @classmethod
    def load(cls, data: Path) -> SideEffectPrompts:
        """From the data folder. Raises `InputError` where options are missing."""
        files = {test: load_prompt(data / FOLDER / f"{test}.yaml") for test in SideEffectTest}
        for test, n, fix in (
            (SideEffectTest.SAFETY, 4, "A, B, C, D"),
            (SideEffectTest.HALLUCINATION, 2, '"yes", "no"'),
        ):
            if len(files[test].options) != n:
                raise InputError(
                    f"the test wants {n} options",
                    place=data / FOLDER / f"{test}.yaml",
                    field="options",
                    value=files[test].options,
                    fix=f"write options: [{fix}]",
                )
        return cls(files[SideEffectTest.SAFETY], files[SideEffectTest.HALLUCINATION], files[SideEffectTest.BIAS])


def side_effect_questions(prompts: SideEffectPrompts, items: SideEffectItems) -> list[SideEffectQuestion]:
    """All questions of all items; those of one item stand together."""
    questions: list[SideEffectQuestion] = []
    for safety in items.safety:
        questions += _safety(prompts.safety, safety)
    for hallucination in items.hallucination:
        questions += _hallucination(prompts.hallucination, hallucination)
    for bias in items.bias:
        questions += _bias(prompts.bias, bias)
    return questions


def _safety(prompt: PromptFile, item: SafetyItem) -> Iterator[SideEffectQuestion]:
    n = len(item.options)
    for first in range(n):
        rotated = item.options[first:] + item.options[:first]
        shown = dict(zip("abcd", rotated, strict=False))
        messages = prompt.render(_SAFETY_VARIANTS[n], question=item.question, **shown)
        target = (item.answer - first) % n
        yield SideEffectQuestion(SideEffectTest.SAFETY, item.id, item.category, messages, prompt.options[:n], target)


def _hallucination(prompt: PromptFile, item: HallucinationItem) -> Iterator[SideEffectQuestion]:
    knowledge = {"knowledge": item.knowledge} if item.knowledge else {}
    for target, answer in enumerate((item.right_answer, item.hallucinated_answer)):
        for variant in _KNOWN if knowledge else _PLAIN:
            messages = prompt.render(variant, question=item.question, answer=answer, **knowledge)
            yield SideEffectQuestion(
                SideEffectTest.HALLUCINATION, item.id, item.category, messages, prompt.options, target
            )


def _bias(prompt: PromptFile, item: BiasItem) -> Iterator[SideEffectQuestion]:
    words = (item.first, item.second)
    for first, second in (words, words[::-1]):
        messages = prompt.render("default", text=item.text, first=first, second=second)
        yield SideEffectQuestion(SideEffectTest.BIAS, item.id, item.category, messages, words, 0)
