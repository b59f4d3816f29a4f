"""Replies of mixed length from a local model: rows that join and leave against static lock-step batches.

A random Llama answers 64 conversations whose prompts have 30 to 150 tokens and whose replies have a lognormal number
of tokens (median 32, at most 200). Both ways decode the same number of rows at once, on one thread:

- joined: `LocalProvider.generate` for all conversations at once, tokenisation and queueing included;
- static: `model.generate` batch by batch in order of arrival, left-padded, each batch until its longest reply is done.

What counts is the ratio of wanted tokens per second.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from pathlib import Path

from benchmarks.prefix_sharing import write_model
from resources.local.provider import LocalProvider
from resources.messages import Message, Request, Role, Sampling
from resources.registry import ModelEntry, ProviderName


def conversations(n: int, median: int) -> list[Request]:
    rng = random.Random(1)
    made = []
    for number in range(n):
        prompt = " ".join(f"w{rng.randrange(8000)}" for _ in range(rng.randint(30, 150)))
        wanted = min(200, max(1, round(median * rng.lognormvariate(0.0, 0.8))))
        sampling = Sampling(max_tokens=wanted, seed=number)
        made.append(Request("m", (Message(role="user", content=prompt),), Role.AGENT, sampling))
    return made


def joined(provider: LocalProvider, requests: list[Request]) -> tuple[float, int]:
    """(seconds, tokens), after one short request that loads the model."""

    async def ask() -> tuple[float, int]:
        first = Request("m", (Message(role="user", content="w1"),), Role.AGENT, Sampling(max_tokens=2))
        await provider.generate(first)
        start = time.perf_counter()
        replies = await asyncio.gather(*(provider.generate(request) for request in requests))
        return time.perf_counter() - start, sum(reply.usage.output_tokens for reply in replies)

    return asyncio.run(ask())


def static(directory: Path, requests: list[Request], rows: int) -> tuple[float, int]:
    """(seconds, wanted tokens) of lock-step batches of `rows`."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(directory, padding_side="left", pad_token="<|e|>")
    model = AutoModelForCausalLM.from_pretrained(directory).eval()
    start = time.perf_counter()
    with torch.inference_mode():
        for first in range(0, len(requests), rows):
            batch = requests[first : first + rows]
            chats = [[{"role": m.role, "content": m.content} for m in request.messages] for request in batch]
            texts = [tokenizer.apply_chat_template(c, tokenize=False, add_generation_prompt=True) for c in chats]
            inputs = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
            longest = max(request.sampling.max_tokens for request in batch)
            model.generate(
                **inputs, do_sample=True, top_k=0, max_new_tokens=longest, min_new_tokens=longest, pad_token_id=2
            )
    return time.perf_counter() - start, sum(request.sampling.max_tokens for request in requests)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conversations", type=int, default=64)
    parser.add_argument("--rows", type=int, default=16, help="replies decoded at once, both ways")
    parser.add_argument("--median", type=int, default=32, help="median tokens of a reply")
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--layers", type=int, default=8)
    options = parser.parse_args(arguments)

    import torch

    torch.set_num_threads(1)
    requests = conversations(options.conversations, options.median)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        parameters = write_model(directory, width=options.width, layers=options.layers)
        entry = ModelEntry(name="m", provider=ProviderName.LOCAL, model=name, dtype="float32", device="cpu")
        joined_s, joined_tokens = joined(LocalProvider(entry, directory, max_rows=options.rows), requests)
        static_s, static_tokens = static(directory, requests, options.rows)
    print(
        f"model of {parameters / 1e6:.1f} M random weights, {len(requests)} conversations, {options.rows} rows at once"
    )
    print(f"joined  {joined_s:7.1f} s   {joined_tokens / joined_s:7.1f} tokens/s")
    ratio = (joined_tokens / joined_s) / (static_tokens / static_s)
    print(f"static  {static_s:7.1f} s   {static_tokens / static_s:7.1f} tokens/s   joined is {ratio:.2f}x (target 1.5)")


if __name__ == "__main__":
    main()
