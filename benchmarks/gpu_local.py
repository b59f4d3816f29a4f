"""A model of a billion parameters on one GPU: scoring, decoding, and what they are measured against.

A random Llama of the shape of Llama 3.2 1B in bfloat16 (16 layers, width 2048, vocabulary 128,256). Its answers mean
nothing; its times are those of the real one. Parts, each against something else on the same card:

- card: the rate of a copy and of a matrix product;
- agreement: probabilities with shared prefixes against each prompt alone, in bfloat16 and in float32;
- packing: `Engine.run` over personas x statements with rows and passes of several sizes;
- matrix: `LocalProvider.choose` over personas x statements, against padded batches and one `generate` an entry;
- decoding: `LocalProvider.generate` against transformers' continuous batching and what memory bandwidth allows;
- steering: replies with a push at every position against replies without.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.local_generation import conversations
from benchmarks.prefix_sharing import random_llama, requests, seconds_plain, seconds_shared
from benchmarks.steered_generation import written_push
from resources.local.provider import LocalProvider
from resources.messages import Message, Request, Role
from resources.registry import ModelEntry, ProviderName

SHAPE = {
    "vocab_size": 128_256,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
}
DEVICE = "cuda"
PARTS = ("card", "agreement", "packing", "matrix", "decoding", "steering")


def entry_of(directory: Path, dtype: str = "bfloat16") -> ModelEntry:
    return ModelEntry(name="m", provider=ProviderName.LOCAL, model=str(directory), dtype=dtype, device=DEVICE)


def provider_of(directory: Path, dtype: str = "bfloat16", **options: Any) -> LocalProvider:
    return LocalProvider(entry_of(directory, dtype), directory, **options)


def seconds_of(work: Callable[[], object]) -> float:
    """Wall seconds of some work, all of it done on the card."""
    import torch

    torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def card() -> float:
    """Bytes a second that a copy moves, read and written."""
    import torch

    a = torch.randn(2**30, dtype=torch.float32, device="cuda")
    b = torch.empty_like(a)
    m = torch.randn(8192, 8192, dtype=torch.bfloat16, device="cuda")
    seconds_of(lambda: (b.copy_(a), m @ m))
    copy = statistics.median(seconds_of(lambda: b.copy_(a)) for _ in range(5))
    product_s = statistics.median(seconds_of(lambda: m @ m) for _ in range(5))
    rate = 2 * a.nbytes / copy
    print(
        f"{torch.cuda.get_device_name(0)}, torch {torch.__version__}: copy {rate / 1e12:.2f} TB/s, "
        f"bfloat16 product {2 * 8192**3 / product_s / 1e12:.0f} TFLOP/s"
    )
    return rate


def agreement(directory: Path) -> None:
    """Largest and median difference of probabilities, prefixes shared against not."""
    entries = requests(4, 100, 200, 20)

    async def ask(provider: LocalProvider) -> list[float]:
        chosen = await asyncio.gather(*(provider.choose(entry, ("yes", "no")) for entry in entries))
        await provider.aclose()
        return [each.probabilities[0] for each in chosen]

    for dtype in ("bfloat16", "float32"):
        shared, alone = (
            asyncio.run(ask(provider_of(directory, dtype, share_prefixes=share))) for share in (True, False)
        )
        apart = sorted(abs(a - b) for a, b in zip(shared, alone, strict=True))
        print(f"agreement in {dtype}: median {apart[len(apart) // 2]:.1e}, largest {apart[-1]:.1e} of a probability")


def packing(directory: Path, entries: list[Request], sizes: list[tuple[int, int, int]]) -> None:
    """Seconds of the engine alone for (tokens of a pass, tokens of a row, cost of a pass in tokens)."""
    from resources.local.chat import Chat
    from resources.local.engine import Engine
    from resources.local.loading import load
    from resources.local.passes import Counters, Limits
    from resources.local.prefix import plan
    from resources.local.prefix_store import PrefixStore

    loaded = load(directory, entry_of(directory))
    engine, chat = Engine(loaded.model, Limits(kv_bytes=2**33, prefix_bytes=2**33)), Chat(loaded.tokenizer)
    sequences = [chat.tokens(entry.messages) for entry in entries]
    print(f"packing, engine alone, {len(sequences)} entries, prefixes shared: {engine.shares}")

    def run() -> None:
        for wave in engine.run(plan(sequences)):
            wave.logits_N_V.float().log_softmax(-1)[:, :2].cpu()

    for number, (tokens, row_tokens, pass_tokens) in enumerate([sizes[0], *sizes]):
        engine.limits = replace(engine.limits, tokens=tokens, row_tokens=row_tokens, pass_tokens=pass_tokens)
        engine.store, engine.counters = PrefixStore(engine.limits.prefix_bytes), Counters()
        seconds = seconds_of(run)
        counters = engine.counters
        if number:  # the first time is for warming up
            print(
                f"  {tokens:6} a pass, {row_tokens:5} a row, a pass costs {pass_tokens:5}: {seconds:6.2f} s, "
                f"{counters.forwards:4} passes, {counters.computed / counters.unique:.3f} x unique",
                flush=True,
            )


def matrix(directory: Path, personas: int, statements: int, sample: int) -> None:
    entries = requests(personas, statements, 200, 20)
    provider = provider_of(directory)
    start = time.process_time()
    shared = seconds_shared(provider, entries)
    cpu = time.process_time() - start
    counters = provider.counters
    assert counters is not None
    n = len(entries)
    print(
        f"matrix: {personas} personas x {statements} statements = {n} entries in {shared:.1f} s ({cpu:.0f} s of CPU), "
        f"{shared / n * 1e3:.3f} ms an entry, {counters.forwards} passes, "
        f"{counters.unique / shared:.0f} unique tokens/s of {counters.asked / shared:.0f} asked, "
        f"computed {counters.computed / counters.unique:.3f} x unique",
        flush=True,
    )
    asyncio.run(provider.aclose())
    if sample:
        generate, padded = seconds_plain(directory, entries, sample, device=DEVICE, dtype="bfloat16")
        print(f"  generate {generate:.0f} s, {generate / shared:.1f}x; padded {padded:.0f} s, {padded / shared:.1f}x")


def decoding(directory: Path, n: int, rows: int, median: int, bytes_a_second: float) -> None:
    """Tokens a second of both ways, and of a card that only reads weights, keys and values."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    asked = conversations(n, median)
    seconds, tokens = asyncio.run(decoded(provider_of(directory, max_rows=rows), asked))
    print(f"decoding: {n} conversations, {rows} rows at once, {tokens} tokens", flush=True)
    print(f"  ours               {seconds:6.2f} s  {tokens / seconds:8.0f} tokens/s", flush=True)

    torch.backends.cuda.enable_cudnn_sdp(True)  # as it is where nobody loads a model of ours
    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.bfloat16).to(DEVICE).eval()
    chats = [[{"role": m.role, "content": m.content} for m in request.messages] for request in asked]
    prompts = [
        tokenizer(tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True))["input_ids"]
        for chat in chats
    ]
    their_seconds, made = continuously(model, prompts, [request.sampling.max_tokens for request in asked])
    print(
        f"  transformers' own  {their_seconds:6.2f} s  {made / their_seconds:8.0f} tokens/s, "
        f"ours is {tokens / seconds / (made / their_seconds):.2f}x",
        flush=True,
    )
    heads = SHAPE["num_key_value_heads"] * SHAPE["hidden_size"] // SHAPE["num_attention_heads"]
    kv = 2 * 2 * heads * SHAPE["num_hidden_layers"]
    seen = sum(
        request.sampling.max_tokens * (len(prompt) + request.sampling.max_tokens / 2)
        for request, prompt in zip(asked, prompts, strict=True)
    )
    bound = (2 * model.num_parameters() * tokens / rows + kv * seen) / bytes_a_second
    print(f"  memory bandwidth   {bound:6.2f} s  {tokens / bound:8.0f} tokens/s with all {rows} rows in use")


