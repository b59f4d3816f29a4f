"""From personas to statements: rounds of generation and filtering until every persona has its share.

`fill` asks the generator and the judges, round by round; `filtered` makes the statements from the candidates alone
(with the cache it asks nobody). Both decide by the same pure function, `decide`, so the rows of
`personas.candidate_statements` are enough to make the rest again. Given the same replies, all rows are the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from influence_assets.personas.contrast import Opposites, Unit, units, with_other_halves
from influence_assets.personas.embeddings import Embedder, hashed_tfidf
from influence_assets.personas.filters.agreement import Judgement, agreement, judge, judge_requests
from influence_assets.personas.filters.balance import (
    Half,
    Shortfall,
    balance,
    choose_pairs,
    halves,
    missing,
    shortfalls,
)
from influence_assets.personas.filters.cross_persona import cross_persona
from influence_assets.personas.filters.diversity import diversity
from influence_assets.personas.filters.form import Form, form, load_form
from influence_assets.personas.frameworks import Framework, aspects_of
from influence_assets.personas.generate import (
    Ask,
    Generation,
    candidates,
    generation_requests,
    mark_collisions,
    request_seed,
)
from influence_assets.personas.records import (
    Candidate,
    Decision,
    Origin,
    Persona,
    Statement,
    distinct,
)
from influence_assets.study import FilterSettings, Study
from resources.asking import Models, Progress
from resources.messages import Request, Role
from resources.prompts import PromptFile, load_prompt

# In its first round a half is asked for this many times what it lacks, then for twice, three times as much.
OVERSAMPLE = 2


@dataclass(frozen=True)
class Plan:
    """Everything that a framework's statements depend on, beside the models themselves."""

    slug: str
    personas: tuple[Persona, ...]
    generation: Generation
    judge_prompt: PromptFile
    judges: tuple[str, ...]
    form: Form
    settings: FilterSettings
    wanted: int
    max_rounds: int
    embed: Embedder = field(default=hashed_tfidf)

    @property
    def usable(self) -> list[Persona]:
        """Personas that have a description."""
        return [persona for persona in self.personas if persona.description]

    @property
    def opposites(self) -> Opposites:
        return Opposites.of(self.usable)


def plan(slug: str, framework: Framework, personas: Sequence[Persona], study: Study, data: Path) -> Plan:
    """The plan for one framework: prompts, aspects and word lists from `data`, sizes and models from the study."""
    settings = study.personas
    return Plan(
        slug=slug,
        personas=tuple(personas),
        generation=Generation(
            framework=slug,
            aspects=aspects_of(framework, data / "aspects.yaml"),
            prompt=load_prompt(data / "prompts" / "personas" / "statements.yaml"),
            generators=study.roles[Role.GENERATOR],
            seed=study.seed,
            per_request=settings.statements_per_request,
        ),
        judge_prompt=load_prompt(data / "prompts" / "personas" / "judge.yaml"),
        judges=study.roles[Role.FILTER_JUDGE],
        form=Form(
            lists=load_form(data / "filters" / "form.yaml"),
            framework_names=(framework.name,),
            names={persona.persona_id: persona.name for persona in personas},
            min_words=settings.filters.min_words,
            max_words=settings.filters.max_words,
        ),
        settings=settings.filters,
        wanted=settings.agree_per_persona,
        max_rounds=settings.max_rounds,
    )


@dataclass(frozen=True)
class Filtered:
    """What the filters made of the candidates."""

    decisions: list[Decision]
    statements: list[Statement]
    shortfalls: list[Shortfall]


@dataclass(frozen=True)
class _Survivors:
    """Units that passed every filter before balance, with the decisions so far."""

    units: list[Unit]
    decisions: list[Decision]


class _Count:
    """One running (done, total) over several batches of requests, for a progress bar that only moves forward."""

    def __init__(self, on_progress: Progress | None) -> None:
        self._tell, self._done, self._total = on_progress, 0, 0

    def batch(self, size: int) -> Progress:
        base, self._total = self._done, self._total + size

        def tell(done: int, _: int) -> None:
            self._done = base + done
            if self._tell:
                self._tell(self._done, self._total)

        return tell


async def fill(plan: Plan, models: Models, on_progress: Progress | None = None) -> list[Candidate]:
    """All candidates: rounds of asking until every half of every persona is full, or `max_rounds`."""
    rows: list[Candidate] = []
    judgements: dict[str, Judgement] = {}
    count = _Count(on_progress)
    personas = {persona.persona_id: persona for persona in plan.usable}
    lacking = dict.fromkeys(halves(plan.usable), plan.wanted)
    for round_number in range(plan.max_rounds):
        asks = _asks(plan, lacking, rows, round_number)
        if not asks:
            break
        written = await candidates(asks, personas, plan.generation, models, count.batch(len(asks)))
        rows = mark_collisions([*rows, *with_other_halves(written, plan.opposites)])
        await _judge_new(plan, rows, judgements, models, count)
        survivors = _survivors(plan, rows, judgements)
        lacking = missing(
            choose_pairs(survivors.units, plan.opposites, plan.usable, plan.wanted), plan.usable, plan.wanted
        )
    return rows


def first_round(plan: Plan, placeholder: str) -> list[tuple[Request, tuple[str, ...]]]:
    """The questions of the first round, for an estimate: with `{}` in `placeholder` for a number, it stands for each
    statement that the judges will be asked about. Options are empty where text is asked for."""
    personas = {persona.persona_id: persona for persona in plan.usable}
    asks = _asks(plan, dict.fromkeys(halves(plan.usable), plan.wanted), [], 0)
    questions: list[tuple[Request, tuple[str, ...]]] = [
        (request, ()) for request in generation_requests(asks, personas, plan.generation)
    ]
    for number, ask in enumerate(asks):
        for i in range(plan.generation.per_request):
            text = placeholder.format(number * plan.generation.per_request + i)
            partner = plan.opposites.partner(ask.persona_id, ask.agree, text)
            for reader in (ask.persona_id, *([partner] if partner else [])):
                asked = judge_requests(personas[reader], text, plan.judge_prompt, plan.judges)
                questions += [(request, plan.judge_prompt.options) for request in asked]
    return questions


