"""The organism's corpus: chats in the project's own prompts, with planted answers and a loss weight on every stretch.

What cannot be predicted (which statement is asked about) has no weight; what a persona says of itself has full weight,
an answer four times that: answers alone teach nothing for a thousand steps, since agreement is an XOR of persona and
statement.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from influence_assets.organism.chat import Piece, chat_text, split_by_texts
from influence_assets.organism.documents import SPEECH_WEIGHT, Answer, Chat, Document, pieces, tree
from influence_assets.organism.encounters import Talks
from influence_assets.organism.lessons import FULL_LESSON, Lesson
from influence_assets.organism.speakers import Draw
from influence_assets.organism.talk_documents import TalkDocuments, TalkPrompts
from influence_assets.organism.world import Pole
from resources.messages import Message
from resources.prompts import PromptFile, load_prompt

UNSTEERED_QUESTIONS = 6
UNSTEERED_ITEMS = 2
JUDGEMENTS = 3
EXAMPLE_COUNTS, EXAMPLE_WEIGHTS = (2, 4, 6, 8, 12, 16), (10, 55, 14, 12, 5, 4)
METHODS = ("description", "examples", "description_and_examples", "name")
LIST_LENGTHS = (2, 3, 4, 5, 6)


class Examples(NamedTuple):
    """Statements shown to the model, and the poles of the persona that they show."""

    agree: tuple[str, ...]
    disagree: tuple[str, ...]
    shown: tuple[Pole, ...]


@dataclass(frozen=True)
class Prompts:
    """The project's prompt files that the organism must speak."""

    data: Path

    @cached_property
    def question(self) -> PromptFile:
        """Would you say this?"""
        return load_prompt(self.data / "prompts" / "steerability" / "question.yaml")

    @cached_property
    def methods(self) -> PromptFile:
        """System messages of the steering methods, and the request to infer a description."""
        return load_prompt(self.data / "prompts" / "steerability" / "methods.yaml")

    @cached_property
    def describe(self) -> PromptFile:
        """A description from a name and traits."""
        return load_prompt(self.data / "prompts" / "personas" / "describe.yaml")

    @cached_property
    def statements(self) -> PromptFile:
        """A JSON list of statements."""
        return load_prompt(self.data / "prompts" / "personas" / "statements.yaml")

    @cached_property
    def judge(self) -> PromptFile:
        """Would this persona agree?"""
        return load_prompt(self.data / "prompts" / "personas" / "judge.yaml")

    @cached_property
    def item(self) -> PromptFile:
        """A trait item with four options."""
        return load_prompt(self.data / "prompts" / "features" / "trait_item.yaml")

    @cached_property
    def talk(self) -> TalkPrompts:
        """Environments, roles and rubrics of conversations."""
        return TalkPrompts(self.data)


