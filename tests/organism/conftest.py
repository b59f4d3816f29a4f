"""The world and the prompts, once per session."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from influence_assets.organism.corpus import Corpus, Prompts
from influence_assets.organism.speakers import Draw
from influence_assets.organism.world import World, load_world

DATA = Path(__file__).resolve().parents[2] / "data"


@pytest.fixture(scope="session")
def data() -> Path:
    return DATA


@pytest.fixture(scope="session")
def world() -> World:
    return load_world(DATA)


@pytest.fixture
def corpus(world: World) -> Callable[[int], Corpus]:
    return lambda seed: Corpus(Draw(world, random.Random(seed)), Prompts(DATA))
