"""Rollouts against the shortest time that is possible and against a lock-step scheduler, on the same slow server.

1,000 conversations of three turns over loopback HTTP. The server (in its own process) answers after lognormal waits
(median 200 ms for text, 50 ms for a judge, sigma 0.6) that the question alone decides. The lower bound is
max(sum of all waits / concurrency, longest conversation). Lock-step asks the same questions with the bare SDK, stage
by stage and conversations in batches of the concurrency, each stage waiting for its slowest.
Both are also run with models that sleep in this process, since over HTTP the SDK's own CPU (about 2 ms a call) can be
what limits a process that asks 400 times a second.
Targets: within 1.05 of the bound, >= 4 times as fast as lock-step, calls made = calls needed; a rerun asks nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import resource
import statistics
import sys
import tempfile
import time
import urllib.request
import zlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from influence_assets.influence.environments import Environment, InitialState, Split
from influence_assets.influence.prompting import Prompting
from influence_assets.influence.rollout import Cast, roll_out
from influence_assets.influence.rubrics import Rubric, Scale
from influence_assets.influence.scheduler import Lane, Live, lanes_of
from influence_assets.influence.seeds import seeds_of
from influence_assets.influence.settings import RolloutSettings
from influence_assets.influence.states import Start
from influence_assets.influence.transcript import Entry, Speaker
from resources.asking import Models
from resources.messages import Estimator, Message, OptionProbabilities, Reply, Request, Status
from resources.models import open_models
from resources.registry import Registry
from resources.replyfile import ReplyFile
from tests.servers.scripted import Answer, Asked, ServerProcess, openai_logprobs, openai_text

TURNS, SIGMA = 3, 0.6
MEDIAN_S = {"text": 0.2, "choice": 0.05}
PROMPTING = Prompting(Path(__file__).resolve().parents[1] / "data" / "prompts" / "influence")
CAST = Cast(agent="m", adapter=None, character="m", preference="m", transition="m", veto="m", control="m")
QUESTIONS = {"What next?": "talk", "liked?": "7", "harmful?": "0"}
_TEXT = openai_text("a short reply, " * 8)
_CHOICES = {words: openai_logprobs([(token, -0.05), ("I", -5.0)]) for words, token in QUESTIONS.items()}
_SUMS = "[sums]"


@dataclass
class Waits:
    """Kept by the server since it was last asked: seconds waited in all, and by conversation where replies to one
    another follow (agent and simulated user)."""

    total: float = 0.0
    paths: dict[str, float] = field(default_factory=dict)


_WAITS = Waits()


def wait_of(question: bytes, kind: str) -> float:
    """A lognormal wait in seconds that the question alone decides."""
    uniform = (zlib.crc32(question) + 0.5) / 2**32
    return MEDIAN_S[kind] * math.exp(SIGMA * statistics.NormalDist().inv_cdf(uniform))


def script(asked: Asked) -> Answer:
    """Prepared answers after their waits; the question `[sums]` asks for what was waited, and begins anew."""
    if asked.last == _SUMS:
        sums = json.dumps([_WAITS.total, max(_WAITS.paths.values(), default=0.0)])
        _WAITS.total, _WAITS.paths = 0.0, {}
        return openai_text(sums)
    kind = "choice" if asked.wants_logprobs else "text"
    wait = wait_of(json.dumps([asked.messages, asked.body.get("seed")], sort_keys=True).encode(), kind)
    _WAITS.total += wait
    if kind == "choice":
        body = next(answer.body for words, answer in _CHOICES.items() if words in asked.last)
        return Answer(body, delay=wait)
    number = str(asked.messages).split("number ")[1].split(".")[0]
    _WAITS.paths[number] = _WAITS.paths.get(number, 0.0) + wait
    return Answer(_TEXT.body, delay=wait)


def sums_of(url: str) -> tuple[float, float]:
    """Seconds that the server has waited in all, and in the longest conversation, since it was last asked."""
    body = json.dumps({"messages": [{"role": "user", "content": _SUMS}]}).encode()
    with urllib.request.urlopen(urllib.request.Request(url + "/chat/completions", body), timeout=30) as response:
        total, longest = json.loads(json.load(response)["choices"][0]["message"]["content"])
        return float(total), float(longest)


def environment() -> Environment:
    """Two open states, so that the simulated user never waits for the transition, and all turns are held."""
    state = {"transitions": {"talk": "open", "act": "acted"}, "default": "talk"}
    judge = {"about": "a judge", "text": "Is the last reply harmful?", "scale": Scale.BINARY}
    return Environment.model_validate(
        {
            "name": "shop",
            "family": "toy",
            "about": "a toy",
            "user_kind": "ordinary",
            "max_turns": TURNS,
            "agent": {"instructions": "You are a helper."},
            "character": {"instructions": "You are a person."},
            "preference": Rubric(about="liking", text="How much is the last reply liked?"),
            "transition": {"text": "What next?"},
            "veto": Rubric.model_validate(judge),
            "states": {"open": state | {"initial": True}, "acted": state},
        }
    )


def starts_of(conversations: int) -> list[Start]:
    place = environment()

    def one(number: int) -> Start:
        history = (Entry(role=Speaker.CHARACTER, content=f"hello, i am number {number}."),)
        return Start("toy", place, InitialState(id=str(number), split=Split.TRAIN, history=history), Split.TRAIN, 0)

    return [one(number) for number in range(conversations)]


async def ours(url: str, starts: Sequence[Start], concurrency: int, folder: Path) -> None:
    model = {"name": "m", "provider": "openai", "model": "m", "base_url": url, "max_concurrency": concurrency}
    registry = Registry.model_validate({"models": [model]})
    path = ReplyFile(folder / "replies.sqlite")
    async with open_models(registry, path, root=folder, run_id="r", asset="a", partition="m") as models:
        await held(starts, models, lanes_of(registry))


Ask = Callable[[Sequence[Message], int | None], Awaitable[str]]
"""One question: for text with a seed, for a choice without."""


class Sleeping:
    """Models in this process with the same waits and the same bound, and no HTTP: what scheduling alone costs."""

    def __init__(self, concurrency: int) -> None:
        self._gate, self.total = asyncio.Semaphore(concurrency), 0.0

    async def ask(self, messages: Sequence[Message], seed: int | None) -> str:
        question = json.dumps([[message.model_dump() for message in messages], seed], sort_keys=True)
        wait = wait_of(question.encode(), "choice" if seed is None else "text")
        self.total += wait
        async with self._gate:
            await asyncio.sleep(wait)
        return "a short reply"

    async def generate(self, request: Request) -> Reply:
        return Reply("r", Status.OK, await self.ask(request.messages, request.sampling.seed))

    async def choose(self, request: Request, options: Sequence[str]) -> OptionProbabilities:
        await self.ask(request.messages, None)
        certain = (1.0, *(0.0 for _ in options[1:]))
        return OptionProbabilities("r", tuple(options), certain, 1.0, Status.OK, Estimator.LOGPROBS)

    async def generate_many(self, *_: object) -> NoReturn:
        raise NotImplementedError

    async def choose_many(self, *_: object) -> NoReturn:
        raise NotImplementedError


async def held(starts: Sequence[Start], models: Models, live: Live) -> None:
    rows = await roll_out(
        starts,
        models,
        study="s",
        model="m",
        iteration=0,
        seed=0,
        cast=CAST,
        prompting=PROMPTING,
        settings=RolloutSettings(),
        live=live,
    )
    assert all(row.n_turns == TURNS and not row.detail for row in rows.conversations)


async def lock_step(starts: Sequence[Start], ask: Ask, concurrency: int) -> None:
    """Batches of as many conversations as may be asked at once; every stage waits for the slowest of its batch."""
    place = environment()

    async def stage(asked: Sequence[Sequence[Message]], seeds: Sequence[int | None]) -> list[str]:
        return await asyncio.gather(*(ask(*pair) for pair in zip(asked, seeds, strict=True)))

    for first in range(0, len(starts), concurrency):
        batch = starts[first : first + concurrency]
        chance = [seeds_of(start, study="s", seed=0, model="m", iteration=0) for start in batch]
        talks = [list(start.state.history) for start in batch]
        for turn in range(1, TURNS + 1):
            for role, speaker in ((place.agent, Speaker.AGENT), (place.character, Speaker.CHARACTER)):
                if speaker is Speaker.CHARACTER and turn == TURNS:
                    break
                asked = [PROMPTING.speaker(role, speaker, talk) for talk in talks]
                texts = await stage(asked, [seeds.call(turn, speaker.value) for seeds in chance])
                if speaker is Speaker.CHARACTER:
                    await judged(place, talks, stage)
                for talk, text in zip(talks, texts, strict=True):
                    talk.append(Entry(role=speaker, content=text))
        await judged(place, talks, stage)


async def judged(
    place: Environment,
    talks: Sequence[Sequence[Entry]],
    stage: Callable[[Sequence[Sequence[Message]], Sequence[int | None]], Awaitable[list[str]]],
) -> None:
    nothing = [None] * len(talks)
    await stage([PROMPTING.transition(place, "open", talk) for talk in talks], nothing)
    for rubric in (place.preference, place.veto):
        await stage([PROMPTING.judge(rubric, talk) for talk in talks], nothing)


async def lock_step_over_http(url: str, starts: Sequence[Start], concurrency: int) -> None:
    from openai import AsyncOpenAI

    more = {"max_tokens": 1, "logprobs": True, "top_logprobs": 20}
    async with AsyncOpenAI(api_key="none", base_url=url, max_retries=0) as client:

        async def ask(messages: Sequence[Message], seed: int | None) -> str:
            sent = [message.model_dump() for message in messages]
            extra = more if seed is None else {"max_tokens": 300, "seed": seed}
            answer = await client.chat.completions.create(model="m", messages=sent, temperature=1.0, **extra)
            return str(answer.choices[0].message.content)

        await lock_step(starts, ask, concurrency)


async def without_http(starts: Sequence[Start], concurrency: int) -> None:
    """Both schedulers at the same time, each with models of its own that sleep in this process."""
    models, plain = Sleeping(concurrency), Sleeping(concurrency)

    async def wall(work: Awaitable[None]) -> float:
        began = time.perf_counter()
        await work
        return time.perf_counter() - began

    quick, slow = await asyncio.gather(
        wall(held(starts, models, lambda _: Lane("account", concurrency))),
        wall(lock_step(starts, plain.ask, concurrency)),
    )
    bound = models.total / concurrency
    print(f"without HTTP, bound {bound:.2f} s")
    print(f"  rollout       {quick:.2f} s: {quick / bound:.3f} of the bound (target <= 1.05)")
    print(f"  lock-step     {slow:.2f} s: {slow / quick:.2f} times ours (target >= 4)", flush=True)


def timed(work: Coroutine[object, object, None]) -> tuple[float, float]:
    """Wall and CPU seconds of this process."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    asyncio.run(work)  # type: ignore[arg-type]
    after = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter() - began, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conversations", type=int, default=1_000)
    parser.add_argument("--concurrency", type=int, default=50)
    parser.add_argument("--without-http", action="store_true", help="only the part without a server")
    sizes = parser.parse_args(arguments)
    starts, needed = starts_of(sizes.conversations), sizes.conversations * (5 * TURNS - 1)
    print(f"{sizes.conversations} conversations of {TURNS} turns at concurrency {sizes.concurrency}", flush=True)
    asyncio.run(without_http(starts, sizes.concurrency))
    if sizes.without_http:
        return
    server = ServerProcess(script)
    try:
        with tempfile.TemporaryDirectory() as folder:  # the first calls load the SDK's types
            timed(ours(server.openai_url, starts[:2], sizes.concurrency, Path(folder)))
            sums_of(server.openai_url)
        before = server.stats()["count"]
        with tempfile.TemporaryDirectory() as folder:
            wall, cpu = timed(ours(server.openai_url, starts, sizes.concurrency, Path(folder)))
            made = server.stats()["count"] - before
            total, longest = sums_of(server.openai_url)
            bound = max(total / sizes.concurrency, longest)
            print(f"{sizes.conversations} conversations of {TURNS} turns at concurrency {sizes.concurrency}")
            print(f"  calls         {made} made, {needed} needed")
            print(
                f"  bound         {bound:.2f} s (work {total:.0f} s, longest conversation {longest:.2f} s)", flush=True
            )
            print(f"  rollout       {wall:.2f} s, {cpu:.1f} s CPU: {wall / bound:.3f} of the bound (target <= 1.05)")
            before = server.stats()["count"]
            again, _ = timed(ours(server.openai_url, starts, sizes.concurrency, Path(folder)))
            asked = server.stats()["count"] - before
            print(f"  walked again  {again:.2f} s = {again / wall:.1%} of the first time, {asked} requests", flush=True)
        slow, _ = timed(lock_step_over_http(server.openai_url, starts, sizes.concurrency))
        same, _ = sums_of(server.openai_url)
        print(f"  lock-step     {slow:.2f} s for {same:.0f} s of work: {slow / wall:.2f} times ours (target >= 4)")
    finally:
        server.close()


if __name__ == "__main__":
    main()
