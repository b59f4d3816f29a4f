"""The chat-completions protocol over the real SDK, against a scripted server."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from resources.answers import must_draw
from resources.anthropic_provider import AnthropicProvider
from resources.dialect import Dialect
from resources.errors import InputError
from resources.messages import Message, Sampling, Status, Usage
from resources.openai_provider import OpenAIProvider
from resources.providers import Chosen, Generated, ProviderFault
from resources.registry import ModelEntry
from resources.wire import Secret, retry_after, wire_seed
from tests.servers.asking import ask, registry
from tests.servers.scripted import (
    Answer,
    Asked,
    Script,
    ScriptedServer,
    as_json,
    error,
    openai_logprobs,
    openai_text,
)

Start = Callable[[Script], ScriptedServer]
YES_NO = ("yes", "no")
YES = [("yes", math.log(0.6)), (" Yes", math.log(0.2)), ("no", math.log(0.1)), ("well", math.log(0.05))]


def entry(server: ScriptedServer, **fields: object) -> ModelEntry:
    return registry(server.url)["gpt"].model_copy(update=fields)


async def fault_of(provider: OpenAIProvider | AnthropicProvider) -> ProviderFault:
    """What becomes of a question that cannot be answered; the provider is closed then."""
    try:
        with pytest.raises(ProviderFault) as caught:
            await provider.generate(ask())
    finally:
        await provider.aclose()
    return caught.value


def generate(model: ModelEntry, *requests: object) -> list[Generated]:
    async def main() -> list[Generated]:
        provider = OpenAIProvider(model, timeout_s=5.0)
        try:
            return [await provider.generate(request) for request in requests or (ask(),)]  # type: ignore[arg-type]
        finally:
            await provider.aclose()

    return asyncio.run(main())


def choose(model: ModelEntry, options: tuple[str, ...] = YES_NO, times: int = 1) -> list[Chosen]:
    async def main() -> list[Chosen]:
        provider = OpenAIProvider(model, timeout_s=5.0)
        try:
            return [await provider.choose(ask(seed=3), options) for _ in range(times)]
        finally:
            await provider.aclose()

    return asyncio.run(main())


def test_roles_seed_and_the_models_own_distribution_reach_the_wire(scripted_server: Start) -> None:
    server = scripted_server(lambda _: openai_text("hi"))
    turns = tuple(
        Message(role=role, content=role)  # type: ignore[arg-type]
        for role in ("system", "user", "assistant", "tool", "user")
    )
    request = replace(ask(), messages=turns, sampling=Sampling(seed=7, stop=("END",)), sample=2)
    (reply,) = generate(entry(server), request)
    body = server.calls[0].body
    assert [(m["role"], m["content"]) for m in body["messages"]] == [
        ("system", "system"),
        ("user", "user"),
        ("assistant", "assistant"),
        ("user", "tool"),
        ("user", "user"),
    ]
    assert body["seed"] == wire_seed(7, 2) != wire_seed(7, 1)
    assert (body["temperature"], body["top_p"], body["top_k"], body["repetition_penalty"]) == (1.0, 1.0, -1, 1.0)
    assert (body["max_tokens"], body["stop"], body["model"]) == (512, ["END"], "gpt-x")
    assert reply.usage == Usage(100, 40, 1)
    assert reply.provider_request_id == "chatcmpl-1"


def test_no_seed_is_sent_where_none_is_given(scripted_server: Start) -> None:
    server = scripted_server(lambda _: openai_text("hi"))
    generate(entry(server))
    assert "seed" not in server.calls[0].body


@pytest.mark.parametrize(
    ("answer", "status", "text"),
    [
        (openai_text("all of it"), Status.OK, "all of it"),
        (openai_text("half of"), Status.OK, "half of"),
        (openai_text("half of", finish="length"), Status.TRUNCATED, "half of"),
        (openai_text("", finish="content_filter"), Status.CONTENT_FILTER, ""),
        (openai_text("", refusal="I will not"), Status.REFUSAL, "I will not"),
        (openai_text("odd", finish="eos"), Status.OK, "odd"),
        (openai_text("none", finish=None), Status.OK, "none"),
        (error(400, "filtered", code="content_filter"), Status.CONTENT_FILTER, ""),
    ],
)
def test_how_an_answer_ended(scripted_server: Start, answer: Answer, status: Status, text: str) -> None:
    (reply,) = generate(entry(scripted_server(lambda _: answer)))
    assert (reply.status, reply.text) == (status, text)


def test_lone_surrogates_go_out_as_replacement_and_come_back_exactly(scripted_server: Start) -> None:
    server = scripted_server(lambda _: openai_text("back \ud83d!"))
    (reply,) = generate(entry(server), ask("out \ud83d!"))
    assert server.calls[0].last == "out \ufffd!"
    assert reply.text == "back \ud83d!"


def test_a_distribution_is_one_token_with_its_alternatives(scripted_server: Start) -> None:
    server = scripted_server(lambda _: openai_logprobs(YES))
    (chosen,) = choose(entry(server))
    body = server.calls[0].body
    assert (body["max_tokens"], body["logprobs"], body["top_logprobs"], body["temperature"]) == (1, True, 20, 1.0)
    assert math.isclose(chosen.mass, 0.9)
    assert math.isclose(chosen.probabilities[0], 0.8 / 0.9)


def _first_token(**fields: object) -> Answer:
    choice = {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "length", **fields}
    return as_json({"id": "c", "object": "chat.completion", "choices": [choice], "usage": None})


@pytest.mark.parametrize(
    ("answer", "draws", "status"),
    [
        (_first_token(), True, Status.OK),
        (_first_token(logprobs=None), True, Status.OK),
        (_first_token(logprobs={"content": []}), True, Status.OK),
        (_first_token(logprobs={"content": [{"token": "x", "logprob": -1, "top_logprobs": []}]}), True, Status.OK),
        (openai_logprobs([*YES, ("nan", math.nan)]), False, Status.UNPARSABLE),
        (openai_logprobs([*YES, ("up", 1.5)]), False, Status.UNPARSABLE),
        (openai_logprobs([*YES, *YES]), False, Status.OK),
        (openai_logprobs(YES, finish="content_filter"), False, Status.CONTENT_FILTER),
        (openai_text("", refusal="no"), False, Status.REFUSAL),
        (openai_logprobs([("banana", -0.01)]), False, Status.VOID),
    ],
)
def test_odd_log_probabilities(scripted_server: Start, answer: Answer, draws: bool, status: Status) -> None:
    (chosen,) = choose(entry(scripted_server(lambda _: answer)))
    assert must_draw(chosen) == draws
    assert chosen.status is status
    assert chosen.mass <= 1.0 or math.isnan(chosen.mass)


def test_a_server_that_refuses_log_probabilities_is_asked_for_them_once(scripted_server: Start) -> None:
    server = scripted_server(lambda _: error(400, "'logprobs' is not supported with this model", param="logprobs"))
    assert all(must_draw(chosen) for chosen in choose(entry(server), times=3))
    assert len(server.calls) == 1
    assert must_draw(choose(entry(server, logprobs=False))[0])
    assert len(server.calls) == 1


def test_a_server_that_refuses_neutral_fields_is_asked_again_without_them(scripted_server: Start) -> None:
    def picky(asked: Asked) -> Answer:
        for name in ("top_k", "min_p", "repetition_penalty", "max_tokens", "seed"):
            if name in asked.body:
                return error(400, f"Unsupported parameter: '{name}'", param=name if name == "top_k" else "")
        return openai_text("done")

    server = scripted_server(picky)
    replies = generate(entry(server), ask(seed=1), ask(seed=2))
    assert [reply.text for reply in replies] == ["done", "done"]
    assert server.calls[-1].body["max_completion_tokens"] == 512
    assert len(server.calls) == 7, "five fields refused once each, then two answers"


def test_a_field_with_a_meaning_is_never_dropped(scripted_server: Start) -> None:
    server = scripted_server(lambda _: error(400, "temperature must be 1", param="temperature"))
    with pytest.raises(ProviderFault, match="temperature must be 1"):
        generate(entry(server), ask(temperature=0.5))
    assert len(server.calls) == 1


def test_one_request_that_is_too_long_changes_nothing_for_its_neighbours(scripted_server: Start) -> None:
    too_long = error(400, "'max_tokens' is too large: 9000. This model's maximum context length is 4096.")
    server = scripted_server(lambda asked: too_long if asked.body.get("max_tokens") == 9000 else openai_text("ok"))

    async def main() -> None:
        provider = OpenAIProvider(entry(server))
        with pytest.raises(ProviderFault, match="too large"):
            await provider.generate(ask(max_tokens=9000))
        assert (await provider.generate(ask(max_tokens=90))).text == "ok"
        await provider.aclose()

    asyncio.run(main())
    assert [call.body["max_tokens"] for call in server.calls] == [9000, 90]


def test_the_official_server_gets_no_foreign_field() -> None:
    assert set(Dialect(None).sampling(1.0, 1.0, 9, None)) == {"temperature", "top_p", "max_completion_tokens"}


@pytest.mark.parametrize(
    ("answer", "kind", "retryable", "throttled"),
    [
        (error(429), "throttled", True, True),
        (error(429, code="insufficient_quota"), "quota", False, False),
        (error(529), "overloaded", True, True),
        (error(500), "server_error", True, False),
        (error(503), "server_error", True, False),
        (error(401), "authentication", False, False),
        (error(404), "not_found", False, False),
        (error(400), "bad_request", False, False),
        (Answer(b'{"choices": [', keep=5), "connection", True, False),
        (Answer(b'{"choices": ['), "malformed", True, False),
        (Answer(b"<html>hello</html>", content_type="text/html"), "malformed", True, False),
        (as_json([]), "malformed", True, False),
        (as_json({"choices": []}), "malformed", True, False),
        (as_json({"choices": [None]}), "malformed", True, False),
        (as_json({"choices": [{"finish_reason": "stop"}]}), "malformed", True, False),
        (as_json({"error": {"message": "upstream", "code": 429}}), "throttled", True, True),
        (openai_text("late", delay=1.0), "timeout", True, False),
    ],
)
def test_what_goes_wrong_is_a_fault_with_a_kind(
    scripted_server: Start, answer: Answer, kind: str, retryable: bool, throttled: bool
) -> None:
    model = entry(scripted_server(lambda _: answer))

    async def main() -> None:
        fault = await fault_of(OpenAIProvider(model, timeout_s=0.3))
        assert (fault.kind, fault.retryable, fault.throttled) == (kind, retryable, throttled)

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["refused", "closed"])
@pytest.mark.parametrize("protocol", [OpenAIProvider, AnthropicProvider])
def test_a_server_that_cannot_be_had_is_not_one_that_is_late(
    protocol: type[OpenAIProvider | AnthropicProvider], kind: str
) -> None:
    """Nobody listens there, or who listens hangs up at once: the fault says so, and not that time ran out."""

    async def main() -> str:
        listener = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        if kind == "refused":
            listener.close()
            await listener.wait_closed()
        name = "openai" if protocol is OpenAIProvider else "anthropic"
        model = ModelEntry.model_validate(
            {"name": "m", "provider": name, "model": "m", "base_url": f"http://127.0.0.1:{port}/v1"}
        )
        fault = await fault_of(protocol(model, timeout_s=5.0))
        listener.close()
        assert (fault.kind, fault.retryable) == ("connection", True)
        return str(fault)

    told = asyncio.run(main())
    assert ("ConnectionRefusedError" if kind == "refused" else "ServerDisconnected") in told


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "86400"}, 60.0),
        ({"retry-after": "1e308"}, 60.0),
        ({"retry-after": "inf"}, 60.0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:30 GMT"}, 30.0),
        ({"retry-after": "Thu, 01 Jan 2099 00:00:30 GMT"}, 60.0),
        ({"retry-after": "Thu, 99 Jan 1970"}, None),
    ],
)
def test_retry_after_is_a_bounded_time_or_nothing(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, now=lambda: 0.0) == seconds


def test_a_missing_key_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(InputError, match="OPENAI_API_KEY"):
        OpenAIProvider(ModelEntry(name="m", provider="openai", model="m"))
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(InputError, match="MY_KEY"):
        OpenAIProvider(ModelEntry(name="m", provider="openai", model="m", base_url="http://x/v1", api_key_env="MY_KEY"))


@pytest.mark.parametrize("url", ["localhost:8000/v1", "ftp://host", "http://", "http://host:port/v1", "/v1"])
def test_an_address_that_is_none_is_an_input_error(url: str) -> None:
    with pytest.raises(InputError, match=r"base_url.*write it like"):
        OpenAIProvider(ModelEntry(name="m", provider="openai", model="m", base_url=url))


def test_no_key_is_sent_to_a_server_that_was_not_given_one(
    scripted_server: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-123456")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-admin-canary")
    server = scripted_server(lambda _: openai_text("hi"))
    generate(entry(server))
    assert all("canary" not in str(call.headers) for call in server.calls)
    generate(entry(server, api_key_env="OPENAI_API_KEY"))
    assert server.calls[-1].headers["authorization"] == "Bearer sk-canary-123456"
    assert "admin" not in str(server.calls[-1].headers)


def test_a_secret_does_not_print() -> None:
    secret = Secret("sk-canary-123456")
    assert "canary" not in repr(secret)
    assert secret.redact("401: bad key sk-canary-123456\n\x1b[31m") == "401: bad key [key] ?[31m"
