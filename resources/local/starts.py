"""Where the work on a plan begins: at nothing, or after a prefix that is remembered. Imports torch: import this module
inside functions."""

from __future__ import annotations

from dataclasses import dataclass

from resources.local.prefix import Segment
from resources.local.prefix_store import PrefixStore
from resources.local.setup import Setup
from resources.local.slots import KeyValues, StoredRow

MANY = 4
"""So many sequences must stand on a prefix for it to be remembered, unless there are fewer in all."""


@dataclass(slots=True)
class Task:
    """A segment to run after a row of keys and values, or after nothing; `whole` are all its tokens, if it may be
    stored."""

    segment: Segment
    after: tuple[KeyValues, int] | None = None
    whole: list[int] | None = None

    @property
    def before(self) -> int:
        """Number of tokens that it stands on."""
        return 0 if self.after is None else int(self.after[0].lengths[self.after[1]])

    def below(self, child: Segment, rows: KeyValues, row: int) -> Task:
        """The task of a child, once this one stands in `row`."""
        return Task(child, (rows, row), None if self.whole is None else self.whole + child.tokens)


def starts(
    roots: list[Segment], store: PrefixStore, setup: Setup, *, few: bool
) -> tuple[list[Task], list[tuple[Task, StoredRow, int]]]:
    """What begins at nothing, and what goes on from a stored prefix (and how much of that); branches that reach further
    into the store than where they part are cut off and start there. With `few` sequences each is looked for.
    """
    fresh: list[Task] = []
    continued: list[tuple[Task, StoredRow, int]] = []
    todo: list[tuple[Segment, list[int]]] = [(root, []) for root in roots]
    while todo:
        segment, above = todo.pop()
        whole = above + segment.tokens
        kept: list[Segment] = []
        for child in segment.children:
            looked_for = few or child.leaves >= MANY
            found = _stored(child, whole, store, setup) if looked_for else None
            if found is None or found[1] <= len(whole):
                kept.append(child)
            else:
                todo.append((child, whole))
        if segment.children and not kept and not segment.ends:
            continue
        found = _stored(segment, above, store, setup)
        if found is None or found[1] < len(above):
            ends = [(offset + len(above), i) for offset, i in segment.ends]
            fresh.append(Task(Segment(whole, ends, kept, segment.leaves), None, whole))
            continue
        n = found[1] - len(above)
        rest = Segment(segment.tokens[n:], [(o - n, i) for o, i in segment.ends], kept, segment.leaves)
        continued.append((Task(rest, None, whole), *found))
    return fresh, continued


def _stored(segment: Segment, above: list[int], store: PrefixStore, setup: Setup) -> tuple[StoredRow, int] | None:
    """The stored prefix for a segment, short of the first position that must be read and of the last one."""
    first_read = min((offset for offset, _ in segment.ends), default=len(segment.tokens) - 1)
    return store.longest(above + segment.tokens, len(above) + first_read, setup)
