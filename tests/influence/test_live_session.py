"""Conversations played by hand: models and people in any role; kept ones land marked, in tables of their own."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from judging_world import PROMPTING
from rollout_world import environment, start, world

from influence_assets.influence.conversation import Plan
from influence_assets.influence.records import Condition
from influence_assets.influence.seeds import Seeds
from influence_assets.live import keeping
from influence_assets.live.session import PERSON, LiveConversation, View
from influence_assets.project import Project
from resources.errors import InfluenceError, InputError
from resources.messages import Role
from tests.browser import viewer_world
from tests.servers.asking import layer, registry

ROLES = (Role.AGENT, Role.CHARACTER, Role.PREFERENCE, Role.TRANSITION, Role.VETO)
PEOPLE = dict.fromkeys(ROLES, PERSON)
MODELS = dict.fromkeys(ROLES, "gpt")


@asynccontextmanager
async def nobody():
    """Models of a conversation in which only people take part."""
    yield None


def live(players, opened=nobody, **changes) -> LiveConversation:
    where = environment(**changes)
    plan = Plan(
        start=start(where),
        environment=where,
        condition=Condition.AGENT,
        conversation_id="live-1",
        seeds=Seeds("ab" * 32),
        model=players[Role.AGENT],
        iteration=0,
        agent=players[Role.AGENT],
        adapter=None,
        character=players[Role.CHARACTER],
        transition=players[Role.TRANSITION],
        limit=where.max_turns,
    )
    one = LiveConversation(plan, players, opened, PROMPTING, min_mass=0.5)
    one.begin()
    return one


def until(one: LiveConversation, what: Callable[[View], bool]) -> View:
    end = time.monotonic() + 20
    while not what(one.view()):
        assert time.monotonic() < end, one.view()
        time.sleep(0.01)
    return one.view()


def say(one: LiveConversation, role: Role, text: str) -> None:
    view = until(one, lambda view: any(wanted.role is role for wanted in view.wanted))
    one.answer(next(wanted.number for wanted in view.wanted if wanted.role is role), text)


def through(one: LiveConversation) -> View:
    """Let the agent speak until it is over."""
    while not one.view().over:
        until(one, lambda view: view.ready or view.over)
        one.go_on()
    return one.view()


def test_people_in_every_role_hold_a_conversation_without_any_model() -> None:
    one = live(PEOPLE)
    say(one, Role.AGENT, "do it")
    for role, answer in ((Role.PREFERENCE, "9"), (Role.VETO, "1"), (Role.TRANSITION, "talk")):
        say(one, role, answer)
    say(one, Role.CHARACTER, "really?")
    say(one, Role.AGENT, "yes")
    for role, answer in ((Role.PREFERENCE, "2"), (Role.VETO, "0"), (Role.TRANSITION, "act")):
        say(one, role, answer)
    view = until(one, lambda view: view.over)
    assert view.error == ""
    assert [(turn.role, turn.content) for turn in view.turns][1:] == [
        ("agent", "do it"),
        ("character", "really?"),
        ("agent", "yes"),
    ]
    judged = {(row.turn, row.rubric): (row.judge, row.expected) for row in view.judgements}
    assert judged[1, "preference"] == (PERSON, 9.0)
    assert judged[1, "veto"] == (PERSON, 1.0)
    assert judged[2, "preference"] == (PERSON, 2.0)
    assert judged[2, "transition"] == (PERSON, None)
    assert view.held is not None
    assert view.held.conversation.final_state == "acted"


def test_models_speak_only_when_they_are_told_to_and_their_judges_answer(scripted_server, tmp_path: Path) -> None:
    server = scripted_server(world({"talk": 1.0}))
    one = live(MODELS, lambda: layer(registry(server.url), tmp_path))
    until(one, lambda view: view.ready)
    assert len(one.view().turns) == 1
    assert not server.calls
    view = through(one)
    assert [turn.role for turn in view.turns] == ["character", *("agent", "character") * 2, "agent"]
    assert sum(row.rubric == "preference" and row.expected is not None for row in view.judgements) == 3
    assert all(row.distribution == {"talk": 1.0, "act": 0.0} for row in view.judgements if row.rubric == "transition")


def test_a_person_must_choose_among_the_options_and_say_something() -> None:
    one = live(PEOPLE)
    view = until(one, lambda view: bool(view.wanted))
    with pytest.raises(InfluenceError, match="some words"):
        one.answer(view.wanted[0].number, "  ")
    say(one, Role.AGENT, "do it")
    view = until(one, lambda view: any(wanted.role is Role.VETO for wanted in view.wanted))
    veto = next(wanted for wanted in view.wanted if wanted.role is Role.VETO)
    with pytest.raises(InfluenceError, match="0"):
        one.answer(veto.number, "perhaps")
    assert veto in one.view().wanted
    one.stop()


def test_stopping_ends_it_whoever_is_waited_for() -> None:
    one = live(PEOPLE)
    until(one, lambda view: bool(view.wanted))
    one.stop()
    view = one.view()
    assert (view.over, view.error, view.wanted) == (True, "stopped before its end", ())
    one.go_on()
    one.answer(1, "too late")
    one.stop()


def test_what_is_wrong_with_a_model_is_said_and_ends_it(scripted_server, tmp_path: Path) -> None:
    server = scripted_server(world())
    one = live(MODELS | {Role.AGENT: "nobody"}, lambda: layer(registry(server.url), tmp_path))
    until(one, lambda view: view.ready)
    one.go_on()
    assert "no such model" in until(one, lambda view: view.over).error


def test_a_kept_conversation_is_marked_and_in_no_table_of_a_study(tmp_path: Path) -> None:
    project = Project(viewer_world.project_folder(tmp_path / "project"))
    one = live(PEOPLE)
    say(one, Role.AGENT, "do it")
    say(one, Role.PREFERENCE, "9")
    with pytest.raises(InfluenceError, match="stop it first"):
        keeping.keep(project, one)
    one.stop()
    assert keeping.keep(project, one, note="odd") == "live-1"
    query = project.warehouse.query
    kept = query("SELECT mark, status, n_turns, note, final_state, players['agent'] AS agent FROM live.conversations")
    assert kept.rows() == [("live", "stopped", 1, "odd", "open", PERSON)]
    assert query("SELECT DISTINCT mark FROM live.turns").rows() == [("live",)]
    assert query("SELECT rubric, expected, request_id FROM live.judgements").rows() == [("preference", 9.0, None)]
    for table in ("conversations", "turns", "judgements", "trajectories"):
        assert query(f"SELECT count(*) FROM influence.{table}").item() == 0


def test_what_a_project_does_not_have_is_one_clear_error() -> None:
    from influence_assets.live.stage import Setting, set_stage

    project = Project(Path(__file__).resolve().parents[2])
    for family, where, state in (("organism", "nowhere", "x"), ("organism", "organism_health_ordinary", "nobody")):
        with pytest.raises(InputError, match="choose one that exists"):
            set_stage(project, Setting(family, where, state, PEOPLE))
