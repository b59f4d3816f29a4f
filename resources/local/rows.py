"""Trees of segments laid out in rows. Knows nothing of torch.

A tree stands in one row, depth first, parents before children. A token then sees what stands before it in the row, but
for what lies on other branches: column k belongs to a subtree that ends before column `ends[k]`, and a token at column
s sees it when k <= s < ends[k]. So one forward pass runs all levels of a tree, siblings stand on one copy of their
stem, and short segments are padded hardly at all. What does not fit into a row runs later, with what it hangs on as its
stem.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from resources.local.prefix import Segment

if TYPE_CHECKING:
    from resources.local.slots import Stem

KEEP_FROM = 16
"""Prefixes of fewer tokens are not worth remembering."""
MANY = 4
"""So many sequences must stand on a prefix for it to be remembered, unless there are fewer in all."""

Columns = tuple[tuple[int, int], ...]
"""Where the tokens of a path lie in a row: ranges [from, to) of columns, in order."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A segment with all below it, to run after a stem, or after nothing; `whole` are its tokens with those before it,
    where it may be remembered."""

    segment: Segment
    stem: Stem | None = None
    whole: list[int] | None = None


@dataclass(slots=True)
class Row:
    """Tokens that stand on one stem. `ids`, `positions` (in their sequence) and `ends` (columns) of each.

    `reads` are (offset in `ids`, sequence number, path), `kept` the prefixes to remember (path, tokens), `later` what
    runs on a path of this row: (segment, path, `whole` of `Branch`).
    """

    stem: Stem | None
    ids: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    reads: list[tuple[int, int, Columns]] = field(default_factory=list)
    kept: list[tuple[Columns, list[int]]] = field(default_factory=list)
    later: list[tuple[Segment, Columns, list[int] | None]] = field(default_factory=list)
    n_segments: int = 0

    @property
    def before(self) -> int:
        """Columns of the stem."""
        return 0 if self.stem is None else self.stem.length

    def place(
        self, segment: Segment, path: Columns, position: int, whole: list[int] | None, room: int, *, few: bool
    ) -> None:
        """Puts a segment at the end, after `path` of so many tokens, and of what is below it what fits into `room`
        tokens; the largest first, since most can stand on that."""
        first, begin = len(self.ids), self.before + len(self.ids)
        n = len(segment.tokens)
        self.n_segments += 1
        self.ids += segment.tokens
        self.positions += range(position, position + n)
        self.ends += [0] * n
        self.reads += [(first + at, number, _longer(path, begin, begin + at + 1)) for at, number in segment.ends]
        path = _longer(path, begin, begin + n)
        if whole is not None and not (few or segment.leaves >= MANY):
            whole = None  # nor is anything below it
        if whole is not None and len(whole) >= KEEP_FROM:
            self.kept.append((path, whole))
        for child in sorted(segment.children, key=n_tokens, reverse=True):
            child_whole = None if whole is None else whole + child.tokens
            if len(self.ids) + len(child.tokens) <= room:
                self.place(child, path, position + n, child_whole, room, few=few)
            else:
                self.later.append((child, path, child_whole))
        self.ends[first : first + n] = [self.before + len(self.ids)] * n


def lay_out(branches: Sequence[Branch], row_tokens: int, *, few: bool) -> Iterator[Row]:
    """Rows of up to `row_tokens` tokens, or of one longer segment; with 0 each branch has a row of its own.

    Of branches on one stem the largest come first, so that small ones fill a row's end. With `few` sequences, each of
    them is kept, for what may be asked next.
    """
    by_stem: dict[int, list[tuple[int, int, Branch]]] = {}
    for number, branch in enumerate(branches):
        size = max(min(n_tokens(branch.segment), row_tokens), len(branch.segment.tokens))
        by_stem.setdefault(id(branch.stem), []).append((-size, number, branch))
    for group in by_stem.values():
        row: Row | None = None
        for minus_size, _, branch in sorted(group, key=lambda one: one[:2]):
            if row is None or len(row.ids) - minus_size > row_tokens:
                if row is not None:
                    yield row
                row = Row(branch.stem)
            path: Columns = ((0, row.before),) if row.before else ()
            row.place(branch.segment, path, row.before, branch.whole, row_tokens, few=few)
        if row is not None:
            yield row


def n_tokens(segment: Segment) -> int:
    """Tokens of a segment and all below it."""
    return len(segment.tokens) + sum(map(n_tokens, segment.children))


def _longer(path: Columns, begin: int, end: int) -> Columns:
    if path and path[-1][1] == begin:
        return (*path[:-1], (path[-1][0], end))
    return (*path, (begin, end))
