"""Which steered persona is asked about which statements: the design of the matrix, the same for every method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from influence_assets.steerability.people import People
from influence_assets.steerability.splits import Splits, leaks, seeded
from resources.errors import InputError

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Cells:
    """One row per repeat, steered persona and test statement; arrays of equal length, in that order."""

    repeat_R: Numbers
    steered_R: Numbers
    statement_R: Numbers

    def __len__(self) -> int:
        return len(self.repeat_R)


def design(people: People, splits: Splits, *, pairs: int | None, seed: int) -> Cells:
    """All pairs of personas that take part, or each with itself and `pairs` random others (the same in every repeat).

    A statement whose text the steered persona was shown is left out of its cells, whichever persona it belongs to and
    whatever method is run, so that all methods answer the same statements; as many of the other label go with it, so
    that always agreeing stays at one half in every cell. Raises `InputError` when `pairs` is below 1.
    """
    tests_of = _pairs(people, splits.taking_part, pairs, seed)
    repeats, steered, statements = [], [], []
    for repeat, draws in enumerate(splits.draws):
        for persona, tests in tests_of.items():
            own = draws[persona]
            chosen = [draw.test for test in tests if (draw := draws[test]) is not None]
            if own is None or not chosen:
                continue
            asked = np.concatenate(chosen)
            asked = asked[_balanced(people, asked, ~leaks(people, own.shown, asked))]
            repeats.append(np.full(len(asked), repeat))
            steered.append(np.full(len(asked), persona))
            statements.append(asked)
    return Cells(np.concatenate(repeats), np.concatenate(steered), np.concatenate(statements))


def _balanced(people: People, asked: Numbers, keep: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """`keep` with as many agree as disagree statements of every persona that loses any and had as many before.

    The surplus goes from the end of the persona's test statements, in the order of their ids, which are hashes.
    """
    keep = keep.copy()
    persona_A, agree_A = people.persona_S[asked], people.agree_S[asked]
    for persona in np.unique(persona_A[~keep]).tolist():
        halves = [np.flatnonzero((persona_A == persona) & (agree_A == label)) for label in (True, False)]
        if len(halves[0]) == len(halves[1]):
            kept = [half[keep[half]] for half in halves]
            least = min(map(len, kept))
            for half in kept:
                keep[half[least:]] = False
    return keep


def _pairs(people: People, taking_part: Numbers, pairs: int | None, seed: int) -> dict[int, list[int]]:
    """The test personas of each steered persona, itself among them, in ascending order."""
    if pairs is not None and pairs < 1:
        raise InputError(
            "a persona needs another to be compared with", field="steerability.pairs", value=pairs, fix="1+"
        )
    chosen: dict[int, list[int]] = {}
    for persona in taking_part.tolist():
        others = taking_part[taking_part != persona]
        if pairs is not None and pairs < len(others):
            person = people.personas[persona]
            others = seeded(seed, "pairs", person.framework, person.persona_id).choice(others, pairs, replace=False)
        chosen[persona] = sorted([persona, *others.tolist()])
    return chosen
