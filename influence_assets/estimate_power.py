"""What a run could detect, from the variance of rows that an earlier run has landed.

For measures of influence the pilot is the change from iteration 0 in the latest trained iteration, and the design is
the held-out conversations of the study as its files are now. Where nothing has been trained yet, the change is taken
for the difference of two independent conversations, an upper bound as long as a state's conversations are alike. For
steerability the pilot is the gain of each persona, and the design is the study's personas.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from influence_assets.influence import tables
from influence_assets.influence.environments import UserKind
from influence_assets.influence.loading import load_families
from influence_assets.influence.measures import HARM, REWARD, measured
from influence_assets.influence.metrics import ALL, TARGETING, clusters_of, unit_of, with_base
from influence_assets.influence.records import Purpose
from influence_assets.influence.states import held_out_starts
from influence_assets.influence.study_design import training_settings
from influence_assets.personas.sources import load_source
from influence_assets.project import Project
from influence_assets.stats.power import Pilot, detectable, detectable_gap, pilot_variance
from influence_assets.steerability import tables as steerability_tables

GAIN = "gain"


class Detectable(NamedTuple):
    """The smallest true change of a measure that the planned design finds in four of five runs."""

    model: str
    measure: str
    users: str
    smallest: float
    planned: str
    pilot: str


class Outlook(NamedTuple):
    """What can be said, and of what there is no pilot."""

    rows: list[Detectable]
    no_pilot: list[str]


def outlook(project: Project, assets: Collection[str], models: Sequence[str]) -> Outlook:
    """For the measurements among the assets. A model that is not trained has no change to detect."""
    rows: list[Detectable] = []
    no_pilot: list[str] = []
    for model in models:
        trained = training_settings(project.study, project.registry[model]) is not None
        if trained and any(asset.startswith("rollout_batches") or asset == "influence_metrics" for asset in assets):
            found = list(_of_influence(project, model))
            rows += found
            no_pilot += [] if found else [f"influence of {model}"]
        if {"persona_responses", "steerability_metrics"} & set(assets):
            found = list(_of_steerability(project, model))
            rows += found
            no_pilot += [] if found else [f"steerability of {model}"]
    return Outlook(rows, no_pilot)


def _of_steerability(project: Project, model: str) -> Iterator[Detectable]:
    settings = project.study.personas
    planned = sum(len(load_source(project.data, slug).personas(settings.per_framework)) for slug in settings.frameworks)
    scores = project.warehouse.read(steerability_tables.SCORES, {"model": model, "iteration": "0"})
    steered = pl.col("method").is_in(project.study.steerability.methods) & (pl.col("method") != "none")
    gains = scores.filter((pl.col("score") == GAIN) & steered).drop_nulls("value")
    for (method, n_steer), part in gains.group_by("method", "n_steer", maintain_order=True):
        if part.height < 2:
            continue
        pilot = pilot_variance(part["value"].to_numpy(), np.arange(part.height))
        smallest = detectable(pilot, np.ones(planned, dtype=np.int64))
        name = f"{GAIN} of {method}, {n_steer} examples"
        yield Detectable(model, name, "-", smallest, f"{planned} personas", f"{part.height} personas")


class _Group(NamedTuple):
    """One kind of user: the pilot's variance and the planned number of conversations in each unit."""

    pilot: Pilot
    sizes_C: NDArray[np.int64]


def _of_influence(project: Project, model: str) -> Iterator[Detectable]:
    planned, changes = _planned(project), _pilot(project, model)
    if changes is None or planned.is_empty():
        return
    trained = bool(changes["iteration"].max())
    for (measure,), part in changes.group_by("measure", maintain_order=True):
        groups = {}
        for kind in (ALL, *planned["user_kind"].unique().sort()):
            is_kind = pl.lit(True) if kind == ALL else pl.col("user_kind") == kind
            group = _group(part.filter(is_kind), planned.filter(is_kind), trained)
            if group is not None:
                groups[kind] = group
                smallest = detectable(group.pilot, group.sizes_C)
                yield Detectable(model, str(measure), kind, smallest, _told(group.sizes_C), _pilot_told(group, trained))
        sides = [groups[kind] for kind in (UserKind.VULNERABLE, UserKind.ORDINARY) if kind in groups]
        if measure == HARM and len(sides) == 2:
            one, two = sides
            smallest = detectable_gap(one.pilot, two.pilot, one.sizes_C, two.sizes_C)
            both = np.concatenate([one.sizes_C, two.sizes_C])
            rests_on = " and ".join(_pilot_told(side, trained) for side in sides)
            yield Detectable(model, TARGETING, ALL, smallest, _told(both), rests_on)


def _planned(project: Project) -> pl.DataFrame:
    settings = project.study.influence
    starts = held_out_starts(load_families(project.data, settings.families), settings.rollouts)
    rows = [(start.environment.name, start.state.id, start.environment.user_kind.value) for start in starts]
    schema = {"environment": pl.String, "initial_state_id": pl.String, "user_kind": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _pilot(project: Project, model: str) -> pl.DataFrame | None:
    """Changes of reward and harm in the latest iteration that has both; values of iteration 0 before any training."""
    values = _landed(project, model)
    chosen = values.filter((pl.col("split") == "eval") & pl.col("measure").is_in([REWARD, HARM]))
    if chosen.is_empty():
        return None
    paired = with_base(chosen).filter(pl.col("iteration") > 0).drop_nulls("base")
    if paired.is_empty():
        return chosen.filter(pl.col("iteration") == 0).sort("measure")
    latest = paired.filter(pl.col("iteration") == pl.col("iteration").max())
    return latest.with_columns(value=pl.col("value") - pl.col("base")).sort("measure")


def _landed(project: Project, model: str) -> pl.DataFrame:
    read, here = project.warehouse.read, {"model": model}
    harms = read(tables.ENVIRONMENTS).select("environment", "harm").iter_rows()
    return measured(
        read(tables.CONVERSATIONS, here),
        read(tables.TRAJECTORIES, here),
        read(tables.JUDGEMENTS, here | {"purpose": Purpose.EVALUATION.value}),
        read(tables.STANCE_PROBES, here),
        {name: dict(harm or {}) for name, harm in harms},
    )


def _group(part: pl.DataFrame, planned: pl.DataFrame, trained: bool) -> _Group | None:
    """The pilot in the units of the plan; None when it has fewer than two of them."""
    unit = unit_of(planned["environment"].n_unique())
    if part.is_empty() or part.select(unit).n_unique() < 2:
        return None
    pilot = pilot_variance(part["value"].to_numpy().astype(np.float64), clusters_of(part, unit))
    if not trained:
        pilot = pilot._replace(between=2 * pilot.between, within=2 * pilot.within)
    return _Group(pilot, np.bincount(clusters_of(planned, unit) - 1))


def _told(sizes_C: NDArray[np.int64]) -> str:
    return f"{int(sizes_C.sum())} conversations in {len(sizes_C)} clusters"


def _pilot_told(group: _Group, trained: bool) -> str:
    return f"{group.pilot.n} {'changes' if trained else 'values, no change yet'} in {group.pilot.clusters} clusters"


def as_cells(row: Detectable) -> tuple[str, ...]:
    """The row as a table shows it."""
    smallest = "none" if math.isnan(row.smallest) else f"{row.smallest:.3f}"
    return row.model, row.measure, row.users, smallest, row.planned, row.pilot
