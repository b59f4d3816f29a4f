"""Contrast pairs: one text, two personas, opposite labels, so that wording cannot give the label away.

Every persona p is given one *opposite* q: q is asked to disagree with what p agrees with. The choice is a permutation
of the personas, so each persona's agree half comes from one edge (p -> its opposite) and its disagree half from one
other edge (whose opposite it is). With n texts on every edge, every persona has exactly n and n, for odd numbers of
personas too. Where a framework's profiles have mirror images (all corners of n dimensions), the edges are couples.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from influence_assets.personas.ids import statement_id
from influence_assets.personas.records import Candidate, Origin, Persona


def with_opposites(personas: Sequence[Persona]) -> list[Persona]:
    """The personas, each with its `opposite_persona_id`; null where none differs in any dimension.

    The permutation gives as many personas as possible an opposite, then maximizes the number of opposed dimensions
    summed over personas, then minimizes the traits that a persona shares with its opposite (linear sum assignment,
    Crouse 2016). It depends on ids and traits alone, not on the order of the personas.
    """
    from scipy.optimize import linear_sum_assignment

    ordered = sorted(personas, key=lambda persona: persona.persona_id)
    square = (len(ordered), len(ordered))
    opposed = np.array([_opposed(p, q) for p in ordered for q in ordered], dtype=np.int64).reshape(square)
    shared = np.array([_shared(p, q) for p in ordered for q in ordered], dtype=np.int64).reshape(square)
    # Whole numbers of falling rank: a sum over all personas of one rank stays below one step of the rank above.
    step = 1 + len(ordered) * int(max(opposed.max(initial=0), shared.max(initial=0)))
    weight = (opposed > 0) * step * step + opposed * step - shared
    rows, columns = linear_sum_assignment(weight, maximize=True)
    opposite = {
        ordered[row].persona_id: ordered[column].persona_id
        for row, column in zip(rows, columns, strict=True)
        if opposed[row, column] > 0
    }
    return [replace(persona, opposite_persona_id=opposite.get(persona.persona_id)) for persona in personas]


def _opposed(p: Persona, q: Persona) -> int:
    return sum(q.traits.get(dimension, side) != side for dimension, side in p.traits.items())


def _shared(p: Persona, q: Persona) -> int:
    return sum(q.traits.get(dimension) == side for dimension, side in p.traits.items())


@dataclass(frozen=True)
class Opposites:
    """Who disagrees with whose agree statements, both ways round."""

    disagrees_with: Mapping[str, str]
    agrees_with: Mapping[str, str]

    @classmethod
    def of(cls, personas: Sequence[Persona]) -> Opposites:
        """From the personas' `opposite_persona_id`; personas that are not among these are left out."""
        present = {persona.persona_id for persona in personas}
        edges = {
            persona.persona_id: persona.opposite_persona_id
            for persona in personas
            if persona.opposite_persona_id in present and persona.opposite_persona_id is not None
        }
        return cls(edges, {q: p for p, q in edges.items()})

    def partner(self, persona_id: str, agree: bool) -> str | None:
        """Who should hold the other label of a statement with this persona and label; None outside any edge."""
        return (self.disagrees_with if agree else self.agrees_with).get(persona_id)

    def edge(self, persona_id: str, agree: bool) -> tuple[str, str] | None:
        """The edge (who agrees, who disagrees) that a statement with this persona and label belongs to."""
        other = self.partner(persona_id, agree)
        if other is None:
            return None
        return (persona_id, other) if agree else (other, persona_id)


def with_other_halves(candidates: Sequence[Candidate], opposites: Opposites) -> list[Candidate]:
    """The candidates, each followed by the other half of its contrast pair where its edge has one."""
    result: list[Candidate] = []
    for candidate in candidates:
        partner = opposites.partner(candidate.persona_id, candidate.agree)
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
