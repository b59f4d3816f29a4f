"""What every checkpoint is probed with, as the assets call it: landed rows in, plain functions, rows out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from influence_assets.features.backgrounds import Kind
from influence_assets.features.direction_records import DirectionRow
from influence_assets.features.direction_tables import DIRECTIONS
from influence_assets.features.neutral import load_neutral
from influence_assets.features.study_design import factors_of, opened_checkpoint, why_not
from influence_assets.features.sweep import NULLS, RANDOM
from influence_assets.features.trait_asking import UNSTEERED, Checkpoint, ask_traits
from influence_assets.influence import tables as influence
from influence_assets.influence.environments import Split
from influence_assets.influence.prompting import Prompting
from influence_assets.influence.records import CheckpointRow, Condition, Conversation, Turn
from influence_assets.influence.rows_of import families_of
from influence_assets.influence.stages import environments_of
from influence_assets.influence.study_design import cast_of
from influence_assets.joint.records import Projection, ReadText
from influence_assets.joint.smaller_design import smaller_design, smaller_item_set
from influence_assets.joint.tables import PROJECTIONS, RESPONSES, TRAIT_ANSWERS
from influence_assets.personas import tables as personas
from influence_assets.rows import from_frame, to_frame
from influence_assets.standing import Standing
from influence_assets.steerability.respond import respond
from influence_assets.step import Step
from influence_assets.steps import Frames
from resources.asking import Models
from resources.registry import Registry

HIGH = "high"


def probe(step: Step, k: int) -> Frames:
    """Steerability, trait answers and projections of checkpoint k; no rows when there is no such checkpoint."""
    rows = from_frame(CheckpointRow, step.read(influence.CHECKPOINTS, iteration=k))
    if not rows:
        return {table: step.project.warehouse.frame(table, []) for table in (RESPONSES, TRAIT_ANSWERS, PROJECTIONS)}
    cast, registry = cast_of(step.study, step.project.registry, step.partition, rows[0])
    asked = Checkpoint(cast.agent, k, cast.adapter)
    own = pl.lit(step.partition).alias("model")  # a checkpoint at a provider is asked under another name
    return {
        RESPONSES: _responses(step, asked, registry).with_columns(own),
        TRAIT_ANSWERS: _trait_answers(step, asked, registry).with_columns(own),
        PROJECTIONS: to_frame(PROJECTIONS, _projections(step, Checkpoint(step.partition, k, cast.adapter))),
    }


def why_no_probes(step: Step, k: int) -> str:
    """Why checkpoint k has no probes at all; empty where it has some."""
    if step.read(influence.CHECKPOINTS, iteration=k).is_empty():
        return f"{step.partition} has no checkpoint {k}: models.yaml does not call it trainable"
    return ""


def why_no_projections(step: Step, k: int) -> str:
    """Why a checkpoint has no projections; empty where it has some."""
    reason = why_no_probes(step, k) or why_not(step, k)
    if not reason and not axis_rows(step):
        reason = f"features.directions has no direction of a trait by {step.study.joint.direction}"
    return reason


def probe_files(step: Standing) -> list[Path]:
    """Trait items, neutral texts, and the factors that say which directions are of traits."""
    settings, data = step.study.features, step.project.data
    files = [data / "backgrounds" / f"{name}.yaml" for name in settings.backgrounds]
    for name in settings.trait_items:
        files += sorted((data / "trait_items" / name).glob("*.yaml"))
        files += sorted((data / "imports" / "trait_items" / name).glob("*.yaml"))
    return [file for file in (*files, data / "neutral" / f"{settings.steering.neutral}.yaml") if file.exists()]


def axis_rows(step: Step) -> list[DirectionRow]:
    """The untouched model's directions toward the high side of every trait, and the controls at their layers."""
    rows = from_frame(DirectionRow, step.read(DIRECTIONS, iteration=0))
    traits = {factor.name for factor in factors_of(step) if factor.kind is Kind.TRAIT}
    method = step.study.joint.direction
    own = [row for row in rows if row.method == method and row.factor in traits and row.category == HIGH]
    layers = {row.layer for row in own}
    controls = [
        row
        for row in rows
        if row.method in NULLS and row.layer in layers and (row.method == RANDOM or row.factor in traits)
    ]
    return [*own, *controls]


def _responses(step: Step, checkpoint: Checkpoint, registry: Registry) -> pl.DataFrame:
    design = smaller_design(
        step.read(personas.PERSONAS),
        step.read(personas.STATEMENTS),
        step.study,
        step.project.prompts / "steerability",
    )
    return step.ask(
        lambda models: respond(
            design,
            models,
            model=checkpoint.model,
            iteration=checkpoint.iteration,
            adapter=checkpoint.adapter,
            on_progress=step.progress("statements"),
        ),
        registry,
        min_mass=step.study.steerability.min_mass,
    )


def _trait_answers(step: Step, checkpoint: Checkpoint, registry: Registry) -> pl.DataFrame:
    options, questions = smaller_item_set(step.project.data, step.study)

    async def work(models: Models) -> pl.DataFrame:
        answers = await ask_traits(models, checkpoint, [(UNSTEERED, questions)], options, step.progress("items"))
        return to_frame(TRAIT_ANSWERS, answers)

    return step.ask(work, registry, min_mass=step.study.features.min_mass)


def _projections(step: Step, checkpoint: Checkpoint) -> list[Projection]:
    if why_no_projections(step, checkpoint.iteration):
        return []
    from influence_assets.joint.reading import Axis, neutral_readings, project, reply_readings
    from resources.direction_files import read_direction

    rows = axis_rows(step)
    conversations, turns = _held_out(step, checkpoint.iteration)
    environments = environments_of(families_of(step.read(influence.ENVIRONMENTS), step.read(influence.INITIAL_STATES)))
    texts = load_neutral(step.project.data, step.study.features.steering.neutral)
    prompting = Prompting(step.project.prompts / "influence")
    readers: dict[Checkpoint, list[ReadText]] = {checkpoint: [ReadText.REPLIES, ReadText.NEUTRAL]}
    readers.setdefault(Checkpoint(step.partition, 0, None), []).append(ReadText.WORDS)
    found: list[Projection] = []
    for reader, text_sets in readers.items():
        with opened_checkpoint(step, reader) as model:
            axes = [Axis(row, read_direction(step.project.root / row.path, model.width).vector_D) for row in rows]
            replies = reply_readings(model, conversations, turns, environments, prompting)
            for text_set in text_sets:
                found += project(
                    model,
                    neutral_readings(model, texts) if text_set is ReadText.NEUTRAL else replies,
                    axes,
                    pooling=step.study.features.pooling,
                    text_set=text_set,
                    model=step.partition,
                    iteration=checkpoint.iteration,
                )
    return found


def _held_out(step: Step, k: int) -> tuple[list[Conversation], Sequence[Turn]]:
    conversations = [
        one
        for one in from_frame(Conversation, step.read(influence.CONVERSATIONS, iteration=k))
        if one.split == Split.EVAL and one.condition == Condition.AGENT
    ]
    ids = {one.conversation_id for one in conversations}
    turns = from_frame(Turn, step.read(influence.TURNS, iteration=k))
    return conversations, [turn for turn in turns if turn.conversation_id in ids]
