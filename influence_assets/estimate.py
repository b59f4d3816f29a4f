"""`influence estimate`: requests, tokens and cost of a selection before anything is asked.

The plain functions of the families are run against a model layer that only takes notes. What has landed is read;
where statements are still to be written, placeholders of usual length stand in for them, and the plan covers the first
round of writing (later rounds only make up for what the filters drop). Conversations that are still to be held are
planned to their turn limit (estimate_influence.py); of the features family only biographies ask others than the local
model that is looked into (estimate_features.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import polars as pl
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from influence_assets.estimate_features import asked_of_local_models, plan_biographies
from influence_assets.estimate_influence import plan_influence
from influence_assets.estimate_joint import plan_joint
from influence_assets.estimate_power import Outlook, as_cells, outlook
from influence_assets.notes import Notes
from influence_assets.personas import tables
from influence_assets.personas.describe import describe
from influence_assets.personas.pipeline import first_round
from influence_assets.personas.records import Persona, Statement
from influence_assets.personas.sources import load_source
from influence_assets.personas.stages import plan_for
from influence_assets.project import Project
from influence_assets.rows import to_frame
from influence_assets.steerability.respond import respond
from influence_assets.steerability.study_design import measurement, people_of
from resources.errors import printable
from resources.estimate import Estimate, Planned, estimate
from resources.messages import Role
from resources.prompts import load_prompt

_DESCRIPTION = "Somebody who is described here in a sentence or two of the usual length, as a generator would write it."
_STATEMENT = "I am placeholder number {} and about as long as a statement usually is."


def estimate_assets(project: Project, assets: Sequence[str], models: Sequence[str]) -> dict[str, dict[str, Estimate]]:
    """By asset and model: what materializing these assets would ask. Assets that ask nobody are left out."""
    planned: dict[str, list[Planned]] = {}
    persona_frames = [_personas(project, slug, planned) for slug in project.study.personas.frameworks]
    frames = [pl.concat(column) for column in zip(*persona_frames, strict=True)]
    if "persona_responses" in assets:
        planned["persona_responses"] = [
            plan for model in models for plan in _responses(project, model, frames[0], frames[1])
        ]
    if "backgrounds" in assets and models:
        planned["backgrounds"] = plan_biographies(project, models[0])
    planned |= plan_influence(project, assets, models)
    planned |= plan_joint(project, assets, models, frames[0], frames[1])
    return {
        asset: estimate(plans, project.registry, project.replies, root=project.root)
        for asset, plans in planned.items()
        if asset in assets
    }


def print_estimate(project: Project, assets: Sequence[str], models: Sequence[str], console: Console) -> None:
    """The estimate and what the design could detect, as tables; says so when nothing would be asked."""
    rows, local = list(_rows(estimate_assets(project, assets, models))), asked_of_local_models(assets)
    if rows:
        _print_requests(rows, project.study.budget_usd, console)
    elif not local:
        console.print("This selection asks no model.")
    if local:
        names = ", ".join(local)
        text = f"Not counted: {names}. They ask the local model that they look into, which costs no money."
        console.print(Text(text))
    _print_outlook(outlook(project, assets, models), console)


def _print_requests(rows: Sequence[tuple[str, ...]], budget_usd: float | None, console: Console) -> None:
    grid = Grid(title="What would be asked now (cost is an upper bound; answers that we have cost nothing)")
    for name in ("asset", "model", "requests", "already answered", "input tokens", "output tokens", "US$ at most"):
        grid.add_column(name, justify="left" if name in ("asset", "model") else "right")
    for row in rows:
        grid.add_row(*(Text(printable(cell)) for cell in row))
    console.print(grid)
    if budget_usd is not None:
        console.print(f"The study's budget is US$ {budget_usd:.2f} for one run.")


def _print_outlook(found: Outlook, console: Console) -> None:
    if found.rows:
        grid = Grid(
            title="The smallest change that this study would find (power 80 %, two-sided 5 %, from landed rows)"
        )
        for name in ("model", "measure", "users", "change", "planned", "pilot"):
            grid.add_column(name, justify="right" if name == "change" else "left")
        for row in found.rows:
            grid.add_row(*(Text(printable(cell)) for cell in as_cells(row)))
        console.print(grid)
    if found.no_pilot:
        what = ", ".join(found.no_pilot)
        console.print(
            Text(
                f"The smallest change is not known for {what}: no rows have landed that could serve as a pilot. "
                "Run a small study first; its rows are used here."
            )
        )


def _rows(estimates: dict[str, dict[str, Estimate]]) -> Iterator[tuple[str, ...]]:
    for asset, by_model in estimates.items():
        for model, one in by_model.items():
            counts = (one.requests, one.cached, one.input_tokens, one.output_tokens)
            yield (asset, model, *(f"{count:,}" for count in counts), f"{one.cost_usd:.4f}")


def _personas(project: Project, slug: str, planned: dict[str, list[Planned]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Personas and statements of one framework: landed where they are there, else placeholders."""
    landed = [project.warehouse.read(t, {"framework": slug}) for t in (tables.PERSONAS, tables.STATEMENTS)]
    if all(frame.height for frame in landed):
        return landed[0], landed[1]
    source, notes, study = load_source(project.data, slug), Notes(lambda _: _DESCRIPTION), project.study
    personas = asyncio.run(
        describe(
            source.personas(study.personas.per_framework),
            source.framework_of,
            load_prompt(project.prompts / "personas" / "describe.yaml"),
            notes,
            generator=study.roles[Role.GENERATOR][0],
            seed=study.seed,
        )
    )
    planned.setdefault("personas", []).extend(notes.planned)
    statements = source.statements() or _placeholders(personas, study.personas.agree_per_persona)
    if source.benchmark is None:
        asked = first_round(plan_for(source, personas, study, project.data), _STATEMENT)
        planned.setdefault("candidate_statements", []).extend(Planned(*question) for question in asked)
    return (
        to_frame(tables.PERSONAS, personas),
        to_frame(tables.STATEMENTS, statements),
    )


def _placeholders(personas: Sequence[Persona], per_label: int) -> list[Statement]:
    return [
        Statement(
            framework=persona.framework,
            statement_id=f"{persona.persona_id}{agree}{number}",
            persona_id=persona.persona_id,
            position=number,
            text=_STATEMENT.format(f"{persona.persona_id}{agree}{number}"),
            agree=agree,
        )
        for persona in personas
        for agree in (True, False)
        for number in range(per_label)
    ]


def _responses(project: Project, model: str, personas: pl.DataFrame, statements: pl.DataFrame) -> list[Planned]:
    study, notes = project.study, Notes(lambda _: _DESCRIPTION)
    who = people_of(personas, statements)
    design = measurement(who, study.steerability, seed=study.seed, prompts=project.prompts / "steerability")
    asyncio.run(respond(design, notes, model=model))
    return notes.planned
