"""A loopback HTTP server that speaks the chat-completions and the messages protocol and answers as a script says.

A script is a function from `Asked` to `Answer`. `ScriptedServer` runs in a thread of the test and keeps what it was
asked; `ServerProcess` runs a module-level script in its own process, for load, and counts. The protocol handler is
plain asyncio, so that the server is never what a benchmark measures.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 429: "Too Many Requests", 500: "Server Error"}


@dataclass(frozen=True)
class Asked:
    """One request as it came over the wire. `number` counts from 0 over the server's life."""

    number: int
    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]

    @property
    def openai(self) -> bool:
        return self.path.endswith("/chat/completions")

    @property
    def messages(self) -> list[dict[str, Any]]:
        return list(self.body.get("messages", []))

    @property
    def last(self) -> str:
        """Content of the last message."""
        return str(self.messages[-1]["content"]) if self.messages else ""

    @property
    def wants_logprobs(self) -> bool:
        return bool(self.body.get("logprobs"))


@dataclass(frozen=True)
class Answer:
    """What goes back. `delay` and `drip` are seconds: before the first byte, and between single bytes of the body.

    `keep` bytes of the body are sent and then the connection is cut, though the header promised all of them.
    """

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    delay: float = 0.0
    drip: float = 0.0
    keep: int | None = None


Script = Callable[[Asked], Answer]


def as_json(value: object, **options: Any) -> Answer:
    return Answer(json.dumps(value).encode(), **options)


def error(status: int, message: str = "no", *, headers: Mapping[str, str] | None = None, **fields: str) -> Answer:
    """An error body that both SDKs read."""
    body = {"type": "error", "error": {"type": "scripted", "message": message, **fields}}
    return as_json(body, status=status, headers=headers or {})


def openai_text(text: str, *, finish: str | None = "stop", refusal: str | None = None, **options: Any) -> Answer:
    message = {"role": "assistant", "content": None if refusal else text, "refusal": refusal}
    choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
    return as_json(_completion(choice, len(text) // 4 + 1), **options)


def openai_logprobs(top: Sequence[tuple[str, float]], *, finish: str = "length", **options: Any) -> Answer:
    """One token of answer with its alternatives as (token, log-probability)."""
    items = [{"token": token, "logprob": logprob, "bytes": None} for token, logprob in top]
    first = {**items[0], "top_logprobs": items} if items else {"token": "", "logprob": 0.0, "top_logprobs": []}
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": items[0]["token"] if items else "", "refusal": None},
        "finish_reason": finish,
        "logprobs": {"content": [first], "refusal": None},
    }
    return as_json(_completion(choice, 1), **options)


def _completion(choice: Mapping[str, Any], tokens: int) -> dict[str, Any]:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": tokens,
        "total_tokens": 100 + tokens,
        "prompt_tokens_details": {"cached_tokens": 40},
    }
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "scripted",
        "choices": [choice],
        "usage": usage,
    }


def anthropic_text(text: str, *, stop: str = "end_turn", **options: Any) -> Answer:
    usage = {"input_tokens": 60, "output_tokens": 5, "cache_read_input_tokens": 40, "cache_creation_input_tokens": 0}
    body = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "scripted",
        "content": [{"type": "text", "text": text}] if text else [],
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": usage,
    }
    return as_json(body, **options)


def text(asked: Asked, words: str, **options: Any) -> Answer:
    """The same text in the protocol that was asked in."""
    return openai_text(words, **options) if asked.openai else anthropic_text(words, **options)


class _Connection(asyncio.Protocol):
    def __init__(self, server: _Core) -> None:
        self._server = server
        self._buffer = b""
        self._need: int | None = None
        self._head: tuple[str, dict[str, str]] = ("", {})
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._server.connections += 1

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._need is None:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            lines = self._buffer[:end].decode("latin-1").split("\r\n")
            headers = dict(line.lower().split(": ", 1)[:1] + line.split(": ", 1)[1:] for line in lines[1:])
            self._head = (lines[0].split(" ")[1], headers)
            self._need = int(headers.get("content-length", "0"))
            self._buffer = self._buffer[end + 4 :]
        if len(self._buffer) >= self._need:
            content, self._buffer, self._need = self._buffer[: self._need], self._buffer[self._need :], None
            assert self.transport is not None
            self._server.serve(self.transport, *self._head, content)


