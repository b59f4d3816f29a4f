"""Scores per persona and over all personas, each with its 95 % interval and chance level.

`shares.py` defines the scores, `dimensions.py` those of frameworks with dimensions, `estimates.py` the intervals.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from influence_assets.steerability.dimensions import dimension_rows
from influence_assets.steerability.estimates import Estimate, bootstrapped, chance_levels, tossed
from influence_assets.steerability.methods.coin import METHOD as COIN
from influence_assets.steerability.people import Persona
from influence_assets.steerability.summary import SummaryRow
from influence_assets.steerability.tables import SCORES, SUMMARY, empty_frame
from influence_assets.steerability.tensors import Draws, Run, Tensors, cell_means, tensors
from resources.tables import Table


def score_tables(
    responses: pl.DataFrame, personas: Mapping[str, Persona], *, draws: int, seed: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows of `steerability.scores` and `steerability.summary` from the responses of one model and iteration.

    `personas` by id gives frameworks and trait levels. Empty responses give empty tables. Gains and dimensions need a
    run of `none`. The coin's rows are means over `draws` tosses, and its intervals where 95 % of the tosses lie.
    """
    if responses.is_empty():
        return empty_frame(SCORES), empty_frame(SUMMARY)
    data = tensors(responses)
    drawn = Draws.of(data, draws, seed)
    of_personas: list[pl.DataFrame] = []
    of_runs: list[pl.DataFrame] = []
    for run in data.runs:
        unsteered = None if run is data.unsteered else data.unsteered
        if run.method == COIN.name:
            estimates = tossed(run, unsteered, draws=draws, seed=seed)
        else:
            estimates = bootstrapped(run, unsteered, drawn)
        per_persona, rows = _rows(run, data, estimates)
        if unsteered is not None:
            rows += dimension_rows(run, unsteered, data, personas, drawn)
        of_personas.append(per_persona)
        of_runs.append(pl.DataFrame(rows).with_columns(method=pl.lit(run.method), n_steer=pl.lit(run.n_steer)))
    return _finish(pl.concat(of_personas), responses, SCORES), _finish(pl.concat(of_runs), responses, SUMMARY)


def _rows(run: Run, data: Tensors, estimates: Mapping[str, Estimate]) -> tuple[pl.DataFrame, list[SummaryRow]]:
    """Per-persona rows and summary rows of one method at one n."""
    chance = chance_levels(~np.isnan(cell_means(run.correct_R_P_Q_S)))
    answers_P = (~np.isnan(np.diagonal(run.correct_R_P_Q_S, axis1=1, axis2=2))).sum(axis=(0, 1))
    frames = [
        pl.DataFrame(
            {
                "persona_id": data.persona_ids,
                "score": [score] * len(answers_P),
                "value": estimate.value_P.astype(np.float64),
                "ci_low": estimate.low_P.astype(np.float64),
                "ci_high": estimate.high_P.astype(np.float64),
                "chance": [chance[score]] * len(answers_P),
                "n": answers_P.astype(np.int32),
            }
        )
        for score, estimate in estimates.items()
    ]
    rows = [
        SummaryRow("", score, *estimate.overall, chance=chance[score], n=estimate.n)
        for score, estimate in estimates.items()
    ]
    return pl.concat(frames).with_columns(method=pl.lit(run.method), n_steer=pl.lit(run.n_steer)), rows


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
