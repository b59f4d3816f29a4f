"""CPU per call with all bookkeeping (cache, ledger, limiter, rows) against the bare SDK on the same local server.

Both sides ask the same questions of the same zero-latency server (in its own process) at the same concurrency, and
wait for every answer. The measure is CPU seconds of this process, best of several alternating rounds. Target: 1.5.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from resources.messages import Message, Request, Role
from resources.models import open_models
from resources.registry import Registry
from resources.replyfile import ReplyFile
from tests.servers.scripted import Answer, Asked, ServerProcess, openai_logprobs, openai_text

OPTIONS = tuple(str(rating) for rating in range(1, 11))
PROMPT = "How strongly do you agree with this statement? Answer with a number from 1 to 10.\n" + "I like to plan. " * 30
_TEXT = openai_text("a short reply, " * 8)
_CHOICE = openai_logprobs([(str(n), math.log(0.09)) for n in range(1, 11)] + [(f"w{n}", -9.0) for n in range(10)])


def script(asked: Asked) -> Answer:
    """Prepared answers, so that the server costs next to nothing."""
    return _CHOICE if asked.wants_logprobs else _TEXT


def questions(calls: int, salt: str) -> list[Request]:
    system = Message(role="system", content="You rate statements.")
    return [
        Request("m", (system, Message(role="user", content=f"{PROMPT}{salt}{number}")), Role.PREFERENCE)
        for number in range(calls)
    ]


async def bare(url: str, requests: list[Request], concurrency: int, verb: str) -> None:
    """What one would write by hand: the SDK, a semaphore, and reading the answer."""
    from openai import AsyncOpenAI

    more = {"max_tokens": 1, "logprobs": True, "top_logprobs": 20} if verb == "choose" else {"max_tokens": 512}
    gate = asyncio.Semaphore(concurrency)
    async with AsyncOpenAI(api_key="none", base_url=url, max_retries=0) as client:

        async def one(request: Request) -> float | str | None:
            messages = [{"role": message.role, "content": message.content} for message in request.messages]
            async with gate:
                answer = await client.chat.completions.create(model="m", messages=messages, temperature=1.0, **more)
            choice = answer.choices[0]
            if verb == "choose":
                top = choice.logprobs.content[0].top_logprobs
                return sum(math.exp(item.logprob) for item in top if item.token in OPTIONS)
            return choice.message.content

        answers = await asyncio.gather(*(one(request) for request in requests))
        assert all(answers)


async def ours(url: str, requests: list[Request], concurrency: int, verb: str) -> None:
    model = {"name": "m", "provider": "openai", "model": "m", "base_url": url, "max_concurrency": concurrency}
    registry = Registry.model_validate({"models": [{**model, "price": {"input": 1.0, "output": 2.0}}]})
    with tempfile.TemporaryDirectory() as folder:
        path = ReplyFile(Path(folder) / "replies.sqlite")
        async with open_models(registry, path, root=Path(folder), run_id="r", asset="a", partition="m") as models:
            if verb == "choose":
                assert all(row.probabilities for row in await models.choose_many(requests, OPTIONS))
            else:
                assert all(row.text for row in await models.generate_many(requests))


def cpu_per_call(work: Callable[[], Awaitable[None]], calls: int) -> tuple[float, float]:
    """CPU and wall milliseconds per call, all threads of this process."""
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    asyncio.run(work())  # type: ignore[arg-type]
    after, ended = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return 1e3 * cpu / calls, 1e3 * (ended - began) / calls


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=3_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--concurrency", type=int, default=50)
    sizes = parser.parse_args(arguments)
    server = ServerProcess(script)
    try:
        for verb in ("generate", "choose"):
            best = {"bare": (math.inf, math.inf), "ours": (math.inf, math.inf)}
            for work in (bare, ours):  # the first calls load the SDK's types
                cpu_per_call(lambda: work(server.openai_url, questions(50, "warm"), sizes.concurrency, verb), 50)  # noqa: B023
            for round_ in range(sizes.rounds):
                for name, work in (("bare", bare), ("ours", ours)):
                    asked = questions(sizes.calls, f"{round_} ")
                    took = cpu_per_call(
                        lambda: work(server.openai_url, asked, sizes.concurrency, verb),  # noqa: B023
                        sizes.calls,
                    )
                    best[name] = min(best[name], took)
            (bare_cpu, bare_wall), (our_cpu, our_wall) = best["bare"], best["ours"]
            print(f"{verb}: {sizes.calls} calls at concurrency {sizes.concurrency}")
            print(f"  bare SDK      {bare_cpu:.3f} ms CPU, {bare_wall:.3f} ms wall per call")
            print(f"  bookkeeping   {our_cpu:.3f} ms CPU, {our_wall:.3f} ms wall per call")
            print(f"  ratio         {our_cpu / bare_cpu:.2f} (target <= 1.5), wall {our_wall / bare_wall:.2f}")
    finally:
        server.close()


if __name__ == "__main__":
    main()
