"""A steerability matrix on a local model: prefix-shared scoring against one `generate` an entry and padded batches.

A random Llama of about 30 M parameters scores personas x statements. Each persona is a system message of about 200
tokens, each statement a question of about 20 tokens. Three ways, one thread each, in one process:

- shared: `LocalProvider.choose` for all entries at once, tokenisation, queueing and reading of answers included;
- generate: `model.generate` of an 8-token answer, one entry at a time;
- padded: plain left-padded forward passes of 32 entries, logits of the last position only.

The last two are timed on a sample of entries, spread evenly, and extrapolated to all. What counts are the ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from pathlib import Path

from resources.local.provider import LocalProvider
from resources.messages import Message, Request, Role
from resources.registry import ModelEntry, ProviderName

TEMPLATE = (
    "{% for m in messages %}<|s|> {{ m['role'] }} {{ m['content'] }} <|e|> {% endfor %}"
    "{% if add_generation_prompt %}<|s|> assistant {% endif %}"
)


def write_model(directory: Path, *, vocabulary: int = 8192, width: int = 512, layers: int = 8) -> int:
    """A random Llama in float32 and a word-level tokenizer; the number of parameters."""
    return random_llama(
        directory,
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=width * 11 // 4,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        num_key_value_heads=width // 64,
    )


def random_llama(directory: Path, *, device: str = "cpu", dtype: str = "float32", **shape: int) -> int:
    """The same of any `shape`, by transformers' names, made on any device."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    fixed = ["<unk>", "<|s|>", "<|e|>", "system", "user", "assistant", "yes", "no"]
    words = fixed + [f"w{i}" for i in range(shape["vocab_size"] - len(fixed))]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", eos_token="<|e|>")
    fast.chat_template = TEMPLATE
    fast.save_pretrained(directory)
    torch.manual_seed(0)
    with torch.device(device):
        model = LlamaForCausalLM(LlamaConfig(tie_word_embeddings=True, eos_token_id=2, **shape))
    model.to(getattr(torch, dtype)).save_pretrained(directory)
    return int(model.num_parameters())


def requests(personas: int, statements: int, prefix: int, suffix: int) -> list[Request]:
    """Persona by persona, every statement; statements differ in length by half and often start alike."""
    rng = random.Random(0)

    def words(n: int) -> str:
        return " ".join(f"w{rng.randrange(8000)}" for _ in range(n))

    starts = [words(3) for _ in range(20)]
    asked = [
        f"{rng.choice(starts)} {words(rng.randint(suffix // 2, suffix + suffix // 2) - 3)}" for _ in range(statements)
    ]
    systems = [Message(role="system", content=words(prefix)) for _ in range(personas)]
    return [
        Request("m", (system, Message(role="user", content=text)), Role.AGENT) for system in systems for text in asked
    ]


def seconds_shared(provider: LocalProvider, entries: list[Request]) -> float:
    """All entries at once through the provider, after one entry that loads the model."""

    async def ask() -> float:
        await provider.choose(Request("m", (Message(role="user", content="w1"),), Role.AGENT), ("yes", "no"))
        start = time.perf_counter()
        await asyncio.gather(*(provider.choose(entry, ("yes", "no")) for entry in entries))
        return time.perf_counter() - start

    return asyncio.run(ask())


def seconds_plain(
    directory: Path, entries: list[Request], sample: int, device: str = "cpu", dtype: str = "float32"
) -> tuple[float, float]:
    """(generate, padded) for all entries, extrapolated from `sample` of them."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(directory, padding_side="left", pad_token="<|e|>")
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=getattr(torch, dtype)).eval().to(device)
    chosen = [entries[i * len(entries) // sample] for i in range(sample)]
    chats = [[{"role": m.role, "content": m.content} for m in entry.messages] for entry in chosen]

    def batch(some: list[list[dict[str, str]]]) -> dict[str, torch.Tensor]:
        texts = [tokenizer.apply_chat_template(c, tokenize=False, add_generation_prompt=True) for c in some]
        return dict(tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False).to(device))

    with torch.inference_mode():
        model.generate(**batch(chats[:1]), max_new_tokens=8, min_new_tokens=8, do_sample=False, pad_token_id=2)
        start = time.perf_counter()
        for chat in chats[: max(8, sample // 4)]:
            model.generate(**batch([chat]), max_new_tokens=8, min_new_tokens=8, do_sample=False, pad_token_id=2)
        generate = (time.perf_counter() - start) / max(8, sample // 4)
        start = time.perf_counter()
        for first in range(0, sample, 32):
            inputs = batch(chats[first : first + 32])
            positions = (inputs["attention_mask"].cumsum(-1) - 1).clamp(min=0)
            model(**inputs, position_ids=positions, logits_to_keep=1).logits.float().log_softmax(-1)[:, 0, 0].tolist()
        padded = (time.perf_counter() - start) / sample
    return generate * len(entries), padded * len(entries)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--personas", type=int, default=20)
    parser.add_argument("--statements", type=int, default=560)
    parser.add_argument("--prefix", type=int, default=200, help="tokens of a persona")
    parser.add_argument("--suffix", type=int, default=20, help="mean tokens of a statement")
    parser.add_argument("--sample", type=int, default=96, help="entries timed the other two ways")
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--max-tokens", type=int, default=None, help="tokens of one forward pass")
    options = parser.parse_args(arguments)

    import torch

    torch.set_num_threads(1)
    entries = requests(options.personas, options.statements, options.prefix, options.suffix)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        parameters = write_model(directory, width=options.width, layers=options.layers)
        entry = ModelEntry(name="m", provider=ProviderName.LOCAL, model=name, dtype="float32", device="cpu")
        provider = LocalProvider(entry, directory, max_tokens=options.max_tokens)
        shared = seconds_shared(provider, entries)
        generate, padded = seconds_plain(directory, entries, min(options.sample, len(entries)))
    counters = provider.counters
    assert counters is not None
    print(f"model of {parameters / 1e6:.1f} M random weights, {options.personas} personas x {options.statements}")
    print(f"shared    {shared:9.1f} s   {shared / len(entries) * 1e3:.2f} ms an entry, {counters.forwards} passes")
    print(f"generate  {generate:9.1f} s   {generate / shared:.1f}x shared (target 12; extrapolated)")
    print(f"padded    {padded:9.1f} s   {padded / shared:.1f}x shared (target 7; extrapolated)")
    print(
        f"tokens: {counters.asked} asked, {counters.unique} unique, {counters.computed} computed with pads: "
        f"{counters.computed / counters.unique:.3f} x unique (target 1.15)"
    )


if __name__ == "__main__":
    main()
