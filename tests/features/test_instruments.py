"""The organism's contrast texts, items and neutral texts: halves that share no phrase, and files as shipped."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from influence_assets.features.backgrounds import Half, load_backgrounds
from influence_assets.features.items import load_items
from influence_assets.features.neutral import load_neutral
from influence_assets.organism.instruments import ITEMS, NEUTRAL, TEXTS, write_instruments
from influence_assets.organism.world import Pole, Side, World, load_world
from tests.features.stimulus_files import DATA

FOLDERS = ("backgrounds", "trait_items", "neutral")


@pytest.fixture(scope="module")
def world() -> World:
    return load_world(DATA)


def phrases_in(world: World, pole: Pole, text: str) -> set[str]:
    """The pole's longest phrase that a text ends with or has inside."""
    own = world.phrases(pole)
    held = [core for core in (*own.likes, *own.habits, *own.states) if f" {core} " in text.replace(".", " ") + " "]
    return {max(held, key=len)} if held else set()


def test_the_shipped_files_are_what_the_command_writes(tmp_path: Path) -> None:
    shutil.copytree(DATA / "organism" / "world", tmp_path / "organism" / "world")
    for needed in ("frameworks", "prompts"):
        shutil.copytree(DATA / needed, tmp_path / needed)
    written = write_instruments(tmp_path)
    assert len(written) == 1 + 8 + 1
    for path in written:
        shipped = DATA / path.relative_to(tmp_path)
        assert path.read_bytes() == shipped.read_bytes(), shipped
    first = {path: path.read_bytes() for path in written}
    assert {path: path.read_bytes() for path in write_instruments(tmp_path)} == first


def test_items_are_balanced_and_their_halves_share_no_phrase(world: World) -> None:
    items = load_items(DATA, ["organism"])
    for trait in world.traits:
        seen: dict[tuple[Side, str], set[str]] = {}
        for half in Half:
            own = [item for item in items if item.trait == trait.name and item.half.value == half.value]
            assert len(own) == ITEMS
            for item in own:
                for side, options in ((Side.HIGH, item.high), (Side.LOW, item.low)):
                    held = [phrases_in(world, Pole(trait.name, side), f"{option}") for option in options]
                    assert all(held), item
                    assert held[0] != held[1], "two ways of saying it"
                    seen.setdefault((side, half.value), set()).update(*held)
        for side in Side:
            assert not seen[side, "selection"] & seen[side, "heldout"]


def test_held_out_texts_are_of_new_phrases_and_were_never_trained_on(world: World) -> None:
    trained = {statement.text for group in world.training.values() for statement in group}
    for factor in load_backgrounds(DATA, ["organism"]):
        assert factor.opposite("high") == "low"
        for side in Side:
            texts = factor.categories[side.value].texts
            assert len(texts.selection) == TEXTS
            assert 0 < len(texts.heldout) <= TEXTS
            assert set(texts.selection) <= trained
            assert not set(texts.heldout) & trained
            pole = Pole(factor.name, side)
            halves = [
                set().union(*(phrases_in(world, pole, text) for text in own))
                for own in (texts.selection, texts.heldout)
            ]
            assert all(halves)
            assert not halves[0] & halves[1]


def test_neutral_texts_are_about_no_trait(world: World) -> None:
    texts = load_neutral(DATA, "organism")
    assert len(set(texts)) == len(texts) == NEUTRAL
    for pole in world.poles:
        assert not any(phrases_in(world, pole, text) for text in texts)
