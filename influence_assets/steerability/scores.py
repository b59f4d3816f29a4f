"""Scores per persona and over all personas, each with its 95 % interval and chance level.

The bootstrap resamples personas and, within each test persona, statements; every method sees the same draws, so gains
are paired. See `shares.py` for the definitions and `intervals.centred` for the interval.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from influence_assets.stats.intervals import centred
from influence_assets.steerability import shares
from influence_assets.steerability.dimensions import dimension_rows
from influence_assets.steerability.people import Persona
from influence_assets.steerability.summary import SummaryRow, summary_row
from influence_assets.steerability.tables import SCORES, SUMMARY, empty_frame
from influence_assets.steerability.tensors import (
    Draws,
    Floats,
    Run,
    Tensors,
    cell_means,
    resampled_cell_means,
    tensors,
)
from resources.tables import Table

_BOUNDS = {"gain": (-1.0, 1.0), "leakage": (-1.0, 1.0), "double_centred": (-2.0, 2.0)}


def persona_scores(accuracy_P_Q: Floats, gain_P_Q: Floats | None, weights_P: Floats) -> dict[str, Floats]:
    """Every score of every persona, shape [..., P], from a matrix (or draws of it) and its gain over `none`."""
    across_Q_P = shares.transposed(accuracy_P_Q)
    result = {
        "accuracy": shares.own(accuracy_P_Q),
        "sensitivity": shares.mid_rank(accuracy_P_Q, weights_P),
        "specificity": shares.mid_rank(across_Q_P, weights_P),
        "identification": shares.won_outright(accuracy_P_Q, weights_P),
        "double_centred": shares.double_centred(accuracy_P_Q, weights_P),
        "compatible_sensitivity": shares.max_rank(accuracy_P_Q, weights_P),
        "compatible_specificity": shares.max_rank(across_Q_P, weights_P),
    }
    if gain_P_Q is not None:
        result["gain"] = shares.own(gain_P_Q)
        result["leakage"] = shares.others_mean(gain_P_Q, weights_P)
    return result


def chance_levels(measured_P_Q: NDArray[np.bool_]) -> dict[str, float]:
    """What each score is when steering does nothing and no two accuracies are equal."""
    tests = float(measured_P_Q.sum(axis=1).mean())
    return {
        "accuracy": 0.5,
        "sensitivity": 0.5,
        "specificity": 0.5,
        "identification": 1 / tests,
        "double_centred": 0.0,
        "compatible_sensitivity": (tests + 1) / (2 * tests),
        "compatible_specificity": (tests + 1) / (2 * tests),
        "gain": 0.0,
        "leakage": 0.0,
    }


def score_tables(
    responses: pl.DataFrame, personas: Mapping[str, Persona], *, draws: int, seed: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows of `steerability.scores` and `steerability.summary` from the responses of one model and iteration.

    `personas` by id gives frameworks and trait levels. Empty responses give empty tables.
    """
    if responses.is_empty():
        return empty_frame(SCORES), empty_frame(SUMMARY)
    data = tensors(responses)
    drawn = Draws.of(data, draws, seed)
    of_personas: list[pl.DataFrame] = []
    of_runs: list[pl.DataFrame] = []
    for run in data.runs:
        per_persona, rows = _run_tables(run, data, drawn)
        if data.unsteered is not None and run is not data.unsteered:
            rows += dimension_rows(run, data.unsteered, data, personas, drawn)
        of_personas.append(per_persona)
        of_runs.append(pl.DataFrame(rows).with_columns(method=pl.lit(run.method), n_steer=pl.lit(run.n_steer)))
    return _finish(pl.concat(of_personas), responses, SCORES), _finish(pl.concat(of_runs), responses, SUMMARY)


def _run_tables(run: Run, data: Tensors, drawn: Draws) -> tuple[pl.DataFrame, list[SummaryRow]]:
    """Per-persona rows and summary rows of one method at one n."""
    none = data.unsteered
    gained = None if none is None or none is run else run.correct_R_P_Q_S - none.correct_R_P_Q_S
    accuracy_P_Q = cell_means(run.correct_R_P_Q_S)
    once_P = np.ones(len(data.persona_ids))
    values = persona_scores(accuracy_P_Q, None if gained is None else cell_means(gained), once_P)
    draws = _resampled_scores(run, gained, drawn)
    chance = chance_levels(~np.isnan(accuracy_P_Q))
    answers_P = (~np.isnan(np.diagonal(run.correct_R_P_Q_S, axis1=1, axis2=2))).sum(axis=(0, 1))
    frames, rows = [], []
    for score, value_P in values.items():
        bounds = _BOUNDS.get(score, (0.0, 1.0))
        low_P, high_P = centred(value_P, draws[score], bounds=bounds)
        frames.append(
            pl.DataFrame(
                {
                    "persona_id": data.persona_ids,
                    "score": [score] * len(value_P),
                    "value": value_P.astype(np.float64),
                    "ci_low": low_P,
                    "ci_high": high_P,
                    "chance": [chance[score]] * len(value_P),
                    "n": answers_P.astype(np.int32),
                }
            )
        )
        n = int((~np.isnan(value_P)).sum())
        mean = shares.persona_mean(value_P, once_P)
        mean_B = shares.persona_mean(draws[score], drawn.personas_B_P)
        rows.append(summary_row("", score, mean, mean_B, chance=chance[score], n=n, bounds=bounds))
    return pl.concat(frames).with_columns(method=pl.lit(run.method), n_steer=pl.lit(run.n_steer)), rows


def _resampled_scores(run: Run, gained: Floats | None, drawn: Draws) -> dict[str, Floats]:
    """[B, P] draws of every score."""
    parts: list[dict[str, Floats]] = []
    for chunk in drawn.chunks():
        counts_Q_B_S = drawn.statements_Q_B_S[:, chunk]
        accuracy_B_P_Q = resampled_cell_means(run.correct_R_P_Q_S, counts_Q_B_S)
        gain_B_P_Q = None if gained is None else resampled_cell_means(gained, counts_Q_B_S)
        parts.append(persona_scores(accuracy_B_P_Q, gain_B_P_Q, drawn.personas_B_P[chunk]))
    return {score: np.concatenate([part[score] for part in parts]) for score in parts[0]}


def _finish(rows: pl.DataFrame, responses: pl.DataFrame, table: Table) -> pl.DataFrame:
    numbers = ["value", "ci_low", "ci_high", "chance"]
    return (
        rows.with_columns(
            pl.lit(responses["model"][0]).alias("model"),
            pl.lit(responses["iteration"][0], dtype=pl.Int32).alias("iteration"),
            pl.col("n_steer", "n").cast(pl.Int32),
            (pl.col(numbers).fill_nan(None).round(9) + 0.0),  # no -0.0, and no last digit that depends on the machine
        )
        .select(column.name for column in table.columns)
        .sort(table.key)
    )
