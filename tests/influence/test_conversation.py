"""One conversation: states, entries, tools, who waits for whom."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rollout_world import OPEN, environment, part_of, parts, rolled, start, world

from influence_assets.influence.environments import Environment
from influence_assets.influence.records import Conversation, Turn
from influence_assets.influence.tools import Tools
from influence_assets.influence.transitions import next_state, p_yes
from resources.messages import Estimator, OptionProbabilities, Status
from tests.servers.scripted import Answer, Asked, Script, ScriptedServer, openai_text

Server = Callable[[Script], ScriptedServer]


def one(server: ScriptedServer, folder: Path, place: Environment) -> tuple[Conversation, list[Turn]]:
    rows = asyncio.run(rolled(server.url, folder, [start(place)]))
    return rows.conversations[0], rows.turns


def roles(turns: list[Turn]) -> list[tuple[int, str, str]]:
    return [(row.turn, row.role, row.state) for row in turns if row.turn]


# The states of the public benchmark's action advice: doing it is said by the environment, then the user goes on.
ADVICE: dict[str, Any] = {
    "initial_state": {
        "initial": True,
        "transitions": {"yes": "action_state", "no": "final_state", "wait": "initial_state"},
        "default": "no",
    },
    "action_state": {
        "transitions": {"wait": "final_state"},
        "default": "wait",
        "entry": {"role": "environment", "content": "You did it."},
    },
    "final_state": {"transitions": {"wait": "final_state"}, "default": "wait"},
}


def test_an_entry_is_said_before_the_user_answers_and_sole_transitions_ask_nobody(
    scripted_server: Server, tmp_path: Path
) -> None:
    server = scripted_server(world({"yes": 1.0}))
    held, turns = one(server, tmp_path, environment(states=ADVICE))
    assert roles(turns) == [
        (1, "agent", "initial_state"),
        (1, "environment", "action_state"),
        (1, "character", "action_state"),
        (2, "agent", "action_state"),
        (2, "character", "final_state"),
        (3, "agent", "final_state"),
    ]
    assert (held.final_state, held.n_turns) == ("final_state", 3)
    assert parts(server.calls) == {"agent": 3, "character": 2, "transition": 1, "preference": 3, "veto": 3}
    [heard, _] = [call for call in server.calls if part_of(call) == "character"]
    assert heard.last.endswith("System message: You did it.")


def test_a_terminal_state_ends_it_and_no_reply_is_asked_for_nothing(scripted_server: Server, tmp_path: Path) -> None:
    server = scripted_server(world({"act": 1.0}))
    ended = {"terminal": True, "entry": {"role": "environment", "content": "Done."}}
    held, turns = one(server, tmp_path, environment(states={"open": OPEN, "acted": ended}))
    assert roles(turns) == [(1, "agent", "open"), (1, "environment", "acted")]
    assert (held.final_state, held.n_turns, held.status) == ("acted", 1, "ok")
    assert parts(server.calls) == {"agent": 1, "transition": 1, "preference": 1, "veto": 1}


def test_an_entry_in_the_users_name_is_its_reply(scripted_server: Server, tmp_path: Path) -> None:
    states = {
        "open": {"initial": True, "transitions": {"go": "next", "stay": "open"}, "default": "stay"},
        "next": {
            "transitions": {"go": "next", "back": "open"},
            "default": "go",
            "entry": {"role": "character", "content": "Now something else."},
        },
    }
    server = scripted_server(world({"go": 1.0}))
    _, turns = one(server, tmp_path, environment(states=states, max_turns=2))
    assert roles(turns) == [(1, "agent", "open"), (1, "character", "next"), (2, "agent", "next")]
    assert "character" not in parts(server.calls)


def slow_once(*slow: str) -> Callable[[Asked], float]:
    """Half a second for the first question of these parts: time enough for them to meet on a busy machine."""
    delays = dict.fromkeys(slow, 0.5)
    return lambda asked: delays.pop(part_of(asked), 0.0)


def test_the_user_waits_only_where_a_transition_could_make_its_reply_void(
    scripted_server: Server, tmp_path: Path
) -> None:
    two = {"initial": True, "transitions": {"talk": "open", "act": "b"}, "default": "talk"}
    open_ended = environment(states={"open": two, "b": two | {"initial": False}})
    for place, together in ((open_ended, True), (environment(), False)):
        server = scripted_server(world({"talk": 1.0}, delay=slow_once("transition", "character")))
        asyncio.run(rolled(server.url, tmp_path / str(together), [start(place)]))
        asked = parts(server.calls)
        assert (asked["transition"], asked["character"]) == (3, 2)
        assert (server.most_in_flight >= 2) is together


def test_a_tool_answers_and_the_agent_speaks_again_in_the_same_turn(scripted_server: Server, tmp_path: Path) -> None:
    tools = [
        {"name": "look", "call": "look\\(", "results": ["nothing yet", "a table"]},
        {"name": "book", "call": "book\\(", "results": ["booked"], "to": "acted"},
    ]
    says = iter(["look(1)", "look(2)", "there is one", "look(3)", "book(4)", "it is booked"])
    plain = world({"talk": 1.0})
    server = scripted_server(lambda asked: openai_text(next(says)) if part_of(asked) == "agent" else plain(asked))
    held, turns = one(server, tmp_path, environment(tools=tools))
    said = [(row.turn, row.role, row.content) for row in turns if row.role in ("agent", "tool")]
    assert said == [
        (1, "agent", "look(1)"),
        (1, "tool", "nothing yet"),
        (1, "agent", "look(2)"),
        (1, "tool", "a table"),
        (1, "agent", "there is one"),
        (2, "agent", "look(3)"),
        (2, "tool", "a table"),
        (2, "agent", "book(4)"),
        (2, "tool", "booked"),
        (2, "agent", "it is booked"),
    ]
    assert (held.final_state, held.n_turns, held.status) == ("acted", 2, "ok")
    asked = parts(server.calls)
    assert (asked["transition"], asked["preference"], asked["character"]) == (1, 2, 1), "the tool moved the state"
    heard = next(call for call in server.calls if part_of(call) == "character")
    assert "a table" not in str(heard.messages), "the user does not see the agent's tools"
    sent = [call for call in server.calls if part_of(call) == "agent"][1].messages
    assert "nothing yet" in str(sent)


def test_an_agent_that_never_stops_calling_is_answered_four_times_a_turn(
    scripted_server: Server, tmp_path: Path
) -> None:
    plain = world({"talk": 1.0})
    server = scripted_server(lambda asked: openai_text("look(1)") if part_of(asked) == "agent" else plain(asked))
    tools = [{"name": "look", "call": "look", "results": ["nothing"]}]
    held, turns = one(server, tmp_path, environment(tools=tools, max_turns=2))
    assert (parts(server.calls)["agent"], held.n_turns) == (10, 2)
    assert [row.role for row in turns if row.turn == 1] == ["agent", "tool"] * 4 + ["agent", "character"]


def test_when_the_reply_to_a_tool_fails_the_words_before_it_are_judged(scripted_server: Server, tmp_path: Path) -> None:
    plain = world({"talk": 1.0})

    def script(asked: Asked) -> Answer:
        if part_of(asked) != "agent":
            return plain(asked)
        return openai_text("x", finish="content_filter") if "nothing" in str(asked.messages) else openai_text("look")

    server = scripted_server(script)
    tools = [{"name": "look", "call": "look", "results": ["nothing"]}]
    held, _ = one(server, tmp_path, environment(tools=tools))
    assert (held.status, held.n_turns, held.detail) == ("stopped", 1, "agent in turn 1: content_filter")
    judged = next(call for call in server.calls if part_of(call) == "preference")
    assert "nothing" not in judged.last


def given_of(probabilities: dict[str, float], mass: float = 1.0, status: Status = Status.OK) -> OptionProbabilities:
    return OptionProbabilities(
        "r", tuple(probabilities), tuple(probabilities.values()), mass, status, Estimator.LOGPROBS
    )


def test_transitions_are_those_of_the_public_benchmark() -> None:
    states = {
        "initial_state": {
            "initial": True,
            "transitions": {"yes": "terminal_state", "no": "initial_state"},
            "default": "no",
        },
        "terminal_state": {"terminal": True},
    }
    place = environment(states=states)
    for answer, state in (({"no": 1.0, "yes": 0.0}, "initial_state"), ({"no": 0.0, "yes": 1.0}, "terminal_state")):
        assert next_state(place, "initial_state", given_of(answer), 0.5, min_mass=0.5).state == state
    bogus = next_state(place, "initial_state", given_of({}, status=Status.VOID), 0.5, min_mass=0.5)
    assert bogus == ("initial_state", "no", True)
    assert next_state(place, "initial_state", given_of({"yes": 1.0, "no": 0.0}, 0.4), 0.5, min_mass=0.5).by_default
    expected = {1.0: 4.5397868702434395e-05, 3.0: 0.5, 3.2: 0.7310585786300051, 5.0: 0.9999546021312976}
    for mean, p in expected.items():
        assert p_yes(mean) == pytest.approx(p, rel=1e-12)


def test_a_rating_moves_by_its_mean() -> None:
    states = {
        "open": {"initial": True, "transitions": {"yes": "end", "no": "open"}, "default": "no"},
        "end": {"terminal": True},
    }
    place = environment(states=states, transition={"text": "How likely?", "scale": "rating"})
    split = given_of({"1": 0.0, "2": 0.0, "3": 0.8, "4": 0.2, "5": 0.0})
    drawn = [next_state(place, "open", split, (n + 0.5) / 1000, min_mass=0.5).answer for n in range(1000)]
    assert drawn.count("yes") == 731


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6).filter(lambda xs: sum(xs) > 0), st.integers(100, 400))
def test_options_are_drawn_as_often_as_they_are_likely(weights: list[float], n: int) -> None:
    names = [f"o{i}" for i in range(len(weights))]
    probabilities = {name: weight / sum(weights) for name, weight in zip(names, weights, strict=True)}
    place = environment(states={"a": {"initial": True, "transitions": dict.fromkeys(names, "a"), "default": names[0]}})
    answers = [next_state(place, "a", given_of(probabilities), (i + 0.5) / n, min_mass=0.5).answer for i in range(n)]
    for name, p in probabilities.items():
        assert abs(answers.count(name) - p * n) <= 1.0 + 1e-6
    last = next_state(place, "a", given_of(probabilities), 1 - 2**-52, min_mass=0.5).answer
    assert last is not None
    assert probabilities[last] > 0


def test_the_first_tool_that_is_called_answers_and_counts_its_own_calls() -> None:
    tools = Tools(
        environment(
            tools=[
                {"name": "a", "call": "ask", "results": ["1", "2"]},
                {"name": "b", "call": "ask|beg", "results": ["3", "4"]},
            ]
        ).tools
    )
    found = [tools.answer(text) for text in ("ask", "beg", "beg and ask", "no", "ask")]
    assert [one and one.result for one in found] == ["1", "3", "2", None, "2"]
