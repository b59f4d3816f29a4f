"""Steerability in the graph: steering_sets -> persona_responses -> matrix -> metrics, clusters. Partition: model."""

from __future__ import annotations

from influence_assets.features import tables as features
from influence_assets.partitions import MODELS, PROJECT
from influence_assets.personas import tables as personas
from influence_assets.steerability import show, tables
from influence_assets.steerability.clusters import cluster_table
from influence_assets.steerability.internal import Directions
from influence_assets.steerability.matrix import matrix
from influence_assets.steerability.method import needs_directions
from influence_assets.steerability.respond import Measurement, respond
from influence_assets.steerability.scores import score_tables
from influence_assets.steerability.splits import steering_sets as split_rows
from influence_assets.steerability.study_design import directions_of, measurement, people_of
from influence_assets.step import Step
from influence_assets.steps import Frames, about_traits, landed
from influence_assets.versions import code_version

# Steering from inside stands on the features family; other studies run without it.
_IS_INSIDE = needs_directions(PROJECT.study.steerability.methods)
_INSIDE = (features.DIRECTIONS, features.DOSE_RESPONSE) if _IS_INSIDE else ()

_VERSION = code_version(
    ["steerability", "stats"],
    data=[PROJECT.prompts / "steerability"],
    settings=[PROJECT.study.steerability, *([PROJECT.study.features.steering] if _IS_INSIDE else [])],
)

_PERSONA_TABLES = (personas.PERSONAS, personas.STATEMENTS)


def _measurement(step: Step, directions: Directions | None = None) -> Measurement:
    who = people_of(*(step.read(table) for table in _PERSONA_TABLES))
    prompts = step.project.prompts / "steerability"
    return measurement(who, step.study.steerability, seed=step.study.seed, prompts=prompts, directions=directions)


def _directions(step: Step) -> Directions:
    rows, doses = step.read(features.DIRECTIONS), step.read(features.DOSE_RESPONSE)
    return directions_of(rows, doses, step.study.features.steering)


@landed(
    group="steerability",
    partitions=MODELS,
    reads=_PERSONA_TABLES,
    writes=[tables.STEERING_SETS],
    version=_VERSION,
    check=show.set_checks,
    checks=show.SET_CHECKS,
    blocking=show.LEAKAGE,
)
def steering_sets(step: Step) -> Frames:
    """Which statements of each persona steer and which test.

    Drawn by seed, differently per persona and repeat, half agree and half disagree; a text that steers never tests the
    same system. Query `steerability.steering_sets`.
    """
    design = _measurement(step)
    return {tables.STEERING_SETS: split_rows(design.people, design.splits, model=step.partition)}


@landed(
    group="steerability",
    partitions=MODELS,
    reads=(*_PERSONA_TABLES, tables.STEERING_SETS, *_INSIDE),
    writes=[tables.RESPONSES],
    version=_VERSION,
    asks=lambda step: [step.partition],
    asks_alike=about_traits(0),
    show=show.responses,
    check=show.response_checks,
    checks=show.RESPONSE_CHECKS,
    blocking=show.RESPONSE_BLOCKING,
)
def persona_responses(step: Step) -> Frames:
    """The model, steered to one persona after the other, asked about the statements of all of them.

    One row per method, steered persona and statement: P(agree) from the model's own distribution over yes and no, the
    mass on them, and whether that is right. Void and refused answers are rows without a number. Query
    `steerability.responses`.
    """
    design = _measurement(step, _directions(step) if _INSIDE else None)
    rows = step.ask(
        lambda models: respond(design, models, model=step.partition, on_progress=step.progress()),
        min_mass=step.study.steerability.min_mass,
    )
    return {tables.RESPONSES: rows}


@landed(
    group="steerability",
    partitions=MODELS,
    reads=[personas.PERSONAS, tables.RESPONSES],
    writes=[tables.MATRIX],
    version=_VERSION,
    show=show.matrix,
)
def steerability_matrix(step: Step) -> Frames:
    """Steered persona by test persona: how often the steered model answers as the test persona would.

    A model that can be steered has a high diagonal and a low rest. Query `steerability.matrix`.
    """
    return {tables.MATRIX: matrix(step.read(tables.RESPONSES))}


@landed(
    group="steerability",
    partitions=MODELS,
    reads=(*_PERSONA_TABLES, tables.RESPONSES),
    writes=[tables.SUMMARY, tables.SCORES],
    version=_VERSION,
    show=show.metrics,
)
def steerability_metrics(step: Step) -> Frames:
    """Scores with 95 % intervals and the chance level beside each, per method and per persona.

    Sensitivity: does the steered model answer best for its own persona? Specificity: is the persona answered best by
    its own system? Gain: how much better than unsteered? Query `steerability.summary` and `steerability.scores`.
    """
    who = people_of(*(step.read(table) for table in _PERSONA_TABLES))
    scores, summary = score_tables(
        step.read(tables.RESPONSES),
        {persona.persona_id: persona for persona in who.personas},
        draws=step.study.steerability.draws,
        seed=step.study.seed,
    )
    return {tables.SUMMARY: summary, tables.SCORES: scores}


@landed(
    group="steerability",
    partitions=MODELS,
    reads=(*_PERSONA_TABLES, tables.RESPONSES),
    writes=[tables.CLUSTERS],
    version=_VERSION,
    show=show.clusters,
)
def persona_clusters(step: Step) -> Frames:
    """Personas grouped by how they steer, within and across frameworks, against the frameworks that they come from.

    Average linkage on correlation distance between rows of the matrix; `position` orders a heat map. Query
    `steerability.clusters`.
    """
    who = people_of(*(step.read(table) for table in _PERSONA_TABLES))
    rows = cluster_table(
        step.read(tables.RESPONSES),
        {persona.persona_id: persona for persona in who.personas},
        draws=step.study.steerability.draws,
        seed=step.study.seed,
    )
    return {tables.CLUSTERS: rows}
