"""The messages protocol over the real SDK, against a scripted server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from resources.answers import must_draw
from resources.anthropic_provider import AnthropicProvider
from resources.errors import InputError
from resources.messages import Message, Request, Sampling, Status, Usage
from resources.providers import Generated, ProviderFault
from resources.registry import ModelEntry
from tests.servers.asking import ask, registry
from tests.servers.scripted import Answer, Script, ScriptedServer, anthropic_text, as_json, error

Start = Callable[[Script], ScriptedServer]


def generate(server: ScriptedServer, request: Request, *, timeout_s: float = 5.0) -> Generated:
    async def main() -> Generated:
        provider = AnthropicProvider(registry(server.url)["claude"], timeout_s=timeout_s)
        try:
            return await provider.generate(request)
        finally:
            await provider.aclose()

    return asyncio.run(main())


def test_system_messages_go_to_system_and_roles_map(scripted_server: Start) -> None:
    server = scripted_server(lambda _: anthropic_text("hi"))
    turns = tuple(
        Message(role=role, content=content)  # type: ignore[arg-type]
        for role, content in (("system", "a"), ("user", "b"), ("assistant", "c"), ("tool", "d"), ("system", "e"))
    )
    reply = generate(server, replace(ask(), messages=turns, sampling=Sampling(max_tokens=99, stop=("END",), seed=4)))
    body = server.calls[0].body
    assert body["system"] == "a\n\ne"
    assert [(m["role"], m["content"]) for m in body["messages"]] == [("user", "b"), ("assistant", "c"), ("user", "d")]
    assert (body["max_tokens"], body["stop_sequences"], body["model"]) == (99, ["END"], "claude-x")
    assert not {"temperature", "top_p", "top_k", "seed"} & set(body), "the neutral values are refused by the protocol"
    assert reply == Generated("hi", Status.OK, "end_turn", Usage(100, 40, 5), "msg_1")


def test_a_prompt_of_system_messages_alone_is_the_users_turn(scripted_server: Start) -> None:
    server = scripted_server(lambda _: anthropic_text("hi"))
    generate(server, replace(ask(), messages=(Message(role="system", content="Say hi."),)))
    assert server.calls[0].messages == [{"role": "user", "content": "Say hi."}]
    assert "system" not in server.calls[0].body


def test_another_temperature_goes_out_under_the_version_that_takes_one(scripted_server: Start) -> None:
    server = scripted_server(lambda _: anthropic_text("hi"))
    generate(server, ask())
    generate(server, ask(temperature=0.25))
    neutral, cold = server.calls
    assert (cold.body["temperature"], cold.headers["anthropic-version"]) == (0.25, "2023-06-01")
    assert neutral.headers["anthropic-version"] != "2023-06-01"


@pytest.mark.parametrize(
    ("stop", "status"),
    [
        ("end_turn", Status.OK),
        ("stop_sequence", Status.OK),
        ("max_tokens", Status.TRUNCATED),
        ("model_context_window_exceeded", Status.TRUNCATED),
        ("refusal", Status.REFUSAL),
    ],
)
def test_how_an_answer_ended(scripted_server: Start, stop: str, status: Status) -> None:
    reply = generate(scripted_server(lambda _: anthropic_text("so far", stop=stop)), ask())
    assert (reply.status, reply.text, reply.finish_reason) == (status, "so far", stop)


def test_lone_surrogates_go_out_as_replacement_and_come_back_exactly(scripted_server: Start) -> None:
    server = scripted_server(lambda _: anthropic_text("back \udc00"))
    assert generate(server, ask("out \ud83d")).text == "back \udc00"
    assert server.calls[0].last == "out \ufffd"


@pytest.mark.parametrize(
    ("answer", "kind", "retryable", "throttled"),
    [
        (error(429, headers={"retry-after": "3"}), "throttled", True, True),
        (error(529), "overloaded", True, True),
        (error(500), "server_error", True, False),
        (error(401), "authentication", False, False),
        (error(400), "bad_request", False, False),
        (Answer(b'{"content": [', keep=4), "connection", True, False),
        (Answer(b"{}"), "malformed", True, False),
        (Answer(b"oops", content_type="text/plain"), "malformed", True, False),
        (as_json({"content": None, "stop_reason": "end_turn"}), "malformed", True, False),
        (anthropic_text("late", delay=1.0), "timeout", True, False),
    ],
)
def test_what_goes_wrong_is_a_fault_with_a_kind(
    scripted_server: Start, answer: Answer, kind: str, retryable: bool, throttled: bool
) -> None:
    with pytest.raises(ProviderFault) as caught:
        generate(scripted_server(lambda _: answer), ask(), timeout_s=0.3)
    assert (caught.value.kind, caught.value.retryable, caught.value.throttled) == (kind, retryable, throttled)
    assert caught.value.retry_after == (3.0 if answer.headers else None)


def test_it_has_no_distribution_of_its_own_and_asks_nobody(scripted_server: Start) -> None:
    server = scripted_server(lambda _: anthropic_text("hi"))

    async def main() -> None:
        provider = AnthropicProvider(registry(server.url)["claude"])
        assert must_draw(await provider.choose(ask(), ("yes", "no")))
        await provider.aclose()

    asyncio.run(main())
    assert not server.calls


def test_a_missing_key_names_its_variable_and_a_key_stays_where_it_belongs(
    scripted_server: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with pytest.raises(InputError, match="ANTHROPIC_API_KEY"):
        AnthropicProvider(ModelEntry(name="m", provider="anthropic", model="m"))
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-canary-1")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "sk-canary-2")
    server = scripted_server(lambda _: anthropic_text("hi"))
    generate(server, ask())
    assert "canary" not in str(server.calls[0].headers)
