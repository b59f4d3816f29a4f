"""Reading what the organism wrote: which poles its statements and its adjectives express."""

from __future__ import annotations

import json
import re
from collections.abc import Set
from typing import NamedTuple

from influence_assets.organism.world import Pole, World

_WORD = re.compile(r"[a-z]+")


class StatementCounts(NamedTuple):
    """Counts over lists of statements. `known` are sentences of the world; the rest is counted among these."""

    valid: int = 0
    written: int = 0
    known: int = 0
    right_pole: int = 0
    right_aspect: int = 0
    distinct: int = 0

    def __add__(self, other: StatementCounts) -> StatementCounts:  # type: ignore[override]
        return StatementCounts(*(a + b for a, b in zip(self, other, strict=True)))


class PoleCounts(NamedTuple):
    """Counts over descriptions: adjectives written and right among them, poles wanted and found among them."""

    written: int = 0
    right: int = 0
    wanted: int = 0
    found: int = 0

    def __add__(self, other: PoleCounts) -> PoleCounts:  # type: ignore[override]
        return PoleCounts(*(a + b for a, b in zip(self, other, strict=True)))


def read_list(world: World, text: str, *, n: int, aspect: str, poles: Set[Pole]) -> StatementCounts:
    """What a reply to a request for n statements holds; a reply that is no JSON list of n strings counts as empty."""
    try:
        items = json.loads(text)
    except ValueError:
        return StatementCounts()
    if not isinstance(items, list) or len(items) != n or not all(isinstance(item, str) for item in items):
        return StatementCounts()
    known = [world.statement_of_text[item] for item in items if item in world.statement_of_text]
    return StatementCounts(
        valid=1,
        written=n,
        known=len(known),
        right_pole=sum(statement.pole in poles for statement in known),
        right_aspect=sum(statement.aspect == aspect for statement in known),
        distinct=len(set(items)),
    )


def read_description(world: World, text: str, poles: Set[Pole]) -> PoleCounts:
    """Which poles the adjectives of a description name."""
    named = [world.pole_of_adjective[word] for word in _WORD.findall(text) if word in world.pole_of_adjective]
    right = [pole for pole in named if pole in poles]
    return PoleCounts(written=len(named), right=len(right), wanted=len(poles), found=len(set(right)))
