"""Near-duplicates among many texts, exactly, without an n x n matrix.

Cosine similarity joins of sparse unit vectors by prefix filtering (Bayardo, Ma and Srikant, "Scaling up all pairs
similarity search", WWW 2007, section 4). Put the features in one global order, rarest first. A row's *prefix* is its
leading features up to the point where the norm of the rest falls below the threshold t. Two rows that share no prefix
feature have x.y <= |rest of x| |y| < t, so only rows that meet in a prefix are compared. Prefixes hold the rarest
features, so few rows meet. Of those, most fall at x.y <= x'.y' + |x''| |y''|, where x' is the part of x in the rarest
features of all and x'' the rest. Nothing is approximate: every pair above the threshold is found.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
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
# The share of all nonzeros that the rarest features, the heads of the rows, hold.
HEAD = 0.25
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
    search = _Search.over(vectors, threshold, groups)
    kept = np.empty(0, dtype=np.int64)
    for block in _blocks(n):
        for pairs in search.similar(block, np.concatenate([kept, block])):
            for first, second, value in zip(*(part.tolist() for part in pairs), strict=True):
                if dropped_by[second] < 0 and dropped_by[first] < 0:
                    dropped_by[second], similarity[second] = first, value
        kept = np.concatenate([kept, block[dropped_by[block] < 0]])
    return Greedy(dropped_by, similarity)


def similar_pairs(vectors: Rows, threshold: float, groups: Ints | None = None) -> Pairs:
    """All pairs of rows (of one group, where groups are given) above the threshold, in order of the second row."""
    search = _Search.over(vectors, threshold, groups)
    found = [
        pairs
        for block in _blocks(vectors.shape[0])
        for pairs in search.similar(block, np.arange(block[-1] + 1, dtype=np.int64))
    ]
    empty = Pairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    return Pairs(*(np.concatenate(parts) for parts in zip(empty, *found, strict=True)))


def _blocks(n: int) -> list[Ints]:
    return [np.arange(start, min(start + BLOCK, n), dtype=np.int64) for start in range(0, n, BLOCK)]


@dataclass(frozen=True)
class _Search:
    """What is needed to find a row's neighbours.

    `prefixes_N`: the pattern of each row's prefix. `heads_N`: each row's part in the rarest features. `rest_N`: the
    norm of each row's other part.
    """

    vectors_N: Rows
    prefixes_N: Rows
    heads_N: Rows
    rest_N: Floats
    threshold: float
    groups: Ints | None

    @classmethod
    def over(cls, vectors: Rows, threshold: float, groups: Ints | None) -> _Search:
        from scipy import sparse

        if vectors.shape[0] == 0:
            return cls(vectors, vectors, vectors, np.empty(0), threshold, groups)
        rank, border = _rarest_first(vectors)
        parts = [_parts(vectors[block], rank, border, threshold - ROUNDING) for block in _blocks(vectors.shape[0])]
        prefixes, heads, rest = zip(*parts, strict=True)
        return cls(
            vectors,
            sparse.csr_array(sparse.vstack(prefixes, format="csr")),
            sparse.csr_array(sparse.vstack(heads, format="csr")),
            np.concatenate(rest),
            threshold,
            groups,
        )

    def similar(self, rows: Ints, columns: Ints) -> Iterator[Pairs]:
        """Pairs above the threshold of a row in `rows` with an earlier row in `columns`, by row, then column."""
        from scipy import sparse

        left, index = self.prefixes_N[rows], sparse.csr_array(self.prefixes_N[columns].T)
        meetings = left @ np.diff(index.indptr)
        parts = np.cumsum(meetings) // PAIRS_AT_ONCE
        for part in np.unique(parts):
            chosen = np.flatnonzero(parts == part)
            met = sparse.csr_array(left[chosen] @ index)
            met.sort_indices()
            second, first = np.repeat(rows[chosen], np.diff(met.indptr)), columns[met.indices]
            earlier = first < second
            yield self._above(first[earlier], second[earlier])

    def _above(self, first: Ints, second: Ints) -> Pairs:
        if self.groups is not None:
            shared = _share_a_group(self.groups[first], self.groups[second])
            first, second = first[shared], second[shared]
        bound = _products(self.heads_N, first, second) + self.rest_N[first] * self.rest_N[second]
        possible = bound > self.threshold - ROUNDING
        first, second = first[possible], second[possible]
        values = _products(self.vectors_N, first, second)
        above = values > self.threshold
        return Pairs(first[above], second[above], np.minimum(values[above], 1.0))


def _rarest_first(vectors: Rows) -> tuple[npt.NDArray[np.int32], int]:
    """Each feature's place in the order of rising document frequency, and the first place that is not in the heads."""
    width = vectors.shape[1]
    frequency = np.zeros(width, dtype=np.int64)
    for block in _blocks(vectors.shape[0]):
        frequency += np.bincount(vectors[block].indices, minlength=width)
    order = np.argsort(frequency, kind="stable")
    rank = np.empty(width, dtype=np.int32)
    rank[order] = np.arange(width, dtype=np.int32)
    return rank, int(np.searchsorted(np.cumsum(frequency[order]), HEAD * vectors.nnz))


def _parts(block: Rows, rank: npt.NDArray[np.int32], border: int, bound: float) -> tuple[Rows, Rows, Floats]:
    """Prefixes and heads of a block's rows, with features renamed to their places, and the norms beyond the heads."""
    from scipy import sparse

    ordered = sparse.csr_array((block.data, rank[block.indices], block.indptr), shape=block.shape)
    ordered.sort_indices()
    squares = ordered.data.astype(np.float64) ** 2
    before = np.concatenate([[0.0], np.cumsum(squares)])
    row = np.repeat(np.arange(block.shape[0]), np.diff(ordered.indptr))
    # Squared norm of what is left of the row from this feature on, this one included.
    left = before[ordered.indptr[1:]][row] - before[:-1]
    inside, head = left >= bound * bound, ordered.indices < border
    ones = np.ones(int(inside.sum()), dtype=np.float32)
    values: npt.NDArray[np.float32] = ordered.data[head].astype(np.float32)
    return (
        sparse.csr_array((ones, (row[inside], ordered.indices[inside])), shape=block.shape),
        sparse.csr_array((values, (row[head], ordered.indices[head])), shape=block.shape),
        np.sqrt(np.bincount(row[~head], squares[~head], minlength=block.shape[0])),
    )


def _products(rows: Rows, first: Ints, second: Ints) -> Floats:
    """Scalar products of rows, pair by pair."""
    values = np.empty(len(first))
    for start in range(0, len(first), COMPARED_AT_ONCE):
        part = slice(start, start + COMPARED_AT_ONCE)
        values[part] = rows[first[part]].multiply(rows[second[part]]).sum(axis=1)
    return values


def _share_a_group(a: Ints, b: Ints) -> npt.NDArray[np.bool_]:
    return np.asarray(((a[:, :, None] == b[:, None, :]) & (a[:, :, None] >= 0)).any(axis=(1, 2)))
