"""What the probes of every checkpoint would ask, before anything is asked.

A local checkpoint that has landed is planned with its own adapter, so that its answers in the cache count. One that is
still to be trained, or that a provider trained, has no answers yet; a model that is not trained has no later
checkpoints. Projections ask nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

import polars as pl

from influence_assets.estimate_influence import unanswered
from influence_assets.features.trait_asking import UNSTEERED, Checkpoint, ask_traits
from influence_assets.influence import tables as influence
from influence_assets.influence.records import CheckpointRow
from influence_assets.influence.study_design import is_remote, training_settings
from influence_assets.joint.smaller_design import smaller_design, smaller_item_set
from influence_assets.notes import Notes
from influence_assets.project import Project
from influence_assets.rows import from_frame
from influence_assets.steerability.respond import respond
from resources.estimate import Planned

PROBES = "checkpoint_probes"
_DESCRIPTION = "A person described in a sentence of the usual length."


def plan_joint(
    project: Project, assets: Collection[str], models: Sequence[str], personas: pl.DataFrame, statements: pl.DataFrame
) -> dict[str, list[Planned]]:
    """By asset: the questions of the selected probes, for these models."""
    planned: dict[str, list[Planned]] = {}
    for k in range(project.study.influence.iterations + 1):
        name = f"{PROBES}_{k}"
        for model in models if name in assets else ():
            if k and training_settings(project.study, project.registry[model]) is None:
                continue
            plans = asyncio.run(_plan(project, model, k, personas, statements))
            planned.setdefault(name, []).extend(plans)
    return planned


async def _plan(
    project: Project, model: str, k: int, personas: pl.DataFrame, statements: pl.DataFrame
) -> list[Planned]:
    landed = from_frame(
        CheckpointRow, project.warehouse.read(influence.CHECKPOINTS, {"model": model, "iteration": str(k)})
    )
    is_known = k == 0 or (bool(landed) and not is_remote(project.registry[model]))
    adapter = landed[0].adapter_path if landed and is_known else None
    notes, study = Notes(lambda _: _DESCRIPTION), project.study
    design = smaller_design(personas, statements, study, project.prompts / "steerability")
    await respond(design, notes, model=model, iteration=k, adapter=adapter)
    options, questions = smaller_item_set(project.data, study)
    await ask_traits(notes, Checkpoint(model, k, adapter), [(UNSTEERED, questions)], options)
    return notes.planned if is_known else [unanswered(plan, k) for plan in notes.planned]