async def decoded(provider: LocalProvider, asked: list[Request]) -> tuple[float, int]:
    """(seconds, tokens) of all replies, after some that load the model."""
    await asyncio.gather(*(provider.generate(request) for request in asked[:8]))
    start = time.perf_counter()
    replies = await asyncio.gather(*(provider.generate(request) for request in asked))
    seconds = time.perf_counter() - start
    await provider.aclose()
    return seconds, sum(reply.usage.output_tokens for reply in replies)


def continuously(model: Any, prompts: list[list[int]], wanted: list[int]) -> tuple[float, int]:
    """The same by transformers' continuous batching, after some that warm it up."""
    from transformers import GenerationConfig

    config = GenerationConfig(do_sample=True, top_k=0, temperature=1.0, eos_token_id=-1, pad_token_id=2)

    def made(n: int, manager: Any) -> int:
        for prompt, tokens in zip(prompts[:n], wanted[:n], strict=True):
            manager.add_request(prompt, max_new_tokens=tokens)
        lengths: list[int] = []
        while len(lengths) < n:
            result = manager.get_result(timeout=1)
            if result is None and not manager.is_running():
                raise RuntimeError("transformers' continuous batching ended before its requests")
            if result is not None and result.is_finished():
                lengths.append(len(result.generated_tokens))
        return sum(lengths)

    with model.continuous_batching_context_manager(generation_config=config, block=True, timeout=5) as manager:
        made(8, manager)
        start = time.perf_counter()
        tokens = made(len(prompts), manager)
        return time.perf_counter() - start, tokens


