"""Texts as vectors whose cosine similarity says how alike their wording is.

The default needs no model: hashed tf-idf of words and word pairs, and of character n-grams within words, half of the
similarity each. It sees wording, not meaning. Another embedder is any function from texts to sparse unit rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from influence_assets.personas.neighbours import Rows
from influence_assets.personas.words import normal

Embedder: TypeAlias = Callable[[Sequence[str]], Rows]

WORD_NGRAMS = (1, 2)
CHARACTER_NGRAMS = (3, 4)
FEATURES = 2**19
CHUNK = 8192


def hashed_tfidf(texts: Sequence[str]) -> Rows:
    """(n, 2 * 2^19) float32, unit rows (a text without a word has a zero row); idf from these texts themselves.

    Each half is smoothed tf-idf, ln((1 + n) / (1 + df)) + 1, of the features that are present (Salton and Buckley
    1988, weights b-t-c), scaled to norm sqrt(.5), so that the cosine is the mean of the two halves' cosines. Case and
    punctuation do not count, and rows do not depend on the order of the texts.
    """
    import numpy as np
    from scipy import sparse

    words = _half(texts, "word", WORD_NGRAMS)
    characters = _half(texts, "char_wb", CHARACTER_NGRAMS)
    joined = sparse.csr_array(sparse.hstack([words, characters], format="csr", dtype=np.float32))
    joined.data *= np.float32(np.sqrt(0.5))
    return joined


def _half(texts: Sequence[str], analyzer: str, ngrams: tuple[int, int]) -> Rows:
    import numpy as np
    from scipy import sparse
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

    hasher = HashingVectorizer(
        analyzer=analyzer,
        preprocessor=normal,
        ngram_range=ngrams,
        n_features=FEATURES,
        alternate_sign=False,
        norm=None,
        binary=True,
        dtype=np.float32,
        token_pattern=r"(?u)\b\w+\b",
    )
    if not texts:
        none: Rows = sparse.csr_array(np.zeros((0, FEATURES), dtype=np.float32))
        return none
    # In chunks: the hasher's intermediate lists are several times as large as its result.
    counts = sparse.vstack(
        [hasher.transform(texts[at : at + CHUNK]) for at in range(0, len(texts), CHUNK)], format="csr"
    )
    weighted = TfidfTransformer().fit(counts).transform(counts, copy=False)
    rows: Rows = sparse.csr_array(sparse.csr_matrix(weighted))
    return rows