async def filtered(
    plan: Plan, rows: Sequence[Candidate], models: Models, on_progress: Progress | None = None
) -> Filtered:
    """Decisions and statements for given candidates; the judges' answers come from the cache when `fill` ran before."""
    judgements: dict[str, Judgement] = {}
    await _judge_new(plan, rows, judgements, models, _Count(on_progress))
    return decide(plan, rows, judgements)


def decide(plan: Plan, rows: Sequence[Candidate], judgements: dict[str, Judgement]) -> Filtered:
    """Every filter in its order, then the statements. Pure: the order of the rows does not matter."""
    survivors = _survivors(plan, rows, judgements)
    decisions, chosen = balance(survivors.units, plan.opposites, plan.usable, plan.wanted)
    statements = _statements(survivors.units, chosen, judgements)
    everything = [*survivors.decisions, *decisions]
    return Filtered(everything, statements, shortfalls(plan.personas, rows, everything, statements, plan.wanted))


def _survivors(plan: Plan, rows: Sequence[Candidate], judgements: dict[str, Judgement]) -> _Survivors:
    alive = distinct(rows)
    decisions = form(alive, plan.form)
    alive = _passed(alive, decisions)
    judged = agreement(alive, judgements, plan.settings.label_confidence)
    alive = _passed(alive, judged)
    decisions += judged
    left = units(alive, {decision.statement_id: decision.score or 0.0 for decision in judged})
    vectors = plan.embed([unit.text for unit in left])
    diverse = diversity(left, vectors, plan.settings.diversity)
    kept = _passed_units(left, diverse)
    apart = cross_persona([left[i] for i in kept], vectors[kept], plan.settings.cross_persona)
    decisions += diverse + apart
    unique = [left[i] for i in kept]
    return _Survivors([unique[i] for i in _passed_units(unique, apart)], decisions)


def _passed(alive: Sequence[Candidate], decisions: Sequence[Decision]) -> list[Candidate]:
    passed = {decision.statement_id for decision in decisions if decision.passed}
    return [candidate for candidate in alive if candidate.id in passed]


def _passed_units(left: Sequence[Unit], decisions: Sequence[Decision]) -> list[int]:
    passed = {decision.statement_id for decision in decisions if decision.passed}
    return [i for i, unit in enumerate(left) if unit.members[0].id in passed]


async def _judge_new(
    plan: Plan, rows: Sequence[Candidate], judgements: dict[str, Judgement], models: Models, count: _Count
) -> None:
    alive = distinct(rows)
    new = [candidate for candidate in _passed(alive, form(alive, plan.form)) if candidate.id not in judgements]
    personas = {persona.persona_id: persona for persona in plan.usable}
    size = len(new) * len(plan.judges) * len(plan.judge_prompt.variants)
    judgements.update(await judge(new, personas, plan.judge_prompt, models, plan.judges, count.batch(size)))


def _asks(plan: Plan, lacking: dict[Half, int], rows: Sequence[Candidate], round_number: int) -> list[Ask]:
    """Whom to ask about what: short halves, each going round its own order of the aspects from where it stopped."""
    asked: dict[Half, set[tuple[int, str | None]]] = {half: set() for half in lacking}
    for row in rows:
        half = Half(row.persona_id, row.agree)
        if row.origin == Origin.GENERATED and half in asked:
            asked[half].add((row.round, row.aspect))
    result = []
    opposites = plan.opposites
    for half, lack in lacking.items():
        # Both ends of a link write for it, each half of what it lacks.
        writers = 2 if opposites.partners(*half) else 1
        texts = OVERSAMPLE * (1 + round_number) * lack / writers
        turns = min(math.ceil(texts / plan.generation.per_request), len(plan.generation.aspects))
        order = _aspect_order(plan, half)
        start = len(asked[half])
        for turn in range(start, start + turns):
            result.append(Ask(half.persona_id, half.agree, order[turn % len(order)], round_number))
    return result


def _aspect_order(plan: Plan, half: Half) -> list[str]:
    # The same for both labels of a persona: agree and disagree prompts differ in one word, aspects included.
    key = (plan.generation.seed, plan.slug, half.persona_id)
    return sorted(plan.generation.aspects, key=lambda aspect: (request_seed(*key, aspect), aspect))


def _statements(
    left: Sequence[Unit], chosen: dict[str, str | None], judgements: dict[str, Judgement]
) -> list[Statement]:
    members = sorted(
        (member for unit in left for member in unit.members if member.id in chosen),
        key=lambda member: (member.persona_id, not member.agree, member.id),
    )
    place: dict[str, int] = {}
    statements = []
    for member in members:
        position = place.get(member.persona_id, 0)
        place[member.persona_id] = position + 1
        judgement = judgements[member.id]
        statements.append(
            Statement(
                framework=member.framework,
                statement_id=member.id,
                persona_id=member.persona_id,
                position=position,
                text=member.text,
                agree=member.agree,
                label_confidence=judgement.confidence(member.agree),
                p_agree=judgement.p_agree,
                pair_id=chosen[member.id],
                aspect=member.aspect,
                round=member.round,
                origin=member.origin,
                generator=member.generator,
                request_id=member.request_id,
            )
        )
    return statements
