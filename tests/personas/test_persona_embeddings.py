"""Embeddings and near-duplicate search against the full matrix."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import sparse

from influence_assets.personas.embeddings import hashed_tfidf
from influence_assets.personas.neighbours import greedy, similar_pairs

WORDS = ["plan", "tidy", "papers", "dinners", "always", "never", "my", "cousin", "mountain", "roads", "quietly", "a"]
sentences = st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(lambda words: "I " + " ".join(words))
texts = st.lists(sentences, max_size=30)
thresholds = st.floats(0.05, 0.99)


@st.composite
def unit_rows(draw: st.DrawFn) -> sparse.csr_array:
    """Sparse unit rows with signed entries, zero rows and exact copies among them."""
    shape = draw(st.tuples(st.integers(0, 25), st.integers(1, 12)))
    dense = draw(arrays.arrays(np.float32, shape, elements=st.sampled_from([0, 0, 0, 1, 2, -1, 0.25])))
    norms = np.linalg.norm(dense, axis=1, keepdims=True)
    return sparse.csr_array((dense / np.where(norms > 0, norms, 1)).astype(np.float32))


def cosines(rows: sparse.csr_array) -> np.ndarray:
    return (rows.astype(np.float64) @ rows.astype(np.float64).T).toarray()


def clear_of(similarity: np.ndarray, threshold: float) -> bool:
    """No pair is so near the threshold that rounding decides."""
    return bool((np.abs(similarity - threshold) > 1e-5).all())


@given(unit_rows(), thresholds)
@settings(deadline=None)
def test_every_pair_above_the_threshold_is_found_and_no_other(rows: sparse.csr_array, threshold: float) -> None:
    similarity = cosines(rows)
    if clear_of(similarity, threshold):
        pairs = similar_pairs(rows, threshold)
        first, second = np.nonzero(np.triu(similarity, 1) > threshold)
        assert set(zip(pairs.first, pairs.second, strict=True)) == set(zip(first, second, strict=True))
        assert np.allclose(pairs.similarity, similarity[pairs.first, pairs.second], atol=1e-5)


@given(unit_rows(), thresholds, st.integers(1, 3), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_greedy_keeps_a_maximal_set_without_near_duplicates(rows, threshold, n_groups, random) -> None:
    n = rows.shape[0]
    groups = np.array([[random.randrange(n_groups), random.choice([-1, n_groups])] for _ in range(n)]).reshape(n, 2)
    meet = np.array([[bool((set(a) & set(b)) - {-1}) for b in groups.tolist()] for a in groups.tolist()], dtype=bool)
    meet = meet.reshape(n, n)
    close = (cosines(rows) > threshold) & meet
    if clear_of(cosines(rows), threshold):
        outcome = greedy(rows, threshold, groups)
        kept = outcome.kept
        assert not np.triu(close, 1)[np.ix_(kept, kept)].any()
        for row in np.flatnonzero(~kept):
            dropper = outcome.dropped_by[row]
            assert dropper < row
            assert kept[dropper]
            assert close[dropper, row]
        assert (outcome.similarity[kept] == 0).all()


def test_blocks_do_not_change_the_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    rows = hashed_tfidf(["I " + " ".join(rng.choice(WORDS, 5)) for _ in range(200)])
    whole, pairs = greedy(rows, 0.6), similar_pairs(rows, 0.6)
    monkeypatch.setattr("influence_assets.personas.neighbours.BLOCK", 41)
    monkeypatch.setattr("influence_assets.personas.neighbours.PAIRS_AT_ONCE", 50)
    monkeypatch.setattr("influence_assets.personas.neighbours.COMPARED_AT_ONCE", 3)
    again, parts = greedy(rows, 0.6), similar_pairs(rows, 0.6)
    assert (again.dropped_by == whole.dropped_by).all()
    assert 0 < whole.kept.sum() < 200
    assert sorted(zip(*parts[:2], strict=True)) == sorted(zip(*pairs[:2], strict=True))


@given(texts)
@settings(deadline=None, max_examples=30)
def test_rows_are_unit_and_follow_their_texts(written: list[str]) -> None:
    rows = hashed_tfidf(written)
    assert rows.shape[0] == len(written)
    assert np.allclose(np.sqrt(rows.multiply(rows).sum(axis=1)), 1, atol=1e-5)
    backwards = hashed_tfidf(written[::-1])
    assert abs(rows - backwards[::-1]).max() < 1e-6 if written else backwards.shape[0] == 0


def test_wording_decides_what_is_alike() -> None:
    rows = hashed_tfidf(
        [
            "I love meeting new people at work.",
            "i love meeting new people at work",
            "I love meeting new people in my job.",
            "I keep my savings in a tin under the bed.",
        ]
    )
    similarity = cosines(rows)[0]
    assert similarity[1] == pytest.approx(1, abs=1e-5)
    assert 0.3 < similarity[2] < 0.86
    assert similarity[3] < 0.2


def test_a_text_without_words_is_like_nothing() -> None:
    rows = hashed_tfidf(["!!!", "!!!", "I sing."])
    assert rows[[0, 1]].nnz == 0
    assert greedy(rows, 0.5).kept.all()
