"""Questions go to a server in an order in which its prefix cache finds what they share."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from pathlib import Path

from resources.messages import Message, Request, Role
from resources.models import Settings
from tests.servers.asking import layer, registry
from tests.servers.prefix_cache import PrefixCache
from tests.servers.scripted import Answer, Asked, Script, ScriptedServer, openai_text

Start = Callable[[Script], ScriptedServer]

OPTIONS = ("yes", "no")
PERSONAS, STATEMENTS = 20, 15
ROOM = 40
"""Blocks that the cache holds: about a fifth of what the prefixes of all personas need together."""


def design() -> list[Request]:
    """Every persona answers every statement: a persona's prefix of some 150 tokens, then a short question."""
    words = random.Random(0)
    vocabulary = ["plan", "sort", "paint", "avoid", "teach", "letters", "maps", "rooms", "always", "never", "quietly"]
    personas = [" ".join(words.choices(vocabulary, k=150)) for _ in range(PERSONAS)]
    statements = [" ".join(words.choices(vocabulary, k=8)) for _ in range(STATEMENTS)]
    return [
        Request(
            "gpt",
            (
                Message(role="system", content=f"You are this persona: {persona}"),
                Message(role="user", content=f"Do you agree: {statement}? Answer yes or no."),
            ),
            Role.AGENT,
        )
        for persona in personas
        for statement in statements
    ]


def share(start: Start, folder: Path, requests: Sequence[Request], *, concurrency: int, together: bool) -> float:
    """Share of prompt tokens that the server's cache had; `together` hands all questions over at once."""
    cache = PrefixCache(ROOM)
    server = start(cache)

    async def main() -> None:
        # With the patience that users have: each question is counted, and none may be tried again on a busy machine.
        async with layer(registry(server.url, max_concurrency=concurrency), folder, settings=Settings()) as models:
            if together:
                replies = await models.choose_many(requests, OPTIONS)
            else:
                replies = await asyncio.gather(*(models.choose(request, OPTIONS) for request in requests))
            assert [reply.probabilities[0] > 0.5 for reply in replies] == [True] * len(requests)

    folder.mkdir()
    asyncio.run(main())
    assert len(server.calls) == len(requests)
    return cache.share


def test_shared_prefixes_are_found_in_whatever_order_questions_come(scripted_server: Start, tmp_path: Path) -> None:
    requests = design()
    shuffled = random.Random(1).sample(requests, len(requests))
    as_they_come = share(scripted_server, tmp_path / "shuffled", shuffled, concurrency=8, together=False)
    found = {
        at_once: share(scripted_server, tmp_path / f"{at_once}", shuffled, concurrency=at_once, together=True)
        for at_once in (1, 8, 64)
    }
    print(f"share of prompt tokens found: {as_they_come:.3f} as they come, in our order by concurrency {found}")
    assert as_they_come < 0.2
    assert min(found.values()) > 0.75


def test_answers_come_back_in_the_order_of_the_questions(scripted_server: Start, tmp_path: Path) -> None:
    def echo(asked: Asked) -> Answer:
        return openai_text(asked.last)

    server = scripted_server(echo)
    texts = random.Random(2).sample([f"question {n:03d}" for n in range(200)], 200)
    requests = [Request("gpt", (Message(role="user", content=text),), Role.AGENT) for text in texts]

    async def main() -> list[str]:
        async with layer(registry(server.url, max_concurrency=1), tmp_path) as models:
            return [reply.text for reply in await models.generate_many(requests)]

    assert asyncio.run(main()) == texts
    assert [call.last for call in server.calls] == sorted(texts)
