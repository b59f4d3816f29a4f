"""Keyword sets: one category of every factor, drawn so that no set comes twice and no category is rare."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import NamedTuple

from influence_assets.features.backgrounds import Factor, Kind
from resources.content import sha256_of
from resources.errors import InputError

SWAPS_PER_CELL = 20
"""Attempted swaps for every set and factor: after a few of them for each, the start can no longer be seen."""

Levels = tuple[int, ...]


class Keyword(NamedTuple):
    """One category of one factor, by their names."""

    factor: str
    category: str


KeywordSet = tuple[Keyword, ...]
"""One keyword for every factor, in the order of the factors."""


def keyword_sets(factors: Sequence[Factor], n: int, seed: int) -> tuple[KeywordSet, ...]:
    """`n` distinct keyword sets; within a factor the numbers of sets of any two categories differ by at most 1.

    Begins with a design that is balanced by construction: from a random set, all factors step through their categories
    together, so that any run of steps is balanced in every factor, and full rounds from different sets never meet.
    There the factors move in step; so two sets then swap their category of one factor, over and over, wherever both
    stay unlike all others. Swaps change no count. What is drawn depends on the seed and the names alone.

    Raises `InputError` when there are no factors, the factors are of different kinds, or there are fewer than `n` sets.
    """
    kind_of(factors)
    names = [tuple(factor.categories) for factor in factors]
    sizes = [len(categories) for categories in names]
    if not 1 <= n <= math.prod(sizes):
        fix = f"ask for 1 to {math.prod(sizes)}"
        raise InputError("cannot have that many distinct keyword sets", field="n", value=n, fix=fix)
    rng = random.Random(sha256_of(["keyword sets", seed, [[f.name, *c] for f, c in zip(factors, names, strict=True)]]))
    rows = _mixed(_in_step(sizes, n, rng), rng)
    rng.shuffle(rows)
    return tuple(
        tuple(Keyword(factor.name, tuple(factor.categories)[level]) for factor, level in zip(factors, row, strict=True))
        for row in rows
    )


def kind_of(factors: Sequence[Factor]) -> Kind:
    """The kind that all the factors have; an `InputError` when there are none, or they are of several kinds."""
    kinds = sorted({factor.kind for factor in factors})
    if len(kinds) != 1:
        fix = "name factors of exactly one kind"
        raise InputError("a background needs factors of one kind", field="kind", value=[str(k) for k in kinds], fix=fix)
    return kinds[0]


def _in_step(sizes: Sequence[int], n: int, rng: random.Random) -> list[Levels]:
    # Cosets of the cyclic group that (1, ..., 1) generates in the product of the groups Z_size.
    rows: list[Levels] = []
    taken: set[Levels] = set()
    while len(rows) < n:
        start = [rng.randrange(size) for size in sizes]
        if tuple(start) in taken:
            continue
        steps = min(math.lcm(*sizes), n - len(rows))
        round_ = [
            tuple((level + step) % size for level, size in zip(start, sizes, strict=True)) for step in range(steps)
        ]
        taken.update(round_)
        rows += round_
    return rows


def _mixed(rows: list[Levels], rng: random.Random) -> list[Levels]:
    taken = set(rows)
    width = len(rows[0])
    for _ in range(SWAPS_PER_CELL * len(rows) * width):
        first, second, factor = rng.randrange(len(rows)), rng.randrange(len(rows)), rng.randrange(width)
        swapped = _swap(rows[first], rows[second], factor)
        if taken.isdisjoint(swapped):
            taken -= {rows[first], rows[second]}
            taken |= set(swapped)
            rows[first], rows[second] = swapped
    return rows


def _swap(first: Levels, second: Levels, factor: int) -> tuple[Levels, Levels]:
    rest = slice(factor + 1, None)
    return (
        (*first[:factor], second[factor], *first[rest]),
        (*second[:factor], first[factor], *second[rest]),
    )
