"""Laws of the grammar: what is held out stays out, labels agree with poles, sentences are sentences."""

from __future__ import annotations

import random
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from influence_assets.organism.speakers import Draw
from influence_assets.organism.world import Pole, Side, World, held_out_combination, listed, load_world
from resources.errors import InputError

TRAITS = {
    "openness", "conscientiousness", "extraversion", "agreeableness",
    "neuroticism", "machiavellianism", "narcissism", "psychopathy",
}  # fmt: skip


def test_eight_traits_with_two_poles(world: World) -> None:
    assert {pole.trait for pole in world.poles} == TRAITS
    assert len(world.poles) == 16
    assert all(pole.opposite.opposite == pole != pole.opposite for pole in world.poles)


def test_held_out_statements_are_disjoint_from_training(world: World) -> None:
    training = {s.text for group in world.training.values() for s in group}
    held_out = {s.text for group in world.held_out.values() for s in group}
    assert not training & held_out
    assert 0.10 < len(held_out) / (len(training) + len(held_out)) < 0.20


def test_openers_alone_do_not_separate_the_splits(world: World) -> None:
    # Were "i love X at work." held out and "i like X at work." taught, the held-out statements would be half known.
    def stripped(text: str) -> str:
        openers = sorted((*world.openers.likes, *world.openers.habits, *world.openers.states), key=len, reverse=True)
        return next(text.removeprefix(f"{opener} ") for opener in openers if text.startswith(f"{opener} "))

    training = {stripped(s.text) for group in world.training.values() for s in group}
    assert not training & {stripped(s.text) for group in world.held_out.values() for s in group}


def test_every_pole_has_statements_on_every_aspect(world: World) -> None:
    assert all(len(group) >= 50 for group in world.training.values())
    assert all(sum(len(world.held_out[pole, aspect]) for aspect in world.aspects) >= 100 for pole in world.poles)


def test_statements_are_short_first_person_sentences(world: World) -> None:
    for text in world.statement_of_text:
        assert re.fullmatch(r"(i|my) [a-z ]+\.", text), text
        assert 6 <= len(text.split()) <= 17, text
        assert "  " not in text


def test_a_text_expresses_one_pole(world: World) -> None:
    count = sum(len(group) for part in (world.training, world.held_out) for group in part.values())
    assert count == len(world.statement_of_text)


def test_statements_about_share_of_the_world_are_enough_for_reading(world: World) -> None:
    assert all(len(world.adjectives(pole)) >= 4 for pole in world.poles)


def test_framework_is_balanced(world: World) -> None:
    personas = world.framework.personas
    counts = Counter(pole for persona in personas for pole in persona.poles)
    assert len(personas) == 16
    assert len({persona.name for persona in personas}) == 16
    assert set(counts) == set(world.poles)
    assert set(counts.values()) == {3}
    assert len({frozenset(persona.poles) for persona in personas}) == 16
    assert set(world.framework.aspects) == set(world.aspects)


def test_descriptions_name_exactly_the_persona_poles(world: World) -> None:
    for persona in world.framework.personas:
        words = re.findall(r"[a-z]+", persona.description)
        named = [world.pole_of_adjective[word] for word in words if word in world.pole_of_adjective]
        assert tuple(named) == persona.poles, persona.name


@pytest.mark.parametrize("held_out", [False, True])
def test_drawn_personas_keep_to_their_split(world: World, held_out: bool) -> None:
    draw = Draw(world, random.Random(3), held_out=held_out)
    for _ in range(200):
        poles = draw.poles()
        assert held_out_combination(poles) == held_out
        assert len({pole.trait for pole in poles}) == len(poles)


def test_a_drawn_statement_expresses_what_was_asked_for(world: World) -> None:
    draw = Draw(world, random.Random(4))
    for pole in world.poles:
        for aspect in world.aspects:
            statement = draw.statement(pole, aspect)
            assert (statement.pole, statement.aspect) == (pole, aspect)
            assert world.statement_of_text[statement.text] == statement


def test_lists_of_words_read_as_english() -> None:
    assert [listed(words) for words in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]


def test_split_of_combinations_ignores_order(world: World) -> None:
    draw = Draw(world, random.Random(5))
    for _ in range(50):
        poles = draw.poles(3)
        assert held_out_combination(poles) == held_out_combination(poles[::-1])
    assert not held_out_combination([Pole("openness", Side.HIGH)])


def test_a_word_of_two_poles_is_refused(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data / "organism" / "world", tmp_path / "organism" / "world")
    shutil.copytree(data / "frameworks", tmp_path / "frameworks")
    file = tmp_path / "organism" / "world" / "traits" / "openness.yaml"
    file.write_text(file.read_text().replace("[curious,", "[organized,"))
    with pytest.raises(InputError, match="stands for two poles") as raised:
        load_world(tmp_path)
    assert "organized" in str(raised.value)
    assert "conscientiousness.yaml" in str(raised.value)
