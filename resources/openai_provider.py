"""A model behind the chat-completions protocol: the protocol's owner, or any server that speaks it (`base_url`).

Over the official SDK with its retries switched off; the raw response is read here, because a cut, odd or hostile answer
must become a `ProviderFault` and not whatever a lenient parser makes of it. A distribution comes from the first
token's log-probabilities, read by `resources/answers.py`. LoRA adapters are for vLLM servers (`vllm_adapters.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from resources.answers import TokenLogprob, needs_draws, read_first_token
from resources.content import Json
from resources.dialect import OFFICIAL_URL, Dialect
from resources.messages import Estimator, Message, Request, Status, Usage
from resources.providers import Chosen, Generated, Identity, ProviderFault
from resources.registry import ModelEntry
from resources.steering import Steering, no_steering
from resources.vllm_adapters import ServerAdapters
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
    no_answer,
    status_fault,
    text_of,
    wire_seed,
    wire_text,
)

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI

TOP_LOGPROBS = 20
_FINISHED = {"length": Status.TRUNCATED, "content_filter": Status.CONTENT_FILTER}
_REFUSED_FIELDS = 8
"""How many fields one request may be refused for before its refusal counts as one."""


def openai_identity(entry: ModelEntry) -> Identity:
    """Which weights answer, as far as a protocol can say."""
    return Identity("openai", entry.model, entry.revision or "", "", entry.base_url or OFFICIAL_URL)


class OpenAIProvider:
    """One entry of `data/models.yaml` with `provider: openai`. Raises `InputError` when its key is not set or its
    `base_url` is none. `root` is where relative directories of adapters start."""

    def __init__(self, entry: ModelEntry, *, root: Path = Path(), timeout_s: float = 300.0) -> None:
        check_url(entry)
        self.identity = openai_identity(entry)
        self._entry = entry
        self._secret = key_of(entry, default_env="OPENAI_API_KEY")
        self._dialect = Dialect(entry.base_url)
        self._client = _client(entry, self._secret, timeout_s)
        self._adapters = ServerAdapters(entry, root, self._client, self._secret)

    def adapter_hash(self, adapter: str | None) -> str:
        """sha256 of a LoRA checkpoint's files; empty without one. An `InputError` where no server can take one."""
        return self._adapters.hash_of(adapter)

    def steering_hash(self, steering: Steering) -> str:
        """Empty; an `InputError` for a steering, which this protocol cannot carry."""
        return no_steering(steering)

    async def generate(self, request: Request) -> Generated:
        """Text. A refusal or a filter is a status; a cut, empty or unreadable answer is a retryable fault."""
        sampling = request.sampling
        seed = wire_seed(sampling.seed, request.sample)
        extra: dict[str, Json] = {"stop": list(sampling.stop)} if sampling.stop else {}
        body, request_id = await self._send(
            request, sampling.temperature, sampling.top_p, sampling.max_tokens, seed, extra
        )
        choice, usage = _first_choice(body), _usage(body)
        text, status = _text_and_status(choice)
        finish = text_of(member(choice, "finish_reason"))
        return Generated(text, status, finish, usage, request_id or text_of(member(body, "id")))

    async def choose(self, request: Request, options: tuple[str, ...]) -> Chosen:
        """The distribution at the first token, temperature 1, nothing cut off; raw, whatever its mass.

        Where the server has no log-probabilities, or splits answers so that they cannot be told apart, this is
        `answers.needs_draws`.
        """
        if not (self._entry.logprobs and self._dialect.has_logprobs):
            return needs_draws(Usage())
        extra: dict[str, Json] = {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
        seed = wire_seed(request.sampling.seed, request.sample)
        try:
            body, request_id = await self._send(request, 1.0, 1.0, 1, seed, extra)
        except ProviderFault:
            if self._dialect.has_logprobs:
                raise
            return needs_draws(Usage())
        return _chosen(options, body, request_id)

    async def aclose(self) -> None:
        """Unload the adapters that were loaded, and close the client's connections."""
        try:
            await self._adapters.aclose()
        finally:
            await self._client.close()

    async def _send(
        self,
        request: Request,
        temperature: float,
        top_p: float,
        max_tokens: int,
        seed: int | None,
        extra: Mapping[str, Json],
    ) -> tuple[dict[str, Json], str]:
        """One answer as a JSON object with its request id, asked again without the fields that a server refuses."""
        messages = [_wire_message(message) for message in request.messages]
        for _ in range(_REFUSED_FIELDS):
            fields = {**self._dialect.sampling(temperature, top_p, max_tokens, seed), **extra}
            try:
                return await self._ask(request.adapter, messages, fields)
            except _Refused as refused:
                if refused.fault.kind == "content_filter":
                    return {"choices": [{"finish_reason": "content_filter"}]}, ""
                if not self._dialect.learn(refused.param, str(refused.fault), fields):
                    raise refused.fault from None
        raise ProviderFault("bad_request", "the server refuses one field after another", retryable=False)

    async def _ask(
        self, adapter: str | None, messages: list[dict[str, str]], fields: dict[str, Json]
    ) -> tuple[dict[str, Json], str]:
        model = await self._adapters.model_for(adapter)
        try:
            return await self._post(model, messages, fields)
        except ProviderFault as fault:
            if not adapter or fault.kind != "not_found":
                raise
        self._adapters.forget(adapter)
        return await self._post(await self._adapters.model_for(adapter), messages, fields)

    async def _post(
        self, model: str, messages: list[dict[str, str]], fields: dict[str, Json]
    ) -> tuple[dict[str, Json], str]:
        import httpx2
        import openai

        try:
            # Not through `chat.completions.create`, which walks the types of every field in a fifth of a call's time.
            response = await self._client.post(
                "/chat/completions",
                body={"model": model, "messages": messages, **fields},
                cast_to=httpx2.Response,
            )
        except openai.APIStatusError as error:
            raise self._status_fault(error) from None
        except openai.APIConnectionError as error:
            raise no_answer(error, self._secret) from None
        body = json_object(response.content, response.headers.get("content-type", ""))
        if "choices" not in body and isinstance(problem := body.get("error"), Mapping):
            code = count_of(member(problem, "code")) or 500
            message = self._secret.redact(text_of(member(problem, "message")))
            raise status_fault(code, message, response.headers)
        return body, response.headers.get("x-request-id", "")

    def _status_fault(self, error: APIStatusError) -> Exception:
        code, param = text_of(error.code), text_of(error.param)
        fault = status_fault(error.status_code, self._secret.redact(error.message), error.response.headers, code)
        if error.status_code not in (400, 422):
            return fault
        if code == "content_filter":
            fault.kind = "content_filter"
        return _Refused(fault, param)


class _Refused(Exception):
    """A request that the server calls wrong; `param` is the field that it names, if any."""

    def __init__(self, fault: ProviderFault, param: str) -> None:
        super().__init__(str(fault))
        self.fault, self.param = fault, param


def _client(entry: ModelEntry, secret: Secret, timeout_s: float) -> AsyncOpenAI:
    """One client per model: no retries of its own, one connection per slot, and no address from the environment."""
    from openai import AsyncOpenAI, DefaultAioHttpClient

    limits, timeout, trusted = http_settings(entry, timeout_s)
    return AsyncOpenAI(
        api_key=secret.value,
        base_url=entry.base_url or OFFICIAL_URL,
        max_retries=0,
        timeout=timeout,
        http_client=DefaultAioHttpClient(limits=limits, timeout=timeout, verify=trusted),
    )


def _wire_message(message: Message) -> dict[str, str]:
    """A message as the protocol has it. A tool's result is told as the user's: the protocol ties the role `tool` to a
    call that the model made through it, and there was none."""
    role = "user" if message.role == "tool" else message.role
    return {"role": role, "content": wire_text(message.content)}


def _first_choice(body: dict[str, Json]) -> Json:
    choices = items_of(body.get("choices"))
    if not choices or not isinstance(choices[0], Mapping):
        raise malformed("an answer without choices")
    return choices[0]


def _text_and_status(choice: Json) -> tuple[str, Status]:
    message = member(choice, "message")
    refusal = text_of(member(message, "refusal"))
    status = _FINISHED.get(text_of(member(choice, "finish_reason")), Status.OK)
    if refusal:
        return refusal, Status.REFUSAL
    if message is None and status is Status.OK:
        raise malformed("a choice without a message")
    return text_of(member(message, "content")), status


def _usage(body: dict[str, Json]) -> Usage:
    usage = body.get("usage")
    cached = count_of(member(member(usage, "prompt_tokens_details"), "cached_tokens"))
    return Usage(count_of(member(usage, "prompt_tokens")), cached, count_of(member(usage, "completion_tokens")))


def _chosen(options: tuple[str, ...], body: dict[str, Json], request_id: str) -> Chosen:
    choice, usage = _first_choice(body), _usage(body)
    request_id = request_id or text_of(member(body, "id"))
    _, status = _text_and_status(choice)
    if status in (Status.REFUSAL, Status.CONTENT_FILTER):
        return Chosen((), math.nan, status, Estimator.LOGPROBS, usage, request_id)
    positions = items_of(member(member(choice, "logprobs"), "content"))
    top = [_candidate(item) for item in items_of(member(positions[0], "top_logprobs"))] if positions else []
    if not top:
        return needs_draws(usage, request_id)
    reading = read_first_token(options, top)
    if not reading.decidable:
        return needs_draws(usage, request_id)
    return Chosen(reading.probabilities, reading.mass, reading.status, Estimator.LOGPROBS, usage, request_id)


def _candidate(item: Json) -> TokenLogprob:
    value = member(item, "logprob")
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    raw = bytes(code for code in items_of(member(item, "bytes")) if isinstance(code, int) and 0 <= code < 256)
    return TokenLogprob(text_of(member(item, "token")), number, raw)
