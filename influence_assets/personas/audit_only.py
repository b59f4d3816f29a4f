"""Audit-only mode: the filters look at statements that came from elsewhere; decisions are recorded, nothing is dropped.

Every filter sees every statement, in the file's order, so that each decision stands on its own. Beside our filters
the public benchmark's own diversity rule runs, for comparison. Balance makes no choice here; the audit of label
balance says what is uneven.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from influence_assets.personas.contrast import Unit
from influence_assets.personas.embeddings import Embedder, hashed_tfidf
from influence_assets.personas.filters.agreement import Judgement, agreement, judge
from influence_assets.personas.filters.cross_persona import cross_persona
from influence_assets.personas.filters.diversity import diversity, public_decisions
from influence_assets.personas.filters.form import Form, FormFile, form
from influence_assets.personas.importers import ImportedBenchmark
from influence_assets.personas.records import Candidate, Decision, Origin, Persona, Statement
from influence_assets.study import FilterSettings
from resources.asking import Models, Progress
from resources.messages import Status
from resources.prompts import PromptFile


def import_rules(benchmark: ImportedBenchmark, lists: FormFile, settings: FilterSettings) -> Form:
    """The form filter's rules for a benchmark: the bare names of all its personas and frameworks."""
    return Form(
        lists=lists,
        framework_names=tuple(benchmark.frameworks()),
        names={persona.persona_id: persona.name for persona in benchmark.personas},
        min_words=settings.min_words,
        max_words=settings.max_words,
    )


async def judge_imported(
    statements: Sequence[Statement],
    personas: Sequence[Persona],
    prompt: PromptFile,
    models: Models,
    judges: Sequence[str],
    on_progress: Progress | None = None,
) -> dict[str, Judgement]:
    """Judgements of imported statements by id; personas without a description are left out."""
    described = {persona.persona_id: persona for persona in personas if persona.description}
    asked = [candidate for candidate in _candidates(statements) if candidate.persona_id in described]
    return await judge(asked, described, prompt, models, judges, on_progress)


def audit_only(
    statements: Sequence[Statement],
    rules: Form,
    settings: FilterSettings,
    judgements: Mapping[str, Judgement] | None = None,
    embed: Embedder = hashed_tfidf,
) -> list[Decision]:
    """Decisions of all filters on imported statements; those of agreement only for statements that were judged."""
    candidates = _candidates(statements)
    judged = [candidate for candidate in candidates if judgements and candidate.id in judgements]
    vectors = embed([candidate.text for candidate in candidates])
    units = [Unit((candidate,), 0.0) for candidate in candidates]
    return [
        *form(candidates, rules),
        *agreement(judged, judgements or {}, settings.label_confidence),
        *diversity(units, vectors, settings.diversity),
        *cross_persona(units, vectors, settings.cross_persona),
        *public_decisions(candidates, vectors, settings.diversity),
    ]


def with_judgements(statements: Sequence[Statement], judgements: Mapping[str, Judgement]) -> list[Statement]:
    """The statements with P(agree) and label confidence where they were judged and the answer was valid."""
    return [
        replace(s, p_agree=found.p_agree, label_confidence=found.confidence(s.agree))
        if (found := judgements.get(s.statement_id)) and found.status is Status.OK
        else s
        for s in statements
    ]


def _candidates(statements: Sequence[Statement]) -> list[Candidate]:
    return [
        Candidate(
            framework=statement.framework,
            persona_id=statement.persona_id,
            agree=statement.agree,
            aspect=statement.aspect,
            round=0,
            position=statement.position,
            origin=Origin.IMPORTED.value,
            status=Status.OK.value,
            statement_id=statement.statement_id,
            text=statement.text,
        )
        for statement in statements
    ]
