"""How well an SAE stands for what it reads, on chats that it was not trained on.

Imports torch: import this module inside functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from influence_assets.features.sae import Sae
from influence_assets.features.sae_activations import chat_activations, model_inputs
from influence_assets.features.sae_text import ChatTokens, Padded, padded_batches
from resources.asking import Progress
from resources.errors import InputError
from resources.local.blocks import block_at, stream_of, with_stream

MIN_ABLATION_COST = 0.1
"""Nats below which the layer does so little for these chats that a share of it means nothing."""

Edit = Callable[[torch.Tensor], torch.Tensor]


class Ablation(StrEnum):
    """What takes the place of the layer's output for the worst case: nothing, or its mean over these chats."""

    ZERO = "zero"
    MEAN = "mean"


class QualityStatus(StrEnum):
    """`ok`. `ablation_costs_nothing`: taking the layer away costs under .1 nat, so that `ce_recovered` is void.
    `no_variance`: the activations do not vary, so that there is nothing to explain."""

    OK = "ok"
    ABLATION_COSTS_NOTHING = "ablation_costs_nothing"
    NO_VARIANCE = "no_variance"


@dataclass(frozen=True, slots=True)
class SaeQuality:
    """Explained variance (1 is all, below 0 worse than the mean), latents on per token, share of latents that are never
    on here, cross-entropies in nats per token, and the share of the ablation's cost that the SAE recovers."""

    explained_variance: float | None
    l0: float
    dead_share: float
    ce_base: float
    ce_sae: float
    ce_ablated: float
    ce_recovered: float | None
    n_tokens: int
    status: QualityStatus


def explained_variance(acts_N_D: torch.Tensor, rebuilt_N_D: torch.Tensor) -> float | None:
    """1 - sum |x - rebuilt|^2 / sum |x - mean|^2 over tokens; None when the activations do not vary."""
    total = _Variance()
    total.add(acts_N_D, rebuilt_N_D)
    return total.explained


def ce_recovered(base: float, with_sae: float, ablated: float) -> float | None:
    """(ablated - with_sae) / (ablated - base), cross-entropies in nats; None where ablation costs under .1 nat."""
    return None if ablated - base < MIN_ABLATION_COST else (ablated - with_sae) / (ablated - base)


class _Variance:
    """Sums for the explained variance, batch by batch, without losing digits to a large mean (Chan et al. 1983)."""

    def __init__(self) -> None:
        self._n, self._spread, self._missed = 0, 0.0, 0.0
        self._mean_D: torch.Tensor | None = None

    def add(self, acts_N_D: torch.Tensor, rebuilt_N_D: torch.Tensor) -> None:
        acts_N_D, rebuilt_N_D = acts_N_D.double(), rebuilt_N_D.double()
        n, mean_D = len(acts_N_D), acts_N_D.mean(dim=0)
        step_D = torch.zeros_like(mean_D) if self._mean_D is None else mean_D - self._mean_D
        both = self._n + n
        self._spread += float((acts_N_D - mean_D).square().sum() + step_D.square().sum() * self._n * n / both)
        self._mean_D = mean_D if self._mean_D is None else self._mean_D + step_D * n / both
        self._missed += float((acts_N_D - rebuilt_N_D).square().sum())
        self._n = both

    @property
    def explained(self) -> float | None:
        return 1 - self._missed / self._spread if self._spread > 0 else None


def sae_quality(
    model: PreTrainedModel,
    sae: Sae,
    chats: ChatTokens,
    *,
    ablation: Ablation = Ablation.ZERO,
    on_progress: Progress | None = None,
) -> SaeQuality:
    """Quality on held-out chats, over the tokens of them that count.

    The SAE's rebuilt stream, or the ablation, takes the place of the block's output at every token that counts; the
    cross-entropy is that of the chats' scored tokens. Raises `InputError` when there is none, or when the SAE does not
    fit the model.
    """
    width = int(model.config.get_text_config().hidden_size)
    if sae.d_in != width:
        problem = f"the SAE reads activations of width {sae.d_in}, and the model's stream has width {width}"
        raise InputError(problem, place=sae.source, fix="use an SAE that was trained on this model")
    rows = np.arange(len(chats.rows))
    mean_D = chat_activations(model, sae.layer, chats).mean(dim=0) if ablation is Ablation.MEAN else None
    sums = _Sums(sae)
    for batch in padded_batches(chats, rows):
        sums.add(model, batch, mean_D)
        if on_progress is not None:
            on_progress(sums.n_rows, len(rows))
    if not sums.n_scored:
        raise InputError("no token is there to be predicted", field="chats", fix="give longer chats")
    return sums.quality()


