"""Contrast pairs: who is whose opposite, and what the halves of a pair share."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_personas import FRAMEWORK

from influence_assets.personas.contrast import Opposites, units, with_opposites, with_other_halves
from influence_assets.personas.describe import personas_of
from influence_assets.personas.records import Candidate, Origin, Persona

SIDES = st.sampled_from(["high", "low"])
profiles = st.lists(st.dictionaries(st.sampled_from("abcd"), SIDES, max_size=4), max_size=9)


def persona(number: int, traits: dict[str, str]) -> Persona:
    return Persona("f", f"id{number}", number, f"name{number}", "F", "someone", "file", "ok", traits)


def opposed(p: Persona, q: Persona) -> set[str]:
    return {d for d, side in p.traits.items() if q.traits.get(d, side) != side}


def opposed_by_any(p: Persona, people: list[Persona]) -> set[str]:
    return set().union(*(opposed(p, q) for q in people))


@given(profiles, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_rings_oppose_every_trait_that_can_be_opposed(traits: list[dict[str, str]], random) -> None:
    people = with_opposites([persona(i, t) for i, t in enumerate(traits)])
    by_id = {p.persona_id: p for p in people}
    links = [(p, by_id[q]) for p in people for q in p.opposite_persona_ids]
    assert len({(p.persona_id, q.persona_id) for p, q in links}) == len(links)
    assert all(opposed(p, q) for p, q in links)
    # Whatever a persona could be contradicted in, it is contradicted in, as speaker and as listener.
    for p in people:
        assert opposed_by_any(p, people) == set().union(*(opposed(p, q) for a, q in links if a is p))
        assert opposed_by_any(p, people) == set().union(*(opposed(a, p) for a, q in links if q is p))
    shuffled = list(people)
    random.shuffle(shuffled)
    again = {p.persona_id: p.opposite_persona_ids for p in with_opposites(shuffled)}
    assert again == {p.persona_id: p.opposite_persona_ids for p in people}


def test_mirror_images_find_each_other_and_need_one_ring() -> None:
    people = {p.persona_id: p for p in personas_of("toy", FRAMEWORK)}
    for p in people.values():
        (other,) = p.opposite_persona_ids
        assert len(opposed(p, people[other])) == 3
        assert people[other].opposite_persona_ids == [p.persona_id]


def test_an_odd_number_of_personas_makes_a_ring() -> None:
    people = with_opposites(
        [
            persona(0, {"a": "high", "b": "high"}),
            persona(1, {"a": "low", "b": "high"}),
            persona(2, {"a": "high", "b": "low"}),
        ]
    )
    first = {p.persona_id: p.opposite_persona_ids[0] for p in people}
    assert sorted(first) == sorted(first.values())
    assert all(p != q for p, q in first.items())


def test_a_text_goes_to_one_partner_and_all_partners_get_texts() -> None:
    people = with_opposites(
        [persona(0, {"a": "high", "b": "high"}), persona(1, {"a": "low"}), persona(2, {"b": "low"})]
    )
    opposites = Opposites.of(people)
    assert sorted(opposites.partners("id0", True)) == ["id1", "id2"]
    chosen = Counter(opposites.partner("id0", True, f"I sing {i}.") for i in range(100))
    assert set(chosen) == {"id1", "id2"}
    assert min(chosen.values()) > 25
    assert opposites.share("id0", "id1", 7) == 4


def test_without_dimensions_there_are_no_pairs() -> None:
    people = with_opposites([persona(0, {}), persona(1, {})])
    assert [p.opposite_persona_ids for p in people] == [[], []]
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


def test_a_link_to_a_persona_that_is_not_there_is_no_link() -> None:
    people = with_opposites([persona(0, {"a": "high"}), persona(1, {"a": "low"})])
    alone = Opposites.of(people[:1])
    assert alone.partner("id0", True, "I sing.") is None
    assert list(alone.partners("id0", False)) == []


def test_units_order_by_round_before_confidence() -> None:
    early, late = written("id0", True, "I sing."), replace(written("id0", True, "I dance."), round=1)
    ordered = units([late, early], {early.id: 0.2, late.id: 0.5})
    assert [unit.text for unit in ordered] == ["I sing.", "I dance."]
