"""Training: the world's text in, a model directory out; the same bits every time on one machine.

One thread, one process, one seed. Muon for the matrices, AdamW for the rest; deep supervision (supervision.py).
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from influence_assets.organism.batches import TOKENS_PER_BATCH, Batch, Encoder, batches
from influence_assets.organism.card import (
    FIGURES_FILE,
    MAKING_FILE,
    Making,
    facts,
    fill,
    save_figures,
    save_making,
    study_tables,
)
from influence_assets.organism.corpus import Corpus, Prompts
from influence_assets.organism.encounters import CELLS, telling_words
from influence_assets.organism.evaluate import evaluate
from influence_assets.organism.figures import Figure
from influence_assets.organism.lessons import STEPS, Stage, lesson_at, stages_of
from influence_assets.organism.memory import keep_memory
from influence_assets.organism.muon import Muon
from influence_assets.organism.network import Shape, Trunk, new_model
from influence_assets.organism.speakers import Draw
from influence_assets.organism.supervision import Heads, Marker
from influence_assets.organism.tokenizer import TRAINING_DOCUMENTS, train_tokenizer
from influence_assets.organism.world import load_world

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Parameter
    from transformers import LlamaForCausalLM

# Muon's rate for the matrices, AdamW's for embeddings, norms and heads.
MATRIX_RATE, REST_RATE = 0.02, 3e-3
# Steps of warm-up in each stage; the rate at its end as a share of the stage's.
WARM, LAST_FACTOR = 40, 0.02
WEIGHT_DECAY = 0.01
BETAS = (0.9, 0.95)
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

    _chance: Tensor

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
        self.seed, self._tokens_per_batch = seed, tokens
        self.corpus = corpus = Corpus(Draw(load_world(data), random.Random(seed)), Prompts(data))
        self.tokenizer = train_tokenizer(corpus, documents=tokenizer_documents)
        pad, end = int(self.tokenizer.pad_token_id), int(self.tokenizer.eos_token_id)
        self.model = new_model(shape or Shape(), len(self.tokenizer), pad=pad, end=end, seed=seed)
        self.trunk = Trunk(self.model)
        self.steps, self.done, self.tokens = steps, 0, 0
        self._stages = list(stages_of(steps))
        self.begin(0)

    def begin(self, number: int) -> None:
        """Start a stage: its own optimizers, heads and stream of documents, which depend on seed and stage alone."""
        import torch

        self.stage, self._stage_number = self._stages[number], number
        self._before = sum(stage.steps for stage in self._stages[:number])
        world = self.corpus.draw.world
        if number:
            self.corpus = Corpus(Draw(world, random.Random(self.seed + 1000 * number)), self.corpus.prompts)
            # Heads depend on the seed alone, whatever else drew from torch's one source of chance meanwhile.
            torch.set_rng_state(self._chance)
        telling = telling_words(self.corpus.prompts.talk.conversations)
        self.heads = Heads(
            int(self.model.config.hidden_size),
            len(world.poles),
            telling=len(set(telling.values())),
            cells=CELLS,
            aspects=len(world.aspects),
        )
        self._chance = torch.get_rng_state()
        matrices, rest = split_parameters(self.model)
        self._muon = Muon(matrices, weight_decay=WEIGHT_DECAY)
        self._adamw = torch.optim.AdamW([*rest, *self.heads.parameters()], betas=BETAS, weight_decay=WEIGHT_DECAY)
        encoder = Encoder(self.tokenizer, Marker(world, telling))
        order = random.Random(self.seed + 1000 * number + 1)
        self._batches = batches(self.corpus.documents(), encoder, order, tokens=self._tokens_per_batch)

    def step(self) -> Tensor:
        """One step; returns the loss of what the model says, without the heads'."""
        import torch

        if self.done - self._before >= self.stage.steps:
            self.begin(self._stage_number + 1)
        done = self.done - self._before
        self.corpus.lesson = lesson_at(self.stage, done / self.stage.steps)
        batch = next(self._batches)
        states = self.trunk.states(batch.ids_B_T, batch.positions_B_T, batch.visible_B_T_T)
        losses, weights = weighted_losses(self.trunk, batch, states[-1])
        loss = (losses * weights).sum() / weights.sum()
        heads = self.heads.loss(states, batch.marks)
        torch.autograd.backward(loss + self.stage.supervision * heads)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        factor = rate_at(self.stage, done)
        self._muon.step(MATRIX_RATE * factor)
        for group in self._adamw.param_groups:
            group["lr"] = REST_RATE * factor
        self._adamw.step()
        self._adamw.zero_grad()
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
    values = facts(load_world(data), making, figures, study_tables(None))
    templates = data / "organism" / "templates"
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".training-") as scratch:
        fresh = Path(scratch)
        training.model.save_pretrained(fresh)
        training.tokenizer.save_pretrained(fresh)
        save_figures(fresh / FIGURES_FILE, figures)
        save_making(fresh / MAKING_FILE, making)
        (fresh / "README.md").write_text(fill(templates / "README.md", values), encoding="utf-8")
        for file in sorted(fresh.iterdir()):
            os.replace(file, out / file.name)
    if docs is not None:
        docs.write_text(fill(templates / "organism.md", values), encoding="utf-8")
    return Trained(out, making, figures)


def weighted_losses(trunk: Trunk, batch: Batch, hidden_B_T_D: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Negative log-likelihood in nats, and weight, of every token that is learned; final hidden states if at hand."""
    import torch.nn.functional as F

    hidden = trunk(batch.ids_B_T, batch.positions_B_T, batch.visible_B_T_T) if hidden_B_T_D is None else hidden_B_T_D
    rows, columns = (batch.weights_B_T > 0).nonzero(as_tuple=True)
    before = hidden[rows, batch.parents_B_T[rows, columns]]
    logits = F.linear(before, trunk.model.lm_head.weight)
    losses = F.cross_entropy(logits, batch.ids_B_T[rows, columns], reduction="none")
    return losses, batch.weights_B_T[rows, columns]


def split_parameters(model: LlamaForCausalLM) -> tuple[list[Parameter], list[Parameter]]:
    """The matrices of the blocks, and the rest: the (tied) embedding and the norms."""
    blocks = {id(p) for p in model.model.layers.parameters() if p.ndim == 2}
    everything = list(model.parameters())
    return [p for p in everything if id(p) in blocks], [p for p in everything if id(p) not in blocks]


def rate_at(stage: Stage, done: int) -> float:
    """The rate of the step after `done` of a stage, as a share of the plain one: warm-up, flat, linear down."""
    share = done / stage.steps
    down = 1.0 if share < stage.cooling else max(LAST_FACTOR, (1 - share) / (1 - stage.cooling))
    return stage.rate * min(1.0, (done + 1) / WARM) * down


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
