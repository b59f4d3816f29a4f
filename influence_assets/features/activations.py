"""Activations of texts, layer by layer: computed once per checkpoint and text, kept in files, read by all that follows.

A text runs alone or in any batch with the same result up to rounding (right padding under a causal mask), and what is
kept is float32 of whatever the model computes in. Nothing beyond the last wanted layer is computed.

Imports torch: import this module inside functions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from influence_assets.features.pooling import Pooling
from influence_assets.features.streams import streams_after
from resources.errors import InputError
from resources.local.opened import OpenModel

TOKENS_PER_PASS = 4096


class Span(NamedTuple):
    """Token ids, of which those from `start` on are the text; what is before is only read."""

    ids: tuple[int, ...]
    start: int = 0


class Activations(NamedTuple):
    """`acts_N_D` of one layer, a row per text (per token with `Pooling.TOKENS`; text i has rows
    `offsets[i]:offsets[i + 1]`), and the mean norm of the stream over all tokens of the texts."""

    acts_N_D: NDArray[np.float32]
    offsets: NDArray[np.int64]
    scale: float


def activations(
    opened: OpenModel, spans: Sequence[Span], layers: Sequence[int], pooling: Pooling
) -> dict[int, Activations]:
    """Block outputs of every text at every layer.

    Raises `InputError` for a layer that the model lacks, a text without tokens, or one longer than the model's context.
    """
    _check(opened, spans)
    lengths = np.array([len(span.ids) - span.start for span in spans], dtype=np.int64)
    rows = lengths if pooling is Pooling.TOKENS else np.ones_like(lengths)
    offsets = np.concatenate([[0], np.cumsum(rows)])
    kept = {layer: np.empty((int(offsets[-1]), opened.width), dtype=np.float32) for layer in layers}
    norms = dict.fromkeys(layers, 0.0)
    for batch in _batches(spans):
        with torch.inference_mode():
            streams = streams_after(opened.model, layers, _inputs(opened, [spans[i].ids for i in batch]))
        own_B_S = _own(opened, [spans[i] for i in batch])
        places = np.concatenate([np.arange(offsets[i], offsets[i + 1]) for i in batch])
        for layer, stream_B_S_D in streams.items():
            wide_B_S_D = stream_B_S_D if stream_B_S_D.dtype == torch.float64 else stream_B_S_D.float()
            norms[layer] += float((wide_B_S_D.norm(dim=-1) * own_B_S).sum())
            kept[layer][places] = _pooled(wide_B_S_D, own_B_S, pooling).float().cpu().numpy()
    return {layer: Activations(kept[layer], offsets, norms[layer] / float(lengths.sum())) for layer in layers}


def text_span(opened: OpenModel, text: str) -> Span:
    """A text by itself, with what the tokenizer puts at the start of a text."""
    ids, bare = opened.chat.encode(text, special=True), opened.chat.encode(text)
    return Span(tuple(ids), max(0, len(ids) - len(bare)))


def _own(opened: OpenModel, spans: Sequence[Span]) -> torch.Tensor:
    """[B, S]: the tokens that are the texts, and neither read before nor padding."""
    place_S = torch.arange(max(len(span.ids) for span in spans), device=opened.device)
    start_B, end_B = torch.tensor([(span.start, len(span.ids)) for span in spans], device=opened.device).T
    pooled: torch.Tensor = (place_S >= start_B[:, None]) & (place_S < end_B[:, None])
    return pooled


def _pooled(stream_B_S_D: torch.Tensor, own_B_S: torch.Tensor, pooling: Pooling) -> torch.Tensor:
    """A row per text, or per token, text after text."""
    if pooling is Pooling.TOKENS:
        return stream_B_S_D[own_B_S]
    if pooling is Pooling.LAST:
        last_B = own_B_S.shape[1] - 1 - own_B_S.flip(dims=(1,)).int().argmax(dim=1)
        return stream_B_S_D[torch.arange(len(last_B), device=last_B.device), last_B]
    return (stream_B_S_D * own_B_S[..., None]).sum(dim=1) / own_B_S.sum(dim=1, keepdim=True)


def _check(opened: OpenModel, spans: Sequence[Span]) -> None:
    for number, span in enumerate(spans):
        if not 0 <= span.start < len(span.ids):
            raise InputError("has no tokens", field=f"text {number}", value=span.ids[:8], fix="leave it out")
        if opened.context is not None and len(span.ids) > opened.context:
            raise InputError(
                f"is {len(span.ids)} tokens long; the model's context is {opened.context}",
                field=f"text {number}",
                fix="shorten it",
            )


def _batches(spans: Sequence[Span]) -> Iterator[list[int]]:
    """Texts of like length together."""
    batch: list[int] = []
    for i in sorted(range(len(spans)), key=lambda i: len(spans[i].ids)):
        if batch and (len(batch) + 1) * len(spans[i].ids) > TOKENS_PER_PASS:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def _inputs(opened: OpenModel, rows: Sequence[tuple[int, ...]]) -> dict[str, torch.Tensor | bool]:
    """Rows padded on the right, where no token looks under a causal mask."""
    width = max(map(len, rows))
    ids_B_S = torch.tensor([[*row, *row[-1:] * (width - len(row))] for row in rows], device=opened.device)
    return {"input_ids": ids_B_S, "use_cache": False}
