"""Balance: exactly n agree and n disagree statements per persona, contrast pairs first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from influence_assets.personas.contrast import Opposites, Unit
from influence_assets.personas.records import Candidate, Decision, Filter, Persona, Statement, holds_statement
from resources.messages import Status

SURPLUS = "surplus"
NO_PAIR = "no contrast pair"
OTHER_LABEL_SHORT = "the persona's other label is short"


class Half(NamedTuple):
    """The statements of one persona with one label."""

    persona_id: str
    agree: bool


def halves(personas: Iterable[Persona]) -> list[Half]:
    """Both halves of every persona."""
    return [Half(persona.persona_id, agree) for persona in personas for agree in (True, False)]


def choose_pairs(units: Sequence[Unit], opposites: Opposites, personas: Sequence[Persona], n: int) -> list[Unit]:
    """The statements that need no compromise: contrast pairs, and singles for a half that has no partner.

    At most n per half: first each link's share, so that all of a persona's opposites have their turn, then the rest;
    the most confident ones first, ties by statement id. A half with fewer than n is short.
    """
    known = set(halves(personas))
    eligible = [
        unit
        for unit in sorted(units, key=_preference)
        if all(half in known and (unit.paired or not opposites.partners(*half)) for half in _places(unit))
    ]
    chosen: list[Unit] = []
    counts: Counter[Half] = Counter()
    links: Counter[tuple[str, str]] = Counter()
    left = eligible
    for within_share in (True, False):
        waiting = []
        for unit in left:
            link = _link(unit)
            has_turn = link is None or not within_share or links[link] < opposites.share(*link, n)
            if has_turn and all(counts[half] < n for half in _places(unit)):
                chosen.append(unit)
                counts.update(_places(unit))
                links.update([link] if link else [])
            else:
                waiting.append(unit)
        left = waiting
    return chosen


def _link(unit: Unit) -> tuple[str, str] | None:
    """Who agrees and who disagrees with a contrast pair's text; None for a single."""
    if not unit.paired:
        return None
    agreeing, disagreeing = sorted(unit.members, key=lambda member: not member.agree)
    return agreeing.persona_id, disagreeing.persona_id


def _places(unit: Unit) -> list[Half]:
    return [Half(member.persona_id, member.agree) for member in unit.members]


def missing(chosen: Sequence[Unit], personas: Sequence[Persona], n: int) -> dict[Half, int]:
    """How many statements each half still lacks; full halves are left out."""
    counts = Counter(Half(member.persona_id, member.agree) for unit in chosen for member in unit.members)
    return {half: n - counts[half] for half in halves(personas) if counts[half] < n}


def balance(
    units: Sequence[Unit], opposites: Opposites, personas: Sequence[Persona], n: int
) -> tuple[list[Decision], dict[str, str | None]]:
    """One decision per member, and the chosen statement ids with their pair id (None for a single).

    First `choose_pairs`; then singles fill the halves that are short of pairs, the most confident first; then a
    persona that is still short gives up the surplus of its other label (singles first, then its part of a pair), so
    that every persona has as many agree as disagree statements. The score is the label confidence.
    """
    pairs = choose_pairs(units, opposites, personas, n)
    chosen = {member.id: unit for unit in pairs for member in unit.members}
    short = missing(pairs, personas, n)
    for unit in sorted(units, key=_preference):
        member = unit.members[0]
        half = Half(member.persona_id, member.agree)
        if not unit.paired and member.id not in chosen and short.get(half, 0) > 0:
            chosen[member.id] = unit
            short[half] -= 1
    trimmed = _surplus(chosen, units, personas)
    kept = {key: unit for key, unit in chosen.items() if key not in trimmed}
    decisions = [_decision(member, unit, kept, trimmed, opposites) for unit in units for member in unit.members]
    whole = {key: unit.paired and all(member.id in kept for member in unit.members) for key, unit in kept.items()}
    return decisions, {key: unit.members[0].pair_id if whole[key] else None for key, unit in kept.items()}


def _preference(unit: Unit) -> tuple[float, str]:
    return (-unit.confidence, unit.members[0].id)


def _surplus(chosen: Mapping[str, Unit], units: Sequence[Unit], personas: Sequence[Persona]) -> set[str]:
    members: dict[Half, list[tuple[bool, float, str]]] = {half: [] for half in halves(personas)}
    for unit in units:
        for member in unit.members:
            if member.id in chosen:
                members[Half(member.persona_id, member.agree)].append((not unit.paired, -unit.confidence, member.id))
    surplus: set[str] = set()
    for persona in personas:
        both = [sorted(members[Half(persona.persona_id, agree)]) for agree in (True, False)]
        fewest = min(len(half) for half in both)
        surplus.update(key for half in both for _, _, key in half[fewest:])
    return surplus


def _decision(
    member: Candidate, unit: Unit, kept: Mapping[str, Unit], trimmed: set[str], opposites: Opposites
) -> Decision:
    if member.id in kept:
        reason = ""
    elif member.id in trimmed:
        reason = OTHER_LABEL_SHORT
    else:
        reason = NO_PAIR if not unit.paired and opposites.partners(member.persona_id, member.agree) else SURPLUS
    return Decision(
        framework=member.framework,
        statement_id=member.id,
        persona_id=member.persona_id,
        filter=Filter.BALANCE.value,
        passed=member.id in kept,
        score=unit.confidence,
        threshold=None,
        reason=reason,
    )


class Shortfall(NamedTuple):
    """A persona's label with fewer statements than wanted, and where the candidates went."""

    persona_id: str
    name: str
    agree: bool
    kept: int
    wanted: int
    reason: str

    def __str__(self) -> str:
        label = "agree" if self.agree else "disagree"
        return f"{self.name} has {self.kept} of {self.wanted} {label} statements: {self.reason}"


def shortfalls(
    personas: Sequence[Persona],
    candidates: Sequence[Candidate],
    decisions: Sequence[Decision],
    statements: Sequence[Statement],
    wanted: int,
) -> list[Shortfall]:
    """Which persona is short of which label, and why: from the rows of the tables alone."""
    kept = Counter(Half(statement.persona_id, statement.agree) for statement in statements)
    failed = {d.statement_id: d for d in decisions if not d.passed and d.filter != Filter.PUBLIC_DIVERSITY}
    by_half: dict[Half, list[Candidate]] = {half: [] for half in halves(personas)}
    for candidate in candidates:
        by_half.setdefault(Half(candidate.persona_id, candidate.agree), []).append(candidate)
    return [
        Shortfall(*half[:1], persona.name, half.agree, kept[half], wanted, _why(persona, by_half[half], failed))
        for persona in personas
        for half in halves([persona])
        if kept[half] < wanted
    ]


def _why(persona: Persona, candidates: Sequence[Candidate], failed: Mapping[str, Decision]) -> str:
    if persona.status != Status.OK.value:
        return f"it has no description ({persona.status})"
    ids = {candidate.id for candidate in candidates if holds_statement(candidate)}
    unusable = Counter(candidate.status for candidate in candidates if not holds_statement(candidate))
    lost = Counter(failed[key].filter for key in ids if key in failed)
    parts = [f"{len(ids)} different candidates"]
    parts += [f"{lost[name]} lost to {name.value}" for name in Filter if lost[name]]
    parts += [f"{count} replies {status}" for status, count in sorted(unusable.items())]
    return ", ".join(parts)