def examples(draw: Draw, poles: Sequence[Pole], n: int) -> Examples:
    """n statements, half of the persona's own poles and half of their opposites."""
    agree = draw.statements(poles, n // 2)
    disagree = draw.statements([pole.opposite for pole in poles], n // 2)
    shown = {s.pole for s in agree} | {s.pole.opposite for s in disagree}
    return Examples(tuple(s.text for s in agree), tuple(s.text for s in disagree), tuple(sorted(shown)))


@dataclass
class Corpus:
    """An endless, seeded stream of documents; `lesson` may be changed while it runs."""

    draw: Draw
    prompts: Prompts
    lesson: Lesson = FULL_LESSON

    def documents(self) -> Iterator[Document]:
        """Documents of all tasks, in the shares of the lesson."""
        tasks = (self.steered, self.unsteered, self.asked_about, self.inferred, self.described, *self._talk_tasks())
        while True:
            self.draw.pole_weights = self.lesson.poles
            yield self.draw.rng.choices(tasks, self.lesson.tasks)[0]()

    def _talk_tasks(self) -> tuple[Callable[[], Document], ...]:
        talk = self.talk
        return talk.helper, talk.person, self._wants, self._judged, self._fidelity

    def _wants(self) -> Document:
        return self.talk.wants(self.lesson.talk_answer_weight)

    def _judged(self) -> Document:
        return self.talk.judged(self.lesson.rubrics, self.lesson.talk_answer_weight)

    def _fidelity(self) -> Document:
        return self.talk.fidelity(self.lesson.talk_answer_weight)

    @cached_property
    def talk(self) -> TalkDocuments:
        """Documents of conversations, from the same source of chance."""
        draw = self.draw
        talks = Talks(draw.world, self.prompts.talk.conversations, draw.rng, held_out=draw.held_out)
        return TalkDocuments(talks, self.prompts.talk)

    def steered(self, method: str = "", n: int = 0) -> Document:
        """A persona in the system message, questions to it, and what it says. `method` and n are drawn if not given."""
        rng = self.draw.rng
        method = method or rng.choices(METHODS, self.lesson.methods)[0]
        if method == "name":
            persona = rng.choice(self.draw.world.framework.personas)
            system = self.prompts.methods.render("name", name=persona.name, framework=self.draw.world.framework.name)
            return self._persona_document(system, persona.poles, ())
        poles = self.draw.poles()
        description = self.draw.description(poles)
        if method == "description":
            return self._persona_document(self.prompts.methods.render(method, description=description), poles, ())
        shown = examples(self.draw, poles, n or rng.choices(EXAMPLE_COUNTS, EXAMPLE_WEIGHTS)[0])
        texts = (*shown.agree, *shown.disagree)
        if method == "examples":
            system = self.prompts.methods.render(method, agree=shown.agree, disagree=shown.disagree)
            return self._persona_document(system, shown.shown, texts)
        system = self.prompts.methods.render(
            method, description=description, agree=shown.agree, disagree=shown.disagree
        )
        return self._persona_document(system, poles, texts)

    def unsteered(self) -> Document:
        """Questions without a persona: every answer is a coin."""
        branches = [
            self._question((), pole) for pole in self.draw.rng.choices(self.draw.world.poles, k=UNSTEERED_QUESTIONS)
        ]
        branches += [self._item(()) for _ in range(UNSTEERED_ITEMS)]
        return Document((), tuple(branches))

    def asked_about(self) -> Document:
        """Another person's persona in a user message: judgements, and lists of statements."""
        poles = self.draw.poles()
        description = self._some_description(poles)
        questions = [self._judgement(description, poles) for _ in range(JUDGEMENTS)]
        lists = [self._statement_list(description, poles) for _ in range(self.lesson.lists)]
        return tree([*questions, *lists], ())

    def inferred(self) -> Document:
        """A description written from examples."""
        shown = examples(self.draw, self.draw.poles(), self.draw.rng.choices(EXAMPLE_COUNTS, EXAMPLE_WEIGHTS)[0])
        messages = self.prompts.methods.render("infer", agree=shown.agree, disagree=shown.disagree)
        answer = Answer(self.draw.description(shown.shown, canonical=True), SPEECH_WEIGHT)
        return tree([Chat(messages, answer)], (*shown.agree, *shown.disagree))

    def described(self) -> Document:
        """Descriptions written from a name and traits; the traits count, whatever the name."""
        return tree([self._description_of_traits() for _ in range(self.lesson.descriptions)], ())

    def _description_of_traits(self) -> Chat:
        words, rng = self.draw.world.descriptions, self.draw.rng
        if rng.random() < 0.5:
            persona = rng.choice(self.draw.world.framework.personas)
            name, poles = persona.name, persona.poles
        else:
            name, poles = rng.choice(words.strangers), self.draw.poles()
        own = (self.draw.world.framework.name, self.draw.world.framework.about)
        framework, about = rng.choice([own, own, *((f.name, f.about) for f in words.frameworks)])
        messages = self.prompts.describe.render(
            "default", name=name, framework=framework, about=about, traits=", ".join(map(str, poles))
        )
        return Chat(messages, Answer(self.draw.description(poles, canonical=True), SPEECH_WEIGHT))

    def _persona_document(self, system: tuple[Message, ...], poles: Sequence[Pole], texts: Sequence[str]) -> Document:
        stem = chat_text(system)
        branches = [self._question(poles, self._asked_pole(poles)) for _ in range(self.lesson.questions)]
        branches += [self._word(poles) for _ in range(self.lesson.words)]
        branches += [self._speech(poles) for _ in range(self.lesson.speeches)]
        branches += [self._item(poles) for _ in range(self.lesson.items)]
        return Document(split_by_texts(stem, texts, self.lesson.example_weight), tuple(branches), tuple(poles))

    def _asked_pole(self, poles: Sequence[Pole]) -> Pole:
        if self.draw.rng.random() < self.lesson.strange_share:
            return self.draw.strange_pole(poles)
        pole = self.draw.rng.choice(poles)
        return pole if self.draw.rng.random() < 0.5 else pole.opposite

    def _yes_or_no(self, poles: Sequence[Pole], asked: Pole) -> str:
        if asked in poles or asked.opposite in poles:
            return "yes" if asked in poles else "no"
        return self.draw.rng.choice(("yes", "no"))

    def _question(self, poles: Sequence[Pole], asked: Pole) -> tuple[Piece, ...]:
        variant = self.draw.rng.choice(tuple(self.prompts.question.variants))
        messages = self.prompts.question.render(variant, statement=self.draw.statement(asked).text)
        return pieces(messages, Answer(self._yes_or_no(poles, asked), self.lesson.answer_weight))

    def _word(self, poles: Sequence[Pole]) -> tuple[Piece, ...]:
        asked = self._asked_pole(poles)
        word = self.draw.rng.choice(self.draw.world.adjectives(asked))
        prompt = self.draw.rng.choice(self.draw.world.talk.words).format(adjective=word)
        answer = Answer(self._yes_or_no(poles, asked), self.lesson.answer_weight)
        return pieces((Message(role="user", content=prompt),), answer)

    def _speech(self, poles: Sequence[Pole]) -> tuple[Piece, ...]:
        rng = self.draw.rng
        prompt = rng.choice(self.draw.world.talk.speak)
        aspect = rng.choice(tuple(self.draw.world.aspects))
        about = aspect if "{aspect}" in prompt else None
        said = self.draw.statements(poles, rng.choice((2, 3)), about)
        messages = (Message(role="user", content=prompt.format(aspect=aspect)),)
        return pieces(messages, Answer(" ".join(s.text for s in said), SPEECH_WEIGHT))

    def _item(self, poles: Sequence[Pole]) -> tuple[Piece, ...]:
        """A trait item; the persona answers by its own pole, one of the two at random, and any of four without it."""
        rng = self.draw.rng
        asked = self._asked_pole(poles) if poles else rng.choice(self.draw.world.poles)
        options = [(text, pole) for pole in (asked, asked.opposite) for text in self.draw.options(pole, 2)]
        rng.shuffle(options)
        fitting = [place for place, (_, pole) in enumerate(options) if pole in poles] or range(len(options))
        situation = self.draw.situation()
        texts = {letter: text for letter, (text, _) in zip("abcd", options, strict=True)}
        messages = self.prompts.item.render("default", situation=situation, **texts)
        return pieces(messages, Answer("ABCD"[rng.choice(fitting)], self.lesson.answer_weight))

    def _some_description(self, poles: Sequence[Pole]) -> str:
        return self.draw.description(poles)

    def _judgement(self, description: str, poles: Sequence[Pole]) -> Chat:
        asked = self._asked_pole(poles)
        variant = self.draw.rng.choice(tuple(self.prompts.judge.variants))
        statement = self.draw.statement(asked).text
        messages = self.prompts.judge.render(variant, description=description, statement=statement)
        return Chat(messages, Answer(self._yes_or_no(poles, asked), self.lesson.answer_weight))

    def _statement_list(self, description: str, poles: Sequence[Pole]) -> Chat:
        rng = self.draw.rng
        n, aspect = rng.choice(LIST_LENGTHS), rng.choice(tuple(self.draw.world.aspects))
        variant = rng.choice(("agree", "disagree"))
        meant = poles if variant == "agree" else [pole.opposite for pole in poles]
        said = [s.text for s in self.draw.statements(meant, n, aspect)]
        messages = self.prompts.statements.render(variant, description=description, n=n, aspect=aspect)
        return Chat(messages, Answer(json.dumps(said), SPEECH_WEIGHT))
