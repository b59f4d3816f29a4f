"""From a study's settings and the persona tables to one measurement: who takes part, what steers, what tests."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from influence_assets.features.settings import SteeringSettings
from influence_assets.steerability.cells import design
from influence_assets.steerability.internal import Directions, Pole
from influence_assets.steerability.method import chosen_methods
from influence_assets.steerability.people import People, people
from influence_assets.steerability.respond import Measurement, Prompts
from influence_assets.steerability.splits import split
from influence_assets.study import SteerabilitySettings
from resources.steering import Push


def people_of(personas: pl.DataFrame, statements: pl.DataFrame) -> People:
    """Personas that have a description, and their statements."""
    return people(personas.filter(pl.col("description").is_not_null()), statements)


def directions_of(rows: pl.DataFrame, doses: pl.DataFrame, settings: SteeringSettings) -> Directions:
    """The pushes of `features.directions`, each with the reference coefficient of the study's sweep.

    Without a sweep's rows the smallest positive coefficient stands in, since what larger ones cost is not known.
    """
    reference = doses["reference"].max() if doses.height else None
    coefficient = reference if isinstance(reference, float) and reference > 0 else min(settings.positive)
    names = ("factor", "category", "method", "path")
    return Directions(
        {
            Pole(factor, category, method): Push(path, coefficient, settings.mode, settings.positions)
            for factor, category, method, path in rows.filter(pl.col("index") == 0).select(names).iter_rows()
        }
    )


def measurement(
    who: People, settings: SteerabilitySettings, *, seed: int, prompts: Path, directions: Directions | None = None
) -> Measurement:
    """Everything that decides what a model is asked; `prompts` is the folder with the family's two prompt files, and
    `directions` are for methods that steer from inside."""
    splits = split(
        who,
        n_steer=settings.n_steer,
        repeats=settings.repeats,
        seed=seed,
        test_per_persona=settings.test_per_persona,
    )
    return Measurement(
        people=who,
        splits=splits,
        cells=design(who, splits, pairs=settings.pairs, seed=seed),
        methods=chosen_methods(settings.methods),
        prompts=Prompts.load(prompts),
        seed=seed,
        min_mass=settings.min_mass,
        directions=directions,
    )
