"""The stages between a framework's file and its statements, for our own frameworks and for imports alike.

Our own statements are generated, filtered and chosen. An import's statements are taken as they are: the filters look
at them and their decisions are recorded, but nothing is dropped (audit-only mode).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from influence_assets.personas.audit_only import audit_only, import_rules, judge_imported, with_judgements
from influence_assets.personas.audits import audit
from influence_assets.personas.filters.balance import shortfalls
from influence_assets.personas.pipeline import Plan, fill, filtered, plan
from influence_assets.personas.records import AuditRow, Candidate, Decision, Origin, Persona, Statement
from influence_assets.personas.sources import Source
from influence_assets.study import Study
from resources.asking import Models, Progress
from resources.messages import Status


def plan_for(source: Source, personas: Sequence[Persona], study: Study, data: Path) -> Plan:
    """What the statements of this framework are made by."""
    return plan(source.slug, source.framework, personas, study, data)


async def candidates(source: Source, plan: Plan, models: Models, on_progress: Progress | None) -> list[Candidate]:
    """Generated candidates, round by round; an import's statements as candidates."""
    if source.benchmark is None:
        return await fill(plan, models, on_progress)
    return [
        Candidate(
            framework=statement.framework,
            persona_id=statement.persona_id,
            agree=statement.agree,
            aspect="",
            round=0,
            position=statement.position,
            origin=Origin.IMPORTED.value,
            status=Status.OK.value,
            statement_id=statement.statement_id,
            text=statement.text,
        )
        for statement in source.statements()
    ]


async def decisions_and_statements(
    source: Source, plan: Plan, rows: Sequence[Candidate], models: Models, on_progress: Progress | None
) -> tuple[list[Decision], list[Statement]]:
    """What the filters decided, and the statements that are kept (of an import: all of them)."""
    if source.benchmark is None:
        result = await filtered(plan, rows, models, on_progress)
        return result.decisions, result.statements
    statements = source.statements()
    rules = import_rules(source.benchmark, plan.form.lists, plan.settings)
    judged = await judge_imported(statements, plan.personas, plan.judge_prompt, models, plan.judges, on_progress)
    return audit_only(statements, rules, plan.settings, judged), with_judgements(statements, judged)


def audit_rows(
    source: Source,
    plan: Plan,
    rows: Sequence[Candidate],
    decisions: Sequence[Decision],
    statements: Sequence[Statement],
) -> list[AuditRow]:
    """All audits of the statements; how many are missing is asked of our own frameworks only."""
    own = source.benchmark is None
    short = shortfalls(plan.personas, rows, decisions, statements, plan.wanted) if own else []
    return audit(
        source.slug,
        statements,
        plan.personas,
        wanted=plan.wanted if own else None,
        short=short,
        diversity_threshold=plan.settings.diversity,
    )
