"""Training on one GPU: LoRA by every method, and an SAE, of a model of a billion parameters and of the organism.

The model is the one of `gpu_local.py`: random weights of Llama 3.2 1B's shape in bfloat16. Parts:

- lora: expert iteration, KTO and DPO by `methods.train`, against a bare loop of forward and backward passes over the
  same rows with the same adapter;
- agreement: the organism trained on the CPU and on the card, in float32 and in bfloat16: how far losses and adapters
  are apart, against the same between two seeds;
- sae: a topk SAE of a middle layer, its steps and the reading of activations timed apart.
"""

from __future__ import annotations

import argparse
import gc
import random
import statistics
import sys
import tempfile
import time
from contextlib import redirect_stdout
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.gpu_local import DEVICE, SHAPE, card, entry_of, seconds_of
from benchmarks.prefix_sharing import random_llama
from influence_assets.influence.training.trainer import Example, Method, TrainingJob, TrainingSettings
from resources.messages import Message

if TYPE_CHECKING:
    from influence_assets.influence.training.methods import Trained

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("agreement", "lora", "sae")
LORA = {"rank": 16, "alpha": 32}


def examples(method: Method, n: int, prompt: int, reply: int) -> tuple[Example, ...]:
    """Conversations of random words; "yes yes .." is the desirable reply and "no no .." the other. Every other example
    of KTO is undesirable; DPO takes both replies to each prompt, expert iteration the desirable one."""
    draw = random.Random(0)
    sides = {Method.EXPERT_ITERATION: [(True,)], Method.KTO: [(True,), (False,)], Method.DPO: [(True, False)]}[method]
    made = []
    for number in range(n):
        question = " ".join(f"w{draw.randrange(8000)}" for _ in range(draw.randint(prompt // 2, prompt * 3 // 2)))
        for good in sides[number % len(sides)]:
            answer = " ".join(["yes" if good else "no"] * reply)
            messages = (Message(role="user", content=question), Message(role="assistant", content=answer))
            made.append(Example(f"{number}-{answer[:1]}", messages, (1,), desirable=good, pair=str(number)))
    return tuple(made)


def policy_tokens(columns: dict[str, Any]) -> int:
    """Tokens of the sequences that the policy is trained on: DPO reads each prompt twice."""
    replies = [name for name in ("input_ids", "completion_ids", "chosen_ids", "rejected_ids") if name in columns]
    return sum(len(row) for name in replies for row in columns[name]) + sum(
        len(row) * len(replies) for row in columns.get("prompt_ids", [])
    )


def job_of(directory: Path, method: Method, given: tuple[Example, ...], **settings: Any) -> TrainingJob:
    values = {"method": method, "lora": LORA, **settings}
    return TrainingJob(str(directory), None, given, TrainingSettings.model_validate(values), 0, directory / "job")


def trained(job: TrainingJob) -> tuple[Trained, list[float], Path]:
    """What training gave, the times at which its steps ended in seconds from its start, and the adapter."""
    from influence_assets.influence.training.methods import train

    folder = Path(tempfile.mkdtemp(dir=job.out.parent))
    ends: list[float] = []
    start = time.perf_counter()

    def note(_step: int, _steps: int) -> None:
        ends.append(time.perf_counter() - start)

    with redirect_stdout(sys.stderr):  # trl prints every step
        done = train(job, folder / "work", folder / "adapter", note)
    return done, ends, folder / "adapter"


def lora(directory: Path, n: int, prompt: int, reply: int) -> None:
    import torch

    ways: list[tuple[Method, bool, dict[str, Any]]] = [(method, False, {}) for method in Method]
    ways.insert(1, (Method.EXPERT_ITERATION, True, {}))
    ways.insert(2, (Method.EXPERT_ITERATION, False, {"gradient_checkpointing": True}))
    for method, cudnn, settings in ways:
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        torch.backends.cuda.enable_cudnn_sdp(cudnn)
        done, ends, _ = trained(job_of(directory, method, examples(method, n, prompt, reply), **settings))
        steps = [b - a for a, b in pairwise(ends[2:])]
        tokens, losses = policy_tokens(done.rows.columns), [point.loss for point in done.loss_curve]
        print(
            f"{method} {' '.join(settings)}{' with cuDNN' if cudnn else ''}: {done.rows.n_rows} rows, {tokens} tokens "
            f"in {len(ends)} steps; the first after {ends[0]:.1f} s, then {statistics.median(steps) * 1e3:.0f} ms each "
            f"({min(steps) * 1e3:.0f} to {max(steps) * 1e3:.0f}), {tokens / len(ends) / statistics.mean(steps):.0f} "
            f"tokens/s, {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB; loss {losses[0]:.3f} to {losses[-1]:.3f}",
            flush=True,
        )
        if method is Method.EXPERT_ITERATION and not settings:
            print(f"  a bare loop: {bare(directory, done.rows.columns) * 1e3:.0f} ms a step", flush=True)


def bare(directory: Path, columns: Any) -> float:
    """Seconds of a step of the same rows without trl: padded batches of 8, loss of the labels, backward, AdamW."""
    import torch
    from peft import LoraConfig, get_peft_model
    from torch.nn.utils.rnn import pad_sequence
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.bfloat16).to(DEVICE)
    config = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(model, config).train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    rows = [torch.tensor(row) for row in columns["input_ids"]]
    labels = [torch.tensor(row) for row in columns["labels"]]

    def step(at: int) -> None:
        ids_B_S = pad_sequence(rows[at : at + 8], batch_first=True, padding_value=2).to(DEVICE)
        labels_B_S = pad_sequence(labels[at : at + 8], batch_first=True, padding_value=-100).to(DEVICE)
        lengths_B = torch.tensor([len(row) for row in rows[at : at + 8]], device=DEVICE)
        real_B_S = torch.arange(ids_B_S.shape[1], device=DEVICE) < lengths_B[:, None]
        with torch.autocast("cuda", torch.bfloat16):
            loss = model(input_ids=ids_B_S, attention_mask=real_B_S.long(), labels=labels_B_S).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    step(0)
    return statistics.median(seconds_of(lambda at=at: step(at)) for at in range(8, len(rows) - 7, 8))  # type: ignore[misc]


def organism_examples(n: int) -> tuple[Example, ...]:
    """Replies of KTO to the organism's neutral texts, every other undesirable."""
    from influence_assets.features.neutral import load_neutral

    texts = load_neutral(ROOT / "data", "organism")
    return tuple(
        Example(
            str(number),
            (
                Message(role="user", content=texts[number % len(texts)]),
                Message(role="assistant", content=texts[(7 * number + 1) % len(texts)]),
            ),
            (1,),
            desirable=number % 2 == 0,
        )
        for number in range(n)
    )


def agreement(folder: Path) -> None:
    """Losses and adapters of the same job of KTO elsewhere; and of another seed, as a measure."""
    import numpy as np
    from safetensors.numpy import load_file

    job = replace(
        job_of(ROOT / "data" / "organism", Method.KTO, organism_examples(64), epochs=4, learning_rate=1e-3),
        out=folder / "job",
    )
    ways = {"the CPU": ("cpu", "float32", 0), "a CPU with another seed": ("cpu", "float32", 1)}
    ways |= {f"the GPU in {dtype}": ("cuda", dtype, 0) for dtype in ("float32", "bfloat16")}
    found = {}
    for name, (device, dtype, seed) in ways.items():
        settings = job.settings.model_copy(update={"device": device, "dtype": dtype})
        done, _, adapter = trained(replace(job, settings=settings, seed=seed))
        weights = load_file(adapter / "adapter_model.safetensors")
        flat = np.concatenate([weights[key].astype(np.float64).ravel() for key in sorted(weights)])
        found[name] = (np.array([point.loss for point in done.loss_curve]), flat)
    losses, weights = found["the CPU"]
    print(
        f"agreement of training: {len(losses)} steps of KTO of the organism, loss {losses[0]:.4f} to {losses[-1]:.4f}"
    )
    for name, (other, flat) in list(found.items())[1:]:
        apart = np.abs(other - losses)
        far = np.linalg.norm(flat - weights) / np.linalg.norm(weights)
        print(
            f"  {name} against the CPU: losses differ by {np.median(apart):.1e} (median), {apart.max():.1e} at most; "
            f"adapters by {far:.1e} of their length",
            flush=True,
        )


def sae(directory: Path, tokens: int) -> None:
    import torch

    from influence_assets.features.sae_activations import chat_activations
    from influence_assets.features.sae_settings import sae_settings
    from influence_assets.features.sae_text import chat_tokens
    from influence_assets.features.sae_training import SaeJob, train_sae
    from resources.local.loading import load

    model = load(directory, entry_of(directory)).model
    draw = random.Random(0)
    chats = chat_tokens([[draw.randrange(8, 8000) for _ in range(draw.randint(100, 500))] for _ in range(800)], 1024)
    given = {"layer": 8, "width": 16_384, "k": 64, "tokens": tokens, "batch_size": 4096, "buffer_mb": 4096}
    settings = sae_settings({**given, "learning_rate": 3e-4})
    read = seconds_of(lambda: chat_activations(model, 8, chats))
    read = seconds_of(lambda: chat_activations(model, 8, chats))
    torch.cuda.reset_peak_memory_stats()
    ends: list[float] = []
    with tempfile.TemporaryDirectory(dir=directory) as name:
        job = SaeJob("m", "", chats, settings, Path(name))
        start = time.perf_counter()
        done = train_sae(model, job, lambda _done, _steps: ends.append(time.perf_counter() - start))
        whole = time.perf_counter() - start
    first, last = done.log.losses[0], done.log.losses[-1]
    rate = settings.batch_size * (len(ends) - 1) / (ends[-1] - ends[0])
    print(
        f"SAE of layer 8, width {settings.width}, k 64, batches of {settings.batch_size}: activations "
        f"{chats.n_tokens / read:.0f} tokens/s; steps {rate:.0f} tokens/s; {len(ends)} steps in {whole:.1f} s with all "
        f"else, {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB; "
        f"unexplained {first.unexplained:.3f} to {last.unexplained:.3f}"
    )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=f"of {', '.join(PARTS)}; all without any")
    parser.add_argument("--examples", type=int, default=256)
    parser.add_argument("--prompt", type=int, default=300, help="words of a prompt, half to one and a half times")
    parser.add_argument("--reply", type=int, default=60, help="words of a reply")
    parser.add_argument("--tokens", type=int, default=2_000_000, help="tokens that the SAE is trained on")
    options = parser.parse_args(arguments)

    import torch

    if not torch.cuda.is_available():
        sys.exit("no GPU here")
    card()
    with tempfile.TemporaryDirectory() as name:
        if "agreement" in options.parts:
            agreement(Path(name))
        directory = Path(name) / "model"
        if {"lora", "sae"} & set(options.parts):
            parameters = random_llama(directory, device=DEVICE, dtype="bfloat16", **SHAPE)
            print(f"{parameters / 1e9:.2f} G random weights, bfloat16", flush=True)
        if "lora" in options.parts:
            lora(directory, options.examples, options.prompt, options.reply)
        if "sae" in options.parts:
            sae(directory, options.tokens)


if __name__ == "__main__":
    main()
