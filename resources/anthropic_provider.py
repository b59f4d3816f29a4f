"""A model behind the messages protocol, over the official SDK with its retries switched off.

The protocol has no log-probabilities: a distribution is always estimated from draws. It draws at temperature 1 from the
whole distribution unless told otherwise, and its present version refuses to be told even the neutral values; a request
for another temperature therefore goes out under the last version that takes one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from resources.answers import needs_draws
from resources.content import Json
from resources.messages import Message, Request, Sampling, Status, Usage
from resources.providers import Chosen, Generated, Identity, ProviderFault
from resources.registry import ModelEntry
from resources.steering import Steering, no_steering
from resources.wire import (
    Secret,
    check_url,
    count_of,
    http_settings,
    items_of,
    json_object,
    key_of,
    malformed,
    member,
    no_adapter,
    no_answer,
    status_fault,
    text_of,
    wire_text,
)

if TYPE_CHECKING:
    from anthropic import APIStatusError, AsyncAnthropic

OFFICIAL_URL = "https://api.anthropic.com"
_VERSION_WITH_TEMPERATURE = "2023-06-01"
_STOPPED = {
    "max_tokens": Status.TRUNCATED,
    "model_context_window_exceeded": Status.TRUNCATED,
    "pause_turn": Status.TRUNCATED,
    "refusal": Status.REFUSAL,
}


def anthropic_identity(entry: ModelEntry) -> Identity:
    """Which weights answer, as far as a protocol can say."""
    return Identity("anthropic", entry.model, entry.revision or "", "", entry.base_url or OFFICIAL_URL)


class AnthropicProvider:
    """One entry of `data/models.yaml` with `provider: anthropic`. Raises `InputError` when its key is not set or its
    `base_url` is none."""

    def __init__(self, entry: ModelEntry, *, timeout_s: float = 300.0) -> None:
        check_url(entry)
        self.identity = anthropic_identity(entry)
        self._entry = entry
        self._secret = key_of(entry, default_env="ANTHROPIC_API_KEY")
        self._client = _client(entry, self._secret, timeout_s)
        self._create = self._client.messages.with_raw_response.create
        self._timeout_s = timeout_s

    def adapter_hash(self, adapter: str | None) -> str:
        """Empty; an `InputError` for an adapter, which this protocol cannot carry."""
        return no_adapter(adapter)

    def steering_hash(self, steering: Steering) -> str:
        """Empty; an `InputError` for a steering, which this protocol cannot carry."""
        return no_steering(steering)

    async def generate(self, request: Request) -> Generated:
        """Text. A refusal is a status; a cut, empty or unreadable answer is a retryable fault.

        The protocol has no seed: independent samples differ by themselves.
        """
        body, request_id = await self._post(request)
        if not isinstance(body.get("content"), list) or "stop_reason" not in body:
            raise malformed("an answer without content")
        blocks = [block for block in items_of(body["content"]) if text_of(member(block, "type")) == "text"]
        text = "".join(text_of(member(block, "text")) for block in blocks)
        stop = text_of(body["stop_reason"])
        status = _STOPPED.get(stop, Status.OK)
        return Generated(text, status, stop, _usage(body), request_id or text_of(body.get("id")))

    async def choose(self, request: Request, options: tuple[str, ...]) -> Chosen:  # noqa: ARG002
        """Always `answers.needs_draws`, at no cost: the caller draws and counts."""
        return needs_draws(Usage())

    async def aclose(self) -> None:
        """Close the client's connections."""
        await self._client.close()

    async def _post(self, request: Request) -> tuple[dict[str, Json], str]:
        import anthropic

        system, messages = _split(request.messages)
        sampling = request.sampling
        try:
            answer = await self._create(
                model=self._entry.model,
                max_tokens=sampling.max_tokens,
                messages=messages,  # type: ignore[arg-type]  # plain dicts of the same shape, without building models
                system=system or anthropic.omit,
                stop_sequences=list(sampling.stop) if sampling.stop else anthropic.omit,
                timeout=self._timeout_s,
                extra_headers=_headers(sampling),
                extra_body=_temperature(sampling),
            )
        except anthropic.APIStatusError as error:
            raise self._status_fault(error) from None
        except anthropic.APIConnectionError as error:
            raise no_answer(error, self._secret) from None
        response = answer.http_response
        body = json_object(response.content, response.headers.get("content-type", ""))
        return body, response.headers.get("request-id", "")

    def _status_fault(self, error: APIStatusError) -> ProviderFault:
        return status_fault(error.status_code, self._secret.redact(error.message), error.response.headers)


def _client(entry: ModelEntry, secret: Secret, timeout_s: float) -> AsyncAnthropic:
    """One client per model: no retries of its own, one connection per slot, and no address from the environment."""
    from anthropic import AsyncAnthropic, DefaultAioHttpClient

    limits, timeout, trusted = http_settings(entry, timeout_s)
    return AsyncAnthropic(
        api_key=secret.value,
        base_url=entry.base_url or OFFICIAL_URL,
        max_retries=0,
        timeout=timeout,
        http_client=DefaultAioHttpClient(limits=limits, timeout=timeout, verify=trusted),
        open_telemetry=False,
    )


def _split(messages: tuple[Message, ...]) -> tuple[str, list[dict[str, str]]]:
    """System messages as one text, the rest as turns; a prompt of system messages alone is the user's only turn."""
    system = "\n\n".join(wire_text(message.content) for message in messages if message.role == "system")
    turns = [
        {"role": "assistant" if message.role == "assistant" else "user", "content": wire_text(message.content)}
        for message in messages
        if message.role != "system"
    ]
    return (system, turns) if turns else ("", [{"role": "user", "content": system}])


def _temperature(sampling: Sampling) -> Mapping[str, float] | None:
    named = {"temperature": sampling.temperature, "top_p": sampling.top_p}
    return {name: value for name, value in named.items() if value != 1.0} or None


def _headers(sampling: Sampling) -> Mapping[str, str] | None:
    return {"anthropic-version": _VERSION_WITH_TEMPERATURE} if _temperature(sampling) else None


def _usage(body: dict[str, Json]) -> Usage:
    """The protocol counts fresh, read and newly cached input apart; here `input_tokens` is all of it."""
    usage = body.get("usage")
    read = count_of(member(usage, "cache_read_input_tokens"))
    created = count_of(member(usage, "cache_creation_input_tokens"))
    fresh = count_of(member(usage, "input_tokens"))
    return Usage(fresh + read + created, read, count_of(member(usage, "output_tokens")))
