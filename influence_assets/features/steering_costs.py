"""What a push costs a model on text that is about nothing in particular. Imports torch: import inside functions."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch

from resources.local.opened import OpenModel
from resources.local.steering import LoadedPush, steered

POSITIONS = 512
"""Tokens of neutral text whose next-token distributions are compared, at most."""


class NeutralText:
    """Neutral prompts and the unsteered model's distribution after each of their tokens."""

    def __init__(self, opened: OpenModel, rows: Sequence[Sequence[int]]) -> None:
        self._opened = opened
        self._rows: list[list[int]] = []
        for row in rows:
            if self._rows and sum(map(len, self._rows)) + len(row) > POSITIONS:
                break
            self._rows.append(list(row))
        self._base_N_V = self._logp(self._rows, nullcontext())

    def kl(self, pushes: Sequence[LoadedPush]) -> float:
        """KL(steered || unsteered) in nats, mean over the tokens of the neutral prompts; 0 without a push."""
        logp_N_V = self._logp(self._rows, steered(self._opened.model, pushes))
        return float((logp_N_V.exp() * (logp_N_V - self._base_N_V)).sum(dim=-1).clamp(min=0.0).mean())

    def kl_of_prefix(self, prefixed: Sequence[Sequence[int]]) -> float:
        """The same for a model that read something before: row i ends with the i-th neutral prompt's own tokens."""
        rows = [list(row) for row in prefixed[: len(self._rows)]]
        shared = [_common_end(long, own) for long, own in zip(rows, self._rows, strict=True)]
        logp, base, at = self._logp(rows, nullcontext()), self._base_N_V, [0, 0]
        total = n = 0.0
        for long, own, same in zip(rows, self._rows, shared, strict=True):
            ends = [at[0] + len(long), at[1] + len(own)]
            p, q = logp[ends[0] - same : ends[0]], base[ends[1] - same : ends[1]]
            total, n, at = total + float((p.exp() * (p - q)).sum()), n + same, ends
        return max(0.0, total / n) if n else float("nan")

    @torch.inference_mode()
    def _logp(self, rows: Sequence[list[int]], context: AbstractContextManager[None]) -> torch.Tensor:
        """Log-probabilities `[all tokens, vocabulary]`, row after row."""
        width = max(map(len, rows))
        # Padded on the right: under a causal mask no token sees the pads.
        ids_B_S = torch.tensor([[*row, *row[-1:] * (width - len(row))] for row in rows], device=self._opened.device)
        with context:
            logits_B_S_V = self._opened.model(input_ids=ids_B_S, use_cache=False).logits
        real_N_V = torch.cat([logits_S_V[: len(row)] for row, logits_S_V in zip(rows, logits_B_S_V, strict=True)])
        return torch.log_softmax(real_N_V if real_N_V.dtype == torch.float64 else real_N_V.float(), dim=-1)


@torch.inference_mode()
def surprise(opened: OpenModel, prompts: Sequence[Sequence[int]], replies: Sequence[str]) -> float:
    """Nats per token of replies under the unsteered model, each after its prompt; nan when all are empty."""
    nats = tokens = 0.0
    for prompt, reply in zip(prompts, replies, strict=True):
        own = opened.chat.encode(reply)
        if not own:
            continue
        ids = torch.tensor([[*prompt, *own]], device=opened.device)
        logits = opened.model(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1]
        logp = torch.log_softmax(logits.double(), dim=-1).gather(1, ids[0, len(prompt) :, None])
        nats, tokens = nats - float(logp.sum()), tokens + len(own)
    return nats / tokens if tokens else float("nan")


def repetition(replies: Sequence[str], n: int = 3) -> float:
    """Share of n-word sequences that stood in the same reply before; nan when no reply has one."""
    seen = again = 0
    for reply in replies:
        words = reply.split()
        grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
        seen, again = seen + len(grams), again + len(grams) - len(set(grams))
    return again / seen if seen else float("nan")


def _common_end(long: Sequence[int], own: Sequence[int]) -> int:
    """How many tokens both end with."""
    n = min(len(long), len(own))
    same = np.array(long[len(long) - n :]) == np.array(own[len(own) - n :])
    differs = np.flatnonzero(~same)
    return n - 1 - int(differs[-1]) if differs.size else n
