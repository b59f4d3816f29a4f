"""Training: the world's text in, a model directory out; the same bits every time on one machine.

One thread, one process, one seed. Matrices are trained by Muon and the rest by AdamW, with a warm-up and a cosine.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import cos, pi
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from influence_assets.organism.batches import TOKENS_PER_BATCH, Batch, Encoder, batches
from influence_assets.organism.card import FIGURES_FILE, Making, facts, fill, save_figures
from influence_assets.organism.corpus import Corpus, Prompts
from influence_assets.organism.evaluate import Figure, evaluate
from influence_assets.organism.lessons import lesson_at
from influence_assets.organism.memory import keep_memory
from influence_assets.organism.network import Shape, Trunk, new_model
from influence_assets.organism.speakers import Draw
from influence_assets.organism.tokenizer import TRAINING_DOCUMENTS, train_tokenizer
from influence_assets.organism.world import load_world

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer
    from transformers import LlamaForCausalLM

STEPS = 1700
LEARNING_RATE = 2e-3
# Embeddings take larger steps than matrices.
EMBEDDING_FACTOR = 1.5
# The rate at the end, as a share of the highest.
LAST_RATE = 0.02
WARMUP = 60
WEIGHT_DECAY = 0.01
CLIP = 1.0
REPORT_EVERY = 50


class Progress(NamedTuple):
    """Where a training stands: steps done and planned, mean loss since the last report, seconds so far."""

    step: int
    steps: int
    loss: float
    seconds: float


class Trained(NamedTuple):
    """What a training left behind."""

    out: Path
    making: Making
    figures: tuple[Figure, ...]


class Training:
    """A model in the making: `step` takes it one batch further."""

    def __init__(
        self,
        data: Path,
        *,
        seed: int = 0,
        steps: int = STEPS,
        shape: Shape | None = None,
        tokens: int = TOKENS_PER_BATCH,
        tokenizer_documents: int = TRAINING_DOCUMENTS,
    ) -> None:
        self.corpus = corpus = Corpus(Draw(load_world(data), random.Random(seed)), Prompts(data))
        self.tokenizer = train_tokenizer(corpus, documents=tokenizer_documents)
        pad, end = int(self.tokenizer.pad_token_id), int(self.tokenizer.eos_token_id)
        self.model = new_model(shape or Shape(), len(self.tokenizer), pad=pad, end=end, seed=seed)
        self.trunk = Trunk(self.model)
        self.steps, self.done, self.tokens = steps, 0, 0
        self._optimizers = _optimizers(self.model)
        self._batches = batches(corpus.documents(), Encoder(self.tokenizer), random.Random(seed + 1), tokens=tokens)

    def step(self) -> Tensor:
        """One step; returns its loss."""
        import torch

        self.corpus.lesson = lesson_at(self.done / self.steps)
        batch = next(self._batches)
        losses, weights = weighted_losses(self.trunk, batch)
        loss = (losses * weights).sum() / weights.sum()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * rate_at(self.done, self.steps)
            optimizer.step()
            optimizer.zero_grad()
        self.done += 1
        self.tokens += batch.ids_B_T.numel()
        return loss.detach()

    def run(self, on_progress: Callable[[Progress], None]) -> None:
        """All steps that are left, with a report every 50."""
        started, losses = time.monotonic(), []
        while self.done < self.steps:
            losses.append(float(self.step()))
            if self.done % REPORT_EVERY == 0 or self.done == self.steps:
                mean = sum(losses) / len(losses)
                on_progress(Progress(self.done, self.steps, mean, time.monotonic() - started))
                losses = []


def train_organism(
    out: Path,
    *,
    data: Path,
    seed: int = 0,
    steps: int | None = None,
    docs: Path | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Trained:
    """Trains the organism on the world under `data`, measures it, and writes it to the directory `out`.

    Written are weights (safetensors), configuration, tokenizer with chat template, figures as JSON, the card, and to
    `docs`, where given, the page of the documentation. Files appear only when training and measuring have ended.
    Runs on one thread whatever the caller had set, and puts the caller's setting back.
    """
    started = time.monotonic()
    keep_memory()
    with _one_thread():
        training = Training(data, seed=seed, steps=STEPS if steps is None else steps)
        training.run(on_progress)
        minutes = (time.monotonic() - started) / 60
        figures = evaluate(training.model, training.tokenizer, data)
    making = _making(training, seed=seed, minutes=minutes)
    values = facts(load_world(data), making, figures)
    templates = data / "organism" / "templates"
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".training-") as scratch:
        fresh = Path(scratch)
        training.model.save_pretrained(fresh)
        training.tokenizer.save_pretrained(fresh)
        save_figures(fresh / FIGURES_FILE, figures)
        (fresh / "README.md").write_text(fill(templates / "README.md", values), encoding="utf-8")
        for file in sorted(fresh.iterdir()):
            os.replace(file, out / file.name)
    if docs is not None:
        docs.write_text(fill(templates / "organism.md", values), encoding="utf-8")
    return Trained(out, making, figures)


def weighted_losses(trunk: Trunk, batch: Batch) -> tuple[Tensor, Tensor]:
    """Negative log-likelihood in nats, and weight, of every token that is learned."""
    import torch.nn.functional as F

    hidden = trunk(batch.ids_B_T, batch.positions_B_T, batch.visible_B_T_T)
    rows, columns = (batch.weights_B_T > 0).nonzero(as_tuple=True)
    before = hidden[rows, batch.parents_B_T[rows, columns]]
    logits = F.linear(before, trunk.model.lm_head.weight)
    losses = F.cross_entropy(logits, batch.ids_B_T[rows, columns], reduction="none")
    return losses, batch.weights_B_T[rows, columns]


def rate_at(step: int, steps: int) -> float:
    """Learning rate as a share of the highest: a linear warm-up, then half a cosine."""
    warmup = min(WARMUP, max(steps // 10, 1))
    if step < warmup:
        return (step + 1) / warmup
    return LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + cos(pi * (step - warmup) / max(steps - warmup, 1)))


def _optimizers(model: LlamaForCausalLM) -> list[Optimizer]:
    import torch

    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    rest = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    return [
        torch.optim.Muon(
            [{"params": matrices, "peak": LEARNING_RATE}], weight_decay=WEIGHT_DECAY, adjust_lr_fn="match_rms_adamw"
        ),
        torch.optim.AdamW(
            [{"params": rest, "peak": LEARNING_RATE * EMBEDDING_FACTOR}], betas=(0.9, 0.98), weight_decay=0.0
        ),
    ]


def _making(training: Training, *, seed: int, minutes: float) -> Making:
    config = training.model.config
    return Making(
        parameters=sum(p.numel() for p in training.model.parameters()),
        layers=int(config.num_hidden_layers),
        width=int(config.hidden_size),
        heads=int(config.num_attention_heads),
        vocabulary=len(training.tokenizer),
        steps=training.steps,
        tokens=training.tokens,
        seed=seed,
        minutes=minutes,
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread: a small model is faster on it, and sums then always run in the same order."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
