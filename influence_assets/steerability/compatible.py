"""The public steerability benchmark's protocol and scores, so that published numbers can be compared.

What it does is fixed, its weaknesses too: ties win, so a model that always answers yes scores 1.000. The project's own
scores are in `scores.py`; the ids of both are those of `personas/ids.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from influence_assets.steerability.people import People
from influence_assets.steerability.shares import max_rank, transposed
from influence_assets.steerability.splits import Draw, Splits
from resources.errors import InputError

ROWS_PER_LABEL = 30
"""Statements of each persona and label in the public files."""
SPLIT_SEED = 42
"""The public split uses this seed whatever the configuration says."""


def sample_positions(n_personas: int, max_personas: int, seed: int) -> list[int]:
    """Rows of the personas file that take part, in the order of the draw; 0 takes all rows in file order."""
    if not max_personas:
        return list(range(n_personas))
    order = np.random.RandomState(seed).permutation(n_personas)
    return [int(row) for row in order[: min(max_personas, n_personas)]]


def steer_positions(n_steer: int) -> list[int]:
    """Rows of the label block of one persona that steer: the same positions for every persona and either label."""
    if n_steer < 0 or n_steer % 2 or n_steer // 2 > ROWS_PER_LABEL:
        raise InputError(
            "the public split takes half agree, half disagree",
            field="n_steer",
            value=n_steer,
            fix=f"use an even number up to {2 * ROWS_PER_LABEL}",
        )
    order = np.random.RandomState(SPLIT_SEED).permutation(ROWS_PER_LABEL)
    return [int(row) for row in order[: n_steer // 2]]


def public_splits(people: People, in_file_order: pl.DataFrame, n_steer: int) -> Splits:
    """The public split of every persona, for `respond`: steering rows by position, all the rest tested.

    `in_file_order` holds persona_id, statement_id and agree as the public file has them. Raises `InputError` when a
    persona does not have exactly `ROWS_PER_LABEL` rows of either label.
    """
    positions = steer_positions(n_steer)
    number = {statement: index for index, statement in enumerate(people.statement_ids)}
    draws: list[Draw] = []
    for persona in people.personas:
        own = in_file_order.filter(pl.col("persona_id") == persona.persona_id)
        labels: list[NDArray[np.int64]] = []
        for agree in (True, False):
            rows = own.filter(pl.col("agree") == agree)["statement_id"].to_list()
            if len(rows) != ROWS_PER_LABEL:
                raise InputError(
                    f"the public protocol needs {ROWS_PER_LABEL} statements of either label",
                    field=persona.persona_id,
                    value=len(rows),
                    fix="use the public files whole, or the project's own splits",
                )
            labels.append(np.array([number[row] for row in rows], dtype=np.int64))
        rest = [np.delete(label, positions) for label in labels]
        draws.append(Draw(labels[0][positions], labels[1][positions], np.sort(np.concatenate(rest))))
    return Splits((n_steer,), (tuple(draws),))


class CompatibleScores(NamedTuple):
    """Scores of each persona in the order of the matrix; the benchmark reports their mean and median."""

    sensitivity_P: NDArray[np.float64]
    specificity_P: NDArray[np.float64]

    @property
    def sensitivity(self) -> float:
        return float(self.sensitivity_P.mean())

    @property
    def specificity(self) -> float:
        return float(self.specificity_P.mean())

    @property
    def sensitivity_median(self) -> float:
        return float(np.median(self.sensitivity_P))

    @property
    def specificity_median(self) -> float:
        return float(np.median(self.specificity_P))


def compatible_scores(accuracy_P_Q: Sequence[Sequence[float]] | NDArray[np.float64]) -> CompatibleScores:
    """`rank(pct=True, method="max")` of the own test among tests (sensitivity) and among steered models (specificity).

    `accuracy_P_Q[p, q]`: steered to p, tested on q; square, without nan. sensitivity_p is the share of tests q with
    A[p,q] <= A[p,p], specificity_p the share of steered models r with A[r,p] <= A[p,p].
    """
    accuracy = np.asarray(accuracy_P_Q, dtype=np.float64)
    if accuracy.ndim != 2 or accuracy.shape[0] != accuracy.shape[1] or np.isnan(accuracy).any():
        raise ValueError(f"a matrix of shape {accuracy.shape}; the public scores need a full square one")
    once_P = np.ones(len(accuracy))
    return CompatibleScores(
        np.asarray(max_rank(accuracy, once_P), dtype=np.float64),
        np.asarray(max_rank(transposed(accuracy), once_P), dtype=np.float64),
    )
