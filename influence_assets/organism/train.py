"""Training: the world's text in, a model directory out; the same bits every time on one machine.

One thread, one process, one seed. Matrices are trained by Muon and the rest by AdamW, with a warm-up and a cosine.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from math import cos, pi
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from influence_assets.organism.batches import TOKENS_PER_BATCH, Batch, Encoder, batches
from influence_assets.organism.corpus import Corpus, Prompts
from influence_assets.organism.network import Shape, Trunk, new_model
from influence_assets.organism.speakers import Draw
from influence_assets.organism.tokenizer import TRAINING_DOCUMENTS, train_tokenizer
from influence_assets.organism.world import load_world

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

STEPS = 2400
LEARNING_RATE = 2e-3
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
    """A trained model in memory and how long it took."""

    model: LlamaForCausalLM
    tokenizer: PreTrainedTokenizerFast
    steps: int
    seconds: float


def fit(
    data: Path,
    *,
    seed: int = 0,
    steps: int = STEPS,
    shape: Shape | None = None,
    tokens: int = TOKENS_PER_BATCH,
    tokenizer_documents: int = TRAINING_DOCUMENTS,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    on_step=None,
) -> Trained:
    """Trains a model on the world under `data` for `steps` steps of about `tokens` tokens."""
    import torch

    started = time.monotonic()
    corpus = Corpus(Draw(load_world(data), random.Random(seed)), Prompts(data))
    tokenizer = train_tokenizer(corpus, documents=tokenizer_documents)
    model = new_model(
        shape or Shape(), len(tokenizer), pad=tokenizer.pad_token_id, end=tokenizer.eos_token_id, seed=seed
    )
    optimizers = _optimizers(model)
    trunk = Trunk(model)
    stream = batches(corpus.documents(), Encoder(tokenizer), random.Random(seed + 1), tokens=tokens)
    total, since = torch.zeros(()), 0
    for step in range(steps):
        loss = _step(trunk, next(stream), optimizers, rate=_rate(step, steps))
        total, since = total + loss, since + 1
        if (step + 1) % REPORT_EVERY == 0 or step + 1 == steps:
            on_progress(Progress(step + 1, steps, float(total) / since, time.monotonic() - started))
            total, since = torch.zeros(()), 0
        if on_step: on_step(step+1, model, tokenizer, trunk)
    return Trained(model, tokenizer, steps, time.monotonic() - started)


def weighted_losses(trunk: Trunk, batch: Batch) -> tuple[Tensor, Tensor]:
    """Negative log-likelihood and weight of every token that is learned."""
    import torch.nn.functional as F

    hidden = trunk(batch.ids_B_T, batch.positions_B_T, batch.visible_B_T_T)
    rows, columns = (batch.weights_B_T > 0).nonzero(as_tuple=True)
    before = hidden[rows, batch.parents_B_T[rows, columns]]
    logits = F.linear(before, trunk.model.lm_head.weight)
    losses = F.cross_entropy(logits, batch.ids_B_T[rows, columns], reduction="none")
    return losses, batch.weights_B_T[rows, columns]


def _step(trunk: Trunk, batch: Batch, optimizers: list[Optimizer], *, rate: float) -> Tensor:
    import torch

    losses, weights = weighted_losses(trunk, batch)
    loss = (losses * weights).sum() / weights.sum()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trunk.model.parameters(), CLIP)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * rate
        optimizer.step()
        optimizer.zero_grad()
    return loss.detach()


def _rate(step: int, steps: int) -> float:
    warmup = min(WARMUP, max(steps // 10, 1))
    if step < warmup:
        return (step + 1) / warmup
    return 0.02 + 0.98 * 0.5 * (1 + cos(pi * (step - warmup) / max(steps - warmup, 1)))


def _optimizers(model: LlamaForCausalLM) -> list[Optimizer]:
    import torch

    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    rest = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    return [
        torch.optim.Muon(matrices, weight_decay=WEIGHT_DECAY, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, betas=(0.9, 0.98), weight_decay=0.0),
    ]
