"""Laws of the training text: every counted token once an epoch, any step found again, padding never counts."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from influence_assets.features.sae_text import chat_tokens, padded_batches, training_order
from resources.errors import InputError

chats_lists = st.lists(st.lists(st.integers(0, 50), min_size=3, max_size=12), min_size=1, max_size=12)


@given(chats_lists, st.integers(0, 2), st.integers(1, 60))
def test_padded_batches_hold_each_token_once(chats: list[list[int]], skip: int, tokens: int) -> None:
    text = chat_tokens(chats, 8, skip)
    rows: dict[int, list[int]] = {}
    counted = 0
    for batch in padded_batches(text, np.arange(len(text.rows)), tokens):
        assert batch.ids_B_S.size <= max(tokens, batch.ids_B_S.shape[1])
        counted += int(batch.counted_B_S.sum())
        assert not (batch.counted_B_S & ~batch.real_B_S).any()
        assert not batch.counted_B_S[:, :skip].any()
        for row, ids_S, real_S in zip(batch.rows_B, batch.ids_B_S, batch.real_B_S, strict=True):
            rows[int(row)] = ids_S[real_S].tolist()
    assert rows == {number: chat[:8] for number, chat in enumerate(chats)}
    assert counted == text.n_tokens


@given(chats_lists, st.integers(1, 6), st.integers(1, 40), st.integers(0, 2**63 - 1))
def test_an_epoch_learns_from_no_token_twice(chats: list[list[int]], batch: int, buffer: int, seed: int) -> None:
    text = chat_tokens(chats, 12)
    if text.n_tokens < batch:
        with pytest.raises(InputError, match=f"{text.n_tokens} tokens that count, and a batch takes {batch}"):
            next(training_order(text, batch, buffer, seed))
        return
    seen: set[int] = set()
    step = 0
    for stretch in training_order(text, batch, buffer, seed):
        if seen & set(stretch.rows.tolist()):  # the next epoch
            break
        seen |= set(stretch.rows.tolist())
        size = int(text.counted[stretch.rows].sum())
        assert stretch.first_step == step
        assert len(set(stretch.order_T.tolist())) == len(stretch.order_T)
        assert stretch.order_T.min() >= 0
        assert stretch.order_T.max() < size
        assert size - len(stretch.order_T) < batch
        step += len(stretch.order_T) // batch
    assert step >= 1


def test_the_order_depends_on_the_seed_alone() -> None:
    text = chat_tokens([[n, n + 1, n + 2] for n in range(40)], 8)

    def orders(seed: int, buffer: int) -> list[tuple[list[int], list[int]]]:
        return [(s.rows.tolist(), s.order_T.tolist()) for s in islice(training_order(text, 4, buffer, seed), 9)]

    assert orders(1, 20) == orders(1, 20)
    assert orders(1, 20) != orders(2, 20)
    rows = [rows for rows, _ in orders(1, 1000)]
    assert rows == [list(range(40))] * 9, "what fits is one stretch in its own order, run through the model once"
    epochs = [order for _, order in orders(1, 1000)]
    assert epochs[0] != epochs[1], "each epoch is shuffled anew"


def test_predictions_are_scored_behind_the_prompt() -> None:
    text = chat_tokens([[1, 2, 3, 4], [5, 6, 7, 8]], 8, 1, prompts=[3, 0])
    (batch,) = padded_batches(text, np.arange(2))
    assert batch.scored_B_S.tolist() == [[False, False, False, True], [False, False, True, True]]
    assert batch.counted_B_S.tolist() == [[False, True, True, True]] * 2


def test_chats_that_cannot_be_learned_from_are_named() -> None:
    text = chat_tokens([[1], [1, 2, 3, 4]], 3)
    assert text.rows == ((1, 2, 3),)
    assert text.n_cut == 1
    with pytest.raises(InputError, match="none of the 2 chats has more than the 1 tokens"):
        chat_tokens([[1], [2]], 8)
    with pytest.raises(InputError, match=r"is not a token id \(got -100\)"):
        chat_tokens([[1, -100]], 8)
    with pytest.raises(InputError, match="1 lengths of prompts for 2 chats"):
        chat_tokens([[1, 2], [3, 4]], 8, prompts=[1])
    assert chat_tokens([[1, 2]], 8).sha256 != chat_tokens([[1, 2]], 8, 0).sha256