class _Sums:
    def __init__(self, sae: Sae) -> None:
        self._sae = sae
        self._variance = _Variance()
        self._fired_F = torch.zeros(sae.width, dtype=torch.float64, device=sae.decoder_F_D.device)
        self._losses_3 = np.zeros(3)
        self._n_tokens = self.n_scored = self.n_rows = 0

    def add(self, model: PreTrainedModel, batch: Padded, mean_D: torch.Tensor | None) -> None:
        acts: list[torch.Tensor] = []
        rebuilt: list[torch.Tensor] = []

        def look(acts_N_D: torch.Tensor) -> torch.Tensor:
            acts.append(acts_N_D)
            return acts_N_D

        def through_sae(acts_N_D: torch.Tensor) -> torch.Tensor:
            rebuilt.append(self._sae.reconstruct(acts_N_D))
            return rebuilt[-1]

        def ablated(acts_N_D: torch.Tensor) -> torch.Tensor:
            return torch.zeros_like(acts_N_D) if mean_D is None else mean_D.expand_as(acts_N_D)

        edits = (look, through_sae, ablated)
        self._losses_3 += [_summed_loss(model, self._sae.layer, batch, edit) for edit in edits]
        self._variance.add(self._sae.read(acts[0]), self._sae.read(rebuilt[0]))
        self._fired_F += (self._sae.encode(acts[0]) != 0).sum(dim=0)
        self._n_tokens += int(batch.counted_B_S.sum())
        self.n_scored += int(batch.scored_B_S.sum())
        self.n_rows += len(batch.rows_B)

    def quality(self) -> SaeQuality:
        base, with_sae, ablated = (self._losses_3 / self.n_scored).tolist()
        recovered, explained = ce_recovered(base, with_sae, ablated), self._variance.explained
        status = QualityStatus.OK if recovered is not None else QualityStatus.ABLATION_COSTS_NOTHING
        return SaeQuality(
            explained_variance=explained,
            l0=float(self._fired_F.sum()) / self._n_tokens,
            dead_share=float((self._fired_F == 0).double().mean()),
            ce_base=base,
            ce_sae=with_sae,
            ce_ablated=ablated,
            ce_recovered=recovered,
            n_tokens=self._n_tokens,
            status=status if explained is not None else QualityStatus.NO_VARIANCE,
        )


@torch.no_grad()
def _summed_loss(model: PreTrainedModel, layer: int, batch: Padded, edit: Edit) -> float:
    """Nats over the scored tokens, with the stream after `layer` edited at the tokens that count."""
    with spliced(model, layer, torch.from_numpy(batch.counted_B_S).to(model.device), edit):
        logits_B_S_V = model(**model_inputs(batch, model.device)).logits
    wanted = torch.from_numpy(batch.scored_B_S[:, 1:]).to(model.device)
    next_ids = torch.from_numpy(batch.ids_B_S[:, 1:]).to(model.device)
    logits_N_V = logits_B_S_V[:, :-1][wanted]
    return float(cross_entropy(logits_N_V.double(), next_ids[wanted], reduction="sum"))


@contextmanager
def spliced(model: PreTrainedModel, layer: int, where_B_S: torch.Tensor, edit: Edit) -> Iterator[None]:
    """While it is open, `edit(acts_N_D)` takes the place of the stream after `layer` at `where_B_S`."""

    def splice(
        _module: torch.nn.Module, _args: object, output: torch.Tensor | tuple[torch.Tensor, ...]
    ) -> torch.Tensor | tuple[torch.Tensor, ...]:
        stream_B_S_D = stream_of(output)
        edited_B_S_D = stream_B_S_D.clone()
        edited_B_S_D[where_B_S] = edit(stream_B_S_D[where_B_S]).to(stream_B_S_D.dtype)
        return with_stream(output, edited_B_S_D)

    handle = block_at(model, layer).module.register_forward_hook(splice)
    try:
        yield
    finally:
        handle.remove()
