"""How far checkpoints can be steered, and how that changed, persona by persona.

Scores and their draws are the steerability family's own; both checkpoints of a change see the same draws of personas.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from influence_assets.joint.changes import Change, Resampled, spread_of
from influence_assets.joint.records import Measure
from influence_assets.joint.settings import UNSTEERED
from influence_assets.stats.permutation import paired_permutation
from influence_assets.steerability.estimates import Estimate, bootstrapped, overall, persona_scores
from influence_assets.steerability.shares import persona_mean
from influence_assets.steerability.tensors import Draws, Floats, Run, Tensors, cell_means, tensors

SCORES = (Measure.SENSITIVITY, Measure.GAIN)
_CELL = ["method", "n_steer", "repeat", "steered_persona_id", "test_persona_id", "statement_id"]


def steerability_scores(responses: pl.DataFrame, *, draws: int, seed: int) -> Iterator[tuple[Measure, str, Estimate]]:
    """Measure, steering method and estimate, from rows of `joint.responses` of one checkpoint."""
    data = tensors(responses)
    drawn = Draws.of(data, draws, seed)
    for run in _steered(data):
        estimates = bootstrapped(run, data.unsteered, drawn)
        for score in SCORES:
            yield score, subject_of(run), estimates[score.value]


def steerability_changes(
    base: pl.DataFrame, then: pl.DataFrame, *, draws: int, seed: int
) -> Iterator[tuple[Measure, str, Change]]:
    """Measure, method and change from one checkpoint's responses to another's in the same design.

    A persona without a score in either checkpoint is left out; a score that no persona has in both is no row. Raises
    `ValueError` where the two were not asked the same.
    """
    if not _design(base).equals(_design(then)):
        raise ValueError("the two checkpoints were not asked about the same personas and statements")
    before, after = tensors(base), tensors(then)
    drawn = Draws.of(before, draws, seed)
    runs = {subject_of(run): run for run in _steered(after)}
    for run in _steered(before):
        name = subject_of(run)
        for score in SCORES:
            change = _change(score, (run, before), (runs[name], after), drawn, draws=draws, seed=seed)
            if change is not None:
                yield score, name, change


def subject_of(run: Run) -> str:
    """The method, and how many statements it shows where it shows any."""
    return f"{run.method} {run.n_steer}" if run.n_steer else run.method


def _design(responses: pl.DataFrame) -> pl.DataFrame:
    """Which cells were asked."""
    return responses.select(_CELL).sort(_CELL)


def _steered(data: Tensors) -> list[Run]:
    return [run for run in data.runs if run.method != UNSTEERED]


def _change(
    score: Measure, base: tuple[Run, Tensors], then: tuple[Run, Tensors], drawn: Draws, *, draws: int, seed: int
) -> Change | None:
    matrices = [_matrices(*one) for one in (base, then)]

    def moved(weights_P: Floats) -> Floats:
        first, second = (persona_scores(*pair, weights_P)[score.value] for pair in matrices)
        difference: Floats = second - first
        return difference

    every_P = moved(np.ones(len(drawn.personas_B_P[0])))
    moved_P = every_P[~np.isnan(every_P)]
    if not moved_P.size:
        return None
    mean_B = np.concatenate(
        [persona_mean(moved(weights), weights) for weights in (drawn.personas_B_P[part] for part in drawn.chunks())]
    )
    return Change(
        overall(float(moved_P.mean()), mean_B, moved_P.size),
        paired_permutation(moved_P, np.zeros_like(moved_P), draws=draws, seed=seed),
        n=moved_P.size,
        resampled=Resampled.PERSONAS,
        n_resampled=moved_P.size,
        spread=spread_of(moved_P),
    )


def _matrices(run: Run, data: Tensors) -> tuple[Floats, Floats | None]:
    """Accuracy of every cell, and how far it is above that of the unsteered model."""
    none = data.unsteered
    gain = None if none is None else cell_means(run.correct_R_P_Q_S - none.correct_R_P_Q_S)
    return cell_means(run.correct_R_P_Q_S), gain
