"""Where the work on a plan begins: at nothing, or after a prefix that is remembered. Imports torch: import this module
inside functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resources.local.prefix import Segment
from resources.local.rows import MANY, Branch
from resources.local.setup import Setup
from resources.local.slots import Stem

if TYPE_CHECKING:
    from resources.local.prefix_store import PrefixStore
    from resources.local.slots import StoredRow


def starts(roots: list[Segment], store: PrefixStore, setup: Setup, *, few: bool) -> list[Branch]:
    """The branches to run, each after nothing or after a stored prefix. Those that reach further into the store than
    where they part are cut off and start there; with `few` sequences each is looked for.
    """
    found_stems: dict[tuple[int, int], Stem] = {}
    branches: list[Branch] = []
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
            branches.append(Branch(Segment(whole, ends, kept, segment.leaves), None, whole))
            continue
        stored, length = found
        n = length - len(above)
        rest = Segment(segment.tokens[n:], [(o - n, i) for o, i in segment.ends], kept, segment.leaves)
        stem = found_stems.setdefault((id(stored), length), Stem(stored, 0, ((0, length),)))
        branches.append(Branch(rest, stem, whole))
    return branches


def _stored(segment: Segment, above: list[int], store: PrefixStore, setup: Setup) -> tuple[StoredRow, int] | None:
    """The stored prefix for a segment, short of the first position that must be read and of the last one."""
    first_read = min((offset for offset, _ in segment.ends), default=len(segment.tokens) - 1)
    return store.longest(above + segment.tokens, len(above) + first_read, setup)