def steering(directory: Path, n: int) -> None:
    push = written_push(directory, SHAPE["num_hidden_layers"] // 2, SHAPE["hidden_size"])
    plain = conversations(n, 24)
    provider = provider_of(directory)

    async def times() -> list[float]:
        ratios = []
        for number in range(6):
            ways = {"plain": plain, "steered": [replace(request, steering=(push,)) for request in plain]}
            seconds = {}
            for name in list(ways)[:: 1 if number % 2 else -1]:
                start = time.perf_counter()
                await asyncio.gather(*(provider.generate(request) for request in ways[name]))
                seconds[name] = time.perf_counter() - start
            ratios.append(seconds["steered"] / seconds["plain"])
        return ratios[1:]

    ratios = asyncio.run(times())
    print(
        f"steering: {n} conversations, {statistics.median(ratios):.2f}x the time without "
        f"({min(ratios):.2f} to {max(ratios):.2f})"
    )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=f"of {', '.join(PARTS)}; all without any")
    parser.add_argument("--personas", type=int, default=100)
    parser.add_argument("--statements", type=int, default=5600)
    parser.add_argument("--sample", type=int, default=256, help="entries timed the other two ways")
    parser.add_argument("--conversations", type=int, default=1024)
    parser.add_argument("--rows", type=int, default=256, help="replies decoded at once")
    parser.add_argument("--median", type=int, default=64, help="median tokens of a reply")
    options = parser.parse_args(arguments)

    import torch

    if not torch.cuda.is_available():
        sys.exit("no GPU here")
    rate = card()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        parameters = random_llama(directory, device=DEVICE, dtype="bfloat16", **SHAPE)
        print(f"{parameters / 1e9:.2f} G random weights, bfloat16", flush=True)
        # the first use of everything, out of the figures
        asyncio.run(
            provider_of(directory).choose(
                Request("m", (Message(role="user", content="w1"),), Role.AGENT), ("yes", "no")
            )
        )
        if "agreement" in options.parts:
            agreement(directory)
        if "packing" in options.parts:
            sizes = [(16_384, 256, 1024), *product((16_384, 32_768, 65_536), (512, 1024, 2048), (1024,))]
            packing(directory, requests(20, 560, 200, 20), sizes)
        if "matrix" in options.parts:
            matrix(directory, options.personas, options.statements, options.sample)
        if "decoding" in options.parts:
            decoding(directory, options.conversations, options.rows, options.median, rate)
        if "steering" in options.parts:
            steering(directory, options.rows)


if __name__ == "__main__":
    main()
