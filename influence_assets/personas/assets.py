"""The persona family in the graph: frameworks -> personas -> candidate_statements -> filtered_statements -> audit."""

from __future__ import annotations

from influence_assets.partitions import FRAMEWORKS, PROJECT
from influence_assets.personas import show, stages, tables
from influence_assets.personas.describe import describe, framework_row
from influence_assets.personas.pipeline import Plan
from influence_assets.personas.records import Candidate, Decision, Persona, Statement
from influence_assets.personas.sources import Source, load_source, source_path
from influence_assets.rows import from_frame, to_frame
from influence_assets.step import Step
from influence_assets.steps import Frames, landed
from influence_assets.versions import code_version
from resources.messages import Role
from resources.prompts import load_prompt


def _version(*families: str) -> str:
    return code_version(
        families,
        data=[PROJECT.prompts / "personas", PROJECT.data / "filters", PROJECT.data / "aspects.yaml"],
        settings=[PROJECT.study.personas],
    )


_VERSION = _version("personas")


def _source(step: Step) -> Source:
    return load_source(step.project.data, step.partition)


def _plan(step: Step) -> Plan:
    personas = from_frame(Persona, step.read(tables.PERSONAS).sort("position"))
    return stages.plan_for(_source(step), personas, step.study, step.project.data)


@landed(
    group="personas",
    partitions=FRAMEWORKS,
    writes=[tables.FRAMEWORKS],
    version=_VERSION,
    files=lambda step: [source_path(step.project.data, step.partition)],
)
def frameworks(step: Step) -> Frames:
    """Persona frameworks as their files say: name, meaning, dimensions, aspects of life.

    One row per framework. A framework is a file in `data/frameworks/` or an import in `data/imports/`; adding one adds
    a partition. Query `personas.frameworks`.
    """
    source = _source(step)
    return {
        tables.FRAMEWORKS: to_frame(tables.FRAMEWORKS, [framework_row(source.slug, source.framework, source.aspects)])
    }


@landed(
    group="personas",
    partitions=FRAMEWORKS,
    reads=[tables.FRAMEWORKS],
    writes=[tables.PERSONAS],
    version=_VERSION,
    files=lambda step: [source_path(step.project.data, step.partition)],
    asks=lambda step: step.study.roles[Role.GENERATOR],
)
def personas(step: Step) -> Frames:
    """Personas: named positions in a framework, with a description and, where there are dimensions, a trait profile.

    Descriptions come from the framework's file; where it has none the generator model writes one, so that a name alone
    is never all that a model gets. Query `personas.personas`.
    """
    source = _source(step)
    found = source.personas(step.study.personas.per_framework)
    if not all(persona.description for persona in found):
        found = step.ask(
            lambda models: describe(
                found,
                source.framework_of,
                load_prompt(step.project.prompts / "personas" / "describe.yaml"),
                models,
                generator=step.study.roles[Role.GENERATOR][0],
                seed=step.study.seed,
                on_progress=step.progress(),
            )
        )
    return {tables.PERSONAS: to_frame(tables.PERSONAS, found)}


@landed(
    group="personas",
    partitions=FRAMEWORKS,
    reads=[tables.PERSONAS],
    writes=[tables.CANDIDATE_STATEMENTS],
    version=_VERSION,
    files=lambda step: [source_path(step.project.data, step.partition)],
    asks=lambda step: (*step.study.roles[Role.GENERATOR], *step.study.roles[Role.FILTER_JUDGE]),
)
def candidate_statements(step: Step) -> Frames:
    """Everything that the generator wrote, round by round, until each persona has enough that passes the filters.

    Half of a persona's statements are ones that it would agree with, half ones that it would disagree with, by prompts
    that differ in one word. Replies that held no statement are rows with a status. Query
    `personas.candidate_statements`.
    """
    source, plan = _source(step), _plan(step)
    rows = step.ask(lambda models: stages.candidates(source, plan, models, step.progress()))
    return {tables.CANDIDATE_STATEMENTS: to_frame(tables.CANDIDATE_STATEMENTS, rows)}


@landed(
    group="personas",
    partitions=FRAMEWORKS,
    reads=[tables.PERSONAS, tables.CANDIDATE_STATEMENTS],
    writes=[tables.STATEMENTS, tables.FILTER_DECISIONS],
    version=_VERSION,
    files=lambda step: [source_path(step.project.data, step.partition)],
    asks=lambda step: step.study.roles[Role.FILTER_JUDGE],
    show=show.statements,
    check=show.statement_checks,
    blocking=show.STATEMENT_BLOCKING,
)
def filtered_statements(step: Step) -> Frames:
    """The statements that personas are measured with: balanced, agreed on by judges, no two alike.

    Five filters in a row (form, agreement, diversity within a persona, across personas, balance); every decision has
    its score and threshold in `personas.filter_decisions`. Query `personas.statements`.
    """
    source, plan = _source(step), _plan(step)
    rows = from_frame(Candidate, step.read(tables.CANDIDATE_STATEMENTS))
    decisions, statements = step.ask(
        lambda models: stages.decisions_and_statements(source, plan, rows, models, step.progress())
    )
    return {
        tables.STATEMENTS: to_frame(tables.STATEMENTS, statements),
        tables.FILTER_DECISIONS: to_frame(tables.FILTER_DECISIONS, decisions),
    }


@landed(
    group="personas",
    partitions=FRAMEWORKS,
    reads=[tables.PERSONAS, tables.CANDIDATE_STATEMENTS, tables.FILTER_DECISIONS, tables.STATEMENTS],
    writes=[tables.STATEMENT_AUDIT],
    version=_version("personas", "stats"),
    files=lambda step: [source_path(step.project.data, step.partition)],
    check=show.audit_checks,
    checks=show.AUDITS,
)
def statement_audit(step: Step) -> Frames:
    """What could be wrong with the statements: labels that wording or length give away, copies, short personas.

    One row per audit, with its interval and thresholds; each is also an asset check. Query `personas.statement_audit`.
    """
    rows = stages.audit_rows(
        _source(step),
        _plan(step),
        from_frame(Candidate, step.read(tables.CANDIDATE_STATEMENTS)),
        from_frame(Decision, step.read(tables.FILTER_DECISIONS)),
        from_frame(Statement, step.read(tables.STATEMENTS)),
    )
    return {tables.STATEMENT_AUDIT: to_frame(tables.STATEMENT_AUDIT, rows)}
