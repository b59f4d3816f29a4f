"""Replies of a local model with a push on its residual stream against the same replies without, on one thread.

The organism and a random Llama answer conversations through `LocalProvider.generate`, rounds of both ways in turn. The
push is one direction of a middle layer at every position, so weak that every sampled token stays the same: what differs
is the work alone. Times are CPU seconds of this process; what counts is the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.local_generation import conversations
from benchmarks.prefix_sharing import write_model
from influence_assets.features.neutral import load_neutral
from resources.direction_files import Direction, Origin, Sign, write_direction
from resources.local.provider import LocalProvider
from resources.messages import Message, Request, Role, Sampling
from resources.registry import ModelEntry, ProviderName
from resources.steering import Push

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "data"
WEAK = 1e-9
"""A coefficient that is not 0, for which nothing would be done, and that moves no token."""


def neutral_conversations(n: int, tokens: int) -> list[Request]:
    """The organism's neutral texts, as often as it takes."""
    texts = load_neutral(DATA, "organism")
    return [
        Request(
            "m",
            (Message(role="user", content=texts[number % len(texts)]),),
            Role.AGENT,
            Sampling(max_tokens=tokens, seed=number),
        )
        for number in range(n)
    ]


def written_push(folder: Path, layer: int, width: int) -> Push:
    vector_D = np.random.default_rng(0).standard_normal(width)
    origin = Origin(
        model="m",
        iteration=0,
        layer=layer,
        hook="",
        factor="f",
        category="c",
        method="random",
        index=0,
        sae="",
        sign=Sign.NONE,
        norm=1.0,
        scale=1.0,
    )
    path = write_direction(Direction(origin, vector_D / np.linalg.norm(vector_D)), folder)
    return Push(str(path.relative_to(folder)), WEAK)


def measure(provider: LocalProvider, plain: Sequence[Request], push: Push, rounds: int) -> None:
    ways = {"unsteered": list(plain), "steered": [replace(request, steering=(push,)) for request in plain]}

    async def answer(requests: Sequence[Request]) -> tuple[float, list[str]]:
        start = time.process_time()
        replies = await asyncio.gather(*(provider.generate(request) for request in requests))
        return time.process_time() - start, [reply.text for reply in replies]

    async def alternate() -> dict[str, list[float]]:
        first = {name: (await answer(requests))[1] for name, requests in ways.items()}
        assert first["steered"] == first["unsteered"], "the push is to move no token"
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(rounds):
            for name in list(ways)[:: 1 if number % 2 else -1]:
                seconds[name].append((await answer(ways[name]))[0])
        return seconds

    seconds = asyncio.run(alternate())
    ratios = [own / plain for own, plain in zip(seconds["steered"], seconds["unsteered"], strict=True)]
    print(f"  {len(plain)} conversations, {rounds} rounds")
    for name in ways:
        print(f"  {name:10} {statistics.median(seconds[name]):7.2f} s")
    print(f"  {statistics.median(ratios):.2f}x (target 1.10), {min(ratios):.2f} to {max(ratios):.2f}")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conversations", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--median", type=int, default=24, help="median tokens of a reply of the random model")
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--layers", type=int, default=8)
    options = parser.parse_args(arguments)

    import torch
    from transformers import AutoConfig

    torch.set_num_threads(1)
    organism = str(DATA / "organism")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        entry = ModelEntry(name="m", provider=ProviderName.LOCAL, model=organism, dtype="float64", device="cpu")
        print("the organism, float64")
        push = written_push(folder, 1, int(AutoConfig.from_pretrained(organism).hidden_size))
        measure(LocalProvider(entry, folder), neutral_conversations(options.conversations, 32), push, options.rounds)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parameters = write_model(folder, width=options.width, layers=options.layers)
        entry = ModelEntry(name="m", provider=ProviderName.LOCAL, model=name, dtype="float32", device="cpu")
        print(f"{parameters / 1e6:.1f} M random weights, float32")
        push = written_push(folder, options.layers // 2, options.width)
        requests = conversations(options.conversations, options.median)
        measure(LocalProvider(entry, folder), requests, push, options.rounds)


if __name__ == "__main__":
    main()
