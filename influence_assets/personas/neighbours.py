"""Near-duplicates among many texts, exactly, without an n x n matrix.

Cosine similarity joins of sparse unit vectors by prefix filtering (Bayardo, Ma and Srikant, "Scaling up all pairs
similarity search", WWW 2007, section 4). Put the features in one global order, rarest first. A row's *prefix* is its
leading features up to the point where the norm of the rest falls below the threshold t. Two rows that share no prefix
feature have x.y <= |rest of x| |y| < t, so only rows that meet in a prefix are compared. Prefixes hold the rarest
features, so few rows meet. Nothing is approximate: every pair above the threshold is found.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from scipy import sparse

Rows: TypeAlias = "sparse.csr_array[np.float32]"
Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]

BLOCK = 2048
# Bounds on what is held at once: candidate pairs of one product, and pairs compared in one go.
PAIRS_AT_ONCE = 2_000_000
COMPARED_AT_ONCE = 20_000
# float32 sums may end a little below the true value; the bound is loosened by more than that.
ROUNDING = 1e-5


class Pairs(NamedTuple):
    """Pairs of rows `(first, second)` with first < second, and their cosine similarity."""

    first: Ints
    second: Ints
    similarity: Floats


class Greedy(NamedTuple):
    """For each row: the kept earlier row that it is too similar to (-1: it is kept), and that similarity (else 0)."""

    dropped_by: Ints
    similarity: Floats

    @property
    def kept(self) -> npt.NDArray[np.bool_]:
        """Mask of the rows that stay."""
        return self.dropped_by < 0


def greedy(vectors: Rows, threshold: float, groups: Ints | None = None) -> Greedy:
    """Walk the rows in order; drop a row whose cosine similarity to an earlier *kept* row is above the threshold.

    `vectors`: (n, features), unit rows, most important first. `groups`: (n, k) group numbers of each row, -1 for none;
    where given, only rows that share a group can drop each other. No two kept rows (of one group) are above the
    threshold, and every dropped row has a kept one that is: a maximal independent set.
    """
    n = vectors.shape[0]
    dropped_by, similarity = np.full(n, -1, dtype=np.int64), np.zeros(n)
    prefixes = _prefixes(vectors, threshold)
    kept = np.empty(0, dtype=np.int64)
    for start in range(0, n, BLOCK):
        block = np.arange(start, min(start + BLOCK, n))
        for pairs in _similar(vectors, prefixes, block, np.concatenate([kept, block]), threshold, groups):
            for first, second, value in zip(*(part.tolist() for part in pairs), strict=True):
                if dropped_by[second] < 0 and dropped_by[first] < 0:
                    dropped_by[second], similarity[second] = first, value
        kept = np.concatenate([kept, block[dropped_by[block] < 0]])
    return Greedy(dropped_by, similarity)


def similar_pairs(vectors: Rows, threshold: float, groups: Ints | None = None) -> Pairs:
    """All pairs of rows (of one group, where groups are given) above the threshold, in order of the second row."""
    n = vectors.shape[0]
    prefixes = _prefixes(vectors, threshold)
    found = [
        pairs
        for start in range(0, n, BLOCK)
        for pairs in _similar(
            vectors,
            prefixes,
            np.arange(start, min(start + BLOCK, n)),
            np.arange(min(start + BLOCK, n)),
            threshold,
            groups,
        )
    ]
    empty = Pairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    return Pairs(*(np.concatenate(parts) for parts in zip(empty, *found, strict=True)))


def _prefixes(vectors: Rows, threshold: float) -> Rows:
    """Pattern (n, features) of each row's prefix, in the order of rising document frequency."""
    from scipy import sparse

    n, width = vectors.shape
    frequency = np.zeros(width, dtype=np.int64)
    for start in range(0, n, BLOCK):
        frequency += np.bincount(vectors[start : start + BLOCK].indices, minlength=width)
    rank = np.empty(width, dtype=np.int32)
    rank[np.argsort(frequency, kind="stable")] = np.arange(width, dtype=np.int32)
    parts = [_prefix_block(vectors[start : start + BLOCK], rank, threshold - ROUNDING) for start in range(0, n, BLOCK)]
    return sparse.csr_array(sparse.vstack(parts, format="csr")) if parts else vectors


def _prefix_block(block: Rows, rank: npt.NDArray[np.int32], bound: float) -> Rows:
    from scipy import sparse

    ordered = sparse.csr_array((block.data, rank[block.indices], block.indptr), shape=block.shape)
    ordered.sort_indices()
    squares = ordered.data.astype(np.float64) ** 2
    before = np.concatenate([[0.0], np.cumsum(squares)])
    row = np.repeat(np.arange(block.shape[0]), np.diff(ordered.indptr))
    # Squared norm of what is left of the row from this feature on, this one included.
    rest = before[ordered.indptr[1:]][row] - before[:-1]
    inside = rest >= bound * bound
    ones = np.ones(int(inside.sum()), dtype=np.float32)
    return sparse.csr_array((ones, (row[inside], ordered.indices[inside])), shape=block.shape)


def _similar(
    vectors: Rows, prefixes: Rows, rows: Ints, columns: Ints, threshold: float, groups: Ints | None
) -> Iterator[Pairs]:
    """Pairs above the threshold of a row in `rows` with an earlier row in `columns`, ordered by row, then column."""
    from scipy import sparse

    left, index = prefixes[rows], sparse.csr_array(prefixes[columns].T)
    meetings = left @ np.diff(index.indptr)
    parts = np.cumsum(meetings) // PAIRS_AT_ONCE
    for part in np.unique(parts):
        chosen = np.flatnonzero(parts == part)
        met = sparse.csr_array(left[chosen] @ index)
        met.sort_indices()
        second, first = np.repeat(rows[chosen], np.diff(met.indptr)), columns[met.indices]
        earlier = first < second
        yield _above(vectors, first[earlier], second[earlier], threshold, groups)


def _above(vectors: Rows, first: Ints, second: Ints, threshold: float, groups: Ints | None) -> Pairs:
    if groups is not None:
        shared = _share_a_group(groups[first], groups[second])
        first, second = first[shared], second[shared]
    values = np.empty(len(first))
    for start in range(0, len(first), COMPARED_AT_ONCE):
        part = slice(start, start + COMPARED_AT_ONCE)
        values[part] = vectors[first[part]].multiply(vectors[second[part]]).sum(axis=1)
    above = values > threshold
    return Pairs(first[above], second[above], np.minimum(values[above], 1.0))


def _share_a_group(a: Ints, b: Ints) -> npt.NDArray[np.bool_]:
    return np.asarray(((a[:, :, None] == b[:, None, :]) & (a[:, :, None] >= 0)).any(axis=(1, 2)))
