"""What the features family reads of the organism's world: contrast texts and trait items in its own words.

Chosen by rule, like its initial states. Held out means new phrases: the phrases of each pole are split, and what is for
choosing and what is for measuring share none. Held-out contrast texts are statements that training never saw.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from influence_assets.influence.environments import UserKind
from influence_assets.organism.encounters import Conversations
from influence_assets.organism.world import Pole, Side, Statement, World, listed, load_world, share_of
from resources.yamlfiles import load_yaml

TEXTS = 24
"""Contrast texts of a pole in either half."""
ITEMS = 24
"""Trait items of a trait in either half."""
NEUTRAL = 32
HALVES = ("selection", "heldout")
_NOTE = "# Written by `influence organism instruments` from data/organism/world.\n"


def write_instruments(data: Path) -> list[Path]:
    """Write the organism's contrast texts, trait items and neutral texts anew; the files that were written."""
    world = load_world(data)
    written = [_write(data / "backgrounds" / "organism.yaml", backgrounds(world))]
    for trait in world.traits:
        written.append(_write(data / "trait_items" / "organism" / f"{trait.name}.yaml", trait_items(world, trait.name)))
    conversations = load_yaml(data / "organism" / "world" / "conversations.yaml", Conversations)
    written.append(_write(data / "neutral" / "organism.yaml", neutral_texts(conversations)))
    return written


def backgrounds(world: World) -> dict[str, object]:
    """The traits as factors: two opposite categories each, with statements of either half."""
    return {
        "about": "The organism's eight traits, in statements of its world.",
        "factors": [
            {
                "name": trait.name,
                "about": trait.about,
                "kind": "trait",
                "opposites": [["high", "low"]],
                "categories": {side.value: _category(world, Pole(trait.name, side)) for side in Side},
            }
            for trait in world.traits
        ],
    }


def trait_items(world: World, trait: str) -> dict[str, object]:
    """Items of one trait: the world's questions, two phrases of either pole."""
    about = next(one.about for one in world.traits if one.name == trait)
    return {"trait": trait, "about": about, "items": [item for half in HALVES for item in _items(world, trait, half)]}


def neutral_texts(conversations: Conversations) -> dict[str, object]:
    """How ordinary people open a conversation: text that is about no trait."""
    topics = conversations.topics
    texts = [
        f"{opening} {wish.format(act=act)}"
        for opening in conversations.openings[UserKind.ORDINARY]
        for wish in conversations.wishes
        for topic in topics.values()
        for act in topic.wise
    ]
    chosen = sorted(texts, key=lambda text: share_of(f"neutral|{text}"))[:NEUTRAL]
    return {"about": "Openings of ordinary conversations, to measure what steering costs.", "texts": chosen}


def _category(world: World, pole: Pole) -> dict[str, object]:
    adjectives = world.adjectives(pole)
    return {
        "about": f"is {listed(adjectives[:2])}",
        "keyword": adjectives[0],
        "texts": {half: _texts(world, pole, half) for half in HALVES},
    }


def _texts(world: World, pole: Pole, half: str) -> list[str]:
    table = world.training if half == "selection" else world.held_out
    mine = set(_phrases(world, pole, half))
    fitting = [s for aspect in world.aspects for s in table[pole, aspect] if _phrase_of(world, s) in mine]
    fitting.sort(key=lambda s: share_of(f"contrast|{s.text}"))
    return [s.text for s in _round_robin(world, fitting)][:TEXTS]


def _round_robin(world: World, statements: Sequence[Statement]) -> Iterator[Statement]:
    """One of each phrase in turn, so that no phrase stands for a pole by itself."""
    by_phrase: dict[str, list[Statement]] = {}
    for statement in statements:
        by_phrase.setdefault(_phrase_of(world, statement), []).append(statement)
    for turn in range(max(map(len, by_phrase.values()))):
        yield from (group[turn] for group in by_phrase.values() if turn < len(group))


def _items(world: World, trait: str, half: str) -> Iterator[dict[str, object]]:
    rng = random.Random(f"{trait}|{half}")
    contexts = [context for words in world.aspects.values() for context in words]
    for number in range(1, ITEMS + 1):
        question = rng.choice(world.talk.situations).format(context=rng.choice(contexts))
        sides = {side.value: _options(world, Pole(trait, side), half, rng) for side in Side}
        yield {"id": f"{trait}_{half}_{number:02d}", "half": half, "situation": question, **sides}


def _options(world: World, pole: Pole, half: str, rng: random.Random) -> list[str]:
    """Two ways of saying that one is of this pole, with different phrases."""
    options = world.options(pole)
    cores = rng.sample(_phrases(world, pole, half), 2)
    return [rng.choice([option for option in options if option.endswith(f" {core}.")]) for core in cores]


def _phrases(world: World, pole: Pole, half: str) -> list[str]:
    """Half of a pole's phrases, of each kind."""
    phrases = world.phrases(pole)
    chosen = []
    for kind in (phrases.likes, phrases.habits, phrases.states):
        ordered = sorted(kind, key=lambda core: share_of(f"half|{core}"))
        middle = (len(ordered) + 1) // 2
        chosen += ordered[:middle] if half == "selection" else ordered[middle:]
    return chosen


def _phrase_of(world: World, statement: Statement) -> str:
    phrases = world.phrases(statement.pole)
    cores = [core for core in (*phrases.likes, *phrases.habits, *phrases.states) if f" {core} " in statement.text]
    return max(cores, key=len)


def _write(path: Path, content: dict[str, object]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_NOTE + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120), encoding="utf-8")
    return path
