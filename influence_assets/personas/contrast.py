"""Contrast pairs: one text, two personas, opposite labels, so that wording cannot give the label away.

Personas are linked by *rings*: in a ring every persona p has one opposite q, who is asked to disagree with what p
agrees with, and is itself the opposite of at most one other. With n texts on every link of a ring, all its personas
have exactly n agree and n disagree statements, for odd numbers of personas too. One ring is enough where profiles have
mirror images (all corners of n dimensions). Otherwise further rings oppose the traits that the first leaves out, so
that a persona is not only measured by those of its traits that one opposite happens to lack.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from influence_assets.personas.ids import statement_id
from influence_assets.personas.records import Candidate, Origin, Persona
from resources.content import sha256_of


def with_opposites(personas: Sequence[Persona]) -> list[Persona]:
    """The personas, each with its `opposite_persona_ids`, one per ring; none where nobody differs in any dimension.

    Each ring is a permutation (linear sum assignment, Crouse 2016) that serves as many personas as possible, then
    opposes as many traits as possible that no earlier ring opposed, then shares as few as possible. Rings end when
    they oppose nothing new. The result depends on ids and traits alone, not on the order of the personas.
    """
    ordered = sorted(personas, key=lambda persona: persona.persona_id)
    opposites: dict[str, list[str]] = {persona.persona_id: [] for persona in ordered}
    # Dimensions in which somebody already disagrees with what a persona says, and it with what somebody says.
    spoken, heard = ({persona.persona_id: set[str]() for persona in ordered} for _ in range(2))
    while ring := _ring(ordered, spoken, heard):
        for p, q in ring:
            opposites[p.persona_id].append(q.persona_id)
            spoken[p.persona_id] |= _opposed(p, q)
            heard[q.persona_id] |= _opposed(p, q)
    return [replace(persona, opposite_persona_ids=opposites[persona.persona_id]) for persona in personas]


def _ring(
    ordered: Sequence[Persona], spoken: Mapping[str, set[str]], heard: Mapping[str, set[str]]
) -> list[tuple[Persona, Persona]]:
    """Links (who agrees, who disagrees) of the next ring; those that oppose nothing new are left out."""
    from scipy.optimize import linear_sum_assignment

    def new(p: Persona, q: Persona) -> int:
        opposed = _opposed(p, q)
        return len(opposed - spoken[p.persona_id]) + len(opposed - heard[q.persona_id])

    square = (len(ordered), len(ordered))
    gain = np.array([new(p, q) for p in ordered for q in ordered], dtype=np.int64).reshape(square)
    shared = np.array([_shared(p, q) for p in ordered for q in ordered], dtype=np.int64).reshape(square)
    # Whole numbers of falling rank: a sum over all personas of one rank stays below one step of the rank above.
    step = 1 + len(ordered) * int(max(gain.max(initial=0), shared.max(initial=0)))
    rows, columns = linear_sum_assignment((gain > 0) * step * step + gain * step - shared, maximize=True)
    return [(ordered[i], ordered[j]) for i, j in zip(rows.tolist(), columns.tolist(), strict=True) if gain[i, j] > 0]


def _opposed(p: Persona, q: Persona) -> set[str]:
    return {dimension for dimension, side in p.traits.items() if q.traits.get(dimension, side) != side}


def _shared(p: Persona, q: Persona) -> int:
    return sum(q.traits.get(dimension) == side for dimension, side in p.traits.items())


@dataclass(frozen=True)
class Opposites:
    """Who disagrees with whose agree statements, both ways round."""

    disagree_with: Mapping[str, Sequence[str]]
    agree_with: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, personas: Sequence[Persona]) -> Opposites:
        """From the personas' `opposite_persona_ids`; personas that are not among these are left out."""
        present = {persona.persona_id for persona in personas}
        forth: dict[str, list[str]] = {}
        back: dict[str, list[str]] = {}
        for persona in personas:
            for other in persona.opposite_persona_ids:
                if other in present:
                    forth.setdefault(persona.persona_id, []).append(other)
                    back.setdefault(other, []).append(persona.persona_id)
        return cls(forth, back)

    def partners(self, persona_id: str, agree: bool) -> Sequence[str]:
        """Who may hold the other label of a statement with this persona and label."""
        return (self.disagree_with if agree else self.agree_with).get(persona_id, ())

    def partner(self, persona_id: str, agree: bool, text: str) -> str | None:
        """Who should hold the other label of this text: one of the partners, by the text; None where there is none."""
        others = self.partners(persona_id, agree)
        return others[int(sha256_of(text)[:8], 16) % len(others)] if others else None

    def share(self, agreeing: str, disagreeing: str, n: int) -> int:
        """How many of n statements a link should bring, so that all links of both personas have their turn."""
        links = max(len(self.partners(agreeing, True)), len(self.partners(disagreeing, False)))
        return math.ceil(n / links)


def with_other_halves(candidates: Sequence[Candidate], opposites: Opposites) -> list[Candidate]:
    """The candidates, each followed by the other half of its contrast pair where it has a partner."""
    result: list[Candidate] = []
    for candidate in candidates:
        partner = opposites.partner(candidate.persona_id, candidate.agree, candidate.text)
        if candidate.statement_id is None or partner is None:
            result.append(candidate)
            continue
        other_id = statement_id(not candidate.agree, candidate.text, partner)
        pair = _pair_id(candidate.statement_id, other_id)
        result += [
            replace(candidate, pair_id=pair),
            replace(
                candidate,
                persona_id=partner,
                agree=not candidate.agree,
                statement_id=other_id,
                pair_id=pair,
                origin=Origin.CONTRAST.value,
            ),
        ]
    return result


def _pair_id(*statement_ids: str) -> str:
    return hashlib.md5("_".join(sorted(statement_ids)).encode(), usedforsecurity=False).hexdigest()[:16]


@dataclass(frozen=True)
class Unit:
    """What is kept or dropped as one: a contrast pair (two members with one text) or a single statement.

    `confidence` is the least confident member's.
    """

    members: tuple[Candidate, ...]
    confidence: float

    @property
    def text(self) -> str:
        return self.members[0].text

    @property
    def paired(self) -> bool:
        return len(self.members) > 1


def units(candidates: Sequence[Candidate], confidence: Mapping[str, float]) -> list[Unit]:
    """Pairs of which both halves are among the candidates, and singles; most important first.

    The order is round, then confidence (higher first), then pairs before singles, then ids: an earlier round's
    statement is never pushed out by a later one. `confidence` is by statement id, 0 where missing.
    """
    groups: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        groups.setdefault(candidate.pair_id or candidate.id, []).append(candidate)
    built = [
        Unit(
            tuple(sorted(group, key=lambda member: member.id)),
            min(confidence.get(member.id, 0.0) for member in group),
        )
        for group in groups.values()
    ]
    return sorted(built, key=_priority)


def _priority(unit: Unit) -> tuple[int, float, bool, str]:
    return (min(member.round for member in unit.members), -unit.confidence, not unit.paired, unit.members[0].id)
