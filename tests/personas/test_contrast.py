"""Contrast pairs: who is whose opposite, and what the halves of a pair share."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from scripted_personas import FRAMEWORK

from influence_assets.personas.contrast import Opposites, units, with_opposites, with_other_halves
from influence_assets.personas.describe import personas_of
from influence_assets.personas.records import Candidate, Origin, Persona

SIDES = st.sampled_from(["high", "low"])
profiles = st.lists(st.dictionaries(st.sampled_from("abcd"), SIDES, max_size=4), max_size=9)


def persona(number: int, traits: dict[str, str]) -> Persona:
    return Persona("f", f"id{number}", number, f"name{number}", "someone", "file", "ok", traits)


def opposed(p: Persona, q: Persona) -> int:
    return sum(q.traits.get(d, side) != side for d, side in p.traits.items())


@given(profiles, st.randoms(use_true_random=False))
def test_opposites_are_a_partial_permutation_of_opposed_personas(traits: list[dict[str, str]], random) -> None:
    people = with_opposites([persona(i, t) for i, t in enumerate(traits)])
    by_id = {p.persona_id: p for p in people}
    edges = {p.persona_id: p.opposite_persona_id for p in people if p.opposite_persona_id}
    assert max(Counter(edges.values()).values(), default=0) <= 1
    assert all(opposed(by_id[p], by_id[q]) > 0 for p, q in edges.items())
    # Nobody who could be served alone is left out: two personas without edges are never opposed.
    free = [p for p in people if p.persona_id not in edges]
    unasked = [p for p in people if p.persona_id not in edges.values()]
    assert all(opposed(p, q) == 0 for p in free for q in unasked)
    shuffled = list(people)
    random.shuffle(shuffled)
    again = {p.persona_id: p.opposite_persona_id for p in with_opposites(shuffled)}
    assert again == {p.persona_id: p.opposite_persona_id for p in people}


def test_mirror_images_find_each_other() -> None:
    people = {p.persona_id: p for p in personas_of("toy", FRAMEWORK)}
    for p in people.values():
        q = people[p.opposite_persona_id or ""]
        assert opposed(p, q) == 3
        assert q.opposite_persona_id == p.persona_id


def test_an_odd_number_of_personas_makes_a_ring() -> None:
    people = with_opposites(
        [
            persona(0, {"a": "high", "b": "high"}),
            persona(1, {"a": "low", "b": "high"}),
            persona(2, {"a": "high", "b": "low"}),
        ]
    )
    edges = {p.persona_id: p.opposite_persona_id for p in people}
    assert sorted(edges) == sorted(edges.values())
    assert all(p != q for p, q in edges.items())


def test_without_dimensions_there_are_no_pairs() -> None:
    people = with_opposites([persona(0, {}), persona(1, {})])
    assert [p.opposite_persona_id for p in people] == [None, None]
    row = written("id0", True, "I sing at home.")
    assert with_other_halves([row], Opposites.of(people)) == [row]


def written(persona_id: str, agree: bool, text: str) -> Candidate:
    return Candidate("f", persona_id, agree, "work", 0, 0, "generated", "ok", f"{persona_id}{agree}{text}", text)


def test_the_other_half_has_the_text_the_other_label_and_the_pair() -> None:
    people = with_opposites([persona(0, {"a": "high"}), persona(1, {"a": "low"})])
    mine, other = with_other_halves([written("id0", False, "I sing at home.")], Opposites.of(people))
    assert (other.text, other.persona_id, other.agree, other.origin) == (mine.text, "id1", True, Origin.CONTRAST)
    assert mine.pair_id == other.pair_id is not None
    # Written for either persona, it is the same pair.
    again = with_other_halves([replace(other, pair_id=None, origin="generated")], Opposites.of(people))
    (unit,) = units([mine, other], {mine.id: 0.4, other.id: 0.3})
    assert unit.confidence == 0.3
    assert {row.pair_id for row in again} != {None}


def test_the_mark_of_a_failed_reply_has_no_other_half() -> None:
    people = with_opposites([persona(0, {"a": "high"}), persona(1, {"a": "low"})])
    failed = replace(written("id0", True, "half a"), statement_id=None, status="refusal")
    assert with_other_halves([failed], Opposites.of(people)) == [failed]


def test_an_edge_to_a_persona_that_is_not_there_is_no_edge() -> None:
    people = with_opposites([persona(0, {"a": "high"}), persona(1, {"a": "low"})])
    alone = Opposites.of(people[:1])
    assert alone.partner("id0", True) is None
    assert alone.edge("id0", False) is None


def test_units_order_by_round_before_confidence() -> None:
    early, late = written("id0", True, "I sing."), replace(written("id0", True, "I dance."), round=1)
    ordered = units([late, early], {early.id: 0.2, late.id: 0.5})
    assert [unit.text for unit in ordered] == ["I sing.", "I dance."]
