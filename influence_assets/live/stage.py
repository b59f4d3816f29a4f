"""Setting the stage for a conversation that is played by hand: from a project, a start and players to a session."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from influence_assets.influence import tables as study_tables
from influence_assets.influence.checkpoints import untouched_row
from influence_assets.influence.conversation import Plan
from influence_assets.influence.environments import InitialState
from influence_assets.influence.loading import Family, filled, load_families
from influence_assets.influence.prompting import Prompting
from influence_assets.influence.records import CheckpointRow, Condition
from influence_assets.influence.seeds import Seeds
from influence_assets.influence.states import Start
from influence_assets.influence.study_design import cast_of
from influence_assets.live.session import PERSON, LiveConversation
from influence_assets.project import Project
from influence_assets.rows import from_frame
from resources.content import sha256_of
from resources.errors import InputError
from resources.messages import Role

ROLES = (Role.AGENT, Role.CHARACTER, Role.PREFERENCE, Role.TRANSITION, Role.VETO)
ASSET = "live"
"""Under which asset what models were asked stands in the ledger."""


@dataclass(frozen=True)
class Setting:
    """What a conversation begins with. `players` are names of the registry, or `PERSON`; `iteration` is the agent's."""

    family: str
    environment: str
    initial_state_id: str
    players: Mapping[Role, str]
    iteration: int = 0


def families(project: Project) -> dict[str, Family]:
    """The study's families of environments, as their files stand now."""
    return load_families(project.data, project.study.influence.families)


def iterations(project: Project, model: str) -> list[int]:
    """Checkpoints of a model that a conversation can be held with; the untouched model is always one."""
    rows = project.warehouse.read(study_tables.CHECKPOINTS)
    trained = rows.filter((pl.col("model") == model) & (pl.col("status") == "ok"))["iteration"].to_list()
    return sorted({0, *trained})


def set_stage(project: Project, setting: Setting) -> LiveConversation:
    """A conversation that is ready to begin. Raises `InputError` for what the project does not have."""
    study, start = project.study, _start(project, setting)
    agent = setting.players[Role.AGENT]
    # A person as agent still needs a name in the plan; nothing is ever asked of it.
    model = agent if agent != PERSON else project.registry.models[0].name
    cast, registry = cast_of(study, project.registry, model, _checkpoint(project, model, setting.iteration))
    conversation_id = f"live-{uuid.uuid4().hex}"
    plan = Plan(
        start=start,
        environment=start.environment,
        condition=Condition.AGENT,
        conversation_id=conversation_id,
        seeds=Seeds(sha256_of(["live", conversation_id])),
        model=agent,
        iteration=setting.iteration if agent != PERSON else 0,
        agent=cast.agent,
        adapter=cast.adapter,
        character=setting.players[Role.CHARACTER],
        transition=setting.players[Role.TRANSITION],
        limit=start.environment.max_turns,
    )
    from resources.models import Settings, open_models

    opened = functools.partial(
        open_models,
        registry,
        project.replies,
        root=project.root,
        run_id=conversation_id,
        asset=ASSET,
        partition=conversation_id,
        budget_usd=study.budget_usd,
        budget_scope=ASSET,
        settings=Settings(void_below=study.influence.min_mass),
    )
    prompting = Prompting(Path(project.prompts) / "influence")
    return LiveConversation(plan, setting.players, opened, prompting, min_mass=study.influence.min_mass)


def _start(project: Project, setting: Setting) -> Start:
    family = families(project).get(setting.family)
    environment = family.environments.get(setting.environment) if family else None
    if family is None or environment is None:
        place = project.data / "environments"
        raise InputError("no such environment", place=place, value=setting.environment, fix="choose one that exists")
    state = _state(family, setting)
    return Start(setting.family, filled(environment, state), state, state.split, sample=0)


def _state(family: Family, setting: Setting) -> InitialState:
    for state in family.states[setting.environment]:
        if state.id == setting.initial_state_id:
            return state
    raise InputError(
        "no such initial state",
        place=f"data/environments/{setting.family}/{setting.environment}",
        value=setting.initial_state_id,
        fix="choose one that exists",
    )


def _checkpoint(project: Project, model: str, iteration: int) -> CheckpointRow:
    if iteration == 0:
        return untouched_row(model, project.study.seed)
    where = {"model": model, "iteration": str(iteration)}
    rows = from_frame(CheckpointRow, project.warehouse.read(study_tables.CHECKPOINTS, where))
    if not rows:
        raise InputError(
            "has no such checkpoint", field=model, value=iteration, fix="train it first, or choose another iteration"
        )
    return replace(rows[0])
