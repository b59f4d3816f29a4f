"""Which tokens of many sequences are the same work: a radix tree of segments.

Every sequence is a path from a root. A segment is computed once, whatever hangs below it; a sequence that is a prefix
of another costs nothing of its own, it is a second place at which the longer one is read. Segments that would save
fewer than `MIN_SAVED` tokens are copied into their children instead, since each must be kept track of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

MIN_SAVED = 4
MAX_DEPTH = 24


@dataclass(slots=True)
class Segment:
    """Tokens that follow one another without a branch. `ends` are (offset in `tokens`, sequence number).

    `leaves` counts the segments below without children, the segment itself where it has none.
    """

    tokens: list[int]
    ends: list[tuple[int, int]] = field(default_factory=list)
    children: list[Segment] = field(default_factory=list)
    leaves: int = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """A forest of segments; `unique_tokens` is the least to compute, `total_tokens` the sum of all lengths."""

    roots: list[Segment]
    unique_tokens: int
    total_tokens: int


def plan(sequences: Sequence[Sequence[int]], *, share: bool = True) -> Plan:
    """The forest that computes all sequences (each of at least one token); without `share`, one root for each."""
    total = sum(map(len, sequences))
    if not share:
        return Plan([Segment(list(s), [(len(s) - 1, i)]) for i, s in enumerate(sequences)], total, total)
    roots = _radix_tree(sequences)
    unique = sum(len(segment.tokens) for segment in _walk(roots))
    return Plan(_worth_sharing(roots), unique, total)


def _radix_tree(sequences: Sequence[Sequence[int]]) -> list[Segment]:
    arrays = [np.asarray(sequence, dtype=">u4") for sequence in sequences]
    keys = [array.tobytes() for array in arrays]
    roots: list[Segment] = []
    path: list[tuple[int, Segment]] = []  # (tokens above the segment, segment), from a root to the last sequence
    previous = None
    for number in sorted(range(len(keys)), key=keys.__getitem__):
        array, sequence = arrays[number], sequences[number]
        shared = 0 if previous is None else common_prefix(previous, array)
        previous = array
        while path and path[-1][0] >= shared:
            path.pop()
        if path and path[-1][0] + len(path[-1][1].tokens) > shared:
            _split(path[-1][1], shared - path[-1][0])
        rest = list(sequence[shared:])
        if path and (not rest or not path[-1][1].children):
            last = path[-1][1]  # the same sequence again, or one that goes on where the last one ended
            last.tokens.extend(rest)
            last.ends.append((len(last.tokens) - 1, number))
            continue
        new = Segment(rest, [(len(rest) - 1, number)])
        (path[-1][1].children if path else roots).append(new)
        path.append((shared, new))
    return roots


def common_prefix(a: NDArray[np.uint32], b: NDArray[np.uint32]) -> int:
    """Number of equal tokens at the start of two sequences."""
    n = min(len(a), len(b))
    if n == 0:
        return 0
    differs = a[:n] != b[:n]
    first = int(differs.argmax())
    return first if differs[first] else n


def _split(segment: Segment, at: int) -> None:
    lower = Segment(segment.tokens[at:], [(o - at, n) for o, n in segment.ends if o >= at], segment.children)
    segment.tokens, segment.children = segment.tokens[:at], [lower]
    segment.ends = [(o, n) for o, n in segment.ends if o < at]


def _walk(roots: Sequence[Segment]) -> list[Segment]:
    """All segments, parents before children."""
    found = list(roots)
    for segment in found:
        found.extend(segment.children)
    return found


def _worth_sharing(roots: list[Segment]) -> list[Segment]:
    for segment in reversed(_walk(roots)):
        segment.leaves = sum(child.leaves for child in segment.children) or 1
    top = Segment([], [], roots)
    todo = [(top, 0)]
    while todo:
        parent, depth = todo.pop()
        kept: list[Segment] = []
        candidates = list(parent.children)
        while candidates:
            segment = candidates.pop()
            saved = len(segment.tokens) * (segment.leaves - 1)
            if segment.children and (saved < MIN_SAVED or depth >= MAX_DEPTH):
                _hand_down(segment)
                candidates.extend(segment.children)
            else:
                kept.append(segment)
        parent.children = kept
        todo.extend((segment, depth + 1) for segment in kept if segment.children)
    return top.children


def _hand_down(segment: Segment) -> None:
    """Puts the segment's tokens before each child's; the first child also takes over its ends."""
    n = len(segment.tokens)
    for child in segment.children:
        child.tokens = segment.tokens + child.tokens
        child.ends = [(offset + n, number) for offset, number in child.ends]
    segment.children[0].ends = segment.ends + segment.children[0].ends
