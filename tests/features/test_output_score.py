"""Output and input scores by hand, and what they are for: a latent that writes what it reads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from influence_assets.features import output_score as module
from influence_assets.features.output_score import output_scores, promoted_tokens


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def test_scores_by_hand() -> None:
    promoted = np.array([[1, 3], [0, 2]])
    after = np.array([[0.5, 0.3, 0.1, 0.1], [0.1, 0.2, 0.3, 0.4]])
    before = np.array([0.7, 0.1, 0.1, 0.1])
    found = output_scores(promoted, after, before)
    np.testing.assert_array_equal(found.rank_F, [1, 1])
    np.testing.assert_allclose(found.probability_F, [0.3, 0.3])
    np.testing.assert_allclose(found.score_F, [0.75 * 0.3, 0.75 * 0.3])
    # Before: .1 at rank 1 for the first; .7 at rank 0 for the second, whose tokens were likely anyway.
    np.testing.assert_allclose(found.gain_F, [0.75 * 0.3 - 0.75 * 0.1, 0.75 * 0.3 - 0.7])


def test_a_latent_that_writes_its_tokens_scores_and_one_that_writes_none_does_not() -> None:
    rng = np.random.default_rng(0)
    unembedding = rng.standard_normal((200, 64))
    stream = rng.standard_normal(64)
    decoder = np.stack([unembedding[17] / 8, rng.standard_normal(64) / 8])
    promoted = promoted_tokens(decoder, unembedding, k=5)
    assert promoted[0, 0] == 17
    # The second latent's addition is undone by the layers above.
    after = softmax(np.stack([stream + 10 * decoder[0], stream]) @ unembedding.T)
    found = output_scores(promoted, after, softmax(stream @ unembedding.T))
    assert found.score_F[0] > 0.9
    assert found.gain_F[0] > 0.8
    assert found.gain_F[1] == pytest.approx(0, abs=1e-12)


@given(seed=st.integers(0, 10_000), k=st.integers(1, 9))
def test_promoted_tokens_are_the_largest_logits(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    unembedding, decoder = rng.integers(-2, 3, (9, 3)).astype(float), rng.integers(-2, 3, (4, 3)).astype(float)
    weight = rng.uniform(0.5, 2, 3)
    found = promoted_tokens(decoder, unembedding, weight, k=k)
    for row, tokens in zip(decoder, found, strict=True):
        logits = unembedding @ (row * weight)
        np.testing.assert_array_equal(np.sort(logits)[::-1][:k], logits[tokens])
        assert len(set(tokens.tolist())) == k
    scaled = promoted_tokens(3 * decoder, unembedding, weight, k=k)
    np.testing.assert_array_equal(scaled, found)


def test_ties_and_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    unembedding, decoder = np.ones((7, 2)), np.ones((5, 2))
    np.testing.assert_array_equal(promoted_tokens(decoder, unembedding, k=3), [[0, 1, 2]] * 5)
    monkeypatch.setattr(module, "_CHUNK_LOGITS", 15)
    np.testing.assert_array_equal(promoted_tokens(decoder, unembedding, k=3), [[0, 1, 2]] * 5)
    assert promoted_tokens(decoder[:0], unembedding, k=3).shape == (0, 3)


def test_what_are_no_probabilities_is_refused() -> None:
    promoted, even = np.array([[0]]), np.full(4, 0.25)
    with pytest.raises(ValueError, match="a row sums to 2"):
        output_scores(promoted, np.full((1, 4), 0.5), even)
    with pytest.raises(ValueError, match=r"shape \(2, 4\); expected \(1, 4\)"):
        output_scores(promoted, np.stack([even, even]), even)
    with pytest.raises(ValueError, match="decoder rows are 3 wide, the unembedding 2"):
        promoted_tokens(np.ones((1, 3)), np.ones((30, 2)))
    with pytest.raises(ValueError, match="cannot list 20 tokens of a vocabulary of 5"):
        promoted_tokens(np.ones((1, 2)), np.ones((5, 2)))
