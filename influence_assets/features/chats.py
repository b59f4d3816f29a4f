"""The study's own chats: what a model meets in it, which is what its SAE is trained and measured on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING

from influence_assets.features.items import Half, TraitItem
from influence_assets.features.orders import FORWARD
from influence_assets.features.trait_questions import trait_question
from influence_assets.influence.records import Turn
from influence_assets.influence.said import said
from influence_assets.influence.transcript import Speaker
from influence_assets.personas.records import Persona
from resources.content import sha256_of
from resources.messages import Message
from resources.prompts import PromptFile

if TYPE_CHECKING:
    from influence_assets.features.sae_text import ChatTokens
    from resources.local.opened import OpenModel

STATEMENTS = 400
"""Agreement questions among the chats, at most."""
HELD_OUT = 0.15
"""Share of the chats that measure the SAE and never train it."""


@dataclass(frozen=True, slots=True)
class StudyChat:
    """What is told to the model, and its reply; with no messages, `reply` is a text by itself."""

    messages: tuple[Message, ...]
    reply: str

    @property
    def held_out(self) -> bool:
        """By its content alone, so that another chat changes nobody's half."""
        name = sha256_of([[[m.role, m.content] for m in self.messages], self.reply])
        return int(name[:8], 16) / 2**32 < HELD_OUT


@dataclass(frozen=True)
class ChatPrompts:
    """The prompt files in whose words the study asks."""

    item: PromptFile
    question: PromptFile
    methods: PromptFile


def study_chats(
    prompts: ChatPrompts,
    *,
    turns: Sequence[Turn],
    personas: Sequence[Persona],
    statements: Sequence[str],
    items: Sequence[TraitItem],
    texts: Sequence[str],
) -> list[StudyChat]:
    """Conversations, trait items and agreement questions, some of them under a persona, and contrast texts.

    Of items those of the selection half alone; the caller gives the texts of that half.
    """
    personas = [persona for persona in personas if persona.description]
    chats = [*_conversations(turns), *_items(prompts, items, personas), *_questions(prompts, statements, personas)]
    return [*chats, *(StudyChat((), text) for text in texts)]


def chat_rows(opened: OpenModel, chats: Sequence[StudyChat], *, context: int, skip_first: int) -> ChatTokens:
    """Chats as tokens through the model's template. Raises `InputError` when none is left."""
    from influence_assets.features.sae_text import chat_tokens

    rows, lengths = [], []
    for chat in chats:
        prompt = opened.chat.tokens(chat.messages) if chat.messages else []
        rows.append([*prompt, *opened.chat.encode(chat.reply, special=not chat.messages)])
        lengths.append(len(prompt) if chat.messages and chat.reply else len(rows[-1]))
    # Most of a prompt cannot be predicted; without a single reply there is nothing else to score.
    replied = any(length < len(row) for length, row in zip(lengths, rows, strict=True))
    return chat_tokens(rows, context, skip_first, lengths if replied else None)


def _conversations(turns: Sequence[Turn]) -> Iterator[StudyChat]:
    for rows in said(turns).values():
        messages = tuple(
            Message(role="assistant" if turn.role == Speaker.AGENT.value else "user", content=turn.content)
            for turn in rows
            if turn.role in (Speaker.AGENT.value, Speaker.CHARACTER.value)
        )
        last = max((i for i, message in enumerate(messages) if message.role == "assistant"), default=None)
        if last is not None and last > 0:
            yield StudyChat(messages[:last], messages[last].content)


def _items(prompts: ChatPrompts, items: Sequence[TraitItem], personas: Sequence[Persona]) -> Iterator[StudyChat]:
    who = cycle(personas) if personas else None
    for item in items:
        if item.half is not Half.SELECTION:
            continue
        question = trait_question(prompts.item, item, FORWARD).messages
        yield StudyChat(question, "")
        if who is not None:
            yield StudyChat(_persona(prompts, next(who)) + question, "")


def _questions(prompts: ChatPrompts, statements: Sequence[str], personas: Sequence[Persona]) -> Iterator[StudyChat]:
    who, variants = cycle(personas) if personas else None, cycle(prompts.question.variants)
    for statement in sorted(statements, key=lambda text: sha256_of(text))[:STATEMENTS]:
        question = prompts.question.render(next(variants), statement=statement)
        yield StudyChat(question if who is None else _persona(prompts, next(who)) + question, "")


def _persona(prompts: ChatPrompts, persona: Persona) -> tuple[Message, ...]:
    return prompts.methods.render("description", description=persona.description or "")