class _Core:
    """Counts, calls the script, writes the answer."""

    def __init__(self, script: Script, *, keep_calls: bool) -> None:
        self.script, self.calls, self._keep = script, list[Asked](), keep_calls
        self.count, self.connections, self.in_flight, self.most_in_flight = 0, 0, 0, 0
        self.statuses: Counter[int] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    def serve(self, transport: asyncio.Transport, path: str, headers: dict[str, str], content: bytes) -> None:
        if path == "/stats":
            _send(transport, as_json(self.stats()))
            return
        asked = Asked(self.count, path, headers, json.loads(content))
        self.count += 1
        if self._keep:
            self.calls.append(asked)
        answer = self.script(asked)
        self.statuses[answer.status if answer.keep is None else 0] += 1
        if answer.delay or answer.drip:
            task = asyncio.get_running_loop().create_task(self._later(transport, answer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            _send(transport, answer)

    async def _later(self, transport: asyncio.Transport, answer: Answer) -> None:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await asyncio.sleep(answer.delay)
        self.in_flight -= 1
        if not answer.drip:
            _send(transport, answer)
            return
        transport.write(_header(answer))
        for byte in answer.body:
            if transport.is_closing():
                return
            transport.write(bytes([byte]))
            await asyncio.sleep(answer.drip)

    def stats(self) -> dict[str, Any]:
        return {"count": self.count, "connections": self.connections, "most_in_flight": self.most_in_flight} | {
            f"status_{status}": count for status, count in self.statuses.items()
        }


def _header(answer: Answer) -> bytes:
    lines = [f"HTTP/1.1 {answer.status} {REASONS.get(answer.status, 'Status')}"]
    lines += [f"content-type: {answer.content_type}", f"content-length: {len(answer.body)}"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _send(transport: asyncio.Transport, answer: Answer) -> None:
    if transport.is_closing():
        return
    if answer.keep is None:
        transport.write(_header(answer) + answer.body)
    else:
        transport.write(_header(answer) + answer.body[: answer.keep])
        transport.close()


async def _listen(core: _Core, started: Callable[[int], None], stop: asyncio.Event, port: int = 0) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(core), "127.0.0.1", port, backlog=1024)
    started(server.sockets[0].getsockname()[1])
    await stop.wait()
    server.close()
    for task in core._tasks:
        task.cancel()


class _Served:
    port: int

    @property
    def url(self) -> str:
        """Base URL for the messages protocol; the chat-completions one has `/v1` behind it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def openai_url(self) -> str:
        return self.url + "/v1"


class ScriptedServer(_Served):
    """A server in a thread of this process; `calls` holds what it was asked, and `script` may be exchanged.

    The port is a free one unless it is named.
    """

    def __init__(self, script: Script, *, port: int = 0) -> None:
        self._core, self._wanted = _Core(script, keep_calls=True), port
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        await _listen(self._core, self._started, self._stop, self._wanted)

    def _started(self, port: int) -> None:
        self.port = port
        self._ready.set()

    @property
    def calls(self) -> list[Asked]:
        return self._core.calls

    @property
    def most_in_flight(self) -> int:
        return self._core.most_in_flight

    def use(self, script: Script) -> None:
        self._core.script = script

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)


class ServerProcess(_Served):
    """A server in its own process. `script` is a module-level function; `/stats` says what it has served."""

    def __init__(self, script: Script) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self._process = context.Process(target=_process, args=(script, theirs), daemon=True)
        self._process.start()
        assert ours.poll(30), "the server did not start"
        self.port = int(ours.recv())

    def stats(self) -> dict[str, Any]:
        import urllib.request

        with urllib.request.urlopen(self.url + "/stats", timeout=10) as response:
            return dict(json.load(response))

    def close(self) -> None:
        self._process.terminate()
        self._process.join(10)


def _process(script: Script, pipe: Connection) -> None:
    async def main() -> None:
        await _listen(_Core(script, keep_calls=False), pipe.send, asyncio.Event())

    asyncio.run(main())
