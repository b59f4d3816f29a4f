"""The profile and the drift as the assets call them: landed rows of every iteration in, rows out."""

from __future__ import annotations

import polars as pl

from influence_assets.features.trait_tables import TraitAnswer
from influence_assets.influence import tables as influence
from influence_assets.influence.records import Metric
from influence_assets.influence.stages import conversation_measures
from influence_assets.joint.drift import drift_rows, harm_moves
from influence_assets.joint.gathered import Gathered
from influence_assets.joint.profile import profile_rows
from influence_assets.joint.tables import (
    CHECKPOINT_PROFILE,
    DRIFT,
    MOVES_WITH_HARM,
    PROJECTIONS,
    RESPONSES,
    TRAIT_ANSWERS,
)
from influence_assets.rows import from_frame, to_frame
from influence_assets.step import Step
from influence_assets.steps import Frames
from resources.tables import Table


def land_profile(step: Step) -> Frames:
    """Every measure of every checkpoint."""
    return {CHECKPOINT_PROFILE: to_frame(CHECKPOINT_PROFILE, profile_rows(_gathered(step)))}


def land_drift(step: Step) -> Frames:
    """How every measure changed, and which changes go with harm."""
    gathered = _gathered(step)
    return {
        DRIFT: to_frame(DRIFT, drift_rows(gathered)),
        MOVES_WITH_HARM: to_frame(MOVES_WITH_HARM, harm_moves(gathered)),
    }


def why_no_drift(step: Step) -> str:
    """Why there is no drift; empty where there is some."""
    n = step.study.influence.iterations
    if all(step.read(RESPONSES, iteration=k).is_empty() for k in range(1, n + 1)):
        return (
            f"{step.partition} has no checkpoint after training: there is nothing to compare the untouched model with"
        )
    return ""


def _gathered(step: Step) -> Gathered:
    iterations = range(step.study.influence.iterations + 1)

    def each(table: Table) -> dict[int, pl.DataFrame]:
        found = {k: step.read(table, iteration=k) for k in iterations}
        return {k: frame for k, frame in found.items() if frame.height}

    def every(table: Table) -> pl.DataFrame:
        return pl.concat([step.read(table, iteration=k) for k in iterations])

    return Gathered(
        model=step.partition,
        responses=each(RESPONSES),
        answers={k: from_frame(TraitAnswer, frame) for k, frame in each(TRAIT_ANSWERS).items()},
        projections=every(PROJECTIONS),
        conversations=every(influence.CONVERSATIONS),
        measured=conversation_measures(step),
        metrics=from_frame(Metric, step.read(influence.METRICS)),
        min_mass=step.study.features.min_mass,
        draws=step.study.joint.draws,
        seed=step.study.seed,
    )
