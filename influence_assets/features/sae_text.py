"""What a sparse autoencoder is trained and measured on: the study's own chats, as tokens.

The caller renders chats through the model's template. Each chat stays a row of its own, as the model meets it in use:
nothing is packed together, so that no token sees another chat and positions begin at 0. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from resources.content import sha256_of
from resources.errors import InputError

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

TOKENS_PER_PASS = 4096
"""Tokens, padding included, that go through the model at once."""


@dataclass(frozen=True)
class ChatTokens:
    """Chats as token ids.

    The first `skip_first` tokens of each are read by the model but not learned from; the rest "count". Predictions are
    scored of the tokens behind the first `prompts[row]`. `n_cut` chats were longer than the context and lost their end.
    """

    rows: tuple[tuple[int, ...], ...]
    prompts: tuple[int, ...]
    skip_first: int
    n_cut: int

    @cached_property
    def counted(self) -> Ints:
        """Per row the tokens that count."""
        return np.array([len(row) - self.skip_first for row in self.rows], dtype=np.int64)

    @property
    def n_tokens(self) -> int:
        """All tokens that count."""
        return int(self.counted.sum())

    @cached_property
    def sha256(self) -> str:
        """Names the tokens and what counts of them, which is what training depends on."""
        return sha256_of({"rows": self.rows, "skip_first": self.skip_first})


def chat_tokens(
    chats: Sequence[Sequence[int]], context_size: int, skip_first: int = 1, prompts: Sequence[int] | None = None
) -> ChatTokens:
    """Chats cut to `context_size` tokens; those with nothing behind the first `skip_first` are left out.

    `prompts` are the lengths of what the model is told in each chat: its predictions are scored behind that alone, and
    of all tokens when absent. Raises `InputError` when no chat is left, or for a negative token id.
    """
    prompts = [0] * len(chats) if prompts is None else prompts
    if len(prompts) != len(chats):
        problem = f"there are {len(prompts)} lengths of prompts for {len(chats)} chats"
        raise InputError(problem, field="prompts", fix="give one per chat")
    cut = [tuple(int(token) for token in chat[:context_size]) for chat in chats]
    kept = [(row, prompt) for row, prompt in zip(cut, prompts, strict=True) if len(row) > skip_first]
    if not kept:
        problem = f"none of the {len(chats)} chats has more than the {skip_first} tokens that are skipped"
        raise InputError(problem, field="chats", fix="give longer chats, or lower skip_first")
    lowest = min(min(row) for row, _ in kept)
    if lowest < 0:
        raise InputError("is not a token id", field="chats", value=lowest, fix="give the tokenizer's ids")
    n_cut = sum(len(chat) > context_size for chat in chats)
    return ChatTokens(tuple(row for row, _ in kept), tuple(prompt for _, prompt in kept), skip_first, n_cut)


class Padded(NamedTuple):
    """Some rows of like length, padded on the right.

    `rows_B` are their numbers; `real_B_S` is true for tokens, `counted_B_S` for tokens that count, `scored_B_S` for
    tokens that the token before, which counts, predicts and that are behind the prompt.
    """

    rows_B: Ints
    ids_B_S: Ints
    real_B_S: Bools
    counted_B_S: Bools
    scored_B_S: Bools


def padded_batches(chats: ChatTokens, rows: Ints, tokens: int = TOKENS_PER_PASS) -> Iterator[Padded]:
    """The rows by length, as many at once as make at most `tokens` tokens with padding."""
    lengths = chats.counted[rows] + chats.skip_first
    by_length = rows[np.argsort(lengths, kind="stable")]
    start = 0
    for end in range(1, len(by_length) + 1):
        longest_next = len(chats.rows[by_length[end]]) if end < len(by_length) else 0
        if end == len(by_length) or longest_next * (end + 1 - start) > tokens:
            yield _padded(chats, by_length[start:end])
            start = end


def _padded(chats: ChatTokens, rows_B: Ints) -> Padded:
    texts = [chats.rows[row] for row in rows_B]
    ids_B_S = np.zeros((len(texts), max(map(len, texts))), dtype=np.int64)
    for line, text in zip(ids_B_S, texts, strict=True):
        line[: len(text)] = text
    place_S = np.arange(ids_B_S.shape[1])
    real_B_S = place_S < np.array([[len(text)] for text in texts])
    behind_B_1 = np.array([[max(chats.prompts[row], chats.skip_first + 1)] for row in rows_B])
    counted_B_S, scored_B_S = real_B_S & (place_S >= chats.skip_first), real_B_S & (place_S >= behind_B_1)
    return Padded(rows_B, ids_B_S, real_B_S, counted_B_S, scored_B_S)


class Stretch(NamedTuple):
    """Training steps whose tokens are shuffled together: rows of the chats, and which of their counted tokens, numbered
    through in the order of the rows, is learned from when. `first_step` is that of `order_T[:batch_size]`."""

    first_step: int
    rows: Ints
    order_T: Ints


def training_order(chats: ChatTokens, batch_size: int, buffer_tokens: int, seed: int) -> Iterator[Stretch]:
    """Endless stretches of whole batches, a function of the arguments alone, so that any step can be found again.

    Each epoch goes through all chats. Text that fits into the buffer (at least two batches) is one stretch, its rows in
    their own order; otherwise rows are shuffled first. At the end of a stretch tokens that make no whole batch are left
    out. Raises `InputError` when all chats together make no batch.
    """
    if chats.n_tokens < batch_size:
        problem = f"the chats have {chats.n_tokens} tokens that count, and a batch takes {batch_size}"
        raise InputError(problem, field="batch_size", value=batch_size, fix="give more chats or a smaller batch")
    step = 0
    for epoch in count():
        for number, rows in enumerate(_portions(chats, max(buffer_tokens, 2 * batch_size), [seed, epoch])):
            size = int(chats.counted[rows].sum())
            order_T = np.random.default_rng([seed, epoch, number]).permutation(size)[: size - size % batch_size]
            if len(order_T):
                yield Stretch(step, rows, order_T)
            step += len(order_T) // batch_size


def _portions(chats: ChatTokens, buffer_tokens: int, seed: list[int]) -> list[Ints]:
    rows = np.arange(len(chats.rows))
    if chats.n_tokens <= buffer_tokens:
        return [rows]
    rows = np.random.default_rng(seed).permutation(rows)
    portion = (np.cumsum(chats.counted[rows]) - 1) // buffer_tokens
    return np.split(rows, np.flatnonzero(np.diff(portion)) + 1)
