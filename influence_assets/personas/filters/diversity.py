"""Diversity within a persona: no two kept statements of one persona may say the same in nearly the same words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from influence_assets.personas.contrast import Unit
from influence_assets.personas.neighbours import Greedy, Ints, Rows, greedy, similar_pairs
from influence_assets.personas.records import Candidate, Decision, Filter


def diversity(units: Sequence[Unit], vectors_U: Rows, threshold: float) -> list[Decision]:
    """One decision per member of each unit, greedy in the order of the units.

    `vectors_U`: one unit row per unit, (n_units, features). A unit is dropped when its similarity to an earlier *kept*
    unit that shares a persona with it is above the threshold; both labels of a persona count, since a near-copy
    between its steering and its test statements is a leak whatever the labels. A dropped unit cannot drop another.
    """
    personas = sorted({member.persona_id for unit in units for member in unit.members})
    number = {persona: i for i, persona in enumerate(personas)}
    groups = np.full((len(units), 2), -1, dtype=np.int64)
    for row, unit in enumerate(units):
        for column, member in enumerate(unit.members):
            groups[row, column] = number[member.persona_id]
    return greedy_decisions(units, greedy(vectors_U, threshold, groups), Filter.DIVERSITY, threshold)


def greedy_decisions(units: Sequence[Unit], outcome: Greedy, name: Filter, threshold: float) -> list[Decision]:
    """One decision per member; the score is the similarity to the kept unit that dropped this one, 0 when kept."""
    return [
        Decision(
            framework=member.framework,
            statement_id=member.id,
            persona_id=member.persona_id,
            filter=name.value,
            passed=bool(kept),
            score=float(similarity),
            threshold=threshold,
            reason="" if kept else f"nearly the same as {units[int(dropper)].members[0].id}",
        )
        for unit, kept, dropper, similarity in zip(
            units, outcome.kept, outcome.dropped_by, outcome.similarity, strict=True
        )
        for member in unit.members
    ]


def public_diversity(vectors: Rows, threshold: float, groups: Ints | None = None) -> npt.NDArray[np.bool_]:
    """Which rows the public benchmark's filter keeps, for comparison only.

    Its rule: drop row j when *any* earlier row i < j has a cosine above the threshold, even if row i is itself
    dropped. A chain of small steps thus collapses to its first link. `groups` as for `neighbours.greedy`.
    """
    kept = np.ones(vectors.shape[0], dtype=np.bool_)
    kept[similar_pairs(vectors, threshold, groups).second] = False
    return kept


def public_decisions(candidates: Sequence[Candidate], vectors: Rows, threshold: float) -> list[Decision]:
    """Decisions of the public rule within each persona, in the order of the candidates; labels are ignored."""
    number = {persona: i for i, persona in enumerate(dict.fromkeys(c.persona_id for c in candidates))}
    groups = np.array([[number[c.persona_id]] for c in candidates], dtype=np.int64).reshape(-1, 1)
    kept = public_diversity(vectors, threshold, groups)
    return [
        Decision(
            framework=candidate.framework,
            statement_id=candidate.id,
            persona_id=candidate.persona_id,
            filter=Filter.PUBLIC_DIVERSITY.value,
            passed=bool(passed),
            score=None,
            threshold=threshold,
            reason="" if passed else "an earlier statement is nearly the same",
        )
        for candidate, passed in zip(candidates, kept, strict=True)
    ]
