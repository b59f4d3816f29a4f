"""Responses as dense arrays, and matrices of resampled statements from them.

Axes: R repeat, P steered persona, Q test persona, S statement of the test persona, B bootstrap draw. A void or missing
answer is nan and has no weight anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from influence_assets.stats.resampling import counts, ragged_counts

Floats = NDArray[np.floating]

DRAWS_AT_ONCE = 128
"""Draws of the matrix held in memory together: 128 x 100 x 100 floats are 5 MB, which stays in the cache."""


@dataclass(frozen=True)
class Run:
    """One method at one n_steer: whether each answer was right, and its probability of the right answer."""

    method: str
    n_steer: int
    correct_R_P_Q_S: Floats
    right_R_P_Q_S: Floats


@dataclass(frozen=True)
class Tensors:
    """All runs of one model over the same personas and statements.

    Along S stand a persona's agree statements (`agree_Q` of them), then its disagree statements.
    """

    persona_ids: tuple[str, ...]
    agree_Q: NDArray[np.int64]
    disagree_Q: NDArray[np.int64]
    runs: tuple[Run, ...]

    @property
    def unsteered(self) -> Run | None:
        """The run of `none`, if there is one."""
        return next((run for run in self.runs if run.method == "none"), None)


@dataclass(frozen=True)
class Draws:
    """What the bootstrap drew: how often each statement and each persona stands in each draw. All runs share it."""

    statements_Q_B_S: Floats
    personas_B_P: Floats

    @classmethod
    def of(cls, tensors: Tensors, draws: int, seed: int) -> Draws:
        """Seeded draws: statements within each test persona and label (both are balanced by design), and personas."""
        rng = np.random.default_rng(seed)
        width = int((tensors.agree_Q + tensors.disagree_Q).max())
        agree_Q_B_S = ragged_counts(tensors.agree_Q, width, draws, rng)
        disagree_Q_B_S = ragged_counts(tensors.disagree_Q, width, draws, rng)
        for persona, agree in enumerate(tensors.agree_Q.tolist()):
            agree_Q_B_S[persona] += np.roll(disagree_Q_B_S[persona], agree, axis=-1)
        return cls(agree_Q_B_S, counts(len(tensors.persona_ids), draws, rng))

    def chunks(self) -> Iterator[slice]:
        """Draws that are held in memory together."""
        for start in range(0, len(self.personas_B_P), DRAWS_AT_ONCE):
            yield slice(start, start + DRAWS_AT_ONCE)


def tensors(responses: pl.DataFrame) -> Tensors:
    """Dense arrays from rows of `steerability.responses` of one model and iteration (at least one row)."""
    persona_ids, slots = _axes(responses)
    agree_Q, disagree_Q = (
        np.bincount(_numbers(part["test_persona_id"], persona_ids), minlength=len(persona_ids))
        for part in (slots.filter("agree"), slots.filter(~pl.col("agree")))
    )
    repeat_N = responses["repeat"].to_numpy()
    axes = (
        repeat_N,
        _numbers(responses["steered_persona_id"], persona_ids),
        _numbers(responses["test_persona_id"], persona_ids),
        slots["slot"].to_numpy()[_numbers(responses["statement_id"], slots["statement_id"].to_list())],
    )
    shape = (int(repeat_N.max()) + 1, len(persona_ids), len(persona_ids), int((agree_Q + disagree_Q).max()))
    place_N = np.ravel_multi_index(axes, shape)
    values = responses.select(
        pl.col("correct").cast(pl.Float64),
        pl.when(pl.col("agree")).then(pl.col("p_agree")).otherwise(1 - pl.col("p_agree")).alias("right"),
    ).fill_null(float("nan"))
    correct_N, right_N = values["correct"].to_numpy(), values["right"].to_numpy()
    runs = responses.select("method", "n_steer").with_row_index("row").group_by("method", "n_steer").agg("row")
    return Tensors(
        tuple(persona_ids),
        agree_Q,
        disagree_Q,
        tuple(
            Run(
                method,
                n_steer,
                _filled(shape, place_N[rows], correct_N[rows]),
                _filled(shape, place_N[rows], right_N[rows]),
            )
            for method, n_steer, rows in runs.sort("method", "n_steer").iter_rows()
        ),
    )


def _axes(responses: pl.DataFrame) -> tuple[list[str], pl.DataFrame]:
    """Persona ids in order, and for each statement its slot among those of its persona, agree statements first."""
    both = pl.concat([responses["steered_persona_id"].unique(), responses["test_persona_id"].unique()])
    slots = (
        responses.select("test_persona_id", "statement_id", "agree")
        .unique()
        .sort("test_persona_id", "agree", "statement_id", descending=[False, True, False])
        .with_columns(slot=pl.int_range(pl.len()).over("test_persona_id"))
    )
    return both.unique().sort().to_list(), slots


def cell_means(values_R_P_Q_S: Floats) -> Floats:
    """[P, Q] of doubles: mean over repeats and statements that count; nan for a cell without any."""
    counted = ~np.isnan(values_R_P_Q_S)
    return _ratio(np.where(counted, values_R_P_Q_S, 0).sum(axis=(0, 3)), counted.sum(axis=(0, 3)))


def resampled_cell_means(values_R_P_Q_S: Floats, counts_Q_B_S: Floats) -> Floats:
    """[B, P, Q] of single precision: `cell_means` with statements counted as often as each draw holds them."""
    counted = ~np.isnan(values_R_P_Q_S)
    sums_Q_S_P = np.where(counted, values_R_P_Q_S, 0).sum(axis=0).transpose(1, 2, 0)
    n_Q_S_P = counted.sum(axis=0).transpose(1, 2, 0)
    totals_Q_B_P = np.matmul(counts_Q_B_S, np.ascontiguousarray(sums_Q_S_P, dtype=np.float32))
    if (n_Q_S_P == n_Q_S_P[:, :, :1]).all():  # every steered persona answered the same statements: one column will do
        n_Q_S_P = n_Q_S_P[:, :, :1]
    n_Q_B_P = np.matmul(counts_Q_B_S, n_Q_S_P.astype(np.float32))
    return np.ascontiguousarray(_ratio(totals_Q_B_P, n_Q_B_P).transpose(1, 2, 0))


def _ratio(total: Floats, n: NDArray[np.number]) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(total / n, dtype=total.dtype)  # 0 / 0 is nan: nothing measured


def _numbers(ids: pl.Series, known: list[str]) -> NDArray[np.int64]:
    return ids.cast(pl.Enum(known)).to_physical().to_numpy().astype(np.int64)


def _filled(shape: tuple[int, ...], place_N: NDArray[np.int64], values_N: NDArray[np.float64]) -> NDArray[np.float64]:
    array = np.full(int(np.prod(shape)), np.nan)
    array[place_N] = values_N
    return array.reshape(shape)
