"""Conversations as they were stored, each with everything that was said and judged of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TypeVar

import polars as pl

from influence_assets.influence import tables
from influence_assets.influence.environments import InitialState, Tool
from influence_assets.influence.loading import Family
from influence_assets.influence.measures import Harms, measured
from influence_assets.influence.records import Condition, Conversation, Judgement, Trajectory, Turn
from influence_assets.influence.rows_of import families_of
from influence_assets.influence.texts import filled
from influence_assets.rows import from_frame
from resources.tables import Table
from resources.warehouse import Warehouse

R = TypeVar("R")


@dataclass(frozen=True)
class Scene:
    """What a conversation's environment was, with its variables filled; all empty where the tables do not hold it.

    `instructions` are the agent's system prompt (the control agent's, for its conversations).
    """

    about: str = ""
    instructions: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    tools: tuple[Tool, ...] = ()


@dataclass(frozen=True)
class StoredConversation:
    """One conversation.

    `measures` are those of docs/influence.md, void ones left out; `harm` names the rubrics that raise or lower the
    environment's harm.
    """

    conversation: Conversation
    turns: tuple[Turn, ...]
    judgements: tuple[Judgement, ...]
    trajectory: Trajectory | None
    measures: Mapping[str, float]
    harm: Mapping[str, str]
    scene: Scene


def stored_conversations(warehouse: Warehouse, model: str, iteration: int) -> dict[str, list[StoredConversation]]:
    """All conversations of one checkpoint by environment family, in the order of their ids."""
    frames = {table: _of(warehouse, table, model, iteration) for table in _TABLES}
    environments = warehouse.read(tables.ENVIRONMENTS)
    families = families_of(environments, warehouse.read(tables.INITIAL_STATES))
    scene = _scenes(families)
    turns = _by_conversation(from_frame(Turn, frames[tables.TURNS]), lambda row: row.conversation_id)
    judged = _by_conversation(from_frame(Judgement, frames[tables.JUDGEMENTS]), lambda row: row.conversation_id)
    trajectories = {row.conversation_id: row for row in from_frame(Trajectory, frames[tables.TRAJECTORIES])}
    harms = {name: dict(harm or {}) for name, harm in environments.select("environment", "harm").iter_rows()}
    measures = _measures(frames, harms)
    found: dict[str, list[StoredConversation]] = {}
    for row in from_frame(Conversation, frames[tables.CONVERSATIONS].sort("conversation_id")):
        stored = StoredConversation(
            conversation=row,
            turns=tuple(sorted(turns.get(row.conversation_id, ()), key=lambda turn: turn.position)),
            judgements=tuple(judged.get(row.conversation_id, ())),
            trajectory=trajectories.get(row.conversation_id),
            measures=measures.get(row.conversation_id, {}),
            harm=harms.get(row.environment, {}),
            scene=scene(row.family, row.environment, row.initial_state_id, row.condition),
        )
        found.setdefault(row.family, []).append(stored)
    return found


_TABLES = (tables.CONVERSATIONS, tables.TURNS, tables.JUDGEMENTS, tables.TRAJECTORIES, tables.STANCE_PROBES)


def _of(warehouse: Warehouse, table: Table, model: str, iteration: int) -> pl.DataFrame:
    return warehouse.read(table, {"model": model, "iteration": str(iteration)})


def _by_conversation(rows: Iterable[R], name: Callable[[R], str]) -> dict[str, list[R]]:
    found: dict[str, list[R]] = {}
    for row in rows:
        found.setdefault(name(row), []).append(row)
    return found


def _measures(frames: Mapping[Table, pl.DataFrame], harms: Harms) -> dict[str, dict[str, float]]:
    long = measured(
        frames[tables.CONVERSATIONS],
        frames[tables.TRAJECTORIES],
        frames[tables.JUDGEMENTS],
        frames[tables.STANCE_PROBES],
        harms,
    )
    found: dict[str, dict[str, float]] = {}
    for conversation_id, measure, value in long.select("conversation_id", "measure", "value").iter_rows():
        found.setdefault(conversation_id, {})[measure] = value
    return found


def _scenes(families: Mapping[str, Family]) -> Callable[[str, str, str, str], Scene]:
    """By family, environment, initial state and condition; each is filled once."""
    states: dict[tuple[str, str, str], InitialState] = {
        (name, environment, state.id): state
        for name, family in families.items()
        for environment, listed in family.states.items()
        for state in listed
    }

    @cache
    def scene(family: str, environment: str, state_id: str, condition: str) -> Scene:
        state = states.get((family, environment, state_id))
        if state is None:
            return Scene()
        whole = filled(families[family].environments[environment], state)
        role = whole.control if condition == Condition.CONTROL and whole.control else whole.agent
        return Scene(whole.about, role.instructions, dict(state.variables), whole.tools)

    return scene
