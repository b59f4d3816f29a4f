"""Steering from inside as a steering method: a persona's trait profile as pushes along directions.

For every trait on which the persona stands high or low, the direction of that pole is added with one coefficient. Where
a persona has no such trait, or a direction was not found, the method fails for it, and its answers are rows with a
status.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from influence_assets.steerability.method import Case, Prefix, Steering
from resources.messages import Status
from resources.steering import Push


@dataclass(frozen=True, slots=True)
class Pole:
    """One end of one trait, by one method of finding directions."""

    trait: str
    category: str
    method: str


@dataclass(frozen=True)
class Directions:
    """The study's directions: the push along each, ready to be added."""

    pushes: Mapping[Pole, Push]


class ByDirections:
    """Adds the directions of one method for all traits of the persona."""

    uses_statements = False
    needs_directions = True

    def __init__(self, name: str, method: str) -> None:
        self.name, self._method = name, method

    async def prefixes(self, cases: Sequence[Case], steering: Steering) -> list[Prefix]:
        return [self._prefix(case, steering.directions) for case in cases]

    def _prefix(self, case: Case, directions: Directions | None) -> Prefix:
        pushes = [] if directions is None else [self._push(trait, level, directions) for trait, level in _poles(case)]
        if not pushes or None in pushes:
            return Prefix((), Status.VOID)
        return Prefix((), steering=tuple(push for push in pushes if push is not None))

    def _push(self, trait: str, level: float, directions: Directions) -> Push | None:
        return directions.pushes.get(Pole(trait, "high" if level > 0 else "low", self._method))


def _poles(case: Case) -> list[tuple[str, float]]:
    return [(trait, level) for trait, level in sorted(case.persona.levels.items()) if level]
